"""KPR as an embedder: prompts from everybody's keypoints, part features from the encoder."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError
from kprtrack.core.geometry import oks
from kprtrack.inference.compile import compile_model, noise
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import ReidEncoder
from reid.model.kpr import Kpr
from reid.model.prompts import Prompts, make_prompts
from reid.model.weights import InputSpec, load

SAME_POSE = 0.85  # object keypoint similarity that two people, however close, do not reach
_TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
Triple = tuple[float, float, float]
Described = Literal["foreground+parts", "parts", "foreground"]


@dataclass(frozen=True)
class KprEncoderConfig:
    """How people are shown to the encoder, and what is told about its weights."""

    prompts: bool = True  # tell the encoder whom to look at by the person's keypoints
    negatives: bool = True  # and whom not, by the keypoints of others inside the box
    min_confidence: float = 0.3  # keypoints at or below it are not drawn; the weights were trained with 0.3
    # The published distance; "parts" is the paper's eq. 2, "foreground" one feature of the whole person.
    vectors: Described = "foreground+parts"
    # What published checkpoints do not tell. None: as the file or its name says.
    image_height: int | None = None  # pixels of the crop
    image_width: int | None = None
    mean: Triple | None = None  # of RGB in [0, 1]
    std: Triple | None = None
    semantic_weight: float | None = None  # SOLIDER only
    # What the weights must agree with, if said.
    parts: int | None = None
    prompt_groups: str | None = None  # in kprtrack.core.skeleton.PROMPT_GROUPS

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise UserError(f"min_confidence must lie in [0, 1], not {self.min_confidence}.")
        if self.vectors not in get_args(Described):
            raise UserError(f"vectors must be one of {', '.join(get_args(Described))}, not '{self.vectors}'.")


class KprEncoder(ReidEncoder):
    """Embeds every part of a person with KPR, prompted by keypoints (Somers et al., ECCV 2024)."""

    takes_prompts = True

    def __init__(self, config: KprEncoderConfig, weights: Path | Kpr, compute: ComputeConfig) -> None:
        """Load weights of this project (.safetensors) or a published checkpoint (.pth.tar); or copy a model.

        Args:
            config: Prompts and compared vectors, and what a published checkpoint does not store.
            weights: A checkpoint, or a model.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The weights are missing, damaged or for another network.
            UserError: An option contradicts them or is missing.
        """
        model = _load(config, weights, compute) if isinstance(weights, Path) else weights
        self._config = model.config
        self._vectors = config.vectors
        self._prompts = replace(
            model.config.prompts(),
            positives=config.prompts,
            negatives=config.negatives,
            min_confidence=config.min_confidence,
        )
        shape = self._prompts
        example = [noise(2, channels, shape.height, shape.width) for channels in (3, shape.channels)]
        self._network = compile_model(PartVectors(model, config.vectors), example, compute)
        self.backend = self._network.backend
        self._compute = compute

    def __call__(
        self, frames: list[Frame], detections: list[Detections], poses: list[Poses]
    ) -> list[Appearance]:
        """Embeddings of each frame, row i for box i; features [N, P, D] of unit length.

        Who has no usable keypoint is described without a prompt, `prompted` False. Weights trained with
        several cameras run without their camera term, as the published demo does (docs/reference/kpr.md 1.5).
        """
        images = [frame.image for frame in frames]
        counts = [len(found) for found in detections]
        features, visible, prompted = [], [], []
        for prompts in self._batches(images, detections, poses, counts):
            described = self._embed(prompts)
            # Leave the results on the device: the next prompts are drawn while it computes.
            features.append(described[0])
            visible.append(described[1])
            prompted.append(prompts.prompted)
        if not features:
            return [self._nobody() for _ in images]
        all_features = torch.cat(features).float().cpu().numpy()
        all_visible = torch.cat(visible).cpu().numpy()
        ends = np.cumsum(counts)[:-1]
        return [
            Appearance(*arrays)
            for arrays in zip(
                np.split(all_features, ends),
                np.split(all_visible, ends),
                np.split(np.concatenate(prompted), ends),
                strict=True,
            )
        ]

    def _batches(
        self, images: list[np.ndarray], detections: list[Detections], poses: list[Poses], counts: list[int]
    ) -> Iterator[Prompts]:
        """Prompts of at most compute.batch people at a time, whatever frame they are of."""
        frames = np.repeat(np.arange(len(images)), counts)
        rows = np.concatenate([np.arange(count) for count in counts]) if counts else np.zeros(0, int)
        for start in range(0, len(rows), self._compute.batch):
            chunk = slice(start, start + self._compute.batch)
            drawn = [
                make_prompts(
                    images[frame],
                    detections[frame].boxes,
                    poses[frame].keypoints,
                    self._prompts,
                    rows[chunk][frames[chunk] == frame],
                    _doubles(detections[frame].boxes, poses[frame].keypoints, self._prompts.min_confidence),
                )
                for frame in np.unique(frames[chunk])
            ]
            if len(drawn) == 1:
                yield drawn[0]  # a copy would cost as much as the drawing
                continue
            yield Prompts(
                torch.cat([one.crops for one in drawn]),
                torch.cat([one.heatmaps for one in drawn]),
                np.concatenate([one.prompted for one in drawn]),
            )

    def _embed(self, prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor]:
        device, precision = self._compute.device, self._compute.precision
        kind = torch.device(device).type
        with (
            torch.inference_mode(),
            torch.autocast(kind, _TYPES.get(precision), enabled=precision in _TYPES),
        ):
            features, visible = self._network.run(prompts.crops.to(device), prompts.heatmaps.to(device))
        return features, visible

    def _nobody(self) -> Appearance:
        shape = self._config
        counts = {"foreground+parts": shape.parts + 1, "parts": shape.parts, "foreground": 1}
        return empty_appearance(0, counts[self._vectors], shape.dimensions)


class PartVectors(nn.Module):
    """Crops and heatmaps -> the vectors that are compared, and which of them are visible."""

    def __init__(self, model: Kpr, vectors: Described) -> None:
        super().__init__()
        self.model, self._vectors = model, vectors

    def forward(self, crops: torch.Tensor, heatmaps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features, visible = self.model.embed(
            crops, heatmaps, vectors="parts" if self._vectors == "parts" else "foreground+parts"
        )
        last = 1 if self._vectors == "foreground" else None
        return features[:, :last], visible[:, :last]


def _doubles(boxes: np.ndarray, keypoints: np.ndarray, min_confidence: float) -> np.ndarray:
    """[N, N] bool: detections with one and the same pose, which a detector left of one person."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return oks(keypoints, keypoints, areas, min_confidence) > SAME_POSE


def _load(config: KprEncoderConfig, weights: Path, compute: ComputeConfig) -> Kpr:
    view = InputSpec(config.image_height, config.image_width, config.mean, config.std, config.semantic_weight)
    model = load(weights, compute.device, spec=view)
    for name in ("parts", "prompt_groups"):
        wanted, found = getattr(config, name), getattr(model.config, name)
        if wanted is not None and wanted != found:
            raise UserError(f"{weights} has {name} = {found}, not {wanted}. Leave the option out.")
    return model
