"""What keeps other pages, machines and users away from the local page."""

import json
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Answers only requests of the page itself.

    The names of the host must be those of this machine (a page of another name that is made to lead here is
    none), the origin must be the page, and everything but the page itself needs the token, which is in
    the fragment of the address and so in no request, log or link.

    Args:
        app: The application.
        token: The token.
        port: Of the server.
        open_paths: Paths that need no token: the page and its static files.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, open_paths: frozenset[str]) -> None:
        self._app, self._token, self._open = app, token, open_paths
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or reject it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        why = self._problem(scope)
        if why is None:
            await self._app(scope, receive, _with_headers(send))
            return
        code, text = why
        body = json.dumps({"error": text}).encode()
        start = {
            "type": "http.response.start",
            "status": code,
            "headers": [(b"content-type", b"application/json")],
        }
        sender = _with_headers(send)
        await sender(start)
        await sender({"type": "http.response.body", "body": body})

    def _problem(self, scope: Scope) -> tuple[int, str] | None:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        if headers.get("host", []) not in [[host] for host in self._hosts]:
            return 403, "This host is not served. Open the address that kprtrack review has printed."
        origins = {f"http://{host}" for host in self._hosts}
        if any(origin not in origins for origin in headers.get("origin", [])):
            return 403, "Requests of other origins are not answered."
        if scope["path"] in self._open:  # also by a link from elsewhere, which has no token
            return None
        if any(site not in ("same-origin", "none") for site in headers.get("sec-fetch-site", [])):
            return 403, "Requests of other origins are not answered."
        given = headers.get("authorization", [])
        expected = f"Bearer {self._token}".encode()
        if len(given) != 1 or not secrets.compare_digest(given[0].encode("utf-8", "replace"), expected):
            return 401, "The token is missing or wrong. Open the address that kprtrack review has printed."
        return None


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return sender
