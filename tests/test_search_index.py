"""Approximate search: what the index finds, what it is bound to, and what happens when it is not of these vectors."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mfcl.classification import similar
from mfcl.cli import main
from mfcl.core.fingerprints import fingerprint, same_as
from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.part_files import open_part_files
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.vector_index import FILES, VectorIndex, read_vector_index, write_graph, write_rows
from mfcl.errors import MeasureError, MfclError
from mfcl.labelling import search_index
from mfcl.labelling.search_index import ABOUT, IDS, METRIC, open_search_index
from tests.small_labels import embeddings
from tests.small_parts import write_parts

usearch = pytest.importorskip("usearch", reason="usearch (extra ann) is not installed")


class NoBar:
    def update(self, _: int) -> None:
        pass


def indexed(rows: np.ndarray, folder: Path) -> VectorIndex:
    folder.mkdir()
    with write_rows(folder, *rows.shape) as file:
        file.write(rows)
    write_graph(folder, threads=1, bar=NoBar())
    return read_vector_index(folder, *rows.shape)


@pytest.fixture
def table() -> Embeddings:
    return embeddings(40)


@pytest.fixture
def parts(table: Embeddings, tmp_path: Path) -> Path:
    return write_parts(tmp_path / "parts", table, 5, empty=1)


def same(found: list, wanted: list) -> None:
    assert [(one.id, one.labels) for one in found] == [(one.id, one.labels) for one in wanted]
    assert [one.distance for one in found] == pytest.approx([one.distance for one in wanted], abs=1e-9)
    assert all(one.aligned is None for one in found)


@pytest.mark.parametrize("part", [None, "words", "voices", "all"])
def test_an_approximate_search_has_the_distances_and_the_order_of_an_exact_one(
    part: str | None, table: Embeddings, parts: Path, tmp_path: Path
) -> None:
    table.save(tmp_path / "all.npz")
    for source in (parts, tmp_path / "all.npz"):
        for place in (0, 77):
            clip = str(table.ids[place])
            found = similar(source, clip, count=15, part=part, approximate=True)
            same(found, similar(source, clip, count=15, part=part))
            assert clip not in [one.id for one in found]
        assert len(similar(source, clip, count=500, part=part, approximate=True)) == len(table) - 1
    with pytest.raises(MfclError, match="neither a file nor the id of one of the 120 recordings"):
        similar(parts, "nobody.wav", approximate=True)
    with pytest.raises(MeasureError, match="no part is called 'noise'"):
        similar(parts, clip, part="noise", approximate=True)


def test_an_index_is_made_once_and_reads_only_the_parts_that_are_asked_for(
    table: Embeddings, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = str(table.ids[5])
    similar(parts, clip, count=3, approximate=True)
    (folder,) = parts.glob("index-*")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(before) == {*FILES, ABOUT, IDS, METRIC}
    assert not list(parts.glob(".index-*.tmp"))
    read = []
    whole = search_index.open_blocks(parts).source
    from mfcl.embeddings import blocks

    part = blocks.read_part
    monkeypatch.setattr(blocks, "read_part", lambda files, number: read.append(number) or part(files, number))
    same(found := similar(parts, clip, count=3, approximate=True), found)
    asked = set(read)
    places = {table.ids.tolist().index(one.id) for one in found} | {5}
    assert asked == {1 + place // 24 for place in places}
    assert whole.receipt.parts == 6
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_an_index_of_other_vectors_is_never_used(
    table: Embeddings, parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = str(table.ids[5])
    similar(parts, clip, count=20, approximate=True)
    other = write_parts(tmp_path / "other", embeddings(40, seed=0, noise=2.0), 5, empty=1)
    path = open_part_files(parts).path(2)
    was = path.stat()
    shutil.copyfile(open_part_files(other).path(2), path)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))  # the same name, size and time
    assert path.stat().st_size == was.st_size
    with caplog.at_level(logging.WARNING):
        found = similar(parts, clip, count=20, approximate=True)
    same(found, similar(parts, clip, count=20))
    assert "made of other vectors; it is made anew" in caplog.text
    caplog.clear()
    copied = shutil.copytree(parts, tmp_path / "copied")  # other times, the same vectors
    same(similar(copied, clip, count=20, approximate=True), found)
    assert not caplog.text


@pytest.mark.parametrize("name", [*FILES, ABOUT, IDS, METRIC])
def test_a_damaged_index_is_made_anew_and_said(
    name: str, table: Embeddings, parts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = str(table.ids[5])
    wanted = similar(parts, clip, count=20)
    same(similar(parts, clip, count=20, approximate=True), wanted)
    (folder,) = parts.glob("index-*")
    whole = (folder / name).read_bytes()
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 255
    for damage in (b"", whole[: len(whole) // 2], bytes(turned), None):
        caplog.clear()
        if damage is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(damage)
        same(similar(parts, clip, count=20, approximate=True), wanted)
        assert "it is made anew" in caplog.text or (name == ABOUT and damage is None)


def test_an_index_of_another_version_is_made_anew(
    table: Embeddings, parts: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    open_search_index(parts)
    monkeypatch.setattr("mfcl.__version__", "9.9")
    open_search_index(parts)
    assert "made by another version; it is made anew" in caplog.text


def test_a_call_that_is_interrupted_leaves_no_index(
    table: Embeddings, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(search_index, "write_graph", stop)
        with pytest.raises(KeyboardInterrupt):
            open_search_index(parts)
    assert not [path for path in parts.iterdir() if path.is_dir()]
    (parts / ".index-all.tmp").mkdir()  # of a call that was killed
    assert open_search_index(parts).recall == 1.0


def test_a_folder_that_cannot_be_written_is_one_line(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(search_index, "write_rows", full)
    with pytest.raises(MfclError, match=r"cannot be written \(No space left on device\); search without"):
        open_search_index(parts)


@pytest.mark.parametrize("spread", [0.0, 1e-4, 1e-2])
def test_equal_and_nearly_equal_vectors_in_order_do_not_cut_the_graph(spread: float, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((12, 24), dtype=np.float32)
    centres[0] = 0  # as of digital silence
    rows = np.repeat(centres, 300, axis=0)
    rows[300:] += np.float32(spread) * draw.standard_normal((3300, 24), dtype=np.float32)
    index = indexed(rows, tmp_path / "index")
    queries = rows[::97] + np.float32(0.01) * draw.standard_normal((38, 24), dtype=np.float32)
    (_, found), (_, wanted) = index.nearest(queries, 10), top_k(queries, rows, 10)
    assert (found >= wanted[:, -1:] - 1e-6).mean() > 0.98
    assert index.recall() > 0.98
    places, cosines = index.exact(queries, 10)
    assert places.tolist() == top_k(queries, rows, 10)[0].tolist()
    assert cosines.tolist() == wanted.tolist()


def test_vectors_in_the_order_of_their_groups_leave_no_islands(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = np.repeat(draw.standard_normal((40, 16), dtype=np.float32), 150, axis=0)
    rows += np.float32(0.01) * draw.standard_normal(rows.shape, dtype=np.float32)
    assert indexed(rows, tmp_path / "index").recall() > 0.99  # 0.92 if they are joined in this order


def test_ties_go_to_the_earlier_and_few_candidates_miss_more(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    rows = draw.standard_normal((3000, 96), dtype=np.float32)
    rows[1000:1500] = rows[7]
    index = indexed(rows, tmp_path / "index")
    assert index.nearest(rows[7:8], 5)[0].tolist() == [[7, 1000, 1001, 1002, 1003]]
    assert index.recall(candidates=12) < index.recall(candidates=512)
    assert index.nearest(rows[:1], 3000)[0].tolist() == top_k(rows[:1], rows, 3000)[0].tolist()
    for k in (0, 3001):
        with pytest.raises(MeasureError, match="wanted k from 1 to 3000"):
            index.nearest(rows[:1], k)


def test_the_command_says_how_much_the_index_finds_and_what_it_cannot_do(
    table: Embeddings, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = str(table.ids[5])
    assert main(["similar", str(parts), clip, "--approximate", "--count", "3"]) == 0
    told = capsys.readouterr()
    assert "of the nearest 10 the index finds 100.0%, tried when it was made on 100 of its own" in told.err
    assert main(["similar", str(parts), clip, "--count", "3"]) == 0
    assert capsys.readouterr().out == told.out
    for words, line in (
        (["--align", "yes"], "orders by embeddings alone"),
        (["--in", str(tmp_path)], "wanted a folder of parts or a file of embeddings"),
    ):
        assert main(["similar", str(parts), clip, "--approximate", *words]) == 2
        shown = capsys.readouterr().err
        assert line in shown
        assert shown.count("\n") == 1
    with pytest.raises(MfclError, match="wanted a folder of parts or a file"):
        similar(table, clip, approximate=True)

    def gone(name: str) -> None:
        raise ModuleNotFoundError(name=name.partition(".")[0])

    monkeypatch.setattr("mfcl.core.extras.importlib.import_module", gone)
    assert main(["similar", str(parts), clip, "--approximate"]) == 2
    assert "pip install 'mfcl[ann]'" in capsys.readouterr().err


def test_files_are_the_same_by_their_times_or_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    known = fingerprint([path])
    assert same_as(known, [path])
    os.utime(path, ns=(0, 0))
    assert same_as(known, [path])
    path.write_bytes(b"two")
    assert not same_as(known, [path])
    path.write_bytes(b"one")
    assert not same_as(known, [path.rename(tmp_path / "b")])
