"""PoseTrack21-like sequences with the official kit's AP: the annotated frames of ../shared/fixtures/eval."""

import gzip
import json

import numpy as np

from eval.datatypes import People, Sequence
from support import paths

GOLDEN = paths.GOLDEN / "eval_ap.json.gz"


def golden_cases() -> dict[str, dict]:
    """Return the cases by name: sequences (regions, rows of both sides) and the numbers of the kit."""
    return json.loads(gzip.decompress(GOLDEN.read_bytes()))


def sequence_of(case: dict, name: str, tracker: str) -> Sequence:
    """Return one sequence; rows are frame, 17 x y, then head box sides (ground truth) or 17 scores."""
    found = case["sequences"][name]
    regions = tuple(tuple(np.array(polygon, float) for polygon in frame) for frame in found["regions"])
    ground_truth, tracks = (np.array(rows, float) for rows in (found["truth"], found["tracks"][tracker]))
    return Sequence(
        name,
        np.ones(len(regions), bool),
        regions,
        people(ground_truth[:, 0], ground_truth[:, 1:35], heads=0.6 * np.hypot(*ground_truth[:, 35:].T)),
        people(*np.split(tracks.reshape(-1, 52), [1, 35], axis=1)),
    )


def people(
    frames: np.ndarray, points: np.ndarray, scores: np.ndarray | None = None, heads: np.ndarray | None = None
) -> People:
    """Return people from the data that AP uses; the rest is arbitrary."""
    count = len(frames)
    return People(
        frames=np.reshape(frames, count).astype(np.int64),
        ids=np.arange(count),
        boxes=np.ones((count, 4)),
        scores=np.ones(count),
        keypoints=np.reshape(points, (count, 17, 2)).astype(float),
        joint_scores=np.full((count, 17), -9999.0) if scores is None else np.reshape(scores, (count, 17)),
        head_sizes=np.full(count, np.nan) if heads is None else heads,
        person_ids=np.full(count, -1),
    )
