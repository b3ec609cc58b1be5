"""The KPR tracker in synthetic scenes: life cycle, two stages, crossings, encoders of all kinds."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
from support import scenes
from support.scenes import Actor, Film, film, random_embeddings, track_ids, walk

from kprtrack.core.appearance import empty_appearance
from kprtrack.core.datatypes import Observation, Tracks, empty_detections, empty_poses
from kprtrack.core.errors import UserError
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

EMBEDDINGS = random_embeddings(6)
AT_ONCE = KprTrackerConfig(output_delay_s=0.0)


def crossing(contaminated: bool = False, **actor: object) -> Film:
    """Two people meet in the middle after 3 s; the first passes behind the second."""
    pair = [
        Actor(EMBEDDINGS[0], walk(100, 95, 80), **actor),
        Actor(EMBEDDINGS[1], walk(580, 105, -80), **actor),
    ]
    return film(pair, 6, contaminated=contaminated)


def empty_frame(number: int, time_s: float) -> Observation:
    return Observation(number, time_s, empty_detections(), empty_poses(), empty_appearance())


def same(one: Tracks, other: Tracks) -> bool:
    fields = ("ids", "boxes", "scores", "keypoints", "distances", "margins", "visible", "prompted")
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in ("distances", "margins"))
        for name in fields
    )


@pytest.mark.parametrize("contaminated", [False, True])
def test_two_people_cross_and_keep_their_ids(contaminated: bool) -> None:
    assert track_ids(crossing(contaminated)) == {0: [1] * 60, 1: [2] * 60}


def test_two_people_without_keypoints_cross_and_keep_their_ids() -> None:
    assert track_ids(crossing(has_keypoints=False)) == {0: [1] * 60, 1: [2] * 60}


def test_two_people_cross_and_keep_their_ids_in_the_euclidean_metric() -> None:
    assert track_ids(crossing(True), KprTrackerConfig(metric="euclidean")) == {0: [1] * 60, 1: [2] * 60}


def test_motion_alone_keeps_the_ids_of_people_who_cross() -> None:
    alone = KprTrackerConfig(appearance_weight=0.0, pose_weight=0.0, reid_max_distance=None)
    assert track_ids(crossing().without_embeddings(), alone) == {0: [1] * 60, 1: [2] * 60}


def test_people_who_turn_round_where_they_meet_are_separated_by_appearance() -> None:
    """After a gap each is in the other's place, so that position favours the exchange."""
    first = scenes.first_visible(walk(100, end_s=2), walk(140, start_s=2.5))
    second = scenes.first_visible(walk(140, end_s=2), walk(100, start_s=2.5))
    scene = film([Actor(EMBEDDINGS[0], first), Actor(EMBEDDINGS[1], second)], 5)
    assert track_ids(scene) == {0: [1] * 45, 1: [2] * 45}


def test_embeddings_are_not_updated_during_occlusion() -> None:
    """After a long occlusion the distance is the one before it."""
    still = [
        Actor(EMBEDDINGS[0], walk(300, 100)),
        Actor(
            EMBEDDINGS[1],
            scenes.first_visible(walk(100, 120, 100, end_s=1.95), walk(295, 120, end_s=8, start_s=1.95)),
        ),
    ]
    scene = film(still, 10, contaminated=True)
    tracks = scenes.run_tracker(scene)
    assert scenes.identities(scene, tracks)[0] == [1] * 100
    hidden, after = tracks[50], tracks[80]
    assert hidden.distances[hidden.ids == 1] > 0.3
    assert after.distances[after.ids == 1] < 0.02


def test_embeddings_are_updated_during_occlusion_without_max_occlusion() -> None:
    still = [Actor(EMBEDDINGS[0], walk(300, 100)), Actor(EMBEDDINGS[1], walk(295, 120, end_s=8))]
    always = KprTrackerConfig(max_occlusion=None, gating_distance=None)
    after = scenes.run_tracker(film(still, 10, contaminated=True), always)[80]
    assert after.distances[after.ids == 1] > 0.3


