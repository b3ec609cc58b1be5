"""Two processes train a detector and a pose network as one does: the same weights up to rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from support import detector_cases, paths, pose_cases
from support.training_processes import start, train_in_two

from kprtrack.core.errors import UserError
from kprtrack.training.loading import ProcessShare
from kprtrack.training.sampler import SourceBatches
from kprtrack.training.tasks import train
from reid.training.sampler import EpochSampler

DETECTOR: dict[str, Any] = {
    "schedule": {"epochs": 1, "rate_per_image": 1e-3, "warmup_epochs": 0, "plain_epochs": 0},
    "scoring__every_epochs": 1,
}
POSE: dict[str, Any] = {
    "schedule": {"epochs": 2, "peak": 1e-3, "warmup_epochs": 0.0},
    "scoring__every_epochs": 1,
}


def assert_same_run(one: Path, two: Path) -> None:
    first, second = (load_file(folder / "weights.safetensors") for folder in (one, two))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        np.testing.assert_allclose(second[name], tensor, rtol=1e-5, atol=1e-7, err_msg=name)
    assert_same_metrics(one, two, rel=1e-5)


def assert_same_metrics(one: Path, two: Path, *, rel: float) -> None:
    rows = [json.loads((folder / "metrics.json").read_text()) for folder in (one, two)]
    for first, second in zip(*rows, strict=True):
        for row in (first, second):
            del row["seconds"], row["images_per_s"]
        assert second == pytest.approx(first, rel=rel, abs=1e-6)


# In float64, and the detector for three steps: an untrained network amplifies rounding several hundredfold in
# each step, until a cell is assigned to another box.


@pytest.mark.slow
def test_two_processes_give_the_detector_of_one(tmp_path: Path) -> None:
    """With labels, then with that detector as teacher."""
    annotations = detector_cases.draw_plots(tmp_path / "images")
    changes = dict(DETECTOR)
    for one, two in ((tmp_path / "one", tmp_path / "two"), (tmp_path / "pupil 1", tmp_path / "pupil 2")):
        assert start("detector", annotations, one, double=True, **changes).wait() == 0
        train_in_two("detector", annotations, two, double=True, **changes)
        assert_same_run(one, two)
        changes["distil__teacher"] = str(tmp_path / "one" / "weights.safetensors")


@pytest.mark.slow
def test_two_processes_give_the_pose_network_of_one(tmp_path: Path) -> None:
    annotations = pose_cases.write_figures(tmp_path, 16)
    assert start("pose", annotations, tmp_path / "one", double=True, **POSE).wait() == 0
    train_in_two("pose", annotations, tmp_path / "two", double=True, **POSE)
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_run_of_two_processes_is_resumed_by_one(tmp_path: Path) -> None:
    annotations = pose_cases.write_figures(tmp_path, 16)
    train_in_two("pose", annotations, tmp_path / "run", **POSE)
    config = pose_cases.tiny_config(annotations, tmp_path / "run", **POSE)
    assert train(config, quiet=True) == tmp_path / "run"


@pytest.mark.slow
def test_the_command_line_trains_in_the_processes_of_torchrun(tmp_path: Path) -> None:
    annotations = pose_cases.write_figures(tmp_path, 16)
    settings = pose_cases.TINY | POSE | {"task": "pose"}
    del settings["scoring__every_epochs"]
    (tmp_path / "pose.py").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    words = [f"data.train={annotations}", f"data.val={annotations}", f"out={tmp_path / 'run'}"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = [*launcher, "-m", "kprtrack", "train", str(tmp_path / "pose.py"), *words]
    subprocess.run(
        program, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=paths.ROOT, check=True, timeout=600
    )
    train(pose_cases.tiny_config(annotations, tmp_path / "one", schedule=POSE["schedule"]), quiet=True)
    losses = [
        json.loads((tmp_path / name / "metrics.json").read_text())[0]["loss"] for name in ("one", "run")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_a_batch_that_processes_cannot_share_evenly_is_rejected() -> None:
    sampler = EpochSampler(SourceBatches([12], [1.0], batch_size=4, seed=1))
    with pytest.raises(UserError, match="multiple of 3"):
        ProcessShare(sampler, 0, 3)
