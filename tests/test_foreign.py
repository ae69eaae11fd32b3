"""Other programs' tables of vectors: which column names recordings, which hold values, and what is refused."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfcl.data.manifest import Manifest, Recording
from mfcl.embeddings.foreign import read_foreign
from mfcl.errors import MeasureError, MfclError
from mfcl.studies.elsewhere import open_elsewhere

COUNT, DIM = 12, 3
VECTORS = np.random.default_rng(0).standard_normal((COUNT, DIM)).astype(np.float32)
MIXED = np.random.default_rng(1).permutation(COUNT)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    own = [
        Recording(f"a/{place}.wav", tmp_path / f"a/{place}.wav", labels={"digit": str(place % 3), "speaker": "x"})
        for place in range(COUNT)
    ]
    return Manifest(tuple(own), tmp_path)


def write(path: Path, columns: dict[str, Any]) -> Path:
    """Write columns as the file's suffix says; the values of a CSV are texts."""
    if path.suffix == ".npz":
        values = [name for name in columns if name.startswith("v")]
        rest = {name: np.array(column) for name, column in columns.items() if name not in values}
        np.savez(path, vectors=np.stack([columns[name] for name in values], axis=1), **rest)
    elif path.suffix == ".parquet":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table(columns), path)
    else:
        lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        path.write_text("\n".join([",".join(columns), *lines]) + "\n")
    return path


def values(rows: np.ndarray = MIXED) -> dict[str, Any]:
    return {f"v{place}": VECTORS[rows, place] for place in range(DIM)}


def opened(file: Path, manifest: Manifest) -> np.ndarray:
    found = open_elsewhere({"x": file}, manifest)["x"].vectors
    assert found is not None
    return found


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
@pytest.mark.parametrize("head", ["ID", "Path", "file_name", "name", "Names", "recording", "File Path"])
def test_a_column_of_names_is_known_however_it_is_written(
    head: str, suffix: str, manifest: Manifest, tmp_path: Path
) -> None:
    file = write(tmp_path / f"x{suffix}", {head: [f"a/{row}.wav" for row in MIXED], **values()})
    np.testing.assert_allclose(opened(file, manifest), VECTORS, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
@pytest.mark.parametrize("names", ["a/{}.wav", "0_{}_01"])
def test_text_that_may_name_recordings_is_never_passed_over(
    names: str, suffix: str, manifest: Manifest, tmp_path: Path
) -> None:
    file = write(tmp_path / f"x{suffix}", {"clip": [names.format(row) for row in MIXED], **values()})
    with pytest.raises(MeasureError, match=r"has text in 'clip'; call .* `id` or `path`"):
        opened(file, manifest)


def test_a_list_of_values_may_have_any_name_and_text_beside_names_is_left_out(
    manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {"id": [f"a/{row}.wav" for row in MIXED], "emb": VECTORS[MIXED].tolist(), "seconds": np.ones(COUNT)}
    file = write(tmp_path / "x.parquet", {**columns, "species": ["owl"] * COUNT})
    np.testing.assert_array_equal(opened(file, manifest), VECTORS)
    assert "x.parquet: 12 vectors of 3 values (emb), by `id`; not read: 'seconds', 'species'" in capsys.readouterr().err
    two = write(tmp_path / "two.parquet", {**columns, "more": VECTORS.tolist()})
    with pytest.raises(MeasureError, match=r"'emb', 'more' .*call it `embedding`"):
        opened(two, manifest)
    ragged = write(tmp_path / "r.parquet", {"id": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]})
    with pytest.raises(MeasureError, match=r"wanted lists of one size in 'embedding', got 1 to 2"):
        opened(ragged, manifest)


def test_how_many_values_are_read_and_by_what_is_said(
    manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(write(tmp_path / "x.csv", {"path": [f"a/{row}.wav" for row in MIXED], **values()}), manifest)
    assert "x.csv: 12 vectors of 3 values (v0 to v2), by `path`\n" in capsys.readouterr().err
    opened(write(tmp_path / "y.csv", values()), manifest)
    assert "y.csv: 12 vectors of 3 values (v0 to v2), in the manifest's order" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_and_an_index_are_never_values(suffix: str, manifest: Manifest, tmp_path: Path) -> None:
    names = [f"a/{place}.wav" for place in range(COUNT)]
    digits = np.arange(COUNT) % 3 + 0.0
    leaking = write(tmp_path / f"leak{suffix}", {"id": names, "Digit": digits, "speaker": digits, **values()})
    with pytest.raises(MeasureError, match=r"'Digit', 'speaker' are labels of the recordings.*leave them out"):
        opened(leaking, manifest)
    index = write(tmp_path / f"index{suffix}", {"": np.arange(COUNT) + 0.0, "id": names, **values()})
    with pytest.raises(MeasureError, match=r"numbers in a column without a name.*index=False"):
        opened(index, manifest)


def test_whole_numbers_among_the_floats_of_parquet_are_asked_about(manifest: Manifest, tmp_path: Path) -> None:
    names = [f"a/{place}.wav" for place in range(COUNT)]
    file = write(tmp_path / "x.parquet", {"id": names, "kind": np.arange(COUNT), **values()})
    with pytest.raises(MeasureError, match=r"whole numbers in 'kind'.*leave it out.*float"):
        opened(file, manifest)
    whole = write(tmp_path / "whole.parquet", {"id": names, "a": np.arange(COUNT), "b": np.arange(COUNT)})
    assert opened(whole, manifest).tolist() == [[place, place] for place in range(COUNT)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,a,b\nx,,1\ny,2,3\n", r"line 2, column 'a': wanted a number, got ''"),
        ("id,a,b\nx,1,1\ny,2,\n", r"line 3, column 'b': wanted a number, got ''"),
        ("id,a,b\nx,1,1\ny,2,-\n", r"line 3, column 'b': wanted a number, got '-'"),
        ("id,a,b\nx,1,1\ny,2,1_0\n", r"line 3, column 'b': wanted a number, got '1_0'"),
        ("id;a;b\nx;1;1\n", r"no column of numbers.*'id;a;b'.*commas"),
        ('id,embedding,seconds\nx,"[1, 2]",3\n', r"'embedding' holds text, wanted a column for each value"),
        ("id,a\nx,1e39\n", r"1 vector holds NaN, infinity or more than 32 bits hold, the first is row 1"),
    ],
)
def test_a_cell_that_is_no_number_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(MeasureError, match=said) as caught:
        read_foreign(tmp_path / "x.csv")
    assert str(caught.value).startswith(f"{tmp_path / 'x.csv'}: ")


def test_empty_columns_at_a_tables_edge_are_no_names(manifest: Manifest, tmp_path: Path) -> None:
    lines = ["a,b,", *(f"{place},1," for place in range(COUNT))]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    assert opened(tmp_path / "x.csv", manifest)[:, 0].tolist() == list(range(COUNT))


def test_too_large_numbers_are_one_line_without_a_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1.0, 2.0], [1e39, 0.0]]))
    with pytest.raises(MeasureError, match=r"more than 32 bits hold, the first is row 2"):
        read_foreign(tmp_path / "x.npy")


