"""Silent clips: nobody can say what they are, so the explorer neither suggests nor draws nor guesses them."""

import base64
import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from mfcl.cli import main
from mfcl.embeddings.blocks import load_embeddings
from mfcl.explore import findings
from mfcl.explore.cells import LABEL, Cell
from mfcl.explore.collection import open_collection
from mfcl.explore.session import Session
from tests.small_explore import PER_PITCH, WRITES, asked_by, unpacked, write_collection

COUNT = 3 * PER_PITCH
SILENT = (3, 4, 20, 21, 22, 40)
BAD = 41


@pytest.fixture
def session(tmp_path):
    """Six clips are silent, one of them at a constant level, and one cannot be read."""
    write_collection(tmp_path)
    paths = [tmp_path / name for name in open_collection(tmp_path / "clips.npz").embeddings.ids]
    for clip in SILENT:
        soundfile.write(paths[clip], np.full(4800, 0.1 * (clip == 4)), 8000)
    paths[BAD].write_bytes(b"RIFF")
    made = Session(open_collection(tmp_path / "clips.npz", audio=tmp_path / "manifest.csv"), who="ada")
    yield made
    made.close()


@pytest.mark.parametrize("order", ["useful", "sure", "unsure"])
def test_silent_clips_are_not_suggested(session, order):
    book, helper = session.book, session.assistant
    book.step("call", "picked", [Cell(2, LABEL, "low"), Cell(30, LABEL, "middle")])
    found = helper.suggestions("call", order, COUNT)
    assert sorted(found) == sorted(set(range(COUNT)) - {*SILENT, 2, 30})  # what cannot be read says so itself
    assert helper.silent == len(SILENT)
    assert helper.suggestions("call", order, 5) == found[:5]


def test_silent_clips_are_not_held_out(session):
    client = asked_by(session)
    session.spaces.prepared.graph(session.spaces.prepared.kinds[0])
    assert client.post("/api/held-out", json={"column": "call", "count": 1000}, headers=WRITES).status_code == 200
    assert set(np.flatnonzero(session.book.held("call")).tolist()) == set(range(COUNT)) - set(SILENT)
    again = client.post("/api/held-out", json={"column": "call", "count": 1}, headers=WRITES)
    assert "every clip is labelled, rejected, silent or in it already" in again.json()["error"]
    told = client.get("/api/suggestions", params={"column": "call", "order": "held"}).json()
    assert (len(told["clips"]), told["silent"]) == (20, len(SILENT))


def test_silent_clips_are_not_listed_as_near_duplicates(tmp_path):
    """They are all the same, and would be all that a list has room for."""
    write_collection(tmp_path)
    clips = load_embeddings(tmp_path / "clips.npz")
    vectors = clips.vectors.copy()
    vectors[5:20] = vectors[47]
    replace(clips, vectors=vectors).save(tmp_path / "clips.npz")
    for name in clips.ids[5:20]:
        soundfile.write(tmp_path / str(name), np.zeros(4800), 8000)
    session = Session(open_collection(tmp_path / "clips.npz", audio=tmp_path / "manifest.csv"), who="ada")
    listed = findings.duplicates(session.spaces, "words", session.silence)
    assert (0, 1) in {(one.clip, one.other) for one in listed}
    assert not [one for one in listed if {one.clip, one.other} <= set(range(5, 20))]
    assert [one for one in listed if one.other == 47]  # what sounds and is as a silent clip is told
    assert len(findings.duplicates(session.spaces, "words")) == findings.MOST > len(listed)
    session.close()


def test_a_clip_is_listened_to_once_and_only_when_it_could_be_shown(session, monkeypatch):
    heard = []
    judge = session.assistant._silence._judge
    monkeypatch.setattr(session.assistant._silence, "_judge", lambda clip: heard.append(clip) or judge(clip))
    for _ in range(2):
        assert len(session.assistant.draw_held_out("call", 4)) == 4
    assert len(heard) == len(set(heard)) < COUNT // 2


def test_what_is_written_guesses_nothing_of_silent_clips_and_says_so(session, tmp_path, capsys):
    session.step(
        "call", "picked", [Cell(clip, LABEL, name) for clip, name in ((2, "low"), (30, "middle"), (40, "none"))]
    )
    client = asked_by(session)
    asked = client.get("/api/export/csv", params={"column": "call", "spread": "1"})
    names = session.collection.embeddings.ids.tolist()
    listed = [row["id"] for row in csv.DictReader(io.StringIO(asked.text))]
    assert set(names) - set(listed) == {names[clip] for clip in SILENT[:-1]}  # what a person said of the last one stays
    assert asked.headers["x-mfcl-note"] == "Left out: 5 silent clips have no guess."
    given = client.get("/api/export/csv", params={"column": "call"})
    assert len(given.text.splitlines()) == 4
    assert "x-mfcl-note" not in given.headers
    tracks = client.get("/api/export/audacity", params={"column": "call", "spread": "1"})
    assert tracks.status_code == 400  # of the clip that cannot be read nobody knows how long it is
    found = session.assistant.guesses("call")
    assert set(np.flatnonzero(found.codes < 0).tolist()) == set(SILENT[:-1])
    session.close()
    words = ["explore", str(tmp_path / "clips.npz"), "--audio", str(tmp_path / "manifest.csv"), "--quiet"]
    words += ["--export", str(tmp_path / "site"), "--parquet", str(tmp_path / "t.parquet")]
    assert main(words) == 0
    assert "note: 5 silent clips without a guess\n" in capsys.readouterr().err
    data = json.loads((tmp_path / "site" / "data.js").read_text().removeprefix("window.EXPLORER = ").rstrip(";\n"))
    assert data["answers"]["/api/about"]["notes"] == ["5 silent clips have no guess."]
    _, arrays = unpacked(base64.b64decode(data["arrays"]["/api/guesses?column=call"]))
    assert set(np.flatnonzero(arrays["codes"] < 0).tolist()) == set(SILENT[:-1])
    rows = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "t.parquet").to_pylist()
    assert {row["row"] for row in rows if row["call_guess"] == ""} == set(SILENT[:-1])
