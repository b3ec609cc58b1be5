"""Synthetic observations with known ground truth, for the tests of the trackers.

Run as a program it writes the golden scene again: `python tests/support/scenes.py`, from the root, with the
project installed. The settings in the golden file are kept, so new defaults do not change it; a changed rule
of matching, confirmation, correction or re-identification may. Check the difference before committing it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Poses, Tracks
from kprtrack.pipeline import track
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig
from support import paths

PARTS, DIMENSIONS = 5, 32
WIDTH, HEIGHT = 60, 160
GOLDEN = paths.GOLDEN / "kpr_tracker_scene.json"

Way = Callable[[float], tuple[float, float] | None]  # time -> left and top of the box; None: not visible
Number = Callable[[float], float]


@dataclass(frozen=True)
class Actor:
    """One person of a scene."""

    embeddings: np.ndarray  # [P, D] unit length per part
    path: Way
    score: float | Number = 0.9
    visible: tuple[bool, ...] = (True,) * PARTS
    has_keypoints: bool = True


@dataclass(frozen=True)
class Film:
    """The observations of a scene; actors[f][i] is the actor of detection i in frame f."""

    frames: list[Observation]
    actors: list[list[int]]

    def every(self, step: int) -> "Film":
        """Only every `step`-th frame, as with `--stride`."""
        return Film(self.frames[::step], self.actors[::step])

    def without_embeddings(self) -> "Film":
        """The same as with `reid none`."""
        return self.with_features(lambda one: np.zeros((len(one), 0, 0), np.float32))

    def with_features(self, features: Callable[[Observation], np.ndarray]) -> "Film":
        """The same with the embeddings features(frame) [N, P, D], all parts visible."""
        frames = []
        for one in self.frames:
            observation = features(one)
            embeddings = Appearance(
                observation, np.ones(observation.shape[:2], bool), one.embeddings.prompted
            )
            frames.append(Observation(one.frame_number, one.time_s, one.detections, one.poses, embeddings))
        return Film(frames, self.actors)


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` with length 1 in the last axis, float32."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def random_embeddings(count: int, seed: int = 0) -> np.ndarray:
    """[count, P, D] random embeddings of as many people."""
    return unit(np.random.default_rng(seed).normal(size=(count, PARTS, DIMENSIONS)))


def similar_embedding(embeddings: np.ndarray, distance: float, seed: int = 1) -> np.ndarray:
    """[P, D] an embedding at exactly this cosine distance from `embeddings` in every part."""
    other = np.random.default_rng(seed).normal(size=embeddings.shape)
    other = unit(other - (other * embeddings).sum(-1, keepdims=True) * embeddings)
    return unit((1 - distance) * embeddings + np.sqrt(1 - (1 - distance) ** 2) * other)


def walk(
    left: float,
    top: float = 100,
    speed: float = 0,
    start_s: float = 0,
    end_s: float = np.inf,
    rise: float = 0,
) -> Way:
    """Straight on from (left, top) at start_s, pixels per second; visible until just before end_s."""

    def at(time_s: float) -> tuple[float, float] | None:
        # Frame times are sums of fractions: a thousandth decides no frame.
        if not start_s - 1e-3 <= time_s < end_s - 1e-3:
            return None
        return left + speed * (time_s - start_s), top + rise * (time_s - start_s)

    return at


def first_visible(*paths: Way) -> Way:
    """The first of the paths that is visible."""
    return lambda time_s: next((place for path in paths if (place := path(time_s)) is not None), None)


def film(
    actors: list[Actor], duration_s: float, fps: float = 10, noise: float = 0.05, contaminated: bool = False
) -> Film:
    """The scene at `fps` frames per second; its seed is the actor and the time, at any frame rate.

    noise: length of the error of every part. contaminated: embeddings of occluded people
    are mixed with those in front.
    """
    frames, cast = [], []
    for number in range(round(duration_s * fps)):
        time_s = number / fps
        places = [(row, place) for row, actor in enumerate(actors) if (place := actor.path(time_s))]
        frames.append(_frame(number, time_s, actors, places, noise, contaminated))
        cast.append([row for row, _ in places])
    return Film(frames, cast)


def _frame(
    number: int,
    time_s: float,
    actors: list[Actor],
    places: list[tuple[int, tuple[float, float]]],
    noise: float,
    contaminated: bool,
) -> Observation:
    corners = np.array([place for _, place in places], np.float64).reshape(-1, 2)
    # Quarters of a pixel are exact in float32 on every machine.
    corners = np.round(corners * 4) / 4
    boxes = np.hstack([corners, corners + np.array([WIDTH, HEIGHT])]).astype(np.float32)
    scores, embeddings, visible, keypoints = [], [], [], []
    for (row, _), box in zip(places, boxes, strict=True):
        actor = actors[row]
        random = np.random.default_rng([row, round(time_s * 1000)])
        scores.append(actor.score(time_s) if callable(actor.score) else actor.score)
        error = random.normal(size=actor.embeddings.shape) / np.sqrt(actor.embeddings.shape[1])
        embeddings.append(unit(actor.embeddings + noise * error))
        visible.append(actor.visible)
        keypoints.append(_pose(row, box, random) if actor.has_keypoints else np.zeros((17, 3)))
    features = np.array(embeddings, np.float32).reshape(-1, *actors[0].embeddings.shape)
    if contaminated:
        features = _mixed(features, boxes)
    return Observation(
        number,
        time_s,
        Detections(boxes, np.array(scores, np.float32)),
        Poses(np.array(keypoints, np.float32).reshape(-1, 17, 3)),
        Appearance(features, np.array(visible, bool).reshape(features.shape[:2]), np.ones(len(boxes), bool)),
    )


def _pose(row: int, box: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """[17, 3] a posture of each actor's own, with noise of a pixel."""
    posture = np.random.default_rng([row, 17]).uniform(0.1, 0.9, (17, 2))
    places = box[:2] + posture * (box[2:] - box[:2]) + random.normal(0, 1, (17, 2))
    return np.concatenate([places, np.full((17, 1), 0.9)], 1)


