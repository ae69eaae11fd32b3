"""Recipes and overrides: read, and a model made of what was accepted."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import yaml

from mfcl.checkpoint import Checkpoint
from mfcl.core.plain_values import to_dict
from mfcl.embedder import Embedder
from mfcl.models.pair import make_model
from mfcl.recipe import load_recipe
from mfcl.training.memory import parameter_bytes
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import ODD_TEXTS, nested, odd_value, spoil_bytes, spoil_value
from tests.recipes import tiny_recipe
from tests.sounds import word

OVERRIDES = "overrides.txt"
MOST_BYTES = 1 << 28
"""Of the parameters of a model that is made, with their gradients and moments."""
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
ODD_YAML = (
    "!!python/object/apply:os.getcwd []",
    "&a [*a]",
    "<<: 1",
    "? [1]\n: 2",
    "name: 2020-13-45",
    "- a",
    "a: b: c",
)


def write(folder: Path) -> None:
    """Write the whole of a small recipe, defaults too, and no override."""
    recipe = load_recipe(tiny_recipe(folder))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(to_dict(recipe), sort_keys=False))
    (folder / OVERRIDES).write_text("")


def spoil(folder: Path, chance: Random) -> None:
    """Spoil the recipe's values or its text, or add odd overrides."""
    path = folder / "tiny.yaml"
    text = path.read_text()
    values = yaml.safe_load(text)
    way = chance.random()
    if way < 0.4:
        path.write_text(yaml.safe_dump(spoil_value(chance, values), sort_keys=False, allow_unicode=True))
    elif way < 0.75:
        (folder / OVERRIDES).write_text("\n".join(_override(chance, values) for _ in range(chance.choice((1, 2)))))
    elif way < 0.85:
        path.write_text(
            chance.choice((nested(chance), LAUGHS, text + chance.choice(ODD_YAML), chance.choice(ODD_YAML)))
        )
    else:
        path.write_bytes(spoil_bytes(chance, text.encode()))


def _override(chance: Random, values: object) -> str:
    keys = []
    while isinstance(values, dict) and values:
        keys.append(chance.choice(list(values)))
        values = values[keys[-1]]
    if chance.random() < 0.1:
        keys.insert(chance.randrange(len(keys) + 1), chance.choice(ODD_TEXTS))
    value = odd_value(chance)
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n")
    return (".".join(keys) + chance.choice(("=", "=", "=", "", "==")) + text).replace("\n", " ").replace("\r", " ")


def use(folder: Path) -> Iterator[object]:
    """Read the recipe; make its model and embed a word with it."""
    overrides = [line for line in (folder / OVERRIDES).read_text().split("\n") if line]
    recipe = load_recipe(folder / "tiny.yaml", overrides)
    yield to_dict(recipe)
    if parameter_bytes(recipe) > MOST_BYTES:  # right, and too large to be made here
        return
    model = make_model(recipe.model, seed=0).eval()
    yield Embedder(Checkpoint(model, recipe, folder, {}), device="cpu").encode([word(0, 3)], sample_rate=16000)


KIND = Kind(write, spoil, use)
