"""The routes of the endpoint: a file in, JSON out."""

from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from mfcl.errors import AudioError, check_choice
from mfcl.serving.batching import Batches
from mfcl.serving.openapi import openapi
from mfcl.serving.service import Service
from mfcl.web import guard
from mfcl.web.decoding import Decoded
from mfcl.web.guard import said, same
from mfcl.web.requests import HANDLERS, BusyError, body

MOST_INSIDE = 64
"""Requests whose files are held at once; more are refused."""
VECTORS = {"plain": "embedding", "whitened": "whitened", "none": None}
"""Choices of the query `embedding`, and the vector that each gives."""
QUERIES = ("embedding",)
"""What may follow `?`; a name that is written wrongly would change nothing without a word."""


class Guard(guard.Guard):
    """ASGI middleware that refuses requests of web pages, of other names of this computer, and without the token.

    Args:
        app: What is guarded.
        token: What `Authorization: Bearer ...` must hold; None: nothing, for this computer alone.
        host: The address that the server binds to.
        port: Its port.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, host: str, port: int) -> None:
        super().__init__(app, host=host, port=port)
        self._token = token

    def permit(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuse requests without the token, if there is one."""
        if self._token is None or same(headers.get("authorization", ""), f"Bearer {self._token}"):
            return None
        return said(401, "No token, or a wrong one; send the one that `mfcl serve` printed: Authorization: Bearer ...")


def make_app(service: Service) -> Starlette:
    """Return the application of a service, without its guard."""
    own = _Routes(service)
    routes = [
        Route("/", own.about),
        Route("/about", own.about),
        Route("/openapi.json", own.openapi),
        Route("/sound", own.sound, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS)


class _Routes:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._inside = 0
        self._batches: Batches[Decoded, dict[str, Any]] = Batches(service.answers, service.executor)

    async def about(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._service.about))

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(openapi(await run_in_threadpool(self._service.about)))

    async def sound(self, request: Request) -> Response:
        for name in request.query_params:
            check_choice("query", name[:80], QUERIES)
        wanted = request.query_params.get("embedding", "plain")
        check_choice("choice", wanted[:80], VECTORS, where="embedding: ")
        if wanted == "whitened":
            self._service.check_whitening()
        kind = request.headers.get("content-type", "").lower()
        if kind.startswith(("multipart/", "application/x-www-form-urlencoded")):
            raise AudioError("wanted the file's bytes as the body, got a form; with curl: --data-binary @FILE -H "
                             "'content-type: application/octet-stream'")  # fmt: skip
        found = await self._found(request)
        vector = VECTORS[wanted]
        plain = {name: value for name, value in found.items() if name not in VECTORS.values()}
        return JSONResponse(plain if vector is None else {**plain, "embedding": _numbers(found[vector])})

    async def _found(self, request: Request) -> dict[str, Any]:
        if self._inside >= MOST_INSIDE:
            raise BusyError(f"{MOST_INSIDE} requests are being answered already; try again in a moment")
        self._inside += 1
        try:
            content = await body(request)
            if not content:
                raise AudioError("wanted an audio file as the body, got nothing")
            decoded = await run_in_threadpool(self._service.decoders.decode, content)
            return await self._batches.answer(decoded)
        finally:
            self._inside -= 1


def _numbers(vector: np.ndarray) -> list[float]:
    """Return float32 values as numbers of the fewest digits that are read back as the same float32."""
    return [float(text) for text in vector.astype(np.str_)]
