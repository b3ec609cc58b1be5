"""Says on standard error what a run did, and turns it into an exit code."""

import sys
from typing import TYPE_CHECKING

from kprtrack.config import TrackConfig
from kprtrack.core.errors import InputError

if TYPE_CHECKING:
    from kprtrack.run import Summary

INTERRUPTED = 130


def tell_tracks(summary: "Summary", config: TrackConfig | None, *, quiet: bool) -> int:
    """Say who was tracked, and how many were prompted if `config` has run the networks; the exit code."""
    lines = [] if summary.sightings or summary.stopped else ["nobody was seen in any frame"]
    if config:
        lines += _prompts(summary, config)
    return tell(summary, _count(len(summary.ids), "person", "people"), *lines, quiet=quiet)


def tell_observations(summary: "Summary", config: TrackConfig, *, quiet: bool) -> int:
    """Say what was seen; the exit code."""
    return tell(summary, _count(summary.sightings, "detection"), *_prompts(summary, config), quiet=quiet)


def _prompts(summary: "Summary", config: TrackConfig) -> list[str]:
    if config.reid.name != "kpr" or not summary.sightings:
        return []
    share = summary.prompted / summary.sightings
    return [f"{share:.0%} of {summary.sightings} detections were prompted by their keypoints"]


def tell(summary: "Summary", found: str = "", *lines: str, quiet: bool) -> int:
    """Say what was done; the exit code."""
    stopped = summary.stopped
    if not quiet:
        speed = summary.frames / summary.seconds if summary.seconds else 0.0
        metadata = [_count(summary.frames, "frame"), found, f"{speed:.1f} frames/s"]
        for line in (f"{summary.out}: {', '.join(filter(None, metadata))}", *lines):
            say(line)
    if stopped is None:
        return 0
    frames = _count(summary.frames, "frame")
    held = f"{summary.out} holds {frames}" if summary.frames else "no frame was finished, nothing is written"
    if isinstance(stopped, KeyboardInterrupt):
        say(f"kprtrack: interrupted; {held}")
        return INTERRUPTED
    say(f"kprtrack: {stopped} {held}.")
    return InputError.exit_code


def _count(number: int, one: str, more: str | None = None) -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"


def say(text: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(text + "\n")
