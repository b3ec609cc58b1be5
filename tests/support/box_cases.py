"""Sequences with boxes for tests: those of the stored reference cases, and hand-made ones."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from eval.datatypes import People, Scores, Sequence
from support import paths

GOLDEN = paths.GOLDEN
MOT15 = paths.SHARED / "fixtures" / "eval" / "mot15_real"


def golden_case(case: str) -> dict[str, Any]:
    """Boxes, ignored regions and reference numbers: "basic", or the name of a case of one sequence."""
    name = "basic" if case == "basic" else "quirks"
    stored = json.loads(gzip.decompress((GOLDEN / f"eval_box_{name}.json.gz").read_bytes()))
    return stored if case == "basic" else stored[case]


def golden_sequences(case: Mapping[str, Any], tracker: str) -> dict[str, Sequence]:
    """The sequences of a golden case with the boxes of one tracker."""
    return {
        name: Sequence(
            name,
            np.ones(len(stored["regions"]), bool),
            tuple(tuple(np.array(polygon, float) for polygon in frame) for frame in stored["regions"]),
            people(stored["truth"]),
            people(stored["tracks"][tracker]),
        )
        for name, stored in case["sequences"].items()
    }


def people(rows: list) -> People:
    """Rows of frame (from 0), id, x, y, w, h; frames rising."""
    table = np.asarray(rows, np.float64).reshape(-1, 6)
    count = len(table)
    return People(
        frames=table[:, 0].astype(np.int64),
        ids=table[:, 1].astype(np.int64),
        boxes=table[:, 2:],
        scores=np.ones(count),
        keypoints=np.zeros((count, 17, 2)),
        joint_scores=np.full((count, 17), -9999.0),
        head_sizes=np.full(count, np.nan),
        person_ids=np.full(count, -1),
    )


def sequence(ground_truth: list, tracks: list, frame_count: int, *, region: list | None = None) -> Sequence:
    """A hand-made sequence; `region` is an ignored polygon of all frames."""
    polygons = () if region is None else (np.array(region, float),)
    return Sequence(
        "a", np.ones(frame_count, bool), (polygons,) * frame_count, people(ground_truth), people(tracks)
    )


def still(*ids: int, x: float = 0) -> list:
    """Return one standing person, given by the ID in each frame; 0 if absent."""
    return [(frame, person, x, 0, 10, 20) for frame, person in enumerate(ids) if person]


def random_sequence(seed: int, *, step: float = 0) -> Sequence:
    """Return random people and tracks; boxes on a grid of `step` pixels have many ties."""
    rng = np.random.default_rng(seed)
    frame_count, count = int(rng.integers(1, 15)), int(rng.integers(1, 12))
    homes = rng.uniform(0, 60, (count, 2))

    def side(change: int) -> list:
        rows = []
        for frame in range(frame_count):
            for person in np.flatnonzero(rng.random(count) < rng.choice([0, 0.5, 0.9, 1])):
                box = np.concatenate((homes[person] + rng.normal(0, 4, 2), rng.normal(20, 2, 2)))
                box = np.round(box / step) * step if step else box
                rows.append((frame, person + change * rng.integers(0, 2), *box))
        return rows

    return sequence(side(0), side(100), frame_count)


def assert_equal(scores: Scores, expected: Mapping[str, Any], tolerance: float = 1e-9) -> None:
    """Every expected field is there; counts are exact, null is not finite. OWTA is our RHOTA."""
    for field, value in expected.items():
        ours = scores["RHOTA" if field == "OWTA" else field]
        if value is None:
            assert not np.isfinite(ours), field
            continue
        numbers = np.asarray(value, float)
        exact = (numbers == numbers.round()).all()
        np.testing.assert_allclose(ours, numbers, rtol=0, atol=1e-12 if exact else tolerance, err_msg=field)
