"""KPRTrack's own tracker in invented scenes: life cycle, two stages, crossings, encoders of all kinds."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
from support import scenes
from support.scenes import Actor, Film, film, strangers, walk, who

from kprtrack.core.appearance import empty_appearance
from kprtrack.core.datatypes import Observation, Tracks, empty_detections, empty_poses
from kprtrack.core.errors import UserError
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

LOOKS = strangers(6)
AT_ONCE = KprTrackerConfig(output_delay_s=0.0)


def crossing(contaminated: bool = False, **actor: object) -> Film:
    """Two people meet in the middle after 3 s; the first passes behind the second."""
    pair = [
        Actor(LOOKS[0], walk(100, 95, 80), **actor),
        Actor(LOOKS[1], walk(580, 105, -80), **actor),
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
    assert who(crossing(contaminated)) == {0: [1] * 60, 1: [2] * 60}


def test_two_people_without_keypoints_cross_and_keep_their_ids() -> None:
    assert who(crossing(has_keypoints=False)) == {0: [1] * 60, 1: [2] * 60}


def test_two_people_cross_and_keep_their_ids_in_the_euclidean_metric() -> None:
    assert who(crossing(True), KprTrackerConfig(metric="euclidean")) == {0: [1] * 60, 1: [2] * 60}


def test_motion_alone_keeps_the_ids_of_people_who_cross() -> None:
    alone = KprTrackerConfig(appearance_weight=0.0, pose_weight=0.0, reid_max_distance=None)
    assert who(crossing().without_looks(), alone) == {0: [1] * 60, 1: [2] * 60}


def test_people_who_turn_round_where_they_meet_are_told_apart_by_their_looks() -> None:
    """They stand in each other's place after a gap, so that position speaks for the exchange."""
    first = scenes.one_after_another(walk(100, end_s=2), walk(140, start_s=2.5))
    second = scenes.one_after_another(walk(140, end_s=2), walk(100, start_s=2.5))
    scene = film([Actor(LOOKS[0], first), Actor(LOOKS[1], second)], 5)
    assert who(scene) == {0: [1] * 45, 1: [2] * 45}


def test_looks_are_not_learned_while_somebody_stands_in_front() -> None:
    """Somebody hidden for a long time comes out with the distance that it had before."""
    still = [
        Actor(LOOKS[0], walk(300, 100)),
        Actor(
            LOOKS[1],
            scenes.one_after_another(walk(100, 120, 100, end_s=1.95), walk(295, 120, end_s=8, start_s=1.95)),
        ),
    ]
    scene = film(still, 10, contaminated=True)
    tracks = scenes.run_tracker(scene)
    assert scenes.identities(scene, tracks)[0] == [1] * 100
    hidden, after = tracks[50], tracks[80]
    assert hidden.distances[hidden.ids == 1] > 0.3
    assert after.distances[after.ids == 1] < 0.02


def test_looks_are_learned_while_covered_if_the_settings_say_so() -> None:
    still = [Actor(LOOKS[0], walk(300, 100)), Actor(LOOKS[1], walk(295, 120, end_s=8))]
    always = KprTrackerConfig(max_occlusion=None, gating_distance=None)
    after = scenes.run_tracker(film(still, 10, contaminated=True), always)[80]
    assert after.distances[after.ids == 1] > 0.3


def test_looks_of_who_was_born_behind_somebody_are_replaced_at_the_first_clear_sight() -> None:
    actors = [Actor(LOOKS[0], walk(300, 100)), Actor(LOOKS[1], walk(295, 120, end_s=2))]
    scene = film(actors, 4, contaminated=True)
    tracks = scenes.run_tracker(scene)
    assert scenes.identities(scene, tracks)[0] == [1] * 40
    assert tracks[21].distances[0] < 0.02


