"""What a run writes: result file, annotated video and summary; valid even after an interrupt or an error."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import NO_LOSSES, Detections, FrameLosses, Observation, Tracks
from kprtrack.core.errors import UserError
from kprtrack.core.signals import DeferredInterrupts
from kprtrack.identity import PrototypeCollector, write_beside
from kprtrack.io import FrameWriter, ObservationFile, TrackFile, TracksWriter
from kprtrack.io.output_file import partial_path
from kprtrack.pipeline import BaseTracker, track
from kprtrack.rendering.annotated import AnnotatedVideoWriter
from kprtrack.resume import StoredRun
from kprtrack.selection import EVERYONE, PeopleSelection, select_people
from kprtrack.video.inputs import TruncatedVideo

MIN_HEIGHT_PX = 40  # lower people have too few pixels for the default networks
MAX_PEOPLE = 30  # in a frame; in denser crowds most people are occluded
MIN_BEST_SCORE = 0.5  # a frame in which no detection reaches it counts as uncertain
_MIN_SCORE = 0.3  # of a detection that counts as a person: from it on, a tentative track may start
_MIN_FRAMES = 5  # with people; fewer say little about a video


@dataclass
class Footage:
    """Counts over the frames with detections; each frame is added once, while it is tracked.

    Args:
        frames: Number of frames with at least one detection.
        people: Number of detections with a score of at least 0.3.
        small: Number of them that are lower than 40 pixels.
        uncertain: Number of frames in which no detection has a score of at least 0.5.

    Examples:
        >>> import numpy as np
        >>> footage = Footage()
        >>> for _ in range(5):
        ...     footage.count(Detections(np.float32([[10, 20, 20, 45]]), np.float32([0.9])))
        >>> footage.limits()
        ['most people are lower than 40 pixels']
    """

    frames: int = 0
    people: int = 0
    small: int = 0
    uncertain: int = 0

    def count(self, detections: Detections) -> None:
        """Add one frame."""
        if not len(detections):
            return
        heights = (detections.boxes[:, 3] - detections.boxes[:, 1])[detections.scores >= _MIN_SCORE]
        self.frames += 1
        self.people += len(heights)
        self.small += int(np.count_nonzero(heights < MIN_HEIGHT_PX))
        self.uncertain += bool(detections.scores.max() < MIN_BEST_SCORE)

    def limits(self) -> list[str]:
        """Return in what respects the footage is beyond the default networks; empty: in none."""
        if self.frames < _MIN_FRAMES:
            return []
        found = {
            f"most people are lower than {MIN_HEIGHT_PX} pixels": 2 * self.small > self.people,
            f"there are more than {MAX_PEOPLE} people per frame": self.people > MAX_PEOPLE * self.frames,
            "the detection scores are low throughout": 2 * self.uncertain > self.frames,
        }
        return [limit for limit, reached in found.items() if reached]


@dataclass
class Summary:
    """What a run did.

    Args:
        out: The result file, or the annotated video if only that was written. After an early end it is
            NAME.partial if there was an older file.
        frames: Number of frames.
        sightings: Number of detections in all frames.
        embedded: Number of detections with an embedding.
        prompted: Number of those whose own keypoints prompted the encoder.
        ids: IDs of all tracks.
        seconds: Duration of the run.
        stopped: What ended the run before the video did: KeyboardInterrupt or InputError.
        losses: Damaged frames, and dropped frames and interruptions of a live source.
        resumed: Number of frames that an earlier run had observed.
        older: The older file, if an early end has left it as it was.
        notes: Signs that the tracks drawn on a video were made from another one.
        footage: Sizes, number and scores of the detections.
        identity_confidence: Probability by track ID that all of its boxes are one person, where it is known.

    Examples:
        >>> summary = track_video("video.mp4", "tracks.json", networks=networks)
        >>> summary.frames, summary.sightings, summary.ids, summary.stopped
        (12, 24, {1, 2}, None)
    """

    out: Path
    frames: int = 0
    sightings: int = 0
    embedded: int = 0
    prompted: int = 0
    ids: set[int] = field(default_factory=set)
    seconds: float = 0.0
    stopped: BaseException | None = None
    losses: FrameLosses = NO_LOSSES
    resumed: int = 0
    older: Path | None = None
    notes: tuple[str, ...] = ()
    footage: Footage = field(default_factory=Footage)
    identity_confidence: dict[int, float] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all frames of the video are there and none is damaged."""
        return self.stopped is None and not self.losses.damaged_frames

    @property
    def note(self) -> str | None:
        """Why the run is not complete; stored in the result."""
        if isinstance(self.stopped, KeyboardInterrupt):
            return "interrupted"
        if self.stopped is not None:
            return str(self.stopped)
        return None if self.complete else f"{len(self.losses.damaged_frames)} frames are damaged"

    def set_out(self, saved: Path | None) -> None:
        """Note which file holds the result; None: there is none."""
        if saved is not None and saved == partial_path(self.out):
            self.out, self.older = saved, self.out

    def count(self, observation: Observation) -> None:
        """Add one frame."""
        self.frames += 1
        self.sightings += len(observation)
        self.embedded += int(observation.embeddings.visible.any(1).sum())
        self.prompted += int(observation.embeddings.prompted.sum())
        self.footage.count(observation.detections)


