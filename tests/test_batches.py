from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import TrainingError
from mfcl.views.batches import ClipBatch, batch_indices, epoch_order, length_batches, make_views, whole_clips
from mfcl.views.crops import CropSettings

RATE = 1000


@dataclass
class Memory:
    """A store whose samples say where they come from: recording + place / 10,000."""

    lengths: np.ndarray
    sample_rate: int = RATE

    def gather(self, indices: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        wave = np.zeros((len(indices), counts.max()), dtype=np.float32)
        for row, (index, start, count) in enumerate(zip(indices, starts, counts, strict=True)):
            assert 0 <= start <= start + count <= self.lengths[index]
            wave[row, :count] = 1 + index + np.arange(start, start + count) / 10_000
        return wave


def store(count: int = 12) -> Memory:
    return Memory(np.arange(400, 400 + 37 * count, 37))


def rows(clips: ClipBatch) -> list[np.ndarray]:
    """Each clip at its own length; what lies after it must be zero."""
    lengths = [clips.wave.shape[1]] * len(clips.wave) if clips.lengths is None else clips.lengths.tolist()
    assert all((row[length:] == 0).all() for row, length in zip(clips.wave, lengths, strict=True))
    assert max(lengths) == clips.wave.shape[1]
    return [row[:length].numpy() for row, length in zip(clips.wave, lengths, strict=True)]


def origin(row: np.ndarray) -> tuple[int, int, int]:
    """Return the recording, the first sample and the samples of a clip, and check that it is one piece of it."""
    recording = int(row[0]) - 1
    places = np.rint((row.astype(np.float64) - 1 - recording) * 10_000).astype(int)
    assert np.array_equal(places, np.arange(places[0], places[0] + len(row)))
    return recording, int(places[0]), len(row)


@given(
    count=st.integers(2, 60),
    batch=st.integers(2, 70),
    processes=st.integers(1, 4),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_the_shares_of_the_processes_make_the_batches_of_one(
    count: int, batch: int, processes: int, seed: int, epoch: int
) -> None:
    batch -= batch % processes if batch > processes else 0
    if batch < processes or count < processes or min(batch, count // processes * processes) < 2:
        return
    size = min(batch, count // processes * processes)
    lengths = np.random.default_rng(seed).integers(1, 9, count)
    alone = batch_indices(lengths, size, seed=seed, epoch=epoch)
    shares = [
        batch_indices(lengths, batch, seed=seed, epoch=epoch, rank=rank, processes=processes)
        for rank in range(processes)
    ]
    together = [np.concatenate(parts) for parts in zip(*shares, strict=True)]
    assert len(alone) == count // size >= 1
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    used = np.concatenate(alone)
    assert len(np.unique(used)) == len(used) == count // size * size
    assert set(used) <= set(range(count))


def test_every_epoch_has_an_order_of_its_own() -> None:
    lengths = np.arange(1, 51)
    orders = [epoch_order(lengths, 10, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({order.tobytes() for order in orders}) == 4
    assert all(sorted(order.ravel()) == list(range(50)) for order in orders)
    assert np.array_equal(orders[0], epoch_order(lengths, 10, seed=0, epoch=0))


def test_recordings_of_similar_length_share_a_batch_and_not_always_the_same() -> None:
    lengths = np.random.default_rng(0).permutation(640) + 1
    first, second = (epoch_order(lengths, 32, seed=0, epoch=epoch) for epoch in (0, 1))
    for order in (first, second):
        longest = lengths[order].max(axis=1)
        assert (longest / lengths[order].mean(axis=1)).mean() < 1.5  # at random it is about 2
        assert not (np.sort(longest) == longest).all()  # short batches do not all come first
        assert any((np.diff(lengths[row]) < 0).any() for row in order)  # nor short recordings in a batch
    companions = [{tuple(sorted(row)) for row in order.tolist()} for order in (first, second)]
    assert not companions[0] & companions[1]


@pytest.mark.parametrize(
    ("count", "batch", "processes", "word"),
    [(1, 32, 1, "at least 2"), (0, 32, 1, "at least 2"), (50, 1, 1, "at least 2"), (2, 32, 3, "one for each of 3")],
)
def test_too_few_recordings_for_a_batch_are_refused(count: int, batch: int, processes: int, word: str) -> None:
    with pytest.raises(TrainingError, match=word):
        batch_indices(np.full(count, 9), batch, seed=0, epoch=0, processes=processes)


def test_a_batch_that_processes_cannot_share_is_refused() -> None:
    with pytest.raises(TrainingError, match="use 32"):
        batch_indices(np.full(100, 9), 33, seed=0, epoch=0, processes=2)


@pytest.mark.parametrize("longest", [None, 0.48])
def test_views_are_two_pieces_of_their_recordings(longest: float | None) -> None:
    indices = np.array([7, 2, 11, 0])
    views = make_views(store(), indices, CropSettings(0.4, longest), seed=3, epoch=1)
    assert views.partner is None
    for index, first, second in zip(indices, rows(views.first), rows(views.second), strict=True):
        (one, start, count), (two, other_start, other_count) = origin(first), origin(second)
        assert one == two == index
        assert start + count <= other_start or other_start + other_count <= start  # disjoint


def test_equally_long_crops_carry_no_lengths() -> None:
    same = Memory(np.full(6, 500))
    views = make_views(same, np.arange(6), CropSettings(), seed=0, epoch=0, partners=True)
    assert views.first.lengths is views.second.lengths is views.partner.lengths is None
    assert make_views(store(), np.arange(6), CropSettings(), seed=0, epoch=0).first.lengths is not None


@given(order=st.permutations(range(12)), size=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_recordings_views_and_partner_do_not_depend_on_its_batch(order: list[int], size: int, seed: int) -> None:
    everything = make_views(store(), np.arange(12), CropSettings(0.3, 0.45), seed=seed, epoch=2, partners=True)
    part = make_views(store(), np.array(order[:size]), CropSettings(0.3, 0.45), seed=seed, epoch=2, partners=True)
    for side in ("first", "second", "partner"):
        known = rows(getattr(everything, side))
        for index, row in zip(order, rows(getattr(part, side)), strict=False):
            assert np.array_equal(row, known[index])


@given(lengths=st.lists(st.integers(1, 900), min_size=2, max_size=8).map(np.array), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_partner_is_another_recording_as_long_as_the_second_crop_where_it_lasts(
    lengths: np.ndarray, seed: int
) -> None:
    memory = Memory(lengths)
    views = make_views(memory, np.arange(len(lengths)), CropSettings(), seed=seed, epoch=0, partners=True)
    for index, (mixed, second) in enumerate(zip(rows(views.partner), rows(views.second), strict=True)):
        other, _, count = origin(mixed)
        assert other != index
        assert count == min(len(second), lengths[other])


def test_all_other_recordings_become_partners() -> None:
    memory = Memory(np.full(4, 300))
    drawn = [
        [
            origin(row)[0]
            for row in rows(
                make_views(memory, np.arange(4), CropSettings(), seed=0, epoch=epoch, partners=True).partner
            )
        ]
        for epoch in range(60)
    ]
    for index in range(4):
        times = np.bincount([partners[index] for partners in drawn], minlength=4)
        assert times[index] == 0
        assert np.delete(times, index).min() > 8


def test_a_lone_recording_is_its_own_partner() -> None:
    views = make_views(Memory(np.array([300])), np.array([0]), CropSettings(), seed=0, epoch=0, partners=True)
    assert origin(rows(views.partner)[0])[0] == 0


def test_whole_clips_are_whole() -> None:
    memory, indices = store(), np.array([5, 1, 9])
    assert [origin(row) for row in rows(whole_clips(memory, indices))] == [
        (index, 0, memory.lengths[index]) for index in indices
    ]


def test_long_clips_are_cut_in_the_middle_or_at_a_drawn_place() -> None:
    memory, indices = store(), np.arange(12)
    middle = [origin(row) for row in rows(whole_clips(memory, indices, longest_seconds=0.5))]
    assert [index for index, _, _ in middle] == indices.tolist()
    for (_, start, count), length in zip(middle, memory.lengths, strict=True):
        assert count == min(length, 500)
        assert start == (length - count) // 2
    drawn = [
        [origin(row) for row in rows(whole_clips(memory, indices, longest_seconds=0.5, seed=0, epoch=epoch))]
        for epoch in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(count == min(memory.lengths[index], 500) for index, _, count in drawn[0])


@given(
    lengths=st.lists(st.integers(1, 500), max_size=40).map(lambda some: np.array(some, dtype=np.int64)),
    batch=st.integers(1, 9),
    most=st.integers(1, 3000),
)
@settings(max_examples=25, deadline=None)
def test_length_batches_hold_every_recording_once_within_bounds(lengths: np.ndarray, batch: int, most: int) -> None:
    groups = length_batches(lengths, batch, most_samples=most)
    assert sorted(index for group in groups for index in group.tolist()) == list(range(len(lengths)))
    for group in groups:
        assert 1 <= len(group) <= batch
        assert len(group) == 1 or lengths[group].max() * len(group) <= most
    widest = [lengths[group].max() for group in groups]
    assert widest == sorted(widest)


def test_length_batches_fill_up() -> None:
    assert [len(group) for group in length_batches(np.full(10, 3), 4)] == [4, 4, 2]
