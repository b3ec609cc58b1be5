"""Opens ReID encoders for single crops, as needed to evaluate them on ReID data sets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from kprtrack.build import build_reid_encoder, check_name, options_of, takes_prompts, weights_of
from kprtrack.config import ComponentConfig, configure
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.inference.compile import autocast
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import ReidEncoder
from reid.crop import Crop
from reid.datasets import ReidSample
from reid.datasets.crops import read_crop
from reid.evaluation.embed import embed_samples, labels_of
from reid.evaluation.metrics import Embedded
from reid.evaluation.report.crop_overlay import CropOverlay, plain_portrait, take_portraits
from reid.model.config import Vectors
from reid.model.kpr import Kpr
from reid.model.prompts import PromptConfig

PACKAGED = "small"  # the name of the encoder in the package
OnCrops = Callable[[int], None]  # called with the number of crops finished since the last call


@dataclass(frozen=True)
class CropEncoder:
    """A ReID encoder as the evaluation needs it."""

    name: str  # of its weights
    parts: int  # number of body parts; 0: one embedding per crop
    encode: Callable[[Sequence[ReidSample], OnCrops], Embedded]
    take_portraits: Callable[[Sequence[ReidSample]], list[CropOverlay]]


@dataclass(frozen=True)
class OpenKpr:
    """KPR with its weights and prompts."""

    name: str  # of the weights
    model: Kpr
    prompts: PromptConfig


def open_encoder(
    name: str,
    weights: str | None,
    settings: Mapping[str, Any],
    compute: ComputeConfig,
    *,
    vectors: str | None = None,
    workers: int = 0,
) -> CropEncoder:
    """Open a ReID encoder for crops.

    Args:
        name: Key of REID_ENCODERS.
        weights: A file, or a name of the model store; None: the default of the name.
        settings: Fields of the encoder's config dataclass.
        compute: Device, precision and batch size.
        vectors: Embeddings of KPR to compare; None: foreground and parts.
        workers: Additional processes that read and draw crops for KPR.

    Returns:
        The encoder.

    Raises:
        UserError: The name or a setting is unknown.
        WeightsError: The weights are missing or do not fit.
    """
    if takes_prompts(name):
        compared = known_vectors(vectors)
        kpr = open_kpr(weights, settings, compute, name=name)
        return _kpr_encoder(kpr, compute, vectors=compared, workers=workers)
    part = ComponentConfig(name, weights, settings)
    check_name("reid", part)
    if vectors:
        raise UserError(f"--vectors chooses embeddings of KPR; --reid {name} has a single one.")
    file = weights_of("reid", part)
    return _global_encoder(file.path.name if file else name, build_reid_encoder(part, compute), compute)


def open_kpr(
    weights: str | None, settings: Mapping[str, Any], compute: ComputeConfig, *, name: str = PACKAGED
) -> OpenKpr:
    """Open KPR for crops. Args, Raises: as open_encoder."""
    from kprtrack.reid_encoders.kpr import KprEncoderConfig, read_stored_kpr
    from reid.model.weights import from_stored

    for key in ("prompts", "negatives", "vectors"):
        if key in settings:
            raise UserError(f"{key} is not a setting here. Use the option --{key}.")
    part = ComponentConfig(name, weights, settings)
    file = weights_of("reid", part)
    assert file is not None  # KPR always has weights
    options = options_of(part, file)
    config = configure(KprEncoderConfig, options)
    model = from_stored(read_stored_kpr(config, file.path), file.path).to(compute.device)
    return OpenKpr(
        file.path.name, model, replace(model.config.prompts(), min_confidence=config.min_confidence)
    )


def known_vectors(name: str | None) -> Vectors:
    """Validate the name of the embeddings of KPR to compare; None: the default. Raises: UserError."""
    known: tuple[Vectors, ...] = get_args(Vectors)
    for one in known:
        if one == (name or "foreground+parts"):
            return one
    raise unknown_name("choice of vectors", str(name), known)


def _kpr_encoder(kpr: OpenKpr, compute: ComputeConfig, *, vectors: Vectors, workers: int) -> CropEncoder:
    def encode(samples: Sequence[ReidSample], on_crops: OnCrops) -> Embedded:
        with autocast(compute):
            return embed_samples(
                kpr.model,
                samples,
                prompts=kpr.prompts,
                vectors=vectors,
                batch=compute.batch,
                workers=workers,
                on_batch=on_crops,
            )

    def overlays(samples: Sequence[ReidSample]) -> list[CropOverlay]:
        crops = [read_crop(sample, None) for sample in samples]
        cameras = [sample.camera for sample in samples] if kpr.model.config.cameras else None
        with autocast(compute):
            return take_portraits(kpr.model, crops, prompts=kpr.prompts, cameras=cameras)

    return CropEncoder(kpr.name, kpr.model.config.parts, encode, overlays)


def _global_encoder(name: str, reid_encoder: ReidEncoder, compute: ComputeConfig) -> CropEncoder:
    def encode(samples: Sequence[ReidSample], on_crops: OnCrops) -> Embedded:
        embeddings = []
        for start in range(0, len(samples), compute.batch):
            crops = [read_crop(sample, None) for sample in samples[start : start + compute.batch]]
            embeddings += _embed_crops(reid_encoder, crops)
            on_crops(len(crops))
        features, visible = (
            np.concatenate([getattr(one, name) for one in embeddings]) for name in ("features", "visible")
        )
        return Embedded(features, visible, labels_of(samples))

    def overlays(samples: Sequence[ReidSample]) -> list[CropOverlay]:
        return [plain_portrait(read_crop(sample, None), PromptConfig()) for sample in samples]

    return CropEncoder(name, 0, encode, overlays)


def _embed_crops(reid_encoder: ReidEncoder, crops: Sequence[Crop]) -> list[Appearance]:
    """Embed crops, each as an image with one box that fills it."""
    boxes = [np.array([[0, 0, crop.image.shape[1], crop.image.shape[0]]], np.float32) for crop in crops]
    people = [Detections(box, np.ones(1, np.float32)) for box in boxes]
    poses = [Poses(crop.keypoints[:1].astype(np.float32)) for crop in crops]
    frames = [Frame(number, 0.0, crop.image) for number, crop in enumerate(crops)]
    return reid_encoder(frames, people, poses)
