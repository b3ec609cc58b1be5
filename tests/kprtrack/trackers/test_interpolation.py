"""Boxes and keypoints of tracks in frames without a detection of them."""

from dataclasses import replace

import numpy as np
import pytest
from support.scenes import WIDTH, Actor, Film, film, random_embeddings, run_tracker, walk

from kprtrack.core.datatypes import Observation, Tracks
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

EMBEDDINGS = random_embeddings(4)
FPS = 10


def without(scene: Film, actor: int, frames: range) -> Film:
    """The scene without the detections of an actor in some frames."""

    def kept(number: int, one: Observation) -> Observation:
        rows = np.array([number not in frames or each != actor for each in scene.actors[number]], bool)
        detections = replace(
            one.detections, boxes=one.detections.boxes[rows], scores=one.detections.scores[rows]
        )
        poses = replace(one.poses, keypoints=one.poses.keypoints[rows])
        return replace(one, detections=detections, poses=poses, embeddings=one.embeddings[rows])

    return Film([kept(*pair) for pair in enumerate(scene.frames)], scene.actors)


def two_walkers(gap: range, **changes: object) -> Film:
    actors = [Actor(EMBEDDINGS[0], walk(100, speed=40), **changes), Actor(EMBEDDINGS[1], walk(800))]
    return without(film(actors, 6, FPS), 0, gap)


def rows_of(tracks: list[Tracks], number: int) -> dict[int, tuple[Tracks, int]]:
    """By frame: the tracks of the frame and the row of the ID `number`."""
    rows = {one.frame_number: (one, one.ids.tolist().index(number)) for one in tracks if number in one.ids}
    assert all(len(set(one.ids.tolist())) == len(one) for one in tracks)
    return rows


@pytest.mark.parametrize("gap", [range(30, 31), range(30, 34), range(22, 26)])
def test_a_short_gap_is_filled_as_by_numpy_interp(gap: range) -> None:
    rows = rows_of(run_tracker(two_walkers(gap)), 1)
    assert list(rows) == list(range(60))
    ends = [gap.start - 1, gap.stop]
    for frame in gap:
        one, row = rows[frame]
        for name in ("boxes", "keypoints"):
            values = [np.ravel(getattr(rows[end][0], name)[rows[end][1]]) for end in ends]
            expected = [np.interp(frame, ends, pair) for pair in zip(*values, strict=True)]
            assert np.ravel(getattr(one, name)[row]) == pytest.approx(np.array(expected), abs=1e-3)
        assert np.isnan(one.distances[row]) and np.isnan(one.margins[row])
        assert not one.visible[row].any() and not one.prompted[row]


def test_detected_rows_are_those_without_interpolation() -> None:
    scene = two_walkers(range(30, 33))
    filled, plain = run_tracker(scene), run_tracker(scene, KprTrackerConfig(interpolation_s=0))
    for one, other in zip(filled, plain, strict=True):
        count = len(other)
        assert len(one) == count + (one.frame_number in range(30, 33))
        for name in ("ids", "boxes", "scores", "keypoints", "distances", "margins", "visible", "prompted"):
            assert np.array_equal(getattr(one, name)[:count], getattr(other, name), equal_nan=name[0] in "dm")


def test_the_score_is_the_lower_one_of_both_ends() -> None:
    rows = rows_of(
        run_tracker(two_walkers(range(30, 33), score=lambda time_s: 0.9 if time_s < 3 else 0.8)), 1
    )
    assert [round(float(rows[frame][0].scores[rows[frame][1]]), 2) for frame in range(29, 34)] == [
        *[0.9, 0.8, 0.8, 0.8, 0.8]
    ]


def test_a_keypoint_missing_at_one_end_is_missing_between() -> None:
    scene = two_walkers(range(30, 33))
    scene.frames[33].poses.keypoints[0, 5] = 0
    one, row = rows_of(run_tracker(scene), 1)[31]
    assert (one.keypoints[row, 5] == 0).all() and (one.keypoints[row, 6] > 0).all()


