"""Worker processes of a DataLoader: how many, and how they start."""

import os


def worker_count(requested: int) -> int:
    """The requested number of workers, at most one for each CPU; results do not depend on it."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(requested, cpus)


def init_worker(number: int) -> None:
    """Start a worker: one thread, and signals are left to the training process."""
    import signal

    import cv2

    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the training process ends its workers by it
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C and `timeout` signal the whole process group; workers must not end by it
