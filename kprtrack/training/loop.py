"""The training loop of all networks: ReID encoders, detectors and pose estimators.

It runs in one process or in several started by `accelerate launch` or `torchrun`. An interrupted run resumes
from its last checkpoint. On a CPU the result is then bit-identical: an epoch depends on the seed and its
number, an example on its Draw, and random numbers within the network on a seed of each batch.
"""

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import UserError
from kprtrack.core.signals import StopRequest
from kprtrack.training.checkpoint import TrainingProgress, TrainState, load_state, save_state
from kprtrack.training.devices import keep_freed_memory, new_accelerator, seed_batch
from kprtrack.training.ema import Ema
from kprtrack.training.loading import ProcessShare, load_batches, worker_errors
from kprtrack.training.log import TrainLog
from kprtrack.training.optimiser import set_learning_rate
from kprtrack.training.run_folder import BEST, LATEST, STATE, locked, open_folder, write_description
from kprtrack.training.task import LoopConfig, Task
from reid.training.distributed import share_statistics


@dataclass(frozen=True)
class Run:
    """A task in training."""

    task: Task
    config: LoopConfig
    folder: Path
    accelerator: Accelerator
    train_step: nn.Module  # the task's, as Accelerate wraps it
    optimiser: torch.optim.Optimizer  # likewise
    batches: "DataLoader[Any]"  # of this process's share
    ema: Ema | None
    state: TrainState

    def save(self, progress: TrainingProgress) -> None:
        """Write the checkpoint, in the main process.

        Args:
            progress: How far the run is.

        Raises:
            OutputError: It cannot be written.
        """
        if self.accelerator.is_main_process:
            save_state(self.folder / STATE, self.state, progress, self.task.resume_fingerprint)

    def images_per_s(self, progress: TrainingProgress) -> float:
        """Return the speed in this epoch, over all processes.

        Args:
            progress: How far the run is.

        Returns:
            Images per second.
        """
        return progress.batch * self.task.sampler.batch_size / max(progress.seconds, 1e-9)

    def result(self) -> nn.Module:
        """The network to validate and save, in evaluation mode."""
        return self.task.network.eval() if self.ema is None else self.ema.mean


def run_training(task: Task, *, out: str | None, config: LoopConfig, quiet: bool = False) -> Path:
    """Train, or resume the run in a folder.

    Args:
        task: What is trained.
        out: The folder of the run.
        config: How long, and when to validate and save.
        quiet: Log nothing to the terminal.

    Returns:
        The folder.

    Raises:
        UserError: Or one of its kinds, for everything that the user can fix.
        KeyboardInterrupt: After Ctrl-C, once the checkpoint is written.
    """
    accelerator = new_accelerator(config.computing.device, config.precision)
    main = accelerator.is_main_process
    with accelerator.main_process_first():
        folder = open_folder(out, task.resume_fingerprint)
    with locked(folder) if main else nullcontext():
        run = _prepare(task, config, folder, accelerator)
        progress = _begin(run)
        task.sampler.set_epoch(progress.epoch)
        first = progress.epoch + progress.batch / max(task.sampler.batches, 1)
        log = TrainLog(folder if main else None, config.epochs, first=first, quiet=quiet or not main)
        with log, StopRequest() as stop, worker_errors():
            while progress.epoch < config.epochs:
                progress = _train_epoch(run, progress, log, stop)
                progress = _end_epoch(run, progress, log)
    return folder


def _prepare(task: Task, config: LoopConfig, folder: Path, accelerator: Accelerator) -> Run:
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    share = ProcessShare(task.sampler, accelerator.process_index, accelerator.num_processes)
    if accelerator.num_processes > 1:
        share_statistics(task.train_step)
    train_step, optimiser = accelerator.prepare(task.train_step, task.optimiser)
    trained = nn.ModuleDict({"train_step": task.train_step})
    ema = None
    if config.ema_decay is not None:
        trained["ema"] = ema = Ema(task.network, config.ema_decay, config.ema_ramp)
    # Accelerate would divide the batches a second time.
    batches = load_batches(task.examples, share, workers=config.computing.workers, collate=task.collate)
    state = TrainState(trained, task.optimiser, accelerator.scaler)
    return Run(task, config, folder, accelerator, train_step, optimiser, batches, ema, state)


def _begin(run: Run) -> TrainingProgress:
    """Load the checkpoint in the folder, or describe a new run."""
    if (run.folder / STATE).exists():
        progress = load_state(run.folder / STATE, run.state)
        # The memory layout of before: in another one, sums may be rounded differently.
        for parameter, values in run.task.optimiser.state.items():
            for name, value in values.items():
                if value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter).copy_(value)
        return progress
    run.accelerator.wait_for_everyone()  # or the second process would find the checkpoint of the first
    if run.accelerator.is_main_process:
        write_description(run.folder, run.task.settings)
    run.save(TrainingProgress())
    return TrainingProgress()


