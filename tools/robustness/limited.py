"""Run numbered cases in forked processes with limits of time and memory."""

import ctypes
import gc
import os
import pickle
import resource
import select
import signal
import struct
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MAX_SECONDS = 30.0  # of processor time that a case may take
# For a process that sleeps. A busy machine can take as long, so that such a case is run once more.
MAX_WALL_SECONDS = 300.0
MAX_BYTES = 1 << 30  # that a case may add to the resident memory
_ADDRESS_SPACE = 3 << 29  # that a process may add: a guard for the machine, above MAX_BYTES
_ASLEEP = "hang without processor time"
_M_ARENA_MAX = -8  # mallopt: one arena, as each reserves address space


@dataclass
class Outcome:
    """What a case led to."""

    number: int
    kind: str  # read, rejected, ... or a fault
    faults: list[str] = field(default_factory=list)
    details: str = ""  # the command and its messages
    seconds: float = 0.0
    peak_bytes: int = 0


def run_cases(numbers: Sequence[int], run: Callable[[int], Outcome], batch: int = 25) -> Iterator[Outcome]:
    """Run `run(number)` of every number; a process that dies, hangs or grows ends only its own case.

    Args:
        numbers: The cases.
        run: Runs one case and returns its outcome; called in a forked process.
        batch: Cases of one process.

    Yields:
        The outcomes in the order of the numbers.
    """
    waiting = list(numbers)
    while waiting:
        done = 0
        for outcome in _run_batch(waiting[:batch], run):
            done += 1
            if outcome.kind == _ASLEEP:
                (outcome,) = _run_batch([outcome.number], run)
            yield outcome
        waiting = waiting[done:]


def _run_batch(numbers: Sequence[int], run: Callable[[int], Outcome]) -> Iterator[Outcome]:
    """The outcomes until the process ends; the last may be the one that ended it."""
    gc.collect()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _work(numbers, run, writer)
    os.close(writer)
    try:
        yield from _outcomes(pid, reader, numbers)
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)  # it may have ended, but its number is taken until it is waited for
        os.waitpid(pid, 0)


def _outcomes(pid: int, reader: int, numbers: Sequence[int]) -> Iterator[Outcome]:
    """Read the outcomes from a pipe while the time of each case is limited."""
    finished, buffer, started_s, cpu_s, hung = 0, b"", time.monotonic(), 0.0, ""
    kind = "crash"
    while True:
        ready, _, _ = select.select([reader], [], [], 1.0)
        if ready:
            piece = os.read(reader, 1 << 20)
            if not piece:
                break
            buffer += piece
            while len(buffer) >= 4 and len(buffer) >= 4 + (size := struct.unpack("<I", buffer[:4])[0]):
                yield pickle.loads(buffer[4 : 4 + size])
                buffer = buffer[4 + size :]
                finished, started_s, cpu_s = finished + 1, time.monotonic(), _cpu_seconds(pid)
        took_s, waited_s = _cpu_seconds(pid) - cpu_s, time.monotonic() - started_s
        if took_s > MAX_SECONDS or waited_s > MAX_WALL_SECONDS:
            kind = "hang" if took_s > MAX_SECONDS else _ASLEEP
            hung = f"killed after {took_s:.0f} s of processor time, {waited_s:.0f} s in all"
            os.kill(pid, signal.SIGKILL)
            break
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if finished < len(numbers):
        number = end.si_status if end and end.si_code != os.CLD_EXITED else 0
        reason = hung or f"the process ended by signal {number}"
        yield Outcome(numbers[finished], kind, [kind if hung else f"{kind} by signal {number}"], reason)


def _work(numbers: Sequence[int], run: Callable[[int], Outcome], writer: int) -> None:
    """Run the cases in this process and end it."""
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
        limit = _status_bytes("VmSize") + _ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in numbers:
            started_s, before = time.process_time(), _reset_peak()
            outcome = run(number)
            outcome.seconds = time.process_time() - started_s
            outcome.peak_bytes = _status_bytes("VmHWM") - before
            if outcome.peak_bytes > MAX_BYTES:
                outcome.kind = "memory"
                outcome.faults.append(f"memory: {outcome.peak_bytes >> 20} MiB")
            data = pickle.dumps(outcome)
            os.write(writer, struct.pack("<I", len(data)) + data)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _reset_peak() -> int:
    """Reset the largest resident memory so far; returns the present one in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def _status_bytes(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu_seconds(pid: int) -> float:
    """Processor time of a process and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
