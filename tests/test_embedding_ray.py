"""Parts made on a local Ray of two workers: those of one process, also if a worker is killed or a person stops it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mfcl.cli import main
from mfcl.core.urls import as_path
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest_csv import write_manifest
from mfcl.embedding_lists import embed
from mfcl.embedding_parts import FAILURES, embed_parts
from mfcl.embedding_ray import _at_once, _check_room, _cluster, embed_parts_on_ray
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.part_files import open_part_files
from mfcl.errors import AudioError, CheckpointError, MeasureError, MfclError
from tests.ray_workers import own_workers
from tests.small_model import SETTINGS, saved
from tests.sounds import write_corpus


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="Ray (extra ray) is not installed")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False, logging_level="error"
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    saved(SETTINGS, folder)
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 recordings with labels in a CSV; the eighth is not sound."""
    root = write_corpus(tmp_path_factory.mktemp("corpus"), speakers=3, digits=3, takes=2)
    manifest = open_manifest(root)
    listed = root / "list.csv"
    write_manifest(manifest, listed)
    manifest.recordings[7].path.write_bytes(b"no sound")
    return listed


@pytest.mark.slow
def test_a_cluster_makes_the_parts_of_one_process_and_a_killed_worker_loses_and_doubles_nothing(
    cluster: None, model: Path, recordings: Path, tmp_path: Path
) -> None:
    embed_parts(model, recordings, tmp_path / "here", parts=6, progress=False)
    killed: list[int] = []

    def kill() -> None:
        end = time.monotonic() + 240
        while not killed and time.monotonic() < end:
            for one in own_workers()[:1]:
                os.kill(one, signal.SIGKILL)
                killed.append(one)
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    done = embed_parts_on_ray(model, recordings, tmp_path / "there", parts=6, progress=False)
    killer.join()
    assert killed, "no worker was seen at work"
    assert (done.made, done.kept, done.missing, done.items) == (6, 0, 0, 18)
    here, there = (open_part_files(tmp_path / one) for one in ("here", "there"))
    assert there.missing() == []
    assert (tmp_path / "there" / FAILURES).read_bytes() == (tmp_path / "here" / FAILURES).read_bytes()
    assert there.receipt == here.receipt
    for part in range(6):
        assert there.read_receipt(part) == here.read_receipt(part)
        assert there.path(part).read_bytes() == here.path(part).read_bytes()  # to the last bit, and nothing twice
    assert load_embeddings(tmp_path / "there").ids.tolist() == embed(model, recordings, progress=False).ids.tolist()

    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "there").glob("part-*")}
    there.path(4).unlink()
    again = embed_parts_on_ray(model, recordings, tmp_path / "there", parts=6, progress=False)
    assert (again.made, again.kept) == (1, 5)
    assert there.path(4).read_bytes() == here.path(4).read_bytes()
    assert all(there.path(part).stat().st_mtime_ns == times[there.path(part).name] for part in (0, 1, 2, 3, 5))


@pytest.mark.slow
def test_what_a_person_has_to_mend_comes_back_in_one_line(
    cluster: None, model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AudioError, match=recordings.parent.name):
        embed_parts_on_ray(model, recordings, tmp_path / "strict", parts=6, strict=True, progress=False)
    words = ["embed", str(model), str(recordings), "--out", str(tmp_path / "parts"), "--quiet", "--engine", "ray"]
    assert main(words) == 2
    assert "are about part files" in capsys.readouterr().err
    assert main([*words, "--parts", "6", "--share", "1/2"]) == 2
    assert "a cluster shares out the parts itself" in capsys.readouterr().err
    assert main([*words, "--parts", "3"]) == 0
    assert "18 recordings in 3 parts: 3 made, 0 kept; all 3 are there" in capsys.readouterr().out
    files = open_part_files(tmp_path / "parts")
    files.path(1).write_bytes(files.path(1).read_bytes()[:200])
    assert main([*words, "--parts", "3"]) == 2
    told = capsys.readouterr().err
    assert "a damaged part" in told
    assert told.count("\n") == 1
    with pytest.raises(MeasureError, match="another number of parts"):
        embed_parts_on_ray(model, recordings, tmp_path / "parts", parts=4, progress=False)
    from mfcl.embedder import load

    loaded = load(model)
    saved(SETTINGS | {"model": SETTINGS["model"] | {"landmarks": {"count": 8, "frames": 20}}}, model)  # replaced since
    with pytest.raises(CheckpointError, match="a worker found another model there"):
        embed_parts_on_ray(loaded, recordings, tmp_path / "other", parts=2, progress=False)


