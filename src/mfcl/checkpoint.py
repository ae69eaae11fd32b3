"""A trained model as a folder: settings in JSON, weights in safetensors, a card to read. Loading runs no code."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file
from torch import Tensor

import mfcl
from mfcl.core.distributed import barrier, is_main
from mfcl.core.files import replacing
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import CheckpointError, MfclError, one_of
from mfcl.models.pair import MultiFormatModel, make_model
from mfcl.recipe import Recipe, from_dict, to_dict

FORMAT = 1
"""Of the folder; a reader of another one refuses it."""
CONFIG, WEIGHTS, CARD = FILES = ("config.json", "model.safetensors", "README.md")
WHITENING = "whitening.safetensors"
"""Beside them, where one was learned: for each part of an embedding a mean and directions."""
KEYS = ("format", "mfcl_version", "dims", "recipe", "facts")


@dataclass(frozen=True)
class Checkpoint:
    """A saved model.

    Attributes:
        model: The pair of encoders with their front ends, in evaluation mode, on the processor.
        recipe: Every choice it was made with.
        folder: Where it was read.
        info: What else `config.json` says: the version that wrote it, the sizes of the embeddings, facts of the run.
        whitening: What makes each part of an embedding ready for cosines, learned from training data; empty if not.
    """

    model: MultiFormatModel
    recipe: Recipe
    folder: Path
    info: Mapping[str, Any]
    whitening: Mapping[str, Whitening] = field(default_factory=dict)


def save_checkpoint(
    model: MultiFormatModel,
    recipe: Recipe,
    folder: str | Path,
    *,
    card: Mapping[str, str] | None = None,
    whitening: Mapping[str, Whitening] | None = None,
) -> None:
    """Write a model; all its files are whole before any of them takes its place.

    Under `torchrun` the main process writes and the others wait.

    Args:
        model: On any device, in any mode.
        recipe: Every choice it was made with.
        folder: Made if it is not there; an earlier checkpoint in it is replaced.
        card: Facts to print on the model card, such as the data and the seed.
        whitening: What makes each part of an embedding ready for cosines.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written; an earlier checkpoint is then as it was.
    """
    if is_main():
        _write(model, recipe, Path(folder), dict(card or {}), whitening or {})
    barrier()


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read a model from its folder, or from the run folder that holds it as `model`.

    Raises:
        CheckpointError: something is missing, damaged, of another version, or does not fit together.
    """
    path = _resolve(Path(folder))
    config = _config(path / CONFIG)
    try:
        recipe = from_dict(Recipe, config["recipe"], where=str(path / CONFIG))
        model = make_model(recipe.model, seed=0)
    except MfclError as error:
        raise CheckpointError(
            f"{error}; it was written by mfcl {config['mfcl_version']}, this is {mfcl.__version__}"
        ) from error
    weights = _weights(path / WEIGHTS)
    _check(model.state_dict(), weights, path / WEIGHTS)
    model.load_state_dict(weights)
    return Checkpoint(
        model.eval(), recipe, path, {key: config[key] for key in KEYS if key != "recipe"}, _whitening(path)
    )


def _write(
    model: MultiFormatModel, recipe: Recipe, folder: Path, facts: dict[str, str], whitening: Mapping[str, Whitening]
) -> None:
    config = {
        "format": FORMAT,
        "mfcl_version": mfcl.__version__,
        "dims": dict(model.dims),
        "recipe": to_dict(recipe),
        "facts": facts,
    }
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    try:
        with contextlib.ExitStack() as stack:
            places = {name: stack.enter_context(replacing(folder / name)) for name in FILES}
            places[CONFIG].write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            places[CARD].write_text(_card(model, recipe, facts), encoding="utf-8")
            try:
                save_file(weights, places[WEIGHTS], metadata={"format": "pt"})
                if whitening:
                    place = stack.enter_context(replacing(folder / WHITENING))
                    save_numpy(_arrays(whitening), place)
            except SafetensorError as error:  # its wrapping of the system's own errors, a full disk among them
                raise OSError(str(error)) from error
        if not whitening:  # that of an earlier model must not stay beside this one
            (folder / WHITENING).unlink(missing_ok=True)
    except CheckpointError:
        raise
    except MfclError as error:
        raise CheckpointError(str(error)) from error


