"""Long recordings are prepared in pieces, and nothing tells them from the same sound prepared whole."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mfcl.audio import LongSound, Preparation, heard, read_prepared
from mfcl.data.layouts import open_manifest
from mfcl.data.store import open_store
from mfcl.errors import AudioError


def write(path, seconds=6.0, rate=44100, channels=1, **options):
    rng = np.random.default_rng(int(rate) + channels)
    wave = 0.05 * rng.standard_normal((round(seconds * rate), channels)) + 0.1
    wave[: rate // 2] *= 1e-3  # quiet ends
    wave[-rate // 2 :] *= 1e-3
    soundfile.write(path, wave.astype(np.float32), rate, **options)
    return path


PREPARATIONS = [
    Preparation(),
    Preparation(remove_dc=False, sample_rate=44100),
    Preparation(sample_rate=8000, trim_db=20.0, level_db=-30.0),
    Preparation(level_db=0.0),
    Preparation(sample_rate=8000, endpoints=True, level_db=-30.0),
    Preparation(trim_db=20.0, endpoints=True),
]


@pytest.mark.parametrize("preparation", PREPARATIONS)
@pytest.mark.parametrize(("name", "channels"), [("a.wav", 1), ("b.flac", 2), ("c.mp3", 2), ("d.ogg", 1)])
def test_a_recording_in_pieces_is_the_recording_in_one(tmp_path, monkeypatch, preparation, name, channels):
    path = write(tmp_path / name, channels=channels)
    whole, notices = read_prepared(path, preparation, start=0.25)
    monkeypatch.setattr("mfcl.audio.judging.HELD", 4000)
    monkeypatch.setattr("mfcl.audio.sound.BLOCK", 5000)
    long, same_notices = read_prepared(path, preparation, start=0.25)
    assert isinstance(long, LongSound)
    assert len(long) == len(whole)
    assert same_notices == notices
    np.testing.assert_allclose(np.concatenate(list(long.blocks())), whole, atol=1e-5)
    assert long.peak == pytest.approx(np.abs(whole).max(), rel=1e-5)
    step = long.peak / 32767
    np.testing.assert_allclose(long[:], heard(whole), atol=1.01 * step + 1e-6)


def test_pieces_can_be_asked_for_in_any_order_and_may_overlap(tmp_path, monkeypatch):
    path = write(tmp_path / "a.flac")
    whole, _ = read_prepared(path, Preparation())
    whole = heard(whole)
    monkeypatch.setattr("mfcl.audio.judging.HELD", 4000)
    monkeypatch.setattr("mfcl.audio.sound.BLOCK", 3000)
    long, _ = read_prepared(path, Preparation())
    opened = []
    monkeypatch.setattr(LongSound, "blocks", _counted(LongSound.blocks, opened))
    for start, stop in [(100, 900), (500, 1300), (1300, 1301), (40000, 60000), (41000, 99999)]:
        np.testing.assert_allclose(long[start:stop], whole[start:stop], atol=1e-5)
    assert len(opened) == 1  # forward, one pass is enough
    np.testing.assert_allclose(long[0:50], whole[0:50], atol=1e-5)
    np.testing.assert_allclose(long[: len(whole)], whole, atol=1e-5)


def test_a_long_piece_is_put_together_once(tmp_path, monkeypatch):
    monkeypatch.setattr("mfcl.audio.judging.HELD", 4000)
    monkeypatch.setattr("mfcl.audio.sound.BLOCK", 300)
    long, _ = read_prepared(write(tmp_path / "a.flac"), Preparation())
    copied = []
    join = np.concatenate
    monkeypatch.setattr(np, "concatenate", lambda parts: copied.append(sum(map(len, parts))) or join(parts))
    assert len(long[:]) == len(long)
    assert sum(copied) < 4 * len(long)  # else the time grows with the square of the length


def _counted(function, calls):
    def counted(sound):
        calls.append(sound)
        return function(sound)

    return counted


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_store_of_long_recordings_is_the_store_of_the_same_held_whole(tmp_path, monkeypatch, dtype):
    (tmp_path / "in").mkdir()
    for seed, name in enumerate(["a.wav", "b.flac", "c.wav"]):
        write(tmp_path / "in" / name, seconds=1.5 + seed, rate=22050)
    manifest = open_manifest(tmp_path / "in")
    whole = open_store(manifest, Preparation(), cache=tmp_path / "one", dtype=dtype, progress=False)
    monkeypatch.setattr("mfcl.audio.judging.HELD", 4000)
    long = open_store(manifest, Preparation(), cache=tmp_path / "two", dtype=dtype, progress=False)
    assert long.lengths.tolist() == whole.lengths.tolist()
    for index in range(3):
        np.testing.assert_allclose(long.clip(index), whole.clip(index), atol=1e-5)
        np.testing.assert_array_equal(long.piece(index, 500, 900), long.clip(index)[500:900])


def test_a_file_that_changes_while_it_is_stored_is_left_out_and_the_others_stay_whole(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for name in ["a.wav", "b.wav", "c.wav"]:
        write(tmp_path / "in" / name, seconds=2.0, rate=16000)
    manifest = open_manifest(tmp_path / "in")
    whole = open_store(manifest, Preparation(), cache=tmp_path / "one", progress=False)
    monkeypatch.setattr("mfcl.audio.judging.HELD", 4000)
    monkeypatch.setattr("mfcl.audio.sound.BLOCK", 3000)
    blocks = LongSound.blocks

    def shrinking(sound):
        if sound.path.name == "b.wav":
            sound.path.write_bytes(sound.path.read_bytes()[:20000])
        return blocks(sound)

    monkeypatch.setattr(LongSound, "blocks", shrinking)
    store = open_store(manifest, Preparation(), cache=tmp_path / "two", progress=False)
    assert store.failures == (("b.wav", "changed while it was read; start again"),)
    np.testing.assert_allclose(store.clip(0), whole.clip(0), atol=1e-5)
    np.testing.assert_allclose(store.clip(1), whole.clip(2), atol=1e-5)


def test_a_long_recording_of_which_nothing_is_left_is_an_error(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "it.wav", np.array([0.5, -0.5], dtype=np.float32), 192000)
    monkeypatch.setattr("mfcl.audio.judging.HELD", 0)
    with pytest.raises(AudioError, match=r"it\.wav: nothing is left at 16000 Hz"):
        read_prepared(tmp_path / "it.wav", Preparation())


def test_what_is_read_of_a_long_recording_does_not_stay_in_memory(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.wav", seconds=60.0, rate=16000)
    store = open_store(open_manifest(tmp_path / "in"), Preparation(), cache=tmp_path / "cache", progress=False)

    def resident():
        """Bytes of the store's file that this process has in memory."""
        maps = Path("/proc/self/smaps").read_text(encoding="utf-8").split(str(tmp_path / "cache"))[1]
        return int(maps.split("Rss:")[1].split()[0]) * 1024

    def read():
        for start in range(0, 900_000, 100_000):
            store.piece(0, start, start + 100_000)
            store.gather(np.array([0]), np.array([start]), np.array([90_000]))

    if not Path("/proc/self/smaps").exists():
        pytest.skip("the system does not say what is in memory")
    whole = store.clip(0)
    assert resident() > 1_500_000
    monkeypatch.setattr("mfcl.data.store.clips.LONG", 1000)
    read()
    assert resident() < 200_000
    np.testing.assert_array_equal(store.clip(0), whole)
