"""Corrections of a result that are kept in a file beside it, and can be replayed and undone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from kprtrack.core.errors import UserError
from kprtrack.edits.apply import apply_edit
from kprtrack.edits.bind import bind
from kprtrack.edits.file import add_records, load_records
from kprtrack.edits.grammar import parse_edit
from kprtrack.edits.model import Edit, EditResult, Undo
from kprtrack.edits.records import Record, edits_of
from kprtrack.edits.state import EditState
from kprtrack.io.header import TrackFile


@dataclass(frozen=True)
class EditedTracks:
    """A result with its edits.

    Args:
        tracks: The corrected result; frames without a change are those of the original.
        names: Names by track ID, also in the header of `tracks`.
        report: What each edit did, in order; edits that are undone are left out.
    """

    tracks: TrackFile
    names: Mapping[int, str]
    report: tuple[EditResult, ...]


@dataclass(frozen=True)
class Edits:
    """The edits of a file, as they were when it was read.

    Args:
        path: The file.
        records: Its lines.
        torn: It ends in the beginning of a line that a killed process did not finish; that is left out.

    Examples:
        >>> tracks = read_tracks("tracks.json")
        >>> edits = Edits(Path("tracks.edits.jsonl")).append(tracks, "name 1 Anna")
        >>> Edits.read("tracks.edits.jsonl").apply(tracks).names
        {1: 'Anna'}
    """

    path: Path
    records: tuple[Record, ...] = ()
    torn: bool = False

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read an edits file.

        Args:
            path: The file, NAME.edits.jsonl beside a result; `edits_path` returns its name.

        Raises:
            InputError: It is missing, cannot be read or has a line that is wrong.
        """
        records, torn = load_records(Path(path))
        return cls(Path(path), tuple(records), torn)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits, in the order in which they were written, also those that are undone."""
        return tuple(edits_of(list(self.records))[0])

    @property
    def undone(self) -> frozenset[int]:
        """The numbers of the edits that are undone."""
        return frozenset(edits_of(list(self.records))[1])

    def append(self, tracks: TrackFile, *texts: str) -> Self:
        """Add edits to the file; all of them, or none if one is wrong.

        Args:
            tracks: The result that they are for, without edits. The texts name its track IDs as they are
                after the edits in the file.
            texts: Such as "7 = 3 from 0:41" or "undo".

        Returns:
            The edits of the file, with the new ones.

        Raises:
            UserError: A text is wrong, or a track or time is not there.
            OutputError: The file cannot be written.
        """
        for text in texts:
            parse_edit(text)  # before anything is replayed
        before: list[Record] = []

        def make(records: Sequence[Record]) -> Sequence[Record]:
            before.extend(records)
            return new_records(tracks, records, texts)

        added = add_records(self.path, make)
        return type(self)(self.path, (*before, *added))

    def preview(self, tracks: TrackFile, *texts: str) -> Self:
        """Return the edits as `append` would, without writing. Arguments and errors: as `append`."""
        added = new_records(tracks, self.records, texts)
        return type(self)(self.path, (*self.records, *added), self.torn)

    def undo(self, number: int | None = None) -> Self:
        """Undo an edit: a line is added to the file that says so.

        Args:
            number: Of the edit; None: the last one that is not undone.

        Returns:
            The edits of the file.

        Raises:
            UserError: There is no such edit, or it is undone.
            OutputError: The file cannot be written.
        """
        before: list[Record] = []

        def make(records: Sequence[Record]) -> Sequence[Record]:
            before.extend(records)
            return [_undo(records, number, "undo" if number is None else f"undo {number}")]

        added = add_records(self.path, make)
        return type(self)(self.path, (*before, *added))

    def apply(self, tracks: TrackFile) -> EditedTracks:
        """Apply the edits to a result: the one they were written for, or another one of the same video.

        Tracks are found by the boxes that the edits store, so that edits survive tracking again with other
        settings. What does not apply is left out and reported.

        Args:
            tracks: The result, which is not changed.

        Returns:
            The corrected tracks, the names and the report.
        """
        state, report = _replayed(tracks, self.records)
        return EditedTracks(state.result(tracks), dict(state.names), tuple(report))


def new_records(tracks: TrackFile, records: Sequence[Record], texts: Sequence[str]) -> list[Record]:
    """Return the lines that texts add to a file, without writing them.

    Args:
        tracks: The result, without edits.
        records: The lines of the file.
        texts: Edits, and "undo".

    Raises:
        UserError: A text is wrong, or a track or time is not there.
    """
    known, state = list(records), _replayed(tracks, records)[0]
    for text in texts:
        command = parse_edit(text)
        if command.kind == "undo":
            known.append(_undo(known, command.number, command.text))
            state = _replayed(tracks, known)[0]
            continue
        number = len(edits_of(known)[0]) + 1
        state, edit, _ = bind(state, command, number, _now())
        known.append(edit)
    return known[len(records) :]


def _replayed(tracks: TrackFile, records: Sequence[Record]) -> tuple[EditState, list[EditResult]]:
    edits, undone = edits_of(list(records))
    state, report = EditState.of(tracks), []
    for edit in edits:
        if edit.number not in undone:
            state, result = apply_edit(state, edit)
            report.append(result)
    return state, report


def _undo(records: Sequence[Record], number: int | None, text: str) -> Undo:
    edits, undone = edits_of(list(records))
    left = [edit.number for edit in edits if edit.number not in undone]
    if number is None and not left:
        raise UserError("There is no edit to undo.")
    if number is not None and number not in left:
        why = "is undone already" if number in undone else "does not exist"
        raise UserError(f"Edit {number} {why}. Edits that count: {', '.join(map(str, left)) or 'none'}.")
    return Undo(left[-1] if number is None else number, text, _now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
