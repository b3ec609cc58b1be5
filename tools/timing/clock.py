"""Fair comparison of two ways to do the same: both run in turns, so that a busy machine slows both alike."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

Times = dict[str, list[tuple[float, float]]]  # by name: wall and processor seconds of each round


class Timing(NamedTuple):
    """Medians over all rounds."""

    wall_s: float
    cpu_s: float  # of all threads of this process


def in_turns(
    candidates: Mapping[str, Callable[[], object]], rounds: int, *, pause_s: float = 0.0
) -> dict[str, Timing]:
    """Median times of calls without arguments; each round calls every candidate once.

    pause_s: before every call, for threads of the one before that still wait busily for more to do.
    """
    times: Times = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        names = list(candidates)
        if turn % 2:
            names.reverse()  # nobody always runs on what the other left in the caches
        for name in names:
            time.sleep(pause_s)
            spent = timed(candidates[name])
            if turn:  # the first round warms up
                times[name].append(spent)
    return medians(times)


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def medians(times: Times) -> dict[str, Timing]:
    """One Timing for each name."""
    return {
        name: Timing(median(wall for wall, _ in spent), median(cpu for _, cpu in spent))
        for name, spent in times.items()
    }
