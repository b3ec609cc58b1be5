"""Labelled clips, cut at every moment at which a person leaves: persons are in several parts of a clip."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from eval.synthetic.benchmark import SyntheticConfig, SyntheticFrame
from eval.synthetic.scene import Scene
from kprtrack.build import build_tracker
from kprtrack.core.datatypes import Frame, Observation, Poses, Tracks
from kprtrack.core.skeleton import COCO_SKELETON
from kprtrack.io import RunHeader, read_tracks
from kprtrack.pipeline import Networks, observe
from kprtrack.video.source import open_source
from linking_sets.writing import labelled, write_video

_Each = TypeVar("_Each", Observation, Tracks)
_ABSENT_S = 0.5  # a shorter absence is an occlusion
_SHORTEST_S = 0.5  # of a part


def write_drawn(folder: Path, config: SyntheticConfig, networks: Networks) -> int:
    """Draw clips of the synthetic benchmark, and write the parts of each into a set of its own.

    Two of every four people wear the same kit.

    Args:
        folder: Of the sets, NAME of the clip.
        config: What to draw.
        networks: What observes the people.

    Returns:
        Number of parts.
    """
    parts = 0
    for number in range(config.sequences):
        truth: list[Tracks] = []
        scene = Scene(config, number)
        seen = list(observe(_frames(scene.frames(), truth), networks))
        header = _header(networks, config.width, config.height, config.fps)
        parts += write_parts(folder / scene.name, scene.name, header, seen, truth)
    return parts


def write_clip(folder: Path, video: Path, ground_truth: Path, networks: Networks) -> int:
    """Observe a video, and write its parts into a set.

    Args:
        folder: Of the set.
        video: The clip.
        ground_truth: Its tracks, numbered as its frames; their IDs are the persons of the set.
        networks: What observes the people.

    Returns:
        Number of parts.
    """
    with open_source(video) as frames:
        info = frames.info
        seen = list(observe(frames, networks))
    header = _header(networks, info.width, info.height, info.fps)
    return write_parts(folder, video.stem, header, seen, read_tracks(ground_truth).frames)


def write_parts(
    folder: Path, name: str, header: RunHeader, seen: Sequence[Observation], truth: Sequence[Tracks]
) -> int:
    """Track each part of a clip by itself, and write it into a set.

    Args:
        folder: Of the set.
        name: Of the clip.
        header: Of its run, with the frame rate.
        seen: Its observations.
        truth: Its ground truth.

    Returns:
        Number of parts.
    """
    rate = header.fps or 25.0
    borders = [0, *exits(truth, rate), seen[-1].frame_number + 1]
    for number, (first, end) in enumerate(pairwise(borders), 1):
        write_video(
            folder,
            f"{name}_{number}",
            header,
            _part(seen, first, end, rate),
            build_tracker("kpr", fps=rate),
            _part(truth, first, end, rate),
        )
    return len(borders) - 1


def exits(truth: Sequence[Tracks], rate: float) -> list[int]:
    """Return the numbers of the first frames after a person left.

    Parts of less than _SHORTEST_S are left out.

    Args:
        truth: The ground truth.
        rate: Frames per second.
    """
    seen_in: dict[int, list[int]] = {}
    for tracks in truth:
        for person in tracks.ids.tolist():
            seen_in.setdefault(person, []).append(tracks.frame_number)
    end = truth[-1].frame_number + 1
    left = {
        frame + 1
        for frames in seen_in.values()
        for frame, following in zip(frames, [*frames[1:], end + round(rate)], strict=True)
        if following - frame > _ABSENT_S * rate
    }
    cuts = [0]
    for frame in sorted(left):
        if min(frame - cuts[-1], end - frame) >= _SHORTEST_S * rate:
            cuts.append(frame)
    return cuts[1:]


def _part(frames: Iterable[_Each], first: int, end: int, rate: float) -> list[_Each]:
    """The frames from `first` up to, not including, `end`, numbered from 0."""
    return [
        replace(each, frame_number=each.frame_number - first, time_s=(each.frame_number - first) / rate)
        for each in frames
        if first <= each.frame_number < end
    ]


def _frames(drawn: Iterable[SyntheticFrame], seen: list[Tracks]) -> Iterator[Frame]:
    """Yield the images, and append their ground truth to `seen`."""
    for one in drawn:
        poses = Poses(one.keypoints)
        seen.append(labelled(one.number, one.time_s, one.person_ids, one.boxes, poses))
        yield Frame(one.number, one.time_s, one.image)


def _header(networks: Networks, width: int, height: int, fps: float | None) -> RunHeader:
    return RunHeader(
        video={"width": width, "height": height, "fps": fps},
        models=networks.metadata,
        skeleton=networks.skeleton or COCO_SKELETON,
    )
