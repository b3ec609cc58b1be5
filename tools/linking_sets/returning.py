"""Many simulated videos of people of whom some return; their embeddings vary as those of a set of crops do.

The embedding of a person in a frame is the mean of all people and three random deviations, of the person, of
the person in the video, and of the frame, with the covariances of a set in which each person is seen by two
cameras. The first two are normal variables of log-normal scale, as some people look more usual than others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.build import build_tracker
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Tracks, empty_poses
from kprtrack.core.geometry import occluded_fraction
from kprtrack.identity import TrackPrototypes, read_prototypes
from kprtrack.identity.prototypes import unit_length
from kprtrack.io import RunHeader
from linking_sets.writing import SUFFIX, labelled, write_video

_FPS = 10.0
_FRAMES = 300
_SIZE = 1280, 720
_STAY_S = 6.0, 20.0  # how long a person is in a video
_RETURNS = 2, 4  # videos of a person who returns
_HEIGHTS = 150, 400  # pixels
_MISSED = 0.03  # share of the detections
_MOST_OCCLUDED = 0.7  # a person who is less visible is not detected
_JITTER = 0.02  # deviation of the edges of a box, relative to its height
_SPREAD = 0.4, 0.3  # deviations of the log of the scales: persons, persons in a video
_MEMORY = 0.9  # correlation of the embeddings of adjacent frames


@dataclass(frozen=True)
class Statistics:
    """How embeddings [P, D], flattened to F numbers, vary; a deviation times normal numbers is a sample."""

    shape: tuple[int, int]
    mean: np.ndarray  # [F]
    person: np.ndarray  # [n, F] deviations of persons
    video: np.ndarray  # [n, F] of a person in one video
    frame: np.ndarray  # [m, F] of a frame in a video
    visible: np.ndarray  # [m, P] bool, of frames

    @classmethod
    def of(cls, videos: list[TrackPrototypes]) -> "Statistics":
        """Estimate from videos of one track each; those of one person by two cameras are adjacent."""
        means = np.stack([_filled(video.means)[0] for video in videos])  # [2 n, F]
        two = means.reshape(len(means) // 2, 2, -1)
        middle, apart = two.mean(1), (two[:, 0] - two[:, 1]) / np.sqrt(2)
        count = len(two)
        # The middle of two cameras still has half of the variance between cameras.
        spread, half = ((middle - middle.mean(0)) ** 2).sum(), (apart**2).sum() / 2
        share = np.sqrt(max(spread - half, 0) / spread)
        frames = [_filled(video.embeddings) for video in videos]
        deviations = [one - one.mean(0) for one in frames]
        degrees = sum(len(one) - 1 for one in frames)
        return cls(
            videos[0].means.features.shape[1:],
            means.mean(0),
            share * (middle - middle.mean(0)) / np.sqrt(count - 1),
            apart / np.sqrt(count),
            _square(np.concatenate(deviations) / np.sqrt(degrees)),
            np.concatenate([video.embeddings.visible for video in videos]),
        )


def _filled(people: Appearance) -> np.ndarray:
    """[N, F] embeddings; a part that is not visible has the mean of the others that are."""
    mask = people.visible[:, :, None]
    usual = (people.features * mask).sum(0) / np.maximum(mask.sum(0), 1)
    return np.where(mask, people.features, usual).reshape(len(people), -1)


def _square(deviations: np.ndarray) -> np.ndarray:
    """At most F rows with the same covariance."""
    _, lengths, axes = np.linalg.svd(deviations, full_matrices=False)
    return lengths[:, None] * axes


def write_returning(folder: Path, like: Path, videos: int, people: int, returning: int, seed: int) -> int:
    """Simulate videos, track them, and write them into a set.

    Args:
        folder: Of the set.
        like: The set of crops whose embeddings are imitated, of `cuhk03`.
        videos: Number of videos.
        people: Number of persons.
        returning: How many of them are in several videos.
        seed: Of all random numbers.

    Returns:
        Number of videos.
    """
    random = np.random.default_rng(seed)
    prototypes = [read_prototypes(path) for path in sorted(like.glob(f"*{SUFFIX}"))]
    statistics = Statistics.of(prototypes)
    header = RunHeader(
        {"width": _SIZE[0], "height": _SIZE[1], "fps": _FPS}, {"reid": prototypes[0].header["reid"]}
    )
    persons = statistics.mean + _deviations(statistics.person, people, _SPREAD[0], random)
    cast: list[list[int]] = [[] for _ in range(videos)]
    for person in range(people):
        count = int(random.integers(*_RETURNS, endpoint=True)) if person < returning else 1
        for video in random.choice(videos, count, replace=False).tolist():
            cast[video].append(person)
    for number, members in enumerate(cast):
        frames = list(_frames(persons, members, statistics, random))
        seen, truth = [one for one, _ in frames], [one for _, one in frames]
        tracker = build_tracker("kpr", fps=_FPS)
        write_video(folder, f"video_{number:03d}", header, seen, tracker, truth)
    return videos


def _deviations(factors: np.ndarray, count: int, spread: float, random: np.random.Generator) -> np.ndarray:
    """[count, F] with the covariance of the factors [n, F]; `spread`: of the log of their scale."""
    scale = np.exp(random.normal(-(spread**2), spread, (count, 1)))  # the mean of its square is 1
    sample: np.ndarray = scale * (random.standard_normal((count, len(factors))) @ factors)
    return sample


def _frames(
    persons: np.ndarray, members: list[int], statistics: Statistics, random: np.random.Generator
) -> Iterator[tuple[Observation, Tracks]]:
    """Yield what is observed in each frame, and the ground truth."""
    count = len(members)
    stay = random.uniform(*_STAY_S, count)
    start = random.uniform(0, _FRAMES / _FPS - stay * 0.5)
    heights = random.uniform(*_HEIGHTS, count)
    ends = np.sort(random.uniform(0, _SIZE[0], (2, count)), axis=0)[:, random.permutation(count)]
    ends = np.where(random.uniform(size=count) < 0.5, ends, ends[::-1])
    here = persons[members] + _deviations(statistics.video, count, _SPREAD[1], random)
    noise = random.standard_normal((count, len(statistics.frame)))
    for number in range(_FRAMES):
        noise = _MEMORY * noise + np.sqrt(1 - _MEMORY**2) * random.standard_normal(noise.shape)
        progress = (number / _FPS - start) / stay
        present = np.flatnonzero((progress >= 0) & (progress <= 1))
        x = ends[0] + progress * (ends[1] - ends[0])
        bottom = 250 + heights  # nearer people are larger and lower
        boxes = np.stack([x - heights / 5, bottom - heights, x + heights / 5, bottom], 1)[present]
        found = random.uniform(size=len(present)) >= _MISSED
        found &= occluded_fraction(boxes) <= _MOST_OCCLUDED
        rows = np.flatnonzero(found)
        jitter = random.normal(0, _JITTER, (len(rows), 4)) * heights[present][rows, None]
        features = (here + noise @ statistics.frame)[present][rows].reshape(-1, *statistics.shape)
        visible = statistics.visible[random.integers(0, len(statistics.visible), len(rows))]
        scores = random.uniform(0.75, 0.95, len(rows))
        observation = Observation(
            number,
            number / _FPS,
            Detections((boxes[rows] + jitter).astype(np.float32), scores.astype(np.float32)),
            empty_poses(len(rows)),
            Appearance(unit_length(features).astype(np.float32), visible, np.ones(len(rows), bool)),
        )
        yield observation, labelled(number, number / _FPS, np.array(members)[present] + 1, boxes)
