"""Lets a block finish before Ctrl-C is heard."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is done, so that no record is torn."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    # What is ignored (as SIGINT of a shell's background job) or not Python's own stays so.
    usual = {
        number: signal.signal(number, lambda n, _: waiting.append(n))
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(signal.getsignal(number))
    }
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt
