"""Embeddings in parts: search and every reader find in them what they find in one file."""

import dataclasses
import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl import cli
from mfcl.classification import similar
from mfcl.classification.applying import classify
from mfcl.embeddings import blocks as blocks_of
from mfcl.embeddings.blocks import load_embeddings, open_blocks
from mfcl.embeddings.foreign import read_foreign
from mfcl.embeddings.nearest import top_k, top_k_of_blocks
from mfcl.embeddings.part_files import open_part_files
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError, MfclError
from mfcl.explore import collection
from mfcl.labelling import features, fit_classifier
from mfcl.labelling.features import fit_features, fit_features_of_blocks
from tests.small_labels import embeddings, few
from tests.small_parts import write_parts


@pytest.fixture
def table() -> Embeddings:
    made = embeddings(20)
    return dataclasses.replace(made, splits=np.array(["train", "train", "valid", "test"] * 15))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 40), max_size=5), k=st.integers(1, 40))
def test_nearest_in_blocks_are_the_nearest_in_all(seed: int, cuts: list[int], k: int) -> None:
    draw = np.random.default_rng(seed)
    gallery = draw.integers(-2, 3, (40, 3)).astype(np.float32)  # many ties
    queries = draw.standard_normal((3, 3))
    blocks = [block for block in np.split(gallery, sorted(cuts)) if len(block)]
    places, cosines = top_k_of_blocks(queries, blocks, k)
    wanted, near = top_k(queries, gallery, k)
    assert places.tolist() == wanted.tolist()
    assert cosines.tolist() == near.tolist()


def test_more_neighbours_than_vectors_are_refused() -> None:
    x = np.eye(3, dtype=np.float32)
    with pytest.raises(MeasureError, match="wanted k from 1 to 6"):
        top_k_of_blocks(x, (x, x), 7)
    with pytest.raises(MeasureError, match="wanted k of 1 or more"):
        top_k_of_blocks(x, (x, x), 0)


