from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mfcl.data.manifest import Manifest, Recording
from mfcl.data.store import Store
from mfcl.training.resident import WIDTHS, Resident, resident
from tests.small_run import make_task, open_tiny, tiny
from tests.sounds import write_corpus

CPU = torch.device("cpu")


def made(lengths: list[int], dtype: type = np.int16) -> Store:
    """A store whose sample n is n, each recording at a scale of its own, behind samples that belong to none."""
    counts = np.array(lengths)
    samples = np.arange(7 + counts.sum()).astype(dtype)
    scales = np.linspace(0.5, 2.0, len(counts)).astype(np.float32)
    named = Manifest(tuple(Recording(str(place), Path(f"{place}.wav")) for place in range(len(lengths))), Path())
    return Store(named, counts, 100, (), samples, scales, 7 + np.cumsum(counts) - counts)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 99), st.sampled_from([np.int16, np.float32])
)
def test_pieces_are_those_of_the_store_and_zeros_after_them(lengths, seed, dtype):
    store, draw = made(lengths, dtype), np.random.default_rng(seed)
    indices = draw.integers(len(lengths), size=4)
    counts = draw.integers(1, store.lengths[indices] + 1)
    starts = draw.integers(0, store.lengths[indices] - counts + 1)
    found = Resident(store, CPU).gather(indices, starts, counts).numpy()
    wanted = store.gather(indices, starts, counts)
    assert found.dtype == np.float32
    assert np.array_equal(found[:, : wanted.shape[1]], wanted)
    assert not found[:, wanted.shape[1] :].any()


def test_batches_come_in_few_widths():
    kept = Resident(made([400]), CPU)
    widths = {
        kept.gather(np.array([0]), np.array([0]), np.array([count])).shape[1] for count in (1, 99, 100, 101, 240, 400)
    }
    assert widths == {100, 200, 300, 400}
    assert len(widths) == WIDTHS


def test_crops_of_long_recordings_are_not_padded_to_a_quarter_of_these():
    kept = Resident(made([60_000, 300]), CPU)  # ten minutes and three seconds
    found = kept.gather(np.array([0, 1]), np.array([40_000, 0]), np.array([450, 300]))
    assert found.shape[1] == 500
    assert kept.gather(np.array([0]), np.array([0]), np.array([60_000])).shape[1] == 60_000


def test_of_a_selection_only_its_own_recordings_are_kept():
    part = made([5, 40, 6]).select(np.array([2, 0]))
    kept = Resident(part, CPU)
    assert len(kept.samples) == 11
    assert (
        kept.gather(np.array([0]), np.array([1]), np.array([5]))[0, :5].tolist() == (np.arange(53, 58) * 2.0).tolist()
    )


def test_a_piece_beyond_its_recording_is_refused():
    with pytest.raises(IndexError, match="beyond its recording"):
        Resident(made([5, 9]), CPU).gather(np.array([0]), np.array([2]), np.array([4]))


def test_a_processor_reads_from_the_store_itself():
    store = made([5])
    assert resident(store, CPU) is store


def test_a_step_on_copies_of_the_samples_has_the_same_loss(tmp_path):
    recipe = tiny()
    task = make_task(open_tiny(write_corpus(tmp_path / "corpus"), recipe), recipe)
    task.prepare()
    task.eval()  # statistics of the batch would change by rounding alone
    losses = []
    for clips in (task.store, Resident(task.store, CPU)):
        task.clips = clips
        with torch.no_grad():
            loss, _ = task(task.see(task.batch(np.arange(8), 0)))
        losses.append(float(loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
