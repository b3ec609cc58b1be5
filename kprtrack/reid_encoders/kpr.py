"""KPR as a ReID encoder: keypoints become prompts, the network gives one embedding for each body part."""

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
from kprtrack.inference.compile import autocast, compile_model, noise
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import ReidEncoder
from reid.model.kpr import Kpr
from reid.model.prompts import Prompts, make_prompts
from reid.model.weights import InputSpec, load

DUPLICATE_OKS = 0.85  # object keypoint similarity of duplicate detections; two people stay below it
Triple = tuple[float, float, float]
Described = Literal["foreground+parts", "parts", "foreground"]


@dataclass(frozen=True)
class KprEncoderConfig:
    """Prompts, compared embeddings, and what the checkpoint does not store."""

    prompts: bool = True  # positive prompts: the keypoints of the person
    negatives: bool = True  # negative prompts: keypoints of other people inside the box
    min_confidence: float = 0.3  # keypoints above it are drawn, in [0, 1]; 0.3 was used in training
    # Embeddings to compare: "foreground+parts" is the published distance, "parts" equation 2 of the paper,
    # "foreground" one embedding of the whole person.
    vectors: Described = "foreground+parts"
    # What published checkpoints do not store; None: from the file, its name or the catalogue.
    image_height: int | None = None  # pixels of the crop
    image_width: int | None = None
    mean: Triple | None = None  # of RGB in [0, 1]
    std: Triple | None = None
    semantic_weight: float | None = None  # SOLIDER only
    # Expected properties of the weights; None: any.
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
        model = load_kpr(config, weights, compute) if isinstance(weights, Path) else weights
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
        """Embed the person in each box; the people of all frames share batches.

        Poses beyond the boxes of a frame serve as negative prompts only.
        A person without a keypoint above `min_confidence` is embedded without prompt. Weights trained with
        camera embeddings run without them, as in the published demo (docs/reference/kpr.md 1.5).

        Returns:
            Embeddings of each frame, row i for box i: features [N, P, D] of unit length.
        """
        images = [frame.image for frame in frames]
        counts = [len(found) for found in detections]
        features, visible, prompted = [], [], []
        for prompts in self._batches(images, detections, poses, counts):
            embedded = self._embed(prompts)
            # The results stay on the device, so that the next prompts are drawn while it computes.
            features.append(embedded[0])
            visible.append(embedded[1])
            prompted.append(prompts.prompted)
        if not features:
            return [self._empty() for _ in images]
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
        """Draw the prompts of at most compute.batch people at a time, of any frames."""
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
                    _duplicates(
                        detections[frame].boxes, poses[frame].keypoints, self._prompts.min_confidence
                    ),
                )
                for frame in np.unique(frames[chunk])
            ]
            if len(drawn) == 1:
                yield drawn[0]  # no copy
                continue
            yield Prompts(
                torch.cat([one.crops for one in drawn]),
                torch.cat([one.heatmaps for one in drawn]),
                np.concatenate([one.prompted for one in drawn]),
            )

    def _embed(self, prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor]:
        device = self._compute.device
        with torch.inference_mode(), autocast(self._compute):
            features, visible = self._network.run(prompts.crops.to(device), prompts.heatmaps.to(device))
        return features, visible

    def _empty(self) -> Appearance:
        shape = self._config
        counts = {"foreground+parts": shape.parts + 1, "parts": shape.parts, "foreground": 1}
        return empty_appearance(0, counts[self._vectors], shape.dimensions)


class PartVectors(nn.Module):
    """KPR as a function from crops and prompts to the embeddings to compare and their visibility."""

    def __init__(self, model: Kpr, vectors: Described) -> None:
        super().__init__()
        self.model, self._vectors = model, vectors

    def forward(self, crops: torch.Tensor, heatmaps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features, visible = self.model.embed(
            crops, heatmaps, vectors="parts" if self._vectors == "parts" else "foreground+parts"
        )
        last = 1 if self._vectors == "foreground" else None
        return features[:, :last], visible[:, :last]


def _duplicates(boxes: np.ndarray, keypoints: np.ndarray, min_confidence: float) -> np.ndarray:
    """Find duplicate detections of a person by their equal poses, [N, M] bool; M poses for N boxes."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return oks(keypoints[: len(boxes)], keypoints, areas, min_confidence) > DUPLICATE_OKS


def load_kpr(config: KprEncoderConfig, weights: Path, compute: ComputeConfig) -> Kpr:
    """Load KPR from a file.

    Args:
        config: What the file does not store, and what it must agree with.
        weights: A .safetensors file of this project or a published .pth.tar.
        compute: Device of the model.

    Returns:
        The model in evaluation mode.

    Raises:
        WeightsError: The weights are missing, damaged or for another network.
        UserError: An option contradicts them or is missing.
    """
    spec = InputSpec(config.image_height, config.image_width, config.mean, config.std, config.semantic_weight)
    model = load(weights, compute.device, spec=spec)
    for name in ("parts", "prompt_groups"):
        expected, found = getattr(config, name), getattr(model.config, name)
        if expected is not None and expected != found:
            raise UserError(f"{weights} has {name} = {found}, not {expected}. Leave the option out.")
    return model