@pytest.mark.slow
def test_a_cluster_of_its_own_is_ended_and_an_interrupt_leaves_whole_parts(
    model: Path, recordings: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="Ray (extra ray) is not installed")
    listed = recordings.with_name("many.csv")
    manifest = open_manifest(recordings)
    lines = ["path,id,start,end"]
    lines += [f"{one.path},{take}-{number},," for take in range(200) for number, one in enumerate(manifest)]
    listed.write_text("\n".join(lines) + "\n")
    folder = tmp_path / "parts"
    words = ["embed", str(model), str(listed), "--out", str(folder), "--parts", "360", "--quiet", "--engine", "ray"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    started = subprocess.Popen(
        [sys.executable, "-m", "mfcl", *words],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    end = time.monotonic() + 200
    while not list(folder.glob("part-*")) and started.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, told = started.communicate(timeout=100)
    assert started.returncode == 130, told
    assert "interrupted; nothing is half-written" in told
    assert "Traceback" not in told
    files = open_part_files(folder)
    there = [part for part in range(360) if files.path(part).is_file()]
    assert 0 < len(there) < 360
    assert all(files.read_receipt(part)["recordings"] == 10 for part in there)


def test_without_ray_the_command_says_what_to_install(
    model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("mfcl.core.extras.importlib.import_module", gone)
    words = ["embed", str(model), str(recordings), "--out", str(tmp_path / "parts"), "--parts", "2", "--engine", "ray"]
    assert main(words) == 2
    assert "pip install 'mfcl[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "parts").exists()


def test_an_address_where_nothing_listens_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = SimpleNamespace(is_initialized=lambda: False)  # Ray itself would try for minutes
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(MfclError, match=r"nothing answers at RAY_ADDRESS=127.0.0.1:1 "), _cluster(absent):
        pass


def test_a_part_of_more_threads_than_a_machine_has_is_refused_or_said(caplog: pytest.LogCaptureFixture) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    found = SimpleNamespace(nodes=lambda: nodes, cluster_resources=lambda: {"CPU": 10.0, "GPU": 2.0})
    _check_room(found, 2, own=True)
    assert not caplog.text
    with pytest.raises(MfclError, match=r"threads: wanted at most 2, .* got 3"):
        _check_room(found, 3, own=True)
    _check_room(found, 3, own=False)
    assert "no machine of the cluster has 3 CPUs for a part (--threads), the largest has 2" in caplog.text
    assert [_at_once(found, threads, on_gpu=gpu) for threads, gpu in ((1, False), (4, False), (1, True))] == [10, 2, 2]
    assert _at_once(found, 40, on_gpu=False) == 1


def test_a_list_at_a_url_stays_at_its_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[object] = []

    def planned(_: object, data: object, *__: object, **___: object) -> None:
        given.append(data)
        raise MeasureError("planned")

    monkeypatch.setattr("mfcl.embedding_ray.need", lambda *_: None)
    monkeypatch.setattr("mfcl.embedding_ray.checkpoint_of", lambda model: model)
    monkeypatch.setattr("mfcl.embedding_ray.plan_parts", planned)
    for data in ("s3://birds/list.csv", as_path("https://example.org/list.csv")):
        with pytest.raises(MeasureError, match="planned"):
            embed_parts_on_ray(tmp_path, data, tmp_path / "parts", parts=2, progress=False)
    assert given == [as_path("s3://birds/list.csv"), as_path("https://example.org/list.csv")]