@pytest.mark.parametrize("step", [2, 3, 6])
def test_strides_change_no_identity(step: int) -> None:
    scene = film([Actor(LOOKS[0], walk(100, 95, 60)), Actor(LOOKS[1], walk(580, 105, -60))], 6, fps=30)
    assert who(scene.every(step)) == {actor: ids[::step] for actor, ids in who(scene).items()}


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize(("gap_s", "ids"), [(0.9, {1}), (1.4, {1, 2})])
def test_people_are_remembered_for_seconds_whatever_the_frame_rate(
    fps: float, gap_s: float, ids: set[int]
) -> None:
    there = scenes.one_after_another(walk(100, end_s=2), walk(100, start_s=2 + gap_s))
    scene = film([Actor(LOOKS[0], there)], 5, fps=fps)
    assert set(who(scene, KprTrackerConfig(max_lost_s=1.2))[0]) == ids


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize(("gap_s", "ids"), [(0.9, {1}), (1.4, {1, 2})])
def test_position_is_trusted_for_seconds_whatever_the_frame_rate(
    fps: float, gap_s: float, ids: set[int]
) -> None:
    there = scenes.one_after_another(walk(100, end_s=2), walk(100, start_s=2 + gap_s))
    scene = film([Actor(LOOKS[0], there)], 5, fps=fps).without_looks()
    assert set(who(scene, KprTrackerConfig(recent_s=1.2))[0]) == ids


@pytest.mark.parametrize("interval_s", [1.5, 2.5, 6.0])
def test_people_are_found_in_videos_with_seconds_between_two_frames(interval_s: float) -> None:
    scene = film([Actor(LOOKS[0], walk(100)), Actor(LOOKS[1], walk(400, start_s=8))], 90, 1 / interval_s)
    assert set(who(scene)[1][1:]) == {2}


def test_a_jump_in_time_does_not_undo_what_was_known_before() -> None:
    """The newcomer's first frame is still held back when the next frame is 10 s later."""
    late = scenes.one_after_another(walk(400, start_s=2.8))
    frames = film([Actor(LOOKS[0], walk(100)), Actor(LOOKS[1], late)], 3.5).frames
    last = film([Actor(LOOKS[2], walk(800)), Actor(LOOKS[0], walk(100))], 14).frames[-1]
    frames.append(replace(last, frame_number=35))
    said = list(scenes.track(frames, KprTracker()))
    assert [len(tracks) for tracks in said[25:35]] == [1] * 3 + [2] * 7


def test_a_person_begins_only_on_a_confident_box() -> None:
    scene = film([Actor(LOOKS[0], walk(100)), Actor(LOOKS[1], walk(400), score=0.69)], 4)
    assert who(scene) == {0: [1] * 40, 1: [0] * 40}


def test_a_confident_box_in_one_frame_only_is_nobody() -> None:
    flash = scenes.one_after_another(walk(400, start_s=1, end_s=1.1))
    assert who(film([Actor(LOOKS[0], walk(100)), Actor(LOOKS[1], flash)], 4))[1] == [0]


def test_everybody_confident_in_the_first_frame_is_a_person_at_once() -> None:
    frame = film([Actor(LOOKS[0], walk(100)), Actor(LOOKS[1], walk(400), score=0.69)], 0.1).frames[0]
    assert KprTracker().update(frame).ids.tolist() == [1]


@pytest.mark.parametrize(("min_track_age_s", "doubtful"), [(0.0, 1), (0.1, 1), (0.2, 2), (0.25, 3), (0.3, 3)])
def test_later_newcomers_are_people_once_they_stayed_for_birth_s(
    min_track_age_s: float, doubtful: int
) -> None:
    """Ten frames a second; one more sight is needed at least."""
    scene = film([Actor(LOOKS[0], walk(100)), Actor(LOOKS[1], walk(400, start_s=1))], 3)
    config = replace(AT_ONCE, min_track_age_s=min_track_age_s)
    assert who(scene, config)[1] == [0] * doubtful + [2] * (20 - doubtful)
    assert who(scene, KprTrackerConfig(min_track_age_s=min_track_age_s))[1] == [2] * 20


def test_who_is_gone_before_birth_s_was_nobody() -> None:
    scene = film([Actor(LOOKS[0], walk(100)), Actor(LOOKS[1], walk(400, start_s=1, end_s=1.2))], 4)
    assert who(scene)[1] == [0] * 2
    assert who(scene, KprTrackerConfig(min_track_age_s=0.1))[1] == [2] * 2


def test_a_confident_box_in_every_other_frame_is_nobody() -> None:
    flicker = scenes.one_after_another(*(walk(400, start_s=n / 5, end_s=n / 5 + 0.1) for n in range(1, 15)))
    scene = film([Actor(LOOKS[0], walk(100)), Actor(LOOKS[1], flicker)], 4)
    assert who(scene)[1] == [0] * 14


