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


def some_of(seen: Observation, rows: np.ndarray) -> Observation:
    found = Detections(seen.detections.boxes[rows], seen.detections.scores[rows])
    return Observation(
        seen.frame_number, seen.time_s, found, Poses(seen.poses.keypoints[rows]), seen.embeddings[rows]
    )


def test_plain_bytetrack_gives_the_identities_of_ours_when_people_come_and_go():
    from speed_plain_bytetrack import PlainByteTrack
    from speed_scenes import random_walk

    plain, ours, rng = PlainByteTrack(), ByteTrack(ByteTrackConfig(), 30.0), np.random.default_rng(5)
    for seen in random_walk(15, 80):
        seen = some_of(seen, np.flatnonzero(rng.random(len(seen)) < 0.7))
        boxes = seen.detections.boxes
        tracks = ours.update(seen)
        rows = [int(np.flatnonzero((boxes == box).all(1))[0]) for box in tracks.boxes]
        found = plain.update(boxes, seen.detections.scores)
        assert found == dict(zip(tracks.ids.tolist(), rows, strict=True))


def test_plain_prompts_are_ours():
    from speed_plain_prompts import plain_prompts
    from speed_scenes import picture, random_walk

    seen = next(random_walk(20, 1))
    boxes = seen.detections.boxes.clip(0)
    image = picture(1080, 1920)
    crops, heatmaps = plain_prompts(image, boxes, seen.poses.keypoints, PromptConfig())
    ours = make_prompts(image, boxes, seen.poses.keypoints, PromptConfig())
    np.testing.assert_allclose(ours.crops.numpy(), crops, atol=1e-5)
    np.testing.assert_allclose(ours.heatmaps.numpy(), heatmaps, atol=1e-6)
    assert heatmaps[:, 1].any()
