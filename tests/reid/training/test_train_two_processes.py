"""Two processes train as one does: same loss, same gradients, same weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from support.train_cases import drawn_data, metrics, tiny_config
from support.training_processes import start, train_in_two

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
    # In float64. In float32 the two differ by rounding, which depends on the processor and is magnified by
    # the first norm of the prompts: its input is 0, so it divides by the root of its epsilon.
    drawn = tmp_path / "drawn"
    drawn_data(drawn)
    assert start("reid", drawn, tmp_path / "one", double=True, **changes).wait() == 0
    train_in_two("reid", drawn, tmp_path / "two", double=True, **changes)
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        np.testing.assert_allclose(two[name], tensor, rtol=1e-9, atol=1e-10, err_msg=name)
    rows = [metrics(json.loads((tmp_path / name / "metrics.json").read_text())) for name in ("one", "two")]
    for own, theirs in zip(*rows, strict=True):
        assert theirs == pytest.approx(own, rel=1e-6)  # the log keeps float32


def test_a_run_of_two_processes_goes_on_in_one(tmp_path: Path) -> None:
    data = drawn_data(tmp_path / "drawn")
    changes = {"schedule": {"epochs": 2, "peak": 0.001}}
    train_in_two("reid", tmp_path / "drawn", tmp_path / "run", **changes)
    assert train_reid(tiny_config(tmp_path / "run", **changes), data, quiet=True) == tmp_path / "run"
    assert torch.isfinite(torch.cat([each.flatten() for each in state(tmp_path / "run").values()])).all()


def state(folder: Path) -> dict[str, torch.Tensor]:
    return weights.load(folder / "weights.safetensors").state_dict()
