"""What a model costs: its parameters, its arithmetic, and how fast this machine embeds with it."""

import time

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mfcl.embeddings.parts import FORMATS, formats_of
from mfcl.models.inference import Format
from mfcl.models.pair import MultiFormatModel

CLIPS = 64
CLIP_SECONDS = 0.64
ROUNDS = 3
COUNTED_SECONDS = 10


def cost(model: MultiFormatModel, sample_rate: int, *, format: Format = "both") -> dict[str, float]:
    """Return what embedding with a model costs, as the rows of the table `cost` name it.

    The model is left in the mode that it was in.

    Args:
        model: On the device that is to be timed.
        sample_rate: Of the waveforms it takes, in Hz.
        format: The encoder that is used, or both.

    Returns:
        `parameters`; `multiply_adds` per second of sound (of convolutions and matrix products; those of the log-mel's
        Fourier transform are not counted); `clips_per_second`, of batches of 64 clips of 0.64 seconds.
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
    """Return the weights of the chosen encoders; buffers are not counted."""
    return sum(weight.numel() for name in formats for weight in getattr(model, name).parameters())


@torch.no_grad()
def multiply_adds(model: MultiFormatModel, sample_rate: int, formats: tuple[str, ...] = FORMATS) -> float:
    """Return the multiplications with an addition that a second of sound takes, without what a clip's ends cost.

    A long clip is counted: a mean over clips of a second would charge each for its padding.
    """
    wave = sound(model, 1, COUNTED_SECONDS * sample_rate)
    with FlopCounterMode(display=False) as counter:  # it counts a multiplication and an addition as two
        for name in formats:
            getattr(model, name)(wave)
    return float(counter.get_total_flops()) / 2 / COUNTED_SECONDS


@torch.inference_mode()
def clips_per_second(
    model: MultiFormatModel, sample_rate: int, formats: tuple[str, ...] = FORMATS, *, rounds: int = ROUNDS
) -> float:
    """Return how many short clips are embedded in a second, the best of some rounds after one that warms up."""
    wave = sound(model, CLIPS, round(CLIP_SECONDS * sample_rate))
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for name in formats:
            getattr(model, name)(wave).cpu()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return CLIPS / min(seconds[1:])


def sound(model: MultiFormatModel, clips: int, samples: int) -> Float[Tensor, "{clips} {samples}"]:
    """Return noise on the model's device, the same every time."""
    noise = torch.randn(clips, samples, generator=torch.Generator().manual_seed(0))
    return 0.1 * noise.to(next(model.parameters()).device)
