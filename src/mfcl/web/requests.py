"""Bodies of requests that arrive in time, and errors as JSON of one line."""

import asyncio
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from mfcl.core.console import printable
from mfcl.errors import MfclError
from mfcl.web.guard import TOO_LARGE, TooLarge

BODY_SECONDS = 30.0
"""How long a body may take to arrive."""


class BusyError(MfclError):
    """Too much is being done already."""


async def body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        MfclError: it took too long, or was broken off.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise MfclError(f"request: it took more than {BODY_SECONDS:.0f} s to arrive") from None
    except ClientDisconnect:
        raise MfclError("request: it was broken off") from None


def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": printable(str(error), 500)}, 503 if isinstance(error, BusyError) else 400)


def _too_large(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "Too large; send a shorter file."}, TOO_LARGE)


def _broken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": printable(f"{getattr(error, 'strerror', None) or error}", 300)}, 500)


HANDLERS: Any = {MfclError: _refused, TooLarge: _too_large, OSError: _broken}
"""What answers errors: one line each, never a traceback."""
