"""The endpoint answers as the commands do, many at once, and refuses what it should."""

import asyncio
import csv
import http.client
import io
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

import mfcl
from mfcl import cli
from mfcl.audio import Preparation
from mfcl.errors import AudioError, MeasureError
from mfcl.serving import app as routes
from mfcl.serving.app import Guard, make_app
from mfcl.serving.batching import Batches
from mfcl.serving.service import Service
from mfcl.web import decoding
from mfcl.web.decoding import Decoded, Decoders, prepare_file
from mfcl.web.guard import MOST_BODY
from tests.small_model import RATE, SETTINGS, saved, sound

HOST = "127.0.0.1:8451"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, a model, and a classifier and a gallery of it; and another model."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "clips").mkdir()
    rows = []
    for place in range(12):
        clip = 0.7 * sound(0.5 + 0.03 * place, seed=4 * (place % 3))
        clip += 0.02 * np.random.default_rng(place).standard_normal(len(clip)).astype(np.float32)
        soundfile.write(folder / "clips" / f"{place}.wav", clip, RATE)
        rows += [(f"{place}.wav", f"pitch {place % 3}")] if place < 6 else []
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "pitch"), *rows])
    saved(SETTINGS, folder / "model")
    saved({**SETTINGS, "name": "other", "preparation": {"sample_rate": RATE}}, folder / "other")
    words = ["classify", folder / "model", folder / "clips", "--labels", folder / "labels.csv", "--fit", folder / "c"]
    assert cli.main([*map(str, words), "--quiet"]) == 0
    with mfcl.Gallery.create(folder / "g.db", folder / "model", cohort=folder / "clips") as gallery:
        gallery.enrol("Ada", [folder / "clips" / "0.wav", folder / "clips" / "3.wav"])
        gallery.enrol("Bo", [folder / "clips" / "1.wav", folder / "clips" / "4.wav"])
    return folder


@pytest.fixture(scope="module")
def service(desk: Path) -> Iterator[Service]:
    made = Service(desk / "model", classifier=desk / "c", gallery=desk / "g.db", device="cpu")
    yield made
    made.close()


def test_a_classifier_of_a_format_that_is_not_embedded_is_refused_before_anybody_asks(desk: Path) -> None:
    model = mfcl.load(desk / "model", device="cpu")
    model.model.default_format = "mel"  # as of a model of which that encoder alone was trained
    with pytest.raises(MeasureError, match=r"with the part 'wave .*, got 0; they are its model's, but lack that"):
        Service(model, classifier=desk / "c")


def ask(app: Any, *requests: tuple[str, str, dict], base: str = f"http://{HOST}") -> list[httpx.Response]:
    """Send requests together."""

    async def work() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
            return await asyncio.gather(*(client.request(way, path, **given) for way, path, given in requests))

    return asyncio.run(work())


def guarded(service: Service, token: str | None = None, host: str = "127.0.0.1") -> Guard:
    return Guard(make_app(service), token=token, host=host, port=8451)


def post(app: Any, content: bytes, path: str = "/sound", **headers: str) -> httpx.Response:
    return ask(app, ("POST", path, {"content": content, "headers": headers}))[0]


def test_answers_are_those_of_the_commands(desk: Path, service: Service) -> None:
    app, model = guarded(service), mfcl.load(desk / "model", device="cpu")
    for name in ("2.wav", "7.wav"):
        file = desk / "clips" / name
        answer = post(app, file.read_bytes())
        assert answer.status_code == 200
        found = answer.json()
        np.testing.assert_allclose(found["embedding"], model.encode([file])[0], rtol=1e-4, atol=1e-5)
        white = post(app, file.read_bytes(), "/sound?embedding=whitened").json()["embedding"]
        np.testing.assert_allclose(white, model.encode([file], whiten=True)[0], rtol=1e-3, atol=1e-4)
        assert "embedding" not in post(app, file.read_bytes(), "/sound?embedding=none").json()
        own = mfcl.classify(desk / "c", file).predictions
        assert found["class"]["label"] == own.labels[0]
        assert found["class"]["probabilities"] == pytest.approx(
            dict(zip(own.classes.tolist(), own.probabilities[0].tolist(), strict=True)), abs=1e-4
        )
        with mfcl.Gallery.open(desk / "g.db") as gallery:
            (voice,) = gallery.identify([file])
        assert (found["voice"]["name"], found["voice"]["best"]) == (voice.name, voice.best)
        assert found["voice"]["score"] == pytest.approx(voice.score, abs=1e-3)
        assert found["notices"] == []


