"""Serve the page on this machine alone."""

import contextlib
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from kprtrack.core.errors import UserError
from kprtrack.core.extras import require
from kprtrack.io import TrackFile
from kprtrack.io.same_video import validate_size

HOST = "127.0.0.1"


def serve_review(
    tracks: TrackFile,
    source: str | Path,
    edits: Path,
    *,
    port: int = 0,
    opened: Callable[[str], None],
) -> None:
    """Serve the page until the process is interrupted.

    Args:
        tracks: What `read_tracks` returned.
        source: Its video: a file or a folder of images.
        edits: The edits file; it need not exist.
        port: Of the server; 0: a free one.
        opened: Is given the address, with the token in its fragment, when the server takes connections.

    Raises:
        UserError: An extra is not installed, the port is in use or the source is a stream.
        InputError: The video or the edits file cannot be read, or video and tracks do not belong together.
    """
    require("kprtrack review", "starlette", "uvicorn")
    import uvicorn

    from kprtrack.review.app import ReviewApp
    from kprtrack.review.session import ReviewSession
    from kprtrack.video.stills import FrameReader

    with FrameReader(source) as video, FrameReader(source) as thumbnails:
        info = video.info
        validate_size(tracks.header.video, "the tracks", (info.width, info.height), f"'{info.name}'")
        app = ReviewApp(ReviewSession(tracks, edits), video, thumbnails)
        with _listening(port) as listener:
            token, port = secrets.token_urlsafe(24), listener.getsockname()[1]
            config = uvicorn.Config(
                app.guarded(token, port),
                lifespan="off",
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
            opened(f"http://{HOST}:{port}/#{token}")
            with contextlib.suppress(KeyboardInterrupt):  # how it is meant to end
                uvicorn.Server(config).run([listener])


def _listening(port: int) -> socket.socket:
    """A socket that takes connections of this machine. Raises: UserError."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(
            f"Port {port} cannot be used: {error.strerror}. Choose another one with --port."
        ) from error
    return listener