def _resolve(folder: Path) -> Path:
    for path in (folder, folder / "model"):
        if (path / CONFIG).is_file():
            return path
    found = "nothing there" if not folder.exists() else "no config.json in it or in its folder `model`"
    raise CheckpointError(f"{folder}: wanted a checkpoint or a run folder, found {found}; see mfcl train --help")


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: wanted JSON, cannot read it ({error}); copy the checkpoint again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        given = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise CheckpointError(
            f"{path}: wanted a checkpoint of format {FORMAT}, got {given!r}; use the version of mfcl that wrote it"
        )
    for key in config:
        if key not in KEYS:
            raise CheckpointError(
                f"{path}: {one_of('entry of a checkpoint', key, KEYS)}; it was written by mfcl "
                f"{config.get('mfcl_version', '(unknown)')}, this is {mfcl.__version__}"
            )
    for key in KEYS:
        if key not in config:
            raise CheckpointError(f"{path}: wanted the entry {key!r}, it is missing; copy the checkpoint again")
    return config


def _weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: the weights are missing; copy the checkpoint again") from error
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: wanted safetensors, cannot read it ({reason}); copy it again") from error


def _arrays(whitening: Mapping[str, Whitening]) -> dict[str, np.ndarray]:
    return {
        f"{part}.{name}": np.ascontiguousarray(getattr(one, name))
        for part, one in whitening.items()
        for name in ("mean", "directions")
    }


def _whitening(path: Path) -> dict[str, Whitening]:
    if not (path / WHITENING).is_file():
        return {}
    found = {name: value.numpy() for name, value in _weights(path / WHITENING).items()}
    try:
        return {
            name.removesuffix(".mean"): Whitening(mean, found[name.removesuffix("mean") + "directions"])
            for name, mean in found.items()
            if name.endswith(".mean")
        }
    except KeyError as error:
        raise CheckpointError(
            f"{path / WHITENING}: wanted {error}, it is missing; copy the checkpoint again"
        ) from error


def _check(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        sizes = [str(tuple(side[name].shape)) if name in side else "nothing" for side in (wanted, found)]
        if sizes[0] != sizes[1]:
            raise CheckpointError(
                f"{path}: wanted {name} of shape {sizes[0]}, got {sizes[1]}; config.json is of another model"
            )


def _card(model: MultiFormatModel, recipe: Recipe, facts: Mapping[str, str]) -> str:
    """Return the model card in Markdown."""
    count = sum(weight.numel() for weight in model.parameters())
    sizes = ", ".join(f"{name} {dim}" for name, dim in model.dims.items())
    rows = {
        "recipe": recipe.name,
        "formats": f"wave ({recipe.model.wave.name}), mel ({recipe.model.mel.name})",
        "embedding": sizes,
        "parameters": f"{count:,}",
        "sample rate": f"{recipe.preparation.sample_rate} Hz",
        **facts,
    }
    lines = [f"| {key} | {value} |" for key, value in rows.items()]
    return "\n".join(
        [
            "---",
            "library_name: mfcl",
            "tags: [audio, self-supervised, contrastive]",
            "---",
            f"# {recipe.name}: a pair of audio encoders",
            "",
            "A waveform encoder and a log-mel encoder made with mfcl. Both take waveforms; the front ends are inside.",
            "",
            "| | |",
            "|---|---|",
            *lines,
            "",
            "```python",
            "from mfcl.checkpoint import load_checkpoint",
            "",
            'model = load_checkpoint("path/to/this/folder").model',
            "```",
            "",
        ]
    )
