"""Simulated observations of people who walk about, cross, leave and return, with true identities.

No image is drawn: boxes, scores, poses and embeddings are made from paths, with errors that grow with
occlusion, as those of networks do. Four of ten people wear the clothes of another one.
"""

from dataclasses import dataclass, field

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Poses, Tracks

_WIDTH, _HEIGHT = 1280, 720
_PARTS, _LENGTH = 6, 48
_LEAST_VISIBLE = 0.1  # of a person in the ground truth


@dataclass
class _Person:
    number: int
    embedding: np.ndarray  # [P, D]
    start_s: float
    place: np.ndarray  # x and y of the feet
    goal: np.ndarray
    speed: float
    height: float
    posture: np.ndarray  # [17, 2]
    drift: np.ndarray  # [P, D]
    mood: float = 0.0  # of the detector's score
    away_s: float = 0.0  # outside until then
    facing: np.ndarray = field(default_factory=lambda: np.zeros(0))


def simulated_clip(seed: int, seconds: float = 24) -> tuple[list[Observation], list[Tracks]]:
    """Return the observations of a clip, and its ground truth; the seed decides everything."""
    random = np.random.default_rng([seed, 2])
    count, likeness = int(random.integers(3, 15)), random.uniform(0.3, 1.5)
    noise, fps = random.uniform(0.25, 1.0), float(random.choice([5.0, 8.0, 12.5]))
    base = random.normal(size=(_PARTS, _LENGTH))
    people: list[_Person] = []
    for number in range(1, count + 1):
        twin = people[-1].embedding if people and random.random() < 0.4 else None
        own = random.normal(size=(_PARTS, _LENGTH))
        embedding = twin + 0.4 * own if twin is not None else likeness * base + own
        embedding *= np.sqrt(_LENGTH) / np.linalg.norm(embedding, axis=1, keepdims=True)
        people.append(
            _Person(
                number,
                embedding,
                random.uniform(0, seconds / 2) * (random.random() < 0.5),
                _anywhere(random),
                _anywhere(random),
                random.uniform(60, 200),
                random.uniform(0.85, 1.15),
                random.uniform(0.1, 0.9, (17, 2)),
                np.zeros((_PARTS, _LENGTH)),
                facing=0.5 * random.normal(size=(_PARTS, _LENGTH)),
            )
        )
    observations, truth = [], []
    for frame in range(round(seconds * fps)):
        time_s = frame / fps
        here = [one for one in people if _walk(one, time_s, 1 / fps, random)]
        observation, labels = _observe(frame, time_s, here, people, noise, random)
        observations.append(observation)
        truth.append(labels)
    return observations, truth


def _anywhere(random: np.random.Generator) -> np.ndarray:
    return random.uniform((60, 330), (_WIDTH - 60, 690))


def _walk(one: _Person, time_s: float, step_s: float, random: np.random.Generator) -> bool:
    """Move a person on; whether it is in the image."""
    if time_s < max(one.start_s, one.away_s):
        return False
    way = one.goal - one.place
    far = float(np.hypot(*way))
    if far < 2 * one.speed * step_s:
        if not 0 < one.place[0] < _WIDTH:  # outside: back after a while
            one.away_s = time_s + random.uniform(1, 8)
            one.goal = _anywhere(random)
            one.place = one.place + 1.0
            return False
        leaves = random.random() < 0.3
        side = np.array([random.choice([-80.0, _WIDTH + 80.0]), one.place[1]])
        one.goal = side if leaves else _anywhere(random)
        return True
    one.place = one.place + way / far * one.speed * step_s + random.normal(size=2)
    return bool(-40 < one.place[0] < _WIDTH + 40)


