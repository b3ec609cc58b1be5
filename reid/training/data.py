"""Crops of a dataset as training examples: what DataLoader calls."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from kprtrack.core.errors import InputError, UserError
from reid.crop import Crop
from reid.datasets import ReidSample
from reid.datasets.crops import read_crop, read_fields
from reid.training.augment import Augment, Example, stack
from reid.training.bipo import Occluder, OccluderBank, choose_bank, cut_occluder
from reid.training.config import ReidTrainConfig
from reid.training.distillation import load_features
from reid.training.sampler import Draw, IdentitySampler

Taught = tuple[Example, int, int, torch.Tensor | None]  # with identity, camera, the teacher's feature


@dataclass(frozen=True)
class Batch:
    """N training examples."""

    shown: Example
    identities: torch.Tensor  # [N] int64, from 0
    cameras: torch.Tensor  # [N] int64
    teacher_features: torch.Tensor | None  # [N, D] float32, the teacher's features; None: there is no teacher


class TrainingExamples(Dataset[Taught]):
    """The examples of a training set; what is random about one is in its Draw.

    Raises: UserError for a training set that is empty or shows everybody once, InputError if masks are needed
    and a crop has none, or the teacher has not seen a crop.
    """

    def __init__(self, samples: Sequence[ReidSample], config: ReidTrainConfig) -> None:
        if not samples:
            raise UserError(f"The dataset {config.data.name} has nothing to train on. Choose another.")
        if config.needs_masks:
            _validate_missing_masks(samples)
        self.names, rows = np.unique([each.identity for each in samples], return_inverse=True)
        self.identities = rows.reshape(-1)  # [S] from 0
        _validate_single_crops(self.identities, config)
        self.cameras = 1 + max(each.camera for each in samples)
        self._samples = samples
        self._masks_of = config.part_groups if config.loss.part_prediction else None
        self._prompts = config.shown()
        self._augment = Augment(config.augment, self._prompts, self._bank(config))
        self.teacher_features = _taught(samples, config)  # [S, D]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, draw: Draw) -> Taught:
        sample = self._samples[draw.row]
        example = self._augment(read_crop(sample, self._masks_of), draw.others, draw.generator())
        teacher_features = (
            None if self.teacher_features is None else torch.from_numpy(self.teacher_features[draw.row])
        )
        return example, int(self.identities[draw.row]), sample.camera, teacher_features

    def fingerprint(self) -> str:
        """Tells another training set apart: who is on which picture, and what the teacher says of them."""
        lines = (f"{each.image.name} {each.identity} {each.camera}" for each in self._samples)
        found = hashlib.sha256("\n".join(lines).encode())
        found.update(b"" if self.teacher_features is None else self.teacher_features.tobytes())
        return found.hexdigest()[:16]

    def _bank(self, config: ReidTrainConfig) -> OccluderBank | None:
        occlusion = config.augment.occlusion
        if not occlusion.probability:
            return None
        rng = np.random.default_rng((config.seed, len(self)))
        chosen = choose_bank(self.identities, occlusion.crops_per_identity, rng)
        return OccluderBank(chosen, self._cut)

    def _cut(self, row: int) -> Occluder | None:
        sample = self._samples[row]
        whole = read_crop(sample, None)
        crop = Crop(whole.image, whole.keypoints, read_fields(sample))
        return cut_occluder(crop, self._prompts.height, self._prompts.width)


def load_batches(examples: TrainingExamples, sampler: IdentitySampler, workers: int) -> "DataLoader[Any]":
    """Batches (each a Batch) in the sampler's order, the same for any number of workers."""
    return DataLoader(
        examples,
        batch_sampler=sampler,
        num_workers=readers(workers),
        collate_fn=_collate,
        persistent_workers=workers > 0,
        worker_init_fn=quiet_worker,
    )


def readers(wanted: int) -> int:
    """So many processes that read, but no more than there are processors; their number changes no result."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(wanted, there)


@contextmanager
def tell_lost_readers() -> Iterator[None]:
    """Raises: UserError where the system ends a process that reads, which torch tells at any moment."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise UserError(
            f"A process that reads pictures was ended from outside, often for want of memory ({error}). The "
            "same command goes on from the last saved state; fewer such processes, computing.workers=1, "
            "need less memory."
        ) from error


def quiet_worker(number: int) -> None:
    """One thread for each worker; to stop is for the process that trains to decide."""
    import signal

    import cv2

    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the training process ends its workers by it
    if hasattr(os, "setsid"):
        os.setsid()  # what is sent to the whole group, as by Ctrl-C and timeout, is not for them


def _collate(made: list[Taught]) -> Batch:
    examples, identities, cameras, teacher_features = zip(*made, strict=True)
    features = None if teacher_features[0] is None else torch.stack(teacher_features)
    return Batch(stack(examples), torch.tensor(identities), torch.tensor(cameras), features)


def _taught(samples: Sequence[ReidSample], config: ReidTrainConfig) -> np.ndarray | None:
    teacher, root = config.distil.teacher, config.data.root
    if teacher is None:
        return None
    return load_features(Path(teacher).expanduser(), samples, Path(root or "").expanduser())


def _validate_single_crops(identities: np.ndarray, config: ReidTrainConfig) -> None:
    if any(vars(config.loss.triplet).values()) and np.bincount(identities).max() < 2:
        raise UserError(
            f"Each of the {len(identities)} people to learn from has one crop, so nobody can be held against "
            "themselves. Add crops, or see with `kprtrack data check` whether people are told right."
        )


def _validate_missing_masks(samples: Sequence[ReidSample]) -> None:
    missing = [each for each in samples if each.masks is None or not Path(each.masks).is_file()]
    if not missing:
        return
    where = missing[0].masks or f"none for {missing[0].image}"
    raise InputError(
        f"{len(missing)} of {len(samples)} training crops lack human-parsing masks, first {where}. Make some "
        "with `kprtrack data part-labels`, or train without: loss.part_prediction=0 "
        "augment.occlusion.probability=0."
    )
