"""A speed ratio is fair only if both ways give the same answer."""

import numpy as np
import pytest
from support import paths

from kprtrack.core.datatypes import Detections, Observation, Poses
from kprtrack.trackers.bytetrack import ByteTrack, ByteTrackConfig
from reid.model.prompts import PromptConfig, make_prompts


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


def some_of(observation: Observation, rows: np.ndarray) -> Observation:
    found = Detections(observation.detections.boxes[rows], observation.detections.scores[rows])
    return Observation(
        observation.frame_number,
        observation.time_s,
        found,
        Poses(observation.poses.keypoints[rows]),
        observation.embeddings[rows],
    )


def test_reference_bytetrack_gives_the_same_identities_when_people_come_and_go():
    from timing.reference_bytetrack import ReferenceByteTrack
    from timing.scenes import random_walk

    plain, ours, rng = ReferenceByteTrack(), ByteTrack(ByteTrackConfig(), 30.0), np.random.default_rng(5)
    for observation in random_walk(15, 80):
        observation = some_of(observation, np.flatnonzero(rng.random(len(observation)) < 0.7))
        boxes = observation.detections.boxes
        tracks = ours.update(observation)
        rows = [int(np.flatnonzero((boxes == box).all(1))[0]) for box in tracks.boxes]
        found = plain.update(boxes, observation.detections.scores)
        assert found == dict(zip(tracks.ids.tolist(), rows, strict=True))


def test_reference_prompts_are_the_same():
    from timing.reference_prompts import reference_prompts
    from timing.scenes import made_up_image, random_walk

    observation = next(random_walk(20, 1))
    boxes = observation.detections.boxes.clip(0)
    image = made_up_image(1080, 1920)
    crops, heatmaps = reference_prompts(image, boxes, observation.poses.keypoints, PromptConfig())
    ours = make_prompts(image, boxes, observation.poses.keypoints, PromptConfig())
    np.testing.assert_allclose(ours.crops, crops, atol=1e-5)
    np.testing.assert_allclose(ours.heatmaps, heatmaps, atol=1e-6)
    assert heatmaps[:, 1].any()
