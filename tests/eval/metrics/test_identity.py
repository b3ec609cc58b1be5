"""IDF1 equals TrackEval's own class, also where identities fall into many groups; crowds fit into memory."""

import numpy as np
import pytest

from eval.datatypes import People, Sequence
from eval.metrics.boxes import person_scores
from eval.metrics.identity import identity_scores
from eval.metrics.similarity import Similarities, box_similarities, pose_similarities
from eval.metrics.timeline import timeline


def people(frames: np.ndarray, ids: np.ndarray, boxes: np.ndarray) -> People:
    order, count = np.argsort(frames, kind="stable"), len(frames)
    return People(
        frames=frames[order],
        ids=ids[order],
        boxes=boxes[order].astype(float),
        scores=np.ones(count),
        keypoints=np.tile(boxes[order][:, None, :2] + 1.0, (1, 17, 1)),
        joint_scores=np.ones((count, 17)),
        head_sizes=np.full(count, np.nan),
        person_ids=np.full(count, -1),
    )


def sequence(ground_truth: People, tracks: People, frames: int) -> Sequence:
    return Sequence("a", np.ones(frames, bool), ((),) * frames, ground_truth, tracks)


def drawn(rng: np.random.Generator, frames: int, count: int) -> Sequence:
    """People at fixed places, some missing, and tracks whose IDs change and jump to neighbours."""
    sides = []
    for jumps in (False, True):
        frame, person = (each.ravel() for each in np.mgrid[:frames, :count])
        seen = rng.random(frames * count) < 0.8
        place = np.clip(person + (rng.integers(-1, 2, len(person)) if jumps else 0), 0, count - 1)
        ids = person * 10 + frame // 7 if jumps else person
        boxes = np.stack([place * 6.0, frame * 0.0, 0 * frame + 10.0, 0 * frame + 20.0], axis=1)
        sides.append(people(frame[seen], ids[seen], boxes[seen]))
    return sequence(*sides, frames)


def of_trackeval(pairs: Similarities) -> dict[str, float]:
    from trackeval.metrics import Identity

    frames = range(pairs.frame_count)
    return Identity({"THRESHOLD": 0.5, "PRINT_CONFIG": False}).eval_sequence(
        {
            "num_timesteps": pairs.frame_count,
            "num_gt_ids": int(pairs.gt_ids.max(initial=-1)) + 1,
            "num_tracker_ids": int(pairs.track_ids.max(initial=-1)) + 1,
            "num_gt_dets": len(pairs.gt_ids),
            "num_tracker_dets": len(pairs.track_ids),
            "gt_ids": [pairs.gt_in(frame) for frame in frames],
            "tracker_ids": [pairs.tracks_in(frame) for frame in frames],
            "similarity_scores": [pairs.matrix(frame) for frame in frames],
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_identity_is_that_of_trackeval(seed: int) -> None:
    pairs = box_similarities(drawn(np.random.default_rng(seed), frames=20, count=12))
    expected = of_trackeval(pairs)
    assert 0 < expected["IDTP"] < len(pairs.gt_ids)
    assert identity_scores(pairs) == pytest.approx({name: expected[name] for name in expected})


@pytest.mark.parametrize("empty", [(True, False), (False, True), (True, True)])
def test_identity_without_people_on_a_side_is_that_of_trackeval(empty: tuple[bool, bool]) -> None:
    whole = drawn(np.random.default_rng(0), frames=5, count=3)
    rows = [
        side.at(np.arange(0 if none else len(side)))
        for side, none in zip((whole.ground_truth, whole.tracks), empty, strict=True)
    ]
    pairs = box_similarities(sequence(*rows, 5))
    assert identity_scores(pairs) == pytest.approx(of_trackeval(pairs))


@pytest.mark.slow
def test_many_identities_need_no_matrix_of_all() -> None:
    # Each person and each track is in one frame: TrackEval's matrix would have 4 x 10^8 numbers.
    frames = np.arange(10_000)
    boxes = np.tile([0, 0, 10, 20], (len(frames), 1))
    one = people(frames, frames, boxes)
    scores = person_scores(
        box_similarities(sequence(one, one, len(frames))), "box", only=frozenset(("box_hota", "box_identity"))
    )
    assert scores["box_identity"]["IDF1"] == 1
    assert np.all(np.asarray(scores["box_hota"]["HOTA"]) == 1)
    assert timeline(sequence(one, one, len(frames))) is None


def test_the_oks_of_a_crowded_frame_is_that_of_its_parts() -> None:
    rng = np.random.default_rng(0)
    count = 300  # 90,000 pairs are more than one block
    boxes = np.hstack([rng.uniform(0, 300, (count, 2)), np.full((count, 2), 40.0)])
    ids = np.arange(count)
    crowd = people(np.zeros(count, np.int64), ids, boxes)
    whole = pose_similarities(sequence(crowd, crowd, 1)).matrix(0)
    few = sequence(crowd.at(ids[200:210]), crowd.at(ids[:150]), 1)
    np.testing.assert_allclose(pose_similarities(few).matrix(0), whole[200:210, :150], rtol=1e-5, atol=1e-12)
    assert np.all(np.diag(whole) == 1)