def test_the_embedding_of_a_track_that_starts_occluded_is_replaced_by_the_first_unoccluded_one() -> None:
    actors = [Actor(EMBEDDINGS[0], walk(300, 100)), Actor(EMBEDDINGS[1], walk(295, 120, end_s=2))]
    scene = film(actors, 4, contaminated=True)
    tracks = scenes.run_tracker(scene)
    assert scenes.identities(scene, tracks)[0] == [1] * 40
    assert tracks[21].distances[0] < 0.02


@pytest.mark.parametrize("step", [2, 3, 6])
def test_strides_change_no_identity(step: int) -> None:
    scene = film(
        [Actor(EMBEDDINGS[0], walk(100, 95, 60)), Actor(EMBEDDINGS[1], walk(580, 105, -60))], 6, fps=30
    )
    assert track_ids(scene.every(step)) == {actor: ids[::step] for actor, ids in track_ids(scene).items()}


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize(("gap_s", "ids"), [(0.9, {1}), (1.4, {1, 2})])
def test_max_lost_s_is_in_seconds_at_any_frame_rate(fps: float, gap_s: float, ids: set[int]) -> None:
    there = scenes.first_visible(walk(100, end_s=2), walk(100, start_s=2 + gap_s))
    scene = film([Actor(EMBEDDINGS[0], there)], 5, fps=fps)
    assert set(track_ids(scene, KprTrackerConfig(max_lost_s=1.2))[0]) == ids


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize(("gap_s", "ids"), [(0.9, {1}), (1.4, {1, 2})])
def test_recent_s_is_in_seconds_at_any_frame_rate(fps: float, gap_s: float, ids: set[int]) -> None:
    there = scenes.first_visible(walk(100, end_s=2), walk(100, start_s=2 + gap_s))
    scene = film([Actor(EMBEDDINGS[0], there)], 5, fps=fps).without_embeddings()
    assert set(track_ids(scene, KprTrackerConfig(recent_s=1.2))[0]) == ids


@pytest.mark.parametrize("interval_s", [1.5, 2.5, 6.0])
def test_ids_are_kept_with_seconds_between_two_frames(interval_s: float) -> None:
    scene = film(
        [Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], walk(400, start_s=8))], 90, 1 / interval_s
    )
    assert set(track_ids(scene)[1][1:]) == {2}


def test_a_jump_in_time_does_not_undo_earlier_corrections() -> None:
    """The new track's first frame is still held back when the next frame is 10 s later."""
    late = scenes.first_visible(walk(400, start_s=2.8))
    frames = film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], late)], 3.5).frames
    last = film([Actor(EMBEDDINGS[2], walk(800)), Actor(EMBEDDINGS[0], walk(100))], 14).frames[-1]
    frames.append(replace(last, frame_number=35))
    tracks_out = list(scenes.track(frames, KprTracker()))
    assert [len(tracks) for tracks in tracks_out[25:35]] == [1] * 3 + [2] * 7


def test_a_track_needs_one_high_score() -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], walk(400), score=0.69)], 4)
    assert track_ids(scene) == {0: [1] * 40, 1: [0] * 40}


def test_a_high_score_in_a_single_frame_is_no_track() -> None:
    flash = scenes.first_visible(walk(400, start_s=1, end_s=1.1))
    assert track_ids(film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], flash)], 4))[1] == [0]


def test_tracks_of_the_first_frame_are_confirmed_at_once() -> None:
    frame = film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], walk(400), score=0.69)], 0.1).frames[
        0
    ]
    assert KprTracker().update(frame).ids.tolist() == [1]


