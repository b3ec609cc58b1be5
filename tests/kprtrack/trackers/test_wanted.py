"""Which detections the KPR tracker wants poses and embeddings of."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain

import numpy as np
import pytest
from support.scenes import (
    Actor,
    Film,
    film,
    first_visible,
    identities,
    random_embeddings,
    similar_embedding,
    walk,
)

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks
from kprtrack.pipeline import Networks, Wanted, observe, track
from kprtrack.trackers.bytetrack import ByteTrack, ByteTrackConfig
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

EMBEDDINGS = random_embeddings(6)
INTERVAL_S = 0.5
SELECTIVE = KprTrackerConfig(reid_interval_s=INTERVAL_S, inter_identity_distance=0.6)
LEARNING = KprTrackerConfig(reid_interval_s=INTERVAL_S)  # the scale of distances is not known yet
FPS = 10


def networks_of(scene: Film, calls: Counter[tuple[int, int]]) -> Networks:
    """Networks that find the people of the scene by their boxes; counts embeddings by frame and actor."""

    def rows(frame: Frame, found: Detections) -> list[int]:
        boxes = scene.frames[frame.number].detections.boxes.tolist()
        return [boxes.index(box) for box in found.boxes.tolist()]

    def estimate_poses(frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        pairs = zip(frames, detections, strict=True)
        return [Poses(scene.frames[frame.number].poses.keypoints[rows(frame, one)]) for frame, one in pairs]

    def embed(frames: list[Frame], detections: list[Detections], poses: list[Poses]) -> list[Appearance]:
        for frame, found in zip(frames, detections, strict=True):
            calls.update((frame.number, scene.actors[frame.number][row]) for row in rows(frame, found))
        pairs = zip(frames, detections, strict=True)
        return [
            scene.frames[frame.number].embeddings[np.array(rows(frame, one), int)] for frame, one in pairs
        ]

    return Networks(
        detect=lambda frames: [scene.frames[frame.number].detections for frame in frames],
        estimate_poses=estimate_poses,
        embed=embed,
    )


def frames_of(scene: Film) -> list[Frame]:
    image = np.zeros((8, 8, 3), np.uint8)
    return [Frame(one.frame_number, one.time_s, image) for one in scene.frames]


def run(scene: Film, config: KprTrackerConfig) -> tuple[list[Tracks], Counter[tuple[int, int]]]:
    """The tracks, and the frame and actor of every embedding."""
    calls: Counter[tuple[int, int]] = Counter()
    tracker = KprTracker(config)
    observations = observe(frames_of(scene), networks_of(scene, calls), 4, tracker)
    return list(track(observations, tracker)), calls


def frames_embedded(calls: Counter[tuple[int, int]], actor: int) -> list[int]:
    return sorted(frame for frame, one in calls if one == actor)


def same_tracks(one: list[Tracks], other: list[Tracks]) -> bool:
    return all(
        np.array_equal(a.ids, b.ids)
        and np.array_equal(a.boxes, b.boxes)
        and np.array_equal(a.keypoints, b.keypoints)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize(
    "tracker",
    [
        KprTracker(KprTrackerConfig(reid_interval_s=None)),
        KprTracker(KprTrackerConfig(box_weight=0)),
        ByteTrack(ByteTrackConfig(), 10.0),
    ],
)
def test_other_trackers_want_every_detection(tracker: KprTracker | ByteTrack) -> None:
    detections = Detections(np.float32([[0, 0, 9, 9], [5, 5, 8, 8]]), np.float32([0.9, 0.01]))
    assert not tracker.selective
    assert all(mask.all() and mask.shape == (2,) for mask in tracker.wanted(detections, 0.0))


def test_with_embeddings_in_every_frame_the_tracks_are_those_of_batches() -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100, speed=20)), Actor(EMBEDDINGS[1], walk(300))], 3, FPS)
    calls: Counter[tuple[int, int]] = Counter()
    every = KprTrackerConfig(reid_interval_s=None)
    batches = list(track(observe(frames_of(scene), networks_of(scene, calls), 4), KprTracker(every)))
    tracks, asked = run(scene, every)
    assert same_tracks(batches, tracks)
    assert asked == calls and len(calls) == 60


def test_a_person_alone_is_embedded_thirty_times_and_then_once_an_interval() -> None:
    _, calls = run(film([Actor(EMBEDDINGS[0], walk(100, speed=20))], 6, FPS), SELECTIVE)
    assert frames_embedded(calls, 0) == [*range(30), *range(34, 60, 5)]


def test_everyone_is_embedded_until_the_scale_of_distances_is_known() -> None:
    """200 pairs of one person and of two people; three people give 3 and 6 pairs in a frame."""
    scene = film([Actor(EMBEDDINGS[row], walk(100 + 200 * row)) for row in range(3)], 10, FPS)
    _, calls = run(scene, LEARNING)
    every = [frame for frame in range(100) if all(calls[frame, actor] for actor in range(3))]
    assert every[:68] == list(range(68)) and len(every) < 80


def test_people_who_overlap_are_embedded_in_every_frame() -> None:
    """The second walks through the first, between 2.3 and 4 seconds."""
    actors = [Actor(EMBEDDINGS[0], walk(300)), Actor(EMBEDDINGS[1], walk(50, speed=80))]
    scene = film(actors, 8, FPS)
    _, calls = run(scene, SELECTIVE)
    for frame, one in enumerate(scene.frames):
        left = one.detections.boxes[:, 0]
        iou = max(60 - abs(left[0] - left[1]), 0) / (60 + abs(left[0] - left[1]))
        if iou > 0.3:
            assert calls[frame, 0] == calls[frame, 1] == 1
    assert len(calls) < 0.7 * 2 * len(scene.frames)


def test_people_who_cross_keep_their_ids_with_fewer_embeddings() -> None:
    actors = [
        Actor(EMBEDDINGS[0], walk(100, speed=60)),
        Actor(EMBEDDINGS[1], walk(700, speed=-55)),
        Actor(similar_embedding(EMBEDDINGS[0], 0.5), walk(1000)),
    ]
    scene = film(actors, 14, FPS)
    tracks, calls = run(scene, SELECTIVE)
    assert {actor: set(ids) for actor, ids in identities(scene, tracks).items()} == {0: {1}, 1: {2}, 2: {3}}
    assert len(calls) < 0.5 * 3 * len(scene.frames)


def test_a_return_is_reidentified_with_fewer_embeddings() -> None:
    path = first_visible(walk(100, end_s=5), walk(700, 300, start_s=20))
    scene = film([Actor(EMBEDDINGS[0], path), Actor(EMBEDDINGS[1], walk(1200))], 24, FPS)
    tracks, calls = run(scene, SELECTIVE)
    assert set(identities(scene, tracks)[0]) == {1}
    assert frames_embedded(calls, 0)[-1] >= 200 and len(calls) < 0.5 * (24 + 9) * FPS


def wanted(boxes: list[list[float]], scores: list[float]) -> Wanted:
    """For a frame after four seconds of one person at 100 to 160, 100 to 260."""
    tracker = KprTracker(SELECTIVE)
    scene = film([Actor(EMBEDDINGS[0], walk(100))], 4.1, FPS, noise=0)
    for observation in scene.frames[:-1]:
        tracker.update(observation)
    detections = Detections(np.float32(boxes).reshape(-1, 4), np.float32(scores))
    first = tracker.wanted(detections, 4.0)
    assert all(np.array_equal(*pair) for pair in zip(first, tracker.wanted(detections, 4.0), strict=True))
    return first


def test_a_video_may_begin_with_low_scores_only() -> None:
    """No one is embedded; all observations have embeddings of one shape, so that they can be stored."""
    scene = film([Actor(EMBEDDINGS[0], walk(100), score=lambda time_s: 0.2 if time_s < 1 else 0.9)], 3, FPS)
    tracks, calls = run(scene, SELECTIVE)
    assert [one.ids.tolist() for one in tracks] == [[]] * 10 + [[1]] * 20
    assert frames_embedded(calls, 0)[:2] == [0, 10]  # the very first one shows the shape
    tracker = KprTracker(SELECTIVE)
    shapes = set()
    for one in observe(frames_of(scene), networks_of(scene, Counter()), 4, tracker):
        shapes.add(one.embeddings.features.shape)
        assert one.embeddings.visible.any() == (one.time_s >= 1)
        if one.frame_number == 12:
            break
        tracker.update(one)
    assert shapes == {(1, *EMBEDDINGS.shape[1:])}


@pytest.mark.parametrize("first", [4, 12, 20])
def test_a_resumed_run_wants_the_same(first: int) -> None:
    """The tracker follows the stored observations again, and the other frames are observed."""
    scene = film([Actor(EMBEDDINGS[0], walk(100, speed=20)), Actor(EMBEDDINGS[1], walk(600))], 4, FPS)
    networks, whole, again = networks_of(scene, Counter()), KprTracker(SELECTIVE), KprTracker(SELECTIVE)
    observations: list[Observation] = []

    def stored() -> Iterator[Observation]:
        for one in observe(frames_of(scene), networks, 4, whole):
            observations.append(one)
            yield one

    expected = list(track(stored(), whole))
    others = observe(frames_of(scene)[first:], networks, 4, again)
    assert same_tracks(expected, list(track(chain(observations[:first], others), again)))


def test_no_interval_at_all_embeds_every_high_score() -> None:
    _, calls = run(film([Actor(EMBEDDINGS[0], walk(100))], 3, FPS), KprTrackerConfig(reid_interval_s=0.0))
    assert frames_embedded(calls, 0) == list(range(30))


PERSON = [100, 100, 160, 260]


def test_low_scores_get_a_pose_only_at_a_track_without_a_high_score() -> None:
    far, beside = [600, 100, 660, 260], [120, 120, 180, 280]
    assert wanted([PERSON, far, beside], [0.9, 0.2, 0.2]).poses.tolist() == [True, False, False]
    assert wanted([far, beside], [0.2, 0.2]).poses.tolist() == [False, True]
    assert wanted([PERSON, far], [0.9, 0.5]).poses.tolist() == [True, False]
    assert wanted([PERSON, far], [0.9, 0.05]).poses.tolist() == [True, False]


def test_high_scores_without_a_track_get_an_embedding() -> None:
    found = wanted([PERSON, [600, 100, 660, 260]], [0.9, 0.9])
    assert found.embeddings.tolist() == [False, True]


def test_two_high_scores_at_a_track_get_embeddings() -> None:
    found = wanted([PERSON, [104, 100, 164, 260]], [0.9, 0.8])
    assert found.embeddings.tolist() == [True, True]


def test_low_scores_at_one_track_get_no_embedding() -> None:
    found = wanted([PERSON], [0.5])
    assert (found.poses.tolist(), found.embeddings.tolist()) == ([True], [False])


def test_a_frame_without_people_wants_nothing() -> None:
    found = wanted([], [])
    assert found.poses.shape == found.embeddings.shape == (0,)


def test_observations_of_everyone_give_the_tracks_of_those_wanted() -> None:
    """As `observe` and `follow` do; the second person walks through the first, whose score is low then."""
    low = Actor(EMBEDDINGS[0], walk(300), score=lambda time_s: 0.25 if 2 < time_s < 3 else 0.9)
    scene = film([low, Actor(EMBEDDINGS[1], walk(50, speed=80)), Actor(EMBEDDINGS[2], walk(1000))], 12, FPS)
    tracks, calls = run(scene, SELECTIVE)
    assert same_tracks(tracks, list(track(scene.frames, KprTracker(SELECTIVE))))
    assert len(calls) < 3 * len(scene.frames)