@pytest.mark.parametrize(
    ("limit", "ids"),
    [
        ("match_cost", [1] + [0, 2] * 2),  # nobody goes on, everybody who begins is seen once more
        ("low_match_cost", [1] * 5 + [0] * 5),
        ("tentative_match_cost", [0] * 10),
    ],
)
def test_every_stage_has_a_limit_of_its_own(limit: str, ids: list[int]) -> None:
    """A stage with a limit that no pair meets pairs nobody; the others go on."""
    actors = {
        "match_cost": Actor(LOOKS[1], walk(400, end_s=0.5)),
        "low_match_cost": Actor(LOOKS[1], walk(400), score=lambda time_s: 0.9 if time_s < 0.5 else 0.5),
        "tentative_match_cost": Actor(LOOKS[1], walk(400, start_s=0.1)),
    }
    config = replace(
        AT_ONCE, **{limit: 1e-6}, reid_max_distance=None, tentative_score=0.7, min_track_age_s=0.0
    )
    found = who(film([actors[limit]], 1.0 if limit != "tentative_match_cost" else 1.1), config)[0]
    assert [min(number, 2) for number in found] == ids


def test_people_walk_on_through_a_gap_between_two_frames() -> None:
    """Motion goes by time, not by frames: 0.9 s without a frame, further than the person is wide."""
    scene = film([Actor(LOOKS[0], walk(100, speed=100), has_keypoints=False)], 4).without_looks()
    kept = [row for row, one in enumerate(scene.frames) if not 2 < one.time_s < 2.85]
    cut = Film([scene.frames[row] for row in kept], [scene.actors[row] for row in kept])
    assert set(who(cut)[0]) == {1}


def test_a_low_score_prolongs_a_track_that_was_just_seen() -> None:
    scene = film([Actor(LOOKS[0], walk(100, speed=30), score=lambda t: 0.9 if t < 2 else 0.15)], 4)
    assert who(scene)[0] == [1] * 40


def test_a_low_score_does_not_bring_back_somebody_lost() -> None:
    there = scenes.one_after_another(walk(100, end_s=2), walk(100, start_s=2.5))
    scene = film([Actor(LOOKS[0], there, score=lambda t: 0.9 if t < 2 else 0.25)], 4)
    assert who(scene)[0] == [1] * 20 + [0] * 15


def test_scores_at_or_below_low_score_are_not_looked_at() -> None:
    scene = film([Actor(LOOKS[0], walk(100), score=lambda t: 0.9 if t < 2 else 0.125)], 4)
    assert who(scene, KprTrackerConfig(low_score=0.125))[0] == [1] * 20 + [0] * 20


def test_a_confident_box_goes_before_a_doubtful_one() -> None:
    """The doubtful box fits better, the confident one well enough."""
    scene = film([Actor(LOOKS[0], walk(100), 0.9), Actor(LOOKS[0], walk(90, start_s=2), 0.9)], 2.1)
    last = scene.frames[-1]
    scores = np.array([0.5, 0.9], np.float32)
    scene.frames[-1] = replace(last, detections=replace(last.detections, scores=scores))
    assert who(scene, AT_ONCE)[0] == [1] * 20 + [0]


def test_looks_of_low_scores_are_not_learned() -> None:
    """The doubtful frames show somebody else's looks at the same place."""
    both = scenes.one_after_another(walk(100, end_s=2), walk(100, start_s=4))
    actors = [Actor(LOOKS[0], both), Actor(LOOKS[1], walk(100, start_s=2, end_s=4), 0.5)]
    scene = film(actors, 5)
    tracks = scenes.run_tracker(scene, KprTrackerConfig(inter_identity_distance=1.0, gating_distance=None))
    assert {tuple(one.ids) for one in tracks} == {(1,)}
    assert tracks[40].distances[0] < 0.02


def test_clearly_different_looks_in_the_same_place_are_another_person() -> None:
    """Somebody takes the very place, and the pose, of somebody else from one frame to the next."""
    extra = Actor(LOOKS[2], walk(400))
    scene = film([Actor(LOOKS[0], walk(100)), extra], 4, noise=0.2)
    exchanged = scene.with_looks(lambda one: exchange(one, 2.0))
    assert set(who(exchanged)[0][:20]) == {1}
    assert set(who(exchanged)[0][20:]) == {3}


