"""Whose voice a clip or a dropped file has, by a gallery of the same model."""

from pathlib import Path

import numpy as np
import pytest

from mfcl.cli import main
from mfcl.embeddings.blocks import load_embeddings
from mfcl.errors import MfclError
from mfcl.explore import hearing
from mfcl.explore.collection import open_collection
from mfcl.explore.session import Session
from mfcl.voices import Gallery, Heard
from tests.small_explore import PER_PITCH, WRITES, MakerListener, asked_by, write_collection, write_gallery

COUNT = 3 * PER_PITCH


def test_a_clip_has_the_voice_that_the_gallery_says_or_unknown_with_the_reason(tmp_path):
    place = write_collection(tmp_path)
    gallery = write_gallery(tmp_path)
    collection = open_collection(place, audio=tmp_path / "manifest.csv", model=tmp_path)
    session = Session(collection, gallery=str(gallery), who="ada")
    client = asked_by(session)
    about = client.get("/api/about").json()
    assert about["gallery"] == {"name": str(gallery), "voices": 2}
    assert any("not calibrated" in note for note in about["notes"])
    answers = [client.get(f"/api/clips/{clip}/voice").json()["voice"] for clip in (0, 1, 2, 3)]
    assert [one["name"] for one in answers] == [
        "maker 0",
        "maker 0",
        "unknown",
        "unknown",
    ]  # the first two are the same
    assert [one["reason"] for one in answers] == ["", "", "below threshold", "below threshold"]
    assert answers[0]["score"] > 0.9
    assert answers[0]["margin"] > 0.7
    assert [one["voice"] for one in answers[0]["near"]] == ["maker 0"] * 3
    with Gallery.open(gallery, model=MakerListener()) as other:  # another program enrols while the page is open
        vectors = collection.embeddings.only("voices").vectors[6:7]
        other.enrol("maker 2", Heard(vectors, np.ones(1), np.full(1, -25.0), ("new",)))
    assert client.get("/api/clips/2/voice").json()["voice"]["best"] == "maker 2"
    assert client.get(f"/api/clips/{COUNT}/voice").status_code == 400
    session.close()


def test_a_dropped_file_has_a_voice_too_and_the_model_is_checked_again(tmp_path, monkeypatch):
    place, gallery = write_collection(tmp_path, model="a" * 64), write_gallery(tmp_path)
    session = Session(open_collection(place, model=tmp_path), gallery=str(gallery), who="ada")
    client, vectors = asked_by(session), session.collection.embeddings.vectors
    voices = session.collection.embeddings.only("voices").vectors
    given = {"digest": "a" * 64}

    def hear(model, content, *, voice):
        assert voice
        return hearing.Dropped(vectors[:1], given["digest"], voices[:1], 1.0, -25.0)

    monkeypatch.setattr(hearing, "hear", hear)
    answer = client.post("/api/search", content=b"sound", headers=WRITES).json()
    assert answer["voice"]["name"] == "maker 0"
    assert answer["near"]["words"]["clips"][0] in (0, 1)
    given["digest"] = "c" * 64
    refused = client.post("/api/search", content=b"sound", headers=WRITES)
    assert (refused.status_code, "by the model aaaaaaaaaaaa" in refused.text) == (400, True)
    session.close()


def test_the_voices_of_other_clips_are_not_taken_for_those_of_as_many(tmp_path):
    """Clips that are embedded again, in another order or others altogether, may be as many as before."""
    place, gallery = write_collection(tmp_path, model="a" * 64), write_gallery(tmp_path)

    def whitened(words):  # in place of the process that has torch
        np.save(words[-1], load_embeddings(Path(words[-2])).only("voices").vectors)

    def told():
        session = Session(open_collection(place, model=tmp_path), gallery=str(gallery), who="ada")
        session.work.run = whitened
        session.voices.prepare(session.work)
        found = [session.voices.of_clip(clip)["best"] for clip in (4, COUNT - 3)]
        session.close()
        return found

    assert told() == ["maker 0", "maker 1"]
    order = np.arange(COUNT)
    order[[4, COUNT - 3]] = COUNT - 3, 4
    load_embeddings(place).select(order).save(place)
    assert told() == ["maker 1", "maker 0"]


def test_without_a_gallery_nobody_has_a_voice(tmp_path):
    session = Session(open_collection(write_collection(tmp_path)), who="ada")
    client = asked_by(session)
    assert client.get("/api/about").json()["gallery"] is None
    answer = client.get("/api/clips/0/voice")
    assert (answer.status_code, "--gallery" in answer.text) == (400, True)
    session.close()


@pytest.mark.parametrize(
    ("model", "digest", "said"),
    [
        ("b" * 64, "a" * 64, "bound to the model aaaaaaaaaaaa .* embedded by bbbbbbbbbbbb; embeddings of two models"),
        ("", "a" * 64, "do not say which model made them"),
        ("a" * 64, "a" * 64, "it is not there any more; give it by --model"),
    ],
)
def test_another_models_gallery_is_refused_in_one_line(tmp_path, capsys, model, digest, said):
    place, gallery = write_collection(tmp_path, model=model, mapped=False), write_gallery(tmp_path, digest=digest)
    with pytest.raises(MfclError, match=said):
        Session(open_collection(place), gallery=str(gallery))
    words = ["explore", str(place), "--gallery", str(gallery), "--port", "0"]
    assert main(words) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note:")]
    assert len(errors) == 1
    assert main([*words, "--export", str(tmp_path / "site")]) == 2
    assert "leave one of the two out" in capsys.readouterr().err


def test_no_gallery_and_a_damaged_one_are_one_line(tmp_path):
    collection = open_collection(write_collection(tmp_path, mapped=False))
    with pytest.raises(MfclError, match="there is no gallery"):
        Session(collection, gallery=str(tmp_path / "none.db"))
    (tmp_path / "team.db").write_bytes(bytes(5000))
    with pytest.raises(MfclError, match="not a database"):
        Session(collection, gallery=str(tmp_path / "team.db"))
    Session(collection, who="ada").close()  # the labels were not left open
