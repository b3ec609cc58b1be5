"""Show a result with its video in the viewer Rerun, or save what it shows to a file."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kprtrack.core.datatypes import Frame, Tracks
from kprtrack.core.errors import OutputError, UserError
from kprtrack.core.extras import require
from kprtrack.core.files.paths import real_path
from kprtrack.core.progress import Progress
from kprtrack.core.tables.drawing import colour_of
from kprtrack.core.tables.rerun_archetypes import (
    MOST_CLASSES,
    annotation_context,
    boxes_and_skeletons,
    class_ids,
)
from kprtrack.io import ObservationFile, TrackFile
from kprtrack.io.exports.tables import frame_step, new_file
from kprtrack.io.same_video import validate_size
from kprtrack.rendering.embedding_distances import EmbeddingDistances, embedding_distances
from kprtrack.rendering.viewer_process import start_viewer
from kprtrack.video.clip import Clip

SUFFIX = ".rrd"
JPEG_QUALITY = 80
FLUSH_S = 60.0  # longest wait for the viewer or the disk
_FRAMES_AT_ONCE = 32  # frames between two flushes, so that few are held in memory
_MIN_FREE_BYTES = 256 << 20  # more than those frames: Rerun never returns from a flush to a full disk
VIDEO, PEOPLE, IDENTITIES, DISTANCES = "video", "video/people", "identities", "distances"
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


class Viewed(NamedTuple):
    """What was shown or saved."""

    frames: int
    people: int
    notes: tuple[str, ...]  # signs that the tracks are of another video


def view_video(
    tracks: TrackFile,
    source: str | int | Path,
    *,
    save: str | Path | None = None,
    observations: ObservationFile | None = None,
    quiet: bool = True,
) -> Viewed:
    """Show tracks on their video in the viewer Rerun: boxes, skeletons, presence and distances of identities.

    Every entry has the number of its frame (timeline `frame`) and its time in the video (timeline `time`).

    Args:
        tracks: What `read_tracks` returned.
        source: The video.
        save: A file, .rrd, to write instead of opening the viewer; `rerun FILE` opens it.
        observations: Of the same video, for the distances of embeddings.
        quiet: Show no progress.

    Returns:
        Numbers of frames and people, and notes.

    Raises:
        UserError: Rerun is not installed, there is no display, or `save` has another suffix.
        InputError: The video cannot be read, or video, tracks and observations do not belong together.
        OutputError: The file cannot be written.

    Examples:
        >>> view_video(read_tracks("tracks.json"), "video.mp4", save="tracks.rrd")
        Viewed(frames=12, people=2, notes=())
    """
    require("kprtrack view", "rerun")
    if save is not None and Path(save).suffix.lower() != SUFFIX:
        raise UserError(
            f"Rerun's files end in {SUFFIX}, not as '{save}'. Use {Path(save).with_suffix(SUFFIX)}."
        )
    if save is None:
        _validate_display()
    with Clip(source).open() as video:
        size = video.info.width, video.info.height
        validate_size(tracks.header.video, "the tracks", size, f"'{video.info.name}'")
        distances = {} if observations is None else embedding_distances(tracks, observations)
        with _recording(save, video.info.name) as recording:
            scene = _Scene(recording, tracks, distances)
            with Progress(video.expected_frames, video.info.name, quiet) as progress:
                for frame in video:
                    if frame.number % _FRAMES_AT_ONCE == 0:
                        _flush(recording, save)
                    scene.log(frame)
                    progress.advance()
        return Viewed(scene.frames, len(scene.classes), scene.notes(video.info.name))


def _validate_display() -> None:
    """Raises: UserError if no window can be opened."""
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in _DISPLAYS):
        raise UserError(
            "There is no display to open the viewer on. Add --save tracks.rrd, and open that file elsewhere"
            " with: rerun tracks.rrd"
        )


@contextmanager
def _recording(save: str | Path | None, name: str) -> Iterator[Any]:
    """A recording to a file, which appears when it is complete, or to a viewer that is opened."""
    import rerun as rr

    recording = rr.RecordingStream("kprtrack")
    recording.set_log_time_enabled(False)  # not the clock of this run
    recording.send_recording_name(name)
    if save is None:
        with _rerun_errors("Cannot open the viewer"):
            recording.connect_grpc(start_viewer(), default_blueprint=_blueprint())
        yield recording
        _flush(recording, save)
        return
    with new_file(Path(save)) as part:
        with _rerun_errors(f"Cannot write {save}"):
            recording.save(part, default_blueprint=_blueprint())
        yield recording
        _flush(recording, save)
        recording.disconnect()


def _flush(recording: Any, save: str | Path | None) -> None:
    """Wait until all is written or shown. Raises: OutputError if there is little space left, or no viewer."""
    if save is None:
        with _rerun_errors("The viewer does not take the frames"):
            recording.flush(timeout_sec=FLUSH_S)
        return
    if shutil.disk_usage(real_path(save).parent).free < _MIN_FREE_BYTES:
        raise OutputError(f"Cannot write {save}: less than {_MIN_FREE_BYTES >> 20} MB are free on its disk.")
    with _rerun_errors(f"Cannot write {save}"):
        recording.flush(timeout_sec=FLUSH_S)


@contextmanager
def _rerun_errors(what: str) -> Iterator[None]:
    """Raise OutputError for a full disk, a viewer that is closed or one that does not start."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        first = str(error).partition("\n")[0].rstrip(".")
        raise OutputError(f"{what}: {first}.") from error


