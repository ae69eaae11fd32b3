"""The explorer's server: who may ask, what it answers, and that it lasts."""

import asyncio
import base64
import concurrent.futures
import io
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
import uvicorn

from mfcl.audio import Preparation
from mfcl.cli import main
from mfcl.core.files import write_text
from mfcl.data.decoding import LeftOut, recording_windows
from mfcl.data.layouts import open_manifest
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import WHITENED, Embeddings
from mfcl.errors import AudioError, MfclError
from mfcl.explore import findings, hearing
from mfcl.explore.app import make_app
from mfcl.explore.cells import HELD, LABEL, Cell
from mfcl.explore.collection import open_collection
from mfcl.explore.exports import audacity_zip, labelled, raven_zip
from mfcl.explore.guard import Guard
from mfcl.explore.session import Session
from mfcl.explore.site import write_site
from mfcl.explore.spaces import Spaces
from mfcl.web import requests
from mfcl.web import sockets as server
from mfcl.web.guard import MOST_BODY
from tests.local_server import running
from tests.small_explore import HOST, PER_PITCH, TOKEN, WRITES, Client, asked_by, serving, unpacked, write_collection
from tests.small_labels import beside_noise, few
from tests.sounds import tone

COUNT = 3 * PER_PITCH


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("explore")
    write_collection(found)
    return found


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[Session]:
    made = Session(open_collection(folder / "clips.npz", audio=folder / "manifest.csv"), who="ada")
    for kind in made.spaces.prepared.kinds:
        made.spaces.prepared.graph(kind)
    yield made
    made.close()


@pytest.fixture
def client(session: Session) -> Client:
    return asked_by(session)


# ---- who may ask


