"""Mutate every format the product reads, run commands on the result, and count the outcomes.

    python tools/fuzz.py                              10,000 cases of all formats
    python tools/fuzz.py --cases 500 --seed 7         fewer, others
    python tools/fuzz.py --formats videos configs     only these; `--list` prints all
    python tools/fuzz.py --only 1234 --keep broken    one case again, with its input kept in a folder

Case N of a seed is always the same: the target, the mutation, the command. Every case runs through
`kprtrack.cli.main.main` in a forked process with limits of 30 seconds of processor time and 1 GB. A training
whose settings ask for a long one is stopped by SIGTERM after 10 seconds; it must have made a step by then,
end in time, and leave a checkpoint. The exit code is 1 if there was a fault: a traceback, "this is a bug", a
message of several lines, an output that cannot be read back or holds impossible values, a file that shows
that code in the input ran, a crash, a hang, too much memory.
`--valid` runs every command on its valid input, which must be accepted. Needs Linux.
"""

import argparse
import math
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from robustness.byte_mutations import mutate_bytes
from robustness.checks import REJECTED, message_faults, output_faults, stopped_training_faults
from robustness.in_process import captured, signature, stopped_if_long
from robustness.limited import Outcome, run_cases
from robustness.targets import TARGETS, Target, mutation_of

_RENAMES = (
    *(
        b"\xff\xfe",
        b"\x1b[31mred",
        b"~",
        b"-dash",
        b"0001",
        b"a b",
        b"x" * 240,
        b"%d",
        b"[a]",
        b"a:b",
        b"\xc3\xbc",
    ),
    *(
        b"concat:x",
        b"a\nb",
        b"._hidden",
        b"CON",
        b"a,b;c",
        b"$HOME",
        b"'q\"",
        b"..",
        b"%s{0}",
        b"\xe2\x80\xaex",
    ),
)
_NOT_POSSIBLE = (ValueError, KeyError, IndexError, OverflowError, TypeError, RecursionError)
_HEAVY = (
    "torch",
    "torchvision",
    "accelerate",
    "av",
    "cv2",
    "onnx",
    "onnxruntime",
    "pyarrow.parquet",
    "safetensors.torch",
)


