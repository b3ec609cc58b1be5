"""Resume a run that was stopped or killed: its observations are stored, and the tracker follows them again.

Trackers are deterministic and networks keep no state between batches of frames. So the result is that of a
run without a stop, if the stored observations end with a whole batch.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kprtrack.core.datatypes import Frame, Observation
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.paths import real_path
from kprtrack.io import (
    ObservationFile,
    RunHeader,
    TrackFile,
    open_observations_writer,
    read_observations,
    read_tracks,
)
from kprtrack.io.header import header_to_json
from kprtrack.video.inputs import is_camera

Observe = Callable[[Iterator[Frame]], Iterator[Observation]]
_SUFFIX = ".observations.npz"


class StoredRun:
    """The observations that a run stores beside its result, to be resumed; removed when it is complete.

    Args:
        out: The result; the file is called RESULT.observations.npz, and .npz.part while it is written.
        header: Video, models and config of the run, which must be equal when it is resumed.
        batch_size: Frames in one call of the networks.

    Raises:
        UserError: There are stored observations of another run.
        OutputError: The file cannot be written.
    """

    def __init__(self, out: Path, header: RunHeader, batch_size: int) -> None:
        real = real_path(out)
        self.path = real.with_name(real.name + _SUFFIX)
        self._writer = open_observations_writer(self.path, header, resume=True, multiple_of=batch_size)
        self.frames = self._writer.resumed  # observed by the earlier run

    def resume(self, frames: Iterable[Frame], observe: Observe) -> Iterator[Observation]:
        """Yield the stored observations, then those of the other frames; see `resumed`."""
        return resumed(self._writer.earlier(), frames, observe)

    def store(self, observations: Iterable[Observation]) -> Iterator[Observation]:
        """Yield all observations, and write those that are new."""
        for number, observation in enumerate(observations):
            if number >= self.frames:
                self._writer.write(observation)
            yield observation

    def close(self, complete: bool, note: str | None) -> None:
        """Remove the observations of a complete run, keep those of another."""
        if complete:
            self._writer.discard()
        else:
            self._writer.close(False, note)

    def __enter__(self) -> "StoredRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self.close(False, None if kind is None else f"ended by {kind.__name__}")


def resumed(
    earlier: Iterable[Observation], frames: Iterable[Frame], observe: Observe
) -> Iterator[Observation]:
    """Yield the observations of an earlier run, then those of the frames after them.

    Args:
        earlier: The first observations of the video.
        frames: All frames of the video.
        observe: Observes the other frames.

    Raises:
        InputError: The video has other frames than the earlier run had.
    """
    others = iter(frames)
    for observation in earlier:
        frame = next(others, None)
        if frame is None or (frame.number, frame.time_s) != (observation.frame_number, observation.time_s):
            raise InputError(
                f"The run cannot be resumed: its frame {observation.frame_number} is no longer in the video."
                " Run without --resume."
            )
        yield observation
    yield from observe(others)


def finished_tracks(path: Path, format: str | None, header: RunHeader) -> TrackFile | None:
    """Return the result of an earlier run if it is complete and of the same video, models and settings.

    Args:
        path: The result.
        format: Its format; None: by its suffix.
        header: That of this run. Formats that store none are never taken for finished.
    """
    if not path.is_file():
        return None
    try:
        file = read_tracks(path, format)
    except UserError:
        return None
    return file if file.complete and _is_same_run(file.header, header) else None


def finished_observations(path: Path, header: RunHeader) -> ObservationFile | None:
    """Return the observations of an earlier run if they are complete and of the same run."""
    if not path.is_file():
        return None
    try:
        file = read_observations(path)
    except UserError:
        return None
    return file if file.complete and _is_same_run(file.header, header) else None


def _is_same_run(earlier: RunHeader, header: RunHeader) -> bool:
    old, new = (json.loads(json.dumps(header_to_json(one))) for one in (earlier, header))
    return all(old[key] == new[key] for key in ("video", "models", "config"))


def validate_resumable(source: str | int | Path, out: Path) -> None:
    """Check that a source can be read again and that the output is a file.

    Raises:
        UserError: It is a camera, a stream or standard input, or the output is a pipe.
    """
    name = str(source)
    if isinstance(source, int) or is_camera(name) or name == "-" or "://" in name:
        raise UserError(f"--resume needs a video that can be read again, not {name}. Omit --resume.")
    if out.exists() and not out.is_file():
        raise UserError(f"--resume needs an output file, and {out} is none. Omit --resume.")
