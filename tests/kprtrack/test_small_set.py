"""Accuracy of the networks in the package: on the demo clip, and on a held-out video."""

import json
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from support import paths
from support.short_demo import shorten_demo

from kprtrack import open_source
from kprtrack.build import build_detector, build_pose_estimator
from kprtrack.cli.main import main
from kprtrack.config import ComponentConfig
from kprtrack.core.datatypes import Detections
from kprtrack.core.geometry import iou
from kprtrack.inference.devices import ComputeConfig
from kprtrack.training.pose.scores import score_poses

REAL = paths.SHARED / "real"
HELD_OUT = REAL / "videos" / "mmaction2_basketball.mp4"
YOLOX_NANO = str(REAL / "weights" / "yolox_nano_torch_from_onnx.pth")
TINYPOSE = str(REAL / "weights" / "tinypose_256x192_fp16.xml")
COMPUTE = ComputeConfig("cpu", batch=8)
SURE = 0.5
FRAMES, STRIDE = 10, 30
DEMO_FRAMES = 75  # three seconds: IDF1 95.1, HOTA of poses 80.7


@pytest.mark.slow
def test_the_demo_as_a_new_user_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    shorten_demo(tmp_path / "short", DEMO_FRAMES, monkeypatch)
    assert main(["demo"]) == 0
    scores = dict(re.findall(r"(IDF1|HOTA|HOTA of poses) (\d+\.\d)(?:,|\n)", capsys.readouterr().out))
    assert float(scores["IDF1"]) > 85 and float(scores["HOTA of poses"]) > 70
    assert not (tmp_path / "home").exists()
    models = json.loads((tmp_path / "demo" / "tracks.json").read_text())["models"]
    assert [models[role]["weights"] for role in ("detector", "pose", "reid")] == [
        "small-detector",
        "small-pose",
        "small-kpr",
    ]


@pytest.mark.slow
@pytest.mark.skipif(not HELD_OUT.exists(), reason="needs the real videos")
def test_people_and_joints_are_found_as_their_teachers_find_them() -> None:
    with open_source(HELD_OUT, stride=STRIDE) as video:
        frames = list(islice(video, FRAMES))
    canvas = {"input_height": 832, "input_width": 832}
    ours, teacher = (
        build_detector(part, COMPUTE)(frames)
        for part in (ComponentConfig("small"), ComponentConfig("yolox-nano", YOLOX_NANO, canvas))
    )
    sure = [Detections(each.boxes[each.scores >= SURE], each.scores[each.scores >= SURE]) for each in teacher]
    seen = [
        iou(wanted.boxes.astype(float), found.boxes[found.scores >= 0.3].astype(float)).max(1, initial=0)
        >= 0.5
        for wanted, found in zip(sure, ours, strict=True)
    ]
    assert len(np.concatenate(seen)) > FRAMES
    assert np.concatenate(seen).mean() > 0.65
    small, wanted = (
        np.concatenate([each.keypoints for each in build_pose_estimator(part, COMPUTE)(frames, sure)])
        for part in (ComponentConfig("small"), ComponentConfig("heatmap", TINYPOSE))
    )
    wanted[..., 2] *= wanted[..., 2] >= SURE
    areas = np.concatenate([np.prod(each.boxes[:, 2:] - each.boxes[:, :2], axis=1) for each in sure])
    assert score_poses(small, wanted, areas).pckh > 0.7
