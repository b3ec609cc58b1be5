"""The training of YOLOX detectors of people, on annotations or on the boxes and scores of a teacher."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, islice
from typing import Any

import cv2
import torch
from safetensors.torch import save as serialise
from torch import Tensor, nn

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError
from kprtrack.detectors.letterbox import PIXELS, Preprocess
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_network import Yolox, load_yolox_weights
from kprtrack.detectors.yolox_weights import STORED_SETTINGS
from kprtrack.hub.store import find
from kprtrack.inference.compile import normalised
from kprtrack.inference.devices import ComputeConfig
from kprtrack.training.annotations import LabelledImage, read_annotations
from kprtrack.training.config import Source, resume_relevant_config, validate_sources
from kprtrack.training.detector.config import DetectorDistil, DetectorOptimiser, DetectorTrainConfig
from kprtrack.training.detector.data import DetectorBatch, DetectorExamples, collate, read_image
from kprtrack.training.detector.distillation import TeacherOutput, distil_loss, teacher_output
from kprtrack.training.detector.loss import yolox_loss
from kprtrack.training.detector.scores import average_precision, false_people
from kprtrack.training.optimiser import weight_decay_groups
from kprtrack.training.sampler import SourceBatches
from reid.training.distributed import map_in_processes
from reid.training.sampler import EpochSampler

Teacher = Callable[[Tensor], TeacherOutput]

# How pixels are given to the network (docs/reference/detector_and_pose.md 1.5)
_PREPROCESS: Preprocess = "megvii"
_MIN_SCORE, _NMS_IOU = 0.01, 0.65  # as YOLOX is evaluated (docs/reference/detector_and_pose.md 1.6)


class DetectorTask:
    """Trains a YOLOX of one class (a Task of kprtrack.training.task).

    Args:
        config: All settings.
        resume: The weights come from a checkpoint, so that `config.init` is not read.

    Raises:
        UserError: Or one of its kinds, for everything that the user can fix.
    """

    def __init__(self, config: DetectorTrainConfig, *, resume: bool = False) -> None:
        self._config, self.seed = config, config.seed
        sources = [_read(source) for source in validate_sources(config.data)]
        self._validation = tuple(chain(*(_read(source) for source in config.data.val)))
        if self._validation and not any(len(image.boxes) for image in self._validation):
            raise UserError("No person is annotated in data.val, so that nothing can be scored on it.")
        shares = [source.share for source in config.data.train]
        sizes = [len(images) for images in sources]
        batches = SourceBatches(sizes, shares, batch_size=config.batch, seed=config.seed)
        self.sampler, self.collate = EpochSampler(batches), collate
        self.examples = DetectorExamples(sources, shares, config)
        self.settings = asdict(config)
        fingerprint = {"training_set": self.examples.fingerprint()}
        self.resume_fingerprint: Mapping[str, Any] = {**resume_relevant_config(config), **fingerprint}
        self.network = _new_network(config, None if resume else config.init)
        if config.freeze_stem:
            self.network.backbone.backbone.stem.requires_grad_(False)
        self.train_step = DetectorTrainStep(self.network, _load_teacher(config.distil), config)
        self.optimiser = new_optimiser(self.network, config.optimiser)

    def begin_epoch(self, epoch: int) -> None:
        """Add the L1 loss in the last epochs, which are without mosaic.

        Args:
            epoch: Its number, counted from 0.
        """
        self.train_step.l1 = self._config.schedule.is_plain(epoch)

    def learning_rate(self, epochs: float) -> float:
        """Return the rate of YOLOX's schedule, scaled with the batch size.

        Args:
            epochs: Epochs trained before the step, fractions included.

        Returns:
            The rate.
        """
        return self._config.schedule.rate(epochs, self._config.batch)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Compute AP at an IoU of 0.5 and, where images have no people, false positives for each of them.

        Args:
            network: The detector, in evaluation mode.

        Returns:
            `ap50` and perhaps `false_people`; empty without validation images.
        """
        assert isinstance(network, Yolox)
        images = self._validation
        if not images:
            return {}
        detect = _detector(network, self._config)
        detections = map_in_processes(detect, images)
        scores = {"ap50": average_precision(detections, images)}
        false = false_people(detections, images)
        return scores if false is None else scores | {"false_people": false}

    def weights_file(self, network: nn.Module) -> bytes:
        """Return safetensors that `--detector yolox-SIZE` reads, with the input size in the header.

        Args:
            network: The detector.

        Returns:
            The content of the file.
        """
        return detector_file(network, self._config)


