import dataclasses

import numpy as np
import pytest

from mfcl.audio import Preparation
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.data.store import Store, open_store
from mfcl.errors import ManifestError, MeasureError
from mfcl.evaluation.babble import VOICES, Babble
from mfcl.evaluation.noisy_store import Disturbed, noise_block
from tests.sounds import write_corpus

PEOPLE = 7


def part(store: Store, *, people: int, found: str | None = None) -> Store:
    """The recordings of the first speakers, or those of one."""
    names = store.manifest.column("speaker")
    return store.select(np.flatnonzero(names == found if found else names <= f"{people:02d}"))


def renamed(store: Store, **changed: object) -> Store:
    """The same recordings with other fields."""
    recordings = tuple(dataclasses.replace(one, **changed) for one in store.manifest)
    return dataclasses.replace(store, manifest=Manifest(recordings, store.manifest.root))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("babble")
    manifest = open_manifest(write_corpus(folder / "corpus", speakers=PEOPLE, digits=2, takes=2))
    return open_store(manifest, Preparation(), cache=folder / "cache", workers=1, progress=False)


def babbling(store: Store, voices: Store | None = None, *, snr_db: float = 10.0, seed: int = 0) -> Disturbed:
    return Disturbed(store, snr_db, seed=seed, colour="babble", babble=Babble(voices or store, "speaker"))


def added(view: Disturbed, index: int) -> np.ndarray:
    """What was added to a recording."""
    return view.clip(index).astype(np.float64) - view.store.clip(index)


def in_tones(store: Store) -> Store:
    """The same recordings, each a tone by its speaker: 1000 Hz times the speaker's number."""
    hz = 1000.0 * store.manifest.column("speaker").astype(float)
    waves = [np.sin(2 * np.pi * one * np.arange(size) / 16000) for one, size in zip(hz, store.lengths, strict=True)]
    samples = np.concatenate(waves).astype(np.float32)
    return dataclasses.replace(
        store, samples=samples, scales=np.ones_like(store.scales), offsets=np.cumsum(store.lengths) - store.lengths
    )


def speakers_of(wave: np.ndarray) -> set[int]:
    """The speakers whose tones are heard."""
    levels = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 16000))
    near = [levels[1000 * number - 60 : 1000 * number + 61].max() for number in range(1, PEOPLE + 1)]
    return {number for number, level in enumerate(near, 1) if level > 0.2 * max(near)}


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_babble_is_as_far_below_the_clip_as_asked(store: Store, snr_db: float) -> None:
    view = babbling(store, snr_db=snr_db)
    for index in range(len(view)):
        ratio = (store.clip(index).astype(np.float64) ** 2).sum() / (added(view, index) ** 2).sum()
        assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.01)


def test_four_other_speakers_are_heard_and_never_the_clips_own(store: Store) -> None:
    tones = in_tones(store)
    view, own = babbling(tones), store.manifest.column("speaker").astype(int)
    heard = [speakers_of(added(view, index)) for index in range(len(view))]
    assert [len(others) for others in heard] == [VOICES] * len(view)
    assert not any(int(speaker) in others for speaker, others in zip(own, heard, strict=True))
    assert len({tuple(sorted(others)) for others in heard}) > 5  # others from clip to clip


def test_the_clip_its_copies_and_its_file_are_no_part_of_it(store: Store) -> None:
    babble, copied = Babble(store), Babble(renamed(store, digest="same"))
    for place, one in enumerate(store.manifest):
        assert place not in np.concatenate(babble.around(one)._drawn(np.random.default_rng(0)))
        segment = dataclasses.replace(one, id="a segment", start=0.0, end=0.1)
        assert place not in np.concatenate(babble.around(segment)._drawn(np.random.default_rng(0)))
        elsewhere = dataclasses.replace(one, id="b", path=one.path.with_name("b"), digest="same")
        with pytest.raises(MeasureError, match="got 0; give more"):
            copied.around(elsewhere)._drawn(np.random.default_rng(0))


def test_every_voice_is_another_recording_of_equal_power(store: Store) -> None:
    one = store.manifest.recordings[0]
    for speaker in ("speaker", None):
        crowd = Babble(store, speaker).around(one)
        drawn = crowd._drawn(np.random.default_rng(3))
        assert len(drawn) == VOICES
        assert len(np.unique(np.concatenate(drawn))) == sum(map(len, drawn))
        for recordings in drawn:
            voice = crowd._voice(recordings, np.random.default_rng(4), 9000)
            assert np.sqrt((voice**2).mean()) == pytest.approx(1)


