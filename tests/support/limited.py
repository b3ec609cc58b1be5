"""Runs a Python program in a process of its own whose memory and time are limited.

A program that would take all memory or crash then fails its test instead of ending the test run.
"""

import subprocess
import sys

from support.paths import ROOT

_LIMITS = """\
import sys
try:
    import resource
except ImportError:  # Windows
    pass
else:
    resource.setrlimit(resource.RLIMIT_AS, (sys_memory, sys_memory))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
"""


def run_limited(program: str, *arguments: object, megabytes: int = 1500) -> list[str]:
    """Run a program.

    Args:
        program: Python source; `sys` is imported.
        arguments: Its `sys.argv[1:]`.
        megabytes: Address space that it may take.

    Returns:
        The lines that it printed.

    Raises:
        AssertionError: It crashed, raised an error or took more than a minute of CPU time; the message holds
            what it had printed.
    """
    limits = _LIMITS.replace("sys_memory", str(megabytes << 20))
    run = subprocess.run(
        [sys.executable, "-c", limits + program, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, f"exit code {run.returncode} after {run.stdout[-500:]}: {run.stderr[-2000:]}"
    return run.stdout.splitlines()
