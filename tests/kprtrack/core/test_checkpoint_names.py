"""Checkpoints as training programs write them give the tensors of the bare network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError

State = dict[str, torch.Tensor]


def network() -> nn.Module:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    return nn.ModuleDict({"backbone": stem, "head": nn.Linear(4, 2)})


class Tracker(nn.Module):
    """A tracker of mmtrack: its detector is one module."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector


class LightningModule(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


def with_mmdet_averages(state: State) -> State:
    """As mmdet 2 does it: an average of each tensor is registered at the root, with underscores for dots."""
    return state | {f"ema_{name.replace('.', '_')}": torch.zeros_like(each) for name, each in state.items()}


def with_image_statistics(state: State) -> State:
    return state | {
        "data_preprocessor.mean": torch.zeros(3, 1, 1),
        "data_preprocessor.std": torch.ones(3, 1, 1),
    }


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: each for name, each in state.items()}


STATES: dict[str, Callable[[nn.Module], State]] = {
    "bare": lambda net: net.state_dict(),
    "DataParallel": lambda net: nn.DataParallel(net).state_dict(),
    "DataParallel twice": lambda net: nn.DataParallel(nn.DataParallel(net)).state_dict(),
    "AveragedModel": lambda net: AveragedModel(net).state_dict(),
    "mmtrack": lambda net: Tracker(net).state_dict(),
    "Lightning": lambda net: LightningModule(net).state_dict(),
    "Lightning, DataParallel": lambda net: LightningModule(nn.DataParallel(net)).state_dict(),
    "compiled": lambda net: prefixed(net.state_dict(), "_orig_mod."),
    "compiled, parallel": lambda net: prefixed(net.state_dict(), "module._orig_mod."),
    "parallel, compiled": lambda net: prefixed(net.state_dict(), "_orig_mod.module."),
    "compiled part": lambda net: {
        name.replace("backbone.", "backbone._orig_mod."): each for name, each in net.state_dict().items()
    },
    "mmdet 2": lambda net: with_mmdet_averages(net.state_dict()),
    "mmdet 2, parallel": lambda net: prefixed(with_mmdet_averages(net.state_dict()), "module."),
    "mmdet 3": lambda net: with_image_statistics(net.state_dict()),
    "mmtrack 1": lambda net: with_image_statistics(Tracker(net).state_dict()),
    "mmdet 3 in a tracker": lambda net: prefixed(with_image_statistics(net.state_dict()), "detector."),
    "network": lambda net: prefixed(net.state_dict(), "network."),
    "net": lambda net: prefixed(net.state_dict(), "net."),
}
FILES: dict[str, Callable[[State], dict[str, Any]]] = {
    "root": lambda state: dict(state),
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
    "net": lambda state: {"net": state, "acc": 0.5},
    "model": lambda state: {"model": state},
    "nested": lambda state: {"model": {"state_dict": state}},
    "averages beside": lambda state: {
        "state_dict": state,
        "ema_state_dict": prefixed(state, "module.") | {"steps": torch.tensor(3)},
    },
    "averages only": lambda state: {
        "ema_state_dict": prefixed(state, "module.") | {"steps": torch.tensor(3)}
    },
    "timm": lambda state: {"state_dict": state, "state_dict_ema": state, "arch": "x"},
}


def assert_is_of(net: nn.Module, path: Path) -> None:
    read = read_checkpoint(path).tensors
    assert {name: each.tolist() for name, each in read.items()} == {
        name: each.tolist() for name, each in net.state_dict().items()
    }


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("file", FILES)
def test_wrappers_are_removed(tmp_path: Path, state: str, file: str) -> None:
    net = network()
    torch.save(FILES[file](STATES[state](net)), tmp_path / "w.pth")
    assert_is_of(net, tmp_path / "w.pth")


@pytest.mark.parametrize("state", STATES)
def test_wrappers_are_removed_in_safetensors(tmp_path: Path, state: str) -> None:
    net = network()
    save_file({name: each.clone() for name, each in STATES[state](net).items()}, tmp_path / "w.safetensors")
    assert_is_of(net, tmp_path / "w.safetensors")


def test_names_that_only_look_like_wrappers_stay(tmp_path: Path) -> None:
    names = ["model.a", "b", "ema_c", "neck.module.d", "steps", "n_averaged", "netx.e"]
    torch.save({name: torch.ones(1) for name in names}, tmp_path / "w.pth")
    assert list(read_checkpoint(tmp_path / "w.pth").tensors) == names


def test_a_tensor_that_is_there_with_and_without_wrapper_is_an_error(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "a": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds the tensor 'a' twice"):
        read_checkpoint(tmp_path / "w.pth")


@pytest.mark.slow
def test_the_names_of_torch_compile_are_those_of_torch(tmp_path: Path) -> None:
    net = network()
    for wrapped in (torch.compile(net), nn.DataParallel(torch.compile(net))):
        torch.save(wrapped.state_dict(), tmp_path / "w.pth")
        assert_is_of(net, tmp_path / "w.pth")
