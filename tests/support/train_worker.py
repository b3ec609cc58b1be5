"""A training as a program of its own: to be killed, or one of several processes.

Argument: a JSON object {"task": "reid", "data": ..., "out": ..., "changes": {...}, "double": false}.
"""

import json
import sys
from collections.abc import Callable
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


def main() -> None:
    """Train as the argument says."""
    torch.set_num_threads(1)  # another number gives other last bits
    words = json.loads(sys.argv[1])
    data, out, changes = Path(words["data"]), Path(words["out"]), words["changes"]
    if words["double"]:
        tasks.DetectorTask = in_double(tasks.DetectorTask)  # type: ignore[misc, assignment]
        tasks.PoseTask = in_double(tasks.PoseTask)  # type: ignore[misc, assignment]
        tasks.ReidTask = in_double(tasks.ReidTask)  # type: ignore[misc, assignment]
        load = detector_task.load_yolox_weights  # of the teacher
        detector_task.load_yolox_weights = lambda *words, **options: convert(load(*words, **options))
    if words["task"] == "reid":
        config = train_cases.tiny_config(out, **changes)
        tasks.train_reid(config, train_cases.drawn_data(data), quiet=True)
    elif words["task"] == "detector":
        tasks.train(detector_cases.tiny_config(data, out, **changes), quiet=True)
    else:
        tasks.train(pose_cases.tiny_config(data, out, **changes), quiet=True)


if __name__ == "__main__":
    main()
