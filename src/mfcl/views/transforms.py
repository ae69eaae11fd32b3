"""What can be done to a batch of sounds, each clip with numbers of its own; nothing here is random.

Every effect works on all clips at once and on any device, and gives a clip the same result (to rounding) in any batch
and at any padding.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

NATURAL_PER_DB = math.log(10) / 10


def shifted(
    wave: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"], by: Int64[Tensor, " batch"]
) -> Float[Tensor, "batch samples"]:
    """Move each clip `by` samples later (earlier if negative) within its own length; zeros come in."""
    source = _places(wave) - by[:, None]
    inside = (source >= 0) & (source < lengths[:, None]) & (_places(wave) < lengths[:, None])
    return wave.gather(1, source.clamp(0, wave.shape[1] - 1)) * inside


def faded(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"],
    fade_in: Int64[Tensor, " batch"],
    fade_out: Int64[Tensor, " batch"],
) -> Float[Tensor, "batch samples"]:
    """Let each clip rise from its start and fall to its end, linearly in amplitude, in so many samples."""
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
    """Make each clip louder by so many dB."""
    return wave * 10 ** (gain_db[:, None] / 20)


def noisy(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"],
    snr_db: Float[Tensor, " batch"],
    keys: Int64[Tensor, " batch"],
) -> Float[Tensor, "batch samples"]:
    """Add white noise to each clip, exactly `snr_db` below it; a silent clip stays silent.

    Args:
        wave: Clips, zeros after their ends.
        lengths: Samples of each.
        snr_db: Energy of the clip over energy of its noise, both over the whole clip.
        keys: What the noise of each is made from; see `white_noise`.
    """
    noise = white_noise(keys, wave.shape[1]) * (_places(wave) < lengths[:, None])
    # summed in double precision where there is one, so that zeros after the end do not move the last digit
    precise = torch.float32 if wave.device.type == "mps" else torch.float64
    energy, noise_energy = (x.to(precise).square().sum(dim=1) for x in (wave, noise))
    scale = (energy / noise_energy.clamp(min=1e-12)).sqrt() * 10 ** (-snr_db / 20)
    return wave + scale.to(wave.dtype)[:, None] * noise


def white_noise(keys: Int64[Tensor, " batch"], samples: int) -> Float[Tensor, "batch {samples}"]:
    """Return white noise of deviation 1 that is a function of the key and the sample's number alone.

    Each sample is the sum of four even draws of 16 bits: near enough to a normal one (its peaks stay below 3.5) at a
    quarter of the cost, in whole numbers, so the same on every device.

    Source: SplitMix64 as a counter-based generator, as in `mfcl.core.random`.
    """
    words = keys[:, None] + torch.arange(1, samples + 1, device=keys.device) * -0x61C8864680B583EB
    for right, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        # torch shifts the sign in from the left; the mask takes it out again
        words = (words ^ ((words >> right) & ((1 << (64 - right)) - 1))) * factor
    words = words ^ ((words >> 31) & ((1 << 33) - 1))
    parts = words.contiguous().view(torch.int16).view(*words.shape, 4)
    total = parts[..., 0].float() + parts[..., 1] + parts[..., 2] + parts[..., 3]
    return (total + 2.0) / (2.0**16 / math.sqrt(3))  # each part: mean -1/2, variance 2**32 / 12


def mixed(
    mel: Float[Tensor, "batch bands frames"],
    partner: Float[Tensor, "batch bands other_frames"],
    partner_lengths: Int64[Tensor, " batch"],
    ratio: Float[Tensor, " batch"],
) -> Float[Tensor, "batch bands frames"]:
    """Mix another sound into each: log((1 - ratio) exp(mel) + ratio exp(partner)), powers added as sounds add.

    A partner that is shorter is repeated.

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
    """Cut a window out of each log-mel and stretch it to the log-mel's own size, linearly interpolated.

    Where the window reaches beyond the picture it shows `fill`.

    Args:
        mel: Log-mels.
        lengths: Frames of each.
        fill: What to show outside, for each band of the result.
        band_start: Lower edge of the window in bands; may be negative.
        band_scale: Height of the window as a share of the bands; above 1 the picture shrinks.
        frame_start: Left edge in frames.
        frame_scale: Width as a share of the frames.

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
    """Change the level of each clip over its time, linearly in dB, from `head_db` at its first frame to `tail_db`.

    Source: Niizumi et al., "BYOL for audio: exploring pre-trained general-purpose audio representations",
        arXiv:2204.07402 (random linear fader): a slope added to the logarithm.
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
    """Hide some bands and some frames of each log-mel, each given by starts and counts, behind `fill`.

    Source: Park et al., "SpecAugment", arXiv:1904.08779.
    """
    rows = _between(torch.arange(mel.shape[1], device=mel.device), *bands)
    columns = _between(_places(mel), *frames)
    return torch.where(rows[:, :, None] | columns[:, None, :], fill[:, None], mel)


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
    """Return where each place of the result lies in the source, and whether that is inside it.

    Places are middles of cells of width 1: place 0 reaches from -0.5 to 0.5.
    """
    source = start[:, None] + (place + 0.5) * scale[:, None] - 0.5
    return source, (source >= -0.5) & (source <= lengths[:, None] - 0.5)


def _interpolated(
    picture: Float[Tensor, "batch lines places"],
    source: Float[Tensor, "batch places"],
    lengths: Int64[Tensor, " batch"],
) -> Float[Tensor, "batch lines places"]:
    last = (lengths - 1)[:, None]
    source = torch.minimum(source.clamp(min=0), last.to(source.dtype))
    before = source.long()
    after = torch.minimum(before + 1, last)
    sides = [picture.gather(2, place[:, None, :].expand(picture.shape)) for place in (before, after)]
    return torch.lerp(sides[0], sides[1], (source - before)[:, None, :])
