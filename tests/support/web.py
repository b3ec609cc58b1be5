"""A web server on this machine that sends one file, and can misbehave."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """Behaviour of the local web server, and the requests it received."""

    body: bytes = b""
    content_type: str = "application/octet-stream"
    ranges: bool = True
    etag: str = '"v1"'
    cut_at: list[int] = field(default_factory=list)  # response n stops after so many bytes
    redirect: str = ""
    status: int = 200
    sends_length: bool = True
    requested_ranges: list[str | None] = field(default_factory=list)  # the Range header of every request
    port: int = 0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        range_header = self.headers.get("Range")
        site.requested_ranges.append(range_header)
        if site.redirect:
            self.send_response(302)
            self.send_header("Location", site.redirect)
            self.end_headers()
            return
        if site.status != 200:
            self.send_error(site.status)
            return
        start = 0
        unchanged = (
            self.headers.get("If-Range", site.etag) == site.etag
        )  # without If-Range any version is resumed
        if range_header and site.ranges and unchanged:
            start = int(re.fullmatch(r"bytes=(\d+)-", range_header).group(1))
            if start >= len(site.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.body)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(site.body) - 1}/{len(site.body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", site.content_type)
        if site.sends_length:
            self.send_header("Content-Length", str(len(site.body) - start))
        if site.etag:
            self.send_header("ETag", site.etag)
        self.end_headers()
        stop = site.cut_at.pop(0) if site.cut_at else len(site.body)
        self.wfile.write(site.body[start:stop])

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def local_site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Run the server during a test; a fixture is made of it by `site = pytest.fixture(local_site)`."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.site = Site(port=server.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()
