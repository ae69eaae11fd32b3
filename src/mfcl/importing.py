"""Make a model of weights that others published: PANNs' Res1dNet31, torchvision's ResNet18."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mfcl.checkpoint import save_checkpoint
from mfcl.checkpoint_files import ONLY_FORMAT
from mfcl.core.urls import local_path
from mfcl.errors import CheckpointError, check_choice, shown
from mfcl.models.encoders import EncoderSettings
from mfcl.models.encoders.mel import ResNet18
from mfcl.models.encoders.wave import Res1dNet31
from mfcl.models.pair import ModelSettings, make_model
from mfcl.models.published import load_panns, load_torchvision
from mfcl.models.weights_file import digest
from mfcl.recipe import Recipe, load_recipe

SOURCES = ("panns", "torchvision")
PANNS_RATE = 32000
"""Sample rate of PANNs' training data, AudioSet, in Hz."""
PARTNERS = {
    "panns": EncoderSettings("melcnn", "thirds_max"),
    "torchvision": EncoderSettings("filterbank1d", "thirds_max"),
}
"""The encoder of the other format, which a pair needs; it is untrained."""


def import_model(source: str, weights: str | Path, out: str | Path) -> str:
    """Save a model with published weights; the encoder of the other format is untrained, and left out of embeddings.

    Code in the file is not run: only tensors are read.

    Args:
        source: `panns` (waveforms at 32 kHz) or `torchvision` (log-mels of the default recipe, as a grey picture).
        weights: The published file: `.pth` or `.pt`, or `.safetensors`.
        out: Folder of the model.

    Returns:
        What was made, in a few words.

    Raises:
        CheckpointError: the file cannot be read as weights, or they are of another model.
    """
    check_choice("source of weights", source, SOURCES, error=CheckpointError)
    path = local_path(weights, "weights")
    found = _read(path)
    recipe = _recipe(source)
    model = make_model(recipe.model, seed=0)
    if source == "panns":
        assert isinstance(model.wave.encoder, Res1dNet31)
        load_panns(model.wave.encoder, model.wave.pooling("content"), found)
        made, format = "PANNs' Res1dNet31, 2048 values from waveforms at 32 kHz", "wave"
    else:
        assert isinstance(model.mel.encoder, ResNet18)
        load_torchvision(model.mel.encoder, found)
        made, format = "torchvision's ResNet18, 512 values from log-mels", "mel"
    other = "mel" if format == "wave" else "wave"
    facts = {"weights": f"{source}, {path.name}", "weights_sha256": digest(path), ONLY_FORMAT: format}
    save_checkpoint(model, recipe, out, card={**facts, "note": f"the encoder of {other} is untrained"})
    return f"{made}; embeddings hold these alone, unless --format asks for more"


def _recipe(source: str) -> Recipe:
    base, partner = load_recipe("default"), PARTNERS[source]
    if source == "panns":
        mel_format = dataclasses.replace(base.model.mel_format, window=800, hop=320)
        model = ModelSettings(PANNS_RATE, mel_format, wave=EncoderSettings("res1dnet31", "panns"), mel=partner)
    else:
        model = ModelSettings(mel_format=base.model.mel_format, wave=partner, mel=EncoderSettings("resnet18", "mean"))
    preparation = dataclasses.replace(base.preparation, sample_rate=model.sample_rate, endpoints=False)
    return dataclasses.replace(base, name=source, model=model, preparation=preparation)


def _read(path: Path) -> Mapping[str, Any]:
    """Read tensors from a file.

    Raises:
        CheckpointError: there is no such file, or it holds anything but tensors of finite numbers.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: wanted published weights, but there is no such file; download them first")
    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as weights ({_line(error)}); download it again") from error
    except Exception as error:  # pickles that would run code, and whatever damage does to them
        raise CheckpointError(
            f"{path}: wanted tensors alone, it is damaged or holds other objects, which could run code ({_line(error)})"
            "; download the published file again"
        ) from error
    inner = found.get("model", found) if isinstance(found, Mapping) else found
    if not isinstance(inner, Mapping) or not all(isinstance(value, Tensor) for value in inner.values()) or not inner:
        raise CheckpointError(f"{path}: wanted a state dict, names and tensors, got {type(found).__name__}")
    wrong = next((name for name, value in inner.items() if not torch.isfinite(value).all()), None)
    if wrong is not None:  # every embedding would be NaN
        raise CheckpointError(f"{path}: {shown(wrong)} holds NaN or infinity; download the published file again")
    return inner


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:120]
