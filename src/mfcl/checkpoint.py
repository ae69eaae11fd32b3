"""Save and load a trained model: a folder of JSON settings, safetensors weights and a model card.

Loading runs no code from the folder.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file

import mfcl
from mfcl.checkpoint_files import (
    CARD,
    CONFIG,
    DAMAGED,
    DIGESTS,
    FILES,
    FORMAT,
    KEYS,
    ONLY_FORMAT,
    WEIGHTS,
    WHITENING,
    check_digests,
    model_folder,
    read_config,
    read_whitening,
    whitening_arrays,
)
from mfcl.core.distributed import barrier, is_main
from mfcl.core.files import replacing
from mfcl.core.machine import survive_fork
from mfcl.core.plain_values import from_dict, to_dict
from mfcl.core.urls import local_path
from mfcl.embeddings.parts import FORMATS
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import CheckpointError, MfclError, shown
from mfcl.models.pair import MultiFormatModel, make_model, outline
from mfcl.models.weights_file import digest, read_weights
from mfcl.recipe import Recipe

LIMITS = (
    "- Made for comparing, searching, mapping and labelling recordings like those that it was trained on; measure it "
    "on your own before you rely on it.",
    "- What it was not trained on (other sources, rooms, devices, rates) it may embed less well, and nothing says so.",
    "- It repeats what its recordings lack: voices, accents and devices that are rare among them are embedded worse.",
)
"""What every model card says."""
VOICEPRINTS = (
    "- Its part for voices makes voiceprints, which identify people: embed only people who agreed to it. It is no "
    "security device: a recording that is played back passes as the voice that it is of.",
)
"""What the card of a model with a part for voices says, too."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved model.

    Attributes:
        model: The two encoders with their front ends, in evaluation mode, on the CPU.
        recipe: The recipe of the model.
        folder: The folder it was read from.
        info: The other entries of `config.json`: version, sizes of the embeddings, facts about the run, digests.
        whitening: PCA whitening of each part of an embedding, for cosine similarity; empty if none was saved.
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
    """Save a model; an earlier checkpoint in the folder is replaced only after all files are written.

    Under `torchrun` the main process writes and the others wait.

    Args:
        model: On any device, in any mode.
        recipe: The recipe of the model.
        folder: Created if missing.
        card: Facts for the model card, such as the data and the seed.
        whitening: PCA whitening of each part of an embedding, for cosine similarity.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written; an earlier checkpoint is unchanged.
    """
    if is_main():
        _write(model, recipe, Path(folder), dict(card or {}), whitening or {})
    barrier()


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Load a model from its folder, from a run folder with a subfolder `model`, or the main one of a study's folder.

    Raises:
        CheckpointError: a file is missing, damaged, of another version, or of another model than the others.
    """
    survive_fork()
    path = model_folder(local_path(folder, "model"))
    config = read_config(path / CONFIG)
    try:
        recipe = from_dict(Recipe, config["recipe"], where=str(path / CONFIG))
        wanted = outline(recipe.model)
    except MfclError as error:
        raise CheckpointError(
            f"{error}; it was written by mfcl {config['mfcl_version']}, this is {mfcl.__version__}"
        ) from error
    if config["format"] == 1 and recipe.model.landmarks is not None:
        raise CheckpointError(
            f"{path}: its landmarks were measured in another way before this version, so its vectors would not be "
            "those that it gave; train it again"
        )
    check_digests(path, config.get(DIGESTS))
    weights = read_weights(path / WEIGHTS, wanted.state_dict(), do=DAMAGED)
    if config["dims"] != (dims := dict(wanted.dims)):
        raise CheckpointError(f"{path / CONFIG}: wanted dims {dims}, got {shown(config['dims'])}; {DAMAGED}")
    model = make_model(recipe.model, seed=0)  # safe to allocate: the file was found to have these sizes
    model.load_state_dict(weights)
    if (own := config["facts"].get(ONLY_FORMAT)) in FORMATS:
        model.default_format = own
    info = {key: config[key] for key in (*KEYS, DIGESTS) if key in config and key != "recipe"}
    return Checkpoint(model.eval(), recipe, path, info, read_whitening(path / WHITENING))


def file_digest(checkpoint: Checkpoint, name: str) -> str:
    """Return the SHA-256 of a file of a model in memory, in hexadecimal; "" if it has none of this name.

    Another model may have been trained into its folder since, so it is the digest that the file was compared with when
    it was loaded. Only of a model of version 0.1, which wrote none, it is that of the file as it is now.
    """
    if known := checkpoint.info.get(DIGESTS):
        return str(known.get(name, ""))
    path = checkpoint.folder / name
    return digest(path) if path.is_file() else ""


def model_digest(checkpoint: Checkpoint) -> str:
    """Return the SHA-256 of the weights, the whitening and the settings: vectors of equal digests can be compared.

    It is that of the model in memory; see `file_digest`.
    """
    files = [file_digest(checkpoint, name) for name in (WEIGHTS, WHITENING)]
    settings = to_dict(checkpoint.recipe)
    wanted = {key: settings[key] for key in ("model", "preparation") if key in settings}
    return hashlib.sha256(json.dumps([files, wanted], sort_keys=True).encode()).hexdigest()


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
            places[CARD].write_text(_card(model, recipe, facts), encoding="utf-8")
            try:
                save_file(weights, places[WEIGHTS], metadata={"format": "pt"})
                if whitening:
                    places[WHITENING] = stack.enter_context(replacing(folder / WHITENING))
                    save_numpy(whitening_arrays(whitening), places[WHITENING])
            except SafetensorError as error:  # wraps system errors, such as a full disk
                raise OSError(str(error)) from error
            config[DIGESTS] = {name: digest(places[name]) for name in (WEIGHTS, WHITENING) if name in places}
            places[CONFIG].write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if not whitening:  # remove an earlier model's
            (folder / WHITENING).unlink(missing_ok=True)
    except CheckpointError:
        raise
    except MfclError as error:
        raise CheckpointError(str(error)) from error


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
            "import mfcl",
            "",
            'model = mfcl.load("path/to/this/folder")',
            'vectors = model.encode(["one.wav", "two.wav"])',
            "```",
            "",
            "## Use and limits",
            "",
            *LIMITS,
            *(VOICEPRINTS if recipe.model.voices is not None else ()),
            "",
        ]
    )
