"""The routes of the explorer: what is answered to each request of the page."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mfcl.core.console import printable
from mfcl.errors import MfclError, shown
from mfcl.explore import exports
from mfcl.explore.cells import Cell, LabelsError
from mfcl.explore.findings import LEAST, MOST
from mfcl.explore.guard import UpToDate
from mfcl.explore.messages import (
    asked,
    download,
    json_of,
    packed_answer,
    ranged,
    unkept,
    whole_number,
)
from mfcl.explore.searching import Search
from mfcl.explore.session import Session
from mfcl.web.requests import HANDLERS, body

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MOST_NEAREST = 100


def make_app(session: Session) -> Starlette:
    """Return the application of one session, without its guard."""
    own = _Routes(session)
    routes = [
        Route("/", own.page),
        Route("/page/{name}", own.page),
        Route("/api/about", own.about),
        Route("/api/status", own.status),
        Route("/api/ids", own.ids),
        Route("/api/maps/{part}", own.map),
        Route("/api/clusters/{part}", own.clusters),
        Route("/api/columns", own.columns),
        Route("/api/clips/{clip:int}/sound", own.sound),
        Route("/api/clips/{clip:int}/picture", own.picture),
        Route("/api/clips/{clip:int}/near", own.near),
        Route("/api/clips/{clip:int}/voice", own.voice),
        Route("/api/labels", own.labels),
        Route("/api/guesses", own.guesses),
        Route("/api/suggestions", own.suggestions),
        Route("/api/estimate", own.estimate),
        Route("/api/findings", own.findings),
        Route("/api/history", own.history),
        Route("/api/export/{kind}", own.export),
        Route("/api/steps", own.step, methods=["POST"]),
        Route("/api/held-out", own.draw, methods=["POST"]),
        Route("/api/check", own.check, methods=["POST"]),
        Route("/api/begin", own.begin, methods=["POST"]),
        Route("/api/undo", own.undo, methods=["POST"]),
        Route("/api/redo", own.redo, methods=["POST"]),
        Route("/api/search", own.search, methods=["POST"]),
    ]
    current = Middleware(UpToDate, digest=session.digest)
    return Starlette(routes=routes, middleware=[current], exception_handlers={**HANDLERS, LabelsError: unkept})


class _Routes:
    """The answers; what is not `async` runs in a thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files = {path.name: path for path in PAGE.iterdir() if path.suffix in TYPES}
        self._search = Search(session)

    def page(self, request: Request) -> Response:
        path = self._files.get(request.path_params.get("name", "index.html"))
        if path is None:
            return Response("Nothing of that name.\n", 404, media_type="text/plain")
        return Response(path.read_bytes(), media_type=TYPES[path.suffix])

    def about(self, request: Request) -> Response:
        return JSONResponse(self._session.about())

    def status(self, request: Request) -> Response:
        return JSONResponse(self._session.status())

    def ids(self, request: Request) -> Response:
        ids = [printable(name, 300) for name in self._session.collection.embeddings.ids.tolist()]
        return JSONResponse(ids)

    def map(self, request: Request) -> Response:
        spaces, part = self._session.spaces, self._session.check_part(request.path_params["part"])
        places = spaces.map(part)
        method = "PCA" if places is None else "t-SNE"
        return packed_answer(
            {"part": part, "method": method}, places=spaces.principal(part) if places is None else places
        )

    def clusters(self, request: Request) -> Response:
        part = self._session.check_part(request.path_params["part"])
        codes = self._session.spaces.clusters(part)
        names = [f"cluster {number + 1}" for number in range(int(codes.max()) + 1)]
        return packed_answer({"values": names}, codes=codes.astype(np.int32))

    def columns(self, request: Request) -> Response:
        values = self._session.came(asked(request, "name"))
        names, codes = np.unique(values, return_inverse=True)
        return packed_answer({"values": names.tolist()}, codes=codes.astype(np.int32))

    def sound(self, request: Request) -> Response:
        return ranged(self._session.sounds.wav(self._clip(request)), request.headers.get("range"))

    def picture(self, request: Request) -> Response:
        seconds, outline, shades = self._session.sounds.picture(self._clip(request))
        return packed_answer({"seconds": seconds}, outline=outline, shades=shades)

    def near(self, request: Request) -> Response:
        clip, part = self._clip(request), self._session.check_part(asked(request, "part"))
        count = whole_number(request, "count", 12, 1, MOST_NEAREST)
        places, distances = self._session.spaces.neighbours(part, clip, count)
        return JSONResponse({"clips": places, "distances": [round(one, 4) for one in distances]})

    def voice(self, request: Request) -> Response:
        clip, voices = self._clip(request), self._session.voices
        if voices is None:
            raise MfclError("voice: there is no gallery; start with --gallery FILE")
        found = voices.of_clip(clip)
        if found is None:
            failed = [line for line in self._session.work.failed.values() if line.startswith("voices of the clips")]
            if failed:
                raise MfclError(failed[-1])
            return JSONResponse({"waiting": "the clips' voices are being worked out"}, 202)
        return JSONResponse({"voice": found})

    def labels(self, request: Request) -> Response:
        book, column = self._session.book, asked(request, "column")
        version = book.version  # before the labels: what is given meanwhile is then read once more
        names, codes = np.unique(book.labels(column), return_inverse=True)
        about = {
            "values": names.tolist(), "notes": book.notes(), "rejected": book.rejected(column),
            "version": version, "since": book.since(column),
        }  # fmt: skip
        return packed_answer(about, codes=codes.astype(np.int32), held=book.held(column).astype(np.uint8))

    def guesses(self, request: Request) -> Response:
        column = asked(request, "column")
        if not self._session.assistant.ready:
            return JSONResponse({"waiting": "the nearest clips are being looked for"}, 202)
        version = self._session.book.version
        found = self._session.assistant.guesses(column)
        if found is None:
            return JSONResponse({"waiting": "label at least two classes"}, 202)
        self._session.choose(column)
        about = {"values": list(found.classes), "way": found.way, "note": found.note, "version": version}
        return packed_answer(about, codes=found.codes.astype(np.int32), confidence=found.confidence)

    def suggestions(self, request: Request) -> Response:
        if not self._session.assistant.ready:
            return JSONResponse({"waiting": "the nearest clips are being looked for"}, 202)
        clips = self._session.assistant.suggestions(
            asked(request, "column"),
            request.query_params.get("order", "useful"),
            whole_number(request, "count", 20, 1, 500),
            label=request.query_params.get("label", ""),
        )
        return JSONResponse({"clips": clips, "silent": self._session.assistant.silent})

    def estimate(self, request: Request) -> Response:
        if not self._session.assistant.ready:
            return JSONResponse({"waiting": "the nearest clips are being looked for"}, 202)
        return JSONResponse(asdict(self._session.estimate(asked(request, "column"))))

    def findings(self, request: Request) -> Response:
        kind, part = asked(request, "kind"), asked(request, "part")
        found = self._session.findings(kind, part, request.query_params.get("column", ""))
        if found is None:
            return JSONResponse({"waiting": "being looked for"}, 202)
        return JSONResponse({"found": found, "most": MOST, "least": LEAST})

    def history(self, request: Request) -> Response:
        return JSONResponse({"steps": [asdict(step) for step in self._session.book.history()]})

    def export(self, request: Request) -> Response:
        session, kind, column = self._session, request.path_params["kind"], asked(request, "column")
        if kind == "classifier":
            content = exports.classifier_zip(session.collection, column, session.assistant.fitted(column).classifier)
            return download(content, f"{column}-classifier.zip", "application/zip")
        spread = request.query_params.get("spread") == "1"
        guesses = session.assistant.guesses_to_keep(column) if spread else None
        rows = exports.labelled(session.book, column, guesses)
        left = f"Left out: {guesses.told}." if guesses is not None and guesses.told else ""
        if kind == "csv":
            if all(one.clip in session.collection.recordings for one in rows):
                content = exports.manifest_csv(session.collection, column, rows, spread=spread)
            else:
                content = exports.ids_csv(session.collection, column, rows)
            return download(content, f"{column}.csv", "text/csv; charset=utf-8", left)
        if kind == "audacity":
            content = exports.audacity_zip(session.collection, rows)
            return download(content, f"{column}-audacity.zip", "application/zip", left)
        if kind == "raven":
            content = exports.raven_zip(session.collection, column, rows)
            return download(content, f"{column}-raven.zip", "application/zip", left)
        return Response("Nothing of that name.\n", 404, media_type="text/plain")

    async def step(self, request: Request) -> Response:
        given = await json_of(request)
        cells = given.get("cells")
        if not isinstance(cells, list) or not all(isinstance(one, list) and len(one) == 3 for one in cells):
            raise LabelsError("labels: wanted cells, each a clip, a kind and a value")
        column, how = given.get("column"), given.get("how")
        if not isinstance(column, str) or not isinstance(how, str):
            raise LabelsError("labels: wanted a column and how it was labelled")
        version = await run_in_threadpool(self._session.step, column, how, [Cell(*one) for one in cells])
        return JSONResponse({"version": version, "own": await run_in_threadpool(self._session.own_columns)})

    async def check(self, request: Request) -> Response:
        column = (await json_of(request)).get("column")
        self._session.check_new(column if isinstance(column, str) else "")
        return JSONResponse({})

    async def begin(self, request: Request) -> Response:
        given = await json_of(request)
        column, source = given.get("column"), given.get("from")
        if not isinstance(column, str) or not isinstance(source, str):
            raise LabelsError("labels: wanted a column and the one to begin with")
        version = await run_in_threadpool(self._session.begin, column, source)
        return JSONResponse({"version": version})

    async def draw(self, request: Request) -> Response:
        given = await json_of(request)
        column, count = given.get("column"), given.get("count", 20)
        if not isinstance(column, str) or type(count) is not int or not 1 <= count <= 1000:
            raise LabelsError(f"held-out set: wanted a column and 1 to 1000 clips, got {shown(count)}")

        def draw() -> int:
            clips = self._session.assistant.draw_held_out(column, count)
            if not clips:
                raise LabelsError("held-out set: every clip is labelled, rejected, silent or in it already")
            return self._session.step(column, "drawn", [Cell(clip, "held", "1") for clip in clips])

        return JSONResponse({"version": await run_in_threadpool(draw)})

    def undo(self, request: Request) -> Response:
        step = self._session.book.undo()
        return self._turned(step)

    def redo(self, request: Request) -> Response:
        step = self._session.book.redo()
        return self._turned(step)

    async def search(self, request: Request) -> Response:
        content = await body(request)
        column = request.query_params.get("column", "")
        return JSONResponse(await run_in_threadpool(self._search.by_sound, content, column))

    def _turned(self, step: Any) -> Response:
        own = self._session.own_columns()
        about = {"version": self._session.book.version, "own": own, "step": None if step is None else asdict(step)}
        return JSONResponse(about)

    def _clip(self, request: Request) -> int:
        clip = request.path_params["clip"]
        if not 0 <= clip < len(self._session.collection):
            raise MfclError(f"clip: wanted a number below {len(self._session.collection)}, got {shown(clip)}")
        return int(clip)
