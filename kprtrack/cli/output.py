"""Print results to standard output, log messages to standard error and write report files."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.config import DEFAULT_PRESET, PRESETS, TrackConfig
from kprtrack.core.errors import InputError, UserError, printable
from kprtrack.core.files.paths import real_path

if TYPE_CHECKING:
    from kprtrack.outputs import Summary

INTERRUPTED = 130  # exit code after Ctrl-C
STRONGEST_PRESET = "accurate"  # recommended for footage that is beyond the default networks
STANDARD_OUTPUT = "-"  # as the value of --out or --json
_MOST_UNCERTAIN = 3  # tracks that are named
_CLEAR = "\r\x1b[K"  # empties the current line of a terminal


def print_text(text: str) -> None:
    """Print to standard output, ending in one line break."""
    sys.stdout.write(printable(text.rstrip(), keep="\n\t") + "\n")


def print_line(text: str) -> None:
    """Print one line to standard output; line breaks in it, as in a file name, are written out."""
    print_text(printable(text))


def table_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as text with aligned columns; the first row has their names."""
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def print_config(config: TrackConfig) -> int:
    """Print the configuration as JSON and return the exit code."""
    print_text(json.dumps(asdict(config), indent=2))
    return 0


def log(text: str) -> None:
    """Write one line to standard error; nothing if its terminal has been closed."""
    with suppress(OSError):
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def completed(run: Callable[[], "Summary"]) -> tuple["Summary", bool]:
    """Return the summary of a run, and whether it was interrupted too late to be stopped."""
    from kprtrack.outputs import InterruptedAfterEnd

    try:
        return run(), False
    except InterruptedAfterEnd as late:
        return late.summary, True


def log_tracks(summary: "Summary", config: TrackConfig | None, *, quiet: bool) -> int:
    """Log the number of frames and people tracked and return the exit code.

    Args:
        summary: The finished run.
        config: Its configuration; None if no network ran, then prompts are not counted.
        quiet: Log errors only.
    """
    lines = [] if summary.sightings or summary.stopped else ["no person was detected in any frame"]
    if config:
        lines += [*_prompts(summary, config), *_beyond_default(summary, config)]
    lines += [f"note: {note}" for note in summary.notes]
    lines += _uncertain(summary)
    return log_summary(summary, _count(len(summary.ids), "person", "people"), *lines, quiet=quiet)


def _uncertain(summary: "Summary") -> list[str]:
    """Tracks that may be two people, the most uncertain first."""
    from kprtrack.identity.confidence import LOW

    uncertain = sorted(
        (value, number) for number, value in summary.identity_confidence.items() if value < LOW
    )
    lines = [
        f"track {number} may be two people: kprtrack why {summary.out} --track {number}"
        for _, number in uncertain[:_MOST_UNCERTAIN]
    ]
    more = len(uncertain) - len(lines)
    return lines + ([f"and {_count(more, 'more track', 'more tracks')}"] if more else [])


def log_observations(summary: "Summary", config: TrackConfig, *, quiet: bool) -> int:
    """Log the number of frames and detections and return the exit code."""
    detections = _count(summary.sightings, "detection")
    lines = [*_prompts(summary, config), *_beyond_default(summary, config)]
    return log_summary(summary, detections, *lines, quiet=quiet)


def log_summary(summary: "Summary", found: str = "", *lines: str, quiet: bool) -> int:
    """Log the result file, its frames and the speed, then further lines; return the exit code."""
    stopped = summary.stopped
    if not quiet:
        speed = summary.frames / summary.seconds if summary.seconds else 0.0
        details = [_count(summary.frames, "frame"), found, f"{speed:.1f} frames/s"]
        if summary.resumed:
            details.append(f"{summary.resumed} of them from the earlier run")
        if summary.losses.dropped_frames:
            details.append(f"{_count(summary.losses.dropped_frames, 'frame')} dropped")
        if interruptions := summary.losses.interruptions:
            away_s = sum(one.seconds for one in interruptions)
            details.append(f"{_count(len(interruptions), 'interruption')} of {away_s:.1f} s in all")
        for line in (f"{summary.out}: {', '.join(filter(None, details))}", *lines):
            log(line)
    if stopped is None and summary.losses.damaged_frames:
        log(f"kprtrack: {_damage(summary)}")
        return InputError.exit_code
    if stopped is None:
        return 0
    frames = _count(summary.frames, "frame")
    saved = f"{summary.out} holds {frames}" if summary.frames else "no frame was finished, nothing is written"
    if summary.older is not None:
        saved += f", {summary.older} is unchanged"
    if isinstance(stopped, KeyboardInterrupt):
        log(f"kprtrack: interrupted; {saved}")
        return INTERRUPTED
    log(f"kprtrack: {stopped} {saved}.")
    return InputError.exit_code


