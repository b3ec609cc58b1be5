"""Kill runs at random moments, resume them, and compare with undisturbed runs.

    python tools/kill.py                       300 kills of all runs
    python tools/kill.py --kills 30 --seed 7   fewer, at other moments
    python tools/kill.py --runs "train reid"   only these; `--list` prints all

Each run is killed one to four times by SIGKILL, SIGHUP, SIGTERM, SIGINT or SIGQUIT, then finished. Checked:
the outputs are equal to those of an undisturbed run to the bit (times that a run measures are left out), what
was saved before a kill is there after it, no file under its final name is damaged, an older complete result
is not replaced by a part. The exit code is 1 if there was a fault. Runs are forked from this process, which
has imported everything, so that a kill costs a second and not ten. Needs Linux or macOS.
"""

import argparse
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz import load_libraries
from robustness.runs import RUNS, Run, fingerprint

SIGNALS = ("SIGKILL", "SIGKILL", "SIGHUP", "SIGTERM", "SIGINT", "SIGQUIT")
INTERRUPTED = 130
_MAX_KILLS = 4  # of one run, before it is finished
_FAILED = 70  # exit code of a process that ended by an exception


@dataclass
class Tally:
    """What happened to one kind of run."""

    kills: Counter[str] = field(default_factory=Counter)
    late: int = 0  # signals that came after the end of the run
    resumed: int = 0  # runs that ended like the undisturbed one
    faults: list[str] = field(default_factory=list)


def start(act: Callable[[], int | None], folder: Path) -> int:
    """Do something in a forked process whose working folder is given; returns the number of the process."""
    pid = os.fork()
    if pid:
        return pid
    code = _FAILED
    try:
        os.chdir(folder)
        os.environ["KPRTRACK_HOME"] = str(folder / "home")
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        code = act() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def command(words: str, folder: Path) -> int:
    """Start a command of the product in a folder; returns the number of the process."""
    from kprtrack.cli.main import main

    return start(lambda: main(words.split()), folder)


def build(run: Run, folder: Path) -> None:
    """Write the inputs of a run into a new folder."""
    folder.mkdir(parents=True)
    if finish(start(lambda: run.build(folder), folder)):
        raise SystemExit(f"The inputs could not be made:\n{(folder / 'log.txt').read_text()}")


def finish(pid: int) -> int:
    """Wait for a process; returns its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def undisturbed(run: Run, folder: Path) -> tuple[dict[str, str], float]:
    """Return the fingerprint of a whole run and the seconds it takes."""
    started_s = time.monotonic()
    if code := finish(command(run.words, folder)):
        raise SystemExit(f"{run.words}: exit code {code}\n{(folder / 'log.txt').read_text()}")
    return fingerprint(folder, run.outputs), time.monotonic() - started_s


def disturb(run: Run, folder: Path, whole: dict[str, str], whole_s: float, rng: random.Random) -> Tally:
    """Kill one run up to _MAX_KILLS times, finish it and compare."""
    tally, before = Tally(), run.progress(folder)
    words = run.words
    for _ in range(rng.randint(1, _MAX_KILLS)):
        name = rng.choice(SIGNALS)
        pid = command(words, folder)
        time.sleep(rng.uniform(0, whole_s))
        os.kill(pid, getattr(signal, name))
        code = finish(pid)
        words = run.again or run.words
        tally.kills[name] += 1
        tally.late += code == 0
        if code not in (0, INTERRUPTED, -getattr(signal, name)):
            tally.faults.append(f"{name}: exit code {code}")
        try:
            if fault := run.check(folder):
                tally.faults.append(f"{name}: {fault}")
            now = run.progress(folder)
        except Exception as error:
            tally.faults.append(f"{name}: a file cannot be read: {type(error).__name__}: {str(error)[:200]}")
            continue
        if code == 0:  # the run was complete, and needs nothing to be continued
            before = now
        if now < before:
            tally.faults.append(f"{name}: progress shrank from {before:g} to {now:g}")
        before = max(before, now)
    code = finish(command(words, folder))
    last = ((folder / "log.txt").read_text("utf-8", "replace").splitlines() or [""])[-1]
    if code:
        tally.faults.append(f"the last run ended with {code}: {last[:300]}")
        return tally
    found = fingerprint(folder, run.outputs)
    if found == whole:
        tally.resumed += 1
    else:
        changed = sorted(name for name in {*found, *whole} if found.get(name) != whole.get(name))
        tally.faults.append(f"other outputs than of an undisturbed run: {', '.join(changed)}")
    if left := [path.name for path in folder.rglob("*.part")]:
        tally.faults.append(f"unfinished files left: {', '.join(left)}")
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill runs and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300, help="number of kills (default 300)")
    parser.add_argument("--minutes", type=float, metavar="M", help="end earlier, after so many minutes")
    parser.add_argument("--seed", type=int, default=0, help="another seed kills at other moments")
    parser.add_argument("--runs", nargs="+", default=list(RUNS), metavar="NAME", help="only these runs")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the folders of faults there")
    parser.add_argument("--list", action="store_true", help="print the names of the runs and exit")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(RUNS))
        return 0
    if unknown := set(options.runs) - set(RUNS):
        parser.error(f"no run {', '.join(sorted(unknown))}; --list prints all")
    load_libraries()
    tallies = {name: Tally() for name in options.runs}
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill-") as place:
        wholes = {}
        for name in options.runs:
            inputs, folder = (Path(place).resolve() / kind / name for kind in ("inputs", "whole"))
            build(RUNS[name], inputs)
            shutil.copytree(inputs, folder)
            wholes[name] = undisturbed(RUNS[name], folder)
            print(f"{name}: {wholes[name][1]:.1f} s undisturbed", flush=True)
        number, end_s = 0, time.monotonic() + 60 * (options.minutes or math.inf)
        while (
            time.monotonic() < end_s
            and sum(tally.kills.total() for tally in tallies.values()) < options.kills
        ):
            name = options.runs[number % len(options.runs)]
            folder = Path(place).resolve() / str(number)
            shutil.copytree(Path(place).resolve() / "inputs" / name, folder)
            one = disturb(RUNS[name], folder, *wholes[name], rng)
            tally = tallies[name]
            tally.kills += one.kills
            tally.late, tally.resumed = tally.late + one.late, tally.resumed + one.resumed
            tally.faults += one.faults
            for fault in one.faults:
                print(f"FAULT {name} {number}: {fault}", flush=True)
            if one.faults and options.keep:
                shutil.copytree(folder, options.keep / f"{name} {number}", dirs_exist_ok=True)
            shutil.rmtree(folder)
            number += 1
    print(report(tallies))
    return int(any(tally.faults for tally in tallies.values()))


def report(tallies: dict[str, Tally]) -> str:
    """Return a table: kills by signal, runs that ended like the undisturbed one, faults."""
    names = sorted(set(SIGNALS))
    lines = [f"{'run':16}" + "".join(f"{name:>9}" for name in names) + "   late  same  faults"]
    for run, tally in tallies.items():
        counts = "".join(f"{tally.kills[name]:>9}" for name in names)
        lines.append(f"{run:16}{counts}{tally.late:>7}{tally.resumed:>6}{len(tally.faults):>8}")
    total = sum(tally.kills.total() for tally in tallies.values())
    return "\n".join([*lines, f"{total} kills, {sum(len(t.faults) for t in tallies.values())} faults"])


if __name__ == "__main__":
    sys.exit(main())
