"""Walkers whose joint angles are known, made by forward kinematics, with errors of pose estimators.

A walker is built from the hips: segments have fixed lengths and directions that follow from the joint angles.
So the angles are the input, and do not depend on how anything measures them in images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.skeleton import COCO_SKELETON, KEYPOINTS, Skeleton
from kprtrack.io import RunHeader, TrackFile, open_writer

WIDTH, HEIGHT = 1920, 1080
# Metres of a person of 1.8 m, with the average proportions that docs/reference/kinematics.md 4 names.
BODY_M = 1.8
LENGTHS_M = {"shank": 0.246 * BODY_M, "thigh": 0.245 * BODY_M, "trunk": 0.288 * BODY_M}
LENGTHS_M |= {"arm": 0.186 * BODY_M, "forearm": 0.146 * BODY_M}
STRIDE_HZ = 0.9
SPEED_M_S = 1.3


@dataclass(frozen=True)
class Walker:
    """A person who walks across the image.

    Args:
        direction: 1 to the right, -1 to the left.
        pixels_per_metre: Scale of the image at the walker.
        phase: Of the stride, in turns.
    """

    direction: int = 1
    pixels_per_metre: float = 250.0
    phase: float = 0.0
    start_x: float = 300.0
    hips_y: float = 600.0

    def angles(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """The joint angles in degrees, [T] each: flexion is positive; trunk: its angle to the horizontal."""
        angles = {"trunk": 85 + 2 * np.sin(4 * np.pi * STRIDE_HZ * times)}
        for side, shift in (("left", 0.0), ("right", 0.5)):
            turn = 2 * np.pi * (STRIDE_HZ * times + self.phase + shift)
            angles[f"{side}_hip"] = 10 + 22 * np.cos(turn)
            angles[f"{side}_knee"] = 28 - 18 * np.cos(turn - 0.9) - 9 * np.cos(2 * turn - 0.6)
            angles[f"{side}_shoulder"] = -4 - 18 * np.cos(turn)
            angles[f"{side}_elbow"] = 25 + 10 * np.cos(turn + 2.6)
        return angles

    def points(self, times: np.ndarray) -> np.ndarray:
        """[T, 17, 2] pixels, y down, without errors."""
        angles = {name: np.radians(values) for name, values in self.angles(times).items()}
        hips = np.stack([SPEED_M_S * times, 0.03 * np.cos(4 * np.pi * STRIDE_HZ * times)], axis=1)
        trunk = angles["trunk"]
        neck = hips + LENGTHS_M["trunk"] * _direction(trunk)
        head = neck + 0.2 * _direction(trunk)
        places = {"nose": head + _offset(0.12, 0.0)}
        for side, depth in (("left", 0.01), ("right", -0.01)):
            down = trunk - np.pi
            hip, shoulder = hips + _offset(depth, depth), neck + _offset(depth, depth)
            thigh = down + angles[f"{side}_hip"]
            knee = hip + LENGTHS_M["thigh"] * _direction(thigh)
            ankle = knee + LENGTHS_M["shank"] * _direction(thigh - angles[f"{side}_knee"])
            arm = down + angles[f"{side}_shoulder"]
            elbow = shoulder + LENGTHS_M["arm"] * _direction(arm)
            wrist = elbow + LENGTHS_M["forearm"] * _direction(arm + angles[f"{side}_elbow"])
            joints = {"hip": hip, "knee": knee, "ankle": ankle, "shoulder": shoulder, "elbow": elbow}
            joints |= {"wrist": wrist, "ear": head + _offset(depth, 0), "eye": head + _offset(0.09, 0.03)}
            places |= {f"{side}_{name}": place for name, place in joints.items()}
        metres = np.stack([places[name] for name in KEYPOINTS], axis=1)
        pixels = metres * self.pixels_per_metre * [self.direction, -1]
        start = self.start_x if self.direction > 0 else WIDTH - self.start_x
        return pixels + _offset(start, self.hips_y)


def _offset(x: float, y: float) -> np.ndarray:
    return np.array([x, y])


def _direction(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@dataclass(frozen=True)
class Errors:
    """What a pose estimator does to the points of a walker.

    Args:
        noise_px: Standard deviation of every coordinate.
        gaps: Keypoint -> frames in which it is not found.
        jumps: Keypoint -> frames in which it is 0.4 m off, with full confidence.
        swaps: Frames in which knees and ankles are exchanged.
        unsure: Keypoint -> frames in which it is wrong and its confidence is 0.1.
    """

    noise_px: float = 0.0
    gaps: Mapping[str, range] = field(default_factory=dict)
    jumps: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    swaps: tuple[int, ...] = ()
    unsure: Mapping[str, range] = field(default_factory=dict)
    seed: int = 0

    def apply(self, points: np.ndarray) -> np.ndarray:
        """[T, 17, 3] x, y and confidence with the errors; 0 0 0 if not found."""
        rng = np.random.default_rng(self.seed)
        noisy = points + self.noise_px * rng.normal(size=points.shape)
        keypoints = np.concatenate([noisy, np.full((*points.shape[:2], 1), 0.9)], axis=2)
        for name, frames in self.jumps.items():
            turn = rng.uniform(0, 2 * np.pi, len(frames))
            keypoints[list(frames), KEYPOINTS.index(name), :2] += 100 * _direction(turn)
        for name, frames in self.unsure.items():
            keypoints[list(frames), KEYPOINTS.index(name)] += [80.0, 60.0, -0.8]
        for name, frames in self.gaps.items():
            keypoints[list(frames), KEYPOINTS.index(name)] = 0
        for frame in self.swaps:
            for joint in ("knee", "ankle"):
                rows = [KEYPOINTS.index(f"{side}_{joint}") for side in ("left", "right")]
                keypoints[frame, rows] = keypoints[frame, rows[::-1]]
        return keypoints


def track_file(
    people: Mapping[int, np.ndarray],
    times: np.ndarray,
    *,
    fps: float | None = 50.0,
    skeleton: Skeleton = COCO_SKELETON,
) -> TrackFile:
    """A result file of people's [T, K, 3] keypoints; a person is absent where all of them are 0."""
    frames = []
    for row, time_s in enumerate(times):
        ids = [person for person, keypoints in people.items() if keypoints[row].any()]
        poses = np.array([people[person][row] for person in ids], np.float32).reshape(
            len(ids), len(skeleton), 3
        )
        boxes = [[pose[:, 0].min(), pose[:, 1].min(), pose[:, 0].max(), pose[:, 1].max()] for pose in poses]
        frames.append(
            _tracks(row, float(time_s), ids, np.array(boxes, np.float32).reshape(-1, 4), poses, skeleton)
        )
    video = {"path": "walk.mp4", "width": WIDTH, "height": HEIGHT, "frames": len(times)}
    header = RunHeader(video=video | ({} if fps is None else {"fps": fps}), skeleton=skeleton)
    return TrackFile(header, frames, True)


