"""The application behind the page: a fixed list of paths, none of which names a file."""

import json
import mimetypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.edits import Undo
from kprtrack.rendering.contact_sheet import crop_person
from kprtrack.review.guard import Guard
from kprtrack.review.session import OutdatedError, ReviewSession
from kprtrack.video.stills import FrameReader, to_jpeg

STATIC = Path(__file__).with_name("static")
_MOST_BODY = 4096  # bytes


class ReviewApp:
    """The paths of the page.

    Args:
        session: The result and its edits.
        video: Reads the frames that are shown.
        thumbnails: Reads those of thumbnails, from the same video.
    """

    def __init__(self, session: ReviewSession, video: FrameReader, thumbnails: FrameReader) -> None:
        self.session, self._video, self._thumbnails = session, video, thumbnails
        clock = session.snapshot().state.clock
        self._numbers = clock.numbers
        fps = video.info.fps
        self._times = clock.numbers / fps if clock.times is None else clock.times

    def guarded(self, token: str, port: int) -> ASGIApp:
        """Return the application, which answers only the page itself."""
        files = _static_files()
        routes = [
            Route(path, _file(content, kind), methods=["GET"]) for path, (content, kind) in files.items()
        ]
        for path, answer in (
            ("/api/result", self._result),
            ("/api/clock", self._clock),
            ("/api/summary", self._summary),
            ("/api/version", self._version),
            ("/api/moments", self._moments),
            ("/api/boxes", self._boxes),
            ("/api/frame", self._frame),
            ("/api/thumbnail", self._thumbnail),
        ):
            routes.append(Route(path, _get(answer), methods=["GET"]))
        routes.append(Route("/api/edits", _post(self._add), methods=["POST"]))
        routes.append(Route("/api/preview", _post(self._preview), methods=["POST"]))
        app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found})
        app.router.redirect_slashes = False
        return Guard(app, token, port, frozenset(files))

    def _result(self, query: Mapping[str, str]) -> Response:
        info, header = self._video.info, self.session.tracks.header
        return _json(
            {
                "name": info.name,
                "width": info.width,
                "height": info.height,
                "frames": len(self._numbers),
                "edges": header.skeleton.edges,
                "edits": self.session.path.name,
            }
        )

    def _clock(self, query: Mapping[str, str]) -> Response:
        """Times and numbers of all frames, float64, little-endian."""
        both = np.concatenate([self._times, self._numbers]).astype("<f8")
        return Response(both.tobytes(), media_type="application/octet-stream")

    def _summary(self, query: Mapping[str, str]) -> Response:
        return _json(self.session.snapshot().summary)

    def _version(self, query: Mapping[str, str]) -> Response:
        return _json({"version": self.session.snapshot().version})

    def _moments(self, query: Mapping[str, str]) -> Response:
        snapshot = self.session.snapshot()
        return _json({"version": snapshot.version, "moments": snapshot.moments})

    def _boxes(self, query: Mapping[str, str]) -> Response:
        first, count = _whole(query, "first", len(self._numbers)), _whole(query, "count", 10_000)
        snapshot = self.session.snapshot()
        return _json({"version": snapshot.version, "first": first, "frames": snapshot.boxes(first, count)})

    def _frame(self, query: Mapping[str, str]) -> Response:
        index = self._index(query)
        width = _whole(query, "width", 16_384) if "width" in query else None
        return _jpeg(self._video.jpeg(int(self._numbers[index]), float(self._times[index]), width or None))

    def _thumbnail(self, query: Mapping[str, str]) -> Response:
        best = self.session.snapshot().best_box(_whole(query, "track", 2**53))
        if best is None:
            raise InputError(f"There is no track {query['track']}.")
        index, box = best
        image = self._thumbnails.image(int(self._numbers[index]), float(self._times[index]))
        return _jpeg(to_jpeg(crop_person(image, box)))

    def _add(self, data: Mapping[str, str]) -> Response:
        snapshot = self.session.add(data["text"], data["version"])
        last = snapshot.edits.records[-1]
        results = [str(each.details) for each in snapshot.edited.report if each.edit == last]
        details = results[0] if results else f"edit {last.undone} is undone" if isinstance(last, Undo) else ""
        return _json({"details": details, **snapshot.summary})

    def _preview(self, data: Mapping[str, str]) -> Response:
        return _json({"details": self.session.preview(data["text"], data["version"])})

    def _index(self, query: Mapping[str, str]) -> int:
        index = _whole(query, "index", len(self._numbers) - 1)
        if not len(self._numbers):
            raise InputError("The result has no frames.")
        return index


def _static_files() -> dict[str, tuple[bytes, str]]:
    """Content and type of the files of the page by path."""
    files = {}
    for file in sorted(STATIC.iterdir()):
        if file.suffix in (".html", ".js", ".css", ".svg"):
            path = "/" if file.name == "index.html" else f"/{file.name}"
            files[path] = file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain"
    return files


def _file(content: bytes, kind: str) -> Callable[[Request], Any]:
    kind = "text/javascript" if kind.endswith("javascript") else kind

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


def _get(answer: Callable[[Mapping[str, str]], Response]) -> Callable[[Request], Any]:
    async def run(request: Request) -> Response:
        return await _answered(answer, dict(request.query_params))

    return run


def _post(answer: Callable[[Mapping[str, str]], Response]) -> Callable[[Request], Any]:
    async def run(request: Request) -> Response:
        try:
            data = await _body(request)
        except UserError as error:
            return _error(400, str(error))
        return await _answered(answer, data)

    return run


async def _answered(answer: Callable[[Mapping[str, str]], Response], data: Mapping[str, str]) -> Response:
    try:
        return await run_in_threadpool(answer, data)
    except OutdatedError as error:
        return _error(409, str(error))
    except OutputError as error:
        return _error(507, str(error))
    except UserError as error:
        return _error(400, str(error))


async def _body(request: Request) -> dict[str, str]:
    """The JSON object of a request: an edit and the version that it is for. Raises: UserError."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UserError("The request must be JSON (content-type: application/json).")
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BODY:
                raise UserError(f"The request is longer than {_MOST_BODY} bytes.")
    except ClientDisconnect:
        raise UserError("The request has ended early.") from None
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise UserError("The request is not valid JSON.") from None
    if not isinstance(data, dict) or set(data) != {"text", "version"}:
        raise UserError('The request must be an object with "text" and "version".')
    for key, value in data.items():
        if not isinstance(value, str) or not value.isprintable():
            raise UserError(f'"{key}" must be printable text.')
    return data


def _whole(query: Mapping[str, str], name: str, most: int) -> int:
    text = query.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= most):
        raise UserError(f'"{name}" must be a whole number from 0 to {most}, not {text!r:.40}.')
    return int(text)


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _jpeg(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg")


def _error(code: int, text: str) -> Response:
    return Response(
        orjson.dumps({"error": " ".join(text.split())}), status_code=code, media_type="application/json"
    )


def _not_found(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    return _error(
        code, {404: "There is no such path.", 405: "This method is not allowed."}.get(code, "Error.")
    )
