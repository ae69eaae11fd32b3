"""The card that is written with a model agrees with the page that explains cards, and the picture with its script."""

import re
from pathlib import Path

import pytest

import mfcl
from examples.make_method_picture import picture
from mfcl.checkpoint import LIMITS, VOICEPRINTS, save_checkpoint
from mfcl.checkpoint_files import CARD
from mfcl.core.plain_values import from_dict
from mfcl.hub import save_pretrained
from mfcl.models import make_model
from mfcl.recipe import Recipe, load_recipe
from tests.recipes import tiny_recipe
from tests.small_model import SETTINGS
from tests.sounds import write_corpus

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("voices", ["statistics", None])
def test_a_card_says_how_far_to_trust_the_model_and_voiceprints_where_it_makes_them(
    voices: str | None, tmp_path: Path
) -> None:
    recipe = from_dict(Recipe, {**SETTINGS, "model": {**SETTINGS["model"], "voices": voices}}, where="here")
    save_checkpoint(make_model(recipe.model, seed=0), recipe, tmp_path)
    text = (tmp_path / CARD).read_text(encoding="utf-8")
    assert all(line in text for line in LIMITS)
    assert ("voiceprints" in text) == (voices is not None)


def test_the_page_about_cards_explains_every_line_of_a_card(tmp_path: Path) -> None:
    page = (DOCS / "model-card.md").read_text(encoding="utf-8")
    corpus = write_corpus(tmp_path / "corpus", speakers=4)
    mfcl.train(corpus, tmp_path / "run", recipe=tiny_recipe(tmp_path), cache=tmp_path / "cache", progress=False)
    save_pretrained(tmp_path / "run", tmp_path / "out")
    card = (tmp_path / "out" / CARD).read_text(encoding="utf-8")
    lines = re.findall(r"^\| ([a-z ]+) \|", card, flags=re.MULTILINE)
    assert {"recipe", "recordings", "seed", "loss"} <= set(lines)
    explained = [name for row in re.findall(r"^\| ([a-z, ]+) \|", page, flags=re.MULTILINE) for name in row.split(", ")]
    assert [name for name in lines if name not in explained] == []
    assert [line for line in (*LIMITS, *VOICEPRINTS) if line not in page] == []


def test_a_model_without_landmarks_can_be_had_as_the_page_says() -> None:
    assert load_recipe("default", ["model.landmarks=null"]).model.landmarks is None


def test_the_picture_of_the_method_is_what_its_script_draws() -> None:
    kept = (DOCS / "pictures" / "method.svg").read_text(encoding="utf-8")
    shapes = re.compile(r"<text[^>]*>[^<]*</text>|<rect[^>]*>")  # last digits of drawn sound differ
    assert shapes.findall(picture()) == shapes.findall(kept)
