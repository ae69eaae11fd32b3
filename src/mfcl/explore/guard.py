"""Who may ask for the page: whoever has the token of the address that `mfcl explore` printed."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Scope

from mfcl.web import guard
from mfcl.web.guard import said, same

OWN = "x-mfcl"
"""Header that requests that change something must have: other pages cannot send it without being asked for leave."""


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
