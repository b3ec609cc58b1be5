"""Synthetic walkers with noise, gaps, outliers and exchanged legs: errors of angles in degrees.

The measured figures are in docs/reference/kinematics.md 5.
"""

from pathlib import Path

import numpy as np
import pytest
from support.kinematics_cases import Errors, Walker, track_file, walk, write_tracks

pytest.importorskip("scipy")

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.core.skeletons import SKELETONS
from kprtrack.io import read_tracks
from kprtrack.kinematics import KinematicsConfig, PersonKinematics, compute_kinematics
from kprtrack.selection import PeopleSelection

RAW = KinematicsConfig(filter="none", swaps="off", outlier_deviation=0.0, max_gap_s=0.0, min_confidence=0.05)
SPOILED = Errors(
    noise_px=2.0,
    gaps={"right_knee": range(60, 66), "left_wrist": range(120, 125)},
    jumps={"left_ankle": (25, 90, 91), "right_elbow": (70,), "left_hip": (140,)},
    swaps=(*range(40, 50), 110),
    unsure={"right_ankle": range(150, 155)},
    seed=1,
)


def error_deg(person: PersonKinematics, walker: Walker, name: str) -> float:
    """Root mean square over the frames in which the angle is known."""
    wanted = walker.angles(person.times)[name]
    return float(np.sqrt(np.nanmean((person.column(name) - wanted) ** 2)))


def test_the_angles_of_clean_keypoints_are_exact_without_a_filter() -> None:
    file, _ = walk()
    person = compute_kinematics(file, KinematicsConfig(filter="none"))[0]
    for name in Walker().angles(person.times):
        assert error_deg(person, Walker(), name) < 0.01, name  # float32 of the file


@pytest.mark.parametrize(
    ("filter", "limit"), [("butterworth", 0.1), ("kalman", 0.1), ("savitzky-golay", 0.4)]
)
def test_filters_hardly_change_the_angles_of_clean_keypoints(filter: str, limit: float) -> None:
    file, _ = walk()
    person = compute_kinematics(file, KinematicsConfig(filter=filter))[0]
    inner = slice(15, -15)
    for name, wanted in Walker().angles(person.times).items():
        assert np.abs(person.column(name) - wanted)[inner].max() < limit, name


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("filter", ["butterworth", "kalman", "savitzky-golay"])
def test_spoiled_keypoints_give_angles_near_the_known_ones(filter: str, direction: int) -> None:
    walker = Walker(direction=direction, phase=0.1)
    file, _ = walk(walker, SPOILED)
    raw = compute_kinematics(file, RAW)[0]
    person = compute_kinematics(file, KinematicsConfig(filter=filter))[0]
    limits = {"knee": 1.8, "hip": 1.5, "shoulder": 1.8, "elbow": 2.6}
    for joint, limit in limits.items():
        for side in ("left", "right"):
            name = f"{side}_{joint}"
            assert error_deg(person, walker, name) < limit, name
    assert error_deg(person, walker, "trunk") < 0.7
    for name in ("left_knee", "right_knee", "left_hip"):
        assert error_deg(person, walker, name) < error_deg(raw, walker, name) / 3, name


def test_every_gap_outlier_and_exchange_is_reported_where_it_is() -> None:
    file, _ = walk(Walker(phase=0.1), SPOILED)
    clean = compute_kinematics(file)[0].clean
    for name, frames in SPOILED.jumps.items():
        assert np.flatnonzero(clean.removed[:, KEYPOINTS.index(name)]).tolist() == list(frames)
    assert np.flatnonzero(clean.swapped["legs"]).tolist() == list(SPOILED.swaps)
    for name, frames in (*SPOILED.gaps.items(), *SPOILED.unsure.items()):
        assert clean.filled[list(frames), KEYPOINTS.index(name)].all()
    assert set(np.unique(clean.facing)) == {1}


def test_angular_velocities_are_the_derivatives_of_the_known_angles() -> None:
    file, times = walk()
    person = compute_kinematics(file)[0]
    wanted = np.gradient(Walker().angles(times)["left_knee"], times)
    column = [angle.name for angle in person.angles].index("left_knee")
    assert (
        np.abs(person.angular_velocities[:, column] - wanted)[10:-10].max() < 5
    )  # of 160 degrees per second


def test_a_shoulder_that_turns_past_180_degrees_has_no_jump_in_its_velocity() -> None:
    times = np.arange(100) / 50
    points = Walker().points(times)
    turn = np.radians(90 + 2 * 90 * times)  # half a turn per second
    shoulder = points[:, KEYPOINTS.index("left_shoulder")]
    arm = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    points[:, KEYPOINTS.index("left_elbow")] = shoulder + 60 * arm
    points[:, KEYPOINTS.index("left_wrist")] = shoulder + 120 * arm
    config = KinematicsConfig(filter="none", swaps="off", facing="right")
    person = compute_kinematics(track_file({1: Errors().apply(points)}, times), config)[0]
    column = [angle.name for angle in person.angles].index("left_arm")
    assert np.abs(np.diff(person.degrees[:, column])).max() > 300
    assert np.abs(person.angular_velocities[:, column] + 180).max() < 1e-2


def test_times_decide_where_the_frame_rate_varies() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.choice([0.02, 0.03, 0.04], 150))
    keypoints = Errors(noise_px=1.0).apply(Walker().points(times))
    person = compute_kinematics(track_file({1: keypoints}, times, fps=33.0))[0]
    np.testing.assert_allclose(person.times, times, atol=1e-6)
    assert error_deg(person, Walker(), "left_knee") < 1.2


