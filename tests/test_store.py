import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio import Preparation
from mfcl.core.parallel import in_parallel
from mfcl.core.spans import open_path
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.shards.writing import pack
from mfcl.data.store import decode, open_store
from mfcl.errors import AudioError, StoreError
from tests.sounds import tone, write_corpus


def manifest_of(root):
    paths = sorted(root.rglob("*.wav"))
    names = [path.relative_to(root).as_posix() for path in paths]
    return Manifest(tuple(Recording(name, path) for name, path in zip(names, paths, strict=True)), root)


def opened(manifest, cache, **options):
    return open_store(manifest, options.pop("preparation", Preparation()), cache=cache, progress=False, **options)


@pytest.fixture
def manifest(tmp_path):
    return manifest_of(write_corpus(tmp_path / "corpus", speakers=3, digits=2, takes=2))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    root = write_corpus(tmp_path_factory.mktemp("corpus"), speakers=3, digits=2, takes=3)
    return opened(manifest_of(root), root / "cache")


@pytest.mark.parametrize(("dtype", "error"), [("int16", 1e-5), ("float32", 0.0)])
@pytest.mark.parametrize("preparation", [Preparation(), Preparation(sample_rate=8000, level_db=-60.0)])
def test_a_clip_is_what_decoding_its_file_gives_at_any_level(manifest, tmp_path, dtype, error, preparation):
    store = opened(manifest, tmp_path / "cache", dtype=dtype, preparation=preparation)
    assert store.sample_rate == preparation.sample_rate
    assert store.manifest == manifest
    assert store.failures == ()
    for index, recording in enumerate(manifest):
        wave = decode(recording, preparation)
        assert store.lengths[index] == wave.size
        np.testing.assert_allclose(store.clip(index), wave, atol=error * np.abs(wave).max() * 3)
        assert store.clip(index).dtype == np.float32


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_pieces_are_cut_from_their_clips_and_end_in_zeros(shared, data):
    indices = np.array(data.draw(st.lists(st.integers(0, len(shared) - 1), max_size=6)), dtype=np.int64)
    starts = np.array([data.draw(st.integers(0, int(shared.lengths[index]))) for index in indices], dtype=np.int64)
    rooms = shared.lengths[indices] - starts
    counts = np.array([data.draw(st.integers(0, int(room))) for room in rooms], dtype=np.int64)
    rows = shared.gather(indices, starts, counts)
    assert rows.shape == (len(indices), max(counts, default=0))
    for row, index, start, count in zip(rows, indices, starts, counts, strict=True):
        np.testing.assert_array_equal(row[:count], shared.clip(int(index))[start : start + count])
        assert not row[count:].any()


@pytest.mark.parametrize(("start", "count"), [(-1, 10), (0, 10**6), (4000, 2000)])
def test_a_piece_beyond_its_recording_is_refused(shared, start, count):
    with pytest.raises(IndexError):
        shared.gather(np.array([0]), np.array([start]), np.array([count]))


def test_bad_files_are_left_out_counted_and_named_also_when_opened_again(manifest, tmp_path):
    paths = [recording.path for recording in manifest]
    paths[1].write_text("not a sound")
    paths[4].unlink()
    soundfile.write(paths[6], np.full(4800, 0.2, dtype=np.float32), 16000)
    soundfile.write(paths[8], np.full(4800, np.nan, dtype=np.float32), 16000, subtype="FLOAT")
    for _ in range(2):
        store = opened(manifest, tmp_path / "cache")
        assert [name for name, _ in store.failures] == [manifest.ids[place] for place in (1, 4, 6, 8)]
        reasons = [reason for _, reason in store.failures]
        for reason, word in zip(reasons, ["not a readable", "cannot be opened", "silent", "NaN"], strict=True):
            assert reason.startswith(word)
        assert len(store) == len(store.manifest) == len(manifest) - 4
        assert store.manifest.ids.tolist() == np.delete(manifest.ids, [1, 4, 6, 8]).tolist()
        np.testing.assert_allclose(store.clip(3), decode(manifest.recordings[5], Preparation()), atol=1e-4)