def _damage(summary: "Summary") -> str:
    """One line on the damaged frames of a source that was read to its end."""
    numbers = summary.losses.damaged_frames
    return (
        f"the video is damaged: {_count(len(numbers), 'frame')} ({ranges_text(numbers)}) could not be decoded"
        f" or may show errors. {summary.out} holds {_count(summary.frames, 'frame')}."
    )


def ranges_text(numbers: Sequence[int], most: int = 8) -> str:
    """Write ascending numbers as ranges, "3, 7-9", at most `most` of them."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [f"{first}-{last}" if last > first else f"{first}" for first, last in ranges[:most]]
    return ", ".join(texts) + (", ..." if len(ranges) > most else "")


def _prompts(summary: "Summary", config: TrackConfig) -> list[str]:
    from kprtrack.build import takes_prompts

    if not summary.embedded or not takes_prompts(config.reid.name):
        return []
    share = summary.prompted / summary.embedded
    return [f"{share:.0%} of {_count(summary.embedded, 'embedding')} prompted by keypoints"]


def _beyond_default(summary: "Summary", config: TrackConfig) -> list[str]:
    """One line if the package's own detector ran on footage that is beyond it."""
    if config.detector != PRESETS[DEFAULT_PRESET].detector:
        return []
    limits = summary.footage.limits()
    if not limits:
        return []
    return [
        f"{'; '.join(limits)}: more than the networks of the preset '{DEFAULT_PRESET}' are made for; try"
        f" the larger ones of '{STRONGEST_PRESET}': kprtrack VIDEO --preset {STRONGEST_PRESET}"
    ]


def _count(number: int, one: str, more: str | None = None) -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"


def status_line(options: argparse.Namespace) -> Callable[[str], None] | None:
    """Return a function that shows a text in one line of the terminal, replacing the text before.

    None with --quiet and where standard error is no terminal.
    """
    if options.quiet or not sys.stderr.isatty():
        return None

    def show(text: str) -> None:
        sys.stderr.write(f"{_CLEAR}{printable(text)}\r")
        sys.stderr.flush()

    return show


def validate_reports(
    options: argparse.Namespace, *, inputs: Sequence[Path] = (), outputs: Sequence[Path] = ()
) -> None:
    """Check before the work starts that --out, --json, --html and --plots can be written.

    Args:
        options: May hold `json`, `html` and `plots`.
        inputs: Files that are read and must not be replaced.
        outputs: Files named by --out.

    Raises:
        OutputError: A file or folder cannot be written.
        UserError: Two options name the same file, or one names an input.
    """
    from eval.report.output import validate_file, validate_folder

    taken = {real_path(path): "is an input" for path in inputs}
    for out in outputs:
        validate_file(out, "--out")
        taken[real_path(out)] = "is also the file of --out"
    for option in ("json", "html"):
        value = getattr(options, option, None)
        if not value or (option == "json" and value == STANDARD_OUTPUT):
            continue
        path = Path(value)
        validate_file(path, f"--{option}")
        if real_path(path) in taken:
            raise UserError(f"--{option} {path} {taken[real_path(path)]}. Choose another file.")
        taken[real_path(path)] = f"is also the file of --{option}"
    if getattr(options, "plots", None):
        validate_folder(Path(options.plots), "--plots")


def write_scores(options: argparse.Namespace, text: Callable[[], str], document: Callable[[], bytes]) -> None:
    """Print the table, or the JSON document for `--json -`; write the document for `--json FILE`."""
    if not options.quiet and sys.stderr.isatty():
        sys.stderr.write(_CLEAR)
    if options.json != STANDARD_OUTPUT and not options.quiet:
        print_text(text())
    if options.json:
        write_json(options.json, document())


def write_json(target: str, document: bytes) -> None:
    """Write a JSON document to a file, or to standard output if the target is "-"."""
    from kprtrack.core.atomic_file import write_file

    if target == STANDARD_OUTPUT:
        sys.stdout.write(document.decode())
    else:
        write_file(Path(target), document)