def finished_summary(path: Path, file: TrackFile) -> Summary:
    """Return the summary of a complete earlier result; detections without a track are not counted."""
    summary = Summary(path, frames=len(file.frames), resumed=len(file.frames))
    for tracks in file.frames:
        summary.sightings += len(tracks)
        summary.embedded += int(tracks.visible.any(1).sum())
        summary.prompted += int(tracks.prompted.sum())
        summary.ids.update(tracks.ids.tolist())
    return summary


def observed_summary(file: ObservationFile) -> Summary:
    """Return the summary of complete observations of an earlier run."""
    summary = Summary(file.path, resumed=len(file))
    for observation in file:
        summary.count(observation)
    return summary


class InterruptedAfterEnd(KeyboardInterrupt):
    """A signal arrived while the last frames of a run were written: the run is complete.

    Args:
        summary: What the run did.
    """

    def __init__(self, summary: Summary) -> None:
        super().__init__("the run is complete")
        self.summary = summary


@contextmanager
def deferred_interrupts(summary: Summary) -> Iterator[DeferredInterrupts]:
    """Hold signals back, so that all files of a run are ended.

    Args:
        summary: Of the run, which is complete at the end of the block unless it says that it was stopped.

    Raises:
        InterruptedAfterEnd: A signal came too late to stop the run.
        KeyboardInterrupt: Another signal came while a stopped run was ended.
    """
    complete = False
    try:
        with DeferredInterrupts() as interrupts:
            yield interrupts
            complete = summary.stopped is None
    except KeyboardInterrupt as interrupt:
        if complete:
            raise InterruptedAfterEnd(summary) from interrupt
        raise


