"""Start the viewer Rerun so that it serves this machine alone and reaches no other."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from kprtrack.core.errors import OutputError

HOST = "127.0.0.1"  # Rerun itself would listen on all interfaces
_READY_S = 30.0  # longest wait until the viewer takes connections
_POLL_S = 0.1
# The viewer sends usage data unless it runs for a CI service, and looks for newer versions of itself. A proxy
# that is not there keeps it from both.
_CLOSED = f"http://{HOST}:9"
_OFFLINE = {"CI": "1", "HTTP_PROXY": _CLOSED, "HTTPS_PROXY": _CLOSED, "ALL_PROXY": _CLOSED, "NO_PROXY": HOST}
_APP_ONLY = {"RERUN_APP_ONLY": "true"}  # as Rerun's own `spawn` sets it
_viewers: list[
    subprocess.Popen[bytes]
] = []  # of this process; one that is collected while it runs would warn


def start_viewer(executable: str | None = None) -> str:
    """Start the viewer in a process of its own, which outlives this one.

    Args:
        executable: The program; None: `rerun` beside Python, else in PATH.

    Returns:
        The address for `RecordingStream.connect_grpc`.

    Raises:
        OutputError: There is no such program, or it ends or takes no connections.
    """
    beside = Path(sys.executable).with_name("rerun")  # not in PATH if its environment is not active
    program = executable or (str(beside) if beside.is_file() else shutil.which("rerun"))
    if program is None:
        raise OutputError("Cannot open the viewer: there is no program `rerun`. Add --save tracks.rrd.")
    with socket.socket() as found:
        found.bind((HOST, 0))
        port = found.getsockname()[1]
    offline = _OFFLINE | {name.lower(): value for name, value in _OFFLINE.items() if "PROXY" in name}
    try:
        viewer = subprocess.Popen(
            [program, "--port", str(port), "--bind", HOST, "--hide-welcome-screen"],
            env=os.environ | offline | _APP_ONLY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C here does not close it
        )
    except OSError as error:
        raise OutputError(f"Cannot open the viewer: {program}: {error.strerror}.") from error
    _viewers.append(viewer)
    _wait(viewer, port)
    return f"rerun+http://{HOST}:{port}/proxy"


def _wait(viewer: subprocess.Popen[bytes], port: int) -> None:
    """Return when the viewer takes connections. Raises: OutputError if it does not."""
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        code = viewer.poll()
        if code is not None:
            raise OutputError(
                f"Cannot open the viewer: it ended with exit code {code}. Add --save tracks.rrd, and open"
                " that file elsewhere with: rerun tracks.rrd"
            )
        with socket.socket() as connection:
            connection.settimeout(1)
            if connection.connect_ex((HOST, port)) == 0:
                return
        time.sleep(_POLL_S)
    viewer.terminate()
    raise OutputError(f"Cannot open the viewer: it takes no connections after {_READY_S:g} s.")
