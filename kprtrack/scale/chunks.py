"""Long videos in chunks: which frames each one has, their observations, and the joined observations.

The joined observations equal those of `kprtrack observe` to the bit: the networks keep no state between
batches, every chunk begins with a whole batch, and frames have their numbers and times also after a seek.
The last batch of each chunk is observed by the next one again. Where the two differ, or a frame is damaged,
the video is not split.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kprtrack.config import TrackConfig
from kprtrack.core.datatypes import Frame, Observation
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.skeleton import COCO_SKELETON
from kprtrack.io import RunHeader, read_observations, write_observations
from kprtrack.io.header import plain
from kprtrack.pipeline import Networks, observe
from kprtrack.scale.tasks import Chunk
from kprtrack.video.clip import Clip

_BEFORE_S = 1.0  # read before the expected time of the first frame; more if the frame rate varies


class UnsplitError(InputError):
    """The video is to be observed in one piece."""


def plan_chunks(clip: Clip, split_s: float, batch_size: int) -> tuple[Chunk, ...]:
    """Split a video into chunks of about equal length.

    Args:
        clip: The source and the span to be read.
        split_s: Length of a chunk in seconds of video; the last one has between half and one and a half.
        batch_size: Frames in one call of the networks; chunks begin at a multiple of it.

    Returns:
        The chunks; none for a video that is no longer than one, or whose length is unknown.

    Raises:
        InputError: The source cannot be read.
    """
    with clip.open() as video:
        frames, fps = video.expected_frames, video.info.fps
        batches = max(round(split_s * fps / clip.stride / batch_size), 1)
        count = 0 if frames is None or video.info.live else round(frames / (batches * batch_size))
        if count < 2:
            return ()
        first_number = next(iter(video)).number
    starts = [index * batches * batch_size for index in range(count)]
    ends: list[int | None] = [*starts[1:], None]
    return tuple(
        Chunk(index, first_number, start, end, batch_size if start else 0, fps)
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def observe_chunk(
    clip: Clip,
    chunk: Chunk,
    out: Path,
    config: TrackConfig,
    networks: Networks,
    on_frame: Callable[[], None],
) -> int:
    """Store the observations of a chunk and of the overlap before it.

    Args:
        clip: The source and the span of the whole run.
        chunk: Which of its frames.
        out: The file to write (.npz).
        config: Number of frames in one call of the networks.
        networks: Detector, pose estimator and encoder.
        on_frame: Called after every frame.

    Returns:
        The number of frames without the overlap.

    Raises:
        UnsplitError: Frames are damaged or missing.
        OutputError: The file cannot be written.
    """
    written = 0

    def observations() -> Iterator[Observation]:
        nonlocal written
        for observation in observe(_frames(clip, chunk), networks, config.frames_at_once):
            yield observation
            written += 1
            on_frame()

    header = RunHeader(models=networks.metadata, skeleton=networks.skeleton or COCO_SKELETON)
    try:
        write_observations(out, header, observations())
    except InputError as error:
        raise UnsplitError(str(error)) from error
    own = written - chunk.overlap
    if own < 1 or (chunk.end is not None and own != chunk.end - chunk.start):
        raise UnsplitError(f"chunk {chunk.index} has {own} frames")
    return own


def joined(chunks: Sequence[Chunk], files: Sequence[Path], networks: Networks) -> Iterator[Observation]:
    """Yield the observations of all chunks without the overlaps.

    Args:
        chunks: All chunks of a video.
        files: Their observations.
        networks: Those with which they were made.

    Raises:
        UnsplitError: A chunk differs in the overlap from the one before.
        UserError: They were made with other weights.
        InputError: A file is damaged.
    """
    end: deque[Observation] = deque(maxlen=max(chunk.overlap for chunk in chunks))
    for chunk, path in zip(chunks, files, strict=True):
        file = read_observations(path)
        if _plain(file.header.models) != _plain(networks.metadata):
            raise UserError(
                f"Chunk {chunk.index} was observed with other weights than this worker has. All machines need"
                " the same models."
            )
        before = list(end)
        for place, observation in enumerate(file):
            if place >= chunk.overlap:
                end.append(observation)
                yield observation
            elif not _equal(before[place], observation):
                raise UnsplitError(f"frame {observation.frame_number} differs after a seek")


def _frames(clip: Clip, chunk: Chunk) -> Iterator[Frame]:
    """The frames of a chunk and of the overlap, found by their numbers after a seek."""
    first = chunk.first_number + clip.stride * (chunk.start - chunk.overlap)
    last = None if chunk.end is None else chunk.first_number + clip.stride * chunk.end
    earliest_s, before_s = clip.start_s or 0.0, _BEFORE_S
    while True:
        start_s = max(first / chunk.fps - before_s, earliest_s)
        with replace(clip, start_s=start_s, stride=1).open() as video:
            frames = iter(video)
            frame = next(frames)
            if frame.number > first and start_s > earliest_s:
                before_s *= 4  # the frame rate varies: the seek led too far
                continue
            found: Frame | None = frame
            while found is not None and (last is None or found.number < last):
                if found.number >= first and (found.number - chunk.first_number) % clip.stride == 0:
                    yield found
                found = next(frames, None)
            if video.losses.damaged_frames:
                raise UnsplitError(f"frame {video.losses.damaged_frames[0]} is damaged")
        return


def _plain(models: Mapping[str, object]) -> object:
    return json.loads(json.dumps(plain(models)))


def _equal(one: Observation, other: Observation) -> bool:
    return (one.frame_number, one.time_s) == (other.frame_number, other.time_s) and all(
        np.array_equal(getattr(getattr(one, part), name), getattr(getattr(other, part), name))
        for part, names in (
            ("detections", ("boxes", "scores")),
            ("poses", ("keypoints",)),
            ("embeddings", ("features", "visible", "prompted")),
        )
        for name in names
    )
