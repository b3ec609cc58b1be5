"""Trains the encoder: the page to read first. One process or many, on one machine or several.

Interrupted at any moment, a run goes on from its last saved state as if nothing had been. On a CPU the result
is then the same to the last bit: an epoch depends on the seed and its number, an example on its Draw, and
what the network draws on a seed for each batch.
"""

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch.utils.data import DataLoader

from kprtrack.core.errors import UserError
from kprtrack.core.signals import StopRequest
from reid.datasets import ReidData, open_dataset
from reid.model import weights
from reid.model.initial_weights import begin_with
from reid.model.kpr import Kpr
from reid.training.config import DataSource, ReidTrainConfig, resume_relevant_config, settings_of
from reid.training.data import Batch, TrainingExamples, load_batches, tell_lost_readers
from reid.training.distillation import Distillation
from reid.training.distributed import share_statistics
from reid.training.engine import TrainStep, keep_memory, new_accelerator, new_optimiser, seed_batch
from reid.training.log import TrainLog
from reid.training.run_folder import BEST, LATEST, STATE, alone_in, open_folder, write_description
from reid.training.sampler import IdentitySampler
from reid.training.schedule import learning_rate, set_learning_rate
from reid.training.state import TrainingProgress, TrainState, load_state, save_state
from reid.training.validation import score, scoring_is_due, validate_unscorable


@dataclass(frozen=True)
class Run:
    """All that one training works with."""

    config: ReidTrainConfig
    folder: Path
    same: Mapping[str, Any]  # what a run must still be when it goes on
    engine: Accelerator
    model: Kpr
    learner: TrainState
    trainee: torch.nn.Module  # the model with its loss, as the engine wraps it
    optimiser: AcceleratedOptimizer
    sampler: IdentitySampler
    batches: DataLoader[Any]  # of Batch

    def speed(self, position: TrainingProgress) -> float:
        """Crops a second in this epoch."""
        crops = position.batch * self.config.sampler.identities * self.config.sampler.crops_each
        return crops / max(position.seconds, 1e-9)

    def save(self, position: TrainingProgress) -> None:
        """Where the run stands, written by the first process."""
        if self.engine.is_main_process:
            save_state(self.folder / STATE, self.learner, position, self.same)


def train(
    config: ReidTrainConfig,
    data: ReidData | None = None,
    *,
    test: ReidData | None = None,
    quiet: bool = False,
) -> Path:
    """Train as `config` says, or go on with the run in its folder; returns the folder.

    data, test: instead of the datasets that the configuration names; test: None, as data.
    Raises: UserError and its kinds for what a user can mend; KeyboardInterrupt after Ctrl-C, with all saved.
    """
    data = data or _open(config.data, "data")
    test = test or (_open(config.test, "test") if config.test else data)
    validate_unscorable(test, config)
    examples, engine = TrainingExamples(data.train, config), new_accelerator(config)
    if engine.device.type == "cpu":
        keep_memory()
    main = engine.is_main_process
    same = resume_relevant_config(config) | {"training_set": examples.fingerprint()}
    with engine.main_process_first():
        folder = open_folder(config.out, same)
    with alone_in(folder) if main else nullcontext():
        run = _prepare(config, examples, engine, folder, same)
        position, epochs = _begin(run), config.schedule.epochs
        first = position.epoch + position.batch / len(run.sampler)
        log = TrainLog(folder if main else None, epochs, first=first, quiet=quiet or not main)
        with log, StopRequest() as stop, tell_lost_readers():
            while position.epoch < epochs:
                position = one_epoch(run, position, log, stop)
                position = _end_epoch(run, position, test, log)
    return folder


def one_epoch(run: Run, position: TrainingProgress, log: TrainLog, stop: StopRequest) -> TrainingProgress:
    """Train on the batches of an epoch that are left."""
    config, model = run.config, run.model
    set_learning_rate(run.learner.optimiser, learning_rate(position.epoch, config.schedule))
    run.trainee.train()
    frozen = position.epoch < config.frozen_prompt_epochs
    model.prompt_tokens.requires_grad_(not frozen)
    model.prompt_tokens.train(not frozen)

    run.sampler.set_epoch(position.epoch)
    batches = len(run.sampler)
    run.sampler.set_epoch(position.epoch, position.batch)
    log.begin_epoch(position.epoch, batches, position.batch)
    saved_s = begun_s = time.monotonic()
    for batch in run.batches:
        seed_batch(config.seed, position.epoch, position.batch, run.engine.process_index)
        told = _step(run, batch, position)
        now_s = time.monotonic()
        sums = {name: position.sums.get(name, 0.0) + value for name, value in told.items()}
        seconds = position.seconds + now_s - begun_s
        position = replace(position, batch=position.batch + 1, sums=sums, seconds=seconds)
        begun_s = now_s
        log.batch(told["loss"], run.speed(position), done=position.epoch + position.batch / batches)
        if _somebody(run.engine, stop.asked):
            run.save(position)
            log.say(f"Stopped; all is saved in {run.folder}. The same command goes on from there.")
            raise KeyboardInterrupt
        if _save_is_due(config, position, now_s - saved_s):
            run.save(position)
            saved_s = now_s
    return position


