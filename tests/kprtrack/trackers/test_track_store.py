"""The track store: rows stay together, embeddings are averaged part by part."""

from dataclasses import fields

import numpy as np
from support.scenes import PARTS, Actor, film, random_embeddings, walk

from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Observation
from kprtrack.trackers.track_store import TrackStore

EMBEDDINGS = random_embeddings(4)
EVERYBODY = np.array([0, 1, 2])
CLEAR = np.ones(3, bool)


def three_people(time_s: float = 0.0) -> Observation:
    """Three people; part 0 of the second is occluded."""
    hidden = (False, *[True] * (PARTS - 1))
    actors = [
        Actor(EMBEDDINGS[0], walk(100, speed=10), 0.5),
        Actor(EMBEDDINGS[1], walk(300, speed=10), 0.6, hidden),
        Actor(EMBEDDINGS[2], walk(500, speed=10), 0.7),
    ]
    return film(actors, 5, noise=0).frames[round(time_s * 10)]


def remembered(clear: np.ndarray = CLEAR) -> TrackStore:
    people = TrackStore()
    people.add(three_people(), EVERYBODY, np.array([7, -8, 9]), clear)
    return people


def embeddings(features: np.ndarray, visible: np.ndarray | None = None) -> Appearance:
    observation = np.ones(features.shape[:2], bool) if visible is None else visible
    return Appearance(features, observation, np.ones(len(features), bool))


def test_a_new_store_is_empty() -> None:
    assert len(TrackStore()) == 0


def test_adding_no_track_changes_nothing() -> None:
    people = TrackStore()
    people.add(three_people(), np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool))
    assert len(people) == 0 and people.embeddings is None


def test_row_i_is_the_same_track_in_every_array() -> None:
    people, observation = remembered(), three_people()
    assert people.ids.tolist() == [7, -8, 9]
    assert people.best_scores.tolist() == observation.detections.scores.tolist()
    assert np.array_equal(people.keypoints, observation.poses.keypoints)
    assert np.array_equal(people.embeddings_of(EVERYBODY).visible, observation.embeddings.visible)
    np.testing.assert_allclose(people.motion.boxes, observation.detections.boxes)


def test_removing_a_track_keeps_the_rows_of_the_others_together() -> None:
    people, observation = remembered(), three_people()
    people.keep(np.array([False, True, True]))
    assert people.ids.tolist() == [-8, 9]
    arrays = [
        getattr(people, field.name) for field in fields(people) if field.name not in ("embeddings", "motion")
    ]
    assert (
        {len(one) for one in arrays} == {2} == {len(people.embeddings_of(np.arange(2))), len(people.motion)}
    )
    assert np.array_equal(people.keypoints, observation.poses.keypoints[1:])
    assert np.array_equal(people.embeddings_of(np.arange(2)).features, observation.embeddings.features[1:])
    np.testing.assert_allclose(people.motion.boxes, observation.detections.boxes[1:])


def test_update_state_moves_tracks_and_keeps_their_embeddings() -> None:
    people, later = remembered(), three_people(1.0)
    before = people.embeddings_of(EVERYBODY)
    people.update_state(np.array([2, 0]), later, np.array([2, 0]))
    assert people.last_seen_s.tolist() == [1.0, 0.0, 1.0]
    assert people.first_seen_s.tolist() == [0.0] * 3
    assert np.array_equal(people.keypoint_boxes[[0, 2]], later.detections.boxes[[0, 2]])
    assert np.array_equal(people.embeddings_of(EVERYBODY).features, before.features)
    assert people.updates.tolist() == [1, 1, 1]


def test_the_best_score_is_kept() -> None:
    people, later = remembered(), three_people(1.0)
    people.update_state(np.array([0, 1]), later, np.array([2, 0]))
    np.testing.assert_allclose(people.best_scores, [0.7, 0.6, 0.7])


def test_the_first_looks_count_as_much_as_the_second() -> None:
    """With few updates the average is the plain mean."""
    people = remembered()
    people.update_embedding(np.array([0]), embeddings(EMBEDDINGS[3:4]), 0.9, 1.0)
    mean = EMBEDDINGS[0] + EMBEDDINGS[3]
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    np.testing.assert_allclose(people.embeddings_of(np.array([0])).features[0], mean, atol=1e-6)
    assert people.updates.tolist() == [2, 1, 1]


def test_the_past_weighs_no_more_than_the_momentum() -> None:
    people = remembered()
    for _ in range(30):
        people.update_embedding(np.array([0]), embeddings(EMBEDDINGS[:1]), 0.9, 1.0)
    people.update_embedding(np.array([0]), embeddings(EMBEDDINGS[3:4]), 0.9, 1.0)
    mixed = 0.9 * EMBEDDINGS[0] + 0.1 * EMBEDDINGS[3]
    mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)
    np.testing.assert_allclose(people.embeddings_of(np.array([0])).features[0], mixed, atol=1e-5)


def test_a_hidden_part_is_not_learned_and_stays_known() -> None:
    people = remembered()
    visible = np.arange(PARTS)[None] > 1
    people.update_embedding(np.array([0]), embeddings(EMBEDDINGS[3:4], visible), 0.9, 1.0)
    learned = people.embeddings_of(np.array([0]))
    assert np.array_equal(learned.features[0, :2], EMBEDDINGS[0, :2])
    assert not np.allclose(learned.features[0, 2:], EMBEDDINGS[0, 2:])
    assert learned.visible.all()


def test_a_part_seen_for_the_first_time_is_taken_as_it_is() -> None:
    people = remembered()
    people.update_embedding(np.array([1]), embeddings(EMBEDDINGS[3:4]), 0.9, 1.0)
    learned = people.embeddings_of(np.array([1]))
    np.testing.assert_allclose(learned.features[0, 0], EMBEDDINGS[3, 0], atol=1e-6)
    assert learned.visible.all()


def test_looks_of_the_first_clear_sight_replace_those_of_a_covered_one() -> None:
    people = remembered(np.array([False, True, True]))
    people.update_embedding(np.array([0]), embeddings(EMBEDDINGS[3:4]), 0.9, 1.0)
    np.testing.assert_allclose(people.embeddings_of(np.array([0])).features[0], EMBEDDINGS[3], atol=1e-6)
    assert people.updates.tolist() == [1, 1, 1]


def test_parts_seen_only_while_covered_are_forgotten_at_the_first_clear_sight() -> None:
    people = remembered(np.array([False, True, True]))
    visible = np.arange(PARTS)[None] > 1
    people.update_embedding(np.array([0]), embeddings(EMBEDDINGS[3:4], visible), 0.9, 1.0)
    assert np.array_equal(people.embeddings_of(np.array([0])).visible, visible)


def test_an_empty_frame_that_knows_no_size_of_looks_teaches_nothing() -> None:
    people = remembered()
    people.update_embedding(np.zeros(0, int), empty_appearance(), 0.9, 1.0)
    assert people.updates.tolist() == [1, 1, 1]


def test_people_without_looks_are_remembered() -> None:
    observation = three_people()
    people = TrackStore()
    bare = Observation(0, 0.0, observation.detections, observation.poses, empty_appearance(3))
    people.add(bare, EVERYBODY, np.array([1, 2, 3]), CLEAR)
    people.update_embedding(EVERYBODY, empty_appearance(3), 0.9, 1.0)
    people.keep(np.array([True, False, True]))
    assert people.ids.tolist() == [1, 3] and people.updates.tolist() == [2, 2]
