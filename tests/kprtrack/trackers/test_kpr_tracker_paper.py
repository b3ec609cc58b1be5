"""configs/track/paper.py: the tracker of the paper, by appearance alone."""

from dataclasses import replace

import numpy as np
import pytest
from support import paths
from support.scenes import (
    PARTS,
    Actor,
    Film,
    film,
    first_visible,
    identities,
    random_embeddings,
    run_tracker,
    similar_embedding,
    walk,
)

from kprtrack.build import build_tracker
from kprtrack.config import load_config
from kprtrack.core.datatypes import Observation
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

RECIPE = paths.ROOT / "configs" / "track" / "paper.py"
EMBEDDINGS = random_embeddings(6)


@pytest.fixture(scope="module")
def paper() -> KprTrackerConfig:
    tracker = build_tracker(load_config(RECIPE).tracker, fps=30)
    assert isinstance(tracker, KprTracker)
    return tracker.config


def ids_of(scene: Film, config: KprTrackerConfig) -> dict[int, list[int]]:
    return identities(scene, run_tracker(scene, config))


def changed_looks(distance: float) -> Film:
    """A person stands still; from 2 s on the embedding is `distance` away."""
    other = similar_embedding(EMBEDDINGS[0], distance)
    scene = film([Actor(EMBEDDINGS[0], walk(100))], 4, noise=0)
    return scene.with_features(lambda one: (other if one.time_s >= 2 else EMBEDDINGS[0])[None])


def test_a_person_who_jumps_across_the_image_is_matched_by_appearance(paper: KprTrackerConfig) -> None:
    jumps = first_visible(*(walk(300 * row, 200 * (row % 3), start_s=row, end_s=row + 1) for row in range(5)))
    still = Actor(EMBEDDINGS[1], walk(10, 700))
    assert ids_of(film([Actor(EMBEDDINGS[0], jumps), still], 5), paper) == {0: [1] * 50, 1: [2] * 50}


def test_two_people_who_exchange_their_places_keep_their_ids(paper: KprTrackerConfig) -> None:
    first = first_visible(walk(100, end_s=2), walk(400, start_s=2))
    second = first_visible(walk(400, end_s=2), walk(100, start_s=2))
    scene = film([Actor(EMBEDDINGS[0], first), Actor(EMBEDDINGS[1], second)], 4)
    assert ids_of(scene, paper) == {0: [1] * 40, 1: [2] * 40}


def test_a_part_distance_below_the_gate_is_the_same_person(paper: KprTrackerConfig) -> None:
    assert ids_of(changed_looks(0.19), paper)[0] == [1] * 40


def test_a_part_distance_above_the_gate_is_another_person(paper: KprTrackerConfig) -> None:
    assert ids_of(changed_looks(0.21), paper)[0] == [1] * 20 + [0] + [2] * 19


@pytest.mark.parametrize("score", [0.9, 0.5])
def test_no_stage_matches_above_the_gate(paper: KprTrackerConfig, score: float) -> None:
    scene = changed_looks(0.21)
    frames = [replace_score(one, 0.9 if one.time_s < 2 else score) for one in scene.frames]
    assert 1 not in ids_of(Film(frames, scene.actors), paper)[0][20:]


def replace_score(one: Observation, score: float) -> Observation:
    found = replace(one.detections, scores=np.full(len(one), score, np.float32))
    return replace(one, detections=found)


def test_a_low_score_below_the_gate_continues_a_track(paper: KprTrackerConfig) -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100), score=lambda time_s: 0.9 if time_s < 2 else 0.3)], 4)
    assert ids_of(scene, paper)[0] == [1] * 40


def test_people_without_a_common_visible_part_are_never_matched(paper: KprTrackerConfig) -> None:
    upper = np.arange(PARTS) < 2
    scene = film([Actor(EMBEDDINGS[0], walk(100))], 4, noise=0)
    frames = []
    for one in scene.frames:
        visible = upper if one.time_s < 2 else ~upper
        frames.append(replace(one, embeddings=replace(one.embeddings, visible=visible[None])))
    assert ids_of(Film(frames, scene.actors), paper)[0] == [1] * 20 + [0] + [2] * 19


