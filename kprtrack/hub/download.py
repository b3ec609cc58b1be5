"""Downloads a file over https and resumes interrupted downloads; no other module accesses the network."""

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import OutputError, WeightsError

Progress = Callable[[int, int | None], None]  # bytes received, total bytes or None if unknown

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0  # without receiving a byte
MOST_BYTES = 4 << 30  # of a file whose size is not known; no model has as many
MAX_ATTEMPTS = 5  # each resumes the one before, as long as bytes arrive


def download_file(
    url: str,
    part: Path,
    *,
    size_bytes: int | None,
    manual_steps: str,
    progress: Progress | None = None,
    allow_localhost: bool = False,
) -> None:
    """Download a file to `part`, resuming an earlier download of the same version.

    Args:
        url: Where to download it from, https only.
        part: File to write.
        size_bytes: Expected size, if known.
        manual_steps: What the user can do instead; part of every error.
        progress: Called with the number of bytes received and the total, if known.
        allow_localhost: Accept http to this machine, for tests.

    Raises:
        WeightsError: The server cannot be reached, interrupts the download or sends another file.
        OutputError: `part` cannot be written.
    """
    _validate_https(url, allow_localhost=allow_localhost)
    opener = urllib.request.build_opener(_SecureRedirects(allow_localhost=allow_localhost))
    for _ in range(MAX_ATTEMPTS):
        before = _size(part)
        try:
            if _receive(
                opener, url, part, size_bytes=size_bytes, manual_steps=manual_steps, progress=progress
            ):
                _validator_file(part).unlink(missing_ok=True)
                return
        except OSError as error:
            raise OutputError(
                f"Cannot write {part}: {error.strerror or error}. {_space_hint(part)}"
            ) from error
        if 0 < _size(part) <= before:
            break
    raise WeightsError(
        f"The download of {url} was interrupted after {_size(part):,} bytes; run the command again to resume."
        f" {manual_steps}"
    )


def _receive(
    opener: urllib.request.OpenerDirector,
    url: str,
    part: Path,
    *,
    size_bytes: int | None,
    manual_steps: str,
    progress: Progress | None,
) -> bool:
    """Make one request and store the response; return False if it was interrupted."""
    validator = _read_validator(part)
    # Without a validator the file may have changed since: start again.
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
            return _is_complete(part, start, error.headers.get("Content-Range", ""))
        raise WeightsError(f"{url} answered {error.code} {error.reason}. {manual_steps}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(f"Cannot reach {urlsplit(url).hostname} ({reason}). {manual_steps}") from error
    with response:
        if response.headers.get_content_type() == "text/html":
            raise WeightsError(_web_page(url, manual_steps))
        return _store(
            response, part, start, size_bytes=size_bytes, manual_steps=manual_steps, progress=progress
        )


def _store(
    response: http.client.HTTPResponse,
    part: Path,
    start: int,
    *,
    size_bytes: int | None,
    manual_steps: str,
    progress: Progress | None,
) -> bool:
    """Append the body to the first `start` bytes of `part`; return False if it was interrupted."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        start = 0  # the whole file: the server does not support ranges, or the file has changed
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        part.unlink(missing_ok=True)
        return False
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    if size_bytes is not None and total is not None and total != size_bytes:
        raise WeightsError(
            f"{response.url} offers {total:,} bytes, expected {size_bytes:,}: another file. {manual_steps}"
        )
    most = min(size_bytes or total or MOST_BYTES, MOST_BYTES)
    if not start:
        # Before the validator changes, so that old bytes never count as the new version.
        part.unlink(missing_ok=True)
        _write_validator(part, response)
    with part.open("r+b" if start else "xb") as file:
        file.seek(start)
        file.truncate()
        received = start
        try:
            for chunk in _chunks(response):
                if not received and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                    raise WeightsError(_web_page(response.url, manual_steps))
                received += len(chunk)
                if received > most:
                    part.unlink(missing_ok=True)
                    raise WeightsError(f"{response.url} sends more than {most:,} bytes. {manual_steps}")
                file.write(chunk)
                if progress:
                    progress(received, total)
        except _Interrupted:
            return False
    expected = size_bytes if total is None else total
    return expected is None or received == expected


class _Interrupted(Exception):  # noqa: N818 - an event, not an error
    """The server has closed the connection."""


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body. Raises: _Interrupted."""
    while True:
        try:
            chunk = response.read(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted from error
        if not chunk:
            return
        yield chunk


def _is_complete(part: Path, start: int, content_range: str) -> bool:
    """After "range not satisfiable": return True if nothing is missing, else delete the part."""
    if content_range == f"bytes */{start}":
        return True
    part.unlink()
    return False


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, except from https to http."""

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
            _validate_https(newurl, allow_localhost=self._allow_localhost)
        except WeightsError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _validate_https(url: str, *, allow_localhost: bool) -> None:
    parts = urlsplit(url)
    local = allow_localhost and parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    if parts.scheme != "https" and not local:
        raise WeightsError(f"{url} is not downloaded: only https links are supported.")


def _web_page(url: str, manual_steps: str) -> str:
    return (
        f"{urlsplit(url).hostname} returned a web page instead of the file (Google Drive does so to ask for"
        f" confirmation, or after too many downloads). {manual_steps}"
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() and not part.is_symlink() else 0


def _space_hint(part: Path) -> str:
    return f"Free some space or choose another folder: KPRTRACK_HOME=/some/folder (now {part.parent})."


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _read_validator(part: Path) -> str:
    """Return the HTTP validator of the file that `part` is the beginning of; empty if unknown."""
    file = _validator_file(part)
    return file.read_text("utf-8") if file.is_file() else ""


def _write_validator(part: Path, response: http.client.HTTPResponse) -> None:
    # A weak entity tag does not guarantee equal bytes, so it cannot validate a range (RFC 9110, 13.1.5).
    tag = response.headers.get("ETag", "")
    version = tag if re.fullmatch(r'"[^"]*"', tag) else response.headers.get("Last-Modified", "")
    write_file(_validator_file(part), version.encode())
