"""Who may ask for the page: whoever has the token of the address that `mfcl explore` printed."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mfcl.web import guard
from mfcl.web.guard import said, same

OWN = "x-mfcl"
"""Header that requests that change something must have: other pages cannot send it without being asked for leave."""

COLLECTION = "x-mfcl-collection"
"""Header, or `collection` in the address of what a page can only link to: what the page that asks was made for."""


class UpToDate:
    """ASGI middleware that refuses pages of another collection: they were made before the server was started anew.

    Clips are numbers, which mean others there. Who names no collection is not refused.

    Args:
        app: What is asked.
        digest: The collection that it has.
    """

    def __init__(self, app: ASGIApp, *, digest: str) -> None:
        self._app, self._digest = app, digest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "http":
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            asked = Headers(scope=scope).get(COLLECTION, query.get("collection", [self._digest])[0])
            if asked != self._digest:
                text = "This page shows another collection or other labels than the server has now: reload it."
                return await JSONResponse({"error": text}, 409)(scope, receive, send)
        return await self._app(scope, receive, send)


class Guard(guard.Guard):
    """ASGI middleware that refuses what does not come from this server's own page.

    Args:
        app: What is guarded.
        token: The secret of the address that a person opens.
        host: The address that the server binds to.
        port: Its port.
    """

    def __init__(self, app: ASGIApp, *, token: str, host: str, port: int) -> None:
        super().__init__(app, host=host, port=port)
        self._token = token
        self.cookie = f"mfcl-{port}"

    def permit(self, scope: Scope, headers: Headers) -> Response | None:
        """Turn the token of the address into a cookie, and refuse requests without it."""
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and asked:
            if not same(asked, self._token):
                return said(403, "A wrong token; open the address that `mfcl explore` printed.")
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(self.cookie, self._token, httponly=True, samesite="strict", path="/")
            return answer
        if not same(_cookie(headers.get("cookie", ""), self.cookie), self._token):
            return said(403, "No token; open the address that `mfcl explore` printed.")
        if scope["method"] not in ("GET", "HEAD") and headers.get(OWN) != "1":
            return said(403, "Only the page itself may change something.")
        return None


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""
