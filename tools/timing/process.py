"""Time and memory of a whole process."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Threads that wait busily distort all times on a machine with other work.
_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


class Spent(NamedTuple):
    """What a process took, with the processes that it started."""

    wall_s: float
    cpu_s: float
    memory_mb: float  # the most that was resident at a time


def run(command: Sequence[str], root: Path | None) -> Spent:
    """Run a program to its end.

    Args:
        command: The program and its arguments.
        root: Folder whose Python packages it imports and in which it runs; None: those of its environment.

    Raises:
        SystemExit: It ended with an error; its last lines are in the message.
    """
    environment = {**os.environ, **_SETTINGS}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if root:
        environment["PYTHONPATH"] = str(root)
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = "\n".join(output.decode(errors="replace").splitlines()[-5:])
        raise SystemExit(f"{' '.join(command)}\nended with exit code {process.returncode}:\n{lines}")
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
