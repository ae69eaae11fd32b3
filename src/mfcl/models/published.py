"""Load published weights (torchvision, PANNs) into our encoders; a key that does not fit is an error."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mfcl.errors import CheckpointError
from mfcl.models.encoders.mel import ResNet18
from mfcl.models.encoders.wave import Res1dNet31
from mfcl.models.pooling import Pooling

Weights = Mapping[str, Tensor]


def load_torchvision(encoder: ResNet18, weights: Weights) -> None:
    """Load torchvision's ResNet18 weights into ours.

    The first convolution is summed over its three colours, as for a grey image. ImageNet's classifier `fc` is left
    out.

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
    """Load PANNs' published Res1dNet31 into the encoder and, if it is `panns`, the pooling.

    The layer `fc1` is part of PANNs' own pooling and left out with any other. AudioSet's classifier `fc_audioset` is
    always left out.

    Args:
        encoder: At width 1 with batch norm.
        pooling: `Pooling("panns", 2048)` to get PANNs' 2,048-value embedding, or another.
        checkpoint: From `torch.load(path, weights_only=True)`: a state dict, or one under the key `model`.

    Raises:
        CheckpointError: keys are missing or unknown, or a shape differs.
    """
    weights: Weights = checkpoint.get("model", checkpoint)
    last = {key: value for key, value in weights.items() if key.startswith(("fc1.", "fc_audioset."))}
    rest = {key: value for key, value in weights.items() if key not in last}
    fc1 = {key: value for key, value in last.items() if key.startswith("fc1.")}
    wanted = fc1 if pooling.name == "panns" else {}
    _check(encoder, rest, "PANNs' Res1dNet31")  # check both modules before either is changed
    _load(pooling, wanted, "PANNs' Res1dNet31")
    _load(encoder, rest, "PANNs' Res1dNet31")


def _load(module: nn.Module, weights: Weights, whose: str) -> None:
    _check(module, weights, whose)
    module.load_state_dict(dict(weights), strict=False)


def _check(module: nn.Module, weights: Weights, whose: str) -> None:
    """Raise a `CheckpointError` that names the first key that does not fit.

    `num_batches_tracked` may be missing: old files have none, and nothing reads it.
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
