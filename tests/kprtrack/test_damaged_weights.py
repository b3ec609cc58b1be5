"""Weights with a number that is not finite are rejected by every network, whatever the tensor."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support.hrnet_formula import network_weights
from support.one_network import build_network

from kprtrack.config import PRESETS, merge
from kprtrack.core.errors import WeightsError
from kprtrack.hub.store import find
from kprtrack.poses.hrnet_network import Hrnet, load_hrnet_weights


def damaged(source: Path, target: Path, value: float) -> str:
    """Copy weights with one number replaced; returns the name of its tensor."""
    with safe_open(source, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    name = next(name for name in reversed(tensors) if tensors[name].is_floating_point())
    tensors[name].view(-1)[-1] = value
    save_file(tensors, target, metadata)
    return name


WEIGHTS = {"detector": "small-detector", "pose": "small-pose", "reid": "small-kpr"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "value"), [("detector", float("nan")), ("pose", float("-inf")), ("reid", float("nan"))]
)
def test_weights_that_are_not_finite_are_rejected(tmp_path: Path, role: str, value: float) -> None:
    small = getattr(PRESETS["small"], role)
    path = tmp_path / "weights.safetensors"
    name = damaged(find(WEIGHTS[role]).path, path, value)
    config = merge(PRESETS["small"], {role: {"name": small.name, "weights": str(path)}})
    with pytest.raises(WeightsError, match=f"'{name}' contain infinite or undefined numbers"):
        build_network(config, role)


@pytest.mark.slow
def test_an_hrnet_that_is_not_finite_is_rejected(tmp_path: Path) -> None:
    network = Hrnet(32)
    tensors = dict(network_weights(network))
    tensors["head.final_layer.bias"] = torch.full_like(tensors["head.final_layer.bias"], float("nan"))
    save_file({name: each.contiguous() for name, each in tensors.items()}, tmp_path / "h.safetensors")
    with pytest.raises(WeightsError, match=r"'head\.final_layer\.bias' contain"):
        load_hrnet_weights(network, 32, tmp_path / "h.safetensors")