class Fuzzer:
    """Makes, runs and checks numbered cases.

    Args:
        seed: The seed of all cases.
        folder: Where inputs are made.
        keep: Folder for the inputs of faults; None: they are deleted.
    """

    def __init__(self, seed: int, folder: Path, keep: Path | None) -> None:
        self._seed, self._folder, self._keep = seed, folder, keep
        self._wheel = [name for name, target in TARGETS.items() for _ in range(target.share)]

    def target_of(self, number: int) -> str:
        """Return the name of the target of a case."""
        return self._wheel[number % len(self._wheel)]

    def build(self, names: Sequence[str]) -> None:
        """Write the valid inputs of targets, in a process of its own."""
        (self._folder / "work").mkdir()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for name in names:
                    (self._folder / name).mkdir()
                    os.chdir(self._folder / name)
                    TARGETS[name].build(self._folder / name)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        if os.waitpid(pid, 0)[1]:
            raise SystemExit("The valid inputs could not be made, see above.")

    def run_valid(self, number: int) -> Outcome:
        """Run one command of all on its valid input, where anything but exit code 0 is a fault."""
        name, words = self.valid_commands()[number]
        work = self._folder / "work" / f"valid{number}"
        shutil.copytree(self._folder / name, work, symlinks=True)
        os.chdir(work)
        outcome = self._run(number, words, work, list(work.rglob("*")), debug=True)
        os.chdir(self._folder)
        shutil.rmtree(work, ignore_errors=True)
        if outcome.kind != "read":
            outcome.faults.append(f"a valid input gives: {outcome.kind}")
        return outcome

    def valid_commands(self) -> list[tuple[str, list[str]]]:
        """Return every command of the targets that are built, once for each kind of file it reads."""
        commands = []
        for name in sorted(path.name for path in self._folder.iterdir() if path.name in TARGETS):
            target, seen = TARGETS[name], set()
            for file in sorted((self._folder / name).glob(target.files)):
                place = str(file.relative_to(self._folder / name))
                for command in target.commands:
                    kind = (command, file.suffix if "{file}" in command else "")
                    if kind not in seen:
                        seen.add(kind)
                        commands.append((name, [word.replace("{file}", place) for word in command.split()]))
        return commands

    def run(self, number: int, *, debug: bool = False) -> Outcome:
        """Make and run one case."""
        work = self._folder / "work" / str(number)
        outcome = Outcome(number, "skipped")
        try:
            words = self.prepare(number, work)
            os.chdir(work)
            before = list(work.rglob("*"))
            outcome = self._run(number, words, work, before, debug=debug)
        finally:
            os.chdir(self._folder)
            if self._keep and (outcome.faults or debug):
                shutil.copytree(work, self._keep / str(number), symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(work, ignore_errors=True)
        return outcome

    def prepare(self, number: int, work: Path) -> list[str]:
        """Write the input of a case into a new folder; returns the words of its command."""
        name = self.target_of(number)
        shutil.copytree(self._folder / name, work, symlinks=True)
        return self._mutate(TARGETS[name], work, random.Random(f"{self._seed}:{number}"))

    def _mutate(self, target: Target, work: Path, rng: random.Random) -> list[str]:
        """Mutate one file, seldom its name or kind; returns the words of a command."""
        files = sorted(path for path in work.glob(target.files) if path.is_file())
        file = rng.choice(files)
        action = rng.randrange(100)
        if action >= 6:
            data = file.read_bytes()
            try:
                data = mutation_of(file)(data, rng)
            except _NOT_POSSIBLE:  # a value that the format lacks, or a mutation of what is mutated already
                data = mutate_bytes(data, rng)
            file.write_bytes(data)
        elif action >= 3:
            file = _renamed(file, rng)
        elif action == 2:
            file.write_bytes(rng.choice(files).read_bytes())
        else:
            file.unlink()
            if action == 1:
                rng.choice((file.mkdir, lambda: file.symlink_to(file), lambda: file.symlink_to(work)))()
        place = os.fsencode(file.relative_to(work))
        words = rng.choice(target.commands).split()
        return [word.replace("{file}", os.fsdecode(place)) for word in words]

    def _run(self, number: int, words: list[str], work: Path, before: list[Path], *, debug: bool) -> Outcome:
        from kprtrack.cli.main import main

        os.environ["KPRTRACK_HOME"] = str(work / "home")
        details, faults = f"kprtrack {' '.join(words)!a}", []
        with captured(work.parent / "errors") as errors, stopped_if_long(words) as stopped:
            try:
                code = main(words)
            except BaseException as error:
                code, kind = -1, "traceback"
                faults.append(f"traceback: {signature(error)}")
        text = errors()
        kind = {0: "read", 130: "interrupted", 1: "bug", -1: "traceback"}.get(code, f"rejected ({code})")
        if code == 1:
            faults.append(f"bug: {self._why(words, work)}")
        reports = words[1:2] == ["check"]  # of data or models: the findings are the output
        faults += message_faults(0 if reports else code, text) if code != 1 else []
        faults += output_faults(work, code, before)
        if stopped:
            kind = "stopped"
            faults += stopped_training_faults(work / words[words.index("--out") + 1], code)
        if code not in (0, 1, -1, *REJECTED) and not stopped:
            faults.append(f"exit code {code}")
        shown = text if debug or faults else text.rstrip().split("\n")[-1][:400]
        return Outcome(number, kind, faults, f"{details} -> {code}: {shown[:20_000]}")

    def _why(self, words: list[str], work: Path) -> str:
        """Run again with --debug; returns the error and where it was raised."""
        from kprtrack.cli.main import main

        with captured(work.parent / "errors"):
            try:
                main([*words, "--debug"])
            except BaseException as error:
                return signature(error)
        return "not repeatable"


def _renamed(file: Path, rng: random.Random) -> Path:
    name = rng.choice(_RENAMES) + os.fsencode(rng.choice((file.suffix, file.suffix, "", file.suffix.upper())))
    try:
        return file.rename(Path(os.fsdecode(os.fsencode(file.parent) + b"/" + name)))
    except OSError:
        return file


def load_libraries() -> None:
    """Import what forked processes share."""
    import contextlib
    import importlib

    for name in (
        *_HEAVY,
        "kprtrack.cli.main",
        "kprtrack.run",
        "kprtrack.training.tasks",
        "eval.report.plots",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def report(outcomes: Sequence[Outcome], names: Mapping[int, str]) -> str:
    """Return a table of outcomes per target, and every kind of fault with its cases."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    faults: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        table[names[one.number]]["fault" if one.faults else one.kind] += 1
        for fault in one.faults:
            faults[fault].append(one)
    lines = [f"{name:28} " + ", ".join(f"{k} {n}" for k, n in sorted(table[name].items())) for name in table]
    total = Counter("fault" if one.faults else one.kind for one in outcomes)
    lines.append(f"{'all':28} " + ", ".join(f"{kind} {count}" for kind, count in sorted(total.items())))
    slowest = max(outcomes, key=lambda one: one.seconds)
    largest = max(outcomes, key=lambda one: one.peak_bytes)
    lines.append(f"slowest: case {slowest.number}, {slowest.seconds:.1f} s of processor time")
    lines.append(f"largest: case {largest.number}, {largest.peak_bytes >> 20} MiB of memory added")
    for fault, cases in sorted(faults.items(), key=lambda item: -len(item[1])):
        lines.append(f"\n{len(cases)} x {fault}")
        lines += [f"    {one.number} {one.details}" for one in cases[:3]]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases and print the report; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000, help="number of cases (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other cases")
    parser.add_argument("--minutes", type=float, metavar="M", help="end earlier, after so many minutes")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument(
        "--formats", nargs="+", default=list(TARGETS), metavar="NAME", help="only these targets"
    )
    parser.add_argument(
        "--only", type=int, nargs="+", metavar="N", help="only these cases, with their messages"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the inputs of faults there")
    parser.add_argument("--valid", action="store_true", help="run every command on its valid input instead")
    parser.add_argument("--list", action="store_true", help="print the names of the targets and exit")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(TARGETS))
        return 0
    if unknown := set(options.formats) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; --list prints all")
    keep = options.keep.resolve() if options.keep else None
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        fuzzer = Fuzzer(options.seed, Path(folder).resolve(), keep)
        numbers = options.only or range(options.first, options.first + options.cases)
        numbers = [n for n in numbers if options.only or fuzzer.target_of(n) in options.formats]
        load_libraries()
        names = {number: fuzzer.target_of(number) for number in numbers}
        fuzzer.build(options.formats if options.valid else sorted(set(names.values())))
        run: Callable[[int], Outcome] = partial(fuzzer.run, debug=bool(options.only))
        if options.valid:
            names = {number: name for number, (name, _) in enumerate(fuzzer.valid_commands())}
            numbers, run = list(names), fuzzer.run_valid
        outcomes, end_s = [], started_s + 60 * (options.minutes or math.inf)
        for outcome in run_cases(numbers, run):
            if time.monotonic() > end_s:
                break
            outcome.details = f"[{names[outcome.number]}] {outcome.details}"
            outcomes.append(outcome)
            if outcome.faults or options.only:
                print(f"{outcome.number} {outcome.kind} {outcome.faults} {outcome.details}", flush=True)
    print(report(outcomes, names))
    print(f"{len(outcomes)} cases in {time.monotonic() - started_s:.0f} s, seed {options.seed}")
    return int(any(one.faults for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
