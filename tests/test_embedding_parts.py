import csv
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import soundfile

from mfcl.cli import main
from mfcl.core.extras import need
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest_csv import write_manifest
from mfcl.embedder import Embedder
from mfcl.embedding_lists import embed
from mfcl.embedding_parts import FAILURES, embed_parts
from mfcl.embeddings.blocks import load_embeddings, open_blocks
from mfcl.embeddings.part_files import RECEIPT, is_part_folder, open_part_files
from mfcl.embeddings.table import Embeddings
from mfcl.errors import AudioError, ManifestError, MeasureError, MfclError
from tests.small_model import RATE, SETTINGS, saved, sound
from tests.sounds import write_corpus

KILLED = """
import os, signal, sys
import numpy as np
import mfcl.embeddings.npz_file as npz
whole, written = np.savez, []
def half(file, **arrays):
    written.append(1)
    if len(written) == 3:
        file.write(b"PK half a part")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    whole(file, **arrays)
npz.np.savez = half
from mfcl.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    saved(SETTINGS, folder)
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 recordings with labels and splits in a CSV; the eighth is not sound."""
    root = write_corpus(tmp_path_factory.mktemp("corpus"), speakers=3, digits=3, takes=2)
    manifest = open_manifest(root)
    listed = root / "list.csv"
    write_manifest(manifest.with_splits(["train", "valid", "test"] * 6), listed)
    manifest.recordings[7].path.write_bytes(b"no sound")
    return listed


def same(found: Embeddings, wanted: Embeddings) -> None:
    assert found.ids.tolist() == wanted.ids.tolist()
    assert found.splits.tolist() == wanted.splits.tolist()
    assert list(found.labels) == list(wanted.labels)
    for name, column in wanted.labels.items():
        assert found.label(name).tolist() == column.tolist()
    assert dict(found.parts) == dict(wanted.parts)
    assert found.model == wanted.model
    np.testing.assert_allclose(found.vectors, wanted.vectors, atol=1e-6 * float(np.abs(wanted.vectors).max()))


@pytest.mark.parametrize("parquet", [False, True])
def test_parts_hold_what_one_file_holds(parquet: bool, model: Path, recordings: Path, tmp_path: Path) -> None:
    if parquet:
        need("pyarrow", "parquet")
    done = embed_parts(model, recordings, tmp_path / "parts", parts=5, parquet=parquet, progress=False)
    assert (done.made, done.kept, done.missing, done.items) == (5, 0, 0, 18)
    same(load_embeddings(tmp_path / "parts"), embed(model, recordings, progress=False))
    assert [len(block) for block in open_blocks(tmp_path / "parts")] == [3, 4, 2, 4, 4]  # one recording is no sound


def test_parts_of_the_same_batches_are_equal_to_the_last_bit(model: Path, recordings: Path, tmp_path: Path) -> None:
    embed_parts(model, recordings, tmp_path / "parts", parts=6, batch=1, progress=False)
    whole = embed(model, recordings, batch=1, progress=False)
    assert load_embeddings(tmp_path / "parts").vectors.tobytes() == whole.vectors.tobytes()


def test_windows_a_part_of_the_embedding_and_whitening_are_as_in_one_file(
    model: Path, recordings: Path, tmp_path: Path
) -> None:
    asked = {"window": 0.1, "part": "voices", "whiten": True, "format": "mel", "progress": False}
    embed_parts(model, recordings, tmp_path / "parts", parts=4, **asked)
    same(load_embeddings(tmp_path / "parts"), embed(model, recordings, **asked))


@pytest.mark.parametrize("mixed", [True, False])
def test_windows_of_a_list_have_times_in_all_parts_or_in_none(
    mixed: bool, model: Path, recordings: Path, tmp_path: Path
) -> None:
    sound = next(one.path for one in open_manifest(recordings) if one.path.is_file() and one.start is None)
    spans = [(round(0.05 * place, 2), round(0.05 * place + 0.1, 2)) for place in range(3)]
    rows = [f"{sound},{sound.name}@{start},{start},{end}" for start, end in spans]
    rows += [f"{sound},whole {place},," for place in range(3)] if mixed else []
    (tmp_path / "list.csv").write_text("\n".join(["path,id,start,end", *rows]) + "\n")
    embed_parts(model, tmp_path / "list.csv", tmp_path / "parts", parts=len(rows), progress=False)
    whole = embed(model, tmp_path / "list.csv", progress=False)
    assert ("start" in whole.labels) != mixed
    same(load_embeddings(tmp_path / "parts"), whole)


