"""Random impulse responses of microphones and rooms, to be convolved with clips (`transforms.convolved`)."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.views.transforms import white_noise

OCTAVES = 8
"""Octaves below half of the sample rate in which a channel's gain changes; below them it is constant."""
TAPS = 1024
"""Length of a channel's response in samples: enough for gains that change within the lowest octave."""


def channel_responses(gains_db: Float[Tensor, "batch 9"], *, taps: int = TAPS) -> Float[Tensor, "batch {taps}"]:
    """Return the minimum-phase response of a channel with the given gains, such as a microphone or a telephone.

    Between the frequencies of the gains, an octave apart, the gain in dB is linear over the logarithm of frequency.

    Args:
        gains_db: Gain at 1/256, 1/128, ... 1/2 and 1 of half of the sample rate.
        taps: Samples of the response; even.

    Source: Nam, Kim and Park, "FilterAugment", arXiv:2110.03282, for the random gains (type linear); Oppenheim and
        Schafer, "Discrete-time signal processing", for the minimum phase by folding the cepstrum.
    """
    half = taps // 2
    steps = torch.arange(half + 1, device=gains_db.device).clamp(min=1)
    place = (OCTAVES + torch.log2(steps / half)).clamp(min=0.0)  # 0 at the lowest gain, 8 at the highest
    below = place.long().clamp(max=OCTAVES - 1)
    level_db = torch.lerp(gains_db[:, below], gains_db[:, below + 1], (place - below).to(gains_db.dtype))
    cepstrum = torch.fft.irfft(level_db * (math.log(10) / 20) + 0j, n=taps)
    folded = torch.cat([cepstrum[:, :1], 2 * cepstrum[:, 1:half], cepstrum[:, half : half + 1]], dim=1)
    response: Tensor = torch.fft.irfft(torch.exp(torch.fft.rfft(folded, n=taps)), n=taps)
    return response


def room_responses(
    keys: Int64[Tensor, " batch"],
    sample_rate: int,
    samples: int,
    *,
    seconds: Float[Tensor, " batch"],
    ratio_db: Float[Tensor, " batch"],
    gap_seconds: Float[Tensor, " batch"],
) -> Float[Tensor, "batch {samples}"]:
    """Return the beginning of a room's response: a direct sound of 1, a gap, and noise that decays exponentially.

    A sample depends on the room and its index, not on how many are asked for.

    Args:
        keys: Random key of each room's noise; see `white_noise`.
        sample_rate: In Hz.
        samples: Samples of the response.
        seconds: Reverberation time: the decay's energy falls by 60 dB in it.
        ratio_db: Energy of the direct sound over the expected energy of the whole decay, in dB.
        gap_seconds: Time from the direct sound to the decay, one sample at least.

    Source: Polack's statistical model of late reverberation, "La transmission de l'énergie sonore dans les salles",
        1988, simplified as in Habets, "Experimental results of a multi-channel speech dereverberation algorithm based
        on a statistical model of late reverberation", 2005, section 2.
    """
    place = torch.arange(samples, device=keys.device)
    start = (gap_seconds * sample_rate).round().clamp(min=1)[:, None]
    fall = 6 * math.log(10) / (seconds * sample_rate)[:, None]  # of the energy's natural logarithm, per sample
    # the energies exp(-fall m) of all m from 0 sum to 1 / (1 - exp(-fall))
    first = (-torch.expm1(-fall)).sqrt() * 10 ** (-ratio_db / 20)[:, None]
    decay = first * torch.exp(-fall / 2 * (place - start).clamp(min=0)) * (place >= start)
    response = decay * white_noise(keys, samples)
    response[:, 0] = 1.0
    return response
