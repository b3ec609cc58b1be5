"""Gaps, outliers and exchanged sides, put into trajectories that are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.kinematics_cases import Errors, Walker

pytest.importorskip("scipy")
from scipy.interpolate import Akima1DInterpolator

from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.kinematics import KinematicsConfig
from kprtrack.kinematics.gaps import fill_gaps
from kprtrack.kinematics.outliers import find_outliers
from kprtrack.kinematics.person import clean_points, derivative, trunk_length
from kprtrack.kinematics.swaps import exchange, find_swaps

FPS = 50
TIMES = np.arange(200) / FPS
POINTS = Walker().points(TIMES)
ANKLE = KEYPOINTS.index("left_ankle")
BODY_PX = 0.288 * 1.8 * 250


def test_the_trunk_has_the_length_that_the_walker_was_made_with() -> None:
    assert trunk_length(POINTS, KEYPOINTS) == pytest.approx(BODY_PX, rel=0.02)


def test_without_shoulders_the_trunk_is_a_part_of_the_figure() -> None:
    points = POINTS.copy()
    points[:, [KEYPOINTS.index(f"{side}_shoulder") for side in ("left", "right")]] = np.nan
    assert trunk_length(points, KEYPOINTS) == pytest.approx(BODY_PX, rel=0.3)


# --- Gaps


def test_gaps_up_to_the_limit_are_filled_and_longer_ones_are_not() -> None:
    points = POINTS.copy()
    points[50:59, ANKLE] = np.nan  # 0.2 s from 49 to 59
    points[100:110, ANKLE] = np.nan  # 0.22 s
    filled = fill_gaps(points, TIMES, 0.2)
    assert np.isfinite(filled[50:59, ANKLE]).all()
    assert np.isnan(filled[100:110, ANKLE]).all()
    assert_allclose(filled[50:59, ANKLE], POINTS[50:59, ANKLE], atol=10)  # of a swing of 200 pixels
    others = np.delete(np.arange(17), ANKLE)
    assert_allclose(filled[:, others], points[:, others])


def test_gaps_are_filled_by_the_modified_akima_interpolation() -> None:
    points = POINTS.copy()
    points[50:55, ANKLE] = np.nan
    known = np.isfinite(points[:, ANKLE, 0])
    wanted = Akima1DInterpolator(TIMES[known], POINTS[known, ANKLE], method="makima")(TIMES)
    assert_allclose(fill_gaps(points, TIMES, 0.2)[:, ANKLE], wanted)


def test_the_limit_counts_seconds_where_the_frame_rate_varies() -> None:
    times = np.array([0, 0.02, 0.04, 0.06, 0.36, 0.66, 0.68, 0.70, 0.72, 0.74])
    points = np.arange(10.0).reshape(10, 1, 1).copy()
    points[[4, 8]] = np.nan
    filled = fill_gaps(points, times, 0.2)
    assert np.isnan(filled[4]).all()
    assert filled[8].item() == pytest.approx(8.0, abs=0.2)


def test_nothing_is_added_at_the_ends() -> None:
    points = np.full((10, 1, 2), np.nan)
    points[3:6] = 1.0
    assert_allclose(np.isfinite(fill_gaps(points, np.arange(10) / 25, 1.0)[:, 0, 0]).nonzero()[0], [3, 4, 5])


# --- Outliers


@pytest.mark.parametrize("noise_px", [0.0, 2.0, 4.0])
def test_jumps_are_found_and_the_fastest_swing_is_not_one(noise_px: float) -> None:
    jumps = {"left_ankle": (30, 31, 90), "right_wrist": (60,)}
    keypoints = Errors(noise_px=noise_px, jumps=jumps, seed=2).apply(POINTS)[..., :2]
    found = find_outliers(keypoints, TIMES, BODY_PX, 5.0, 0.2)
    wanted = np.zeros_like(found)
    for name, frames in jumps.items():
        wanted[list(frames), KEYPOINTS.index(name)] = True
    assert (found == wanted).all()


def test_no_deviation_keeps_all_and_short_series_are_kept() -> None:
    keypoints = Errors(jumps={"left_ankle": (3,)}).apply(POINTS)[..., :2]
    assert not find_outliers(keypoints, TIMES, BODY_PX, 0.0, 0.2).any()
    assert not find_outliers(keypoints[:5], TIMES[:5], BODY_PX, 5.0, 0.2).any()


def test_low_confidence_is_removed_and_filled() -> None:
    keypoints = Errors(unsure={"left_ankle": range(70, 75)}).apply(POINTS)
    clean = clean_points(keypoints, KEYPOINTS, TIMES, KinematicsConfig(filter="none"))
    assert np.flatnonzero(clean.filled[:, ANKLE]).tolist() == [70, 71, 72, 73, 74]
    assert not clean.removed.any()
    assert_allclose(clean.points[:, ANKLE], POINTS[:, ANKLE], atol=4)


# --- Left and right


@pytest.mark.parametrize("noise_px", [0.0, 2.0, 5.0])
@pytest.mark.parametrize("fps", [15, 30, 60])
@pytest.mark.parametrize("direction", [1, -1])
def test_exchanged_legs_are_found_frame_by_frame(noise_px: float, fps: int, direction: int) -> None:
    times = np.arange(4 * fps) / fps
    points = Walker(direction).points(times)
    swaps = (5, *range(fps, fps + fps // 4), 3 * fps)
    keypoints = Errors(noise_px=noise_px, swaps=swaps, seed=4).apply(points)[..., :2]
    found = find_swaps(keypoints, KEYPOINTS, times, BODY_PX)
    apart = np.linalg.norm(points[:, ANKLE] - points[:, ANKLE + 1], axis=1) > 0.3 * BODY_PX
    wanted = np.isin(np.arange(len(times)), swaps)
    assert (found["legs"] == wanted)[apart].all()  # where legs cross, both labels are as good
    assert not found["arms"].any() and not found["trunk"].any()


@pytest.mark.parametrize("fps", [10, 15, 25, 50, 100])
def test_crossing_limbs_keep_their_labels(fps: int) -> None:
    times = np.arange(4 * fps) / fps
    for noise_px in (0.0, 3.0):
        keypoints = Errors(noise_px=noise_px, seed=5).apply(Walker().points(times))[..., :2]
        assert not any(frames.any() for frames in find_swaps(keypoints, KEYPOINTS, times, BODY_PX).values())


def test_an_exchange_of_a_chain_is_undone_by_exchanging_it() -> None:
    swaps = (40, 41, 42)
    keypoints = Errors(swaps=swaps).apply(POINTS)[..., :2]
    swapped = {chain: np.zeros(200, bool) for chain in ("legs", "arms", "trunk")}
    swapped["legs"][list(swaps)] = True
    assert_allclose(exchange(keypoints, KEYPOINTS, swapped), POINTS)


def test_swaps_can_be_marked_or_ignored() -> None:
    keypoints = Errors(swaps=tuple(range(40, 50))).apply(POINTS)
    config = {"filter": "none", "outlier_deviation": 0.0}
    marked = clean_points(keypoints, KEYPOINTS, TIMES, KinematicsConfig(swaps="mark", **config))
    ignored = clean_points(keypoints, KEYPOINTS, TIMES, KinematicsConfig(swaps="off", **config))
    fixed = clean_points(keypoints, KEYPOINTS, TIMES, KinematicsConfig(**config))
    assert np.flatnonzero(marked.swapped["legs"]).tolist() == list(range(40, 50))
    assert ignored.swapped == {}
    assert_allclose(marked.points, keypoints[..., :2])
    assert_allclose(ignored.points, keypoints[..., :2])
    assert_allclose(fixed.points, POINTS, atol=1e-9)


# --- Velocities


def test_velocities_of_a_sine_with_uneven_steps_are_its_derivative() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.008, 0.012, 300))
    rate = derivative(np.sin(5 * times)[:, None], times)[:, 0]
    assert_allclose(rate, 5 * np.cos(5 * times), atol=0.02)


def test_velocities_of_a_parabola_are_exact_also_at_both_ends_and_stop_at_gaps() -> None:
    values = (3 * TIMES**2)[:, None].copy()
    values[50] = np.nan
    rate = derivative(values, TIMES)[:, 0]
    assert np.flatnonzero(np.isnan(rate)).tolist() == [50]
    known = np.isfinite(rate)
    assert_allclose(rate[known], 6 * TIMES[known], atol=1e-9)
