"""Every entry of the tables of components and formats keeps the contract of its kind.

A new entry is tested without a change here. It is skipped, with the reason, where its package or its weights
are not installed and tests/support/untrained.py has no network for its class.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.contract_cases import (
    COMPUTE,
    Case,
    demo_detections,
    demo_frames,
    demo_poses,
    demo_tracks,
    open_component,
    two_people,
)

from kprtrack.build import network_table
from kprtrack.config import configure
from kprtrack.core.datatypes import Detections, Frame, Poses, Tracks, empty_detections, empty_poses
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.geometry import iou
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.detectors import DETECTORS
from kprtrack.io import FORMATS, RunHeader, open_writer, read_tracks, suffix_of
from kprtrack.pipeline import BaseTracker, Detector, PoseEstimator, track
from kprtrack.poses import POSES
from kprtrack.reid_encoders import REID_ENCODERS
from kprtrack.trackers import TRACKERS

LARGE = {"yolox-tiny", "yolox-s", "yolox-m", "yolox-l", "yolox-x", "hrnet-w32", "hrnet-w48"}  # take seconds
MIN_RECALL = 0.5  # of the ground-truth people of the demo clip, at an IoU of 0.5
MIN_KEYPOINTS = 0.5  # share of visible keypoints within a tenth of the height of the person


def entries(table: Any) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in table]


def people(name: str) -> tuple[list[Frame], list[Detections]]:
    """Frames of the demo clip and their people; few of both for a large network."""
    frames, detections = demo_frames(), demo_detections()
    if name not in LARGE:
        return frames, detections
    return frames[:2], [Detections(found.boxes[:2], found.scores[:2]) for found in detections[:2]]


@pytest.fixture(autouse=True)
def _weights_of_the_package_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "store"))


# --- detectors


@pytest.fixture(scope="module")
def detectors() -> dict[str, Case]:
    return {}


def opened(role: str, name: str, folder: Path, known: dict[str, Case]) -> Case:
    if name not in known:
        known[name] = open_component(role, name, folder)
    return known[name]


def assert_same_detections(ours: Detections, theirs: Detections) -> None:
    """The same boxes, in any order where scores are nearly equal."""
    assert len(ours) == len(theirs)
    if len(ours):
        distances = np.abs(ours.boxes[:, None] - theirs.boxes[None]).max(axis=2)  # pixels
        nearest = distances.argmin(axis=0)
        assert distances.min(axis=0).max() < 0.05
        np.testing.assert_allclose(ours.scores[nearest], theirs.scores, atol=1e-4)


def assert_detects_the_demo(detector: Detector) -> None:
    """At least half of the people of the demo clip are detected."""
    found = detector(demo_frames())
    matched = [
        iou(tracks.boxes.astype(float), detections.boxes.astype(float)).max(axis=1, initial=0) >= 0.5
        for tracks, detections in zip(demo_tracks(), found, strict=True)
    ]
    assert np.concatenate(matched).mean() >= MIN_RECALL


@pytest.mark.parametrize("name", entries(DETECTORS))
class TestDetector:
    def test_detections_have_the_documented_shapes_and_order(self, name, tmp_path, detectors) -> None:
        for found in opened("detector", name, tmp_path, detectors).network(people(name)[0]):
            assert found.boxes.dtype == found.scores.dtype == np.float32
            assert found.boxes.shape == (len(found.scores), 4)
            assert np.isfinite(found.boxes).all()
            assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
            assert ((found.scores >= 0) & (found.scores <= 1)).all()
            assert (np.diff(found.scores) <= 0).all()

    def test_no_frames_and_blank_frames_are_accepted(self, name, tmp_path, detectors) -> None:
        detect = opened("detector", name, tmp_path, detectors).network
        assert detect([]) == []
        blank = np.zeros_like(people(name)[0][0].image)  # detections of a file fit images of one size
        (found,) = detect([Frame(10**6, 0.0, blank)])
        assert found.boxes.shape == (len(found.scores), 4)

    def test_a_batch_gives_the_results_of_single_frames(self, name, tmp_path, detectors) -> None:
        detect = opened("detector", name, tmp_path, detectors).network
        frames, _ = people(name)
        if DETECTORS[name][0].weights_from != "path":  # detections of a file fit images of one size
            smaller = Frame(frames[1].number, frames[1].time_s, frames[1].image[:300, :400])
            frames = [frames[0], smaller, *frames[2:]]
        for frame, found in zip(frames, detect(frames), strict=True):
            assert_same_detections(found, detect([frame])[0])

    def test_the_same_frames_give_the_same_detections(self, name, tmp_path, detectors) -> None:
        detect = opened("detector", name, tmp_path, detectors).network
        for first, second in zip(*(detect(people(name)[0]) for _ in range(2)), strict=True):
            np.testing.assert_array_equal(first.boxes, second.boxes)
            np.testing.assert_array_equal(first.scores, second.scores)

    def test_people_of_the_demo_clip_are_detected(self, name, tmp_path, detectors) -> None:
        case = opened("detector", name, tmp_path, detectors)
        if not case.trained:
            pytest.skip(f"the weights of {name} are not part of the package")
        assert_detects_the_demo(case.network)


class DetectsNobody(Detector):
    """A detector that a contract must reject."""

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        return [empty_detections() for _ in frames]


def test_a_detector_without_detections_fails_on_the_demo_clip() -> None:
    with pytest.raises(AssertionError):
        assert_detects_the_demo(DetectsNobody(None, None, None))


# --- pose estimators


@pytest.fixture(scope="module")
def poses() -> dict[str, Case]:
    return {}


def assert_estimates_the_demo(estimator: PoseEstimator) -> None:
    """At least half of the visible keypoints of the demo clip are near the ground truth."""
    found = estimator(demo_frames(), demo_detections())
    near = []
    for tracks, estimated in zip(demo_tracks(), found, strict=True):
        visible = tracks.keypoints[..., 2] == 1
        distances = np.linalg.norm(tracks.keypoints[..., :2] - estimated.keypoints[..., :2], axis=-1)
        heights = tracks.boxes[:, 3] - tracks.boxes[:, 1]
        near.append(((distances < heights[:, None] / 10) & (estimated.keypoints[..., 2] > 0))[visible])
    assert np.concatenate(near).mean() >= MIN_KEYPOINTS


@pytest.mark.parametrize("name", entries(POSES))
class TestPoseEstimator:
    def test_poses_have_the_documented_shapes(self, name, tmp_path, poses) -> None:
        estimate = opened("pose", name, tmp_path, poses).network
        frames, detections = people(name)
        for found, boxes in zip(estimate(frames, detections), detections, strict=True):
            assert found.keypoints.dtype == np.float32
            assert found.keypoints.shape == (len(boxes), len(KEYPOINTS), 3)
            assert np.isfinite(found.keypoints).all()
            assert ((found.keypoints[..., 2] >= 0) & (found.keypoints[..., 2] <= 1)).all()

    def test_frames_without_people_have_no_poses(self, name, tmp_path, poses) -> None:
        estimate = opened("pose", name, tmp_path, poses).network
        assert estimate([], []) == []
        detections = [empty_detections(), people(name)[1][1], empty_detections()]
        found = estimate(demo_frames()[:3], detections)
        assert [len(one) for one in found] == [0, len(detections[1]), 0]

    def test_a_batch_gives_the_results_of_single_people_in_any_order(self, name, tmp_path, poses) -> None:
        estimate = opened("pose", name, tmp_path, poses).network
        together = estimate(*people(name))
        for frame, detections, found in zip(*people(name), together, strict=True):
            rows = np.arange(len(detections))[::-1]
            (reverse,) = estimate([frame], [Detections(detections.boxes[rows], detections.scores[rows])])
            np.testing.assert_allclose(reverse.keypoints[rows], found.keypoints, atol=0.05)

    def test_the_same_people_get_the_same_poses(self, name, tmp_path, poses) -> None:
        estimate = opened("pose", name, tmp_path, poses).network
        first, second = (estimate(*people(name)) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one.keypoints, other.keypoints)

    def test_keypoints_of_the_demo_clip_are_near_the_ground_truth(self, name, tmp_path, poses) -> None:
        case = opened("pose", name, tmp_path, poses)
        if not case.trained:
            pytest.skip(f"the weights of {name} are not part of the package")
        assert_estimates_the_demo(case.network)


class EstimatesNothing(PoseEstimator):
    """A pose estimator that a contract must reject."""

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        return [empty_poses(len(found)) for found in detections]


def test_a_pose_estimator_without_keypoints_fails_on_the_demo_clip() -> None:
    with pytest.raises(AssertionError):
        assert_estimates_the_demo(EstimatesNothing(None, None, None))


# --- ReID encoders


@pytest.fixture(scope="module")
def encoders() -> dict[str, Case]:
    return {}


@pytest.mark.parametrize("name", entries(REID_ENCODERS))
class TestReidEncoder:
    def test_embeddings_have_the_documented_shapes_and_unit_length(self, name, tmp_path, encoders) -> None:
        embed = opened("reid", name, tmp_path, encoders).network
        for found, boxes in zip(
            embed(demo_frames(), demo_detections(), demo_poses()), demo_detections(), strict=True
        ):
            assert len(found) == len(boxes)
            assert (found.features.dtype, found.visible.dtype, found.prompted.dtype) == (
                np.float32,
                bool,
                bool,
            )
            assert found.features.shape[:2] == found.visible.shape
            lengths = np.linalg.norm(found.features, axis=2)[found.visible]
            np.testing.assert_allclose(lengths, 1, atol=1e-4)

    def test_frames_without_people_have_no_embeddings(self, name, tmp_path, encoders) -> None:
        embed = opened("reid", name, tmp_path, encoders).network
        assert embed([], [], []) == []
        frames, people, skeletons = demo_frames()[:2], demo_detections()[:2], demo_poses()[:2]
        without_people, with_people = embed(
            frames, [empty_detections(), people[1]], [empty_poses(), skeletons[1]]
        )
        assert (len(without_people), len(with_people)) == (0, len(people[1]))
        assert without_people.features.shape[1:] == with_people.features.shape[1:]
        (alone,) = embed(frames[:1], [empty_detections()], [empty_poses()])
        assert alone.features.shape == without_people.features.shape

    def test_a_batch_gives_the_results_of_single_frames_in_any_order(self, name, tmp_path, encoders) -> None:
        embed = opened("reid", name, tmp_path, encoders).network
        together = embed(demo_frames(), demo_detections(), demo_poses())
        for frame, found, poses, wanted in zip(
            demo_frames(), demo_detections(), demo_poses(), together, strict=True
        ):
            rows = np.arange(len(found))[::-1]
            (reverse,) = embed(
                [frame], [Detections(found.boxes[rows], found.scores[rows])], [Poses(poses.keypoints[rows])]
            )
            np.testing.assert_allclose(reverse.features[rows], wanted.features, atol=1e-4)
            np.testing.assert_array_equal(reverse.visible[rows], wanted.visible)
            np.testing.assert_array_equal(reverse.prompted[rows], wanted.prompted)

    def test_the_same_people_get_the_same_embeddings(self, name, tmp_path, encoders) -> None:
        embed = opened("reid", name, tmp_path, encoders).network
        first, second = (embed(demo_frames(), demo_detections(), demo_poses()) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one.features, other.features)


NETWORKS = [
    (role, name)
    for role, table in (("detector", DETECTORS), ("pose", POSES), ("reid", REID_ENCODERS))
    for name, (network, _) in table.items()
    if network.weights_from not in ("none", "detector")
]


@pytest.mark.parametrize(("role", "name"), NETWORKS)
def test_missing_weights_are_an_error_of_one_line_that_names_the_file(role, name, tmp_path) -> None:
    network, config = network_table(role)[name]
    try:
        made = configure(config, {})
    except UserError as error:
        pytest.skip(f"{name} needs options: {error}")
    with pytest.raises(UserError, match=r"missing\.weights") as error:
        network(made, tmp_path / "missing.weights", COMPUTE)
    assert "\n" not in str(error.value)


# --- trackers


def tracks_of(name: str, **options: Any) -> list[Tracks]:
    tracker, config = TRACKERS[name]
    return list(track(two_people(50, **options), tracker(configure(config, {}), 25.0)))


@pytest.mark.parametrize("name", TRACKERS)
class TestTracker:
    @pytest.mark.parametrize("parts", [0, 2])
    def test_two_people_who_do_not_meet_keep_their_ids(self, name, parts) -> None:
        frames = tracks_of(name, parts=parts)
        assert [frame.frame_number for frame in frames] == list(range(50))
        ids = np.concatenate([frame.ids for frame in frames])
        upper = np.concatenate([frame.boxes[:, 1] < 300 for frame in frames])
        assert len(set(ids)) == 2
        assert len(set(ids[upper])) == len(set(ids[~upper])) == 1
        assert len(ids) >= 50  # at least half of the 100 detections

    def test_tracks_have_the_documented_shapes_and_the_boxes_of_the_detector(self, name) -> None:
        for frame, observation in zip(tracks_of(name), two_people(50), strict=True):
            assert frame.ids.dtype == np.int64
            assert (frame.ids >= 1).all()
            assert len(set(frame.ids)) == len(frame)
            assert frame.boxes.dtype == frame.scores.dtype == frame.keypoints.dtype == np.float32
            boxes = {tuple(box) for box in observation.detections.boxes}
            assert {tuple(box) for box in frame.boxes} <= boxes

    def test_frames_without_people_have_no_tracks(self, name) -> None:
        tracker, config = TRACKERS[name]
        observations = two_people(5)
        without_people = [
            type(one)(
                one.frame_number,
                one.time_s,
                empty_detections(),
                empty_poses(),
                one.embeddings[np.zeros(0, int)],
            )
            for one in observations
        ]
        frames = list(track(without_people, tracker(configure(config, {}), 25.0)))
        assert [len(frame) for frame in frames] == [0] * 5

    def test_the_same_observations_give_the_same_tracks(self, name) -> None:
        for one, other in zip(tracks_of(name), tracks_of(name), strict=True):
            np.testing.assert_array_equal(one.ids, other.ids)
            np.testing.assert_array_equal(one.boxes, other.boxes)

    def test_the_order_of_detections_does_not_change_who_is_associated(self, name) -> None:
        def partition(frames: list[Tracks]) -> set[frozenset[tuple[int, float]]]:
            members: dict[int, set[tuple[int, float]]] = {}
            for frame in frames:
                for track_id, box in zip(frame.ids.tolist(), frame.boxes.tolist(), strict=True):
                    members.setdefault(track_id, set()).add((frame.frame_number, box[0]))
            return set(map(frozenset, members.values()))

        assert partition(tracks_of(name)) == partition(tracks_of(name, reverse=True))

    def test_output_delay_is_not_negative(self, name) -> None:
        tracker, config = TRACKERS[name]
        started: BaseTracker = tracker(configure(config, {}), 25.0)
        assert started.output_delay_s >= 0


# --- formats


def written(path: Path, name: str, frames: list[Tracks]) -> Path:
    try:
        with open_writer(path, RunHeader(), name) as writer:
            for frame in frames:
                writer.write(frame)
    except UserError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    return path


@pytest.mark.parametrize("name", FORMATS)
class TestFormat:
    def path(self, folder: Path, name: str) -> Path:
        return folder / f"tracks{suffix_of(name)}"

    def test_tracks_are_read_as_they_were_written(self, name, tmp_path) -> None:
        frames = demo_tracks()
        file = read_tracks(written(self.path(tmp_path, name), name, frames), name)
        found = {frame.frame_number: frame for frame in file.frames}
        for frame in frames:
            order, wanted = np.argsort(found[frame.frame_number].ids), np.argsort(frame.ids)
            np.testing.assert_array_equal(found[frame.frame_number].ids[order], frame.ids[wanted])
            np.testing.assert_allclose(
                found[frame.frame_number].boxes[order], frame.boxes[wanted], atol=0.02, rtol=0
            )

    def test_the_same_tracks_give_the_same_file(self, name, tmp_path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        first, second = (
            written(self.path(tmp_path / sub, name), name, demo_tracks()).read_bytes() for sub in ("a", "b")
        )
        assert first == second

    def test_a_file_without_frames_can_be_written(self, name, tmp_path) -> None:
        assert written(self.path(tmp_path, name), name, []).exists()

    @pytest.mark.parametrize("content", [None, b"\x00\x01 no result file"])
    def test_missing_and_damaged_files_are_an_error_of_one_line(self, name, content, tmp_path) -> None:
        path = self.path(tmp_path, name)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError) as error:
            read_tracks(path, name)
        assert isinstance(error.value, InputError) or "pip install" in str(error.value)
        assert "\n" not in str(error.value)
