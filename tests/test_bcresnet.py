"""BC-ResNet against its paper: sizes, shapes, the sub-spectral norm and a block, written as loops."""

import pytest
import torch
from torch.nn import functional

from mfcl.models.encoders.bcresnet import BcResNet, BroadcastBlock, SubSpectralNorm

CLASSES = 12
"""Of the paper's task: ten words, other words and silence."""


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("width", "thousands"), [(1.0, 9.2), (2.0, 27.3), (3.0, 54.2), (6.0, 188.0), (8.0, 321.0)])
def test_it_has_as_many_weights_as_the_paper_says(width: float, thousands: float) -> None:
    encoder = BcResNet(40, width=width)
    own = sum(weight.numel() for weight in encoder.parameters())
    assert (own + (encoder.features + 1) * CLASSES) / 1000 == pytest.approx(thousands, rel=0.005)


@pytest.mark.parametrize("bands", [8, 20, 40, 64, 80])
@pytest.mark.parametrize("frames", [1, 5, 101])
def test_any_number_of_bands_gives_a_frame_for_every_frame(bands: int, frames: int) -> None:
    found = BcResNet(bands, width=0.5).eval()(noise(2, bands, frames))
    assert found.values.shape == (2, frames, 16)
    assert found.lengths is None
    assert torch.isfinite(found.values).all()


def test_a_norm_by_sub_band_is_the_norm_of_every_piece_of_every_channel() -> None:
    norm, grid = SubSpectralNorm(3, 10, "batch").train(), 2 * noise(4, 3, 10, 6) + 1
    found = norm(grid)
    for channel in range(3):
        for piece in range(5):
            own = grid[:, channel, 2 * piece : 2 * piece + 2]
            expected = (own - own.mean()) / (own.var(unbiased=False) + 1e-5).sqrt()
            torch.testing.assert_close(found[:, channel, 2 * piece : 2 * piece + 2], expected, rtol=1e-4, atol=1e-5)


def test_bands_that_five_pieces_cannot_share_are_one_piece() -> None:
    assert [SubSpectralNorm(2, bands, "batch").pieces for bands in (5, 10, 12, 1)] == [5, 5, 1, 1]


@pytest.mark.parametrize("first", [None, (2, 2)])
def test_a_block_adds_a_function_of_time_to_all_bands(first: tuple[int, int] | None) -> None:
    channels, bands, frames, dilation = 4, 5, 9, 2
    block = BroadcastBlock(channels, bands, dilation, "batch", first=first).eval()
    for weight in block.parameters():
        torch.nn.init.uniform_(weight, -1, 1)
    given = noise(1, channels if first is None else first[0], bands if first is None else 2 * bands, frames)
    with torch.no_grad():
        found = block(given, None)
        grid = given if first is None else functional.relu(block.change[1](block.change[0](given)))
        stride = 1 if first is None else 2
        over = torch.zeros(1, channels, bands, frames)
        for channel in range(channels):
            for band in range(bands):
                for near in (-1, 0, 1):
                    place = stride * band + near
                    if 0 <= place < grid.shape[2]:
                        over[0, channel, band] += (
                            block.over_bands.weight[channel, 0, near + 1, 0] * grid[0, channel, place]
                        )
        over = block.by_band(over)
        mean, line = over.mean(dim=2), torch.zeros(1, channels, 1, frames)
        for channel in range(channels):
            for frame in range(frames):
                for near in (-1, 0, 1):
                    place = frame + dilation * near
                    if 0 <= place < frames:
                        line[0, channel, 0, frame] += (
                            block.over_frames.weight[channel, 0, 0, near + 1] * mean[0, channel, place]
                        )
        line = functional.silu(block.norm(line))
        mixed = torch.einsum("oc,bcft->boft", block.mixing.weight[:, :, 0, 0], line)
        expected = over + mixed + (given if first is None else 0)
    torch.testing.assert_close(found, functional.relu(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing_and_is_zero(training: bool) -> None:
    encoder = BcResNet(40, width=0.5).train(training).double()  # in float32 sums differ by the processor's kernels
    clips = [noise(1, 40, frames, seed=frames).double() for frames in (7, 30, 55)]
    lengths = torch.tensor([7, 30, 55])
    batches = [torch.cat([functional.pad(clip, (0, wide - clip.shape[2])) for clip in clips]) for wide in (55, 90)]
    with torch.no_grad():
        narrow, wide = (encoder(batch, lengths) for batch in batches)
        assert narrow.lengths is not None
        assert narrow.lengths.tolist() == [7, 30, 55]
        torch.testing.assert_close(wide.values[:, :55], narrow.values, rtol=1e-9, atol=1e-9)
        assert not wide.values[:, 55:].any()
        if not training:
            for clip, own, count in zip(clips, narrow.values, lengths.tolist(), strict=True):
                torch.testing.assert_close(encoder(clip).values[0], own[:count], rtol=1e-9, atol=1e-9)
                assert not own[count:].any()
