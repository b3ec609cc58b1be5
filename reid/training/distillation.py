"""Distillation: embeddings of augmented crops are trained to predict a teacher's embeddings of plain crops.

The student's crop may be occluded, shifted and erased; the teacher's is plain. A linear layer for each
embedding, used in training only, projects from one space to the other; it is the simplest form of
Romero et al., FitNets, ICLR 2015, on final features with the cosine for a distance.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import nn

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError
from reid.datasets import ReidSample
from reid.model.config import KprConfig
from reid.model.heads import PerHead, at_least_float32
from reid.model.kpr import KprOutput
from reid.training.distributed import gather
from reid.training.losses import HeadWeights

_NAMES, _FEATURES = "names", "features"


@dataclass(frozen=True)
class DistilConfig:
    """The teacher's features, and the weight of each embedding."""

    teacher: str | None = None  # a file of `kprtrack data features`; None: no distillation
    weights: HeadWeights = field(default_factory=lambda: HeadWeights(whole=5, foreground=5, joined=5))


class Distillation(nn.Module):
    """The projections and the loss. dimensions: of the teacher's features."""

    def __init__(self, model: KprConfig, config: DistilConfig, dimensions: int) -> None:
        super().__init__()
        self._weights = {name: weight for name, weight in vars(config.weights).items() if weight}
        widths = dict.fromkeys(self._weights, model.dimensions) | {"joined": model.parts * model.dimensions}
        self.translate = nn.ModuleDict({name: nn.Linear(widths[name], dimensions) for name in self._weights})

    def forward(
        self, output: KprOutput, teacher_features: torch.Tensor
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Compute the distance of the encoder's embeddings, translated, from those of the teacher.

        Args:
            output: The encoder's output for this process's share of a batch.
            teacher_features: [N, D] of unit length, of all processes.

        Returns:
            The loss, and its unweighted terms, detached.
        """
        total, terms = teacher_features.new_zeros(()), {}
        for name, weight in self._weights.items():
            projected = at_least_float32(gather(self.translate[name](_compared(output, name))))
            target = teacher_features if projected.ndim == 2 else teacher_features[:, None]
            loss = (1 - F.cosine_similarity(projected, target, dim=-1)).mean()
            total, terms[f"distil/{name}"] = total + weight * loss, loss.detach()
        return total, terms


def save_features(path: Path, names: Sequence[str], features: np.ndarray) -> None:
    """Write features [S, D] of crops, named by their paths relative to the dataset's folder.

    Args:
        path: A .safetensors file.
        names: Of the S crops.
        features: [S, D], finite.
    """
    header = {_NAMES: json.dumps(list(names))}
    tensor = torch.from_numpy(np.ascontiguousarray(features, np.float32))
    write_file(path, serialise({_FEATURES: tensor}, header))


def load_features(path: Path, samples: Sequence[ReidSample], root: Path) -> np.ndarray:
    """Features of the samples, less their mean: [S, D] float32 of unit length. root: the dataset's folder.

    Args:
        path: A file of `save_features`.
        samples: The S crops, in the order wanted.
        root: Folder of the dataset, to which the names in the file are relative.

    Returns:
        [S, D] float32 of unit length.

    Raises:
        InputError: The file is missing, damaged or lacks a crop, or a feature is not finite.
    """
    try:
        with safe_open(path, framework="np") as file:
            known = json.loads((file.metadata() or {})[_NAMES])
            rows = {name: row for row, name in enumerate(known)}
            features = file.get_tensor(_FEATURES)
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is missing, damaged or no file of features ({error}). Make one with "
            "`kprtrack data features`."
        ) from error
    if features.ndim != 2 or len(features) != len(known):
        raise InputError(
            f"{path} holds features of the shape {list(features.shape)} for {len(known)} crops, not one "
            "row for each. Make it again with `kprtrack data features`."
        )
    names = [name_of(each, root) for each in samples]
    if lacking := [name for name in names if name not in rows]:
        raise InputError(
            f"{path} lacks {len(lacking)} of {len(names)} training crops, first {lacking[0]}. Make it again "
            "from this dataset with `kprtrack data features`."
        )
    chosen = features[[rows[name] for name in names]].astype(np.float32)
    wrong = ~np.isfinite(chosen).all(axis=1)
    if wrong.any():
        raise InputError(
            f"{path}: {wrong.sum()} features hold NaN or infinity, first that of "
            f"{names[int(wrong.argmax())]}. Make it again with other weights or --precision fp32."
        )
    # The common mean does not discriminate, but is two thirds of a feature that ends in a ReLU.
    chosen -= chosen.mean(axis=0)
    return chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)


def name_of(sample: ReidSample, root: Path) -> str:
    """The name of a crop in a file of features.

    Args:
        sample: A crop.
        root: Folder of the dataset.

    Returns:
        Path relative to `root`, with forward slashes.
    """
    image = sample.image
    return (image.relative_to(root) if image.is_relative_to(root) else image).as_posix()


def _compared(output: KprOutput, name: str) -> torch.Tensor:
    """The embedding as the evaluation compares it (`Kpr.embed`): parts before their BN necks."""
    heads: PerHead = output.reduced if name in ("joined", "parts") else output.necks
    return getattr(heads, name)
