"""Files at URLs against `memory://` and a web server that cuts, refuses and delays."""

import io
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mfcl.audio import Preparation, judge, open_audio, read_audio, read_prepared
from mfcl.core import remote
from mfcl.core.files import is_there
from mfcl.core.urls import as_path
from mfcl.data import manifest as manifests
from mfcl.data.dataset import open_data
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_blocks import list_parts
from mfcl.data.manifest_csv import read_manifest
from mfcl.data.scanning import scan, scan_once
from mfcl.errors import AudioError, ManifestError, MissingExtraError, TransferError
from tests.bad_storage import Fault, Storage, serving
from tests.sounds import word, write_corpus

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `remote`)")
MEMORY = "memory://birds"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No waits between tries, nothing remembered from another test."""
    monkeypatch.setattr(remote, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    remote.forget()
    yield
    remote.forget()
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def web():
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (the extra `remote`)")
    with serving() as storage:
        yield storage


def encoded(samples, suffix="wav", rate=16000):
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format=suffix.upper())
    return content.getvalue()


def noise(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 16000))).astype(np.float32)


def remember(name, content):
    fsspec.filesystem("memory").pipe(f"/birds/{name}", content)
    return as_path(f"{MEMORY}/{name}")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_remote_recording_is_the_local_one_to_the_last_bit(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(remote, "WHOLE", 30_000)  # so that it is read by ranges
    monkeypatch.setattr(remote, "NEAR", 5_000)
    local = tmp_path / f"owl.{suffix}"
    local.write_bytes(encoded(noise(4), suffix))
    path = remember(local.name, local.read_bytes())
    for part in ({}, {"start": 1.25, "end": 2.5}, {"start": 3.0}):
        here, there = read_audio(local, **part), read_audio(path, **part)
        assert here[1] == there[1]
        np.testing.assert_array_equal(here[0], there[0])
    here, there = judge(local), judge(path)
    assert (here.digest, here.problems, here.frames, here.sound) == (
        there.digest,
        there.problems,
        there.frames,
        there.sound,
    )


def test_chained_streams_and_repaired_headers_are_read_at_a_url_too(tmp_path):
    for name, content in {
        "two.flac": encoded(noise(0.5), "flac") + encoded(noise(0.4, 1), "flac"),
        "two.ogg": encoded(noise(0.5), "ogg") + encoded(noise(0.4, 1), "ogg"),
        "open.wav": encoded(noise(0.5))[:40] + bytes(4) + encoded(noise(0.5))[44:],
        "short.wav": encoded(noise(0.5))[:-600],
        "no.wav": b"no sound",
    }.items():
        (tmp_path / name).write_bytes(content)
        here, there = judge(tmp_path / name), judge(remember(name, content))
        assert (here.digest, here.problems, here.frames) == (there.digest, there.problems, there.frames)


def test_a_recording_too_long_for_memory_is_decoded_by_ranges(tmp_path, monkeypatch):
    from mfcl.audio import LongSound, judging

    monkeypatch.setattr(judging, "HELD", 20_000)
    monkeypatch.setattr(remote, "WHOLE", 40_000)
    monkeypatch.setattr(remote, "NEAR", 10_000)
    local = tmp_path / "long.flac"
    local.write_bytes(encoded(noise(6), "flac"))
    path = remember("long.flac", local.read_bytes())
    preparation = Preparation(sample_rate=8000)
    here, there = (read_prepared(one, preparation)[0] for one in (local, path))
    assert isinstance(there, LongSound)
    assert len(here) == len(there)
    np.testing.assert_array_equal(here[4000:9000], there[4000:9000])
    np.testing.assert_array_equal(here[0:3000], there[0:3000])


def test_reads_fill_what_was_asked_for_and_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(remote, "WHOLE", 1000)
    monkeypatch.setattr(remote, "NEAR", 64)
    monkeypatch.setattr(remote, "KEPT", 3000)
    content = np.random.default_rng(0).bytes(20_000)
    path = remember("x", content)
    with path.open("rb", buffering=0) as file:
        assert file.read(5000) == content[:5000]
        assert file.seek(-10, io.SEEK_END) == 19_990
        assert file.read(100) == content[-10:]
        assert file.read(100) == b""
        file.seek(777)
        assert file.read() == content[777:]
        assert len(file._range) <= 1000
    assert remote._memory.held == sum(map(len, remote._memory.ranges.values())) <= 3000
    with path.open(encoding="latin-1", newline="") as text:
        assert text.read().encode("latin-1") == content


def test_spans_of_a_long_file_read_only_their_surroundings(web, monkeypatch):
    monkeypatch.setattr(remote, "WHOLE", 64_000)
    monkeypatch.setattr(remote, "NEAR", 16_000)
    monkeypatch.setattr(remote, "KEPT", 0)
    samples = noise(60)
    web.files["/long.wav"] = encoded(samples)
    path = as_path(f"{web.url}/long.wav")
    read, _ = read_audio(path, start=40.0, end=40.5)
    np.testing.assert_array_equal(
        read, soundfile.read(io.BytesIO(web.files["/long.wav"]), dtype="float32")[0][640_000:648_000]
    )
    taken = [asked.removeprefix("bytes=").split("-") for _, _, asked in web.requests if asked]
    assert 0 < sum(int(last) - int(first) + 1 for first, last in taken) < 200_000 < len(web.files["/long.wav"])


def test_a_transfer_cut_at_half_is_tried_again_and_never_shorter(web):
    samples = noise(2)
    web.files["/owl.wav"] = encoded(samples)
    path = as_path(f"{web.url}/owl.wav")
    web.faults["/owl.wav"] = Fault(2, cut=0.5)
    whole, _ = read_audio(path)
    assert len(whole) == len(samples)
    assert len(web.asked()) == 3
    remote.forget()
    web.faults["/owl.wav"] = Fault(100, cut=0.5)
    with pytest.raises(
        TransferError, match=r"/owl\.wav: could not be read, tried 4 times .*; run the same command again"
    ):
        read_audio(path)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_a_cut_in_the_middle_of_decoding_is_an_error_not_an_end(web, monkeypatch, suffix):
    web.files["/owl"] = encoded(noise(8), suffix)
    monkeypatch.setattr(remote, "WHOLE", len(web.files["/owl"]) // 4)
    monkeypatch.setattr(remote, "NEAR", len(web.files["/owl"]) // 16)
    monkeypatch.setattr(remote, "KEPT", 0)
    path = as_path(f"{web.url}/owl")
    with open_audio(path) as file:
        blocks = file.blocks()
        got = len(next(blocks))
        web.faults["/owl"] = Fault(100, cut=0.5)
        with pytest.raises(TransferError, match="could not be read"):
            got += sum(map(len, blocks))
    assert got < 8 * 16000


def test_an_answer_that_is_shorter_than_announced_is_not_taken(web):
    """Without a length in the answer only the size asked for before tells that it was cut."""
    web.files["/owl.wav"] = encoded(noise(1))
    path = as_path(f"{web.url}/owl.wav")
    path.facts()
    web.lengths = {"HEAD"}
    web.faults["/owl.wav"] = Fault(1, cut=0.5)
    whole, _ = read_audio(path)
    assert len(whole) == 16000
    web.lengths = set()
    remote.forget()
    with pytest.raises(AudioError, match="does not say how long it is"):
        read_audio(path)


def test_503_is_tried_again_and_403_and_404_are_the_recordings_own(web):
    web.files["/owl.wav"] = web.files["/secret.wav"] = encoded(noise(1))
    web.faults["/owl.wav"] = Fault(2, status=503, methods=("GET", "HEAD"))
    web.faults["/secret.wav"] = Fault(1000, status=403, methods=("GET", "HEAD"))
    assert len(read_audio(as_path(f"{web.url}/owl.wav"))[0]) == 16000
    for name, told in {"secret": "no permission to read it, or no such file", "gone": "no such file"}.items():
        before = len(web.requests)
        with pytest.raises(AudioError, match=rf"/{name}\.wav\?\.\.\.\w+: cannot be opened \({told}\)") as caught:
            read_audio(as_path(f"{web.url}/{name}.wav?key=hush"))
        assert "hush" not in str(caught.value)
        assert len(web.requests) - before <= 2  # a HEAD and a GET, and no more
        assert not is_there(as_path(f"{web.url}/{name}.wav"))
    web.faults["/owl.wav"] = Fault(1000, status=401, methods=("GET", "HEAD"))
    remote.forget()
    with pytest.raises(TransferError, match="check the credentials"):
        read_audio(as_path(f"{web.url}/owl.wav?key=hush"))


def test_a_server_that_hangs_is_left_after_a_time(web, monkeypatch):
    monkeypatch.setattr(remote, "PATIENCE", 1.0)
    monkeypatch.setattr(remote, "SLOWEST", 1 << 30)
    web.files["/owl.wav"] = encoded(noise(1))
    web.faults["/owl.wav"] = Fault(1, seconds=60.0)
    begun = time.monotonic()
    assert len(read_audio(as_path(f"{web.url}/owl.wav"))[0]) == 16000
    assert time.monotonic() - begun < 30
    assert len(web.asked()) == 2


def test_no_server_is_one_line_with_the_tries():
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (the extra `remote`)")
    with pytest.raises(
        TransferError, match=r"^http://127\.0\.0\.1:9/owl\.wav: could not be read, tried 4 times"
    ) as caught:
        is_there(as_path("http://127.0.0.1:9/owl.wav"))
    assert "\n" not in str(caught.value)


def test_unknown_schemes_and_missing_packages_are_one_line(monkeypatch):
    with pytest.raises(TransferError, match="Protocol not known: nowhere"):
        as_path("nowhere://a/b.wav").facts()
    monkeypatch.setattr(remote, "need", lambda name, extra: (_ for _ in ()).throw(MissingExtraError(f"{name} {extra}")))
    for scheme, extra in (("s3", "remote"), ("gs", "gcs"), ("memory", "remote")):
        with pytest.raises(MissingExtraError, match=f"fsspec {extra}"):
            read_audio(as_path(f"{scheme}://a/b.wav"))


@pytest.mark.parametrize(
    ("scheme", "package", "extra"), [("gs", "gcsfs", "gcs"), ("gcs", "gcsfs", "gcs"), ("s3", "s3fs", "remote")]
)
def test_a_missing_package_of_a_scheme_is_named_with_its_extra(monkeypatch, scheme, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    told = rf"^{scheme}://birds/owl\.wav: .*{package}.*; pip install 'mfcl\[{extra}\]'$"
    with pytest.raises(MissingExtraError, match=told):
        read_audio(as_path(f"{scheme}://birds/owl.wav"))


def test_a_server_without_ranges_gives_files_up_to_a_size(web, monkeypatch):
    monkeypatch.setattr(remote, "WHOLE", 10_000)
    monkeypatch.setattr(remote, "NEAR", 2_000)
    web.ranges = False
    web.files["/owl.wav"] = encoded(noise(2))
    path = as_path(f"{web.url}/owl.wav")
    assert len(read_audio(path)[0]) == 32_000
    monkeypatch.setattr(remote, "MOST_WHOLE", 20_000)
    remote.forget()
    with pytest.raises(AudioError, match="gives no parts of files"):
        read_audio(path)


def test_a_file_that_changes_while_it_is_read_is_refused(web, monkeypatch):
    monkeypatch.setattr(remote, "FRESH", -1.0)
    monkeypatch.setattr(remote, "WHOLE", 16_000)
    monkeypatch.setattr(remote, "NEAR", 8_000)
    web.files["/owl.wav"] = encoded(noise(2))
    path = as_path(f"{web.url}/owl.wav")
    with path.open("rb", buffering=0) as file:
        file.read(8000)
        web.files["/owl.wav"] = encoded(noise(2, 1))  # of the same size
        with pytest.raises(TransferError, match="changed while it was read"):
            file.read(8000)


@pytest.fixture
def corpus(tmp_path):
    """A local corpus of 12 recordings and its list."""
    root = write_corpus(tmp_path / "corpus", speakers=3, digits=2, takes=2)
    return open_manifest(root)


def listed_at(tmp_path, corpus, begin):
    """Write a list of URLs of the recordings, with their ids and labels."""
    rows = [
        f"{begin}/{one.path.relative_to(corpus.root).as_posix()},{one.id},{one.label('speaker')},{one.label('digit')}"
        for one in corpus
    ]
    path = tmp_path / "urls.csv"
    path.write_text("\n".join(["path,id,speaker,digit", *rows]) + "\n")
    return path


def published(web: Storage, corpus: Manifest) -> None:
    for one in corpus:
        web.files["/" + one.path.relative_to(corpus.root).as_posix()] = one.path.read_bytes()


def test_a_scan_of_urls_is_that_of_the_files(web, tmp_path, corpus):
    published(web, corpus)
    web.faults["/" + corpus.recordings[5].path.relative_to(corpus.root).as_posix()] = Fault(1, cut=0.5)
    remote_list = read_manifest(listed_at(tmp_path, corpus, web.url))
    assert sum(method == "HEAD" for method, _, _ in web.requests) == 1  # one file is asked for, not all
    here, there = scan(corpus, progress=False), scan(remote_list, progress=False)
    assert [one.digest for one in here.entries] == [one.digest for one in there.entries]
    assert [one.problems for one in here.entries] == [one.problems for one in there.entries]


def test_a_missing_file_is_left_out_and_a_dead_storage_stops_and_leaves_no_cache(web, tmp_path, corpus):
    published(web, corpus)
    places = ["/" + one.path.relative_to(corpus.root).as_posix() for one in corpus]
    del web.files[places[3]]
    listed = read_manifest(listed_at(tmp_path, corpus, web.url))
    report = scan(listed, progress=False)
    assert [name for name, _ in report.failures] == [corpus.recordings[3].id]
    assert "no such file" in report.failures[0][1]
    cache = tmp_path / "cache"
    web.faults[places[7]] = Fault(1000, status=500)
    remote.forget()
    with pytest.raises(TransferError, match="HTTP 500"):
        scan_once(listed, cache=cache, progress=False)
    assert not list(cache.rglob("*.json"))
    del web.faults[places[7]]
    assert len(scan_once(listed, cache=cache, progress=False).usable) == 11
    asked = [place for place in web.asked() if place in web.files]
    assert len(scan_once(listed, cache=cache, progress=False).usable) == 11
    assert [place for place in web.asked() if place in web.files] == asked  # only sizes were asked for


def test_the_store_of_urls_is_that_of_the_files_and_is_read_once(web, tmp_path, corpus):
    published(web, corpus)
    listed = listed_at(tmp_path, corpus, web.url)
    kept = tmp_path / "cache"
    preparation = Preparation(sample_rate=16000)
    data = open_data(listed, preparation, cache=kept, progress=False)
    local = open_data(corpus.root, preparation, cache=kept, progress=False)
    assert data.manifest.ids.tolist() == local.manifest.ids.tolist()
    assert data.manifest.splits.tolist() == local.manifest.splits.tolist()
    for place in range(len(corpus)):
        np.testing.assert_array_equal(data.store.clip(place), local.store.clip(place))
    asked = len(web.asked())
    again = open_data(listed, preparation, cache=kept, progress=False)
    assert len(web.asked()) == asked
    assert again.manifest.fingerprint() == data.manifest.fingerprint()
    first = corpus.recordings[0]
    web.files["/" + first.path.relative_to(corpus.root).as_posix()] = encoded(word(9, 9))
    remote.forget()
    changed = open_data(listed, preparation, cache=kept, progress=False)
    assert len(web.asked()) > asked
    assert not np.array_equal(changed.store.clip(0)[:4000], data.store.clip(0)[:4000])


def test_a_list_at_a_url_is_read_in_order_with_its_own_folder(corpus):
    begun = "path,speaker\n"
    for one in corpus:
        name = one.path.relative_to(corpus.root).as_posix()
        remember(f"lists/{name}", one.path.read_bytes())
        begun += f"{name},{one.label('speaker')}\n"
    listed = remember("lists/list.csv", begun.encode())
    manifest = open_manifest(f"{MEMORY}/lists/list.csv")
    assert manifest.ids.tolist() == corpus.ids.tolist()
    assert manifest.root == listed.parent
    parts = list_parts(listed.url)
    assert parts.count == len(corpus)
    joined = [one for _, part in parts.parts(range(3), 3) for one in part]
    assert tuple(joined) == manifest.recordings
    with pytest.raises(ManifestError, match=r"memory://birds/none\.csv: cannot be read \(no such file\)"):
        open_manifest(f"{MEMORY}/none.csv")
    alone = open_manifest(f"{MEMORY}/lists/{corpus.ids[0]}")
    assert len(alone) == 1
    np.testing.assert_array_equal(read_audio(alone.recordings[0].path)[0], read_audio(corpus.recordings[0].path)[0])


def test_file_urls_need_nothing(tmp_path, corpus):
    listed = listed_at(tmp_path, corpus, f"file://{corpus.root}")
    manifest = open_manifest(f"file://{listed}")
    assert [one.path for one in manifest] == [one.path for one in corpus]
    assert scan(manifest, progress=False).failures == ()


def test_sizes_are_asked_for_at_once(web, tmp_path, corpus):
    published(web, corpus)
    listed = read_manifest(listed_at(tmp_path, corpus, web.url))
    remote.forget()
    for place in web.files:
        web.faults[place] = Fault(1, seconds=0.3, methods=("HEAD",))
    web.most = 0
    sizes = listed.remote_sizes()
    assert 4 <= web.most <= remote.READERS
    assert [size for size, _ in sizes.values()] == [one.path.stat().st_size for one in corpus]
    assert len({version for _, version in sizes.values()}) == len(corpus)
    assert manifests.READERS == remote.READERS == 8


def test_many_threads_share_one_filesystem(web):
    web.files["/owl.wav"] = encoded(noise(1))
    path, found = as_path(f"{web.url}/owl.wav"), []
    threads = [threading.Thread(target=lambda: found.append(len(read_audio(path)[0]))) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [16000] * 12
    assert len(remote._memory.systems) == 1


def test_a_copy_beside_the_url_has_the_same_id_and_split(tmp_path, corpus):
    for one in corpus:
        remember(one.path.relative_to(corpus.root).as_posix(), one.path.read_bytes())
    shutil.copytree(corpus.root, tmp_path / "copy")
    (tmp_path / "copy" / "list.csv").write_text("path\n" + "\n".join(corpus.ids) + "\n")
    remember("list.csv", (tmp_path / "copy" / "list.csv").read_bytes())
    here, there = open_manifest(tmp_path / "copy" / "list.csv"), open_manifest(f"{MEMORY}/list.csv")
    assert here.ids.tolist() == there.ids.tolist()
    assert Path(here.recordings[0].path).is_file()