def test_a_file_that_was_away_for_a_while_is_not_left_out_for_ever(manifest, tmp_path, monkeypatch):
    pack(manifest, tmp_path / "pack", progress=False)
    for data, away in ((manifest, manifest.recordings[4].path.name), (open_manifest(tmp_path / "pack"), "000000004")):

        def gone(path, away=away):
            if path.name.startswith(away):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return open_path(path)

        with monkeypatch.context() as patched:
            patched.setattr("mfcl.audio.io.open_path", gone)
            for _ in range(2):
                store = opened(data, tmp_path / "cache")
                assert store.failures[0][1].startswith("cannot be opened (Input/output error)")
        store = opened(data, tmp_path / "cache")
        assert store.failures == ()
        np.testing.assert_allclose(store.clip(4), decode(manifest.recordings[4], Preparation()), atol=1e-4)


def test_strict_makes_a_bad_file_an_error_in_a_new_and_in_a_kept_store(manifest, tmp_path):
    manifest.recordings[1].path.write_text("not a sound")
    for _ in range(2):
        with pytest.raises(AudioError, match="0_01_1"):
            opened(manifest, tmp_path / "cache", strict=True)
        opened(manifest, tmp_path / "cache")


def test_nothing_but_bad_files_is_an_error_and_keeps_nothing(manifest, tmp_path):
    for recording in manifest:
        recording.path.write_text("not a sound")
    with pytest.raises(AudioError, match=r"none of 12 recordings can be used, the first: not a readable"):
        opened(manifest, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache/store").iterdir() if path.suffix != ".lock"]


def test_a_kept_store_is_used_and_deleting_it_loses_nothing(manifest, tmp_path):
    first = opened(manifest, tmp_path / "cache")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*") if path.name == "clips"}
    second = opened(manifest, tmp_path / "cache")
    assert times == {path: path.stat().st_mtime_ns for path in times}
    clips = [first.clip(index) for index in range(len(first))]
    for path in times:
        path.unlink()
    third = opened(manifest, tmp_path / "cache")
    for store in (second, third):
        for index, clip in enumerate(clips):
            np.testing.assert_array_equal(store.clip(index), clip)


def places(cache):
    return {path.parent.name for path in cache.rglob("clips")}


def test_other_settings_contents_or_order_make_another_store(manifest, tmp_path):
    cache = tmp_path / "cache"
    opened(manifest, cache)
    opened(manifest, cache, dtype="float32")
    opened(manifest, cache, preparation=Preparation(remove_dc=False))
    opened(manifest.select(np.arange(len(manifest))[::-1]), cache)
    assert len(places(cache)) == 4
    path = manifest.recordings[0].path
    status = path.stat()
    wave = soundfile.read(path, dtype="float32")[0]
    soundfile.write(path, -wave, 16000)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, same date
    np.testing.assert_allclose(opened(manifest, cache).clip(0), -(wave - wave.mean()), atol=1e-4)
    assert len(places(cache)) == 5


def test_a_folder_that_moved_keeps_its_store(manifest, tmp_path):
    opened(manifest, tmp_path / "cache")
    manifest.root.rename(tmp_path / "moved")
    opened(manifest_of(tmp_path / "moved"), tmp_path / "cache")
    assert len(places(tmp_path / "cache")) == 1


@pytest.mark.parametrize("name", ["clips", "index.npz"])
@pytest.mark.parametrize("left", [0, 1000, -2])
def test_a_damaged_store_is_built_again(manifest, tmp_path, name, left):
    clip = opened(manifest, tmp_path / "cache").clip(0)
    (damaged,) = (tmp_path / "cache").rglob(name)
    damaged.write_bytes(damaged.read_bytes()[:left])
    np.testing.assert_array_equal(opened(manifest, tmp_path / "cache").clip(0), clip)


def test_parts_of_one_file_are_clips_of_their_own(tmp_path):
    soundfile.write(tmp_path / "long.wav", tone(2.0), 16000)
    parts = tuple(Recording(f"{n}", tmp_path / "long.wav", n / 2, (n + 1) / 2) for n in range(5))
    store = opened(Manifest(parts, tmp_path), tmp_path / "cache")
    assert store.lengths.tolist() == [8000] * 4
    assert store.failures[0][0] == "4"


BUILD = """
import sys, time
from pathlib import Path
import mfcl.data.store.build as build
from mfcl.audio import Preparation
from mfcl.data import open_manifest
from mfcl.data.store import open_store

root, cache, log, slow = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
whole = build.decode

def decode(recording, preparation):
    with log.open("a") as file:
        file.write("x")
    time.sleep(slow)
    return whole(recording, preparation)

build.decode = decode
store = open_store(open_manifest(root), Preparation(), cache=cache, workers=2, progress=False)
print(len(store), float(abs(store.clip(3)).sum()))
"""


def start(root, cache, log, slow):
    command = [sys.executable, "-c", BUILD, str(root), str(cache), str(log), str(slow)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_that_want_the_same_store_build_it_once(manifest, tmp_path):
    runs = [start(manifest.root, tmp_path / "cache", tmp_path / "log", 0.05) for _ in range(2)]
    said = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert (tmp_path / "log").read_text() == "x" * len(manifest)


def test_of_a_killed_build_nothing_is_used_and_nothing_stays(manifest, tmp_path):
    killed = start(manifest.root, tmp_path / "cache", tmp_path / "log", 0.3)
    while not list((tmp_path / "cache").rglob("clips")):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert list((tmp_path / "cache").rglob("*.tmp"))
    other = manifest.select([0, 1])  # another store's build clears it away too
    opened(other, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    store = opened(manifest, tmp_path / "cache")
    np.testing.assert_allclose(store.clip(3), decode(manifest.recordings[3], Preparation()), atol=1e-4)


LIMITED = """
import resource, sys
from pathlib import Path
from mfcl.audio import Preparation
from mfcl.data import open_manifest
from mfcl.errors import StoreError
from mfcl.data.store import open_store

resource.setrlimit(resource.RLIMIT_FSIZE, (99999, 99999))
try:
    open_store(open_manifest(Path(sys.argv[1])), Preparation(), cache=Path(sys.argv[2]), progress=False)
except StoreError as error:
    print(error)
"""


def test_a_full_disk_is_an_error_of_one_line_and_leaves_nothing(manifest, tmp_path):
    command = [sys.executable, "-c", LIMITED, str(manifest.root), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "cannot be written here" in done.stdout
    assert "MFCL_CACHE" in done.stdout
    assert not [path for path in (tmp_path / "cache/store").iterdir() if path.suffix != ".lock"]


def test_a_cache_that_is_a_file_is_an_error(manifest, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(StoreError, match="cannot be written here"):
        opened(manifest, tmp_path / "cache")


def test_the_cache_can_be_chosen_by_the_environment(manifest, tmp_path, monkeypatch):
    monkeypatch.setenv("MFCL_CACHE", str(tmp_path / "elsewhere"))
    opened(manifest, None)
    assert places(tmp_path / "elsewhere")


def test_results_keep_their_order_and_only_a_few_are_made_ahead():
    made, lock = [], threading.Lock()

    def slow(number):
        time.sleep(0.002 * (number % 3))
        with lock:
            made.append(number)
        return number

    results = in_parallel(slow, range(40), workers=3, what="Counting", shown=False)
    assert next(results) == 0
    time.sleep(0.1)
    assert len(made) <= 8
    assert list(results) == list(range(1, 40))


def test_an_error_in_a_worker_ends_the_work():
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda number: 1 // number, [1, 0, 1], what="Dividing", shown=False))


def test_decoding_names_the_file_that_is_too_short(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.array([0.5, -0.5], dtype=np.float32), 192000)
    with pytest.raises(AudioError, match=r"short\.wav: 2 samples at 192000 Hz"):
        decode(Recording("short", Path(tmp_path / "short.wav")), Preparation())
