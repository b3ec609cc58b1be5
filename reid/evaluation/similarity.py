"""Pairwise similarity of a few crops."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import torch

from kprtrack.core.errors import UserError
from kprtrack.core.part_distance import compare, part_distances, prepare
from reid.crop import Crop
from reid.model.config import Vectors
from reid.model.kpr import Kpr
from reid.model.prompts import PromptConfig
from reid.training.augment import plain_example, stack

_GREATEST = 2.0  # distance of two features of unit length
_BATCH = 16


@dataclass(frozen=True)
class Similarities:
    """Pairwise similarity of N crops as in the published demo: 1 - distance / 2."""

    distances: np.ndarray  # [N, N] mean Euclidean distance over the shared parts, in [0, 2]; inf without any
    part_distances: np.ndarray  # [N, N, P]
    shared: np.ndarray  # [N, N, P] bool, parts that both show: only these count

    @property
    def values(self) -> np.ndarray:
        """[N, N] in [0, 1]; 0 where no part is shared."""
        return 1 - np.minimum(self.distances, _GREATEST) / _GREATEST


def compare_crops(
    model: Kpr,
    crops: Sequence[Crop],
    *,
    prompts: PromptConfig | None = None,
    vectors: Vectors = "foreground+parts",
) -> Similarities:
    """Similarities of crops with their keypoints, without a camera term: no camera is known here.

    Args:
        prompts: Which keypoints prompt the encoder; None: as it was trained.
    """
    model, prompts, found = model.eval(), prompts or model.config.prompts(), []
    device = next(model.parameters()).device
    for start in range(0, len(crops), _BATCH):
        shown = stack([plain_example(crop, prompts) for crop in crops[start : start + _BATCH]])
        with torch.inference_mode():
            found.append(model.embed(shown.image.to(device), shown.heatmaps.to(device), vectors=vectors))
    features, visible = (torch.cat(column).float().cpu().numpy() for column in zip(*found, strict=True))
    return compare_all(features, visible > 0)


def compare_all(features: np.ndarray, visible: np.ndarray) -> Similarities:
    """Similarities of N crops: features [N, P, D] of unit length, visible [N, P] bool.

    Raises:
        UserError: There are fewer than two crops.
    """
    if len(features) < 2:
        raise UserError(f"{len(features)} image cannot be compared with others. Name two or more.")
    people = prepare(features, visible, "euclidean")
    distances = compare(people, people, metric="euclidean")
    # Rounding leaves a person a little way off itself.
    np.fill_diagonal(distances, np.where(visible.any(axis=1), 0, distances.diagonal()))
    return Similarities(
        distances,
        np.ascontiguousarray(np.moveaxis(part_distances(people, people, "euclidean"), 0, -1)),
        visible[:, None] & visible[None],
    )


def similarity_json(
    similarities: Similarities, names: Sequence[str], prompted: Sequence[bool], *, encoder: str
) -> bytes:
    """Every number, the crops in the order of rows and columns; null where two crops share no part."""
    document = {
        "encoder": encoder,
        "crops": [{"name": name, "prompted": seen} for name, seen in zip(names, prompted, strict=True)],
        "similarity": similarities.values,
        "distance": similarities.distances,  # orjson writes inf as null
        "part_distance": np.where(similarities.shared, similarities.part_distances, np.nan),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n"
