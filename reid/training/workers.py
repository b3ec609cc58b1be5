"""Worker processes of a DataLoader: how many, and how they start."""

import os

from kprtrack.core.signals import leave_signals_to_parent


def worker_count(requested: int) -> int:
    """The requested number of workers, at most one for each CPU; results do not depend on it.

    Args:
        requested: 0 or more.

    Returns:
        0 to the number of CPUs this process may use.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(requested, cpus)


def init_worker(number: int) -> None:
    """Start a worker: one thread, and signals are left to the training process.

    Args:
        number: Of the worker; not used.
    """
    import cv2

    cv2.setNumThreads(0)
    leave_signals_to_parent()
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C and `timeout` signal the whole process group; workers must not end by it