@pytest.mark.parametrize(
    ("gap", "settings"),
    [
        (range(30, 35), {}),  # 0.6 s between the detections
        (range(30, 31), {"interpolation_s": 0.1}),
        (range(30, 31), {"output_delay_s": 0.0}),
        (range(30, 33), {"output_delay_s": 0.2}),
        (range(56, 60), {}),  # the end of the video
    ],
)
def test_other_gaps_stay(gap: range, settings: dict[str, float]) -> None:
    rows = rows_of(run_tracker(two_walkers(gap), KprTrackerConfig(**settings)), 1)
    assert list(rows) == [frame for frame in range(60) if frame not in gap]


def test_a_gap_that_ends_in_a_re_identification_is_filled() -> None:
    """The second part starts elsewhere, as a tentative track that is re-identified 0.2 s later."""
    actors = [
        Actor(EMBEDDINGS[0], walk(100, end_s=3)),
        Actor(EMBEDDINGS[1], walk(800)),
        Actor(EMBEDDINGS[0], walk(100 + 3 * WIDTH, start_s=3.3)),
    ]
    rows = rows_of(run_tracker(film(actors, 6, FPS)), 1)
    assert list(rows) == list(range(60))


def test_frames_without_people_between() -> None:
    actors = [Actor(EMBEDDINGS[0], walk(100, speed=40))]
    tracks = run_tracker(without(film(actors, 4, FPS), 0, range(30, 33)))
    assert [one.ids.tolist() for one in tracks] == [[1]] * 40
    assert len({one.visible.shape for one in tracks}) == 1


def test_frames_that_are_never_asked_for_are_forgotten() -> None:
    tracker = KprTracker(KprTrackerConfig(output_delay_s=0.5))
    for one in film([Actor(EMBEDDINGS[0], walk(100))], 6, FPS).frames:
        tracker.update(one)
    assert len(tracker._gaps._ahead) <= 12


def test_a_negative_time_is_rejected() -> None:
    with pytest.raises(Exception, match=r"interpolation_s must be 0 or more seconds, not -1\.0"):
        KprTrackerConfig(interpolation_s=-1.0)


def without_poses(scene: Film, frames: range) -> Film:
    """The scene without the poses of the first person in some frames."""

    def kept(one: Observation) -> Observation:
        keypoints = one.poses.keypoints.copy()
        keypoints[: int(one.frame_number in frames)] = 0
        return replace(one, poses=replace(one.poses, keypoints=keypoints))

    return Film([kept(one) for one in scene.frames], scene.actors)


def relative(one: Tracks) -> np.ndarray:
    """Keypoints of the only person relative to the centre of the box."""
    center: np.ndarray = (one.boxes[0, :2] + one.boxes[0, 2:]) / 2
    return np.ravel(one.keypoints[0, :, :2] - center)


def test_a_detection_without_a_pose_gets_that_between_its_neighbours() -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100, speed=40))], 6, FPS)
    expected, filled = run_tracker(scene), run_tracker(without_poses(scene, range(20, 23)))
    for one, other in zip(expected, filled, strict=True):
        assert np.array_equal(one.ids, other.ids) and np.array_equal(one.boxes, other.boxes)
        number = one.frame_number
        if number in range(20, 23):
            ends = np.stack([relative(expected[19]), relative(expected[23])], 1)
            assert relative(other) == pytest.approx(
                np.array([np.interp(number, (19, 23), pair) for pair in ends]), abs=1e-3
            )
        else:
            assert np.array_equal(one.keypoints, other.keypoints)


def test_the_first_detections_get_the_first_pose_moved_with_the_box() -> None:
    """As detections below `high_score`, which have no pose before they are part of a track."""
    scene = film([Actor(EMBEDDINGS[0], walk(100, speed=40))], 6, FPS)
    filled = run_tracker(without_poses(scene, range(3)))
    for one in filled[:3]:
        assert relative(one) == pytest.approx(relative(filled[3]), abs=1e-3)
        assert np.array_equal(one.keypoints[..., 2], filled[3].keypoints[..., 2])


@pytest.mark.parametrize("settings", [{}, {"interpolation_s": 0}])
def test_a_pose_is_not_moved_far(settings: dict[str, float]) -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100, speed=40))], 6, FPS)
    tracks = run_tracker(without_poses(scene, range(20, 40)), KprTrackerConfig(**settings))
    posed = [bool(one.keypoints[0, :, 2].any()) for one in tracks]
    reach = 0 if settings else 5  # frames of 0.5 s
    assert posed == [frame < 20 + reach or frame >= 40 - reach for frame in range(60)]
