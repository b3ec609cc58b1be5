"""Weights -> an encoder of single crops, to be scored on a ReID dataset: KPR, or any that tracks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import torch

from kprtrack.build import build_reid_encoder, check_name, options_of, takes_prompts, weights_of
from kprtrack.config import ComponentConfig, configure
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.hub.store import ModelFile
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import ReidEncoder
from reid.crop import Crop
from reid.datasets import ReidSample
from reid.datasets.crops import read_crop
from reid.evaluation.embed import embed_samples, labels_of
from reid.evaluation.metrics import Embedded
from reid.evaluation.report.crop_overlay import CropOverlay, plain_portrait, take_portraits
from reid.model.kpr import Kpr, Vectors
from reid.model.prompts import PromptConfig
from reid.model.weights import InputSpec, load

KPR = "kpr"
_TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
OnCrops = Callable[[int], None]  # hears how many more are done


@dataclass(frozen=True)
class CropEncoder:
    """What scores and pictures need of an encoder."""

    name: str  # of its weights
    parts: int  # it tells apart; 0: none
    encode: Callable[[Sequence[ReidSample], OnCrops], Embedded]
    take_portraits: Callable[[Sequence[ReidSample]], list[CropOverlay]]


@dataclass(frozen=True)
class OpenKpr:
    """A KPR with its weights."""

    name: str  # of the weights
    model: Kpr
    prompts: PromptConfig  # what of the prompts it is shown


def open_encoder(
    name: str,
    weights: str,
    settings: Mapping[str, Any],
    compute: ComputeConfig,
    *,
    vectors: str | None = None,
    workers: int = 0,
) -> CropEncoder:
    """The encoder of that name, ready for crops.

    settings: fields of its config dataclass. vectors: what of KPR is compared; None: the published choice.
    workers: processes that read and draw crops for KPR beside this one.
    Raises: UserError for an unknown name or setting, WeightsError for weights that are missing or do not fit.
    """
    if takes_prompts(name):
        compared = known_vectors(vectors)
        return _kpr(open_kpr(weights, settings, compute), compute, vectors=compared, workers=workers)
    part = ComponentConfig(name, weights, settings)
    check_name("reid", part)
    if vectors:
        raise UserError(f"--vectors chooses among the features of KPR; --reid {name} has one alone.")
    file = weights_of("reid", part)
    return _any(file.path.name if file else name, build_reid_encoder(part, compute), compute)


def open_kpr(weights: str, settings: Mapping[str, Any], compute: ComputeConfig) -> OpenKpr:
    """A KPR from a file or the model store. Raises: as open_encoder."""
    from kprtrack.reid_encoders.kpr import KprEncoderConfig

    for key in ("prompts", "negatives", "vectors"):
        if key in settings:
            raise UserError(f"{key} is no setting here. Use the option --{key}.")
    file, options = _found(KPR, weights, settings)
    config = configure(KprEncoderConfig, options)
    view = InputSpec(config.image_height, config.image_width, config.mean, config.std, config.semantic_weight)
    model = load(file.path, compute.device, spec=view)
    return OpenKpr(
        file.path.name, model, replace(model.config.prompts(), min_confidence=config.min_confidence)
    )


def at_precision(compute: ComputeConfig) -> torch.autocast:
    """Within it networks compute in the backend's number format."""
    kind, precision = torch.device(compute.device).type, compute.precision
    return torch.autocast(kind, _TYPES.get(precision), enabled=precision in _TYPES)


def known_vectors(name: str | None) -> Vectors:
    """What of KPR is compared; None: the published choice. Raises: UserError."""
    known: tuple[Vectors, ...] = get_args(Vectors)
    for one in known:
        if one == (name or "foreground+parts"):
            return one
    raise unknown_name("choice of vectors", str(name), known)


def _found(name: str, weights: str, settings: Mapping[str, Any]) -> tuple[ModelFile, Mapping[str, Any]]:
    part = ComponentConfig(name, weights, settings)
    file = weights_of("reid", part)
    assert file is not None  # only `none` has no weights
    return file, options_of(part, file)


def _kpr(kpr: OpenKpr, compute: ComputeConfig, *, vectors: Vectors, workers: int) -> CropEncoder:
    def encode(samples: Sequence[ReidSample], on_crops: OnCrops) -> Embedded:
        with at_precision(compute):
            return embed_samples(
                kpr.model,
                samples,
                prompts=kpr.prompts,
                vectors=vectors,
                batch=compute.batch,
                workers=workers,
                on_batch=on_crops,
            )

    def portraits(samples: Sequence[ReidSample]) -> list[CropOverlay]:
        crops = [read_crop(sample, None) for sample in samples]
        cameras = [sample.camera for sample in samples] if kpr.model.config.cameras else None
        with at_precision(compute):
            return take_portraits(kpr.model, crops, prompts=kpr.prompts, cameras=cameras)

    return CropEncoder(kpr.name, kpr.model.config.parts, encode, portraits)


def _any(name: str, reid_encoder: ReidEncoder, compute: ComputeConfig) -> CropEncoder:
    def encode(samples: Sequence[ReidSample], on_crops: OnCrops) -> Embedded:
        embeddings = []
        for start in range(0, len(samples), compute.batch):
            crops = [read_crop(sample, None) for sample in samples[start : start + compute.batch]]
            embeddings += _look(reid_encoder, crops)
            on_crops(len(crops))
        features, visible = (
            np.concatenate([getattr(look, name) for look in embeddings]) for name in ("features", "visible")
        )
        return Embedded(features, visible, labels_of(samples))

    def portraits(samples: Sequence[ReidSample]) -> list[CropOverlay]:
        return [plain_portrait(read_crop(sample, None), PromptConfig()) for sample in samples]

    return CropEncoder(name, 0, encode, portraits)


def _look(reid_encoder: ReidEncoder, crops: Sequence[Crop]) -> list[Appearance]:
    """Looks of crops, each a picture with one box that fills it."""
    boxes = [np.array([[0, 0, crop.image.shape[1], crop.image.shape[0]]], np.float32) for crop in crops]
    people = [Detections(box, np.ones(1, np.float32)) for box in boxes]
    poses = [Poses(crop.keypoints[:1].astype(np.float32)) for crop in crops]
    frames = [Frame(number, 0.0, crop.image) for number, crop in enumerate(crops)]
    return reid_encoder(frames, people, poses)
