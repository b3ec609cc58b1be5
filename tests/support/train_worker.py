"""What a process of `training_processes` does: a training, to be killed or as one of several processes."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from kprtrack.training import tasks
from kprtrack.training.detector import task as detector_task
from support import detector_cases, pose_cases, train_cases


def in_double(make_task: Callable[..., Any]) -> Callable[..., Any]:
    """The same task in float64, in which sums in another order differ by next to nothing."""

    def make(*arguments: Any, **options: Any) -> Any:
        task = make_task(*arguments, **options)
        convert(task.train_step)
        return task

    return make


def convert(network: torch.nn.Module) -> torch.nn.Module:
    """The network in float64, which takes inputs of any type."""
    for module in network.double().modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(cast_input)
    return network


def cast_input(module: torch.nn.Conv2d, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The inputs in the type of the weights."""
    return tuple(each.to(module.weight.dtype) for each in inputs)


def run(
    environment: Mapping[str, str], *, task: str, data: Path, out: Path, changes: dict[str, Any], double: bool
) -> None:
    """Train in a session of its own.

    Args:
        environment: Variables to set first.
        task: "reid", "detector" or "pose".
        data: Folder of the crops of `train_cases.drawn_data`, or file of annotations.
        out: Folder of the run.
        changes: Of the tiny settings of the task, as in "schedule__epochs".
        double: Train in float64.
    """
    if hasattr(os, "setsid"):
        os.setsid()
    os.environ.update(environment)
    torch.set_num_threads(1)  # another number gives other last bits
    if double:
        tasks.DetectorTask = in_double(tasks.DetectorTask)  # type: ignore[misc, assignment]
        tasks.PoseTask = in_double(tasks.PoseTask)  # type: ignore[misc, assignment]
        tasks.ReidTask = in_double(tasks.ReidTask)  # type: ignore[misc, assignment]
        load = detector_task.load_yolox_weights  # of the teacher
        detector_task.load_yolox_weights = lambda *words, **options: convert(load(*words, **options))
    if task == "reid":
        config = train_cases.tiny_config(out, **changes)
        tasks.train_reid(config, train_cases.drawn_data(data), quiet=True)
    elif task == "detector":
        tasks.train(detector_cases.tiny_config(data, out, **changes), quiet=True)
    else:
        tasks.train(pose_cases.tiny_config(data, out, **changes), quiet=True)
