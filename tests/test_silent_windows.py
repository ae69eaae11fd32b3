"""Windows without sound: embeddings say which they are, and nothing that reads them takes them for a sound."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl.cli import main
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.npz_file import read_npz, write_npz
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.explore.cells import LABEL, Cell
from mfcl.explore.collection import open_collection
from mfcl.explore.session import Session
from tests.small_explore import asked_by
from tests.small_model import RATE, SETTINGS, saved, sound

WINDOW = 0.5
SILENT = (4, 5, 6, 7)
"""Places of the silent windows among those of a recording."""
PER_FILE = 12


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, three recordings that stop for two seconds, their windows' embeddings, and labels of four windows."""
    folder = tmp_path_factory.mktemp("desk")
    saved(SETTINGS, folder / "model")
    (folder / "sounds").mkdir()
    for seed in range(3):
        samples = sound(PER_FILE * WINDOW, seed=seed)
        samples[round(SILENT[0] * WINDOW * RATE) : round((SILENT[-1] + 1) * WINDOW * RATE)] = 0
        soundfile.write(folder / "sounds" / f"{seed}.wav", samples, RATE)
    embed(folder, "windows.npz")
    rows = [("0.wav@0.0", "low"), ("0.wav@1.0", "low"), ("2.wav@0.0", "high"), ("2.wav@1.0", "high")]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("id", "pitch"), *rows])
    (folder / "labels.csv").write_text(text.getvalue())
    fit = ["classify", folder / "model", folder / "windows.npz", "--labels", folder / "labels.csv"]
    run(*fit, "--fit", folder / "made", "--quiet")
    return folder


def run(*words: object) -> None:
    assert main([str(one) for one in words]) == 0


def embed(folder: Path, name: str, *options: str) -> Path:
    window = ("--window", WINDOW, "--hop", WINDOW, "--quiet")
    run("embed", folder / "model", folder / "sounds", "--out", folder / name, *window, *options)
    return folder / name


def silent_ids(table: Embeddings) -> set[str]:
    return {f"{seed}.wav@{place * WINDOW}" for seed in range(3) for place in SILENT} & set(table.ids.tolist())


def listed(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return [row["id"] for row in csv.DictReader(file)]


def forgetful(path: Path, out: Path) -> Path:
    """The embeddings as they were written before they told which are silent."""
    replace(load_embeddings(path), silent=None).save(out)
    return out


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.npz", ()), ("a.parquet", ()), ("parts", ("--parts", "2")), ("whitened.npz", ("--whiten",))],
)
def test_every_file_of_embeddings_tells_which_windows_are_silent(desk, name, options):
    found = load_embeddings(embed(desk, name, *options))
    assert set(found.ids[found.silent].tolist()) == silent_ids(found)
    assert len(found.audible) == 3 * (PER_FILE - len(SILENT))
    kept = found.only("words").scaled().select(np.array([4, 0]))
    assert kept.silent.tolist() == [True, False]
    old = replace(found, silent=None)
    assert Embeddings.concatenate([old, found]).silent is None  # of the first ones it is not known
    assert Embeddings.concatenate([found, found]).silent.sum() == 2 * found.silent.sum()


def test_how_many_windows_are_silent_is_said(desk, tmp_path, capsys):
    embed(desk, "told.npz")
    assert f"told.npz: {3 * PER_FILE} windows x " in (said := capsys.readouterr().out)
    assert said.endswith(" values, 12 of them silent\n")
    for name, lines in (("told.npz", ["silent 12"]), ("parts", ["silent 12"]), ("old.npz", [])):
        if name == "parts":
            embed(desk, name, "--parts", "2")
        if name == "old.npz":
            forgetful(desk / "told.npz", desk / name)
        capsys.readouterr()
        run("info", desk / name)
        rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert f"recordings {3 * PER_FILE}" in rows
        assert [row for row in rows if row.startswith("silent")] == lines


def test_a_file_of_before_and_one_that_lies(desk, tmp_path):
    old = load_embeddings(forgetful(desk / "windows.npz", tmp_path / "old.npz"))
    assert old.silent is None
    assert len(old.audible) == len(old)
    arrays = read_npz(desk / "windows.npz", ("about", "vectors", "ids", "splits", "label_"))
    about = json.loads(str(arrays["about"]))
    for wrong in ([len(old)], [-1], [True], "4", {"4": 1}):
        write_npz(tmp_path / "bad.npz", {**arrays, "about": np.array(json.dumps({**about, "silent": wrong}))})
        with pytest.raises(MeasureError, match=r"bad.npz: not a valid embeddings file \(the silent items are"):
            load_embeddings(tmp_path / "bad.npz")
    with pytest.raises(MeasureError, match="but silent has shape"):
        replace(old, silent=np.zeros(2, dtype=bool))


