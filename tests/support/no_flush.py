"""Importing this leaves out waiting for the disk in this process: trainings in tests save after every batch.

What a power cut leaves is not tested; that files are flushed before they are renamed is, by
test_atomic_file.py.
"""

import os


def _no_fsync(descriptor: int) -> None:
    """As os.fsync, without effect."""


os.fsync = _no_fsync  # type: ignore[assignment]