def test_speakers_are_voices_by_themselves_where_enough_are_others(store: Store) -> None:
    one = store.manifest.recordings[0]
    babble = Babble(store, "speaker")
    drawn = babble.around(one)._drawn(np.random.default_rng(0))
    people = [set(babble.people[recordings].tolist()) for recordings in drawn]
    assert [len(who) for who in people] == [1] * VOICES
    assert len(set.union(*people)) == VOICES
    few = Babble(part(store, people=3), "speaker")  # two others, with four recordings each
    drawn = few.around(one)._drawn(np.random.default_rng(0))
    assert [len(recordings) for recordings in drawn] == [2] * VOICES


def test_babble_belongs_to_the_recording_and_the_seed_and_not_to_the_order(store: Store) -> None:
    view = babbling(store)
    turned = view.select(np.arange(len(store))[::-1].copy())
    for index in range(len(store)):
        np.testing.assert_array_equal(turned.clip(len(store) - 1 - index), view.clip(index))
        np.testing.assert_array_equal(babbling(store).clip(index), view.clip(index))
        assert not np.allclose(babbling(store, seed=1).clip(index), view.clip(index))
    lengths = store.lengths[:3]
    rows = view.gather(np.array([2, 0, 1]), np.array([0, 5, 9]), np.array([lengths[2], 100, 50]))
    np.testing.assert_array_equal(rows[1, :100], view.clip(0)[5:105])
    sounds = [added(view, index)[:4000] for index in range(len(store))]
    assert np.abs(np.corrcoef(sounds) - np.eye(len(sounds))).max() < 0.99


def test_babble_of_a_long_recording_is_made_in_blocks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcl.evaluation.noisy_store.LONG", 1000)
    monkeypatch.setattr("mfcl.evaluation.noisy_store.BLOCK", 700)
    noise_block.cache_clear()
    view = babbling(store)
    whole, noise = view.clip(2), added(view, 2)
    assert 10 * np.log10((store.clip(2).astype(np.float64) ** 2).sum() / (noise**2).sum()) == pytest.approx(
        10, abs=0.01
    )
    for start, stop in [(0, 50), (650, 750), (700, 1400)]:
        np.testing.assert_allclose(babbling(store).piece(2, start, stop), whole[start:stop], atol=1e-7)
    noise_block.cache_clear()


def test_what_babble_cannot_be_made_of_is_refused_in_one_line(store: Store) -> None:
    alone = part(store, people=0, found="01")
    with pytest.raises(MeasureError, match=r"4 or more other recordings of another speaker to put around .*, got 0"):
        babbling(alone, alone).clip(0)
    with pytest.raises(MeasureError, match="wanted 4 or more recordings to make it of, got 2"):
        Babble(store.select(np.arange(2)))
    with pytest.raises(ManifestError, match="no label 'singer'"):
        Babble(store, "singer")
    with pytest.raises(MeasureError, match="are silent"):
        babbling(store, dataclasses.replace(store, scales=np.zeros_like(store.scales))).clip(0)
    with pytest.raises(MeasureError, match="got 'babble' without them"):
        Disturbed(store, 10.0, colour="babble")
    with pytest.raises(MeasureError, match="got 'pink' with them"):
        Disturbed(store, 10.0, colour="pink", babble=Babble(store))
    with pytest.raises(MeasureError, match="wanted babble at 16000 Hz like the recordings, got 8000 Hz"):
        babbling(store, dataclasses.replace(store, sample_rate=8000))


def test_recordings_without_a_speaker_are_no_voices(store: Store) -> None:
    known = part(store, people=3)
    unnamed = tuple(
        dataclasses.replace(one, labels={**one.labels, "speaker": "" if one.label("speaker") == "02" else "03"})
        for one in known.manifest
    )
    mixed = dataclasses.replace(known, manifest=Manifest(unnamed, known.manifest.root))
    babble = Babble(mixed, "speaker")
    drawn = np.concatenate(babble.around(store.manifest.recordings[-1])._drawn(np.random.default_rng(0)))
    assert {mixed.manifest.recordings[place].label("speaker") for place in drawn} == {"03"}