def _train_epoch(run: Run, progress: TrainingProgress, log: TrainLog, stop: StopRequest) -> TrainingProgress:
    """Train on the batches that are left of an epoch."""
    sampler = run.task.sampler
    run.train_step.train()
    run.task.begin_epoch(progress.epoch)
    sampler.set_epoch(progress.epoch, progress.batch)
    log.begin_epoch(progress.epoch, sampler.batches, progress.batch)
    saved_s = started_s = time.monotonic()
    for batch in run.batches:
        if isinstance(batch, UserError):
            raise batch
        values = _train_batch(run, batch, progress)
        now_s = time.monotonic()
        sums = {name: progress.sums.get(name, 0.0) + value for name, value in values.items()}
        seconds = progress.seconds + now_s - started_s
        progress = replace(progress, batch=progress.batch + 1, sums=sums, seconds=seconds)
        started_s = now_s
        log.batch(
            values["loss"], run.images_per_s(progress), done=progress.epoch + progress.batch / sampler.batches
        )
        if _any_process(run.accelerator, stop.asked):
            run.save(progress)
            log.print_line(f"Stopped; the checkpoint is in {run.folder}. Run the same command to resume.")
            raise KeyboardInterrupt
        if run.config.checkpoint_is_due(progress.batch, now_s - saved_s):
            run.save(progress)
            saved_s = now_s
    return progress


def _train_batch(run: Run, batch: Any, progress: TrainingProgress) -> dict[str, float]:
    """One gradient step; the loss and its terms."""
    task, accelerator = run.task, run.accelerator
    seed_batch(task.seed, progress.epoch, progress.batch, accelerator.process_index)
    rate = task.learning_rate(progress.epoch + progress.batch / task.sampler.batches)
    set_learning_rate(task.optimiser, rate)
    loss, terms = run.train_step(batch)
    values = torch.stack([loss.detach().float(), *(value.float() for value in terms.values())])
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values, "mean")
    numbers = values.tolist()
    if not math.isfinite(numbers[0]):
        raise UserError(
            f"The loss is {numbers[0]} in epoch {progress.epoch + 1}, batch {progress.batch + 1}; the last "
            f"checkpoint is in {run.folder}. Train again with a lower learning rate (now {rate:.3g}), a "
            "longer warm-up or precision=fp32."
        )
    run.optimiser.zero_grad()
    accelerator.backward(loss)
    if run.config.clip_gradient is not None:
        accelerator.clip_grad_norm_(task.network.parameters(), run.config.clip_gradient)
    run.optimiser.step()
    if run.ema is not None:
        run.ema.update(task.network)
    return dict(zip(("loss", *terms), numbers, strict=True))


def _end_epoch(run: Run, progress: TrainingProgress, log: TrainLog) -> TrainingProgress:
    """Validate where it is due, save the weights, log; the start of the next epoch."""
    task, result = run.task, run.result()
    last_step = progress.epoch + (progress.batch - 1) / progress.batch
    row: dict[str, float] = {
        "epoch": progress.epoch + 1,
        "learning_rate": task.learning_rate(last_step),
        **{name: value / progress.batch for name, value in progress.sums.items()},
        "images_per_s": run.images_per_s(progress),
        "seconds": progress.seconds,
    }
    best, scores = progress.best, {}
    if run.config.validation_is_due(progress.epoch):
        run.save(progress)  # validation may take long
        scores = dict(task.validate(result))
    if run.accelerator.is_main_process:
        _write_weights(run, result, is_best=bool(scores) and next(iter(scores.values())) > best)
    if scores:
        row |= scores
        best = max(best, next(iter(scores.values())))
        log.print_line("validation: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    progress = TrainingProgress(progress.epoch + 1, rows=(*progress.rows, row), best=best)
    # Last: a run that is interrupted before this repeats the end of the epoch, with the same result.
    log.end_epoch(progress.rows)
    run.save(progress)
    return progress


def _write_weights(run: Run, network: nn.Module, *, is_best: bool) -> None:
    content = run.task.weights_file(network)
    for name in (BEST, LATEST) if is_best else (LATEST,):
        write_file(run.folder / name, content)


def _any_process(accelerator: Accelerator, stopped: bool) -> bool:
    """Whether any process was asked to stop: all must stop after the same batch."""
    if accelerator.num_processes == 1:
        return stopped
    count: Tensor = accelerator.reduce(torch.tensor(float(stopped), device=accelerator.device), "sum")
    return bool(count > 0)