@dataclass
class Outputs:
    """The files of a run.

    Args:
        summary: Filled in during the run.
        writer: Of the tracks.
        annotated: Of the annotated video.
        stored: Of the observations, for a run that can be resumed.
        people: Who is written. A choice needs all frames, so the tracks are held back until the end.
        collector: Of the prototypes, which are written beside the tracks.
    """

    summary: Summary
    writer: TracksWriter | None = None
    annotated: AnnotatedVideoWriter | None = None
    stored: StoredRun | None = None
    people: PeopleSelection = EVERYONE
    collector: PrototypeCollector | None = None
    chosen: list[Tracks] = field(default_factory=list)  # of the chosen people, once the files are closed
    _held: list[Tracks] = field(default_factory=list)

    def write(self, tracks: Tracks) -> None:
        """Append the tracks of a frame."""
        if self.people.selective:
            self._held.append(tracks)
        else:
            self._write(tracks)

    def _write(self, tracks: Tracks) -> None:
        self.summary.ids.update(tracks.ids.tolist())
        if self.writer:
            self.writer.write(tracks)
        if self.annotated:
            self.annotated.write(tracks)

    def close(self, complete: bool = True) -> None:
        """End the files, which store whether all frames are there.

        Args:
            complete: Whether all frames of the video were observed.

        Raises:
            UserError: The choice of people is not possible; all people are written.
        """
        failure = self._choose()
        summary, whole = self.summary, self.summary.stopped is None
        note = summary.note if complete or summary.note else "the observations are incomplete"
        if self.collector and self.writer:  # before the result ends: it has the confidence of the tracks, too
            prototypes = self.collector.result(summary.complete and complete, summary.ids)
            summary.identity_confidence = self.collector.confidence
        if self.writer:
            self.writer.close(summary.complete and complete, note, summary.losses, replace=whole)
        if self.annotated:
            self.annotated.close(whole)
        if self.collector and self.writer:
            write_beside(self.writer.saved, prototypes)
        if self.stored:  # last: until the result is complete, the run can be resumed
            self.stored.close(whole, summary.note)
        if first := self.writer or self.annotated:
            summary.set_out(first.saved)
        summary.notes += self.annotated.notes if self.annotated else ()
        if failure is not None:
            kept = f" {summary.out} holds all people." if self.writer else ""
            raise UserError(f"{failure}{kept}") from failure

    def _choose(self) -> UserError | None:
        """Write the tracks that were held back, of the chosen people; returns why that was not possible."""
        failure = None
        try:
            self.chosen = select_people(self._held, self.people, source="the video")
        except UserError as error:
            failure, self.chosen = error, self._held
        for tracks in self.chosen:
            self._write(tracks)
        return failure


def track_and_write(
    observations: Iterable[Observation],
    tracker: BaseTracker,
    outputs: Outputs,
    *,
    losses: Callable[[], FrameLosses],
    complete: bool = True,
) -> None:
    """Track and write; all frames observed before an interrupt or an error are written, too.

    Args:
        observations: One per frame, in order.
        tracker: A fresh tracker.
        outputs: Closed at the end.
        losses: Returns the damaged and dropped frames; called after the last observation.
        complete: Whether the observations are those of a complete run.
    """
    with deferred_interrupts(outputs.summary) as interrupts:
        allowed: Iterable[Observation] = interrupts.allow(observations)
        if outputs.stored:
            allowed = outputs.stored.store(allowed)
        if outputs.collector:
            allowed = outputs.collector.observed(allowed)
        with early_end(outputs.summary):
            for tracks in track(counted(allowed, outputs.summary), tracker):
                if outputs.collector:
                    outputs.collector.evidence.add(tracker.take_evidence())
                    outputs.collector.add(tracks)
                outputs.write(tracks)
        outputs.summary.losses = losses()
        outputs.close(complete)


def store(
    observations: Iterable[Observation],
    writer: FrameWriter[Observation],
    summary: Summary,
    *,
    losses: Callable[[], FrameLosses],
) -> None:
    """Write observations; all those before an interrupt or an error are kept.

    Args:
        observations: One per frame, in order; those of an earlier run are in the file already.
        writer: Closed at the end.
        summary: Filled in.
        losses: Returns the damaged and dropped frames; called after the last observation.
    """
    skipped = summary.resumed
    with deferred_interrupts(summary) as interrupts:
        with early_end(summary):
            for observation in counted(interrupts.allow(observations), summary):
                if summary.frames > skipped:
                    writer.write(observation)
        summary.losses = losses()
        writer.close(summary.complete, summary.note, summary.losses, replace=summary.stopped is None)
        summary.set_out(writer.saved)


def counted(observations: Iterable[Observation], summary: Summary) -> Iterator[Observation]:
    """Yield the observations and count them."""
    for observation in observations:
        summary.count(observation)
        yield observation


@contextmanager
def early_end(summary: Summary) -> Iterator[None]:
    """End the block after Ctrl-C or a damaged video, and note in `summary` why."""
    started_s = time.monotonic()
    try:
        yield
    except (KeyboardInterrupt, TruncatedVideo) as stop:
        summary.stopped = stop
    finally:
        summary.seconds = time.monotonic() - started_s
