import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import RecipeError
from mfcl.models.encoders.base import Frames
from mfcl.models.pooling import POOLINGS, Pooling, halves, segment_weights


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(name: str, features: int) -> Pooling:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Pooling(name, features)


@pytest.mark.parametrize("name", sorted(POOLINGS))
@settings(deadline=None, max_examples=15)
@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=5), more=st.integers(0, 5))
def test_a_clip_alone_is_pooled_as_in_a_padded_batch(name: str, counts: list[int], more: int) -> None:
    pooling = make(name, 7)
    batch = torch.zeros(len(counts), max(counts) + more, 7)
    for row, count in enumerate(counts):
        batch[row, :count] = values(count, 7, seed=row) - 1  # mostly negative: a zero of padding would be the maximum
    together = pooling(Frames(batch, torch.tensor(counts)))
    assert together.shape == (len(counts), pooling.dim)
    for row, count in enumerate(counts):
        alone = pooling(Frames(batch[row : row + 1, :count], None))
        assert torch.allclose(together[row], alone[0], atol=1e-5)


def test_each_pooling_is_its_formula() -> None:
    x = values(2, 9, 5)
    frames = Frames(x, None)
    assert torch.allclose(make("mean", 5)(frames), x.mean(1))
    assert torch.allclose(make("mean_max", 5)(frames), torch.cat([x.mean(1), x.max(1).values], 1))
    thirds = [x[:, :3].mean(1), x[:, 3:6].mean(1), x[:, 6:].mean(1)]
    assert torch.allclose(make("thirds_max", 5)(frames), torch.cat([*thirds, x.max(1).values], 1), atol=1e-6)
    wanted = torch.cat([x.mean(1), x.std(1, correction=0)], 1)
    assert torch.allclose(make("statistics", 5)(frames), wanted, atol=1e-5)
    panns = make("panns", 5)
    assert torch.allclose(panns(frames), panns.fc1(x.max(1).values + x.mean(1)).relu())


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 6))
def test_every_segment_has_weight_one_and_every_frame_counts_alike(count: int, segments: int) -> None:
    weights = segment_weights(Frames(torch.zeros(1, count + 2, 1), torch.tensor([count])), segments)[0]
    assert torch.allclose(weights.sum(1), torch.ones(segments), atol=1e-5)
    assert torch.allclose(weights.sum(0)[:count], torch.full((count,), segments / count), atol=1e-5)
    assert not weights[:, count:].any()


def test_four_frames_share_the_borders_of_thirds() -> None:
    weights = segment_weights(Frames(torch.zeros(1, 4, 1), None), 3)[0] * 4 / 3
    third = 1 / 3
    wanted = torch.tensor([[1, third, 0, 0], [0, 2 * third, 2 * third, 0], [0, 0, third, 1]])
    assert torch.allclose(weights, wanted, atol=1e-6)


def test_course_holds_standardised_fifths_then_the_maximum() -> None:
    x = 3 + 5 * values(2, 15, 4)  # a variance beside which the least one is small
    standard = (x - x.mean(1, keepdim=True)) / x.std(1, correction=0, keepdim=True)
    fifths = [part.mean(1) for part in standard.split(3, dim=1)]
    pooled = make("course", 4)(Frames(x, None))
    assert torch.allclose(pooled, torch.cat([*fifths, x.amax(1)], 1), atol=2e-3)
    louder = make("course", 4)(Frames(10 * x + 7, None))  # level and range of a feature are in its maximum alone
    assert torch.allclose(louder[:, :20], pooled[:, :20], atol=2e-3)
    backwards = make("course", 4)(Frames(x.flip(1), None))
    assert torch.allclose(backwards[:, :20].reshape(2, 5, 4).flip(1).flatten(1), pooled[:, :20], atol=1e-5)
    assert not torch.allclose(backwards[:, :20], pooled[:, :20], atol=0.1)
    still = make("course", 4)(Frames(torch.full((1, 6, 4), 2.0), None))
    assert still.tolist() == [[0.0] * 20 + [2.0] * 4]


@pytest.mark.parametrize("name", sorted(POOLINGS))
def test_gradients_are_finite_where_nothing_moves(name: str) -> None:
    x = torch.ones(2, 4, 3, requires_grad=True)
    make(name, 3)(Frames(x, torch.tensor([4, 1]))).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_bf16_around_it_does_not_reach_the_pooling() -> None:
    x = values(2, 9, 5)
    with torch.autocast("cpu", torch.bfloat16):
        inside = make("thirds_max", 5)(Frames(x, None))
    assert inside.dtype == torch.float32
    assert torch.equal(inside, make("thirds_max", 5)(Frames(x, None)))


def test_an_unknown_pooling_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"no pooling is called 'maen'.*did you mean 'mean'"):
        Pooling("maen", 4)


@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4), more=st.integers(0, 3))
def test_halves_share_no_frame_and_leave_none_out(lengths: list[int], more: int) -> None:
    values = torch.zeros(len(lengths), max(lengths) + more, 2)
    for row, length in enumerate(lengths):
        values[row, :length] = torch.arange(1, length + 1)[:, None] + 100 * row
    early, late = halves(Frames(values, torch.tensor(lengths)))
    for row, length in enumerate(lengths):
        before, after = (part.values[row, : part.lengths[row], 0].tolist() for part in (early, late))
        own = values[row, :length, 0].tolist()
        assert before + after == own if length > 1 else before == after == own
        assert length == 1 or 0 <= len(after) - len(before) <= 1
        assert all(not part.values[row, part.lengths[row] :].any() for part in (early, late))


@pytest.mark.parametrize("side", ["first", "second"])
def test_a_half_pooled_is_that_half_and_its_gradient(side: str) -> None:
    values, lengths = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([7, 2, 5])
    values = values * (torch.arange(7) < lengths[:, None])[:, :, None]
    gradients = []
    for alone in (False, True):
        given = values.clone().requires_grad_()
        frames = Frames(given, lengths)
        pooling = Pooling("statistics", 4)
        pooled = pooling(frames, side) if alone else pooling(halves(frames)[side == "second"])
        pooled.square().sum().backward()
        gradients.append((pooled, given.grad))
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert torch.equal(gradients[0][1], gradients[1][1])