def test_requests_that_come_together_are_computed_together(
    desk: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted((desk / "clips").glob("*.wav"))
    alone = [post(make_app(service), file.read_bytes()).json() for file in files]
    sizes, decoded, own, decode = [], [], service.answers, service.decoders.decode

    def counted(sounds: list) -> list:
        sizes.append(len(sounds))
        began = time.monotonic()
        while len(decoded) < len(files) and time.monotonic() - began < 60:  # the others come meanwhile
            time.sleep(0.01)
        return own(sounds)

    def told(content: bytes) -> Decoded:
        found = decode(content)
        decoded.append(found)
        return found

    monkeypatch.setattr(service, "answers", counted)
    monkeypatch.setattr(service.decoders, "decode", told)
    together = ask(make_app(service), *(("POST", "/sound", {"content": file.read_bytes()}) for file in files))
    assert sum(sizes) == len(files)
    assert max(sizes) > 2
    for one, other in zip(alone, together, strict=True):
        # not its label: the collection's own clips lie on the edge of "unknown", where rounding decides
        assert other.json()["class"]["likeliest"] == one["class"]["likeliest"]
        assert other.json()["class"]["probability"] == pytest.approx(one["class"]["probability"], abs=0.01)
        np.testing.assert_allclose(other.json()["embedding"], one["embedding"], rtol=1e-3, atol=1e-4)


def test_a_batch_that_fails_is_told_to_each_and_the_next_goes_on() -> None:
    seen: list[list[int]] = []

    def work(items: list[int]) -> list[int]:
        seen.append(items)
        time.sleep(0.02)
        if 3 in items:
            raise AudioError("three")
        return [10 * item for item in items]

    async def all_of_them() -> list[Any]:
        with ThreadPoolExecutor(1) as pool:
            batches = Batches(work, pool, most=2)
            first = await asyncio.gather(*map(batches.answer, range(6)), return_exceptions=True)
            return [*first, await batches.answer(7)]

    found = asyncio.run(all_of_them())
    assert [len(items) for items in seen][:3] == [2, 2, 2]
    assert [one for one in found if isinstance(one, int)] == [0, 10, 40, 50, 70]
    assert [str(one) for one in found[2:4]] == ["three", "three"]


@pytest.mark.parametrize(
    ("path", "content", "headers", "message"),
    [
        ("/sound", b"", {}, "got nothing"),
        ("/sound", b"RIFF" + bytes(60), {}, "the file: not a readable audio file"),
        ("/sound", b"words", {"content-type": "multipart/form-data; boundary=x"}, "got a form; with curl"),
        ("/sound", b"words", {"content-type": "Multipart/Form-Data; boundary=x"}, "got a form; with curl"),
        ("/sound?embedding=big", b"words", {}, "no choice is called 'big'"),
        ("/sound?embeding=none", b"words", {}, "no query is called 'embeding'; use one of embedding"),
    ],
)
def test_what_is_no_sound_is_one_line(service: Service, path: str, content: bytes, headers: dict, message: str) -> None:
    answer = post(guarded(service), content, path, **headers)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert "/tmp" not in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def long_file(seconds: int) -> bytes:
    made = io.BytesIO()
    soundfile.write(made, 0.1 * np.sign(np.sin(np.arange(seconds * 8000))), 8000, format="FLAC")
    return made.getvalue()


def test_what_is_too_long_too_large_or_too_much_is_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = post(guarded(service), long_file(61))
    assert answer.status_code == 400
    assert "the file lasts 61 s, wanted at most 60 s" in answer.json()["error"]
    assert post(guarded(service), b"x", **{"content-length": str(MOST_BODY + 1)}).status_code == 413
    monkeypatch.setattr(routes, "MOST_INSIDE", 0)
    assert post(guarded(service), b"x").status_code == 503
    assert ask(guarded(service), ("GET", "/sound", {}))[0].status_code == 405


def test_others_are_refused(service: Service) -> None:
    about = ("GET", "/about", {})
    assert ask(guarded(service), about)[0].json()["classes"] == ["pitch 0", "pitch 1", "pitch 2"]
    assert ask(guarded(service), about, base="http://rebound.example:8451")[0].status_code == 421
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert ask(guarded(service), ("GET", "/about", {"headers": headers}))[0].status_code == 403
    remote = guarded(service, token="secret", host="0.0.0.0")
    for given, status in (("", 401), ("Bearer wrong", 401), ("Bearer secret", 200)):
        answer = ask(remote, ("GET", "/about", {"headers": {"authorization": given}}), base="http://192.168.1.2:8451")
        assert answer[0].status_code == status
        assert answer[0].headers["x-content-type-options"] == "nosniff"


def test_the_description_is_of_what_is_answered(desk: Path, service: Service) -> None:
    described = ask(guarded(service), ("GET", "/openapi.json", {}))[0].json()
    assert described["openapi"] == "3.1.0"
    posted = described["paths"]["/sound"]["post"]
    schema = posted["responses"]["200"]["content"]["application/json"]["schema"]
    found = post(guarded(service), (desk / "clips" / "2.wav").read_bytes()).json()
    assert schema["properties"].keys() == found.keys()
    for name in ("class", "voice"):
        assert schema["properties"][name]["properties"].keys() == found[name].keys()
    assert posted["parameters"][0]["schema"]["enum"] == ["plain", "whitened", "none"]
    elsewhere = ask(guarded(service), ("POST", "/sound", {"content": b"x"}), base="http://rebound.example:8451")[0]
    for answer in (elsewhere, post(guarded(service), b"x", **{"content-length": str(MOST_BODY + 1)})):
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in posted["responses"][str(answer.status_code)]["content"]
    plain = Service(desk / "other", device="cpu")
    try:
        about = plain.about()
        assert (about["classes"], about["voices"]) == (None, False)
        answer = post(make_app(plain), (desk / "clips" / "2.wav").read_bytes())
        assert set(answer.json()) == {"seconds", "notices", "embedding"}
    finally:
        plain.close()


def test_a_file_that_takes_too_long_ends_its_process_and_the_next_one_is_heard(desk: Path) -> None:
    decoders = Decoders(Preparation(RATE), 1, seconds=0.01)
    try:
        with pytest.raises(AudioError, match="needs too much time or memory, or is damaged"):
            decoders.decode(b"x")
        decoders._seconds = 60
        found = decoders.decode((desk / "clips" / "1.wav").read_bytes())
        samples, _ = soundfile.read(desk / "clips" / "1.wav")
        assert len(found.samples) == len(samples)
        worker = decoders._free.get()
        assert worker is not None
        assert worker.files == 1
        decoders._free.put(worker)
    finally:
        decoders.close()


def test_a_process_that_was_ended_while_it_waited_is_no_fault_of_the_next_file(desk: Path) -> None:
    decoders, content = Decoders(Preparation(RATE), 1), (desk / "clips" / "1.wav").read_bytes()
    try:
        first = decoders.decode(content)
        worker = decoders._free.get()
        assert worker is not None
        worker._process.kill()
        worker._process.wait()
        decoders._free.put(worker)
        assert np.array_equal(decoders.decode(content).samples, first.samples)
    finally:
        decoders.close()


def test_prepared_samples_are_the_librarys(desk: Path, tmp_path: Path) -> None:
    preparation = Preparation(RATE, level_db=-25.0)
    notices = prepare_file(desk / "clips" / "1.wav", tmp_path / "out.npy", preparation)
    wanted = mfcl.audio.heard(mfcl.audio.read_prepared(desk / "clips" / "1.wav", preparation)[0])
    assert np.array_equal(np.load(tmp_path / "out.npy"), wanted)
    assert notices == ()
    (tmp_path / "long.flac").write_bytes(long_file(61))
    with pytest.raises(AudioError, match="61 s"):
        prepare_file(tmp_path / "long.flac", tmp_path / "out.npy", preparation)


def test_a_process_is_replaced_after_many_files(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "FILES", 1)
    decoders = Decoders(Preparation(RATE), 1)
    try:
        decoders.decode((desk / "clips" / "1.wav").read_bytes())
        assert decoders._free.get() is None
        decoders._free.put(None)
    finally:
        decoders.close()


def test_the_command_serves_until_it_is_stopped(desk: Path) -> None:
    words = ["serve", desk / "model", "--classifier", desk / "c", "--gallery", desk / "g.db", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mfcl", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    clock = threading.Timer(120, process.kill)
    clock.start()
    try:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        address = re.search(r"http://127.0.0.1:(\d+)/sound", said)
        assert address is not None
        assert "note: not calibrated" in said
        (note,) = httpx.get(address[0].replace("/sound", "/about"), timeout=60).json()["notes"]
        assert note.startswith("not calibrated")
        answer = httpx.post(address[0], content=(desk / "clips" / "0.wav").read_bytes(), timeout=60)
        assert answer.json()["voice"]["best"] == "Ada"
        # a client that sends the whole body before it reads is told why it was refused, and not cut off
        mebibyte = bytes(2**20)
        for sent in (mebibyte * 100, (mebibyte for _ in range(100))):
            line = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=60)
            line.request("POST", "/sound", sent, {"Connection": "close"})
            refused = line.getresponse()
            assert refused.status == 413
            assert b"shorter file" in refused.read()
            line.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) in (0, 130)
        assert "Traceback" not in process.stdout.read()
    finally:
        clock.cancel()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_what_cannot_be_served_is_one_line(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*words: object) -> str:
        assert cli.main(["serve", *map(str, words), "--port", "0"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "add --allow-remote" in said(desk / "model", "--host", "0.0.0.0")
    assert "bound to the model" in said(desk / "other", "--classifier", desk / "c")
    assert "bound to the model" in said(desk / "other", "--gallery", desk / "g.db")
    assert "wanted a classifier" in said(desk / "model", "--classifier", desk / "clips")
    assert "wanted a checkpoint" in said(desk / "clips")
    with monkeypatch.context() as lacking:
        lacking.setitem(sys.modules, "uvicorn", None)
        assert "uvicorn is not installed" in said(desk / "model")
    monkeypatch.setitem(sys.modules, "starlette", None)
    for name in [one for one in sys.modules if one.startswith(("starlette.", "mfcl.serving.app", "mfcl.web.guard"))]:
        monkeypatch.delitem(sys.modules, name)
    assert "pip install 'mfcl[serve]'" in said(desk / "model")


def test_json_can_hold_every_answer(service: Service, tmp_path: Path) -> None:
    with mfcl.Gallery.create(tmp_path / "empty.db", service.model, cohort_size=0):
        pass
    empty = Service(service.model, gallery=tmp_path / "empty.db")
    try:
        found = post(make_app(empty), long_file(1)).json()
        assert (found["voice"]["name"], found["voice"]["score"]) == ("unknown", None)
        json.dumps(found, allow_nan=False)
    finally:
        empty.close()
