"""The loop that trains detectors and pose estimators: the page to read first. One process, one device.

Interrupted at any moment, a run goes on from its last saved state as if nothing had been. On a CPU the result
is then the same to the last bit: an example depends on seed, epoch and position alone, and what the network
draws on a seed for each batch.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import UserError
from kprtrack.core.signals import StopRequest
from kprtrack.training.sampler import EpochSampler
from reid.training.data import tell_lost_readers
from reid.training.engine import keep_memory, seed_batch
from reid.training.log import TrainLog
from reid.training.run_folder import BEST, LATEST, STATE, alone_in, open_folder, write_description
from reid.training.schedule import set_learning_rate
from reid.training.state import TrainingProgress, TrainState, load_state, save_state

_EMA_RAMP = 2000  # updates in which the average's memory grows (docs/reference/detector_and_pose.md 1.9)
_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Task:
    """All that one training works with."""

    network: nn.Module  # what learns; its parameters and buffers are saved
    optimiser: torch.optim.Optimizer
    loader: "DataLoader[Any]"  # of whatever `step` takes, made by sampler.load_batches
    sampler: EpochSampler
    # (batch, epoch, number of the batch in it) -> loss to be minimised, and detached terms to be logged
    step: Callable[[Any, int, int], tuple[Tensor, Mapping[str, Tensor]]]
    learning_rate: Callable[[float], float]  # epochs done so far, fractions too -> rate of the next step
    # Scores of the averaged network; the best weights are those with the highest first one. None: unscored.
    score: Callable[[nn.Module], Mapping[str, float]] | None
    weights: Callable[[nn.Module], bytes]  # the averaged network as the file that our own loaders read


@dataclass(frozen=True)
class LoopConfig:
    """How long and how carefully to learn; the first five decide the result."""

    epochs: int
    ema_decay: float | None = 0.9998  # of the averaged network; None: the network itself is scored and saved
    score_every_epochs: int | None = None  # None: at the end alone
    clip_gradient: float | None = None  # greatest norm
    precision: Precision = "fp32"
    save_every_min: float = 10.0  # minutes between two saved states; each epoch's end is saved anyway
    save_every_batches: int | None = None  # likewise, in batches


class Average(nn.Module):
    """A network and the moving average of all its floating-point state.

    Source: docs/reference/detector_and_pose.md 1.9.
    """

    updates: Tensor

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        super().__init__()
        self.network = network
        self._decay = decay
        if decay is not None:
            self.mean = copy.deepcopy(network).eval().requires_grad_(False)
            self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self) -> None:
        """Take in what the network is now."""
        if self._decay is None:
            return
        self.updates += 1
        kept = ema_decay(int(self.updates), self._decay)
        old, new = (list(module.state_dict().values()) for module in (self.mean, self.network))
        floating = [row for row, value in enumerate(old) if value.is_floating_point()]
        torch._foreach_lerp_([old[row] for row in floating], [new[row] for row in floating], 1 - kept)

    def result(self) -> nn.Module:
        """The network to score and to save, in evaluation mode."""
        return self.network.eval() if self._decay is None else self.mean


def ema_decay(updates: int, decay: float) -> float:
    """How much of the average the given update (from 1) leaves."""
    return decay * (1 - math.exp(-updates / _EMA_RAMP))


@dataclass(frozen=True)
class Run:
    """A task with the folder it goes to."""

    task: Task
    config: LoopConfig
    folder: Path
    same: Mapping[str, Any]  # what a run must still be when it goes on
    average: Average
    learner: TrainState

    def save(self, position: TrainingProgress) -> None:
        save_state(self.folder / STATE, self.learner, position, self.same)

    def speed(self, position: TrainingProgress) -> float:
        """Pictures a second in this epoch."""
        return position.batch * self.task.sampler.batch / max(position.seconds, 1e-9)

    def autocast(self) -> AbstractContextManager[Any]:
        half = _HALVES.get(self.config.precision)
        return torch.autocast(_device(self.task.network).type, half) if half else nullcontext()


def run_training(
    task: Task,
    *,
    out: str | None,
    settings: Mapping[str, Any],
    same: Mapping[str, Any],
    config: LoopConfig,
    quiet: bool = False,
) -> Path:
    """Train, or go on with the run in the folder `out`; returns the folder.

    settings: of the whole training, to be written down. same: those that a run must keep when it goes on, and
    what else tells another training apart, such as a fingerprint of its data.
    Raises: UserError and its kinds for what a user can mend; KeyboardInterrupt after Ctrl-C, with all saved.
    """
    _check(config, _device(task.network))
    folder = open_folder(out, same)
    with alone_in(folder):
        average = Average(task.network, config.ema_decay)
        scaler = torch.amp.GradScaler(_device(task.network).type) if config.precision == "fp16" else None
        run = Run(task, config, folder, same, average, TrainState(average, task.optimiser, scaler))
        position = _begin(run, settings)
        first = position.epoch + position.batch / len(task.sampler)
        log = TrainLog(folder, config.epochs, first=first, quiet=quiet)
        with log, StopRequest() as stop, tell_lost_readers():
            while position.epoch < config.epochs:
                position = _one_epoch(run, position, log, stop)
                position = _end_epoch(run, position, log)
    return folder


def _one_epoch(run: Run, position: TrainingProgress, log: TrainLog, stop: StopRequest) -> TrainingProgress:
    """Train on the batches of an epoch that are left."""
    task, batches = run.task, len(run.task.sampler)
    task.network.train()
    task.sampler.set_epoch(position.epoch, position.batch)
    log.begin_epoch(position.epoch, batches, position.batch)
    saved_s = begun_s = time.monotonic()
    for batch in task.loader:
        if isinstance(batch, UserError):
            raise batch
        told = _step(run, batch, position)
        now_s = time.monotonic()
        sums = {name: position.sums.get(name, 0.0) + value for name, value in told.items()}
        seconds = position.seconds + now_s - begun_s
        position = replace(position, batch=position.batch + 1, sums=sums, seconds=seconds)
        begun_s = now_s
        log.batch(told["loss"], run.speed(position), done=position.epoch + position.batch / batches)
        if stop.asked:
            run.save(position)
            log.say(f"Stopped; all is saved in {run.folder}. The same command goes on from there.")
            raise KeyboardInterrupt
        if _save_is_due(run.config, position, now_s - saved_s):
            run.save(position)
            saved_s = now_s
    return position


def _step(run: Run, batch: Any, position: TrainingProgress) -> dict[str, float]:
    """Learn from one batch; the loss and what else is logged of it."""
    task, optimiser = run.task, run.task.optimiser
    seed_batch(*task.sampler.seed_of(position.epoch, position.batch))
    rate = task.learning_rate(position.epoch + position.batch / len(task.sampler))
    set_learning_rate(optimiser, rate)
    with run.autocast():
        loss, told = task.step(batch, position.epoch, position.batch)
    values = torch.stack([loss.detach().float(), *(value.float() for value in told.values())]).tolist()
    if not math.isfinite(values[0]):
        raise UserError(
            f"The loss is {values[0]} in epoch {position.epoch + 1}, batch {position.batch + 1}; the last "
            f"saved state stays in {run.folder}. Train anew with a lower learning rate (now {rate:.3g}), a "
            "longer warm-up or precision=fp32."
        )
    optimiser.zero_grad()
    _descend(run, loss)
    run.average.update()
    return dict(zip(("loss", *told), values, strict=True))


def _descend(run: Run, loss: Tensor) -> None:
    """Move the parameters down the gradient of the loss."""
    optimiser, scaler, greatest = run.task.optimiser, run.learner.scaler, run.config.clip_gradient
    (scaler.scale(loss) if scaler else loss).backward()
    if greatest is not None:
        if scaler:
            scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_(run.task.network.parameters(), greatest)
    if scaler:
        scaler.step(optimiser)
        scaler.update()
    else:
        optimiser.step()


def _end_epoch(run: Run, position: TrainingProgress, log: TrainLog) -> TrainingProgress:
    """Score where it is due, keep the weights, tell; the beginning of the next epoch."""
    task, result = run.task, run.average.result()
    row: dict[str, float] = {
        "epoch": position.epoch + 1,
        "learning_rate": task.learning_rate(position.epoch + 1),
        **{name: value / position.batch for name, value in position.sums.items()},
        "images_per_s": run.speed(position),
        "seconds": position.seconds,
    }
    best = position.best
    content = task.weights(result)
    if task.score is not None and _score_is_due(run.config, position.epoch):
        run.save(position)  # scoring may take long
        scores = task.score(result)
        row |= scores
        log.say("scores: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
        found = next(iter(scores.values()))
        if found > best:
            write_file(run.folder / BEST, content)
            best = found
    write_file(run.folder / LATEST, content)
    position = TrainingProgress(position.epoch + 1, rows=(*position.rows, row), best=best)
    # Last: a run that ends before this does the epoch's end again, with the same result.
    log.end_epoch(position.rows)
    run.save(position)
    return position


def _begin(run: Run, settings: Mapping[str, Any]) -> TrainingProgress:
    """Where an earlier run in the folder stopped, or the beginning."""
    if _device(run.task.network).type == "cpu":
        keep_memory()
    if (run.folder / STATE).exists():
        position = load_state(run.folder / STATE, run.learner)
        # Memory ordered as before: in another order the last bits may be rounded otherwise.
        for parameter, kept in run.task.optimiser.state.items():
            for name, value in kept.items():
                if value.shape == parameter.shape:
                    kept[name] = torch.empty_like(parameter).copy_(value)
        return position
    write_description(run.folder, settings)
    run.save(TrainingProgress())
    return TrainingProgress()


def _check(config: LoopConfig, device: torch.device) -> None:
    if config.precision == "fp16" and device.type == "cpu":
        raise UserError("precision=fp16 needs a GPU. Set precision=bf16 or fp32.")
    for name, value in (("epochs", config.epochs), ("score_every_epochs", config.score_every_epochs)):
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}. Give 1 or more.")
    if config.ema_decay is not None and not 0 < config.ema_decay < 1:
        raise UserError(f"ema_decay is {config.ema_decay}, but must lie between 0 and 1, or be none.")


def _score_is_due(config: LoopConfig, epoch: int) -> bool:
    every = config.score_every_epochs
    return epoch + 1 == config.epochs or bool(every and (epoch + 1) % every == 0)


def _save_is_due(config: LoopConfig, position: TrainingProgress, since_s: float) -> bool:
    every = config.save_every_batches
    return since_s >= 60 * config.save_every_min or bool(every and position.batch % every == 0)


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
