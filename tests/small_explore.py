"""A small collection to explore: tones of three pitches by four makers, their vectors, and a server of its own."""

import asyncio
import contextlib
import json
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import soundfile

from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import WHITENED, Embeddings
from mfcl.explore.app import make_app
from mfcl.explore.collection import open_collection
from mfcl.explore.guard import Guard
from mfcl.explore.session import Session
from mfcl.explore.spaces import Spaces
from mfcl.voices import Gallery, Heard
from tests.small_voices import SmallListener
from tests.sounds import tone

PITCHES = {"low": 300.0, "middle": 900.0, "high": 2700.0}
PER_PITCH = 16
TOKEN = "a-token-of-this-test"
HOST = "127.0.0.1:8450"
WRITES = {"x-mfcl": "1"}
MODEL = "a" * 64 + WHITENED


def write_collection(folder: Path, *, hostile: bool = False, mapped: bool = True, model: str = MODEL) -> Path:
    """Write sounds, `manifest.csv` and `clips.npz`; the first two clips are the same, the last one's `wrong` lies.

    Its maps are kept as if they had been worked out, unless `mapped` is false. `model`: who made the vectors.
    """
    (folder / "sounds").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names, pitches, makers, vectors = [], [], [], []
    for number, (pitch, hertz) in enumerate(PITCHES.items()):
        for take in range(PER_PITCH):
            maker = take % 4
            name = f"{pitch}-{take:02d}.wav"
            if hostile and not take:
                name = f"{pitch} <img src=x onerror=alert(1)> \"'&.wav"
            soundfile.write(folder / "sounds" / name, tone(0.6, hertz * (1 + 0.02 * maker), 8000), 8000)
            own = [6.0 * (number == other) for other in range(3)] + [6.0 * (maker == other) for other in range(4)]
            vectors.append(np.array(own) + 0.05 * rng.standard_normal(7))
            names.append(f"sounds/{name}")
            pitches.append(pitch)
            makers.append(f"maker {maker}")
    vectors[1] = vectors[0]
    wrong = [*pitches[:-1], "low"]
    columns = {"pitch": pitches, "maker": makers, "wrong": wrong}
    lines = ["path,id,split,pitch,maker,wrong"]
    quoted = [f'"{name.replace(chr(34), 2 * chr(34))}"' for name in names]
    for row, name in enumerate(quoted):
        lines.append(f"{name},{name},train,{pitches[row]},{makers[row]},{wrong[row]}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = Embeddings(
        np.array(vectors, dtype=np.float32),
        np.array(names),
        {name: np.array(values) for name, values in columns.items()},
        {"mel words": (0, 3), "mel voices": (3, 7)},
        np.full(len(names), "train"),
        model,
    )
    made.save(folder / "clips.npz")
    spaces = Spaces(open_collection(folder / "clips.npz"))
    for part in ("words", "voices") if mapped else ():
        spaces.keep_map(part, np.arange(len(names)), spaces.principal(part))
    return folder / "clips.npz"


class MakerListener(SmallListener):
    """Says that it is the model of the collection's vectors."""

    dim = 4


def write_gallery(folder: Path, *, makers: tuple[int, ...] = (0, 1), digest: str = "a" * 64) -> Path:
    """Write `team.db`, a gallery of some of the collection's makers; strangers score about 0.5 with them."""
    found = load_embeddings(folder / "clips.npz")
    vectors, names = found.only("voices").vectors, found.label("maker")
    strangers = np.tile(np.eye(4, dtype=np.float32)[2] + np.array([0.7, 0.7, 0, 0], np.float32), (40, 1))
    with Gallery.create(
        folder / "team.db", MakerListener(digest), cohort=_heard(strangers, "stranger"), nearest=0
    ) as made:
        for maker in makers:
            own = np.flatnonzero(names == f"maker {maker}")[3:7]
            made.enrol(f"maker {maker}", _heard(vectors[own], f"maker {maker}"), consent="2026-01-02")
    return folder / "team.db"


def _heard(vectors: np.ndarray, name: str) -> Heard:
    count = len(vectors)
    return Heard(vectors, np.ones(count), np.full(count, -25.0), tuple(f"{name} {at}" for at in range(count)))


class Client:
    """Asks an application as a browser would, without a socket."""

    def __init__(self, app, *, base_url=f"http://{HOST}", cookies=None) -> None:
        self._app, self._base, self._cookies = app, base_url, cookies or {}

    def get(self, path, **given) -> httpx.Response:
        return self._ask("GET", path, **given)

    def post(self, path, **given) -> httpx.Response:
        return self._ask("POST", path, **given)

    def _ask(self, method, path, *, content=None, **given) -> httpx.Response:
        async def pieces():
            for piece in content:
                yield piece

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url=self._base, cookies=self._cookies) as own:
                plain = content is None or isinstance(content, bytes | str) or hasattr(content, "__aiter__")
                body = content if plain else pieces()
                answer = await own.request(method, path, content=body, **given)
                self._cookies = dict(own.cookies)
                return answer

        return asyncio.run(ask())


def asked_by(session: Session) -> Client:
    guarded = Guard(make_app(session), token=TOKEN, host="127.0.0.1", port=8450)
    return Client(guarded, cookies={guarded.cookie: TOKEN})


def unpacked(content: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """What `packing.packed` packed."""
    size = struct.unpack("<I", content[:4])[0]
    header = json.loads(content[4 : 4 + size])
    arrays = {}
    for name, one in header["arrays"].items():
        start = 4 + size + one["at"]
        kind = np.dtype(one["kind"])
        end = start + kind.itemsize * int(np.prod(one["shape"]))
        arrays[name] = np.frombuffer(content[start:end], kind).reshape(one["shape"])
    return header["about"], arrays


@contextlib.contextmanager
def serving(place: Path, *options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server in a process of its own, and the address that it prints."""
    words = [sys.executable, "-m", "mfcl", "explore", str(place), "--port", "0", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            said, began = "", time.monotonic()
            while "Ctrl-C" not in said and time.monotonic() - began < 120:
                line = process.stdout.readline()
                assert line or process.poll() is None, said
                said += line
            found = re.search(r"http://\S+", said)
            assert found, said
            yield found[0], process
        finally:
            process.kill()
