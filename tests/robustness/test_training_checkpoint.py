"""A checkpoint of a training that was changed is loaded or rejected in one line."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from kprtrack.core.errors import UserError
from kprtrack.training.checkpoint import (
    TrainingProgress,
    TrainState,
    load_state,
    save_state,
    validate_fingerprint,
)

FINGERPRINT = {"epochs": 3, "seed": 0}
PROGRESS = TrainingProgress(1, 2, {"loss": 0.5}, 3.0, ({"epoch": 1, "loss": 0.7},), 0.25)


def new_state() -> TrainState:
    """A linear layer whose optimiser has made one step."""
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return TrainState(network, optimiser)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "state.safetensors"
    save_state(path, new_state(), PROGRESS, FINGERPRINT)
    return path


def contents(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["kpr_training"])


def load(path: Path) -> TrainingProgress:
    validate_fingerprint(path, FINGERPRINT)
    return load_state(path, new_state())


def test_the_saved_progress_is_loaded(saved: Path) -> None:
    assert load(saved) == PROGRESS


values = st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3) | st.just([]) | st.just({})
sections = st.sampled_from([("position",), ("run",), ("scaler",)])
fields = st.sampled_from(["epoch", "batch", "sums", "seconds", "rows", "best", "extra"]).map(
    lambda name: ("position", name)
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(place=sections | fields, value=values, drop=st.booleans())
def test_any_header_is_loaded_or_rejected_in_one_line(
    saved: Path, place: tuple[str, ...], value: object, drop: bool
) -> None:
    tensors, header = contents(saved)
    inner = header
    for key in place[:-1]:
        inner = inner[key]  # type: ignore[assignment]
    if drop:
        inner.pop(place[-1], None)
    else:
        inner[place[-1]] = value
    changed = saved.with_name("changed.safetensors")
    changed.write_bytes(save(tensors, {"kpr_training": json.dumps(header)}))
    try:
        progress = load(changed)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert progress.epoch >= 0 and progress.batch >= 0


@pytest.mark.parametrize("name", ["network.weight", "optimiser.weight/momentum_buffer"])
@pytest.mark.parametrize("change", [lambda t: t[:1], lambda t: t.double()[..., None], None])
def test_tensors_of_another_shape_are_rejected_in_one_line(saved: Path, name: str, change) -> None:
    tensors, header = contents(saved)
    value = tensors.pop(name)
    tensors[name if change else f"{name}x"] = change(value).contiguous() if change else value
    changed = saved.with_name("changed.safetensors")
    changed.write_bytes(save(tensors, {"kpr_training": json.dumps(header)}))
    with pytest.raises(UserError) as raised:
        load(changed)
    assert "\n" not in str(raised.value) and "train again" in str(raised.value)
