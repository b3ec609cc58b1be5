"""Two processes train as one does: same loss, same gradients, same weights up to rounding."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.train_cases import drawn_data, metrics, tiny_config
from support.training_processes import train_in_two

from kprtrack.training.tasks import train_reid
from reid.model import weights

pytestmark = pytest.mark.slow


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
    train_reid(tiny_config(tmp_path / "one", **changes), data, quiet=True)
    train_in_two("reid", tmp_path / "drawn", tmp_path / "two", **changes)
    one, two = (weights.load(tmp_path / name / "weights.safetensors").state_dict() for name in ("one", "two"))
    for name, tensor in one.items():
        np.testing.assert_allclose(two[name], tensor, rtol=1e-3, atol=1e-5, err_msg=name)
    rows = [metrics(json.loads((tmp_path / name / "metrics.json").read_text())) for name in ("one", "two")]
    for own, theirs in zip(*rows, strict=True):
        assert theirs == pytest.approx(own, rel=1e-4, abs=1e-4)


def test_a_run_of_two_processes_goes_on_in_one(tmp_path: Path) -> None:
    data = drawn_data(tmp_path / "drawn")
    changes = {"schedule": {"epochs": 2, "peak": 0.001}}
    train_in_two("reid", tmp_path / "drawn", tmp_path / "run", **changes)
    assert train_reid(tiny_config(tmp_path / "run", **changes), data, quiet=True) == tmp_path / "run"
    assert torch.isfinite(torch.cat([each.flatten() for each in state(tmp_path / "run").values()])).all()


def state(folder: Path) -> dict[str, torch.Tensor]:
    return weights.load(folder / "weights.safetensors").state_dict()
