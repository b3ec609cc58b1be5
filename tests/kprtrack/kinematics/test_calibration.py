"""Metres in a scene whose camera is known: a pinhole projects people of known size at known places."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.kinematics_cases import BODY_M, Errors, Walker, track_file, walk

pytest.importorskip("scipy")

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.kinematics import Calibration, KinematicsConfig, compute_kinematics
from kprtrack.kinematics.calibration import floor_of, scale_of_height

UNFILTERED = KinematicsConfig(filter="none", outlier_deviation=0.0)
FOCAL_PX, WIDTH, HEIGHT, CAMERA_M = 1500.0, 1920, 1080, 3.0
FLOOR_M = ((-3.0, 8.0), (3.0, 8.0), (4.0, 16.0), (-4.0, 16.0))
ANKLE_M = 0.039 * BODY_M


def project(points: np.ndarray, pitch_deg: float = 0.0) -> np.ndarray:
    """[..., 2] pixels of [..., 3] metres: x right, y away on the floor, z up; the camera at 0, 0, 3 m."""
    pitch = np.radians(pitch_deg)
    forward = np.array([0.0, np.cos(pitch), -np.sin(pitch)])
    down = np.array([0.0, -np.sin(pitch), -np.cos(pitch)])
    relative = points - np.array([0.0, 0.0, CAMERA_M])
    depth = relative @ forward
    return np.stack(
        [
            WIDTH / 2 + FOCAL_PX * relative[..., 0] / depth,
            HEIGHT / 2 - 300 + FOCAL_PX * (relative @ down) / depth,
        ],
        axis=-1,
    )


def floor(pitch_deg: float = 0.0) -> Calibration:
    corners = np.array([[x, y, 0.0] for x, y in FLOOR_M])
    return Calibration(floor_px=tuple(map(tuple, project(corners, pitch_deg).tolist())), floor_m=FLOOR_M)


def walker_in_the_scene(away_m: float, times: np.ndarray) -> np.ndarray:
    """[T, 17, 3] metres of a walker parallel to the image, one foot always on the floor."""
    plane = Walker(pixels_per_metre=1.0, start_x=-2.5, hips_y=0.0).points(times)
    height = -plane[..., 1]
    height += ANKLE_M - height[:, 15:].min(axis=1, keepdims=True)
    return np.stack([plane[..., 0], np.full(plane.shape[:2], away_m), height], axis=-1)


def in_the_scene(away_m: float, pitch_deg: float = 0.0):
    times = np.arange(100) / 50
    metres = walker_in_the_scene(away_m, times)
    keypoints = Errors().apply(project(metres, pitch_deg))
    person = compute_kinematics(track_file({1: keypoints}, times), UNFILTERED, floor(pitch_deg))[0]
    return person, metres


def test_four_floor_points_give_the_homography_of_the_camera() -> None:
    places = np.random.default_rng(0).uniform([-3, 7], [3, 18], (20, 2))
    pixels = project(np.concatenate([places, np.zeros((20, 1))], axis=1), 10.0)
    assert_allclose(floor_of(floor(10.0)).to_metres(pixels), places, atol=1e-4)
    horizon = np.array([[960.0, -1000.0]])
    assert np.isnan(floor_of(floor(10.0)).to_metres(horizon)).all()


def test_more_points_than_four_are_fitted_by_least_squares() -> None:
    rng = np.random.default_rng(1)
    places = np.concatenate([np.array(FLOOR_M), rng.uniform([-4, 7], [4, 18], (30, 2))])
    pixels = project(np.concatenate([places, np.zeros((34, 1))], axis=1), 10.0) + rng.normal(0, 0.5, (34, 2))
    fitted = floor_of(Calibration(floor_px=tuple(map(tuple, pixels)), floor_m=tuple(map(tuple, places))))
    clean = project(np.array([[0.0, 12.0, 0.0]]), 10.0)
    assert_allclose(fitted.to_metres(clean), [[0.0, 12.0]], atol=0.05)


@pytest.mark.parametrize("away_m", [8.0, 12.0, 16.0])
def test_a_walker_seen_by_a_level_camera_has_its_metres_wherever_it_walks(away_m: float) -> None:
    person, metres = in_the_scene(away_m)
    assert_allclose(person.points, metres, atol=0.005)
    assert person.units == "m"
    hips = person.velocities[:, [11, 12], 0].mean(axis=1)
    assert np.mean(hips) == pytest.approx(1.3, rel=0.002)  # the walker's speed
    assert person.floor_m is not None
    assert_allclose(person.floor_m[:, 1], away_m, atol=0.005)


def test_a_camera_that_looks_down_by_10_degrees_costs_a_few_percent() -> None:
    person, metres = in_the_scene(12.0, 10.0)
    assert_allclose(person.points[..., 2], metres[..., 2], rtol=0.05, atol=0.01)
    assert_allclose(person.points[..., :2], metres[..., :2], atol=0.1)


def test_the_height_of_a_person_gives_the_scale_that_the_image_was_made_with() -> None:
    file, _ = walk(Walker(pixels_per_metre=180.0), Errors(noise_px=1.0))
    person = compute_kinematics(file, calibration=Calibration(heights_m={3: BODY_M}))[0]
    speed = person.velocities[50:150, [11, 12], 0].mean()
    assert speed == pytest.approx(1.3, rel=0.02)
    points = Walker(pixels_per_metre=180.0).points(np.arange(10) / 50)
    assert scale_of_height(points, KEYPOINTS, BODY_M) == pytest.approx(1 / 180, rel=1e-3)


def test_people_without_a_height_have_the_scale_of_the_first_given() -> None:
    times = np.arange(50) / 50
    people = {
        1: Errors().apply(Walker(pixels_per_metre=200).points(times)),
        2: Errors().apply(Walker(pixels_per_metre=100).points(times)),
    }
    file = track_file(people, times)

    def shank(person) -> float:
        bone = (
            person.points[:, KEYPOINTS.index("left_knee")] - person.points[:, KEYPOINTS.index("left_ankle")]
        )
        return float(np.linalg.norm(bone, axis=1).mean())

    both = compute_kinematics(file, UNFILTERED, Calibration(heights_m={1: BODY_M, 2: BODY_M}))
    one = compute_kinematics(file, UNFILTERED, Calibration(heights_m={1: BODY_M}))
    assert shank(both[0]) == pytest.approx(0.246 * BODY_M, rel=1e-3)
    assert shank(both[1]) == pytest.approx(0.246 * BODY_M, rel=1e-3)
    assert shank(one[1]) == pytest.approx(0.246 * BODY_M / 2, rel=1e-3)


def test_a_scale_is_applied_from_the_lower_left_corner() -> None:
    file, times = walk()
    person = compute_kinematics(file, UNFILTERED, Calibration(0.004))[0]
    pixels = Walker().points(times)
    assert_allclose(person.points[..., 0], 0.004 * pixels[..., 0], atol=1e-5)
    assert_allclose(person.points[..., 1], 0.004 * (1080 - pixels[..., 1]), atol=1e-5)


SQUARE = ((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metres_per_pixel": 0.0}, "above 0 metres per pixel, not 0"),
        ({"heights_m": {3: 182}}, r"height of person 3 must be from 0.4 to 2.8 metres, not 182"),
        ({"heights_m": {3: float("nan")}}, "not nan"),
        ({"metres_per_pixel": 1.0, "heights_m": {3: 1.8}}, "not several"),
        ({"floor_px": SQUARE[:3], "floor_m": SQUARE[:3]}, "needs 4 points or more; there are 3"),
        ({"floor_px": SQUARE, "floor_m": SQUARE[:3]}, "4 floor points in pixels and 3 in metres"),
        (
            {"floor_px": ((0, 0), (1, 1), (2, 2), (5, 0)), "floor_m": SQUARE},
            "first four floor points in pixels are on a line",
        ),
    ],
)
def test_what_cannot_be_is_one_line(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        Calibration(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_floor_points_in_crossed_order_are_no_camera() -> None:
    crossed = Calibration(floor_px=SQUARE, floor_m=(SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]))
    with pytest.raises(UserError, match="in the same order"):
        floor_of(crossed)


def test_a_height_needs_the_person_and_its_legs() -> None:
    file, times = walk()
    with pytest.raises(UserError, match=r"no person 9 of known height among 3\."):
        compute_kinematics(file, calibration=Calibration(heights_m={9: 1.8}))
    keypoints = Errors().apply(Walker().points(times))
    keypoints[:, 15:] = 0
    with pytest.raises(InputError, match="needs left_ankle and right_ankle and knee, which are known in no"):
        compute_kinematics(track_file({3: keypoints}, times), calibration=Calibration(heights_m={3: 1.8}))