def _blueprint() -> Any:
    """The video above, presence and distances of the identities below."""
    import rerun.blueprint as rrb

    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Spatial2DView(origin=VIDEO, name="video"),
            rrb.Horizontal(
                rrb.StateTimelineView(origin=IDENTITIES, name="identities"),
                rrb.TimeSeriesView(origin=DISTANCES, name="distances of embeddings"),
            ),
            row_shares=[2, 1],
        ),
        rrb.TimePanel(timeline="time"),
    )


class _Scene:
    """Logs a video and its tracks frame by frame."""

    def __init__(self, recording: Any, tracks: TrackFile, distances: dict[int, EmbeddingDistances]) -> None:
        self._recording, self._distances = recording, distances
        self._by_frame = {each.frame_number: each for each in tracks.frames}
        self._present: set[int] = set()
        self._known: set[int] = set()  # identities whose labels and colours are logged
        self._last = self._last_tracked = -1
        self._step = frame_step(tracks)
        self.frames = 0
        self.classes = class_ids(
            sorted({track_id for each in tracks.frames for track_id in each.ids.tolist()})
        )
        if len(self.classes) > MOST_CLASSES:
            raise UserError(
                f"The tracks have {len(self.classes)} people; Rerun shows {MOST_CLASSES}. Choose some, such"
                " as --main 1000."
            )
        self._log(PEOPLE, annotation_context(self.classes, tracks.header.skeleton), static=True)

    def log(self, frame: Frame) -> None:
        """Log a frame with its people."""
        import cv2
        import rerun as rr

        self._recording.set_time("frame", sequence=frame.number)
        self._recording.set_time("time", duration=frame.time_s)
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        jpeg = cv2.imencode(".jpg", frame.image[..., ::-1], options)[1].tobytes()
        self._log(f"{VIDEO}/image", rr.EncodedImage(contents=jpeg, media_type="image/jpeg"))
        self.frames += 1
        before, self._last = self._last_tracked, frame.number
        tracks = self._by_frame.get(frame.number)
        if tracks is None and before >= 0 and frame.number < before + self._step:
            return  # a frame that the run has left out by its stride
        self._log_presence(set() if tracks is None else set(tracks.ids.tolist()))
        if tracks is not None:
            self._last_tracked = frame.number
            for path, archetype in boxes_and_skeletons(tracks, self.classes, PEOPLE).items():
                self._log(path, archetype)
            self._log_distances(tracks)
        elif before >= 0:  # the people of that frame stay shown otherwise
            self._log(PEOPLE, rr.Clear(recursive=True))
            self._last_tracked = -1

    def notes(self, name: str) -> tuple[str, ...]:
        """Frames that the video lacks."""
        beyond = sum(number > self._last for number in self._by_frame)
        return (f"the tracks have {beyond} frames after the end of '{name}'.",) if beyond else ()

    def _log(self, path: str, archetype: Any, *, static: bool = False) -> None:
        with _rerun_errors(f"Cannot log {path}"):
            self._recording.log(path, archetype, static=static, strict=True)

    def _log_presence(self, present: set[int]) -> None:
        """Log who comes and who leaves."""
        import rerun as rr

        for track_id in sorted(present - self._present):
            path = f"{IDENTITIES}/{track_id}"
            if track_id not in self._known:
                self._known.add(track_id)
                name, colour = str(track_id), colour_of(track_id)
                states = rr.StateConfiguration(values=[name], labels=[name], colors=[colour])
                self._log(path, states, static=True)
            self._log(path, rr.StateChange(state=str(track_id)))
        for track_id in sorted(self._present - present):
            self._log(f"{IDENTITIES}/{track_id}", rr.StateChange(state=""))
        self._present = present

    def _log_distances(self, tracks: Tracks) -> None:
        """Log what is known of the embeddings of a frame."""
        import rerun as rr

        found = self._distances.get(tracks.frame_number)
        series = {"track": tracks.distances}  # of the run: to the track before this frame
        if found is not None:
            series |= {"own": found.own, "nearest_other": found.other}
        for name, values in series.items():
            for track_id, value in zip(tracks.ids.tolist(), values.tolist(), strict=True):
                if np.isfinite(value):
                    self._log(f"{DISTANCES}/{track_id}/{name}", rr.Scalars(value))