def _mixed(features: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Embeddings of occluded people (feet higher up) mixed with those in front, by the occluded fraction."""
    mixed = features.copy()
    for behind, front in np.argwhere(boxes[:, None, 3] < boxes[None, :, 3]):
        sides = np.minimum(boxes[behind, 2:], boxes[front, 2:]) - np.maximum(
            boxes[behind, :2], boxes[front, :2]
        )
        share = np.maximum(sides, 0).prod() / (WIDTH * HEIGHT)
        mixed[behind] = unit((1 - share) * mixed[behind] + share * features[front])
    return mixed


def run_tracker(film: Film, config: KprTrackerConfig | None = None) -> list[Tracks]:
    """The output of `track` for the film."""
    return list(track(film.frames, KprTracker(config)))


def identities(film: Film, tracks: Iterable[Tracks]) -> dict[int, list[int]]:
    """For every actor the ID in each frame where it is visible; 0 where it is not tracked.

    Also checks what holds for every frame: boxes are the detector's, bit by bit and each at most once, except
    interpolated ones, which come last; and ids are positive and unique.
    """
    found: dict[int, list[int]] = {}
    for observation, cast, output in zip(film.frames, film.actors, tracks, strict=True):
        assert (output.frame_number, output.time_s) == (observation.frame_number, observation.time_s)
        people = map(partial(_row_of, observation), output.boxes, output.keypoints)
        rows = [row for row in people if row is not None]
        count = len(rows)
        assert len(set(rows)) == count
        assert (output.ids > 0).all() and len(set(output.ids.tolist())) == len(output)
        assert output.scores[:count].tolist() == observation.detections.scores[rows].tolist()
        assert not output.visible[count:].any() and not output.prompted[count:].any()
        number_of = dict(zip(rows, output.ids.tolist(), strict=False))
        for row, actor in enumerate(cast):
            found.setdefault(actor, []).append(number_of.get(row, 0))
    return found


def _row_of(observation: Observation, box: np.ndarray, keypoints: np.ndarray) -> int | None:
    """The detection with this box and these keypoints, bit by bit."""
    pairs = zip(observation.detections.boxes, observation.poses.keypoints, strict=True)
    same = [box.tobytes() == other.tobytes() and np.array_equal(keypoints, pose) for other, pose in pairs]
    rows = np.flatnonzero(same).tolist()
    assert len(rows) <= 1
    return rows[0] if rows else None


def track_ids(film: Film, config: KprTrackerConfig | None = None) -> dict[int, list[int]]:
    """`identities` of the output of `track` for the film."""
    return identities(film, run_tracker(film, config))


def golden_film() -> Film:
    """100 frames: a crossing, a person who leaves and returns, a low score, occluded parts, a passer-by."""
    embeddings = random_embeddings(6, 7)
    away = first_visible(walk(900, 300, end_s=3), walk(500, 300, 20, start_s=6.5))
    half = (True, True, False, False, True)
    actors = [
        Actor(embeddings[0], walk(100, 95, 80)),
        Actor(embeddings[1], walk(600, 110, -70)),
        Actor(embeddings[2], away),
        Actor(embeddings[3], walk(200, 500, 10), score=lambda time_s: 0.3 if 4 <= time_s < 5 else 0.85),
        Actor(
            embeddings[4], walk(700, 520, -15, start_s=1.5), visible=half, score=lambda t: min(0.9, 0.2 * t)
        ),
        Actor(embeddings[5], walk(1000, 100, -60, start_s=2, end_s=8), has_keypoints=False),
    ]
    return film(actors, 10, noise=0.3, contaminated=True)


def digest(tracks: Iterable[Tracks]) -> str:
    """SHA-256 of all boxes in the order of the output."""
    return hashlib.sha256(b"".join(found.boxes.astype("<f4").tobytes() for found in tracks)).hexdigest()


def golden(config: KprTrackerConfig) -> dict[str, object]:
    """The contents of the golden file."""
    tracks = run_tracker(golden_film(), config)
    ids = [found.ids.tolist() for found in tracks]
    return {"config": asdict(config), "boxes_sha256": digest(tracks), "ids": ids}


if __name__ == "__main__":
    settings = json.loads(GOLDEN.read_text("utf-8"))["config"] if GOLDEN.exists() else {}
    GOLDEN.write_text(json.dumps(golden(KprTrackerConfig(**settings))) + "\n", "utf-8")
