"""Soft alignment against a loop over all paths, its gradient against differences, and landmarks that learn by it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from mfcl.models.landmarks import dtw
from mfcl.models.soft_alignment import soft_dtw

COUNTS = st.lists(st.integers(1, 7), min_size=1, max_size=3)


def frames(counts: list[int], *, seed: int, more: int = 0) -> tuple[Tensor, Tensor]:
    """Unit frames of clips, zero after each clip's end, and their numbers."""
    lengths = torch.tensor(counts)
    drawn = torch.randn(len(counts), max(counts) + more, 4, generator=torch.Generator().manual_seed(seed))
    inside = torch.arange(drawn.shape[1]) < lengths[:, None]
    return functional.normalize(drawn, dim=2) * inside[:, :, None], lengths


def by_loop(one: np.ndarray, other: np.ndarray, smoothing: float) -> float:
    """The soft minimum over all paths, a cell after another, over the frames of both."""
    table = np.full((len(one) + 1, len(other) + 1), np.inf)
    table[0, 0] = 0
    for row, column in np.ndindex(len(one), len(other)):
        ways = [table[row, column + 1], table[row + 1, column], table[row, column]]
        soft = -smoothing * math.log(sum(math.exp(-way / smoothing) for way in ways))
        table[row + 1, column + 1] = soft + 1 - float(one[row] @ other[column])
    return table[-1, -1] / (len(one) + len(other))


@settings(deadline=None, max_examples=25)
@given(clips=COUNTS, marks=COUNTS, more=st.integers(0, 3), smoothing=st.sampled_from([0.02, 0.1, 1.0]))
def test_it_is_the_soft_minimum_over_all_paths(clips: list[int], marks: list[int], more: int, smoothing: float) -> None:
    (own, lengths), (others, ends) = frames(clips, seed=0, more=more), frames(marks, seed=1)
    found = soft_dtw(own, lengths, others, ends, smoothing=smoothing)
    wanted = [
        [by_loop(one[:count].numpy(), other[:end].numpy(), smoothing) for other, end in zip(others, ends, strict=True)]
        for one, count in zip(own, lengths, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert bool((found <= dtw(own, lengths, others, ends) + 1e-6).all())


def test_it_nears_the_cheapest_path_as_smoothing_nears_0() -> None:
    (own, lengths), (others, ends) = frames([5, 9, 1], seed=2), frames([4, 8], seed=3)
    apart = [
        float((soft_dtw(own, lengths, others, ends, smoothing=smoothing) - dtw(own, lengths, others, ends)).abs().max())
        for smoothing in (1.0, 0.1, 1e-3)
    ]
    assert apart[0] > apart[1] > apart[2]
    assert apart[2] < 1e-3


@pytest.mark.parametrize(("clips", "marks"), [([1], [1]), ([3, 5], [4, 2]), ([6], [1, 3])])
def test_its_gradient_is_that_of_differences(clips: list[int], marks: list[int]) -> None:
    (own, lengths), (others, ends) = frames(clips, seed=4), frames(marks, seed=5)
    own, others = own.double().requires_grad_(), others.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: soft_dtw(a, lengths, b, ends, smoothing=0.2), (own, others))
