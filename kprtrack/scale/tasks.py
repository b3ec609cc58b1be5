"""What a worker is asked to do, and what it answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kprtrack.config import TrackConfig
from kprtrack.selection import EVERYONE, PeopleSelection
from kprtrack.video.clip import Clip

# track: a video from its frames to its result; observe: one chunk of a video; join: the tracker over all
# chunks of a video; whole: a video that cannot be split, as `observe` and `follow` do it.
Kind = Literal["track", "observe", "join", "whole"]


@dataclass(frozen=True)
class ManySettings:
    """The settings that all videos of a run have in common.

    Args:
        out: The folder of the results, a path or an address such as s3://bucket/results.
        config: The configuration.
        format: Format of the results where the suffix leaves a choice.
        people: Who is written.
        prototypes: Write NAME.tracks.safetensors beside each result.
        split_s: Videos longer than this many seconds are split into chunks of it; None: none is split.
        folder: The folder in which relative paths begin; None: the present one.
    """

    out: str
    config: TrackConfig
    format: str | None = None
    people: PeopleSelection = EVERYONE
    prototypes: bool = True
    split_s: float | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Video:
    """One video of a run.

    Args:
        name: Unique in the run; its result, chunks and log are called after it.
        clip: The source and the span to be read.
        result: Name of the result file in the folder of the run.
    """

    name: str
    clip: Clip
    result: str


@dataclass(frozen=True)
class Chunk:
    """A part of a video that is observed on its own.

    Frames are counted from 0 over those that the run reads. Every chunk begins with a whole batch, so that
    the networks get the same batches as in a single process.

    Args:
        index: Number of the chunk.
        first_number: Number of the first frame that the run reads.
        start: First frame of the chunk, without the overlap.
        end: First frame after the chunk; None: it lasts to the end of the video.
        overlap: Frames before `start` that are observed as well; they must equal those of the chunk before.
        fps: Frames per second of the video, by which its first frame is sought.
    """

    index: int
    first_number: int
    start: int
    end: int | None
    overlap: int
    fps: float


@dataclass(frozen=True)
class Task:
    """What a worker does in one piece.

    Args:
        kind: See `Kind`.
        video: The video.
        chunks: For `observe` the chunk, for `join` all chunks.
    """

    kind: Kind
    video: Video
    chunks: tuple[Chunk, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Args:
        frames: Number of frames that were observed.
        people: Number of IDs.
        seconds: Duration of the task.
        damage: What is wrong with the video although there is a result; None: nothing.
        error: Why there is no result; None: there is one.
        exit_code: That of the command line for the error or the damage.
        details: The traceback of an error that is a bug.
        chunks: The chunks of a long video that are to be observed before there can be a result.
        unsplit: Why the chunks cannot be joined, so that the video is to be observed in one piece.
    """

    frames: int = 0
    people: int = 0
    seconds: float = 0.0
    damage: str | None = None
    error: str | None = None
    exit_code: int = 0
    details: str | None = None
    chunks: tuple[Chunk, ...] = ()
    unsplit: str | None = None