@pytest.mark.parametrize(
    ("min_track_age_s", "unconfirmed_frames"), [(0.0, 1), (0.1, 1), (0.2, 2), (0.25, 3), (0.3, 3)]
)
def test_later_tracks_are_confirmed_after_min_track_age_s(
    min_track_age_s: float, unconfirmed_frames: int
) -> None:
    """Ten frames a second; at least one more detection is needed."""
    scene = film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], walk(400, start_s=1))], 3)
    config = replace(AT_ONCE, min_track_age_s=min_track_age_s)
    assert track_ids(scene, config)[1] == [0] * unconfirmed_frames + [2] * (20 - unconfirmed_frames)
    assert track_ids(scene, KprTrackerConfig(min_track_age_s=min_track_age_s))[1] == [2] * 20


def test_a_track_that_ends_before_min_track_age_s_is_not_confirmed() -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], walk(400, start_s=1, end_s=1.2))], 4)
    assert track_ids(scene)[1] == [0] * 2
    assert track_ids(scene, KprTrackerConfig(min_track_age_s=0.1))[1] == [2] * 2


def test_a_detection_in_every_other_frame_is_no_track() -> None:
    flicker = scenes.first_visible(*(walk(400, start_s=n / 5, end_s=n / 5 + 0.1) for n in range(1, 15)))
    scene = film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], flicker)], 4)
    assert track_ids(scene)[1] == [0] * 14


@pytest.mark.parametrize(
    ("limit", "ids"),
    [
        (
            "match_cost",
            [1] + [0, 2] * 2,
        ),  # no track continues; each new one is matched once as tentative
        ("low_match_cost", [1] * 5 + [0] * 5),
        ("tentative_match_cost", [0] * 10),
    ],
)
def test_every_stage_has_a_limit_of_its_own(limit: str, ids: list[int]) -> None:
    """A stage whose limit no pair meets matches nothing; the others still match."""
    actors = {
        "match_cost": Actor(EMBEDDINGS[1], walk(400, end_s=0.5)),
        "low_match_cost": Actor(EMBEDDINGS[1], walk(400), score=lambda time_s: 0.9 if time_s < 0.5 else 0.5),
        "tentative_match_cost": Actor(EMBEDDINGS[1], walk(400, start_s=0.1)),
    }
    config = replace(
        AT_ONCE, **{limit: 1e-6}, reid_max_distance=None, tentative_score=0.7, min_track_age_s=0.0
    )
    found = track_ids(film([actors[limit]], 1.0 if limit != "tentative_match_cost" else 1.1), config)[0]
    assert [min(number, 2) for number in found] == ids


def test_people_walk_on_through_a_gap_between_two_frames() -> None:
    """Motion is by time, not by frames: 0.9 s without a frame, farther than the width of the person."""
    scene = film([Actor(EMBEDDINGS[0], walk(100, speed=100), has_keypoints=False)], 4).without_embeddings()
    kept = [row for row, one in enumerate(scene.frames) if not 2 < one.time_s < 2.85]
    cut = Film([scene.frames[row] for row in kept], [scene.actors[row] for row in kept])
    assert set(track_ids(cut)[0]) == {1}


def test_a_low_score_continues_a_track_of_the_frame_before() -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100, speed=30), score=lambda t: 0.9 if t < 2 else 0.15)], 4)
    assert track_ids(scene)[0] == [1] * 40


def test_a_low_score_does_not_continue_a_lost_track() -> None:
    there = scenes.first_visible(walk(100, end_s=2), walk(100, start_s=2.5))
    scene = film([Actor(EMBEDDINGS[0], there, score=lambda t: 0.9 if t < 2 else 0.25)], 4)
    assert track_ids(scene)[0] == [1] * 20 + [0] * 15


def test_scores_at_or_below_low_score_are_ignored() -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100), score=lambda t: 0.9 if t < 2 else 0.125)], 4)
    assert track_ids(scene, KprTrackerConfig(low_score=0.125))[0] == [1] * 20 + [0] * 20


def test_high_scores_are_matched_before_low_ones() -> None:
    """The box of low score overlaps more, the one of high score enough."""
    scene = film([Actor(EMBEDDINGS[0], walk(100), 0.9), Actor(EMBEDDINGS[0], walk(90, start_s=2), 0.9)], 2.1)
    last = scene.frames[-1]
    scores = np.array([0.5, 0.9], np.float32)
    scene.frames[-1] = replace(last, detections=replace(last.detections, scores=scores))
    assert track_ids(scene, AT_ONCE)[0] == [1] * 20 + [0]