def test_the_token_opens_the_door_once_and_then_a_cookie_does(session):
    guarded = Guard(make_app(session), token=TOKEN, host="127.0.0.1", port=8450)
    stranger = Client(guarded)
    assert stranger.get("/").status_code == 403
    assert stranger.get("/api/about").status_code == 403
    assert stranger.get(f"/api/about?token={TOKEN}").status_code == 403  # only the page's own address takes it
    wrong = [stranger.get("/", params={"token": one}).status_code for one in ("x", TOKEN + "x", TOKEN[:-1], "é")]
    assert wrong == [403] * 4
    answer = stranger.get("/", params={"token": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"  # the token does not stay in the address
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "mfcl-8450="))
    assert stranger.get("/").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8450", "127.0.0.1:9999", "127.0.0.1", "127.0.0.1:8450@evil.example", "", "[::1",
     "a b", "127.0.0.1:8450.evil.example", "10.0.0.1:8450", "localhost.evil.example:8450"],
)  # fmt: skip
def test_other_names_of_this_computer_are_refused(client, host):
    assert client.get("/api/about", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8450", "LOCALHOST:8450", "[::1]:8450", "127.0.0.1:8450"])
def test_own_names_are_taken(client, host):
    assert client.get("/api/about", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"origin": f"https://{HOST}"}, {"origin": "http://127.0.0.1:1"},
     {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)  # fmt: skip
def test_requests_of_other_pages_are_refused(client, headers):
    assert client.get("/api/about", headers=headers).status_code == 403
    assert client.post("/api/undo", headers={**headers, **WRITES}).status_code == 403


def test_a_form_of_another_page_changes_nothing(client, session):
    before = session.book.version
    assert client.post("/api/undo").status_code == 403  # without the header that forms cannot send
    assert client.post("/api/undo", headers={"origin": f"http://{HOST}"}).status_code == 403
    assert client.get("/api/undo", headers=WRITES).status_code == 405
    assert session.book.version == before


def test_a_page_of_another_collection_is_refused(client, session):
    digest, before = client.get("/api/about").json()["digest"], session.book.version
    body = json.dumps({"column": "pitch", "how": "picked", "cells": [[0, "label", "low"]]})
    for other in ("", "0" * 16):
        answer = client.post("/api/steps", content=body, headers={**WRITES, "x-mfcl-collection": other})
        assert answer.status_code == 409
        assert "reload it" in answer.json()["error"]
    assert session.book.version == before
    assert client.get("/api/clips/0/sound", params={"collection": "0" * 16}).status_code == 409
    assert client.get("/api/clips/0/sound", params={"collection": digest}).status_code == 200
    assert client.get("/api/status", headers={"x-mfcl-collection": digest}).status_code == 200


def test_every_answer_forbids_what_the_page_does_not_need(client):
    for path in ("/", "/page/main.js", "/api/about", "/api/clips/0/sound", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    ["/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page/....//app.py", "/page//etc/passwd",
     "/page/%2fetc%2fpasswd", "/page/app.py", "/api/clips/..%2f..%2fetc%2fpasswd/sound", "/api/clips/-1/sound",
     "/api/clips/1e3/sound", "/api/clips/99999999999999999999/sound", "/api/clips/48/sound", "/api/maps/..%2fx",
     "/api/export/..%2fx?column=pitch"],
)  # fmt: skip
def test_no_path_leads_out(client, path):
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert b"import" not in answer.content


def test_a_page_for_others_says_so(session):
    with pytest.raises(MfclError, match="add --allow-remote"):
        server.check_host("0.0.0.0", allow_remote=False, then="the page")
    guarded = Guard(make_app(session), token=TOKEN, host="0.0.0.0", port=8450)
    cookies = {guarded.cookie: TOKEN}
    neighbour = Client(guarded, base_url="http://192.168.7.7:8450", cookies=cookies)
    assert neighbour.get("/api/about").status_code == 200
    assert neighbour.get("/api/about", headers={"host": "rebound.example:8450"}).status_code == 421


# ---- what is sent


def test_what_is_too_large_or_malformed_is_refused(client, session):
    before = session.book.version
    large = {"content-length": str(MOST_BODY + 1), **WRITES}
    assert client.post("/api/search", content=b"x", headers=large).status_code == 413
    assert client.post("/api/search", content=b"x", headers={"content-length": "1e3", **WRITES}).status_code == 413

    def endless():
        for _ in range(MOST_BODY // 2**20 + 2):
            yield bytes(2**20)

    assert client.post("/api/steps", content=endless(), headers=WRITES).status_code == 413  # no length was promised
    step = '{"column":%s,"how":"picked","cells":[%s]}'
    steps = [
        ('"a"', "[0]"), ("1", ""), ('"a"', '["0","label","x"]'), ('"a"', '[0,"label",7]'), ('"a"', '[0.5,"label","x"]'),
        ('"path"', '[0,"label","x"]'), ('"a\\nb"', '[0,"label","x"]'), ('"a"', '[0,"label","x\\ty"]'),
    ]  # fmt: skip
    bodies = [b"", b"[]", b"{", b"\xff", b'{"cells": 1}', b"[" * 100_000, *((step % one).encode() for one in steps)]
    for body in bodies:
        answer = client.post("/api/steps", content=body, headers=WRITES)
        assert answer.status_code == 400, body
        assert answer.json()["error"]
    assert session.book.version == before


def test_a_body_that_never_ends_is_given_up(client, monkeypatch):
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.05)

    class Slow:
        """A body of which a byte comes now and then."""

        def __aiter__(self):
            return self

        async def __anext__(self) -> bytes:
            await asyncio.sleep(0.2)
            return b" "

    answer = client.post("/api/steps", content=Slow(), headers=WRITES)
    assert answer.status_code == 400
    assert "took more than" in answer.json()["error"]


def answered(connection):
    """Read one whole answer: head and body may come in several pieces."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(4096)
    head, _, body = found.partition(b"\r\n\r\n")
    size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < size:
        body += connection.recv(4096)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize("host", ["a\0b", "\u00fc" * 80, "::1"])
def test_an_address_that_cannot_be_used_is_one_line(host, monkeypatch):
    def refused(*_: object) -> socket.socket:
        raise OSError(97, "Address family not supported by protocol")

    if host == "::1":  # as on a machine without IPv6
        monkeypatch.setattr(server.socket, "socket", refused)
    with pytest.raises(MfclError, match=r"cannot be used .*; choose another --host or --port"):
        server.bound_socket(host, 0)


def test_a_client_that_never_ends_its_head_is_hung_up_on(session, monkeypatch):
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    bound = server.bound_socket("127.0.0.1", 0)
    port = bound.getsockname()[1]
    guarded = Guard(make_app(session), token=TOKEN, host="127.0.0.1", port=port)
    config = uvicorn.Config(guarded, http=server.patient_protocol(), lifespan="off", log_level="error")
    answering = uvicorn.Server(config)
    with bound, running(lambda: answering.run(sockets=[bound]), lambda: setattr(answering, "should_exit", True)):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1")
            began = time.monotonic()
            assert slow.recv(100) == b""  # hung up
            assert time.monotonic() - began < 15
        with socket.create_connection(("127.0.0.1", port), timeout=20) as kept:  # an answered one is kept for more
            for _ in range(2):
                kept.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                head, _, body = answered(kept).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 403")
                assert body.startswith(b"No token")


def flac_bomb(seconds: int) -> bytes:
    """Hours of silence in little space."""
    made = io.BytesIO()
    with soundfile.SoundFile(made, "w", 8000, 1, format="FLAC") as file:
        for _ in range(seconds // 60):
            file.write(np.zeros(8000 * 60, dtype=np.float32))
    return made.getvalue()


@pytest.mark.parametrize("content", [b"", b"RIFF" + bytes(100), b"not a sound", bytes(10_000), b"fLaC" + b"\xff" * 500])
def test_malformed_sounds_are_refused_in_one_line(content, tmp_path):
    with pytest.raises(MfclError, match="cannot be heard") as said:
        hearing.hear(tmp_path, content)
    assert "\n" not in str(said.value)
    assert "/tmp" not in str(said.value).replace(str(tmp_path), "")


def test_only_the_beginning_of_a_bomb_is_decoded(tmp_path, monkeypatch):
    bomb = flac_bomb(1200)
    assert len(bomb) < 2 * 2**20
    heard = []
    monkeypatch.setattr(hearing, "limit_process", lambda **_: None)
    monkeypatch.setattr(
        sys, "argv", ["hearing", str(tmp_path / "none"), str(tmp_path / "bomb"), str(tmp_path / "out"), "0"]
    )
    (tmp_path / "bomb").write_bytes(bomb)
    whole = hearing.read_audio
    monkeypatch.setattr(hearing, "read_audio", lambda *given, **kept: heard.append(whole(*given, **kept)) or heard[-1])
    assert hearing.main() == 2  # there is no model
    assert len(heard[0][0]) == hearing.LONGEST * 8000


def test_a_silent_file_has_no_nearest_clips(tmp_path, monkeypatch, capsys):
    (tmp_path / "silent.flac").write_bytes(flac_bomb(60))
    monkeypatch.setattr(hearing, "limit_process", lambda **_: None)
    monkeypatch.setattr("mfcl.embedder.load", lambda *_, **__: None)
    words = ["hearing", str(tmp_path / "model"), str(tmp_path / "silent.flac"), str(tmp_path / "out"), "0"]
    monkeypatch.setattr(sys, "argv", words)
    assert hearing.main() == 2
    assert "silent: -120 dB in its first 60 s; drop a sound" in capsys.readouterr().err


def test_a_file_that_needs_too_much_memory_is_refused_by_its_process(tmp_path):
    bomb = flac_bomb(1200)
    with pytest.raises(MfclError, match="needed too much time or memory"):
        hearing.hear(tmp_path / "none", bomb, memory=2**26)
    with pytest.raises(MfclError, match="wanted a checkpoint"):  # with the usual limits it is heard
        hearing.hear(tmp_path / "none", bomb)


def test_a_file_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(MfclError, match="took more than 0 s"):
        hearing.hear(tmp_path, b"x", seconds=0.01)


# ---- what is answered


@pytest.mark.parametrize(
    ("model", "said"),
    [("b" * 64, "by the model bbbbbbbbbbbb, but"), ("c" * 64 + WHITENED, "vectors were whitened"), ("c" * 64, None)],
)
def test_a_file_is_not_looked_for_among_clips_of_another_model(tmp_path, monkeypatch, model, said):
    place = write_collection(tmp_path, mapped=False, model=model)
    session = Session(open_collection(place, model=tmp_path), who="ada")
    vector = session.collection.embeddings.vectors[5:6]
    monkeypatch.setattr(hearing, "hear", lambda model, content, *, voice: hearing.Dropped(vector, "c" * 64))
    answer = asked_by(session).post("/api/search", content=b"sound", headers=WRITES)
    session.close()
    if said is None:
        assert answer.json()["near"]["words"]["clips"][0] == 5
    else:
        assert answer.status_code == 400
        assert said in answer.json()["error"]


def test_sound_comes_by_byte_ranges(client):
    whole = client.get("/api/clips/3/sound")
    samples, rate = soundfile.read(io.BytesIO(whole.content))
    assert (rate, len(samples)) == (8000, 4800)
    some = client.get("/api/clips/3/sound", headers={"range": "bytes=100-199"})
    assert (some.status_code, some.content) == (206, whole.content[100:200])
    assert some.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert client.get("/api/clips/3/sound", headers={"range": "bytes=-50"}).content == whole.content[-50:]
    assert client.get("/api/clips/3/sound", headers={"range": "bytes=9000-"}).content == whole.content[9000:]
    past = client.get("/api/clips/3/sound", headers={"range": f"bytes={len(whole.content)}-"})
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
    for odd in ("bytes=5-1,7-9", "bytes=-", "lines=1-2", "bytes=" + 40 * "9" + "-", "bytes=a-b"):
        assert client.get("/api/clips/3/sound", headers={"range": odd}).status_code == 200


def test_a_quiet_clip_is_drawn_as_finely_as_a_loud_one(tmp_path):
    write_collection(tmp_path)
    loud, rate = soundfile.read(tmp_path / "sounds" / "low-05.wav")
    soundfile.write(tmp_path / "sounds" / "low-06.wav", loud / 20, rate, subtype="FLOAT")
    found = open_collection(tmp_path / "clips.npz", audio=tmp_path / "manifest.csv")
    session = Session(found, labels=tmp_path / "labels.db")
    (_, wave, _), (_, quiet, _) = (session.sounds.picture(clip) for clip in (5, 6))
    assert abs(wave).max() == 127
    np.testing.assert_allclose(quiet, wave, atol=3)  # it comes as 16 bits
    session.close()


def test_a_picture_shows_the_pitch(client):
    rows = []
    for clip in (0, PER_PITCH, 2 * PER_PITCH):
        about, arrays = unpacked(client.get(f"/api/clips/{clip}/picture").content)
        assert about["seconds"] == pytest.approx(0.6)
        assert arrays["outline"].shape[0] == 2
        rows.append(int(arrays["shades"].astype(float).mean(axis=1).argmax()))
    assert rows == sorted(rows)
    assert rows[0] < rows[2]


def test_maps_columns_and_neighbours(client):
    about = client.get("/api/about").json()
    assert (about["count"], about["parts"], about["sound"]) == (COUNT, ["words", "voices"], COUNT)
    _, places = unpacked(client.get("/api/maps/words").content)
    assert places["places"].shape == (COUNT, 2)
    assert np.abs(places["places"]).max() <= 1.000001
    told, codes = unpacked(client.get("/api/columns", params={"name": "pitch"}).content)
    assert [told["values"][code] for code in codes["codes"][[0, -1]]] == ["low", "high"]
    near = client.get("/api/clips/0/near", params={"part": "words", "count": 5}).json()
    assert near["clips"][0] == 1  # its near-duplicate
    assert near["distances"] == sorted(near["distances"])
    assert all(clip < PER_PITCH for clip in near["clips"])
    more = client.get("/api/clips/0/near", params={"part": "words", "count": 40}).json()  # more than are kept
    assert more["clips"][:5] == near["clips"]
    assert more["distances"][:5] == pytest.approx(near["distances"], abs=1e-3)
    for query in ({"part": "tune"}, {}, {"part": "words", "count": "0"}, {"part": "words", "count": "1e9"}):
        assert client.get("/api/clips/0/near", params=query).status_code == 400


def test_labels_guesses_and_an_honest_estimate(client, session):
    def post(path, **body):
        return client.post(path, content=json.dumps(body), headers=WRITES)

    assert client.get("/api/guesses", params={"column": "heard"}).status_code == 202
    cells = [[clip, "label", name] for clip, name in ((2, "low"), (20, "middle"), (40, "high"))]
    assert post("/api/steps", column="heard", how="picked", cells=cells).status_code == 200
    began = time.monotonic()
    told, guessed = unpacked(client.get("/api/guesses", params={"column": "heard"}).content)
    assert time.monotonic() - began < 5
    truth = session.column("pitch")
    assert [told["values"][code] for code in guessed["codes"]] == truth.tolist()
    assert guessed["confidence"][2] == 1
    found = client.get("/api/suggestions", params={"column": "heard", "order": "sure", "count": 6}).json()["clips"]
    assert sorted(truth[found].tolist()) == ["high"] * 2 + ["low"] * 2 + ["middle"] * 2
    assert not set(found) & {2, 20, 40}
    useful = client.get("/api/suggestions", params={"column": "heard", "order": "useful", "count": 4}).json()["clips"]
    assert len(set(useful)) == 4
    assert post("/api/held-out", column="heard", count=10).status_code == 200
    held = client.get("/api/suggestions", params={"column": "heard", "order": "held"}).json()["clips"]
    assert len(held) == 10
    group = post("/api/steps", column="heard", how="lassoed", cells=[[clip, "label", "low"] for clip in held[:3]])
    assert group.status_code == 400
    assert "3 of the clips are held out" in group.json()["error"]
    lies = {held[0]: "low" if truth[held[0]] != "low" else "high"}
    cells = [[clip, "label", lies.get(clip, str(truth[clip]))] for clip in held]
    post("/api/steps", column="heard", how="picked", cells=cells)
    estimate = client.get("/api/estimate", params={"column": "heard"}).json()
    assert (estimate["labelled"], estimate["right"]) == (10, 9)  # held-out labels, the lie too, are not learned from
    assert estimate["low"] == pytest.approx(0.596, abs=1e-3)
    assert estimate["high"] == pytest.approx(0.982, abs=1e-3)
    assert estimate["more"] > 100


def test_the_beginning_of_the_held_out_set_is_a_fair_sample_too(session):
    """Clips come in the order of their folders: its first half by number would be of the first kinds alone."""
    book, helper = session.book, session.assistant
    drawn = helper.draw_held_out("fair", 40)
    book.step("fair", "drawn", [Cell(clip, HELD, "1") for clip in drawn])
    queue = helper.suggestions("fair", "held", 40)
    assert sorted(queue) == drawn
    assert {session.column("pitch")[clip] for clip in queue[:12]} == {"low", "middle", "high"}
    book.step("fair", "picked", [Cell(queue[0], LABEL, "low")])
    assert helper.suggestions("fair", "held", 5) == queue[1:6]  # what is left keeps its order


def test_a_rejected_guess_does_not_come_again(session):
    book, helper = session.book, session.assistant
    book.step("again", "picked", [Cell(2, LABEL, "low"), Cell(20, LABEL, "middle")])
    before = helper.guesses("again")
    clip = helper.suggestions("again", "sure", 1)[0]
    wrong = before.classes[before.codes[clip]]
    book.step("again", "rejected", [Cell(clip, "rejected", json.dumps([wrong]))])
    after = helper.guesses("again")
    assert after.classes[after.codes[clip]] != wrong
    assert clip not in helper.suggestions("again", "sure", COUNT, label=wrong)
    assert set(helper.draw_held_out("again", COUNT)) == set(range(COUNT)) - {2, 20, clip}  # it is no fair sample now


def test_exports_say_when_and_where(session, folder):
    book = session.book
    book.step("call", "picked", [Cell(0, LABEL, "low call"), Cell(47, LABEL, "high call")])
    rows = labelled(book, "call", None)
    tracks = zipfile.ZipFile(io.BytesIO(audacity_zip(session.collection, rows)))
    assert [tracks.read(name).decode() for name in tracks.namelist()] == [
        "0.000000\t0.600000\tlow call\n", "0.000000\t0.600000\thigh call\n",
    ]  # fmt: skip
    tables = zipfile.ZipFile(io.BytesIO(raven_zip(session.collection, "call", rows)))
    lines = tables.read(tables.namelist()[0]).decode().splitlines()
    assert dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))["High Freq (Hz)"] == "4000.0"
    everything = labelled(book, "call", session.assistant.guesses("call"))
    assert len(everything) == COUNT
    assert {one.how for one in everything} == {"picked", "spread"}


@pytest.mark.parametrize("learned", [False, True])
def test_the_page_is_told_where_guesses_come_from_the_average_spectrum_alone(tmp_path, learned):
    table, truth = beside_noise(learned=learned)
    table.save(tmp_path / "clips.npz")
    session = Session(open_collection(tmp_path / "clips.npz"), who="ada")
    client = asked_by(session)
    session.spaces.prepared.graph(session.spaces.prepared.kinds[0])
    given = few(truth, 8)
    cells = [[int(clip), LABEL, str(given[clip])] for clip in np.flatnonzero(given != "")]
    assert client.post("/api/steps", json={"column": "heard", "how": "picked", "cells": cells}, headers=WRITES)
    before, _ = unpacked(client.get("/api/guesses?column=heard").content)
    assert before["note"] == ""  # no way was chosen yet
    while session.work.waiting:
        time.sleep(0.02)
    told, found = unpacked(client.get("/api/guesses?column=heard").content)
    assert (told["way"] == "spectrum") is not learned
    if not learned:
        assert "average spectrum alone" in told["note"]
        assert "hidden labels read" in told["note"]
        assert (np.array(told["values"])[found["codes"]] == truth).mean() > 0.9
        write_site(session, tmp_path / "site", audio=False)
        assert "average spectrum alone" in _written(tmp_path / "site")
    else:
        assert told["note"] == ""
    session.close()


def test_guesses_come_in_the_best_way_from_a_new_start_on_and_in_what_is_written(tmp_path):
    """The first way knows nothing here: after a start its guesses stood on the page until the best was found again."""
    table, truth = beside_noise(learned=False)
    table.save(tmp_path / "clips.npz")
    session = Session(open_collection(tmp_path / "clips.npz"), who="ada")
    given = few(truth, 8)
    session.step("heard", "picked", [Cell(int(clip), LABEL, str(given[clip])) for clip in np.flatnonzero(given != "")])
    write_site(session, tmp_path / "site", audio=False)  # of labels that no page has shown yet
    assert "average spectrum alone" in _written(tmp_path / "site")
    session.close()
    for kept in (True, False):
        if not kept:
            next((tmp_path / "clips.explore").glob("labels-ways-*.json")).write_text('{"heard": 1}')  # damaged
        again = Session(open_collection(tmp_path / "clips.npz"), who="ada")
        again.spaces.prepared.graph(again.spaces.prepared.kinds[0])
        told, found = unpacked(asked_by(again).get("/api/guesses?column=heard").content)
        assert (told["way"] == "spectrum") is kept
        assert ("average spectrum alone" in told["note"]) is kept
        right = (np.array(told["values"])[found["codes"]] == truth).mean()
        assert (right > 0.9) == kept
        again.close()


def _written(site: Path) -> str:
    """The packed guesses of a site, as text."""
    content = json.loads((site / "data.js").read_text().removeprefix("window.EXPLORER = ").rstrip().rstrip(";"))
    packed = content["arrays"]["/api/guesses?column=heard"]
    return base64.b64decode(packed).decode("utf-8", "replace")


def test_a_slow_fit_keeps_nobody_waiting_for_guesses(session, monkeypatch):
    session.step("slow", "picked", [Cell(0, LABEL, "a"), Cell(COUNT - 1, LABEL, "b")])
    helper, begun, done = session.assistant, threading.Event(), threading.Event()
    whole = session.spaces.prepared.fit

    def fit(labels, *, way):
        begun.set()
        assert done.wait(60)
        return whole(labels, way=way)

    monkeypatch.setattr(session.spaces.prepared, "fit", fit)
    slow = threading.Thread(target=helper.fitted, args=("slow",))
    slow.start()
    assert begun.wait(60)
    answers = []
    quick = threading.Thread(
        target=lambda: answers.extend([helper.guesses("slow"), helper.suggestions("slow", "useful", 3)])
    )
    quick.start()
    quick.join(30)
    waited = quick.is_alive()
    done.set()
    slow.join(60)
    quick.join(60)
    assert not waited
    assert len(answers[1]) == 3


def test_what_is_far_from_all_others_is_found_with_the_reason(folder, tmp_path):
    clips = load_embeddings(folder / "clips.npz")
    vectors = clips.vectors.copy()
    vectors[5] = -vectors.mean(axis=0) * 3
    replace(clips, vectors=vectors).save(tmp_path / "far.npz")
    spaces = Spaces(open_collection(tmp_path / "far.npz"))
    found = findings.outliers(spaces, "words")
    assert found[0].clip == 5
    assert "far from all others: its 5th nearest clip is at" in found[0].reason
    assert 5 not in [one.clip for one in findings.outliers(Spaces(open_collection(folder / "clips.npz")), "words")]


def test_copies_are_found_where_every_clip_has_one(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((20, 7)).astype(np.float32)
    names = np.array([f"{side}/{number}.wav" for side in ("here", "there") for number in range(20)])
    both = np.concatenate([vectors, vectors])
    Embeddings(both, names, {}, {}, np.full(40, "")).save(tmp_path / "twice.npz")
    found = findings.duplicates(Spaces(open_collection(tmp_path / "twice.npz")), "all")
    assert {(one.clip, one.other) for one in found} == {(clip, 20 + clip) for clip in range(20)}
    away = float(found[0].reason.removesuffix(" away").rpartition(" ")[2])
    assert away > 0.1  # what is usual is told by clips that are no copies


def test_where_all_near_clips_are_copies_no_distance_of_others_is_told(tmp_path):
    vectors = np.repeat(np.random.default_rng(0).standard_normal((2, 7)).astype(np.float32), 200, axis=0)
    names = np.array([f"{number}.wav" for number in range(400)])
    Embeddings(vectors, names, {}, {}, np.full(400, "")).save(tmp_path / "two.npz")
    found = findings.duplicates(Spaces(open_collection(tmp_path / "two.npz")), "all")
    assert {one.reason for one in found} == {"nearly the same: 0.000 apart; all near clips are copies"}


def test_a_site_is_as_private_as_other_new_folders(session, tmp_path):
    before = os.umask(0o077)
    try:
        write_site(session, tmp_path / "site", shown=False)
    finally:
        os.umask(before)
    assert not (tmp_path / "site").stat().st_mode & 0o077


def test_a_site_has_every_column_of_labels(session, tmp_path):
    session.step("first made", "picked", [Cell(0, LABEL, "a")])
    session.step("made ~ later", "picked", [Cell(0, LABEL, "x"), Cell(2, LABEL, "y")])
    write_site(session, tmp_path / "site", shown=False)
    text = (tmp_path / "site" / "data.js").read_text()
    data = json.loads(text.removeprefix("window.EXPLORER = ").removesuffix(";\n"))
    names = {one["name"] for one in data["answers"]["/api/about"]["columns"]}
    own = [one["name"] for one in data["answers"]["/api/about"]["own"]]
    assert set(session.book.columns) <= {*names, *own}
    about, arrays = unpacked(base64.b64decode(data["arrays"]["/api/columns?name=made+%7E+later"]))
    assert [about["values"][code] for code in arrays["codes"][:3]] == ["x", "", "y"]


def test_labels_of_a_column_that_came_are_not_hidden_by_own_ones_of_its_name(tmp_path):
    write_collection(tmp_path)
    session = Session(open_collection(tmp_path / "clips.npz"), who="ada")
    client = asked_by(session)
    session.step("first", "picked", [Cell(0, LABEL, "a")])
    session.step("pitch", "picked", [Cell(0, LABEL, "deep")])
    session.step("pitch: labels", "picked", [Cell(0, LABEL, "of that name")])

    def values(content):
        about, arrays = unpacked(content)
        return [about["values"][code] for code in arrays["codes"][:2]]

    assert values(client.get("/api/columns", params={"name": "pitch"}).content) == ["low", "low"]
    begun = client.post("/api/begin", json={"column": "next", "from": "pitch"}, headers=WRITES)
    assert begun.status_code == 200
    assert session.book.labels("next")[0] == "low"
    write_site(session, tmp_path / "site", shown=False)
    text = (tmp_path / "site" / "data.js").read_text()
    data = json.loads(text.removeprefix("window.EXPLORER = ").removesuffix(";\n"))
    kept = {name: values(base64.b64decode(text)) for name, text in data["arrays"].items() if "/columns" in name}
    assert kept["/api/columns?name=pitch"] == ["low", "low"]
    assert kept["/api/columns?name=pitch%3A+labels"] == ["of that name", ""]
    assert kept["/api/columns?name=pitch%3A+labels+2"] == ["deep", ""]
    told = [one["name"] for one in data["answers"]["/api/about"]["columns"]]
    assert {"pitch", "pitch: labels", "pitch: labels 2"} <= set(told)
    assert len(told) == len(set(told))
    session.close()


def test_a_column_begins_once(tmp_path):
    write_collection(tmp_path)
    session = Session(open_collection(tmp_path / "clips.npz"), who="ada")
    client = asked_by(session)

    def begin(source):
        return client.post("/api/begin", json={"column": "mine", "from": source}, headers=WRITES)

    assert begin("pitch").status_code == 200
    assert client.post("/api/undo", headers=WRITES).status_code == 200
    assert begin("maker").status_code == 200  # what was undone is in nobody's way
    again = begin("pitch")
    assert again.status_code == 400
    assert again.json()["error"] == "column: 'mine' is there already, with labels of its own; choose another name"
    assert set(session.book.labels("mine")) == {f"maker {number}" for number in range(4)}
    session.close()


def test_a_job_that_fails_in_any_way_is_told_and_the_next_ones_are_done(tmp_path, monkeypatch, caplog):
    write_collection(tmp_path)
    session = Session(open_collection(tmp_path / "clips.npz"), who="ada")
    client = asked_by(session)
    found, asked = findings.doubtful, []

    def doubtful(spaces, part, values):
        asked.append(set(values))
        if len(asked) == 1:
            raise ZeroDivisionError("by chance")
        return found(spaces, part, values)

    def ask(column):
        for _ in range(500):
            answer = client.get(f"/api/findings?kind=doubtful&part=words&column={column}")
            if answer.status_code != 202:
                return answer
            time.sleep(0.02)
        raise AssertionError("waited in vain")

    monkeypatch.setattr(findings, "doubtful", doubtful)
    failed = ask("pitch")
    assert failed.status_code == 400
    assert failed.json()["error"] == "doubtful in words by pitch, version 0: by chance"
    assert "ZeroDivisionError" in caplog.text  # what was not foreseen is told whole on the server's side
    assert [row["better"] for row in ask("wrong").json()["found"]] == ["high"]  # of another column nothing has failed
    session.close()


# ---- how it begins, lasts and ends


def test_windows_play_their_own_part_of_a_recording(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.concatenate([tone(1.0, 300, 8000), tone(1.0, 2000, 8000)]), 8000)
    ids = np.array(["long.wav@0.0", "long.wav@1.0"])
    labels = {"start": np.array(["0.0", "1.0"]), "end": np.array(["1.0", "2.0"])}
    Embeddings(np.eye(2, dtype=np.float32), ids, labels, {}, np.full(2, "")).save(tmp_path / "windows.npz")
    found = open_collection(tmp_path / "windows.npz", audio=tmp_path / "long.wav")
    assert [(one.start, one.end) for one in found.recordings.values()] == [(0.0, 1.0), (1.0, 2.0)]
    assert "start" not in found.columns


def test_held_out_windows_that_overlap_labelled_ones_are_told(tmp_path):
    soundfile.write(tmp_path / "long.wav", tone(6.0), 16000)
    starts = np.arange(0, 5.5, 0.5)
    labels = {"start": starts.astype(str), "end": (starts + 1).astype(str)}
    ids = np.array([f"long.wav@{start}" for start in starts])
    vectors = np.random.default_rng(0).standard_normal((len(ids), 8)).astype(np.float32)
    Embeddings(vectors, ids, labels, {}, np.full(len(ids), "")).save(tmp_path / "windows.npz")
    session = Session(open_collection(tmp_path / "windows.npz", audio=tmp_path / "long.wav"), who="ada")
    session.step("heard", "drawn", [Cell(clip, HELD, "1") for clip in (2, 6, 8)])
    session.step("heard", "picked", [Cell(clip, LABEL, "ab"[clip % 2]) for clip in (0, 3, 10)])
    for clip in (2, 6, 8):
        session.step("heard", "picked", [Cell(clip, LABEL, "a")])
    found = session.estimate("heard")
    assert (found.labelled, found.sharing) == (3, 1)  # 2 overlaps 3; 8 only touches 10
    session.close()


def test_windows_of_a_part_of_a_file_play_where_they_were_heard(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.concatenate([tone(1.0, 300, 8000), tone(1.0, 2000, 8000)]), 8000)
    write_text(tmp_path / "parts.csv", "path,start,end\nlong.wav,1.0,2.0\n")
    manifest, preparation = open_manifest(tmp_path / "parts.csv"), Preparation(sample_rate=8000)
    (pieces,) = recording_windows(manifest, preparation, LeftOut(), window=0.5, hop=0.5)
    starts = np.array([repr(one.start) for one in pieces])  # as `mfcl embed --window` writes them
    ends = np.array([repr(one.start + 0.5) for one in pieces])
    ids = np.array([f"{manifest.ids[0]}@{start}" for start in starts])
    windows = Embeddings(np.eye(2, dtype=np.float32), ids, {"start": starts, "end": ends}, {}, np.full(2, ""))
    windows.save(tmp_path / "windows.npz")
    found = open_collection(tmp_path / "windows.npz", audio=tmp_path / "parts.csv")
    assert [(one.start, one.end) for one in found.recordings.values()] == [(1.0, 1.5), (1.5, 2.0)]


def test_what_cannot_be_opened_is_told_in_one_line(folder, tmp_path, capsys, monkeypatch):
    def said(*words: str) -> str:
        assert main(["explore", *words, "--port", "0"]) == 2
        line = capsys.readouterr().err.strip()
        assert "\n" not in line
        return line

    assert "nothing there" in said(str(tmp_path / "none"))
    clips = load_embeddings(folder / "clips.npz")
    clips.select(np.arange(1)).save(tmp_path / "one.npz")
    assert "wanted 2 clips or more" in said(str(tmp_path / "one.npz"))
    replace(clips, vectors=np.full_like(clips.vectors, 77.7)).save(tmp_path / "equal.npz")
    assert "all 48 clips are equal" in said(str(tmp_path / "equal.npz"))
    twice = replace(clips, ids=np.concatenate([clips.ids[:-1], clips.ids[:1]]))
    twice.save(tmp_path / "twice.npz")
    assert "2 clips have the id 'sounds/low-00.wav'" in said(str(tmp_path / "twice.npz"))
    assert "it is none of them" in said(str(tmp_path))
    write_text(tmp_path / "no.npz", "no")
    assert "not a valid embeddings file" in said(str(tmp_path / "no.npz"))
    other = tmp_path / "other.wav"
    soundfile.write(other, tone(), 16000)
    assert "none of its 1 recordings" in said(str(folder / "clips.npz"), "--audio", str(other))
    assert "add --allow-remote" in said(str(folder / "clips.npz"), "--host", "0.0.0.0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["explore", str(folder / "clips.npz"), "--port", port]) == 2
        assert f"port {port} is in use" in capsys.readouterr().err
    with monkeypatch.context() as lacking:
        lacking.setitem(sys.modules, "uvicorn", None)
        assert "uvicorn is not installed" in said(str(folder / "clips.npz"))
    monkeypatch.setitem(sys.modules, "starlette", None)
    for name in [one for one in sys.modules if one.startswith(("starlette.", "mfcl.explore.app", "mfcl.web.guard"))]:
        monkeypatch.delitem(sys.modules, name)
    assert "pip install 'mfcl[explore]'" in said(str(folder / "clips.npz"))


def test_a_moved_folder_is_told_and_the_map_is_there(folder, tmp_path):
    moved = tmp_path / "manifest.csv"
    moved.write_text((folder / "manifest.csv").read_text())
    found = open_collection(folder / "clips.npz", audio=moved)
    assert (len(found), len(found.recordings)) == (COUNT, 0)
    assert "No sound" in found.notes[0]
    assert len(open_collection(folder / "clips.npz", audio=moved, data_root=folder).recordings) == COUNT


def test_a_table_for_embedding_atlas(folder, tmp_path):
    table = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    words = ["--audio", str(folder / "manifest.csv"), "--labels", str(tmp_path / "l.db"), "--quiet", "--with-audio"]
    assert main(["explore", str(folder / "clips.npz"), *words, "--parquet", str(tmp_path / "t.parquet")]) == 0
    rows = table.read_table(tmp_path / "t.parquet").to_pylist()
    assert len(rows) == COUNT
    assert rows[0]["neighbors"]["ids"][0] == 1
    assert rows[0]["neighbors"]["distances"] == sorted(rows[0]["neighbors"]["distances"])
    assert rows[5]["pitch"] == "low"
    assert rows[0]["audio"]["bytes"][:4] == b"RIFF"
    assert {"x", "y", "x_voices", "y_voices"} <= rows[0].keys()


def test_many_at_once_and_a_clean_end(folder, tmp_path):
    """50 clients, steady memory, and an end by Ctrl-C; what is killed instead is in test_explore_kills."""
    place = tmp_path / "clips.npz"
    load_embeddings(folder / "clips.npz").save(place)
    with serving(place, "--audio", str(folder / "manifest.csv")) as (address, process):
        base = address.split("/?")[0]
        with httpx.Client(base_url=base, follow_redirects=True, timeout=60) as own:
            assert own.get("/", params={"token": address.split("token=")[1]}).status_code == 200
            many(base, dict(own.cookies), process.pid)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
            assert "Traceback" not in process.stdout.read()


def many(base: str, cookies: dict[str, str], pid: int) -> None:
    """50 clients at once, each with all that a page asks for; the memory stays what it was after the first of them."""
    paths = ["/api/status", "/api/maps/words", "/api/clips/{}/sound", "/api/clips/{}/picture", "/api/ids"]

    def one(client: int) -> list[int]:
        with httpx.Client(base_url=base, cookies=cookies, timeout=120) as own:
            return [own.get(path.format(client % COUNT)).status_code for path in paths * 2]

    def resident() -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 if Path("/proc").is_dir() else 0

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert set(itertools.chain(*pool.map(one, range(50)))) == {200}
        before = resident()
        assert set(itertools.chain(*pool.map(one, range(50)))) == {200}
        assert resident() - before < 64 * 2**20


def test_nothing_of_torch_is_loaded():
    code = (
        "import sys; import mfcl.explore.app, mfcl.explore.session, mfcl.explore.site, mfcl.web.sockets;"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_labels_of_clips_without_a_recording_are_exported_too(folder, tmp_path):
    listed = tmp_path / "some.csv"
    listed.write_text("".join((folder / "manifest.csv").read_text().splitlines(keepends=True)[:11]))
    found = open_collection(folder / "clips.npz", audio=listed, data_root=folder, folder=tmp_path / "kept")
    session = Session(found, who="ada")
    client, cells = asked_by(session), [[0, LABEL, "a"], [9, LABEL, "b"], [COUNT - 1, LABEL, "c"]]
    for column, some in (("all", cells), ("heard", cells[:2])):
        client.post("/api/steps", json={"column": column, "how": "picked", "cells": some}, headers=WRITES)
    ids = client.get("/api/export/csv?column=all").text.splitlines()
    assert ids[0] == "id,all,all_how,all_confidence"
    assert [line.split(",")[:2] for line in ids[1:]] == [
        ["sounds/low-00.wav", "a"], ["sounds/low-09.wav", "b"], ["sounds/high-15.wav", "c"]
    ]  # fmt: skip
    assert client.get("/api/export/csv?column=heard").text.startswith("path,")  # all of these have one
    for kind in ("audacity", "raven"):
        said = client.get(f"/api/export/{kind}?column=all")
        assert said.status_code == 400
        assert "no recording of 1 of the 3 labelled clips, such as 'sounds/high-15.wav'" in said.json()["error"]
    session.close()


def test_a_clip_without_a_recording_is_silent(folder):
    found = open_collection(folder / "clips.npz", folder=folder / "elsewhere")
    made = Session(found, labels=folder / "silent.db")
    with pytest.raises(AudioError, match="name the recordings"):
        made.sounds.wav(0)
    assert made.about()["sound"] == 0
    made.close()
