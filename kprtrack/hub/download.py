"""Fetches one file over https, going on where an earlier attempt broke off. No other code goes online."""

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from kprtrack.core.errors import OutputError, WeightsError

Progress = Callable[[int, int | None], None]  # bytes on disk so far, bytes in all where the server says

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0  # without a single byte
TRIES = 5  # each goes on from the last, as long as it gets further


def fetch(
    url: str,
    part: Path,
    *,
    size_bytes: int | None,
    by_hand: str,
    progress: Progress | None = None,
    allow_localhost: bool = False,
) -> None:
    """Fill `part` with the whole file, going on from what an earlier call left of the same version.

    by_hand: what the user can do instead, added to every error. allow_localhost: plain http to this machine.
    Raises: WeightsError if the server cannot be reached, breaks off or sends something else; OutputError if
    `part` cannot be written.
    """
    _validate_plain_http(url, allow_localhost=allow_localhost)
    opener = urllib.request.build_opener(_SecureRedirects(allow_localhost=allow_localhost))
    for _ in range(TRIES):
        before = _size(part)
        try:
            if _receive(opener, url, part, size_bytes=size_bytes, by_hand=by_hand, progress=progress):
                _validator_file(part).unlink(missing_ok=True)
                return
        except OSError as error:
            raise OutputError(
                f"Cannot write {part}: {error.strerror or error}. {_space_hint(part)}"
            ) from error
        if 0 < _size(part) <= before:
            break
    raise WeightsError(
        f"The download of {url} broke off after {_size(part):,} bytes; the same command goes on from there."
        f" {by_hand}"
    )


def _receive(
    opener: urllib.request.OpenerDirector,
    url: str,
    part: Path,
    *,
    size_bytes: int | None,
    by_hand: str,
    progress: Progress | None,
) -> bool:
    """Make one request and store its answer; False if it broke off."""
    validator = _read_validator(part)
    # Without a validator the rest of another version could be appended unnoticed: start over.
    start = _size(part) if validator else 0
    request = urllib.request.Request(url, headers={"User-Agent": "kprtrack"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", validator)
    try:
        response = opener.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return _end_or_restart(part, start, error.headers.get("Content-Range", ""))
        raise WeightsError(f"{url} answered {error.code} {error.reason}. {by_hand}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(f"Cannot reach {urlsplit(url).hostname} ({reason}). {by_hand}") from error
    with response:
        if response.headers.get_content_type() == "text/html":
            raise WeightsError(_web_page(url, by_hand))
        return _store(response, part, start, size_bytes=size_bytes, by_hand=by_hand, progress=progress)


def _store(
    response: http.client.HTTPResponse,
    part: Path,
    start: int,
    *,
    size_bytes: int | None,
    by_hand: str,
    progress: Progress | None,
) -> bool:
    """Write the body behind the first `start` bytes of `part`; False if it broke off."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        start = 0  # the whole file again: no ranges here, or another version since
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        part.unlink(missing_ok=True)
        return False
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    if size_bytes is not None and total is not None and total != size_bytes:
        raise WeightsError(
            f"{response.url} offers {total:,} bytes, expected {size_bytes:,}: not the wanted file. {by_hand}"
        )
    if not start:
        part.unlink(missing_ok=True)  # before the new version is noted, so that old bytes never pass for it
        _write_validator(part, response)
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        received = start
        while True:
            try:
                chunk = response.read(CHUNK_BYTES)
            except (OSError, http.client.HTTPException):
                return False
            if not chunk:
                break
            if not received and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                raise WeightsError(_web_page(response.url, by_hand))
            file.write(chunk)
            received += len(chunk)
            if progress:
                progress(received, total)
    wanted = size_bytes if total is None else total
    return wanted is None or received == wanted


def _end_or_restart(part: Path, start: int, content_range: str) -> bool:
    """After "range not satisfiable": True if nothing is missing, else forget the part."""
    if content_range == f"bytes */{start}":
        return True
    part.unlink()
    return False


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to a plain connection."""

    def __init__(self, *, allow_localhost: bool) -> None:
        self._allow_localhost = allow_localhost

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            _validate_plain_http(newurl, allow_localhost=self._allow_localhost)
        except WeightsError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _validate_plain_http(url: str, *, allow_localhost: bool) -> None:
    parts = urlsplit(url)
    local = allow_localhost and parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    if parts.scheme != "https" and not local:
        raise WeightsError(f"Refused to download {url}: only https links are followed.")


def _web_page(url: str, by_hand: str) -> str:
    return (
        f"{urlsplit(url).hostname} answered with a web page instead of the file"
        f" (Google Drive does so to ask a question or when too many people fetch a file). {by_hand}"
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _space_hint(part: Path) -> str:
    return f"Make room or choose another folder: KPRTRACK_HOME=/some/folder (now {part.parent})."


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _read_validator(part: Path) -> str:
    """What names the version of the file that `part` is the beginning of; empty if unknown."""
    file = _validator_file(part)
    return file.read_text("utf-8") if file.is_file() else ""


def _write_validator(part: Path, response: http.client.HTTPResponse) -> None:
    # A weak entity tag does not promise equal bytes: it cannot guard a resumed download (RFC 9110, 13.1.5).
    tag = response.headers.get("ETag", "")
    version = tag if re.fullmatch(r'"[^"]*"', tag) else response.headers.get("Last-Modified", "")
    aside = _validator_file(part).with_suffix(".new")
    aside.write_text(version, "utf-8")
    aside.replace(_validator_file(part))
