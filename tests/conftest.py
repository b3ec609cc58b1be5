"""What holds for every test."""

import os
from pathlib import Path

import support.no_flush  # noqa: F401

# Test processes that run side by side share the cores; each with threads of its own for every core they only
# wait for each other. Set before numpy and torch are loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Programs that tests start find the packages and the helpers of the tests, whatever their working folder.
_TESTS = Path(__file__).resolve().parent
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(_TESTS.parent), str(_TESTS), os.environ.get("PYTHONPATH")))
)