def test_numbers_of_numpy_are_the_same_settings(
    model: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is without tests
    asked = {"parts": np.int64(4), "window": np.float32(0.125), "hop": np.float64(0.25), "whiten": np.bool_(True)}
    embed_parts(model, recordings, tmp_path / "parts", share=(1, 2), progress=False, **asked)
    plain = {name: value.item() for name, value in asked.items()}
    done = embed_parts(model, recordings, tmp_path / "parts", progress=False, **plain)
    assert (done.made, done.kept, done.missing) == (2, 2, 0)


def test_shares_make_all_parts_and_what_is_there_is_kept(model: Path, recordings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    first = embed_parts(model, recordings, folder, parts=5, share=(1, 3), progress=False)
    assert (first.made, first.kept, first.missing) == (2, 0, 3)
    with pytest.raises(MeasureError, match=r"3 of the 5 parts .* are missing, the first is part-000001-of-000005.npz"):
        load_embeddings(folder)
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}
    third = embed_parts(model, recordings, folder, parts=5, share=(3, 3), progress=False)
    assert (third.made, third.missing) == (1, 2)
    assert not (folder / FAILURES).exists()
    last = embed_parts(model, recordings, folder, parts=5, progress=False)
    assert (last.made, last.kept, last.missing) == (2, 3, 0)
    assert all((folder / name).stat().st_mtime_ns == time for name, time in times.items())
    same(load_embeddings(folder), embed(model, recordings, progress=False))


def test_a_killed_command_goes_on_and_leaves_only_whole_parts(model: Path, recordings: Path, tmp_path: Path) -> None:
    words = ["embed", str(model), str(recordings), "--out", str(tmp_path / "parts"), "--parts", "6", "--quiet"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    files = open_part_files(tmp_path / "parts")
    assert files.missing() == [2, 3, 4, 5]
    assert list((tmp_path / "parts").glob(".part-000002-*.tmp"))  # half a part, which no reader takes for one
    before = [files.path(part).read_bytes() for part in range(2)]
    assert main(words) == 0
    assert [files.path(part).read_bytes() for part in range(2)] == before
    same(load_embeddings(tmp_path / "parts"), embed(model, recordings, progress=False))


def test_the_command_says_what_it_made_and_names_bad_files(
    model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "parts"
    words = ["embed", str(model), str(recordings), "--out", str(folder), "--parts", "4", "--quiet"]
    assert main([*words, "--share", "2/2"]) == 0
    assert "18 recordings in 4 parts: 2 made, 0 kept; 2 are missing" in capsys.readouterr().out
    assert main(words) == 0
    assert "2 made, 2 kept; all 4 are there" in capsys.readouterr().out
    with (folder / FAILURES).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "failure"]
    assert [row["id"] for row in rows] == [open_manifest(recordings).recordings[7].id]
    receipt = open_part_files(folder).read_receipt(0)
    assert receipt["recordings"] == 4
    assert set(receipt["versions"]) == {"mfcl", "torch", "numpy"}
    assert main(["info", str(folder)]) == 0
    assert "17" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--share", "1/2"], "give their number, too"),
        (["--parquet"], "give their number, too"),
        (["--parts", "19"], "at most one for each of the 18 recordings, got 19"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(
    words: list[str], line: str, model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["embed", str(model), str(recordings), "--out", str(tmp_path / "out"), "--quiet", *words]) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("option", "line"), [("--share=0/2", "wanted I/N"), ("--part=1/2", "is --share 1/2")])
def test_a_share_is_read_strictly(option: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["embed", "model", "data", "--out", "out", "--parts", "2", option])
    assert stopped.value.code == 2
    assert line in capsys.readouterr().err


def made(model: Path, recordings: Path, folder: Path) -> Path:
    embed_parts(model, recordings, folder, parts=3, progress=False)
    return folder


def test_other_recordings_settings_or_models_do_not_mix(
    model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(model, recordings, tmp_path / "parts")
    other = tmp_path / "other"
    saved(SETTINGS | {"model": SETTINGS["model"] | {"landmarks": {"count": 8, "frames": 20}}}, other)
    fewer = recordings.with_name("fewer.csv")
    write_manifest(open_manifest(recordings).select(range(17)), fewer)
    for change, line in (
        ((other, recordings, {"parts": 3}), "another model"),
        ((model, fewer, {"parts": 3}), "another list of recordings"),
        ((model, recordings, {"parts": 3, "format": "mel"}), "other settings"),
    ):
        with pytest.raises(MeasureError, match=f"holds parts of {line}.*choose another folder"):
            embed_parts(change[0], change[1], folder, progress=False, **change[2])
    with pytest.raises(MeasureError, match="another number of parts"):
        embed_parts(model, recordings, folder, parts=4, progress=False)
    assert main(["embed", str(model), str(recordings), "--out", str(folder), "--quiet"]) == 2
    assert "it holds part files" in capsys.readouterr().err


def test_a_part_of_another_folder_is_refused(model: Path, recordings: Path, tmp_path: Path) -> None:
    folder = made(model, recordings, tmp_path / "parts")
    files = open_part_files(folder)
    other = tmp_path / "other"
    saved(SETTINGS | {"model": SETTINGS["model"] | {"landmarks": {"count": 8, "frames": 20}}}, other)
    strange = open_part_files(made(other, recordings, tmp_path / "strange")).path(1)
    files.path(1).write_bytes(strange.read_bytes())
    with pytest.raises(MeasureError, match=r"part-000001-of-000003.npz: made of another model .* delete it"):
        load_embeddings(folder)
    with pytest.raises(MeasureError, match="another model"):
        embed_parts(model, recordings, folder, parts=3, progress=False)
    files.path(1).write_bytes(files.path(0).read_bytes())
    with pytest.raises(MeasureError, match=r"another part \(0, not 1\)"):
        load_embeddings(folder)
    embed(model, recordings, progress=False).save(files.path(1))
    with pytest.raises(MeasureError, match="wanted a part with its receipt"):
        load_embeddings(folder)
    (folder / "part-000001-of-000007.npz").write_bytes(b"")
    with pytest.raises(MeasureError, match="it is none of the 3 parts"):
        load_embeddings(folder)


def test_a_cut_part_and_a_damaged_receipt_are_refused_in_one_line(
    model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(model, recordings, tmp_path / "parts")
    path = open_part_files(folder).path(2)
    whole = path.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(MeasureError, match=r"a damaged part .*; delete it and run the same `mfcl embed` again"):
            load_embeddings(folder)
        with pytest.raises(MeasureError, match="a damaged part"):
            embed_parts(model, recordings, folder, parts=3, progress=False)
    path.write_bytes(whole)
    turned = bytearray(whole)
    with zipfile.ZipFile(path) as archive:
        turned[archive.getinfo("vectors.npy").header_offset + 300] ^= 1
    path.write_bytes(turned)
    with pytest.raises(MeasureError, match="a damaged part"):
        load_embeddings(folder)
    path.unlink()
    capsys.readouterr()
    receipt = json.loads((folder / RECEIPT).read_text())
    for damage in ({}, receipt | {"parts": 0}, receipt | {"suffix": ".exe"}, receipt | {"parts": "3"}):
        (folder / RECEIPT).write_text(json.dumps(damage))
        assert main(["info", str(folder)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_recording_that_changed_makes_its_part_anew_only_when_asked(
    model: Path, tmp_path: Path, recordings: Path
) -> None:
    root = write_corpus(tmp_path / "own", speakers=1, digits=2, takes=2)
    folder = tmp_path / "parts"
    embed_parts(model, root, folder, parts=2, progress=False)
    path = open_manifest(root).recordings[3].path
    soundfile.write(path, sound(0.7, seed=3), RATE)
    with pytest.raises(MeasureError, match=r"part-000001-of-000002.npz: some of its recordings changed"):
        embed_parts(model, root, folder, parts=2, progress=False)
    (folder / "part-000001-of-000002.npz").unlink()
    assert embed_parts(model, root, folder, parts=2, progress=False).made == 1
    same(load_embeddings(folder), embed(model, root, progress=False))


def test_storage_that_is_not_there_writes_no_part_and_bad_files_write_an_empty_one(model: Path, tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "own", speakers=1, digits=2, takes=2)
    listed, manifest = root / "list.csv", open_manifest(root)
    write_manifest(manifest, listed)
    for one in manifest.recordings[:2]:
        one.path.rename(one.path.with_suffix(".away"))
    with pytest.raises(AudioError, match=r"none of its 2 files exists, .* is the storage there"):
        embed_parts(model, listed, tmp_path / "parts", parts=2, progress=False)
    assert open_part_files(tmp_path / "parts").missing() == [0, 1]
    for one in manifest.recordings[:2]:
        one.path.write_bytes(b"no sound")
    embed_parts(model, listed, tmp_path / "parts", parts=2, progress=False)
    assert [len(block) for block in open_blocks(tmp_path / "parts")] == [2]
    same(load_embeddings(tmp_path / "parts"), embed(model, listed, progress=False))
    with pytest.raises(MfclError):
        embed_parts(model, listed, tmp_path / "strict", parts=2, strict=True, progress=False)
    for one in manifest.recordings[2:]:
        one.path.write_bytes(b"no sound")
    embed_parts(model, listed, tmp_path / "none", parts=2, progress=False)
    with pytest.raises(MeasureError, match="no recording could be embedded"):
        load_embeddings(tmp_path / "none")


def test_a_model_in_memory_and_a_manifest_in_memory_are_taken(model: Path, recordings: Path, tmp_path: Path) -> None:
    from mfcl.embedder import load

    loaded: Embedder = load(model)
    manifest = open_manifest(recordings).select([0, 2, 5, 9])
    done = embed_parts(loaded, manifest, tmp_path / "parts", parts=4, progress=False)
    assert done.made == 4
    same(load_embeddings(tmp_path / "parts"), embed(loaded, manifest, progress=False))
    assert is_part_folder(tmp_path / "parts")


def test_a_list_that_becomes_shorter_while_it_is_read_is_said(
    model: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = recordings.with_name("short.csv")
    lines = recordings.read_text().splitlines(keepends=True)
    listed.write_text("".join(lines))

    def cut(*_: object) -> None:
        listed.write_text("".join(lines[:9]))

    monkeypatch.setattr("mfcl.embedding_parts.check_asked", lambda *_, **given: None)
    monkeypatch.setattr("mfcl.embedding_parts.pick_device", lambda *_: cut() or "cpu")
    with pytest.raises(ManifestError, match="it became shorter while it was read"):
        embed_parts(model, listed, tmp_path / "parts", parts=2, progress=False)
