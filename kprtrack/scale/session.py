"""Start Ray on this machine, or join a running cluster; nothing is sent to anybody but its machines."""

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kprtrack.core.errors import UserError
from kprtrack.core.extras import require
from kprtrack.core.signals import STOP_SIGNALS

_CONNECT_S = 5.0
_OBJECTS_BYTES = 80 << 20  # the least that Ray takes: videos and results are files, not objects of Ray


@contextmanager
def ray_session(cpus: int, address: str | None = None) -> Iterator[Any]:
    """Give the module `ray`, connected, within the `with` block.

    Without an address Ray is started for this run alone: without dashboard and usage statistics, and with a
    secret token, without which no other program can reach its processes. A connection that the calling
    program has made already is used and left open.

    Args:
        cpus: Cores that Ray may use on this machine.
        address: HOST:PORT of a running cluster, or "auto" for that of this machine; None: start one.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """
    require("--workers", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A worker without a share of a GPU sees all of them, as a process without Ray does.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is not None:
        _validate_address(address)
    elif "ray" not in sys.modules:  # Ray reads them once
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    if ray.is_initialized():
        yield ray
        return
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    folder = Path(tempfile.mkdtemp(prefix="kprtrack-ray-")) if address is None else None
    try:
        with _silent(ray):
            _connect(ray, cpus, address, folder)
            _restore(handlers)  # Ray has installed its own
            yield ray
    finally:
        with suppress(Exception):
            ray.shutdown()
        _restore(handlers)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silent(ray: Any) -> Iterator[None]:
    """Keep Ray from printing to standard output that a worker was lost: the run itself deals with it."""
    internal: Any = getattr(getattr(ray, "_private", None), "worker", None)
    printing = getattr(internal, "print_to_stdstream", None)
    if printing is not None:
        internal.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        if printing is not None:
            internal.print_to_stdstream = printing


def _connect(ray: Any, cpus: int, address: str | None, folder: Path | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if folder is not None:
        options |= {
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": _OBJECTS_BYTES,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": str(folder),
        }
    try:
        ray.init(address=address or "local", **options)
    except Exception as error:
        text = str(error).strip().split("\n")[0]
        where = f"the Ray cluster at {address} cannot be joined" if address else "Ray cannot be started"
        raise UserError(f"{where[0].upper()}{where[1:]}: {text}") from error


def _validate_address(address: str) -> None:
    """Raise UserError at once for an address without an answer; Ray would try for minutes."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or "://" in address:
        raise UserError(f"--ray is '{address}'. Give HOST:PORT as `ray start --head` shows it, or auto.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"There is no Ray cluster at {address}: {why}. Check --ray.") from error


def _restore(handlers: dict[Any, Any]) -> None:
    with suppress(ValueError):  # not in the main thread: none was changed
        for number, handler in handlers.items():
            signal.signal(number, handler)
