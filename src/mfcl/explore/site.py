"""A copy of the page that needs no server: a folder that opens from disk or any web host."""

import base64
import io
import json
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import numpy as np
import soundfile

from mfcl.core.console import printable
from mfcl.core.files import check_folder_place, entries
from mfcl.core.progress import progress
from mfcl.errors import AudioError, MfclError
from mfcl.explore.background import place
from mfcl.explore.labels import counts
from mfcl.explore.packing import packed
from mfcl.explore.session import Session

PAGE = Path(__file__).parent / "page"
NEAREST = 12
MOST_NEAR = 20_000
"""Most clips of a site with nearest clips."""
WITHOUT = {"recorder.js", "api-static.js"}
"""Scripts that a site does not have under their own name."""
IMPORT = re.compile(r'^import \{ ([^}]*) \} from "\./([\w-]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (async function|function|const) (\[[^\]]*\]|\w+)", re.MULTILINE)


def write_site(session: Session, folder: Path, *, audio: bool = False, shown: bool = True) -> tuple[int, int]:
    """Write a site of everything that the page shows: maps, labels and guesses, nearest clips, and the sound if wanted.

    Args:
        session: What is shown.
        folder: A new or empty folder.
        audio: Copy the sound, as FLAC, and the clips' pictures.
        shown: Show progress.

    Returns:
        The number of clips with sound, and of those whose sound cannot be read.

    Raises:
        MfclError: the folder is not empty or cannot be written.
    """
    check_folder_place(folder)
    if entries(folder):
        raise MfclError(f"{folder}: wanted a new or empty folder for the site, it is not empty; choose another")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=folder.parent) as made:
        site = Path(made) / "site"
        (site / "sounds").mkdir(parents=True)
        for part in session.parts:
            place(session.spaces, part, session.maps)
        heard = _sounds(session, site / "sounds", shown=shown) if audio else (0, 0)
        if not audio:
            (site / "sounds").rmdir()
        (site / "data.js").write_text(_data(session, sound=heard[0]), encoding="utf-8")
        scripts = {path.name: path.read_text(encoding="utf-8") for path in PAGE.glob("*.js")}
        (site / "page.js").write_text(bundled(scripts), encoding="utf-8")
        (site / "index.html").write_text(_page((PAGE / "index.html").read_text(encoding="utf-8")), encoding="utf-8")
        for name in ("page.css", "icon.svg"):
            shutil.copyfile(PAGE / name, site / name)
        if folder.exists():
            folder.rmdir()
        site.rename(folder)
    return heard


def bundled(scripts: Mapping[str, str], start: str = "main.js") -> str:
    """Return the page's modules as one script, since a page from disk cannot load modules.

    Each module becomes a function's body, in the order in which they need each other; the server's answers are
    replaced by those that were written down.

    Raises:
        ValueError: modules that need each other.
    """
    held = {name: text for name, text in scripts.items() if name not in WITHOUT}
    # what unpacks arrays is needed without a server too
    held["api.js"] = scripts["api-static.js"].replace('"./api.js"', '"./server.js"')
    held["server.js"] = scripts["api.js"]
    order: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"modules that need each other: {' '.join([*path, name])}")
        if name not in order:
            for needed in IMPORT.findall(held[name]):
                visit(needed[1], (*path, name))
            order.append(name)

    visit(start, ())
    bodies = []
    for name in order:
        exported = [one.strip() for _, names in EXPORT.findall(held[name]) for one in names.strip("[]").split(",")]
        body = IMPORT.sub(r'const { \1 } = modules["\2"];', EXPORT.sub(r"\1 \2", held[name]))
        bodies.append(f'modules["{name}"] = (() => {{\n{body}\nreturn {{ {", ".join(exported)} }};\n}})();\n')
    return '"use strict";\nconst modules = {};\n' + "".join(bodies)


def _page(text: str) -> str:
    scripts = '<script defer src="data.js"></script>\n<script defer src="page.js"></script>'
    return text.replace('<script type="module" src="page/main.js"></script>', scripts).replace('"page/', '"')