def test_silent_windows_are_unknown_as_those_of_the_sound_are(desk, tmp_path):
    made = mfcl.load_classifier(desk / "made")
    near = replace(made, farthest=2.0)
    table = load_embeddings(desk / "windows.npz")
    found = mfcl.classify(near, table).predictions.labels
    assert set(table.ids[found == "unknown"].tolist()) == silent_ids(table)
    heard = mfcl.classify_windows(near, desk / "sounds", window=WINDOW, hop=WINDOW, model=desk / "model")
    assert np.concatenate([one.predictions.labels for one in heard]).tolist() == found.tolist()
    assert "unknown" not in mfcl.classify(near, forgetful(desk / "windows.npz", tmp_path / "o.npz")).predictions.labels
    run("classify", desk / "made", desk / "windows.npz", "--out", tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        unknown = {row["id"] for row in csv.DictReader(file) if row["class"] == "unknown"}
    assert unknown >= silent_ids(table)


@pytest.mark.parametrize("option", ["--suggest", "--draw"])
@pytest.mark.parametrize("labels", [True, False])
def test_silent_windows_are_not_listed_to_be_labelled(desk, tmp_path, capsys, option, labels):
    table, given = load_embeddings(desk / "windows.npz"), ["--labels", desk / "labels.csv"] if labels else []
    every = len(table.audible) - (4 if labels else 0)
    words = ["classify", desk / "model", desk / "windows.npz", *given, option]
    capsys.readouterr()
    run(*words, every, "--out", tmp_path / "list.csv", "--quiet")
    assert "note" not in capsys.readouterr().err
    assert len(set(listed(tmp_path / "list.csv"))) == every
    assert not set(listed(tmp_path / "list.csv")) & silent_ids(table)
    assert main([str(one) for one in (*words, every + 1, "--out", tmp_path / "more.csv", "--quiet")]) == 2
    assert f"wanted a count from 1 to {every}" in capsys.readouterr().err


@pytest.mark.parametrize("approximate", [False, True])
def test_silent_windows_are_similar_to_nothing(desk, tmp_path, capsys, approximate):
    if approximate:
        pytest.importorskip("usearch.index")
    embed(desk, "searched.npz")
    table = load_embeddings(desk / "searched.npz")
    found = mfcl.similar(desk / "searched.npz", "1.wav@0.0", count=len(table), approximate=approximate)
    assert {one.id for one in found} == set(table.ids[table.audible].tolist()) - {"1.wav@0.0"}
    assert [one.distance for one in found] == sorted(one.distance for one in found)
    option = ["--approximate"] if approximate else []
    assert main(["similar", str(desk / "searched.npz"), "1.wav@2.0", *option]) == 2
    assert "similar: 1.wav@2.0 is silent, so nothing is similar to it; give another clip" in capsys.readouterr().err


def test_a_map_colours_silent_windows(desk, tmp_path):
    for name, told in (("windows.npz", True), ("old.npz", False)):
        if not told:
            forgetful(desk / "windows.npz", desk / name)
        run("map", desk / name, "--out", tmp_path / "map.html")
        assert ('["heard","silent"]' in (tmp_path / "map.html").read_text()) is told


def test_the_explorer_knows_silent_windows_without_their_sound(desk, tmp_path):
    session = Session(open_collection(desk / "windows.npz"), labels=tmp_path / "l.db", who="ada")
    table = session.collection.embeddings
    session.spaces.prepared.graph(session.spaces.prepared.kinds[0])
    session.step("pitch", "picked", [Cell(0, LABEL, "low"), Cell(2 * PER_FILE, LABEL, "high")])
    for order in ("useful", "sure", "unsure"):
        found = session.assistant.suggestions("pitch", order, len(table))
        assert set(found) == set(table.audible.tolist()) - {0, 2 * PER_FILE}
    assert set(session.assistant.draw_held_out("pitch", len(table))) == set(found)
    assert (
        np.flatnonzero(session.assistant.guesses("pitch").codes < 0).tolist() == np.flatnonzero(table.silent).tolist()
    )
    text = asked_by(session).get("/api/export/csv", params={"column": "pitch", "spread": "1"}).text
    assert len(text.splitlines()) == 1 + len(table.audible)
    session.close()
