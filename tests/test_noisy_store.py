import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio import Preparation
from mfcl.data.layouts import open_manifest
from mfcl.data.store import Store, open_store
from mfcl.data.store.interfaces import StoredClips
from mfcl.errors import MeasureError
from mfcl.evaluation.noisy_store import Disturbed, noise_block, noise_for, pink
from mfcl.views.batches import ClipStore
from tests.sounds import tone, write_corpus


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("disturb")
    manifest = open_manifest(write_corpus(folder / "corpus", speakers=2, digits=3, takes=2))
    return open_store(manifest, Preparation(), cache=folder / "cache", workers=1, progress=False)


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_the_noise_is_as_far_below_the_clip_as_asked(store: Store, snr_db: float, colour: str) -> None:
    view = Disturbed(store, snr_db=snr_db, colour=colour)
    for index in range(len(view)):
        clean = store.clip(index).astype(np.float64)
        noise = view.clip(index) - clean
        assert 10 * np.log10((clean**2).sum() / (noise**2).sum()) == pytest.approx(snr_db, abs=0.01)
        assert abs((clean * noise).sum()) < 0.2 * np.sqrt((clean**2).sum() * (noise**2).sum())


def test_a_gain_changes_the_level_and_cuts_nothing_off(store: Store) -> None:
    louder = Disturbed(store, gain_db=40.0)
    np.testing.assert_allclose(louder.clip(3), 100 * store.clip(3), rtol=1e-5)
    assert np.abs(louder.clip(3)).max() > 1
    both = Disturbed(store, snr_db=10.0, gain_db=-6.0)
    np.testing.assert_allclose(both.clip(3), 10**-0.3 * Disturbed(store, snr_db=10.0).clip(3), rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(Disturbed(store).clip(3), store.clip(3))


def test_what_is_added_as_pink_noise_falls_by_three_decibels_an_octave(store: Store) -> None:
    view, power = Disturbed(store, snr_db=10.0, colour="pink"), np.zeros(2049)
    for index in range(len(view)):
        noise = (view.clip(index).astype(np.float64) - store.clip(index))[:4096]
        power += np.abs(np.fft.rfft(noise * np.hanning(4096))) ** 2 / (noise**2).sum()
    octaves = [10 * np.log10(power[2**step : 2 ** (step + 1)].mean()) for step in range(5, 11)]
    np.testing.assert_allclose(np.diff(octaves), -3, atol=1)


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    noise = pink(np.random.default_rng(0).standard_normal(2**16))
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [10 * np.log10(power[2**step : 2 ** (step + 1)].mean()) for step in range(6, 15)]
    np.testing.assert_allclose(np.diff(octaves), -3, atol=1)


@given(data=st.data(), colour=st.sampled_from(["white", "pink"]))
@settings(deadline=None, max_examples=25)
def test_a_part_of_a_clip_is_that_part_of_the_whole(store: Store, data: st.DataObject, colour: str) -> None:
    view = Disturbed(store, snr_db=5.0, gain_db=3.0, seed=4, colour=colour)
    indices = np.array(data.draw(st.lists(st.integers(0, len(view) - 1), min_size=1, max_size=4)))
    lengths = view.lengths[indices].tolist()
    starts = np.array([data.draw(st.integers(0, length)) for length in lengths])
    counts = np.array([data.draw(st.integers(0, end - start)) for end, start in zip(lengths, starts, strict=True)])
    rows = view.gather(indices, starts, counts)
    assert rows.shape == (len(indices), counts.max())
    for row, index, start, count in zip(rows, indices, starts, counts, strict=True):
        np.testing.assert_array_equal(row[:count], view.clip(int(index))[start : start + count])
        assert not row[count:].any()


def test_noise_belongs_to_the_recording_and_the_seed(store: Store) -> None:
    view = Disturbed(store, snr_db=0.0)
    turned = view.select(np.arange(len(store))[::-1].copy())
    np.testing.assert_array_equal(turned.clip(0), view.clip(len(store) - 1))
    assert turned.manifest.ids.tolist() == view.manifest.ids.tolist()[::-1]
    again, other = Disturbed(store, snr_db=0.0), Disturbed(store, snr_db=0.0, seed=1)
    np.testing.assert_array_equal(again.clip(0), view.clip(0))
    assert not np.allclose(other.clip(0), view.clip(0))
    first, second = (view.clip(index) - store.clip(index) for index in (0, 1))
    assert abs(np.corrcoef(first[:3000], second[:3000])[0, 1]) < 0.1


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("samples", [0, 1, 2, 3, 100])
def test_silence_stays_silent_and_short_clips_stay_finite(colour: str, samples: int) -> None:
    assert not noise_for(np.zeros(samples, dtype=np.float32), 0.0, 0, "a", colour).any()
    assert np.isfinite(noise_for(tone()[:samples], 0.0, 0, "a", colour)).all()


def test_a_view_is_what_training_and_embedding_ask_for(store: Store) -> None:
    view = Disturbed(store, snr_db=0.0)
    assert isinstance(view, ClipStore)
    assert isinstance(view, StoredClips)
    assert (len(view), view.sample_rate) == (len(store), store.sample_rate)
    with pytest.raises(IndexError, match="beyond its recording"):
        view.gather(np.array([0]), np.array([1]), store.lengths[:1])


def test_noise_that_cannot_be_made_is_refused_in_one_line(store: Store) -> None:
    with pytest.raises(MeasureError, match="wanted finite numbers of dB, got inf"):
        Disturbed(store, snr_db=float("inf"))
    with pytest.raises(MeasureError, match="wanted finite numbers of dB"):
        Disturbed(store, gain_db=float("nan"))


@pytest.mark.parametrize("colour", ["white", "pink"])
def test_a_long_recordings_noise_is_made_in_blocks_at_the_ratio_asked_for(store, monkeypatch, colour):
    monkeypatch.setattr("mfcl.evaluation.noisy_store.LONG", 1000)
    monkeypatch.setattr("mfcl.evaluation.noisy_store.BLOCK", 700)
    noise_block.cache_clear()
    view = Disturbed(store, snr_db=10.0, gain_db=6.0, colour=colour)
    length, read = int(store.lengths[2]), []
    whole = view.clip(2)
    noise = whole.astype(np.float64) / 10 ** (6.0 / 20) - store.clip(2)
    ratio = 10 * np.log10((store.clip(2).astype(np.float64) ** 2).sum() / (noise**2).sum())
    assert ratio == pytest.approx(10, abs=0.01)
    assert abs(np.corrcoef(noise[:700], noise[700:1400])[0, 1]) < 0.3
    monkeypatch.setattr(Store, "clip", lambda *_: read.append("a whole recording"))
    for start, stop in [(0, 50), (650, 750), (700, 1400), (length - 10, length)]:
        np.testing.assert_allclose(view.piece(2, start, stop), whole[start:stop], atol=1e-7)
    rows = view.gather(np.array([2, 2]), np.array([3, 699]), np.array([100, 2]))
    np.testing.assert_allclose(rows[0], whole[3:103], atol=1e-7)
    assert read == []
    noise_block.cache_clear()
