"""Keypoint HOTA equals the reference implementation on random sequences."""

import numpy as np
import pytest
from support import paths

from eval.datatypes import POSETRACK_JOINTS, People, Scores, Sequence
from eval.metrics.ignore_regions import without_ignored
from eval.metrics.keypoint_hota import combine_keypoint_hota, keypoint_hota

FRAMES = 9
SQUARE = np.array([(20.0, 20.0), (60.0, 20.0), (60.0, 60.0), (20.0, 60.0)])
BOWTIE = np.array([(10.0, 10.0), (70.0, 70.0), (70.0, 10.0), (10.0, 70.0)])
EVERYTHING = np.array([(-9.0, -9.0), (999.0, -9.0), (999.0, 999.0), (-9.0, 999.0)])


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


def random_side(rng: np.random.Generator, homes: np.ndarray, *, spread: float, presence: float) -> People:
    """Return people near fixed positions; in some frames IDs are shifted by one person."""
    there = (rng.random((FRAMES, len(homes))) < presence) & (rng.random((FRAMES, 1)) < 0.85)
    frames, person = np.nonzero(there)
    names, moved = rng.permutation(40)[: len(homes)], rng.random(FRAMES) < 0.3
    points = homes[person][:, None] + rng.normal(0, spread, (len(frames), POSETRACK_JOINTS, 2))
    points = points.round() if rng.random() < 0.5 else points  # whole pixels: many ties
    points[rng.random(points.shape[:2]) < 0.2] = 0
    return People(
        frames=frames,
        ids=names[(person + moved[frames]) % len(homes)],
        boxes=np.ones((len(frames), 4)),
        scores=np.ones(len(frames)),
        keypoints=points,
        joint_scores=np.ones(points.shape[:2]),
        head_sizes=rng.choice([4.0, 10.0], len(frames)),
        person_ids=np.full(len(frames), -1),
    )


def random_sequence(seed: int) -> Sequence:
    """A few frames with few people, often all at the same place; some unannotated, some with regions."""
    rng = np.random.default_rng(seed)
    people, more = rng.integers(1, 7), rng.integers(0, 2)
    homes = np.full((people + more, 2), 40.0) + rng.choice([0, 1, 1]) * rng.uniform(
        -35, 35, (people + more, 2)
    )
    regions = [
        [region for region in (SQUARE, BOWTIE, EVERYTHING) if rng.random() < 0.1] for _ in range(FRAMES)
    ]
    return Sequence(
        f"seed {seed}",
        rng.random(FRAMES) < 0.8,
        tuple(map(tuple, regions)),
        random_side(rng, homes[:people], spread=0.5, presence=rng.choice([0.5, 0.9])),
        random_side(rng, homes, spread=rng.choice([0, 0.5, 3]), presence=rng.choice([0, 0.5, 0.9, 0.9, 1])),
    )


def assert_same(ours: Scores, reference: Scores):
    for name, values in reference.items():
        np.testing.assert_allclose(ours[name], values, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("seed", range(60))
def test_a_random_sequence(seed: int):
    from timing.reference_evaluation import frames_of, reference_keypoint_hota

    sequence = random_sequence(seed)
    ours = keypoint_hota(without_ignored(sequence))
    assert_same(ours.official, reference_keypoint_hota(frames_of(sequence)))
    assert_same(ours.fixed, reference_keypoint_hota(frames_of(sequence), fixed=True))


def test_random_sequences_combined():
    from timing.reference_evaluation import combine_reference, frames_of, reference_keypoint_hota

    sequences = [random_sequence(seed) for seed in range(60, 90)]
    ours = combine_keypoint_hota([keypoint_hota(without_ignored(sequence)) for sequence in sequences])
    frames = [frames_of(sequence) for sequence in sequences]
    assert_same(ours.official, combine_reference([reference_keypoint_hota(some) for some in frames]))
    assert_same(ours.fixed, combine_reference([reference_keypoint_hota(some, fixed=True) for some in frames]))


def test_the_random_sequences_hold_what_is_hard():
    """Else the tests above could pass for want of a hard case."""
    clean = [without_ignored(random_sequence(seed)) for seed in range(60)]
    in_frame = [
        [
            np.bincount(side.frames, minlength=len(sequence.labelled))
            for side in (sequence.ground_truth, sequence.tracks)
        ]
        for sequence in clean
    ]
    assert any(len(sequence.tracks) == 0 for sequence in clean), "no predictions at all"
    assert any(
        ((ground_truth > 0) & (tracks == 0)).any() and tracks.any() for ground_truth, tracks in in_frame
    )
    assert any(((ground_truth == 0) & (tracks > 0)).any() for ground_truth, tracks in in_frame)
    assert any(((ground_truth == 0) & (tracks == 0)).any() for ground_truth, tracks in in_frame)
    assert any((ground_truth == 1).any() and ground_truth.max() == 1 for ground_truth, _ in in_frame), (
        "one person alone"
    )
    hota = [keypoint_hota(sequence).fixed["HOTA"][:, -1].mean() for sequence in clean]
    assert min(hota) == 0 and max(hota) > 0.3
