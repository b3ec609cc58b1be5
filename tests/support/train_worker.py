"""What a process of `training_processes` does: a training, to be killed or as one of several processes."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from kprtrack.core.signals import StopRequest
from kprtrack.training import loop, tasks
from kprtrack.training.detector import task as detector_task
from support import detector_cases, no_flush, pose_cases, train_cases  # noqa: F401


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


def wait_after(batches: int, waits: Any) -> None:
    """Set the event `waits` after so many batches, then wait until the process is killed or asked to stop."""
    requests: list[StopRequest] = []
    done = 0
    any_process = loop._any_process

    class NotedRequest(StopRequest):
        def __enter__(self) -> "NotedRequest":
            requests.append(self)
            return super().__enter__()

    def wait_and_ask(accelerator: Any, stopped: bool) -> bool:
        nonlocal done
        done += 1
        if done == batches:
            waits.set()
            while not requests[-1].asked:
                time.sleep(0.005)
        return any_process(accelerator, stopped or requests[-1].asked)

    loop.StopRequest = NotedRequest  # type: ignore[misc]
    loop._any_process = wait_and_ask


def run(
    environment: Mapping[str, str],
    *,
    task: str,
    data: Path,
    out: Path,
    changes: dict[str, Any],
    double: bool,
    batches: int | None,
    waits: Any,
) -> None:
    """Train in a session of its own.

    Args:
        environment: Variables to set first.
        task: "reid", "detector" or "pose".
        data: Folder of the crops of `train_cases.drawn_data`, or file of annotations.
        out: Folder of the run.
        changes: Of the tiny settings of the task, as in "schedule__epochs".
        double: Train in float64.
        batches: As in `wait_after`; None: train to the end.
        waits: As in `wait_after`.
    """
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
    # Workers start as in a program of the command line, not from a further server that imports everything.
    multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)
    os.environ.update(environment)
    torch.set_num_threads(1)  # another number gives other last bits
    if double:
        tasks.DetectorTask = in_double(tasks.DetectorTask)  # type: ignore[misc, assignment]
        tasks.PoseTask = in_double(tasks.PoseTask)  # type: ignore[misc, assignment]
        tasks.ReidTask = in_double(tasks.ReidTask)  # type: ignore[misc, assignment]
        load = detector_task.load_yolox_weights  # of the teacher
        detector_task.load_yolox_weights = lambda *words, **options: convert(load(*words, **options))
    if batches is not None:
        wait_after(batches, waits)
    if task == "reid":
        config = train_cases.tiny_config(out, **changes)
        tasks.train_reid(config, train_cases.drawn_data(data), quiet=True)
    elif task == "detector":
        tasks.train(detector_cases.tiny_config(data, out, **changes), quiet=True)
    else:
        tasks.train(pose_cases.tiny_config(data, out, **changes), quiet=True)