def test_embeddings_of_low_scores_are_not_averaged() -> None:
    """The frames of low score have the embedding of another person at the same place."""
    both = scenes.first_visible(walk(100, end_s=2), walk(100, start_s=4))
    actors = [Actor(EMBEDDINGS[0], both), Actor(EMBEDDINGS[1], walk(100, start_s=2, end_s=4), 0.5)]
    scene = film(actors, 5)
    tracks = scenes.run_tracker(scene, KprTrackerConfig(inter_identity_distance=1.0, gating_distance=None))
    assert {tuple(one.ids) for one in tracks} == {(1,)}
    assert tracks[40].distances[0] < 0.02


def test_clearly_different_appearance_in_the_same_place_is_another_track() -> None:
    """From one frame to the next a person takes the place and pose of another one."""
    extra = Actor(EMBEDDINGS[2], walk(400))
    scene = film([Actor(EMBEDDINGS[0], walk(100)), extra], 4, noise=0.2)
    exchanged = scene.with_features(lambda one: exchange(one, 2.0))
    assert set(track_ids(exchanged)[0][:20]) == {1}
    assert set(track_ids(exchanged)[0][20:]) == {3}


def exchange(one: Observation, time_s: float) -> np.ndarray:
    features = one.embeddings.features.copy()
    if one.time_s >= time_s:
        features[0] = EMBEDDINGS[5]
    return features


def noise_of(one: Observation) -> np.ndarray:
    return random_embeddings(len(one), one.frame_number + 1)


def dull(one: Observation) -> np.ndarray:
    """Intra-identity and inter-identity distances are the same."""
    return scenes.unit(EMBEDDINGS[:1] + 0.5 * noise_of(one))


def constant(one: Observation) -> np.ndarray:
    return np.repeat(EMBEDDINGS[:1], len(one), 0)


@pytest.mark.parametrize("encoder", [dull, constant])
@pytest.mark.parametrize("scene", [crossing(), scenes.golden_film()], ids=["crossing", "golden"])
def test_an_encoder_that_does_not_separate_people_changes_no_id(
    encoder: Callable[[Observation], np.ndarray], scene: Film
) -> None:
    assert track_ids(scene.with_features(encoder)) == track_ids(scene.without_embeddings())


def test_noise_changes_no_id_once_the_scale_is_learned() -> None:
    ids = track_ids(crossing().with_features(noise_of))
    assert [len(set(numbers[5:])) for numbers in ids.values()] == [1, 1]


def test_noisy_embeddings_do_not_gate_a_match_by_position() -> None:
    """A step of 25 px is too far if noise contributes to the cost, and near enough otherwise."""
    step = scenes.first_visible(walk(100, end_s=5), walk(125, start_s=5))
    others = [Actor(EMBEDDINGS[row], walk(200 * row + 200), has_keypoints=False) for row in range(1, 6)]
    ids = track_ids(
        film([Actor(EMBEDDINGS[0], step, has_keypoints=False), *others], 7).with_features(noise_of)
    )[0]
    assert len(set(ids[5:])) == 1


def test_poses_move_with_the_predicted_box() -> None:
    """In the end the person moves by its own width between two frames, and only the pose is compared."""
    runner = Actor(EMBEDDINGS[0], lambda time_s: (100 + 60 * time_s**2, 100))
    alone = replace(AT_ONCE, appearance_weight=0.0, box_weight=0.0, pose_weight=1.0)
    assert track_ids(film([runner], 5).without_embeddings(), alone)[0] == [1] * 50


