"""The ground truth that ships is what the generator draws."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from support import paths

from kprtrack.cli.demo import CLIP, FPS, GROUND_TRUTH
from kprtrack.io import read_tracks
from kprtrack.video.source import open_source


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


def test_ground_truth_and_clip_are_those_of_the_generator(tmp_path: Path) -> None:
    from make_demo_clip import demo_frame, demo_scene

    (tmp_path / "ground_truth.json").write_bytes(gzip.decompress(GROUND_TRUTH.read_bytes()))
    ground_truth = read_tracks(tmp_path / "ground_truth.json").frames
    config, scene = demo_scene()
    assert (len(ground_truth), config.fps) == (config.frames, FPS)
    for number in range(0, config.frames, 70):
        drawn, stored = demo_frame(scene, number), ground_truth[number]
        assert stored.ids.tolist() == drawn.ids.tolist()
        np.testing.assert_allclose(stored.boxes, drawn.boxes, atol=0.011)  # files hold hundredths
        known = drawn.keypoints[..., 2] > 0
        np.testing.assert_allclose(
            stored.keypoints[..., :2][known], drawn.keypoints[..., :2][known], atol=0.006
        )
        with open_source(CLIP, start_s=number / FPS) as video:
            image = next(iter(video)).image
        assert np.abs(image.astype(int) - drawn.image).mean() < 5  # what the encoder leaves out
