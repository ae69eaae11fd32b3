"""A list of recordings in parts holds what the manifest holds, whether it is read row by row or is in memory."""

import os
from pathlib import Path

import pytest

from mfcl.data.layouts import open_manifest
from mfcl.data.manifest_blocks import list_parts
from mfcl.data.manifest_csv import write_manifest
from mfcl.errors import ManifestError
from tests.sounds import write_corpus


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    root = write_corpus(tmp_path / "corpus", speakers=2, digits=2, takes=3, seconds=0.05)
    write_manifest(open_manifest(root).with_splits(["train", "test", ""] * 4), root / "list.csv")
    return root / "list.csv"


@pytest.mark.parametrize("of", [1, 5, 12])
def test_parts_in_order_are_the_whole_list(of: int, listed: Path) -> None:
    wanted = open_manifest(listed)
    streamed, held = list_parts(listed), list_parts(wanted)
    assert streamed.source == listed
    assert (streamed.count, streamed.digest, streamed.label_names) == (held.count, held.digest, held.label_names)
    for one in (streamed, held):
        parts = list(one.parts(range(of), of))
        assert [part for part, _ in parts] == list(range(of))
        assert [row for _, manifest in parts for row in manifest] == list(wanted)
    for part, manifest in streamed.parts([of - 1, of // 2], of):
        first, end = streamed.limits(part, of)
        assert manifest.recordings == wanted.recordings[first:end]


def test_the_digest_is_of_ids_segments_labels_and_splits_and_not_of_the_place(listed: Path, tmp_path: Path) -> None:
    before = list_parts(listed).digest
    moved = tmp_path / "moved"
    listed.parent.rename(moved)
    assert list_parts(moved / "list.csv").digest == before
    text = (moved / "list.csv").read_text()
    (moved / "list.csv").write_text(text.replace(",train,", ",valid,", 1))
    assert list_parts(moved / "list.csv").digest != before


def test_a_list_that_is_written_anew_between_two_parts_stops_the_work(listed: Path) -> None:
    lines = listed.read_text().splitlines(keepends=True)
    parts = list_parts(listed).parts(range(4), 4)
    next(parts)
    listed.write_text("".join([lines[0], *lines[:0:-1]]))
    os.utime(listed, ns=(1, 1))
    with pytest.raises(ManifestError, match=r"list\.csv: the list changed while it was worked on; run") as error:
        list(parts)
    assert "\n" not in str(error.value)


def test_blank_lines_and_notes_are_as_in_a_manifest_read_whole(listed: Path) -> None:
    lines = listed.read_text().splitlines()
    lines[3] = lines[3] + "  "
    listed.write_text("\n\n".join(lines) + "\n\n")
    found = list_parts(listed)
    assert found.count == 12
    assert found.notes == open_manifest(listed).notes != ()
    assert [row.id for _, some in found.parts([1], 3) for row in some] == open_manifest(listed).ids[4:8].tolist()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [*lines, lines[4]], "several recordings have the id 'data/01/1_01_0.wav'"),
        (lambda lines: lines[:1], "no recording below it"),
        (lambda lines: [lines[0], *(line.replace("data/", "away/") for line in lines[1:])], "none of its 12 files"),
        (lambda lines: [*lines, lines[1].replace(",train,", ",tarin,")], "line 14: no split is called 'tarin'"),
        (lambda lines: [*lines, '"'], "not a CSV"),
    ],
)
def test_a_list_that_cannot_be_used_is_one_line(change: object, line: str, listed: Path) -> None:
    listed.write_text("\n".join(change(listed.read_text().splitlines())) + "\n")
    with pytest.raises(ManifestError, match=line):
        list_parts(listed)


def test_a_list_that_is_not_utf8_or_not_there_is_one_line(listed: Path) -> None:
    listed.write_bytes(listed.read_bytes() + b"\xff\n")
    with pytest.raises(ManifestError, match="not UTF-8 text"):
        list_parts(listed)
    with pytest.raises(ManifestError, match="does not exist"):
        list_parts(listed.with_name("other.csv"))


def test_recordings_that_were_moved_are_found_by_their_new_folder(listed: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    (listed.parent / "data").rename(away)
    found = list_parts(listed, data_root=away)
    assert all(row.path.is_file() for _, some in found.parts(range(2), 2) for row in some)
