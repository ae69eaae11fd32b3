"""Per-channel energy normalisation: each band against its own recent past, in place of a logarithm.

Source: Wang, Getreuer, Hughes, Lyon and Saurous, "Trainable frontend for robust and far-field keyword spotting",
    arXiv:1607.05666, equations 1 and 2, with fixed parameters.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mfcl.core.settings import bounded, check_settings

CHUNK = 64
"""Frames that are smoothed by one matrix product."""
FORGOTTEN = 1e-10
"""Weight of the past that a finite filter may put on its last frame."""


@dataclass(frozen=True)
class PcenSettings:
    """Settings of the normalisation: (E / (eps + M)^gain + bias)^power - bias^power of the power E in a band.

    M is E smoothed over the past: M[t] = (1 - s) M[t-1] + s E[t], M[-1] = E[0].
    """

    gain: float = bounded(0.98, 0.0, 1.0)
    """How much of the level is taken out; 1: all."""
    bias: float = bounded(2.0, 0.0, 1000.0)
    """Added before the root, so that weak sound is compressed less."""
    power: float = bounded(0.5, 0.01, 1.0)
    """Exponent of the compression."""
    seconds: float = bounded(0.4, 0.005, 2.0)
    """Time constant of the smoothing."""
    eps: float = bounded(1e-6, 1e-30, 1.0)
    """Added to the smoothed power."""

    def __post_init__(self) -> None:
        check_settings(self, "pcen")

    def smoothing(self, hop_seconds: float) -> float:
        """Return s: the weight of the present frame in the smoothed power.

        The first-order filter that loses half of its power at the frequency 1 / (2 pi seconds), as in librosa.

        Example:
            >>> round(PcenSettings().smoothing(0.01), 4)
            0.0247
        """
        frames = self.seconds / hop_seconds
        return (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)


def smoothed(power: Float[Tensor, "batch bands frames"], weight: float) -> Float[Tensor, "batch bands frames"]:
    """Return M[t] = (1 - s) M[t-1] + s E[t], with M[-1] = E[0], for s = `weight`; later frames change nothing."""
    frames = power.shape[2]
    padded = functional.pad(power, (0, -frames % CHUNK))
    chunks = padded.reshape(*power.shape[:2], -1, CHUNK)
    # on a GPU made there: a recorded step cannot wait for the processor; other devices may have no double precision
    age = torch.arange(CHUNK, dtype=torch.float64, device=power.device if power.is_cuda else None)
    lower = weight * torch.tril((1 - weight) ** (age[:, None] - age).clamp(min=0))
    within = chunks @ lower.T.to(power)
    fading = ((1 - weight) ** (age + 1)).to(power)
    before = [power[:, :, 0]]
    for last in within[:, :, :-1, -1].unbind(2):
        before.append(last + before[-1] * fading[-1])
    found: Tensor = (within + torch.stack(before, dim=2)[..., None] * fading).flatten(2)[:, :, :frames]
    return found


def smoothed_by_filter(
    power: Float[Tensor, "batch bands frames"], weight: float
) -> Float[Tensor, "batch bands frames"]:
    """Return what `smoothed` returns, by a finite filter: an exported graph of any length has no loop."""
    taps = max(2, math.ceil(math.log(FORGOTTEN) / math.log(1 - weight))) if weight < 1 else 2
    age = torch.arange(taps, dtype=torch.float64)
    kernel = weight * (1 - weight) ** age
    kernel[-1] = (1 - weight) ** (taps - 1)  # all that is older
    past = power[:, :, :1].expand(-1, -1, taps - 1)
    rows = torch.cat([past, power], dim=2).flatten(0, 1)[:, None]
    return functional.conv1d(rows, kernel.flip(0).to(power)[None, None])[:, 0].reshape(power.shape)


def compressed(
    log_power: Float[Tensor, "batch bands frames"],
    average: Float[Tensor, "batch bands frames"],
    settings: PcenSettings,
) -> Float[Tensor, "batch bands frames"]:
    """Return the normalised energies of log powers, given the smoothed powers."""
    ratio = torch.exp(log_power - settings.gain * torch.log(average + settings.eps))
    found: Tensor = (ratio + settings.bias).pow(settings.power) - settings.bias**settings.power
    return found