def test_a_crowd_keeps_its_ids() -> None:
    """40 people in two rows that pass each other, more than are compared at once."""
    crowd = random_embeddings(40, 3)
    actors = [
        Actor(crowd[row], walk(100 + 70 * (row % 20), 100 if row < 20 else 600, 90 if row < 20 else -90))
        for row in range(40)
    ]
    scene = film(actors, 3, fps=5)
    tracks = scenes.run_tracker(scene)
    assert scenes.identities(scene, tracks) == {row: [row + 1] * 15 for row in range(40)}
    assert all(np.isfinite(one.distances).all() for one in tracks[1:])


def test_frames_without_people_are_empty_and_interrupt_nothing() -> None:
    frames = crossing().frames
    tracker = KprTracker()
    assert len(tracker.update(empty_frame(0, -0.2))) == 0
    for one in frames[:10]:
        before = tracker.update(one)
    assert len(tracker.update(empty_frame(10, 1.0))) == 0
    assert tracker.update(frames[11]).ids.tolist() == before.ids.tolist()


def test_a_video_without_people_has_no_tracks() -> None:
    frames = [empty_frame(number, number / 10) for number in range(30)]
    assert [len(tracks) for tracks in scenes.track(frames, KprTracker())] == [0] * 30


def test_the_same_frames_give_the_same_tracks() -> None:
    scene = scenes.golden_film()
    assert all(same(*both) for both in zip(scenes.run_tracker(scene), scenes.run_tracker(scene), strict=True))


def test_the_tracker_leaves_its_input_alone() -> None:
    scene, copy = scenes.golden_film(), scenes.golden_film()
    scenes.run_tracker(scene)
    for one, other in zip(scene.frames, copy.frames, strict=True):
        assert np.array_equal(one.embeddings.features, other.embeddings.features)
        assert np.array_equal(one.poses.keypoints, other.poses.keypoints)
        assert np.array_equal(one.detections.boxes, other.detections.boxes)


def test_distances_and_margins_are_nan_only_without_comparison() -> None:
    tracks = scenes.run_tracker(crossing())
    first, rest = tracks[0], tracks[1:]
    assert np.isnan(first.distances).all() and np.isnan(first.margins).all()
    assert all(np.isfinite(one.distances).all() and (one.margins > 0.4).all() for one in rest)


def test_without_embeddings_distances_are_nan() -> None:
    for one in scenes.run_tracker(crossing().without_embeddings()):
        assert np.isnan(one.distances).all() and np.isnan(one.margins).all()


def test_an_encoder_whose_parts_never_meet_causes_no_warning() -> None:
    """Noise has no discriminability, and people without a common part have no distance."""
    scene = crossing().with_features(noise_of)
    hidden = np.zeros((2, scenes.PARTS), bool)
    last = scene.frames[-1]
    scene.frames[-1] = replace(last, embeddings=replace(last.embeddings, visible=hidden))
    assert [numbers[-2] == numbers[-1] > 0 for numbers in track_ids(scene).values()] == [True, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"low_score": 0.7},
        {"new_track_score": 1.1},
        {"momentum": -0.1},
        {"box_weight": -1.0},
        {"appearance_weight": 0.0, "box_weight": 0.0, "pose_weight": 0.0},
        {"output_delay_s": -1.0},
        {"min_track_age_s": -0.1},
        {"inter_identity_distance": 0.0},
    ],
)
def test_values_outside_their_range_are_errors(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError):
        KprTrackerConfig(**wrong)


def test_the_golden_scene_has_the_stored_tracks() -> None:
    """Regenerate with `python tests/support/scenes.py`; its docstring says what may change it."""
    stored = json.loads(scenes.GOLDEN.read_text("utf-8"))
    now = scenes.golden(KprTrackerConfig(**stored["config"]))
    assert now["ids"] == stored["ids"]
    assert now["boxes_sha256"] == stored["boxes_sha256"]
    assert set(stored["config"]) <= set(asdict(KprTrackerConfig()))


def test_the_defaults_track_the_golden_scene_without_an_error() -> None:
    ids = track_ids(scenes.golden_film())
    assert [len(set(numbers)) for numbers in ids.values()] == [1] * 6
    assert len({numbers[0] for numbers in ids.values()} - {0}) == 6