def _data(session: Session, *, sound: int) -> str:
    """Return what the page asks its server for, as a script."""
    own, came = session.book.columns, session.collection.columns
    others = _names_beside(own[1:], came)  # the page shows guesses of one column, labels of all
    about = session.about() | {"sound": sound, "model": False, "labels": "", "own": session.own_columns()[:1]}
    about["notes"] = []
    about["columns"] += [
        {"name": shown, "values": len(counts(session.book.labels(name)))} for shown, name in others.items()
    ]
    answers: dict[str, Any] = {
        "/api/about": about,
        "/api/ids": [printable(name, 300) for name in session.collection.embeddings.ids.tolist()],
    }
    arrays: dict[str, str] = {}
    for part in session.parts:
        places = session.spaces.map(part)
        method = "PCA" if places is None else "t-SNE"
        arrays[f"/api/maps/{part}"] = _text(
            {"part": part, "method": method}, places=session.spaces.principal(part) if places is None else places
        )
        codes = session.spaces.clusters(part)
        names = [f"cluster {number + 1}" for number in range(int(codes.max()) + 1)]
        arrays[f"/api/clusters/{part}"] = _text({"values": names}, codes=codes.astype(np.int32))
    for name, values in {**came, **{shown: session.book.labels(name) for shown, name in others.items()}}.items():
        arrays[f"/api/columns?{_query(name=name)}"] = _column(values)
    for name in own[:1]:
        asked = _query(column=name)
        values, codes = np.unique(session.book.labels(name), return_inverse=True)
        told = {"values": values.tolist(), "notes": session.book.notes(), "rejected": {}, "version": 0}
        told["since"] = session.book.since(name)
        held = session.book.held(name).astype(np.uint8)
        arrays[f"/api/labels?{asked}"] = _text(told, codes=codes.astype(np.int32), held=held)
        session.assistant.settle(name)
        guesses = session.assistant.guesses_to_keep(name)
        answers[f"/api/guesses?{asked}"] = answers[f"/api/estimate?{asked}"] = {"waiting": "too few labels"}
        if guesses is not None:
            about["notes"] += [f"{guesses.told}."] if guesses.told else []
            known = {"values": list(guesses.classes), "way": guesses.way, "note": guesses.note, "version": 0}
            arrays[f"/api/guesses?{asked}"] = _text(
                known, codes=guesses.codes.astype(np.int32), confidence=guesses.confidence
            )
    near = {part: _near(session, part) for part in session.parts if len(session.collection) <= MOST_NEAR}
    content = json.dumps({"answers": answers, "arrays": arrays, "near": near}, allow_nan=False)
    return f"window.EXPLORER = {content};\n"


def _names_beside(own: Sequence[str], came: Collection[str]) -> dict[str, str]:
    """Return own columns by the names under which they stand beside those that came: each a name of its own.

    Example:
        >>> _names_beside(["call", "kind: labels", "kind"], ["kind"])
        {'call': 'call', 'kind: labels': 'kind: labels', 'kind: labels 2': 'kind'}
    """
    found: dict[str, str] = {}
    for name in own:
        others, number = {*came, *found, *own} - {name}, 2
        shown = f"{name}: labels" if name in came else name
        while shown in others:
            shown, number = f"{name}: labels {number}", number + 1
        found[shown] = name
    return found


def _near(session: Session, part: str) -> str:
    spaces = session.spaces
    places, angles = spaces.prepared.table(spaces.kind(part))
    keep = places != np.arange(len(places))[:, None]
    keep[keep.all(axis=1), -1] = False
    count = min(NEAREST, places.shape[1] - 1)
    clips = places[keep].reshape(len(places), -1)[:, :count].astype(np.int32)
    distances = (1 - np.cos(angles[keep])).reshape(len(places), -1)[:, :count].astype(np.float32)
    return _text({}, clips=clips, distances=distances)


def _column(values: np.ndarray) -> str:
    names, codes = np.unique(values, return_inverse=True)
    return _text({"values": names.tolist()}, codes=codes.astype(np.int32))


def _sounds(session: Session, folder: Path, *, shown: bool) -> tuple[int, int]:
    clips, silent = list(session.collection.recordings), 0
    with progress(total=len(clips), what="sounds", unit="clips", shown=shown) as bar:
        for clip in clips:
            bar.update()
            try:
                wav = session.sounds.wav(clip)
                seconds, outline, shades = session.sounds.picture(clip)
            except AudioError:
                silent += 1
                continue
            samples, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
            soundfile.write(folder / f"{clip}.flac", samples, rate, format="FLAC", subtype="PCM_16")
            picture = _text({"seconds": seconds}, outline=outline, shades=shades)
            (folder / f"{clip}.js").write_text(f'window.EXPLORER.picture = "{picture}";\n', encoding="ascii")
    return len(clips) - silent, silent


def _text(about: Mapping[str, Any], **arrays: np.ndarray) -> str:
    return base64.b64encode(packed(about, **arrays)).decode("ascii")


def _query(**asked: str) -> str:
    """Return a query as the page's URLSearchParams writes it."""
    return "&".join(f"{name}={quote_plus(value, safe='*-._').replace('~', '%7E')}" for name, value in asked.items())
