"""Trains YOLOX detectors of people, on labels made by hand or on the boxes and scores of a teacher."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import torch
from safetensors.torch import save as serialise
from torch import Tensor, nn

from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import UserError
from kprtrack.detectors.letterbox import Preprocess, to_network
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.detectors.yolox_weights import STORED_SETTINGS, load_yolox_weights
from kprtrack.hub.store import find
from kprtrack.inference.devices import ComputeConfig
from kprtrack.training.annotations import LabelledImage, read_annotations
from kprtrack.training.config import Source
from kprtrack.training.detector.config import DetectorOptimiser, DetectorTrainConfig, resume_relevant_config
from kprtrack.training.detector.data import DetectorBatch, DetectorExamples, collate, read_picture
from kprtrack.training.detector.distillation import Taught, distil_loss, teacher_features
from kprtrack.training.detector.loss import yolox_loss
from kprtrack.training.detector.scores import average_precision, false_people
from kprtrack.training.loop import Task, run_training
from kprtrack.training.sampler import EpochSampler, load_batches
from reid.training.run_folder import STATE

# How pixels are given to the network (docs/reference/detector_and_pose.md 1.5)
_PREPROCESS: Preprocess = "megvii"
_SCORED_FROM, _NMS_IOU = 0.01, 0.65  # as YOLOX is evaluated (docs/reference/detector_and_pose.md 1.6)


def train(config: DetectorTrainConfig, *, quiet: bool = False) -> Path:
    """Train as `config` says, or go on with the run in its folder; returns the folder.

    Raises: UserError and its kinds for what a user can mend; KeyboardInterrupt after Ctrl-C, with all saved.
    """
    task, same = prepare(config)
    return run_training(
        task, out=config.out, settings=asdict(config), same=same, config=config.loop(), quiet=quiet
    )


def prepare(config: DetectorTrainConfig) -> tuple[Task, Mapping[str, Any]]:
    """What is to be done, and what a run must still be when it goes on. Raises: as train."""
    sources = [_read(source, "train") for source in _given(config.data.train)]
    tested = tuple(image for source in config.data.val for image in _read(source, "val"))
    if tested and not any(len(image.boxes) for image in tested):
        raise UserError("Nobody is labelled in the pictures of data.val, so nothing can be scored on them.")
    shares = [source.share for source in config.data.train]
    sampler = EpochSampler([len(images) for images in sources], shares, batch=config.batch, seed=config.seed)
    examples = DetectorExamples(sources, shares, config)
    gpu = config.computing.device == "auto" and torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    network = _new_network(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = Task(
        network=network,
        optimiser=new_optimiser(network, config.optimiser),
        loader=load_batches(examples, sampler, workers=config.computing.workers, collate=collate),
        sampler=sampler,
        step=partial(_step, network, _teacher(config, device), config),
        learning_rate=partial(config.schedule.rate, batch=config.batch),
        score=partial(score, tested, config) if tested else None,
        weights=partial(weights_file, config),
    )
    return task, {**resume_relevant_config(config), "training_set": examples.fingerprint()}


def new_optimiser(network: nn.Module, config: DetectorOptimiser) -> torch.optim.Optimizer:
    """Decays the weights of convolutions alone: not their biases, and nothing of batch norms."""
    decaying = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decaying, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if config.name == "adamw":
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, lr=0.0, momentum=config.momentum, nesterov=config.momentum > 0)


def score(
    images: Sequence[LabelledImage], config: DetectorTrainConfig, network: nn.Module
) -> dict[str, float]:
    """AP at an overlap of 0.5 and, where some pictures are empty, false people for each of them."""
    assert isinstance(network, Yolox)
    view = YoloxConfig(
        config.size, config.input_px, config.input_px, min_score=_SCORED_FROM, nms_iou=_NMS_IOU
    )
    device = next(network.parameters()).device.type
    detect = YoloxDetector(view, network, ComputeConfig(device, batch=config.scoring.batch))
    found, waiting = [], iter(images)
    while batch := list(islice(waiting, config.scoring.batch)):
        images_rgb = [cv2.cvtColor(read_picture(image), cv2.COLOR_BGR2RGB) for image in batch]
        found += detect([Frame(number, 0.0, image) for number, image in enumerate(images_rgb)])
    scores = {"ap50": average_precision(found, images)}
    false = false_people(found, images)
    return scores if false is None else scores | {"false_people": false}


def weights_file(config: DetectorTrainConfig, network: nn.Module) -> bytes:
    """The network as safetensors that `--detector yolox-SIZE` reads, its input size in the header."""
    told = {"size": config.size, "input_px": config.input_px, "preprocess": _PREPROCESS}
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return serialise(tensors, {"format": "pt", STORED_SETTINGS: json.dumps(told)})


def _step(
    network: Yolox,
    teacher: Yolox | None,
    config: DetectorTrainConfig,
    batch: DetectorBatch,
    epoch: int,
    number: int,
) -> tuple[Tensor, Mapping[str, Tensor]]:
    device = next(network.parameters()).device
    images = to_network(batch.images.to(device), _PREPROCESS).contiguous(memory_format=torch.channels_last)
    height, width = images.shape[2:]
    logits = network.logits(images)
    told = None if teacher is None else _asked(teacher, images, config)
    with torch.autocast(device.type, enabled=False):
        losses = yolox_loss(
            logits,
            batch.targets(device),
            height=height,
            width=width,
            ignored=batch.ignored.to(device),
            l1=config.schedule.is_plain(epoch),
        )
        if told is None:
            return losses.total, losses.terms
        distil = distil_loss(logits, told, losses.assigned, height=height, width=width)
    distil = config.distil.weight * distil
    return losses.total + distil, losses.terms | {"distil": distil.detach()}


@torch.no_grad()
def _asked(teacher: Yolox, images: Tensor, config: DetectorTrainConfig) -> Taught:
    height, width = images.shape[2:]
    return teacher_features(teacher(images), height=height, width=width, full_score=config.distil.full_score)


def _teacher(config: DetectorTrainConfig, device: torch.device) -> Yolox | None:
    if config.distil.teacher is None:
        return None
    path = find(config.distil.teacher).path
    network = load_yolox_weights(path, config.distil.teacher_size, num_classes=1).requires_grad_(False)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _new_network(config: DetectorTrainConfig) -> Yolox:
    torch.manual_seed(config.seed)
    # A run that goes on has its own weights; those it began with may be gone.
    if config.init is None or (config.out and (Path(config.out).expanduser() / STATE).exists()):
        return Yolox(config.size, num_classes=1)
    return load_yolox_weights(find(config.init).path, config.size, num_classes=1)


def _given(sources: Sequence[Source]) -> Sequence[Source]:
    if not sources:
        raise UserError("Say what to learn from: data.train=FILE, a json file of COCO's form.")
    return sources


def _read(source: Source, role: str) -> tuple[LabelledImage, ...]:
    if not source.annotations:
        raise UserError(f"A source of data.{role} has no annotations. Name a json file: data.{role}=FILE.")
    return read_annotations(source.annotations, source.images)
