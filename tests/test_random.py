import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.core.random import generator, uniforms
from mfcl.errors import MfclError


@settings(max_examples=25, deadline=None)
@given(
    recordings=st.lists(st.integers(0, 2**40), min_size=1, max_size=20, unique=True),
    count=st.integers(1, 9),
    seed=st.integers(0, 2**62),
    epoch=st.integers(0, 10_000),
)
def test_draws_depend_on_the_recording_alone(recordings: list[int], count: int, seed: int, epoch: int) -> None:
    together = uniforms(seed, "crop", epoch, np.array(recordings, dtype=np.int64), count)
    for row, recording in zip(together, recordings, strict=True):
        alone = uniforms(seed, "crop", epoch, np.array([recording], dtype=np.int64), count + 3)
        np.testing.assert_array_equal(alone[0, :count], row)
    assert ((together > 0) & (together < 1)).all()


def test_seed_stream_epoch_and_recording_each_change_the_draws() -> None:
    items = np.arange(4, dtype=np.int64)
    base = uniforms(1, "crop", 2, items, 3)
    for other in (uniforms(2, "crop", 2, items, 3), uniforms(1, "gain", 2, items, 3), uniforms(1, "crop", 3, items, 3)):
        assert not np.isclose(base, other).any()
    assert len(np.unique(base)) == base.size


def test_draws_are_uniform_and_neither_neighbours_nor_epochs_are_correlated() -> None:
    items = np.arange(20_000, dtype=np.int64)
    first, second = uniforms(0, "crop", 0, items, 2), uniforms(0, "crop", 1, items, 2)
    counts, _ = np.histogram(first, bins=20, range=(0, 1))
    assert np.square(counts - 2000).sum() / 2000 < 50  # chi-square, 19 degrees of freedom: 1 in 10,000
    for a, b in ((first[:-1, 0], first[1:, 0]), (first[:, 0], first[:, 1]), (first[:, 0], second[:, 0])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_generators_of_other_streams_differ() -> None:
    draws = {float(generator(*key).random()) for key in ((0, "a"), (1, "a"), (0, "b"), (0, "a", 1))}
    assert len(draws) == 4


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_some_library_would_not_take_is_refused(seed: int) -> None:
    with pytest.raises(MfclError, match="seed: wanted a whole number from 0 to 4294967295"):
        generator(seed, "split")
