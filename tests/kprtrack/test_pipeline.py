"""observe and track, with functions in place of networks."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support import fake_run

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks
from kprtrack.core.errors import InputError, UserError
from kprtrack.pipeline import observe, track
from kprtrack.trackers.kpr import KprTracker


class LateTracker:
    """Numbers tracks from 100 on and corrects the numbers to 1, 2, ... when they are finalized."""

    output_delay_s = 0.3

    def update(self, observation: Observation) -> Tracks:
        [found] = [observation.detections]
        return Tracks(
            observation.frame_number,
            observation.time_s,
            np.arange(len(found)) + 100,
            found.boxes,
            found.scores,
            observation.poses.keypoints,
            np.full(len(found), np.nan, np.float32),
            np.full(len(found), np.nan, np.float32),
            observation.embeddings.visible,
            observation.embeddings.prompted,
        )

    def finalize(self, tracks: Tracks) -> Tracks:
        return replace(tracks, ids=tracks.ids - 99)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 100])
def test_every_frame_is_observed_once_in_order_whatever_the_batch(batch_size: int) -> None:
    seen = list(observe(fake_run.frames(10), fake_run.NETWORKS, batch_size))
    assert [one.frame_number for one in seen] == list(range(10))
    assert [one.detections.boxes[0, 0] for one in seen] == [2 + number for number in range(10)]


def test_networks_get_at_most_batch_size_frames() -> None:
    sizes = []

    def detect(batch: list[Frame]) -> list[Detections]:
        sizes.append(len(batch))
        return fake_run.detect(batch)

    list(observe(fake_run.frames(10), replace(fake_run.NETWORKS, detect=detect), 4))
    assert sizes == [4, 4, 2]


def test_frames_before_the_damage_are_observed() -> None:
    def broken() -> Iterator[Frame]:
        yield from fake_run.frames(3)
        raise InputError("the disk has a hole")

    seen = []
    with pytest.raises(InputError, match="hole"):
        for one in observe(broken(), fake_run.NETWORKS, 8):
            seen.append(one.frame_number)
    assert seen == [0, 1, 2]


def test_a_network_that_omits_a_frame_is_an_error() -> None:
    forgetful = replace(fake_run.NETWORKS, detect=lambda batch: fake_run.detect(batch[1:]))
    with pytest.raises(ValueError, match="zip"):
        list(observe(fake_run.frames(3), forgetful, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_encoder_output_that_is_not_finite_is_an_error(value: float) -> None:
    def embed(batch: list[Frame], detections: list[Detections], poses: list[Poses]) -> list[Appearance]:
        found = fake_run.NETWORKS.embed(batch, detections, poses)
        shapes = [(len(each), 1, 4) for each in found]
        return [
            Appearance(np.full(shape, value, np.float32), np.ones(shape[:2], bool), each.prompted)
            for shape, each in zip(shapes, found, strict=True)
        ]

    with pytest.raises(UserError, match=r"frame 0\. Try precision fp32"):
        list(observe(fake_run.frames(3), replace(fake_run.NETWORKS, embed=embed)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "wrong", [[5, 5, 5, 5], [5, 5, 9, 5], [9, 5, 5, 9], [0, 0, np.inf, 9], [0, 0, 1e30, 1e30]]
)
def test_a_detector_with_impossible_boxes_is_an_error(wrong: list[float]) -> None:
    def detect(batch: list[Frame]) -> list[Detections]:
        return [replace(found, boxes=np.float32([[1, 1, 5, 9], wrong])) for found in fake_run.detect(batch)]

    with pytest.raises(UserError, match=r"detector gave boxes without an area, .* for frame 0\."):
        list(observe(fake_run.frames(3), replace(fake_run.NETWORKS, detect=detect)))


@pytest.mark.parametrize("score", [37.2, -0.1, np.nan])
def test_a_detector_with_scores_outside_their_range_is_an_error(score: float) -> None:
    def detect(batch: list[Frame]) -> list[Detections]:
        return [replace(found, scores=np.float32([0.9, score])) for found in fake_run.detect(batch)]

    with pytest.raises(UserError, match="detector gave scores outside 0 to 1 for frame 0"):
        list(observe(fake_run.frames(3), replace(fake_run.NETWORKS, detect=detect)))


@pytest.mark.parametrize("number", [np.nan, np.inf, -0.1])
def test_a_pose_network_with_impossible_numbers_is_an_error(number: float) -> None:
    def estimate_poses(batch: list[Frame], detections: list[Detections]) -> list[Poses]:
        return [Poses(np.full((len(found), 17, 3), number, np.float32)) for found in detections]

    with pytest.raises(UserError, match=r"pose network gave numbers .* frame 0"):
        list(observe(fake_run.frames(3), replace(fake_run.NETWORKS, estimate_poses=estimate_poses)))


def test_tracks_are_complete_and_corrected() -> None:
    tracks = list(track(observe(fake_run.frames(10), fake_run.NETWORKS), LateTracker()))
    assert [one.frame_number for one in tracks] == list(range(10))
    assert {tuple(one.ids.tolist()) for one in tracks} == {(1, 2)}


def numbers_after_each_frame(delay_s: float, count: int) -> list[list[int]]:
    """Frame numbers that `track` has yielded by the time each next observation is asked for."""
    yielded: list[int] = []
    asked: list[list[int]] = []

    def observations() -> Iterator[Observation]:
        for observation in observe(fake_run.frames(count), fake_run.NETWORKS, 1):
            asked.append(list(yielded))
            yield observation

    tracker = LateTracker()
    tracker.output_delay_s = delay_s
    for tracks in track(observations(), tracker):
        yielded.append(tracks.frame_number)
    return [*asked, yielded]


def test_tracks_are_yielded_once_they_are_older_than_the_output_delay() -> None:
    asked = numbers_after_each_frame(0.3, 6)
    assert asked == [[], [], [], [], [0], [0, 1], [0, 1, 2, 3, 4, 5]]


def test_tracks_are_yielded_at_once_without_output_delay() -> None:
    assert numbers_after_each_frame(0.0, 3) == [[], [0], [0, 1], [0, 1, 2]]


@pytest.mark.parametrize("error", [InputError("cut short"), KeyboardInterrupt(), RuntimeError("a bug")])
def test_frames_before_an_error_are_yielded_finalized_before_it_is_raised(error: BaseException) -> None:
    def observations() -> Iterator[Observation]:
        yield from observe(fake_run.frames(5), fake_run.NETWORKS)
        raise error

    tracks = []
    with pytest.raises(type(error)) as caught:
        for one in track(observations(), LateTracker()):
            tracks.append(one)
    assert caught.value is error
    assert [one.frame_number for one in tracks] == [0, 1, 2, 3, 4]
    assert {tuple(one.ids.tolist()) for one in tracks} == {(1, 2)}


def test_nothing_is_finalized_after_the_consumer_stops() -> None:
    finalized = []

    class Recorder(LateTracker):
        def finalize(self, tracks: Tracks) -> Tracks:
            finalized.append(tracks.frame_number)
            return super().finalize(tracks)

    stream = track(observe(fake_run.frames(10), fake_run.NETWORKS), Recorder())
    next(stream)
    stream.close()
    assert finalized == [0]


def test_two_walking_people_keep_their_identities() -> None:
    tracks = list(track(observe(fake_run.frames(12), fake_run.NETWORKS), KprTracker()))
    assert {tuple(one.ids.tolist()) for one in tracks} == {(1, 2)}


def test_frames_without_people_have_empty_tracks() -> None:
    tracks = list(track(observe(fake_run.frames(3), fake_run.NO_PEOPLE), KprTracker()))
    assert [len(one) for one in tracks] == [0, 0, 0]