def _tracks(
    row: int, time_s: float, ids: list[int], boxes: np.ndarray, poses: np.ndarray, skeleton: Skeleton
) -> Tracks:
    count = len(ids)
    unknown = np.full(count, np.nan, np.float32)
    return Tracks(
        row,
        time_s,
        np.array(ids, np.int64),
        boxes,
        np.full(count, 0.9, np.float32),
        poses,
        unknown,
        unknown,
        np.zeros((count, 0), bool),
        np.zeros(count, bool),
        skeleton=skeleton,
    )


def write_tracks(folder: Path, file: TrackFile) -> Path:
    """Write tracks.json and return its path."""
    path = folder / "tracks.json"
    with open_writer(path, file.header) as writer:
        for tracks in file.frames:
            writer.write(tracks)
    return path


def walk(
    walker: Walker | None = None, errors: Errors | None = None, *, seconds: float = 4.0, fps: float = 50.0
) -> tuple[TrackFile, np.ndarray]:
    """A result file of one walker, person 3, and its times."""
    times = np.arange(round(seconds * fps)) / fps
    points = (walker or Walker()).points(times)
    return track_file({3: (errors or Errors()).apply(points)}, times, fps=fps), times


__all__ = ["Errors", "Walker", "replace", "track_file", "walk", "write_tracks"]
