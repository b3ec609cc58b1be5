"""The Kalman filter against ByteTrack's own numbers and for times between frames."""

import gzip
import json

import numpy as np
import pytest
from support import paths

from kprtrack.trackers.motion import BoxMotion

GOLDEN = paths.GOLDEN
OFFICIAL = json.loads(gzip.decompress((GOLDEN / "bytetrack_units.json.gz").read_bytes()))["kalman"]


def box(x: float, y: float, aspect: float, height: float) -> np.ndarray:
    """[1, 4] x1 y1 x2 y2 of the official centre, width / height and height."""
    return np.array([[x - aspect * height / 2, y - height / 2, x + aspect * height / 2, y + height / 2]])


def walkers(count: int = 3) -> BoxMotion:
    """Tracks with a velocity: each was updated twice, a step apart."""
    motion = BoxMotion()
    motion.add(np.concatenate([box(100.0 * i, 50, 0.4, 80 + i) for i in range(count)]))
    motion.predict()
    motion.update(
        np.arange(count), np.concatenate([box(100.0 * i + 4, 51, 0.4, 81 + i) for i in range(count)])
    )
    motion.hold_height(np.arange(count))
    return motion


def full_covariance(motion: BoxMotion) -> np.ndarray:
    """[8, 8] of the only track, in the official order."""
    value, shared, velocity = motion.covariances[0].T
    return np.block([[np.diag(value), np.diag(shared)], [np.diag(shared), np.diag(velocity)]])


@pytest.mark.parametrize("steps", OFFICIAL)
def test_every_step_equals_the_official_filter(steps: list[dict]) -> None:
    motion = BoxMotion()
    for step in steps:
        match step["op"]:
            case "initiate":
                motion.add(box(*step["z"]))
            case "predict":
                motion.predict()
            case "update":
                motion.update(np.array([0]), box(*step["z"]))
            case _:
                continue
        np.testing.assert_allclose(motion.means[0].T.ravel(), step["mean"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(full_covariance(motion), step["cov"], rtol=0, atol=1e-9)


def test_a_new_track_is_at_its_detection() -> None:
    motion = BoxMotion()
    detected = np.array([[10, 20, 50, 120], [300, 40, 340.5, 90]], np.float32)
    motion.add(detected)
    np.testing.assert_allclose(motion.boxes, detected, rtol=0, atol=1e-9)
    assert len(motion) == 2


def test_a_moving_track_keeps_its_velocity() -> None:
    motion = walkers(1)
    before = motion.boxes[0]
    motion.predict(10)
    assert motion.boxes[0, 0] - before[0] > 5


@pytest.mark.parametrize("parts", [(1, 1, 1, 1), (2.5, 1.5), (0.25, 3.75), (4, 0)])
def test_the_same_time_in_other_steps_is_the_same_prediction(parts: tuple[float, ...]) -> None:
    whole, stepped = walkers(), walkers()
    whole.predict(4)
    for frames in parts:
        stepped.predict(frames)
    np.testing.assert_allclose(stepped.means, whole.means, rtol=1e-12)
    np.testing.assert_allclose(stepped.covariances, whole.covariances, rtol=1e-12)


@pytest.mark.parametrize("frames", [0.01, 0.3, 0.5, 0.7, 0.99, 7.3])
def test_uncertainty_grows_and_stays_a_covariance(frames: float) -> None:
    motion = walkers()
    before = motion.covariances
    motion.predict(frames)
    value, shared, velocity = np.moveaxis(motion.covariances, 2, 0)
    assert (value > before[:, :, 0]).all()
    assert (velocity > before[:, :, 2]).all()
    assert (value * velocity > shared**2).all()


@pytest.mark.parametrize("rows", [np.array([2]), np.array([False, False, True])])
def test_only_the_given_rows_are_predicted(rows: np.ndarray) -> None:
    motion, all_tracks, before = walkers(), walkers(), walkers()
    motion.predict(rows=rows)
    all_tracks.predict()
    assert (motion.means[2] == all_tracks.means[2]).all()
    assert (motion.covariances[2] == all_tracks.covariances[2]).all()
    assert (motion.means[:2] == before.means[:2]).all()
    assert (motion.covariances[:2] == before.covariances[:2]).all()


def test_an_update_moves_its_own_track_only() -> None:
    motion, before = walkers(), walkers()
    motion.update(np.array([1]), box(130, 60, 0.4, 85))
    changed = (motion.means != before.means).any((1, 2))
    assert changed.tolist() == [False, True, False]


def test_tracks_updated_together_equal_tracks_updated_alone() -> None:
    detected = np.concatenate((box(210, 50, 0.5, 90), box(7, 55, 0.4, 82)))
    together, alone = walkers(), walkers()
    together.update(np.array([2, 0]), detected)
    alone.update(np.array([0]), detected[1:])
    alone.update(np.array([2]), detected[:1])
    assert (together.means == alone.means).all()
    assert (together.covariances == alone.covariances).all()


def test_a_lost_track_keeps_its_height() -> None:
    motion = BoxMotion()
    motion.add(box(0, 0, 0.4, 80))
    motion.predict()
    motion.update(np.array([0]), box(0, 0, 0.4, 90))
    motion.hold_height(np.array([True]))
    before = np.diff(motion.boxes[:, 1::2])
    motion.predict(30)
    np.testing.assert_allclose(np.diff(motion.boxes[:, 1::2]), before)


def test_kept_tracks_take_the_given_order() -> None:
    motion = walkers()
    before = motion.boxes
    motion.keep(np.array([2, 0]))
    assert (motion.boxes == before[[2, 0]]).all()
    motion.keep(np.array([False, True]))
    assert (motion.boxes == before[[0]]).all()


def test_no_tracks_can_be_predicted_updated_and_kept() -> None:
    motion = BoxMotion()
    motion.add(np.zeros((0, 4), np.float32))
    motion.predict(3)
    motion.update(np.zeros(0, int), np.zeros((0, 4)))
    motion.keep(np.zeros(0, bool))
    assert motion.boxes.shape == (0, 4)


def test_returned_arrays_are_copies() -> None:
    motion = walkers()
    motion.means[:] = 0
    motion.covariances[:] = 0
    assert motion.means.any()
    assert motion.covariances.any()
