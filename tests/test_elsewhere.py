"""Embeddings made elsewhere: their files, their recordings, and a study that measures them beside its own."""

import csv
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mfcl import cli
from mfcl.audio.preparation import Preparation
from mfcl.data.layouts import open_manifest
from mfcl.data.store import open_store
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.foreign import read_foreign
from mfcl.embeddings.part_files import holds_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError, MfclError
from mfcl.studies.elsewhere import Elsewhere, Function, open_elsewhere
from tests.small_study import called, section, small_study, write_listed


def loudness(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Frames of 20 ms: level and zero crossings."""
    frame = sample_rate // 50
    pieces = samples[: len(samples) // frame * frame].reshape(-1, frame)
    crossings = (np.diff(np.sign(pieces), axis=1) != 0).mean(axis=1)
    return np.stack([np.log(pieces.std(axis=1) + 1e-4), crossings], axis=1)


def write_csv(path: Path, names: list[str], vectors: np.ndarray, *, key: str = "id") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([key, "label", *(f"v{place}" for place in range(vectors.shape[1]))])
        rows.writerows([name, "x", *map(float, row)] for name, row in zip(names, vectors, strict=True))
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listed(tmp_path_factory.mktemp("also"), digits=2, takes=2)


def test_every_kind_of_file_gives_the_same_vectors(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    names = ["a", "b", "c", "d"]
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    np.savez(tmp_path / "a.npz", embeddings=vectors, ids=np.array(names), more=np.zeros(3))
    np.save(tmp_path / "a.npy", vectors)
    write_csv(tmp_path / "a.csv", names, vectors)
    parquet.write_table(arrow.table({"path": names, "embedding": vectors.tolist()}), tmp_path / "list.parquet")
    columns = {f"v{place}": vectors[:, place] for place in range(3)}
    parquet.write_table(arrow.table({"id": names, **columns, "label": [1, 2, 3, 4]}), tmp_path / "wide.parquet")
    Embeddings(vectors, np.array(names), {}, {"x": (0, 3)}, np.full(4, "")).save(tmp_path / "own.parquet")
    for name in ("a.npz", "a.npy", "a.csv", "list.parquet", "wide.parquet", "own.parquet"):
        found = read_foreign(tmp_path / name)
        np.testing.assert_allclose(found.vectors, vectors, rtol=1e-6)
        assert found.names == (None if name == "a.npy" else names)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "id,x\na,nan\n", "NaN, infinity or more than 32 bits hold, the first is row 1"),
        ("a.csv", "id,x\na,1,2\n", "another number of columns"),
        ("a.csv", "id,x\n", "no rows"),
        ("a.csv", "id,word\na,b\n", "no column of numbers"),
        ("a.npz", "no archive", "cannot be read as embeddings"),
        ("a.parquet", "no table", "cannot be read as embeddings"),
        ("a.txt", "1 2", "wanted embeddings as .npz, .npy, .csv, .parquet"),
    ],
)
def test_files_that_hold_no_vectors_are_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(MeasureError, match=said):
        read_foreign(tmp_path / name)
    with pytest.raises(MeasureError, match="no such file"):
        read_foreign(tmp_path / f"absent{Path(name).suffix}" if name != "a.txt" else tmp_path / "absent.csv")


def test_vectors_are_matched_by_id_by_path_or_by_place(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = open_manifest(corpus / "manifest.csv")
    count = len(manifest)
    vectors = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    backwards = np.arange(count)[::-1]
    ids, paths = manifest.ids.tolist(), [str(one.path) for one in manifest]
    files = {
        "ids": write_csv(tmp_path / "ids.csv", [ids[i] for i in backwards], vectors[backwards]),
        "paths": write_csv(tmp_path / "paths.csv", [paths[i] for i in backwards], vectors[backwards], key="path"),
        "more": write_csv(tmp_path / "more.csv", ["other", *ids], np.concatenate([vectors[:1], vectors])),
    }
    np.save(tmp_path / "place.npy", vectors)
    found = open_elsewhere({**files, "place": tmp_path / "place.npy"}, manifest)
    for one in found.values():
        assert one.vectors is not None
        np.testing.assert_array_equal(one.vectors, vectors)
    assert "more.csv: 1 of " in capsys.readouterr().err
    assert len({one.digest for one in found.values()}) == 1


def test_recordings_without_a_vector_are_one_line(corpus: Path, tmp_path: Path) -> None:
    manifest = open_manifest(corpus / "manifest.csv")
    count, ids = len(manifest), manifest.ids.tolist()
    short = write_csv(tmp_path / "short.csv", ids[2:], np.zeros((count - 2, 2)))
    with pytest.raises(MeasureError, match=rf"short.csv: 2 of {count} recordings have no vector, the first '{ids[0]}'"):
        open_elsewhere([f"x={short}"], manifest)
    twice = write_csv(tmp_path / "twice.csv", [*ids, ids[0]], np.zeros((count + 1, 2)))
    with pytest.raises(MeasureError, match="several vectors"):
        open_elsewhere({"x": twice}, manifest)
    np.save(tmp_path / "few.npy", np.zeros((3, 2)))
    with pytest.raises(MeasureError, match=f"3 vectors without ids, but {count} recordings"):
        open_elsewhere({"x": tmp_path / "few.npy"}, manifest)
    with pytest.raises(MfclError, match="NAME=FILE"):
        open_elsewhere(["nothing"], manifest)


class Louder:
    """A function that is an object."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        return self.factor * samples[:2]


def louder(samples: np.ndarray, sample_rate: int, *, factor: float = 1.0) -> np.ndarray:
    return factor * samples[:2]


def around(factor: float) -> Function:
    return lambda samples, sample_rate: factor * samples[:2]


@pytest.mark.parametrize(
    "make", [around, Louder, lambda factor: Louder(factor).__call__, lambda factor: partial(louder, factor=factor)]
)
def test_answers_of_a_function_that_holds_other_values_are_not_kept(
    make: Callable[[float], Function], corpus: Path
) -> None:
    manifest = open_manifest(corpus / "manifest.csv")
    one, again, other = (open_elsewhere({"x": make(factor)}, manifest)["x"].digest for factor in (1.0, 1.0, 2.0))
    assert one == again != other


def test_a_function_may_return_a_vector_frames_or_a_tensor_and_nothing_else(corpus: Path, tmp_path: Path) -> None:
    manifest = open_manifest(corpus / "manifest.csv")
    store = open_store(manifest, Preparation(), cache=tmp_path / "cache", workers=1, progress=False)
    clips = [store.clip(place) for place in range(len(manifest))]

    def described(function: Function) -> np.ndarray:
        return Elsewhere("x", "", function=function).describe(store)

    np.testing.assert_array_equal(described(lambda clip, rate: clip[:2]), [clip[:2] for clip in clips])
    twice = described(lambda clip, rate: np.stack([clip[:2], clip[:2] + 2]))
    np.testing.assert_allclose(twice, [clip[:2] + 1 for clip in clips], rtol=1e-5)
    assert (described(lambda clip, rate: torch.tensor([rate], dtype=torch.float64)) == 16000).all()
    with pytest.raises(MeasureError, match=f"x: {manifest.ids[0]}: wanted a finite vector"):
        described(lambda clip, rate: np.array([np.nan]))
    sizes = iter(range(1, 1000))
    with pytest.raises(MeasureError, match="vectors of one size"):
        described(lambda clip, rate: np.zeros(next(sizes)))
    with pytest.raises(MeasureError, match="wanted a vector or frames, got str"):
        described(lambda clip, rate: "loud")


def test_a_study_measures_what_was_made_elsewhere_beside_its_own(corpus: Path, tmp_path: Path) -> None:
    manifest = open_manifest(corpus / "manifest.csv")
    known = np.unique(manifest.column("digit"), return_inverse=True)[1]
    oracle = np.eye(2)[known] + 0.01 * np.random.default_rng(0).standard_normal((len(manifest), 2))
    file = write_csv(tmp_path / "oracle.csv", manifest.ids.tolist(), oracle)
    also: Mapping[str, object] = {"oracle": file, "loudness": loudness}
    found = small_study(
        corpus / "manifest.csv", tmp_path, also=also, only=["labels", "robustness", "geometry", "maps"],
    )  # fmt: skip
    asked = {(called(one), section(one)) for one in found}
    assert ("oracle", "labels") in asked
    assert ("loudness", "robustness") in asked
    assert ("oracle", "geometry") in asked
    assert ("oracle", "robustness") not in asked
    accuracy = {called(one): one.value for one in found if one.question.probe == "linear" and section(one) == "labels"
                and one.question.labels_per_class is None}  # fmt: skip
    assert accuracy["oracle"] == 100
    apart = json.loads((tmp_path / "out" / "differences.json").read_text())
    assert {"oracle", "loudness"} <= {row["second"]["variant"] for row in apart}
    pictures = json.loads((tmp_path / "out" / "pictures.json").read_text())
    assert {"oracle", "loudness"} <= {row["variant"] for row in pictures["maps"]}
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert any(note.startswith("oracle: its vectors came in a file") for note in about["notes"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "oracle" in page
    assert "Made elsewhere" in page


def test_parquet_holds_what_an_archive_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    random = np.random.default_rng(0)
    whole = Embeddings(
        random.standard_normal((5, 4)).astype(np.float32), np.array(["a", "b\n", "ç", "d", "e"]),
        {"word": np.array(["one", "", "two", "one", "two"]), "id": np.array(list("vwxyz"))},
        {"wave words": (0, 3), "mel words": (3, 4)}, np.array(["train", "train", "valid", "test", ""]),
    )  # fmt: skip
    whole.save(tmp_path / "e.parquet")
    found = load_embeddings(tmp_path / "e.parquet")
    np.testing.assert_array_equal(found.vectors, whole.vectors)
    for name in ("ids", "splits"):
        assert getattr(found, name).tolist() == getattr(whole, name).tolist()
    assert {name: column.tolist() for name, column in found.labels.items()} == {
        name: column.tolist() for name, column in whole.labels.items()
    }
    assert dict(found.parts) == dict(whole.parts)
    table = parquet.read_table(tmp_path / "e.parquet")
    assert table.column_names == ["id", "split", "word", "label_id", "embedding"]
    assert cli.main(["info", str(tmp_path / "e.parquet")]) == 0
    assert "wave words 3" in capsys.readouterr().out
    (tmp_path / "e.parquet").write_bytes((tmp_path / "e.parquet").read_bytes()[:200])
    with pytest.raises(MeasureError, match="not a valid embeddings file"):
        load_embeddings(tmp_path / "e.parquet")
    with pytest.raises(MeasureError, match="no such file"):
        load_embeddings(tmp_path / "absent.parquet")


def test_limits_of_windows_are_numbers_in_parquet_and_the_same_texts_again(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    vectors, blank = np.eye(3, dtype=np.float32), np.full(3, "")
    labels = {"start": ["0.0", "", "12.400001"], "end": ["0.8", "1e-06", "13.2"], "take": ["1.0", "2.0", "3.0"]}
    for place, changed in enumerate(({}, {"end": ["0.8", "one", "13.2"]}, {"end": ["0.8", "1", "13.2"]})):
        wanted = labels | changed
        columns = {name: np.array(column) for name, column in wanted.items()}
        Embeddings(vectors, np.array(["a@0", "b", "a@12"]), columns, {"x": (0, 3)}, blank).save(tmp_path / "w.parquet")
        table = parquet.read_table(tmp_path / "w.parquet")
        kinds = {name: str(table.schema.field(name).type) for name in wanted}
        assert kinds == {"start": "double", "end": "string" if place else "double", "take": "string"}
        assert table["start"].to_pylist() == [0.0, None, 12.400001]
        found = load_embeddings(tmp_path / "w.parquet")
        assert {name: column.tolist() for name, column in found.labels.items()} == wanted


def test_a_parquet_table_is_of_embeddings_by_its_column_of_lists(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    names = ["a.wav", "b.wav"]
    for name, columns in (
        ("list", {"path": names, "word": ["one", "two"]}),
        ("label", {"path": names, "embedding": ["one", "two"]}),
        ("foreign", {"path": names, "embedding": [[0.0, 1.0], [1.0, 0.0]]}),
    ):
        parquet.write_table(arrow.table(columns), tmp_path / f"{name}.parquet")
    own = Embeddings(np.eye(2, dtype=np.float32), np.array(names), {}, {"x": (0, 2)}, np.full(2, ""))
    for name in ("own.PARQUET", "own.npz"):
        own.save(tmp_path / name)
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    (tmp_path / "manifest.csv").touch()
    found = {one.name for one in tmp_path.iterdir() if holds_embeddings(one)}
    assert found == {"foreign.parquet", "own.PARQUET", "own.npz"}
    assert not holds_embeddings(tmp_path / "absent.parquet")
    assert not holds_embeddings(tmp_path)
