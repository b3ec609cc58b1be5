"""Two processes train as one does: same loss, same gradients, same weights up to rounding."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train_cases import drawn_data, metrics, tiny_config

from reid import weights
from reid.train import train

WORKER = Path(__file__).with_name("train_worker.py")
pytestmark = pytest.mark.slow


def train_in_two(drawn: Path, out: Path, changes: dict[str, Any]) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    told = json.dumps({"out": str(out), "changes": changes})
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    running = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(drawn), told],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            cwd=WORKER.parents[2],
        )
        for rank in range(2)
    ]
    try:
        assert [each.wait(120) for each in running] == [0, 0]
    finally:
        for each in running:
            each.kill()


@pytest.mark.parametrize(
    "changes",
    [
        # After one step without momentum and decay the weights tell the gradients.
        {"schedule": {"epochs": 1, "peak": 0.1}, "sampler": {"identities": 6, "crops_each": 4}},
        {"schedule": {"epochs": 3, "peak": 0.001}, "frozen_prompt_epochs": 1, "scoring__every_epochs": 1},
    ],
    ids=["one step", "three epochs with frozen prompts"],
)
def test_two_processes_give_the_weights_of_one(tmp_path: Path, changes: dict[str, Any]) -> None:
    data = drawn_data(tmp_path / "drawn")
    train(tiny_config(tmp_path / "one", **changes), data, quiet=True)
    train_in_two(tmp_path / "drawn", tmp_path / "two", changes)
    one, two = (weights.load(tmp_path / name / "weights.safetensors").state_dict() for name in ("one", "two"))
    for name, tensor in one.items():
        np.testing.assert_allclose(two[name], tensor, rtol=1e-3, atol=1e-5, err_msg=name)
    rows = [metrics(json.loads((tmp_path / name / "metrics.json").read_text())) for name in ("one", "two")]
    for own, theirs in zip(*rows, strict=True):
        assert theirs == pytest.approx(own, rel=1e-4, abs=1e-4)


def test_a_run_of_two_processes_goes_on_in_one(tmp_path: Path) -> None:
    data = drawn_data(tmp_path / "drawn")
    changes = {"schedule": {"epochs": 2, "peak": 0.001}}
    train_in_two(tmp_path / "drawn", tmp_path / "run", changes)
    assert train(tiny_config(tmp_path / "run", **changes), data, quiet=True) == tmp_path / "run"
    assert torch.isfinite(torch.cat([each.flatten() for each in state(tmp_path / "run").values()])).all()


def state(folder: Path) -> dict[str, torch.Tensor]:
    return weights.load(folder / "weights.safetensors").state_dict()