def test_the_text_of_a_table_is_not_kept_in_memory(tmp_path: Path) -> None:
    rows, dim = 200, 1000
    line = ",".join(["0.123456789012345678"] * dim)
    (tmp_path / "x.csv").write_text("id," + ",".join(map(str, range(dim))) + f"\nx,{line}" * rows)
    tracemalloc.start()
    try:
        found = read_foreign(tmp_path / "x.csv")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.vectors.shape == (rows, dim)
    assert peak < 4 * found.vectors.nbytes


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_of_several_columns_of_names_the_one_counts_that_knows_all(
    suffix: str, manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"a/{row}.wav" for row in MIXED]
    file = write(tmp_path / f"x{suffix}", {"id": ["7"] * COUNT, "path": paths, **values()})
    np.testing.assert_allclose(opened(file, manifest), VECTORS, rtol=1e-6)
    assert "by `path`" in capsys.readouterr().err
    wrong = write(tmp_path / f"wrong{suffix}", {"id": ["7"] * COUNT, "path": ["none", *paths[1:]], **values()})
    with pytest.raises(MeasureError, match=r"1 of 12 recordings has no vector.*`path`.*; by `id` 12 have none"):
        opened(wrong, manifest)
    other = write(tmp_path / f"other{suffix}", {"id": paths, "path": paths[::-1], **values()})
    with pytest.raises(MeasureError, match=r"`id` and `path` name different recordings"):
        opened(other, manifest)


@pytest.mark.parametrize(
    "name",
    [
        *("MFCC statistics", "mfcc  Statistics", "alignment", "average spectrum", "untrained, both"),
        *("pre-trained, both", "Supervised", "wave, from scratch", "a|b", "a\tb", "a\nb", " a"),
    ],
)
def test_a_name_that_a_row_of_the_study_has_or_a_table_cannot_hold_is_refused(
    name: str, manifest: Manifest, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", VECTORS)
    with pytest.raises(MfclError, match=r"^also .*wanted a name of its own"):
        open_elsewhere([f"{name}={tmp_path / 'x.npy'}"], manifest)
    with pytest.raises(MfclError, match=r"^also .*wanted a name of its own"):
        open_elsewhere({name: tmp_path / "x.npy"}, manifest)
    with pytest.raises(MfclError, match=r"^also 'MINE'.*wanted a name of its own"):  # files and eyes may not tell case
        open_elsewhere({"mine": tmp_path / "x.npy", "MINE": tmp_path / "x.npy"}, manifest)
    assert set(open_elsewhere({"my MFCC, both": tmp_path / "x.npy"}, manifest)) == {"my MFCC, both"}