def _step(run: Run, batch: Batch, position: TrainingProgress) -> dict[str, float]:
    """Learn from one batch; the loss and what else is logged of it."""
    device, shown = run.engine.device, batch.shown
    labels = None if shown.part_labels is None else shown.part_labels.to(device)
    teacher_features = None if batch.teacher_features is None else batch.teacher_features.to(device)
    tensors = (shown.image, shown.heatmaps, batch.cameras, batch.identities)
    total, told = run.trainee(*(tensor.to(device) for tensor in tensors), labels, teacher_features)
    values = torch.stack([total.detach(), *told.values()]).tolist()
    if not math.isfinite(values[0]):
        raise UserError(
            f"The loss is {values[0]} in epoch {position.epoch + 1}, batch {position.batch + 1}; the last "
            f"saved state stays in {run.folder}. Train anew with a lower schedule.peak (now "
            f"{run.config.schedule.peak}), a longer schedule.warmup_epochs or another precision."
        )
    run.engine.backward(total)
    run.optimiser.step()
    run.optimiser.zero_grad()
    return dict(zip(("loss", *told), values, strict=True))


def _end_epoch(run: Run, position: TrainingProgress, test: ReidData, log: TrainLog) -> TrainingProgress:
    """Score where it is due, keep the weights, tell; the beginning of the next epoch."""
    means = {name: value / position.batch for name, value in position.sums.items()}
    row = {
        "epoch": position.epoch + 1,
        "learning_rate": learning_rate(position.epoch, run.config.schedule),
        **means,
        "images_per_s": run.speed(position),
        "seconds": position.seconds,
    }
    if scoring_is_due(run.config, position.epoch):
        run.save(position)  # scoring may take long
        row |= score(run.engine, run.model, test, run.config)
    found = row.get("map", -1.0)
    if run.engine.is_main_process:
        weights.save(run.folder / LATEST, run.model)
        if found > position.best:
            weights.save(run.folder / BEST, run.model)
    position = TrainingProgress(
        position.epoch + 1, rows=(*position.rows, row), best=max(found, position.best)
    )
    # Last: a run that ends before this does the epoch's end again, with the same result.
    log.end_epoch(position.rows)
    run.save(position)
    return position


def _prepare(
    config: ReidTrainConfig,
    examples: TrainingExamples,
    engine: Accelerator,
    folder: Path,
    same: Mapping[str, Any],
) -> Run:
    sampler = IdentitySampler(
        examples.identities,
        config.sampler,
        seed=config.seed,
        rank=engine.process_index,
        world=engine.num_processes,
    )
    torch.manual_seed(config.seed)
    model = Kpr(config.shape(len(examples.names), examples.cameras))
    if config.init and not (folder / STATE).exists():
        with engine.main_process_first():
            begin_with(model, config.init)
    teacher_features, distillation = examples.teacher_features, None
    if teacher_features is not None:
        distillation = Distillation(model.config, config.distil, teacher_features.shape[1])
    if engine.num_processes > 1:
        share_statistics(model)
    network = TrainStep(model, config.loss, distillation)
    bare = new_optimiser(network, config.optimiser, config.schedule.peak)
    trainee, optimiser = engine.prepare(network, bare)
    return Run(
        config,
        folder,
        same,
        engine,
        model,
        TrainState(network, bare, engine.scaler),
        trainee,
        optimiser,
        sampler,
        # Not prepared by the engine, which would deal out a second time what the sampler has dealt.
        load_batches(examples, sampler, config.computing.workers),
    )


def _begin(run: Run) -> TrainingProgress:
    """Where an earlier run in the folder stopped, or the beginning."""
    if (run.folder / STATE).exists():
        position = load_state(run.folder / STATE, run.learner)
        run.sampler.set_epoch(position.epoch)
        return position
    run.engine.wait_for_everyone()  # or the second process would find the state of the first
    if run.engine.is_main_process:
        write_description(run.folder, settings_of(run.config))
    run.save(TrainingProgress())
    return TrainingProgress()


def _open(source: DataSource, role: str) -> ReidData:
    if source.root is None:
        raise UserError(f"Say where the dataset {source.name} is: {role}.root=FOLDER.")
    return open_dataset(source.name, Path(source.root).expanduser(), source.options)


def _somebody(engine: Accelerator, asked: bool) -> bool:
    """Whether any process was asked to stop: they must stop after the same batch."""
    if engine.num_processes == 1:
        return asked
    asking = torch.tensor(float(asked), device=engine.device)
    return bool(engine.reduce(asking, "sum") > 0)


def _save_is_due(config: ReidTrainConfig, position: TrainingProgress, since_s: float) -> bool:
    every = config.computing.save_every_batches
    return since_s >= 60 * config.computing.save_every_min or bool(every and position.batch % every == 0)
