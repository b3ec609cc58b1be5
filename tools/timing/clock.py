"""Compare the time of several implementations, which alternate so that a busy machine slows all of them."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

Times = dict[str, list[tuple[float, float]]]  # name -> wall and processor seconds of each round


class Timing(NamedTuple):
    """Medians over all rounds."""

    wall_s: float
    cpu_s: float  # of all threads of this process


def in_turns(
    candidates: Mapping[str, Callable[[], object]], rounds: int, *, pause_s: float = 0.0
) -> dict[str, Timing]:
    """Measure calls without arguments in alternation.

    Args:
        candidates: Name -> call.
        rounds: How often each candidate is called, after one round of warm-up.
        pause_s: Pause before each call, for threads of the previous one that still wait busily.

    Returns:
        Median times by name.
    """
    times: Times = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        names = list(candidates)
        if turn % 2:
            names.reverse()  # so that none always runs after the same other one
        for name in names:
            time.sleep(pause_s)
            spent = timed(candidates[name])
            if turn:  # the first round warms up
                times[name].append(spent)
    return medians(times)


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def medians(times: Times) -> dict[str, Timing]:
    """Return the medians of all rounds by name."""
    return {
        name: Timing(median(wall for wall, _ in spent), median(cpu for _, cpu in spent))
        for name, spent in times.items()
    }
