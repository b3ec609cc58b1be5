"""What holds for every test."""

import os

# Test processes that run side by side share the cores; each with threads of its own for every core they only
# wait for each other. Set before numpy and torch are loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
