"""Parameters, multiply-adds and embedding speed of a model."""

import time
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from mfcl.embeddings.parts import FORMATS, formats_of
from mfcl.models.inference import Format
from mfcl.models.pair import MultiFormatModel

CLIPS = 64
"""Clips in the batch that is timed."""
CLIP_SECONDS = 0.64
ROUNDS = 3
"""Timed runs; the fastest counts."""
COUNTED_SECONDS = 10
"""Length of the clip whose multiply-adds are counted."""


class Operations(TorchDispatchMode):
    """Counts the operations of convolutions and matrix products by torch's formulas, a multiply-add as two.

    As torch's `FlopCounterMode`, which has torch load its compiler (70 MB that no process gets rid of, and seconds).
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say that nothing here needs hiding from the compiler, as there is none: to hide it torch would load it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=made)
        return made


def cost(model: MultiFormatModel, sample_rate: int, *, format: Format = "both") -> dict[str, float]:
    """Return the cost of embedding with a model; keys are the rows of the table `cost`.

    Leaves the model in its present mode (training or evaluation).

    Args:
        model: On the device to time.
        sample_rate: Of the input waveforms, in Hz.
        format: The encoder to measure, or both.

    Returns:
        `parameters`; `multiply_adds` per second of audio, of convolutions and matrix products, without the Fourier
        transform of the log-mel; `clips_per_second`, for batches of 64 clips of 0.64 seconds.
    """
    formats = formats_of(format)
    was_training = model.training
    model.eval()
    try:
        return {
            "parameters": float(parameters(model, formats)),
            "multiply_adds": multiply_adds(model, sample_rate, formats),
            "clips_per_second": clips_per_second(model, sample_rate, formats),
        }
    finally:
        model.train(was_training)


def parameters(model: MultiFormatModel, formats: tuple[str, ...] = FORMATS) -> int:
    """Return the number of parameters of the chosen encoders; buffers are not counted."""
    return sum(weight.numel() for name in formats for weight in getattr(model, name).parameters())


@torch.no_grad()
def multiply_adds(model: MultiFormatModel, sample_rate: int, formats: tuple[str, ...] = FORMATS) -> float:
    """Return the multiply-adds per second of audio, from one long clip: padding at its ends hardly counts."""
    wave = sound(model, 1, COUNTED_SECONDS * sample_rate)
    with Operations() as counted:
        for name in formats:
            getattr(model, name)(wave)
    return float(counted.total) / 2 / COUNTED_SECONDS


@torch.inference_mode()
def clips_per_second(
    model: MultiFormatModel, sample_rate: int, formats: tuple[str, ...] = FORMATS, *, rounds: int = ROUNDS
) -> float:
    """Return the number of short clips embedded per second, the best of some rounds after a warm-up round."""
    wave = sound(model, CLIPS, round(CLIP_SECONDS * sample_rate))
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for name in formats:
            getattr(model, name)(wave).cpu()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return CLIPS / min(seconds[1:])


def sound(model: MultiFormatModel, clips: int, samples: int) -> Float[Tensor, "{clips} {samples}"]:
    """Return fixed noise on the model's device."""
    noise = torch.randn(clips, samples, generator=torch.Generator().manual_seed(0))
    return 0.1 * noise.to(next(model.parameters()).device)
