"""Weights that others have published, in our encoders: taken key by key, or refused with what does not fit."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mfcl.errors import CheckpointError
from mfcl.models.encoders.mel import ResNet18
from mfcl.models.encoders.wave import Res1dNet31
from mfcl.models.pooling import Pooling

Weights = Mapping[str, Tensor]


def load_torchvision(encoder: ResNet18, weights: Weights) -> None:
    """Put torchvision's ResNet18 weights into ours.

    A first convolution of three colours is summed over them, which is what a grey picture in all three would see; the
    layer `fc` that names ImageNet's classes is left out.

    Args:
        encoder: At width 1 with batch norm.
        weights: A state dict of `torchvision.models.resnet18`.

    Raises:
        CheckpointError: keys are missing or unknown, or a shape differs.
    """
    kept = {key: value for key, value in weights.items() if not key.startswith("fc.")}
    first = kept.get("conv1.weight")
    if first is not None and first.ndim == 4 and first.shape[1] == 3:
        kept["conv1.weight"] = first.sum(dim=1, keepdim=True)
    _load(encoder, kept, "torchvision's ResNet18")


def load_panns(encoder: Res1dNet31, pooling: Pooling, checkpoint: Mapping[str, Any]) -> None:
    """Put PANNs' published Res1dNet31 into the encoder and, if it is `panns`, the pooling.

    The layer `fc1` belongs to PANNs' own pooling and is left out with any other; `fc_audioset`, which names AudioSet's
    classes, always is.

    Args:
        encoder: At width 1 with batch norm.
        pooling: `Pooling("panns", 2048)` to get PANNs' 2,048-value embedding, or another.
        checkpoint: What `torch.load(path, weights_only=True)` gives: the state dict, or it under the key `model`.

    Raises:
        CheckpointError: keys are missing or unknown, or a shape differs.
    """
    weights: Weights = checkpoint.get("model", checkpoint)
    last = {key: value for key, value in weights.items() if key.startswith(("fc1.", "fc_audioset."))}
    rest = {key: value for key, value in weights.items() if key not in last}
    fc1 = {key: value for key, value in last.items() if key.startswith("fc1.")}
    wanted = fc1 if pooling.name == "panns" else {}
    _check(encoder, rest, "PANNs' Res1dNet31")  # both before either is changed
    _load(pooling, wanted, "PANNs' Res1dNet31")
    _load(encoder, rest, "PANNs' Res1dNet31")


def _load(module: nn.Module, weights: Weights, whose: str) -> None:
    _check(module, weights, whose)
    module.load_state_dict(dict(weights), strict=False)


def _check(module: nn.Module, weights: Weights, whose: str) -> None:
    """Raise a `CheckpointError` that names the first key that does not fit.

    A missing count of batches is no fault: old files have none, and nothing reads it.
    """
    own = module.state_dict()
    needed = [key for key in own if not key.endswith("num_batches_tracked")]
    for fault, keys in (
        ("lack", [key for key in needed if key not in weights]),
        ("have an unknown", [key for key in weights if key not in own]),
    ):
        if keys:
            raise CheckpointError(
                f"{whose}: the weights {fault} {keys[0]!r} ({len(keys)} such); give that model's own state dict"
            )
    for key, value in weights.items():
        if value.shape != own[key].shape:
            raise CheckpointError(
                f"{whose}: {key!r} is {tuple(value.shape)}, wanted {tuple(own[key].shape)}; use width 1 and that "
                "model's own state dict"
            )
