"""Processes that begin with everything imported, where the system can do so: importing takes seconds of each.

They are forked from a server without threads: a fork of the test's own process may hang in a lock that a
thread of a library held. Python has one such server in a process, so all tests share it.
"""

import multiprocessing
from typing import Any

_PRELOADED = ("train_worker", "killed_run", "bench_cases")


def _new_context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"support.{name}" for name in _PRELOADED])
    return context


CONTEXT = _new_context()
