"""Deterministic effects on a batch of waveforms or log-mels, with parameters for each clip.

Each runs on any device. A clip's result is the same (to rounding) in any batch and with any padding.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from scipy.fft import next_fast_len
from torch import Tensor

NATURAL_PER_DB = math.log(10) / 10
"""Natural logarithm of the power ratio of 1 dB."""
NOISE_AT_ONCE = 1 << 17
"""Samples of noise that are made at once on a processor."""


def shifted(
    wave: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"], by: Int64[Tensor, " batch"]
) -> Float[Tensor, "batch samples"]:
    """Shift each clip `by` samples later (earlier if negative) within its own length; the gap is zero."""
    source = _places(wave) - by[:, None]
    inside = (source >= 0) & (source < lengths[:, None]) & (_places(wave) < lengths[:, None])
    return wave.gather(1, source.clamp(0, wave.shape[1] - 1)) * inside


def sped(
    wave: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"], factor: Float[Tensor, " batch"]
) -> Float[Tensor, "batch samples"]:
    """Play each clip `factor` times as fast, around its middle, within its own length.

    A faster clip ends in zeros on both sides, a slower one loses both ends. Samples are interpolated linearly.

    Source: Ko et al., "Audio augmentation for speech recognition", Interspeech 2015 (speed perturbation).
    """
    middle = (lengths[:, None] - 1) / 2
    source = middle + (_places(wave) - middle) * factor[:, None]  # float32 is exact to 1/8 sample up to a minute
    inside = (source >= 0) & (source <= lengths[:, None] - 1) & (_places(wave) < lengths[:, None])
    return _interpolated(wave[:, None], source, lengths)[:, 0] * inside


def faded(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"],
    fade_in: Int64[Tensor, " batch"],
    fade_out: Int64[Tensor, " batch"],
) -> Float[Tensor, "batch samples"]:
    """Fade each clip in and out, linearly in amplitude, over so many samples."""
    place = _places(wave)
    rise = (place + 1) / (fade_in[:, None] + 1)
    fall = (lengths[:, None] - place) / (fade_out[:, None] + 1)
    return wave * torch.minimum(rise, fall).clamp(0, 1)


def silenced(
    wave: Float[Tensor, "batch samples"], starts: Int64[Tensor, " batch"], counts: Int64[Tensor, " batch"]
) -> Float[Tensor, "batch samples"]:
    """Set `counts` samples of each clip, from `starts`, to zero."""
    return wave.masked_fill(_between(_places(wave), starts, counts), 0.0)


def amplified(wave: Float[Tensor, "batch samples"], gain_db: Float[Tensor, " batch"]) -> Float[Tensor, "batch samples"]:
    """Apply a gain in dB to each clip."""
    return wave * 10 ** (gain_db[:, None] / 20)


def noisy(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"],
    snr_db: Float[Tensor, " batch"],
    keys: Int64[Tensor, " batch"],
    responses: Float[Tensor, "batch taps"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """Add noise to each clip at exactly `snr_db`; a silent clip stays silent.

    Args:
        wave: Waveforms, zeros after each clip's end.
        lengths: Samples of each clip.
        snr_db: Signal-to-noise ratio, both energies over the whole clip.
        keys: Random key of each clip's noise; see `white_noise`.
        responses: Impulse responses that colour the noise; None: it is white.
    """
    noise = white_noise(keys, wave.shape[1])
    if responses is not None:
        noise = _convolution(noise, responses)
    noise = noise * (_places(wave) < lengths[:, None])
    scale = (_energy(wave) / _energy(noise).clamp(min=1e-12)).sqrt() * 10 ** (-snr_db / 20)
    return wave + scale.to(wave.dtype)[:, None] * noise


def convolved(
    wave: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"], responses: Float[Tensor, "batch taps"]
) -> Float[Tensor, "batch samples"]:
    """Convolve each clip with an impulse response of its own, as a microphone or a room does; its energy stays.

    A clip keeps its length: what the response adds after its end is left out.
    """
    changed = _convolution(wave, responses) * (_places(wave) < lengths[:, None])
    energy = _energy(changed)
    scale = (_energy(wave) / energy.clamp(min=torch.finfo(energy.dtype).tiny)).sqrt()
    return changed * scale.to(wave.dtype)[:, None]


def white_noise(keys: Int64[Tensor, " batch"], samples: int) -> Float[Tensor, "batch {samples}"]:
    """Return white noise of standard deviation 1; a sample depends on its key and its index only.

    Each sample is the sum of four uniform 16-bit integers: close to normal (peaks stay below 3.5), at a quarter of the
    cost, and the same on every device.

    Source: SplitMix64 as a counter-based generator, as in `mfcl.core.random`.
    """
    noise = torch.empty(len(keys), samples, device=keys.device)
    # on a processor in blocks that stay in the cache; a GPU has to be asked once for all
    rows = max(1, NOISE_AT_ONCE // max(samples, 1)) if keys.is_cpu else max(1, len(keys))
    for some, out in zip(torch.split(keys, rows), torch.split(noise, rows), strict=True):
        _write_white_noise(some, out)
    return noise


def _write_white_noise(keys: Int64[Tensor, " some"], out: Float[Tensor, "some samples"]) -> None:
    """Fill a block of `white_noise`, in place: new arrays of eight bytes a sample would take most of the time."""
    words = torch.empty(out.shape, dtype=torch.int64, device=keys.device)
    torch.add(keys[:, None], torch.arange(1, out.shape[1] + 1, device=keys.device) * -0x61C8864680B583EB, out=words)
    for right, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        # torch's >> copies the sign bit; the mask makes it a logical shift
        words.bitwise_xor_((words >> right).bitwise_and_((1 << (64 - right)) - 1)).mul_(factor)
    words.bitwise_xor_((words >> 31).bitwise_and_((1 << 33) - 1))
    draws = words.view(torch.int16).view(*words.shape, 4)
    torch.add(draws[..., 0].float(), draws[..., 1], out=out).add_(draws[..., 2]).add_(draws[..., 3])
    out.add_(2.0).div_(2.0**16 / math.sqrt(3))  # each draw: mean -1/2, variance 2**32 / 12


def mixed(
    mel: Float[Tensor, "batch bands frames"],
    partner: Float[Tensor, "batch bands other_frames"],
    partner_lengths: Int64[Tensor, " batch"],
    ratio: Float[Tensor, " batch"],
) -> Float[Tensor, "batch bands frames"]:
    """Mix another sound into each log-mel, adding powers: log((1 - ratio) exp(mel) + ratio exp(partner)).

    A shorter partner is repeated.

    Source: Niizumi et al., "BYOL for audio", arXiv:2103.06695, section III-C, equation 2.
    """
    frames = _places(mel) % partner_lengths[:, None]
    partner = partner.gather(2, frames[:, None, :].expand(mel.shape))
    share = ratio[:, None, None]
    return torch.logaddexp(mel + torch.log1p(-share), partner + share.log())


def resized(
    mel: Float[Tensor, "batch bands frames"],
    lengths: Int64[Tensor, " batch"],
    fill: Float[Tensor, " bands"],
    *,
    band_start: Float[Tensor, " batch"],
    band_scale: Float[Tensor, " batch"],
    frame_start: Float[Tensor, " batch"],
    frame_scale: Float[Tensor, " batch"],
) -> Float[Tensor, "batch bands frames"]:
    """Cut a window out of each log-mel and stretch it to full size by linear interpolation.

    Args:
        mel: Log-mels.
        lengths: Frames of each clip.
        fill: Value of each band where the window reaches beyond the spectrogram.
        band_start: Lower edge of the window, in bands; may be negative.
        band_scale: Height of the window as a share of the bands; above 1 the spectrogram shrinks.
        frame_start: Left edge of the window, in frames; may be negative.
        frame_scale: Width of the window as a share of the frames.

    Source: Niizumi et al., arXiv:2103.06695, section III-D (random resize crop); they interpolate cubically.
    """
    bands = torch.full_like(lengths, mel.shape[1])
    rows, rows_inside = _window(torch.arange(mel.shape[1], device=mel.device), bands, band_start, band_scale)
    columns, columns_inside = _window(_places(mel), lengths, frame_start, frame_scale)
    mel = _interpolated(mel.transpose(1, 2), rows, bands).transpose(1, 2)
    mel = _interpolated(mel, columns, lengths)
    inside = rows_inside[:, :, None] & columns_inside[:, None, :]
    return torch.where(inside, mel, fill[:, None])


def tilted(
    mel: Float[Tensor, "batch bands frames"],
    lengths: Int64[Tensor, " batch"],
    head_db: Float[Tensor, " batch"],
    tail_db: Float[Tensor, " batch"],
) -> Float[Tensor, "batch bands frames"]:
    """Apply a gain to each clip that changes linearly in dB, from `head_db` at its first frame to `tail_db`.

    Source: Niizumi et al., "BYOL for audio: exploring pre-trained general-purpose audio representations",
        arXiv:2204.07402 (random linear fader).
    """
    along = (_places(mel) / (lengths[:, None] - 1).clamp(min=1)).clamp(max=1)  # (batch, frames), 0 to 1
    level_db = head_db[:, None] + (tail_db - head_db)[:, None] * along
    return mel + (level_db * NATURAL_PER_DB)[:, None, :]


def hidden(
    mel: Float[Tensor, "batch bands frames"],
    fill: Float[Tensor, " bands"],
    *,
    bands: tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]],
    frames: tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]],
) -> Float[Tensor, "batch bands frames"]:
    """Mask some bands and some frames of each log-mel with `fill`; both ranges are (starts, counts).

    Source: Park et al., "SpecAugment", arXiv:1904.08779.
    """
    rows = _between(torch.arange(mel.shape[1], device=mel.device), *bands)
    columns = _between(_places(mel), *frames)
    return torch.where(rows[:, :, None] | columns[:, None, :], fill[:, None], mel)


def _convolution(
    wave: Float[Tensor, "batch samples"], responses: Float[Tensor, "batch taps"]
) -> Float[Tensor, "batch samples"]:
    if not len(wave):
        return wave  # some Fourier transforms refuse to do nothing
    samples = wave.shape[1]
    kept = responses[:, :samples]
    size = next_fast_len(samples + kept.shape[1] - 1, real=True)  # so long that the end does not wrap to the beginning
    product = torch.fft.rfft(wave, n=size) * torch.fft.rfft(kept, n=size)
    convolution: Tensor = torch.fft.irfft(product, n=size)[:, :samples]
    return convolution


def _energy(wave: Float[Tensor, "batch samples"]) -> Float[Tensor, " batch"]:
    # double precision (MPS has none), so that the amount of padding does not change the rounding
    return wave.to(torch.float32 if wave.device.type == "mps" else torch.float64).square().sum(dim=1)


def _places(clips: Float[Tensor, "*shape"]) -> Int64[Tensor, " places"]:
    return torch.arange(clips.shape[-1], device=clips.device)


def _between(
    place: Int64[Tensor, " places"], starts: Int64[Tensor, " batch"], counts: Int64[Tensor, " batch"]
) -> Bool[Tensor, "batch places"]:
    return (place >= starts[:, None]) & (place < (starts + counts)[:, None])


def _window(
    place: Int64[Tensor, " places"],
    lengths: Int64[Tensor, " batch"],
    start: Float[Tensor, " batch"],
    scale: Float[Tensor, " batch"],
) -> tuple[Float[Tensor, "batch places"], Bool[Tensor, "batch places"]]:
    """Return the source position of each output position, and whether it is inside the source.

    Positions are centres of cells of width 1: cell 0 spans -0.5 to 0.5.
    """
    source = start[:, None] + (place + 0.5) * scale[:, None] - 0.5
    return source, (source >= -0.5) & (source <= lengths[:, None] - 0.5)


def _interpolated(
    grid: Float[Tensor, "batch lines places"],
    source: Float[Tensor, "batch places"],
    lengths: Int64[Tensor, " batch"],
) -> Float[Tensor, "batch lines places"]:
    last = (lengths - 1)[:, None]
    source = torch.minimum(source.clamp(min=0), last.to(source.dtype))
    before = source.long()
    after = torch.minimum(before + 1, last)
    sides = [grid.gather(2, place[:, None, :].expand(grid.shape)) for place in (before, after)]
    return torch.lerp(sides[0], sides[1], (source - before)[:, None, :])