def _observe(
    frame: int,
    time_s: float,
    here: list[_Person],
    people: list[_Person],
    noise: float,
    random: np.random.Generator,
) -> tuple[Observation, Tracks]:
    order = sorted(here, key=lambda one: one.place[1])  # from the farthest to the nearest
    boxes = np.array([_box(one) for one in order]).reshape(-1, 4)
    visible, front = _visible(boxes)
    found: list[tuple[np.ndarray, float, np.ndarray, np.ndarray]] = []
    for row, one in enumerate(order):
        one.mood = 0.85 * one.mood + 0.15 * random.normal()
        one.drift = 0.93 * one.drift + 0.37 * random.normal(size=one.drift.shape) * 0.45
        score = 0.9 - 0.75 * max(0.75 - visible[row], 0) + 0.05 * random.normal() + 0.25 * one.mood
        size = boxes[row, 2:] - boxes[row, :2]
        if score < 0.1 or size[0] < 8:
            continue
        box = boxes[row] + random.normal(size=4) * (0.02 + 0.06 * (1 - visible[row])) * np.tile(size, 2)
        way = one.goal[0] > one.place[0]
        seen = (
            one.embedding
            + one.drift
            + (one.facing if way else 0)
            + noise * random.normal(size=one.drift.shape)
        )
        lost = 1 - visible[row]
        if lost > 0.15 and front[row] >= 0:
            seen = (1 - 0.75 * lost) * seen + 0.75 * lost * order[front[row]].embedding
        pose = np.full((17, 3), 0.85)
        pose[:, :2] = boxes[row, :2] + one.posture * size + 0.02 * size[1] * random.normal(size=(17, 2))
        found.append((box, min(score, 0.97), pose, seen))
    for _ in range(int(random.poisson(0.3)) if order else 0):  # boxes of parts of people
        row = int(random.integers(len(order)))
        size = boxes[row, 2:] - boxes[row, :2]
        corner, part = boxes[row, :2] + 0.3 * size * random.normal(size=2), size * random.uniform(0.3, 0.7)
        seen = order[row].embedding + random.normal(size=order[row].drift.shape)
        found.append((np.append(corner, corner + part), random.uniform(0.1, 0.5), np.zeros((17, 3)), seen))
    count = len(found)
    features = np.array([one[3] for one in found]).reshape(count, _PARTS, _LENGTH)
    features /= np.maximum(np.linalg.norm(features, axis=2, keepdims=True), 1e-9)
    observation = Observation(
        frame,
        time_s,
        Detections(
            np.array([one[0] for one in found], np.float32).reshape(-1, 4),
            np.array([one[1] for one in found], np.float32),
        ),
        Poses(np.array([one[2] for one in found], np.float32).reshape(-1, 17, 3)),
        Appearance(features.astype(np.float32), np.ones((count, _PARTS), bool), np.ones(count, bool)),
    )
    kept = visible >= _LEAST_VISIBLE
    nothing = np.full(int(kept.sum()), np.nan, np.float32)
    return observation, Tracks(
        frame,
        time_s,
        np.array([one.number for one in order], np.int64)[kept],
        boxes[kept].astype(np.float32),
        np.ones(len(nothing), np.float32),
        np.zeros((len(nothing), 17, 3), np.float32),
        nothing,
        nothing,
        np.zeros((len(nothing), 0), bool),
        np.zeros(len(nothing), bool),
    )


def _box(one: _Person) -> list[float]:
    height = one.height * (120 + 0.5 * (one.place[1] - 330))
    left, bottom = one.place[0] - 0.2 * height, one.place[1]
    return [max(left, 0), max(bottom - height, 0), min(left + 0.4 * height, _WIDTH), min(bottom, _HEIGHT)]


def _visible(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N] share of each box that no nearer person hides, and who hides most of it (-1: no one)."""
    visible, front = np.ones(len(boxes)), np.full(len(boxes), -1)
    for row in range(len(boxes)):
        most = 0.0
        for other in range(row + 1, len(boxes)):
            low = np.maximum(boxes[row, :2], boxes[other, :2])
            shared = np.maximum(np.minimum(boxes[row, 2:], boxes[other, 2:]) - low, 0).prod()
            share = float(shared / max(np.prod(boxes[row, 2:] - boxes[row, :2]), 1e-9))
            visible[row] *= 1 - min(0.8 * share, 1)
            if share > most:
                most, front[row] = share, other
    return visible, front