def test_frames_that_are_missing_in_the_file_are_gaps() -> None:
    file, _ = walk()
    kept = [tracks for tracks in file.frames if not 60 <= tracks.frame_number < 64]
    person = compute_kinematics(type(file)(file.header, kept, True))[0]
    assert person.numbers.tolist() == list(range(200))
    assert person.clean.filled[60:64].all()
    assert error_deg(person, Walker(), "left_knee") < 0.4


def test_feet_of_halpe_have_an_ankle_angle_and_are_exchanged_with_the_legs(tmp_path: Path) -> None:
    halpe = SKELETONS["halpe26"]
    times = np.arange(100) / 50
    points = np.concatenate([Walker().points(times), np.zeros((100, 9, 2))], axis=1)
    wanted = {}
    for side, size in (("left", 8.0), ("right", -5.0)):
        wanted[side] = size * np.sin(7 * times)  # dorsiflexion
        knee, ankle = (points[:, halpe.names.index(f"{side}_{name}")] for name in ("knee", "ankle"))
        shank = np.arctan2(knee[:, 1] - ankle[:, 1], ankle[:, 0] - knee[:, 0])  # y up
        foot = shank + np.radians(90 + wanted[side])
        toes = 40 * np.stack([np.cos(foot), -np.sin(foot)], axis=1)
        points[:, halpe.names.index(f"{side}_heel")] = ankle - 0.3 * toes
        points[:, halpe.names.index(f"{side}_big_toe")] = ankle + 0.7 * toes
    keypoints = np.concatenate([points, np.full((100, 26, 1), 0.9)], axis=2)
    for frame in range(30, 36):
        for part in ("knee", "ankle", "heel", "big_toe"):
            rows = [halpe.names.index(f"{side}_{part}") for side in ("left", "right")]
            keypoints[frame, rows] = keypoints[frame, rows[::-1]]
    keypoints[:, [17, 18, 19, 22, 23]] = 0  # head, neck, hip and small toes are not found
    file = read_tracks(write_tracks(tmp_path, track_file({1: keypoints}, times, skeleton=halpe)))
    person = compute_kinematics(file, KinematicsConfig(filter="none"))[0]
    assert np.flatnonzero(person.clean.swapped["legs"]).tolist() == list(range(30, 36))
    for side, degrees in wanted.items():
        np.testing.assert_allclose(person.column(f"{side}_ankle"), degrees, atol=0.05)


def test_chosen_people_alone_and_those_of_few_frames_left_out() -> None:
    times = np.arange(50) / 50
    here = Errors().apply(Walker().points(times))
    short = here.copy()
    short[4:] = 0
    file = track_file({1: here, 2: short, 5: here}, times)
    assert [person.track_id for person in compute_kinematics(file)] == [1, 5]
    only = PeopleSelection(only=(5,))
    assert [person.track_id for person in compute_kinematics(file, people=only)] == [5]
    with pytest.raises(InputError, match=r"Person 2 of .* has keypoints .* in fewer than 5 frames"):
        compute_kinematics(file, people=PeopleSelection(only=(2,)))
    with pytest.raises(UserError, match="There is no person 9"):
        compute_kinematics(file, people=PeopleSelection(only=(9,)))


def test_one_frame_and_unsure_people_are_too_little() -> None:
    file, _ = walk()
    with pytest.raises(InputError, match=r"All people of .* in fewer than 5 frames"):
        compute_kinematics(type(file)(file.header, file.frames[:1], True))
    with pytest.raises(InputError, match=r"confidence of 0\.95"):
        compute_kinematics(file, KinematicsConfig(min_confidence=0.95))


def test_a_person_without_limbs_has_no_angles() -> None:
    _, times = walk()
    keypoints = Errors().apply(Walker().points(times))
    keypoints[:, 5:] = 0
    with pytest.raises(InputError, match="No angle can be measured"):
        compute_kinematics(track_file({3: keypoints}, times))


@pytest.mark.parametrize("filter", ["butterworth", "kalman"])
def test_a_cut_off_above_half_the_frame_rate_is_an_error(filter: str) -> None:
    file, _ = walk(fps=10.0)
    with pytest.raises(UserError, match=r"cut-off of 6 Hz needs more than 12 frames a second; .* have 10\."):
        compute_kinematics(file, KinematicsConfig(filter=filter))


def test_times_that_do_not_increase_are_an_error() -> None:
    times = np.array([0.0, 0.02, 0.04, 0.04, 0.06, 0.08, 0.1])
    keypoints = Errors().apply(Walker().points(np.arange(7) / 50))
    with pytest.raises(InputError, match=r"0\.04 s follows 0\.04 s"):
        compute_kinematics(track_file({1: keypoints}, times))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_confidence": 1.5}, "min_confidence must be from 0 to 1, not 1.5"),
        ({"cutoff_hz": 0.0}, "cutoff_hz must be above 0, not 0"),
        ({"cutoff_hz": float("nan")}, "cutoff_hz must be above 0, not nan"),
        ({"order": 3}, "order must be 2, 4, 6 or 8, not 3"),
        ({"max_gap_s": -1.0}, "max_gap_s must be from 0 to 60 seconds, not -1"),
        ({"filter": "butter"}, "Unknown filter 'butter'. Did you mean 'butterworth'"),
        ({"facing": "up"}, "Unknown facing 'up'"),
        ({"swaps": "none"}, "Unknown swaps 'none'"),
    ],
)
def test_settings_out_of_range_are_errors(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        KinematicsConfig(**settings)  # type: ignore[arg-type]
