"""What comes in a request and how an answer is made: JSON, packed arrays, files, sound by byte ranges, errors."""

import json
import re
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mfcl.core.console import printable
from mfcl.errors import MfclError, shown
from mfcl.explore.cells import LabelsError
from mfcl.explore.packing import packed
from mfcl.web.requests import body

BINARY = "application/octet-stream"
MOST_JSON = 16 * 2**20
"""Bytes of JSON in one request."""
NOTE = "x-mfcl-note"
"""Header of a file to save that holds what the page says of it."""
RANGE = re.compile(r"bytes=(\d{1,15})?-(\d{1,15})?")


def asked(request: Request, name: str) -> str:
    """Return a part of the address that must be there.

    Raises:
        MfclError: it is not.
    """
    value = request.query_params.get(name)
    if not value:
        raise MfclError(f"request: wanted {name!r}")
    return value


def whole_number(request: Request, name: str, usual: int, low: int, high: int) -> int:
    """Return a whole number of the address.

    Raises:
        MfclError: it is none, or out of range.
    """
    text = request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        raise MfclError(f"{name}: wanted a whole number from {low} to {high}, got {shown(text)}")
    return int(text)


async def json_of(request: Request) -> dict[str, Any]:
    """Return a request's JSON object.

    Raises:
        LabelsError: it is none, or too long.
    """
    content = await body(request)
    try:
        given = json.loads(content) if len(content) <= MOST_JSON else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise LabelsError(f"request: wanted a JSON object of at most {MOST_JSON >> 20} MiB")
    return given


def packed_answer(about: dict[str, Any], **arrays: np.ndarray) -> Response:
    """Return an answer of JSON and arrays; see `packed`."""
    return Response(packed(about, **arrays), media_type=BINARY)


def ranged(content: bytes, asked: str | None) -> Response:
    """Return all of a file, or the byte range that was asked for."""
    headers = {"accept-ranges": "bytes"}
    found = RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or not (found[1] or found[2]):
        return Response(content, media_type="audio/wav", headers=headers)
    if found[1]:
        first, last = int(found[1]), min(int(found[2] or len(content)), len(content) - 1)
    else:
        first, last = max(0, len(content) - int(found[2])), len(content) - 1
    if first > last:
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{len(content)}"})
    headers["content-range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], 206, media_type="audio/wav", headers=headers)


def download(content: bytes, name: str, media: str, note: str = "") -> Response:
    """Return a file to save, under a name of plain letters, and what to say of it."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "labels"
    headers = {"content-disposition": f'attachment; filename="{safe}"', **({NOTE: note} if note else {})}
    return Response(content, media_type=media, headers=headers)


def unkept(request: Request, error: Exception) -> Response:
    """Return the answer where a label cannot be kept: 507 where the disk is full."""
    text = str(error)
    return JSONResponse({"error": printable(text, 500)}, 507 if "disk is full" in text or "disk I/O" in text else 400)
