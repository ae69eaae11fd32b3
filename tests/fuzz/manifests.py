"""Manifest CSV files: opened, scanned, split, decoded and written again."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mfcl.audio import Preparation
from mfcl.data.dataset import open_data
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest_csv import read_manifest, write_manifest
from mfcl.data.scanning import scan
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import quoted, spoil_bytes, spoil_table
from tests.sounds import write_corpus

LIST = "list.csv"


def write(folder: Path) -> None:
    """Write a corpus of twelve clips and its list, with starts and ends."""
    write_corpus(folder, speakers=6, digits=2, takes=1)
    rows = [["path", "id", "start", "end", "digit", "speaker", "split"]]
    for place, path in enumerate(sorted((folder / "data").rglob("*.wav"))):
        digit, speaker, _ = path.stem.split("_")
        side = ("train", "train", "train", "train", "valid", "test")[int(speaker) - 1]
        rows.append([path.relative_to(folder).as_posix(), f"clip {place}", "0.0", "0.25", digit, speaker, side])
    (folder / LIST).write_text(quoted(rows), encoding="utf-8")


def spoil(folder: Path, chance: Random) -> None:
    """Spoil the list as a table or as text; sometimes let a row name a pipe that nobody writes to."""
    path = folder / LIST
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    if chance.random() < 0.01:
        os.mkfifo(folder / "pipe.wav")
        rows[2][0] = "pipe.wav"
    if chance.random() < 0.75:
        path.write_bytes(quoted(spoil_table(chance, rows)).encode("utf-8", "surrogatepass"))
    else:
        path.write_bytes(spoil_bytes(chance, quoted(rows).encode()))


def use(folder: Path) -> Iterator[object]:
    """Do with the list what commands do before they train."""
    manifest = open_manifest(folder / LIST)
    yield [(recording.start, recording.end) for recording in manifest]
    yield scan(manifest, workers=1, progress=False).table()
    write_manifest(manifest, folder / "again.csv")
    if read_manifest(folder / "again.csv").recordings != manifest.recordings:
        raise AssertionError("a list that is written and read again is another one")
    yield open_data(folder / LIST, Preparation(), cache=folder / "cache", progress=False).subset("train").manifest.ids


KIND = Kind(write, spoil, use)