class DetectorTrainStep(nn.Module):
    """A YOLOX with its loss.

    Args:
        network: The student.
        teacher: Gives its outputs for images as the network takes them; None: without distillation.
        config: All settings.
    """

    def __init__(self, network: Yolox, teacher: Teacher | None, config: DetectorTrainConfig) -> None:
        super().__init__()
        self.network, self.l1 = network, False
        self._teacher, self._config = teacher, config

    def forward(self, batch: DetectorBatch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Compute the loss of this process's share of a batch.

        Args:
            batch: The share.

        Returns:
            The loss, and detached terms to log.
        """
        device = next(self.network.parameters()).device
        images = normalised(batch.images.to(device), PIXELS[_PREPROCESS]).contiguous(
            memory_format=torch.channels_last
        )
        if self._config.freeze_norms:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        height, width = images.shape[2:]
        logits = self.network.logits(images)
        target = None if self._teacher is None else self._teacher(images)
        with torch.autocast(device.type, enabled=False):
            losses = yolox_loss(
                logits,
                batch.targets(device),
                height=height,
                width=width,
                ignored=batch.ignored.to(device),
                l1=self.l1,
                joint=self._config.joint_score,
            )
            if target is None:
                return losses.total, losses.terms
            distil = distil_loss(logits, target, losses.assigned, height=height, width=width)
        distil = self._config.distil.weight * distil
        return losses.total + distil, losses.terms | {"distil": distil.detach()}


def detector_file(network: nn.Module, config: DetectorTrainConfig) -> bytes:
    """Safetensors that `--detector yolox-SIZE` reads, with the input size in the header."""
    header = {"size": config.size, "input_px": config.input_px, "preprocess": _PREPROCESS}
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return serialise(tensors, {"format": "pt", STORED_SETTINGS: json.dumps(header)})


def new_optimiser(network: nn.Module, config: DetectorOptimiser) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW; only weights of convolutions decay.

    Args:
        network: The network to train.
        config: Kind of optimiser, momentum and weight decay.

    Returns:
        The optimiser, with a learning rate of 0 until one is set.
    """
    groups = weight_decay_groups(network, config.weight_decay, convolution_rate=config.convolution_rate)
    if config.name == "adamw":
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, lr=0.0, momentum=config.momentum, nesterov=config.momentum > 0)


def _detector(
    network: Yolox, config: DetectorTrainConfig
) -> Callable[[Sequence[LabelledImage]], list[Detections]]:
    """A function that detects people in image files."""
    view = YoloxConfig(config.size, config.input_px, config.input_px, min_score=_MIN_SCORE, nms_iou=_NMS_IOU)
    device = next(network.parameters()).device.type
    detect = YoloxDetector(view, network, ComputeConfig(device, batch=config.scoring.batch))

    def detect_files(images: Sequence[LabelledImage]) -> list[Detections]:
        found: list[Detections] = []
        waiting = iter(images)
        while batch := list(islice(waiting, config.scoring.batch)):
            pixels = [cv2.cvtColor(read_image(image), cv2.COLOR_BGR2RGB) for image in batch]
            found += detect([Frame(number, 0.0, each) for number, each in enumerate(pixels)])
        return found

    return detect_files


def _load_teacher(config: DetectorDistil) -> Teacher | None:
    if config.teacher is None:
        return None
    network = load_yolox_weights(find(config.teacher).path, config.teacher_size, num_classes=1)
    network.requires_grad_(False).to(memory_format=torch.channels_last)

    # A function, so that the teacher is neither trained nor saved with the student.
    @torch.no_grad()
    def teach(images: Tensor) -> TeacherOutput:
        height, width = images.shape[2:]
        outputs = network.to(images.device)(images)
        return teacher_output(outputs, height=height, width=width, full_score=config.full_score)

    return teach


def _new_network(config: DetectorTrainConfig, init: str | None) -> Yolox:
    torch.manual_seed(config.seed)
    if init is None:
        network = Yolox(config.size, num_classes=1)
    else:
        network = load_yolox_weights(find(init).path, config.size, num_classes=1)
    return network.to(memory_format=torch.channels_last)


def _read(source: Source) -> tuple[LabelledImage, ...]:
    return read_annotations(source.annotations, source.images, source.category)