def test_only_common_parts_are_compared(paper: KprTrackerConfig) -> None:
    """The parts that differ are occluded."""
    scene = film([Actor(EMBEDDINGS[0], walk(100))], 4, noise=0)
    upper = np.arange(PARTS) < 2
    other = np.where(upper[:, None], EMBEDDINGS[0], EMBEDDINGS[1])
    frames = []
    for one in scene.with_features(lambda one: (other if one.time_s >= 2 else EMBEDDINGS[0])[None]).frames:
        visible = upper if one.time_s >= 2 else np.ones(PARTS, bool)
        frames.append(replace(one, embeddings=replace(one.embeddings, visible=visible[None])))
    tracks = run_tracker(Film(frames, scene.actors), paper)
    assert {tuple(one.ids) for one in tracks} == {(1,)}
    assert max(one.distances[0] for one in tracks[1:]) < 1e-5


def test_embeddings_of_occluded_parts_are_kept(paper: KprTrackerConfig) -> None:
    """Embeddings of occluded parts do not change the moving average for 2 s."""
    scene = film([Actor(EMBEDDINGS[0], walk(100))], 4, noise=0)
    upper = np.arange(PARTS) < 2
    wrong = np.where(upper[:, None], EMBEDDINGS[0], EMBEDDINGS[1])
    hidden = [1 <= one.time_s < 3 for one in scene.frames]
    frames = []
    for one, hides in zip(scene.frames, hidden, strict=True):
        embeddings = replace(
            one.embeddings,
            features=(wrong if hides else EMBEDDINGS[0])[None],
            visible=(upper if hides else np.ones(PARTS, bool))[None],
        )
        frames.append(replace(one, embeddings=embeddings))
    tracks = run_tracker(Film(frames, scene.actors), paper)
    assert {tuple(one.ids) for one in tracks} == {(1,)}
    assert tracks[30].distances[0] < 1e-5


def test_embeddings_move_by_a_tenth_per_frame(paper: KprTrackerConfig) -> None:
    """After one changed frame the distance to it is that of the moving average."""
    scene = changed_looks(0.15)
    distances = [float(one.distances[0]) for one in run_tracker(scene, paper)[20:23]]
    old, new = EMBEDDINGS[0], similar_embedding(EMBEDDINGS[0], 0.15)
    expected = []
    for _ in range(3):
        expected.append(float(np.mean(1 - (old * new).sum(-1))))
        old = 0.9 * old + 0.1 * new
        old /= np.linalg.norm(old, axis=-1, keepdims=True)
    np.testing.assert_allclose(distances, expected, atol=1e-5)


def test_no_identity_is_ever_corrected(paper: KprTrackerConfig) -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], walk(400, start_s=1))], 3)
    assert ids_of(scene, paper)[1] == [0] + [2] * 19


def test_a_new_track_needs_a_score_of_0_7_at_once(paper: KprTrackerConfig) -> None:
    rising = Actor(EMBEDDINGS[1], walk(400, start_s=1), score=lambda time_s: 0.65 if time_s < 2 else 0.9)
    assert ids_of(film([Actor(EMBEDDINGS[0], walk(100)), rising], 4), paper)[1] == [0] * 11 + [2] * 19


@pytest.mark.parametrize(("gap_s", "ids"), [(9, {1}), (11, {1, 2})])
@pytest.mark.parametrize("fps", [5, 15])
def test_tracks_are_kept_for_10_s(paper: KprTrackerConfig, gap_s: float, ids: set[int], fps: float) -> None:
    there = first_visible(walk(100, end_s=2), walk(900, start_s=2 + gap_s))
    assert set(ids_of(film([Actor(EMBEDDINGS[0], there)], 15, fps), paper)[0]) - {0} == ids


def test_without_embeddings_the_paper_tracker_matches_nothing(paper: KprTrackerConfig) -> None:
    scene = film([Actor(EMBEDDINGS[0], walk(100))], 2).without_embeddings()
    assert ids_of(scene, paper)[0] == [1] + [0] * 19
