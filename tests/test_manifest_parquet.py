"""Lists of recordings as Parquet tables."""

import datetime

import pytest

from mfcl.core import remote
from mfcl.core.extras import need
from mfcl.data import manifest_parquet
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest_blocks import list_parts
from mfcl.data.manifest_csv import read_manifest
from mfcl.errors import ManifestError, MissingExtraError
from tests.sounds import write_corpus

arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra `parquet`)")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (the extra `parquet`)")


@pytest.fixture
def corpus(tmp_path):
    return open_manifest(write_corpus(tmp_path / "corpus", speakers=3, digits=2, takes=2))


def test_a_parquet_list_is_read_as_the_csv_of_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest_parquet, "ROWS", 2)
    for name in "abcde":
        (tmp_path / f"{name}.wav").write_bytes(b"x")
    (tmp_path / "list.csv").write_text(
        "path,start,end,species,count,wild,split\na.wav,0.1,1.25,owl,3,true,train\nb.wav,,,,,,\n"
        "c.wav,1e-05,2,wren,4,false,test\nd.wav,0.30000001192092896,,tit,5,true,valid\ne.wav,,7.1,,6,,train\n"
    )
    table = arrow.table({
        "path": ["a.wav", "b.wav", "c.wav", "d.wav", "e.wav"],
        "start": arrow.array([0.1, None, 1e-5, 0.30000001192092896, float("nan")]),
        "end": arrow.array([1.25, None, 2.0, None, 7.1]),
        "species": arrow.array(["owl", "", "wren", "tit", None]).dictionary_encode(),
        "count": arrow.array([3, None, 4, 5, 6], arrow.int16()),
        "wild": arrow.array([True, None, False, True, None]),
        "split": arrow.array(["train", None, "test", "valid", "train"], arrow.large_string()),
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "list.parquet", row_group_size=3)
    found, expected = read_manifest(tmp_path / "list.parquet"), read_manifest(tmp_path / "list.csv")
    assert found.recordings == expected.recordings
    assert found.label_names == expected.label_names == ("species", "count", "wild")
    parts = list_parts(tmp_path / "list.parquet")
    assert isinstance(parts.source, type(tmp_path))
    assert parts.digest == list_parts(tmp_path / "list.csv").digest
    assert tuple(one for _, part in parts.parts([1, 2], 3) for one in part) == expected.recordings[1:]


def test_what_is_wrong_with_a_parquet_list_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "list.parquet"
    cases = [
        ({"path": ["a.wav"], "vector": [[1.0, 2.0]]}, r"the column 'vector' holds list<.*; leave it out"),
        ({"path": ["a.wav"], "raw": [b"x"]}, "the column 'raw' holds binary"),
        ({"file": ["a.wav", "b.wav"], "split": ["train", "nowhere"]}, r"list\.parquet, row 2: no split"),
        ({"path": ["a.wav"], "start": [-1.0]}, r"row 1: start is '-1(\.0)?'; give seconds"),
        ({"name": ["a.wav"]}, "wanted a column `path`, got the columns name"),
        ({"path": arrow.array([], arrow.string())}, "a header, but no recording below it"),
        ({"path": ["none.wav"]}, "none of its 1 file exists"),
    ]
    for columns, told in cases:
        parquet.write_table(arrow.table(columns), path)
        with pytest.raises(ManifestError, match=told) as caught:
            read_manifest(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"PAR1 no table")
    with pytest.raises(ManifestError, match="not a readable Parquet table"):
        read_manifest(path)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "none.parquet")
    monkeypatch.setattr(manifest_parquet, "need", lambda *_: need("no_such_package", "parquet"))
    with pytest.raises(MissingExtraError, match=r"mfcl\[parquet\]"):
        read_manifest(path)


def test_dates_are_text(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    table = arrow.table({"path": ["a.wav"], "day": [datetime.date(2024, 5, 1)]})
    parquet.write_table(table, tmp_path / "list.parquet")
    assert read_manifest(tmp_path / "list.parquet").recordings[0].label("day") == "2024-05-01"


def test_a_parquet_list_at_a_url_is_read_by_row_groups(corpus, monkeypatch):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `remote`)")
    remote.forget()
    memory = fsspec.filesystem("memory")
    for one in corpus:
        memory.pipe(f"/birds/{one.id}", one.path.read_bytes())
    count = 20_000
    names = [f"memory://birds/{corpus.ids[place % len(corpus)]}" for place in range(count)]
    columns = {"path": names, "id": [f"{place:06}-{place * 7919 % 99991}" for place in range(count)]}
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.table(columns), sink, row_group_size=2000, compression="none", use_dictionary=False)
    memory.pipe("/birds/list.parquet", sink.getvalue().to_pybytes())
    taken, real = [], remote._fetched

    def counted(path, about, first, end):
        taken.append(end - first)
        return real(path, about, first, end)

    monkeypatch.setattr(remote, "WHOLE", 1 << 16)
    monkeypatch.setattr(remote, "NEAR", 1 << 14)
    monkeypatch.setattr(remote, "KEPT", 0)
    monkeypatch.setattr(remote, "_fetched", counted)
    parts = list_parts("memory://birds/list.parquet")
    assert parts.count == count
    size = len(sink.getvalue())
    assert size > 1 << 20
    assert max(taken) <= 1 << 16
    assert sum(taken) < 1.5 * size
    (_, last), = parts.parts([9], 10)  # fmt: skip
    assert last.ids.tolist() == columns["id"][-2000:]
    memory.store.clear()
    remote.forget()
