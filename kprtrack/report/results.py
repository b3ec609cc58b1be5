"""A result as the report shows it: corrected, with its prototypes and its video where they are given."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError, printable
from kprtrack.edits import EditResult, Edits, edits_path
from kprtrack.edits.grammar import clock_text
from kprtrack.edits.state import EditState
from kprtrack.identity import TrackPrototypes, prototypes_path, read_prototypes
from kprtrack.io import TrackFile, read_tracks

_LONG_S = 600.0  # of a video, from which on times have whole seconds


@dataclass(frozen=True)
class ReportedResult:
    """A result of one video.

    Args:
        path: The result file.
        source: The video or the folder of images; None: the report has no images of it.
        tracks: The tracks, corrected by NAME.edits.jsonl if there is one.
        edits: What each edit did.
        prototypes: What the run kept of the tracks, with the same track IDs; None: there is no such file.
        notes: What the reader should know, one line each.
    """

    path: Path
    source: str | None
    tracks: TrackFile
    edits: tuple[EditResult, ...] = ()
    prototypes: TrackPrototypes | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the video, or of the result where that is unknown."""
        return printable(self.tracks.header.labels.video or self.path.name)

    @cached_property
    def state(self) -> EditState:
        """The boxes as columns."""
        return EditState.of(self.tracks)

    @cached_property
    def starts(self) -> np.ndarray:
        """[F + 1] the time of each frame in seconds, and the end of the last one; numbers if unknown."""
        clock = self.state.clock
        times = clock.numbers.astype(np.float64) if clock.times is None else clock.times
        interval = float(np.median(np.diff(times))) if len(times) > 1 else 1 / (self.tracks.header.fps or 1)
        return np.append(times, times[-1] + interval) if len(times) else np.zeros(1)

    @cached_property
    def ends(self) -> np.ndarray:
        """[F] the end of each frame: the next one's beginning, unless frames between them are missing."""
        steps = np.diff(self.state.clock.numbers, append=0)
        missing = steps > 2 * np.median(steps[:-1]) if len(steps) > 1 else np.zeros(len(steps), bool)
        usual = float(np.median(np.diff(self.starts))) if len(self.starts) > 1 else 0.0
        return np.where(missing, self.starts[:-1] + usual, self.starts[1:])

    @property
    def timed(self) -> bool:
        """Whether the times of frames are known."""
        return self.state.clock.times is not None

    def moment_text(self, value: float) -> str:
        """Return one of `starts`, or a value between them, as text."""
        if not self.timed:
            return f"frame {round(value)}"
        if self.starts[-1] - self.starts[0] >= _LONG_S:
            return clock_text(round(value))
        tenths = round(value * 10)
        return f"{clock_text(tenths // 10)}.{tenths % 10}"

    def duration_text(self, value: float) -> str:
        """Return a difference of `starts` as text."""
        return duration_text(value) if self.timed else f"{round(value)} frames"

    def with_notes(self, *notes: str) -> "ReportedResult":
        """Return the result with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def read_result(path: str | Path, source: str | None = None) -> ReportedResult:
    """Read a result, its edits and its prototypes.

    Args:
        path: The result; NAME.edits.jsonl and NAME.tracks.safetensors beside it are used if they are there.
        source: Its video.

    Raises:
        InputError: The result or its edits cannot be read.

    Examples:
        >>> read_result("tracks.json").name
        'video.mp4'
    """
    path = Path(path)
    tracks = read_tracks(path)
    edits: tuple[EditResult, ...] = ()
    notes: list[str] = []
    prototypes = None
    if prototypes_path(path).exists():
        try:
            prototypes = read_prototypes(path)
        except InputError as error:  # the page shows evenly spread frames instead, and says so
            notes.append(str(error))
    if edits_path(path).exists():
        edited = Edits.read(edits_path(path)).apply(tracks)
        tracks, edits = edited.tracks, edited.report
        if prototypes is not None:
            prototypes = prototypes.relabelled(tracks.frames)
    return ReportedResult(path, source, tracks, edits, prototypes, tuple(notes))


def duration_text(seconds: float) -> str:
    """Return a duration such as "0.4 s", "41 s", "1 min 2 s" or "2 h 3 min".

    Examples:
        >>> duration_text(0.44), duration_text(62.5), duration_text(7380)
        ('0.4 s', '1 min 2 s', '2 h 3 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * (not hours)
    return " ".join(parts)