def test_a_search_holds_one_part_at_a_time(table: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, alive = write_parts(tmp_path / "parts", table, 6), []
    whole, most = blocks_of.read_embeddings, []

    def counted(path: Path) -> object:
        import weakref

        most.append(sum(one() is not None for one in alive))
        found = whole(path)
        alive.append(weakref.ref(found[0]))
        return found

    monkeypatch.setattr(blocks_of, "read_embeddings", counted)
    places, _ = top_k_of_blocks(table.vectors[:2], (block.vectors for block in open_blocks(folder)), 3)
    assert places[:, 0].tolist() == [0, 1]
    assert len(most) == 6
    assert max(most) <= 1  # the one before, which the search lets go of when it gets the next


def test_only_parts_with_a_wanted_item_are_read(
    table: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = open_blocks(write_parts(tmp_path / "parts", table, 6, empty=1))
    assert len(blocks) == 60
    assert blocks.sizes == [0, *[10] * 6]
    read, part = [], blocks_of.read_part
    monkeypatch.setattr(blocks_of, "read_part", lambda files, number: read.append(number) or part(files, number))
    places = np.array([45, 3, 45, 7])
    found = blocks.select(places)
    assert read == [1, 5]
    assert found.ids.tolist() == table.ids[places].tolist()
    assert (found.vectors == table.vectors[places]).all()
    with pytest.raises(MeasureError, match="wanted one item or more"):
        blocks.select(np.array([], dtype=np.int64))


def test_parts_with_other_columns_are_refused(table: Embeddings, tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "parts", table, 3)
    from mfcl.embeddings.part_files import open_part_files

    files = open_part_files(folder)
    about = files.read_receipt(1)
    table.only("words").save(files.path(1), receipt=about)
    with pytest.raises(MeasureError, match="other columns than the first"):
        load_embeddings(folder)


@pytest.mark.parametrize("most", [20, 2048])
def test_features_are_fitted_on_parts_as_on_all(
    table: Embeddings, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "MOST_ITEMS", most)
    monkeypatch.setattr("mfcl.embeddings.whitening.MOST_ITEMS", most)
    named = dataclasses.replace(table, parts={"mel words": (0, 16), "mel words projection": (16, 32)})
    blocks = open_blocks(write_parts(tmp_path / "parts", named, 4))
    for found, wanted in zip(fit_features_of_blocks(blocks), fit_features(named), strict=True):
        assert found.name == wanted.name
        np.testing.assert_allclose(found(named), wanted(named), atol=1e-6)


def test_similar_recordings_are_found_in_parts_as_in_one_file(table: Embeddings, tmp_path: Path) -> None:
    table.save(tmp_path / "all.npz")
    folder = write_parts(tmp_path / "parts", table, 7, empty=1)
    clip = str(table.ids[33])
    found, wanted = (similar(source, clip, count=25) for source in (folder, tmp_path / "all.npz"))
    assert [(one.id, one.labels) for one in found] == [(one.id, one.labels) for one in wanted]
    assert [one.distance for one in found] == pytest.approx([one.distance for one in wanted], abs=1e-6)
    assert clip not in [one.id for one in found]
    with pytest.raises(MfclError, match="neither a file nor the id of one of the 60 recordings"):
        similar(folder, "nothing")


def test_embeddings_of_other_recordings_than_those_to_search_in_are_refused(table: Embeddings, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "one.wav").write_bytes(b"")
    with pytest.raises(MfclError, match=f"'{table.ids[0]}' has embeddings, but is not among the recordings"):
        similar(table, str(table.ids[33]), data=tmp_path / "few")


def test_a_classifier_answers_for_parts_as_for_one_file(table: Embeddings, tmp_path: Path) -> None:
    made = fit_classifier(table, few(table.label("species"), 3)).classifier
    found, wanted = (classify(made, source) for source in (write_parts(tmp_path / "parts", table, 7), table))
    assert found.ids.tolist() == wanted.ids.tolist()
    assert found.predictions.labels.tolist() == wanted.predictions.labels.tolist()
    np.testing.assert_allclose(found.predictions.probabilities, wanted.predictions.probabilities, atol=1e-6)
    assert found.starts is None


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_commands_read_parts_as_they_read_one_file(
    suffix: str, table: Embeddings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    whole, folder = tmp_path / "all.npz", write_parts(tmp_path / "parts", table, 5, suffix=suffix)
    table.save(whole)
    told = {}
    for place in (folder, whole):
        assert cli.main(["probe", str(place), "--label", "species", "--speaker", "speaker"]) == 0
        assert cli.main(["map", str(place), "--out", str(tmp_path / f"{place.stem}.html")]) == 0
        assert cli.main(["info", str(place)]) == 0
        told[place] = capsys.readouterr().out.replace(str(place), "X").replace(str(tmp_path / place.stem), "X")
        told[place] = [" ".join(line.split()) for line in told[place].splitlines() if "---" not in line]
    assert told[folder] == told[whole]
    words = ["compare", str(folder), str(whole), "--label", "species", "--out", str(tmp_path / "both.json")]
    assert cli.main(words) == 0
    rows = json.loads((tmp_path / "both.json").read_text())
    values = {run: [row["value"] for row in rows if row["run"] == run] for run in {row["run"] for row in rows}}
    assert len(values) == 2
    assert len({tuple(one) for one in values.values()}) == 1


def test_the_explorer_opens_parts_and_refuses_too_many_before_it_reads_them(
    table: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_parts(tmp_path / "parts", table, 5)
    assert collection.open_collection(folder).embeddings.ids.tolist() == table.ids.tolist()
    monkeypatch.setattr(collection, "MOST_CLIPS", 50)
    monkeypatch.setattr(collection, "load_embeddings", lambda _: pytest.fail("they were read"))
    with pytest.raises(MfclError, match="60 clips, the page shows at most 50"):
        collection.open_collection(folder)


def test_a_study_takes_only_its_own_recordings_from_parts(table: Embeddings, tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "parts", table, 5)
    wanted = table.ids[[4, 50, 20]].tolist()
    found = read_foreign(folder, wanted=set(wanted))
    assert found.names == sorted(wanted, key=table.ids.tolist().index)
    assert (found.vectors == table.vectors[[4, 20, 50]]).all()
    assert len(read_foreign(folder).vectors) == 60
    with pytest.raises(MeasureError, match="wanted vectors of these recordings, it has none"):
        read_foreign(folder, wanted={"other.wav"})


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_whole_part_that_the_system_cannot_read_is_not_called_damaged(
    table: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    folder = write_parts(tmp_path / "parts", table, 3, suffix=suffix)
    files = open_part_files(folder)

    def away(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("zipfile.ZipFile", away)
    monkeypatch.setattr("pyarrow.parquet.read_table", away)
    monkeypatch.setattr("pyarrow.parquet.read_schema", away)
    for read in (
        lambda: load_embeddings(folder),
        lambda: files.read_receipt(1),
        lambda: load_embeddings(files.path(1)),
    ):
        with pytest.raises(MeasureError, match=r"part-00000\d-of.*: cannot be read \(Input/output error\); check its"):
            read()
