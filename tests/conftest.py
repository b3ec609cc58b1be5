"""What holds for every test."""

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import support.no_flush  # noqa: F401

# Test processes that run side by side share the cores; each with threads of its own for every core they only
# wait for each other. Set before numpy and torch are loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Started in the background of a shell, a program ignores SIGINT; tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests leave the user's own store alone. Converted networks are kept here, for all processes of the test run.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["KPRTRACK_HOME"] = tempfile.mkdtemp(prefix="kprtrack-tests-")
    atexit.register(shutil.rmtree, os.environ["KPRTRACK_HOME"], ignore_errors=True)

# Programs that tests start find the packages and the helpers of the tests, whatever their working folder.
_TESTS = Path(__file__).resolve().parent
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(_TESTS.parent), str(_TESTS), os.environ.get("PYTHONPATH")))
)
