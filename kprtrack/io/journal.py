"""Formats whose file is written as a whole: NAME.part holds their frames as JSON lines, one a frame.

So a killed run loses no finished frame, whatever the format; `kprtrack recover` renders them.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kprtrack.core.atomic_file import old_part_path, reason, rename
from kprtrack.core.datatypes import NO_LOSSES, FrameLosses, Tracks
from kprtrack.core.errors import OutputError
from kprtrack.io.columns import to_track_file
from kprtrack.io.frame_file import FrameFile
from kprtrack.io.header import RunHeader, TracksWriter, compact_json, header_to_json
from kprtrack.io.kprtrack_json import frame_to_json, people_from_frames
from kprtrack.io.output_file import partial_path
from kprtrack.io.text_writer import check_tracks, saved_message

JOURNAL = "journal_of"  # key of the header: the format that the frames are for
_FRAMES_AT_ONCE = 200  # read in one piece
# Final name, file to write -> the writer of the format itself.
Render = Callable[[Path], TracksWriter]


class JournalWriter(TracksWriter):
    """Keeps frames in NAME.part and writes the format when the run ends.

    Args:
        path: The final file.
        header: Video, models and config of the run.
        format: Name of the format.
        render: Opens the writer of the format for the file of a given name.
        options: What `render` was made from besides the header; stored for `kprtrack recover`.
        check: Called with every frame; raises an error for one that the format cannot hold.
        existing: Finish the file of a killed run, in which the header and each frame end at these bytes.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        header: RunHeader,
        format: str,
        render: Render,
        options: Mapping[str, object] | None = None,
        check: Callable[[Tracks], object] | None = None,
        existing: "array[int] | None" = None,
    ) -> None:
        self.path = path
        self._check = check
        self._header, self._render = header, render
        head = {**header_to_json(header), JOURNAL: format, "options": options or {}}
        self._file = FrameFile(path, compact_json(head) + b"\n", ends=existing)
        self._last_frame = -1
        self._frames = len(existing) - 1 if existing else 0
        self._closed = False
        self._saved: Path | None = None

    @property
    def saved(self) -> Path | None:
        return self._saved

    def write(self, tracks: Tracks, /) -> None:
        self._last_frame = check_tracks(tracks, self._last_frame, self._header.skeleton)
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        if self._check is not None:
            self._check(tracks)
        try:
            self._file.append(compact_json(frame_to_json(tracks, exact=True)) + b"\n")
        except OSError as error:
            self._closed = True
            self._file.trim(self._frames)
            self._finish(complete=False, note=f"writing failed: {error.strerror}", replace=False)
            raise OutputError(saved_message(self.path, self._frames, error, self.saved)) from error
        self._frames += 1

    def close(
        self,
        complete: bool = True,
        note: str | None = None,
        losses: FrameLosses = NO_LOSSES,
        *,
        replace: bool | None = None,
    ) -> None:
        """Render the format from the journal, which goes then."""
        if self._closed:
            return
        self._closed = True
        if not complete and not self._frames:
            self._file.discard()
            return
        self._file.trim(self._frames)
        replace = complete if replace is None else replace
        self._finish(complete=complete, note=note, replace=replace, losses=losses)

    def _finish(
        self, *, complete: bool, note: str | None, replace: bool, losses: FrameLosses = NO_LOSSES
    ) -> None:
        rendered = partial_path(self.path)
        frames = journal_frames(self._file.part, self._header)
        try:
            with self._render(rendered) as writer:
                for tracks in frames:
                    writer.write(tracks)
                writer.close(complete, note, losses, replace=True)
            if replace or not self.path.exists():
                rename(rendered, self.path)
                rendered = self.path
                old_part_path(self.path).unlink(missing_ok=True)
        except (OutputError, OSError) as error:
            rendered.unlink(missing_ok=True)
            self._saved = self._file.keep()
            cause = error if isinstance(error, OSError) else error.__cause__
            why = reason(cause) if isinstance(cause, OSError) else str(error)
            raise OutputError(
                f"Cannot write {self.path}: {why} Its {self._frames} frames are in {self._saved}; then run:"
                f" kprtrack recover {self._saved}"
            ) from error
        self._saved = rendered
        self._file.discard()


def journal_frames(part: Path, header: RunHeader) -> Iterator[Tracks]:
    """Yield the tracks of all whole lines of a journal."""
    with part.open("rb") as file:
        next(file, None)  # the header
        lines: list[bytes] = []
        for line in file:
            if not line.endswith(b"\n"):
                break
            lines.append(line)
            if len(lines) == _FRAMES_AT_ONCE:
                yield from _tracks(lines, part, header)
                lines = []
        yield from _tracks(lines, part, header)


def _tracks(lines: list[bytes], part: Path, header: RunHeader) -> list[Tracks]:
    records = [json.loads(line) for line in lines]
    return to_track_file(people_from_frames(records, part, header, complete=False)).frames