def exchange(one: Observation, time_s: float) -> np.ndarray:
    features = one.embeddings.features.copy()
    if one.time_s >= time_s:
        features[0] = LOOKS[5]
    return features


def noise_of(one: Observation) -> np.ndarray:
    return strangers(len(one), one.frame_number + 1)


def dull(one: Observation) -> np.ndarray:
    """Everybody looks alike, and as different from oneself as from others."""
    return scenes.unit(LOOKS[:1] + 0.5 * noise_of(one))


def constant(one: Observation) -> np.ndarray:
    return np.repeat(LOOKS[:1], len(one), 0)


@pytest.mark.parametrize("encoder", [dull, constant])
@pytest.mark.parametrize("scene", [crossing(), scenes.golden_film()], ids=["crossing", "golden"])
def test_an_encoder_that_tells_nobody_apart_changes_no_identity(
    encoder: Callable[[Observation], np.ndarray], scene: Film
) -> None:
    assert who(scene.with_looks(encoder)) == who(scene.without_looks())


def test_pure_noise_changes_no_identity_once_it_is_known_as_noise() -> None:
    ids = who(crossing().with_looks(noise_of))
    assert [len(set(numbers[5:])) for numbers in ids.values()] == [1, 1]


def test_looks_that_are_noise_do_not_separate_anybody_from_a_place_that_fits() -> None:
    """A step of 25 px is too far if the noise has a say in the cost, and near enough if it has none."""
    step = scenes.one_after_another(walk(100, end_s=5), walk(125, start_s=5))
    others = [Actor(LOOKS[row], walk(200 * row + 200), has_keypoints=False) for row in range(1, 6)]
    ids = who(film([Actor(LOOKS[0], step, has_keypoints=False), *others], 7).with_looks(noise_of))[0]
    assert len(set(ids[5:])) == 1


def test_poses_are_carried_along_with_the_box() -> None:
    """In the end the person runs its own width between two frames, and only its pose is compared."""
    runner = Actor(LOOKS[0], lambda time_s: (100 + 60 * time_s**2, 100))
    alone = replace(AT_ONCE, appearance_weight=0.0, box_weight=0.0, pose_weight=1.0)
    assert who(film([runner], 5).without_looks(), alone)[0] == [1] * 50


def test_a_crowd_keeps_its_ids() -> None:
    """40 people in two rows that pass each other, more than are compared at once."""
    crowd = strangers(40, 3)
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


def test_a_video_without_people_says_nothing() -> None:
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


def test_only_distances_and_margins_that_nobody_measured_are_nan() -> None:
    tracks = scenes.run_tracker(crossing())
    first, rest = tracks[0], tracks[1:]
    assert np.isnan(first.distances).all() and np.isnan(first.margins).all()
    assert all(np.isfinite(one.distances).all() and (one.margins > 0.4).all() for one in rest)


def test_without_looks_nothing_is_measured() -> None:
    for one in scenes.run_tracker(crossing().without_looks()):
        assert np.isnan(one.distances).all() and np.isnan(one.margins).all()


def test_an_encoder_whose_parts_never_meet_causes_no_warning() -> None:
    """Pure noise earns no trust, and people with no part in common have no distance at all."""
    scene = crossing().with_looks(noise_of)
    hidden = np.zeros((2, scenes.PARTS), bool)
    last = scene.frames[-1]
    scene.frames[-1] = replace(last, embeddings=replace(last.embeddings, visible=hidden))
    assert [numbers[-2] == numbers[-1] > 0 for numbers in who(scene).values()] == [True, True]


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
def test_settings_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError):
        KprTrackerConfig(**wrong)


def test_the_golden_scene_is_told_as_ever() -> None:
    """Regenerate with `python tests/support/scenes.py`; its first lines say what may change it."""
    stored = json.loads(scenes.GOLDEN.read_text("utf-8"))
    now = scenes.golden(KprTrackerConfig(**stored["config"]))
    assert now["ids"] == stored["ids"]
    assert now["boxes_sha256"] == stored["boxes_sha256"]
    assert set(stored["config"]) <= set(asdict(KprTrackerConfig()))


def test_the_golden_scene_is_told_by_the_defaults_without_a_mistake() -> None:
    ids = who(scenes.golden_film())
    assert [len(set(numbers)) for numbers in ids.values()] == [1] * 6
    assert len({numbers[0] for numbers in ids.values()} - {0}) == 6
