"""Write observations in chunks of 32 frames; what is stored every few seconds is found after a kill."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from kprtrack.core.atomic_file import part_path, reason
from kprtrack.core.datatypes import NO_LOSSES, FrameLosses, Observation
from kprtrack.core.errors import InputError, OutputError
from kprtrack.core.skeleton import COCO_SKELETON
from kprtrack.io.header import FrameWriter, RunHeader, header_to_json
from kprtrack.io.observations.chunk import encode
from kprtrack.io.observations.reader import ENDING, HEADER, KIND
from kprtrack.io.observations.unfinished import Unfinished, find_whole_chunks, reopen, validate_same_run
from kprtrack.io.observations.zip_file import GrowingZip
from kprtrack.io.output_file import OutputFile
from kprtrack.io.text_writer import Footer, saved_message

CHUNK_FRAMES = 32
FLUSH_S = 5.0  # a chunk that takes longer to fill is stored for now, too
CHUNK_BYTES = 32 << 20  # a chunk ends earlier if its features are larger
_ENDING_BYTES = 4096


class ObservationWriter(FrameWriter[Observation]):
    """Keeps the newest frames in memory until a chunk is full.

    Args:
        path: The file (.npz), which numpy.load reads, too; NAME.part while it is written.
        header: Video, models and config of the run; None: that of the unfinished file.
        resume: Continue the file of a run that was stopped or killed, if there is one.
        multiple_of: When resuming, this many frames or a multiple are kept: a network may give slightly other
            numbers in a batch of another size.

    Raises:
        OutputError: The file cannot be written.
        UserError: The file to be continued is of another run.
        InputError: It holds no frame, and there is no header to start a new one.
    """

    def __init__(
        self, path: Path, header: RunHeader | None, *, resume: bool = False, multiple_of: int = 1
    ) -> None:
        self.path = path
        if resume:
            reopen(path)
        self._file = OutputFile(path, existing=resume)
        self._closed = False
        self._unfinished = Unfinished(None, None, COCO_SKELETON, ())
        if resume:
            self._find_earlier(header)
        self._skeleton = self._unfinished.skeleton if header is None else header.skeleton
        self.resumed = self._unfinished.frames // multiple_of * multiple_of  # frames of the earlier run
        # Those of its last batch, if that was not whole: kept unless this run comes so far.
        self._rest = list(self._unfinished.read(part_path(path), self.resumed, self._unfinished.frames))
        self._start(header)

    @property
    def saved(self) -> Path | None:
        return self._file.saved

    def earlier(self) -> Iterator[Observation]:
        """Yield the observations of the earlier run; to be read before the first new one is written."""
        return self._unfinished.read(part_path(self.path), 0, self.resumed)

    def write(self, frame: Observation, /) -> None:
        if frame.frame_number <= self._last_number:
            raise ValueError(f"frame {frame.frame_number} comes after frame {self._last_number}")
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        if len(frame) and len(self._skeleton) != frame.poses.keypoints.shape[1]:
            raise ValueError(
                f"frame {frame.frame_number} has the keypoints of {frame.poses.skeleton.name}, and the header"
                f" names those of {self._skeleton.name}: give RunHeader the skeleton of the poses"
            )
        self._add(frame)
        if self._group_bytes >= CHUNK_BYTES or len(self._group) >= CHUNK_FRAMES:
            self._write_group()
        elif time.monotonic() - self._written_s >= FLUSH_S and not self._has_rest():
            self._flush()

    def close(
        self,
        complete: bool = True,
        note: str | None = None,
        losses: FrameLosses = NO_LOSSES,
        *,
        replace: bool | None = None,
    ) -> None:
        """Write the last chunk and the ending."""
        if self._closed:
            return
        if not complete:
            self._add_rest()
            if not self._written and not self._group:
                self.discard()
                return
        if self._group:
            self._write_group()
        ending = Footer(self._written, complete, note, losses)
        self._end(ending, replace=complete if replace is None else replace)

    def keep(self) -> None:
        """Close the file as it is."""
        self._closed = True
        self._file.keep()

    def discard(self) -> None:
        """Close and remove the file."""
        self._closed = True
        self._file.discard()

    def _find_earlier(self, header: RunHeader | None) -> None:
        try:
            self._unfinished = find_whole_chunks(self._file.handle, self.path)
            if header is None and not self._unfinished.frames:
                raise InputError(f"{self._file.present} holds no whole frame. Remove it, and run again.")
            if self._unfinished.header is not None and header is not None:
                validate_same_run(self._unfinished.header, header, self.path)
        except BaseException:
            self.keep()
            raise

    def _start(self, header: RunHeader | None) -> None:
        """Continue after the last full chunk; the frames of a shorter one are written again."""
        full = 0
        frames = 0
        for chunk in self._unfinished.chunks:
            is_full = chunk.frames >= CHUNK_FRAMES or chunk.feature_bytes >= CHUNK_BYTES
            if not is_full or frames + chunk.frames > self.resumed:
                break
            full, frames = full + 1, frames + chunk.frames
        self._zip = GrowingZip(self._file.handle, self._unfinished.members(full))
        self._chunks, self._written = full, frames
        self._last_number, self._group_bytes = -1, 0
        self._group: list[Observation] = []
        self._written_s = time.monotonic()
        if full:
            self._last_number = self._unfinished.chunks[full - 1].last_frame
        for frame in self._unfinished.read(part_path(self.path), frames, self.resumed):
            self._add(frame)
        if self._unfinished.header is not None:
            return
        self._file.handle.truncate(0)
        data = json.dumps({**header_to_json(header or RunHeader()), "kind": KIND}, allow_nan=False).encode()
        try:
            self._append([(HEADER, data)])
        except OSError as error:
            self.discard()
            raise OutputError(f"Cannot write {self.path}: {reason(error)}") from error

    def _add(self, frame: Observation) -> None:
        self._last_number = frame.frame_number
        self._group.append(frame)
        self._group_bytes += frame.embeddings.features.nbytes

    def _has_rest(self) -> bool:
        """Whether the earlier run has frames that this one has not reached."""
        return bool(self._rest) and self._rest[-1].frame_number > self._last_number

    def _add_rest(self) -> None:
        """Write the frames of the earlier run that this one has not reached."""
        for frame in self._rest if self._has_rest() else ():
            if frame.frame_number > self._last_number:
                self.write(frame)

    def _flush(self) -> None:
        """Write a chunk that is not full yet; when it is, it is written again in the same place."""
        with suppress(OSError):  # a full disk is met, and told, by the full chunk
            members = encode(self._group, self._chunks)
            self._file.handle.seek(self._zip.end)
            self._file.reserve(self._zip.size_with(members) + _ENDING_BYTES)
            self._zip.write_for_now(members)
        self._written_s = time.monotonic()

    def _write_group(self) -> None:
        """Write the group; on a full disk as many of its frames as fit, then end the file."""
        frames, failure = self._group, None
        while frames:
            try:
                self._append(encode(frames, self._chunks))
            except OSError as error:
                failure, frames = error, frames[: len(frames) // 2]
                continue
            self._written += len(frames)
            self._chunks += 1
            break
        self._group, self._group_bytes, self._written_s = [], 0, time.monotonic()
        if failure is not None:
            self._end(Footer(self._written, False, "the disk was full"), replace=False)
            raise OutputError(saved_message(self.path, self._written, failure, self.saved)) from failure

    def _append(self, members: list[tuple[str, bytes]]) -> None:
        """Add members after reserving room for them and for the end of the file. Raises: OSError."""
        self._file.handle.seek(self._zip.end)
        self._file.reserve(self._zip.size_with(members) + _ENDING_BYTES)
        self._zip.append(members)

    def _end(self, ending: Footer, *, replace: bool) -> None:
        self._closed = True
        data = {**ending.to_json(), "frames": ending.kept, "chunks": self._chunks}
        try:
            self._zip.append([(ENDING, json.dumps(data).encode())])
            self._zip.finish()
        except OSError as error:
            place = self._file.keep()
            raise OutputError(
                f"Cannot finish {self.path}: {reason(error)} What was written is in {place}."
            ) from error
        self._file.finish(replace=replace)


def write_observations(path: Path, header: RunHeader, observations: Iterable[Observation]) -> None:
    """Store all observations; if the iterable raises, those before are stored as incomplete.

    Args:
        path: The file to write (.npz).
        header: Video, models and config of the run.
        observations: One per frame, in order of time.

    Raises:
        OutputError: The file cannot be written.

    Examples:
        >>> from pathlib import Path
        >>> file = read_observations("observations.npz")
        >>> write_observations(Path("copy.npz"), file.header, file)
    """
    with ObservationWriter(path, header) as writer:
        for observation in observations:
            writer.write(observation)
