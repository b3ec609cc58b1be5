"""Crops of a dataset as training examples."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.paths import expanded
from reid.crop import Crop
from reid.datasets import ReidSample
from reid.datasets.crops import read_crop, read_fields
from reid.training.augment import Augment, Example, stack
from reid.training.bipo import Occluder, OccluderBank, choose_bank, cut_occluder
from reid.training.config import ReidTrainConfig
from reid.training.distillation import load_features
from reid.training.sampler import Draw

# With identity, camera and the teacher's feature.
TrainingExample = tuple[Example, int, int, torch.Tensor | None]


@dataclass(frozen=True)
class Batch:
    """N training examples."""

    sample: Example
    identities: torch.Tensor  # [N] int64, from 0
    cameras: torch.Tensor  # [N] int64
    teacher_features: torch.Tensor | None  # [N, D] float32; None: without distillation


class TrainingExamples(Dataset[TrainingExample]):
    """The examples of a training set, indexed by draws.

    Raises:
        UserError: The training set is empty, or each identity has one crop.
        InputError: A crop lacks masks that training needs, or the teacher's feature.
    """

    def __init__(self, samples: Sequence[ReidSample], config: ReidTrainConfig) -> None:
        if not samples:
            raise UserError(f"The dataset {config.data.name} has no training crops. Choose another.")
        if config.needs_masks:
            _validate_masks(samples)
        self.names, rows = np.unique([each.identity for each in samples], return_inverse=True)
        self.identities = rows.reshape(-1)  # [S] from 0
        _validate_crop_counts(self.identities, config)
        self.cameras = 1 + max(each.camera for each in samples)
        self._samples = samples
        self._masks_of = config.part_groups if config.loss.part_prediction else None
        self._prompts = config.prompt_config()
        self._augment = Augment(config.augment, self._prompts, self._bank(config))
        self.teacher_features = _load_teacher_features(samples, config)  # [S, D]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, draw: Draw) -> TrainingExample:
        sample = self._samples[draw.row]
        example = self._augment(read_crop(sample, self._masks_of), draw.others, draw.generator())
        teacher_features = (
            None if self.teacher_features is None else torch.from_numpy(self.teacher_features[draw.row])
        )
        return example, int(self.identities[draw.row]), sample.camera, teacher_features

    def fingerprint(self) -> str:
        """Hash of crop names, identities, cameras and teacher features."""
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


def collate(examples: list[TrainingExample]) -> Batch:
    """The batch of the examples.

    Args:
        examples: Example, identity, camera, and features of the teacher or None, of each crop.

    Returns:
        The batch of N crops.
    """
    samples, identities, cameras, features = zip(*examples, strict=True)
    stacked = None if features[0] is None else torch.stack(features)
    return Batch(stack(samples), torch.tensor(identities), torch.tensor(cameras), stacked)


def _load_teacher_features(samples: Sequence[ReidSample], config: ReidTrainConfig) -> np.ndarray | None:
    teacher, root = config.distil.teacher, config.data.root
    if teacher is None:
        return None
    return load_features(expanded(teacher), samples, expanded(root or ""))


def _validate_crop_counts(identities: np.ndarray, config: ReidTrainConfig) -> None:
    if any(vars(config.loss.triplet).values()) and np.bincount(identities).max() < 2:
        raise UserError(
            f"Each of the {len(identities)} training identities has one crop, so the triplet loss has no "
            "positive pairs. Add crops, or check the identities with `kprtrack data check`."
        )


def _validate_masks(samples: Sequence[ReidSample]) -> None:
    missing = [each for each in samples if each.masks is None or not Path(each.masks).is_file()]
    if not missing:
        return
    where = missing[0].masks or f"none for {missing[0].image}"
    raise InputError(
        f"{len(missing)} of {len(samples)} training crops lack human-parsing masks, first {where}. Make some "
        "with `kprtrack data part-labels`, or train without: loss.part_prediction=0 "
        "augment.occlusion.probability=0."
    )
