"""The training of pose networks, small ones and HRNet, on annotated people or on the keypoints of a teacher.

A teacher's keypoints are in the annotations with their confidences, which become weights. Its heatmaps are
not stored: they would add little to position and confidence, and take 200 kB per person.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain, groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError
from kprtrack.inference.compile import normalised
from kprtrack.inference.pixels import IMAGENET_PIXELS
from kprtrack.poses.topdown import estimate_poses
from kprtrack.training.config import Source, resume_relevant_config, validate_sources
from kprtrack.training.pose.config import PoseTrainConfig
from kprtrack.training.pose.data import (
    LabelledPerson,
    PoseBatch,
    PoseExamples,
    collate,
    labelled_people,
    read_rgb,
)
from kprtrack.training.pose.loss import heatmap_loss
from kprtrack.training.pose.networks import new_network, new_optimiser, weights_file
from kprtrack.training.pose.scores import PoseScores, score_poses
from kprtrack.training.sampler import SourceBatches
from reid.training.distributed import map_in_processes
from reid.training.sampler import EpochSampler

_IMAGES_PER_BATCH = 8  # in validation


class PoseTask:
    """Trains a top-down pose network (a Task of kprtrack.training.task).

    Args:
        config: All settings.
        resume: The weights come from a checkpoint, so that `config.init` is not read.

    Raises:
        UserError: Or one of its kinds, for everything that the user can fix.
    """

    def __init__(self, config: PoseTrainConfig, *, resume: bool = False) -> None:
        self._config, self.seed = config, config.seed
        sources = [_read(source, config) for source in validate_sources(config.data)]
        self._validation = list(chain(*(_read(source, config) for source in config.data.val)))
        if self._validation and _score(self._validation, _gt(self._validation), config).keypoints == 0:
            raise UserError(
                "The people of data.val cannot be scored: none has shoulders and hips, or a head, annotated."
            )
        self.examples = PoseExamples(list(chain(*sources)), config)
        shares = [source.share for source in config.data.train]
        sizes = [len(people) for people in sources]
        batches = SourceBatches(sizes, shares, batch_size=config.batch, seed=config.seed)
        self.sampler, self.collate = EpochSampler(batches), collate
        self.settings = asdict(config)
        # Initial weights, and settings of the other network, play no part once the training has begun.
        unused = "hrnet" if config.network == "small" else "small"
        self.resume_fingerprint: Mapping[str, Any] = {
            **resume_relevant_config(config, leave_out=("init", unused)),
            "training_set": self.examples.fingerprint(),
        }
        network = new_network(config, resume=resume)
        self.network = network.to(memory_format=torch.channels_last)
        self.train_step = PoseTrainStep(self.network)
        self.optimiser = new_optimiser(self.network, config.optimiser)

    def begin_epoch(self, epoch: int) -> None:
        """Do nothing: all epochs are alike.

        Args:
            epoch: Its number, counted from 0.
        """

    def learning_rate(self, epochs: float) -> float:
        """Return the rate of the schedule in the settings.

        Args:
            epochs: Epochs trained before the step, fractions included.

        Returns:
            The rate.
        """
        return self._config.schedule.rate(epochs)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Compute PCKh and OKS of people in their annotated boxes; left and right joints are averaged.

        Args:
            network: The pose network, in evaluation mode.

        Returns:
            `pckh`, `pck_oks`, `oks` and `pckh_JOINT`, from 0 to 1; empty without validation data.
        """
        if not self._validation:
            return {}
        scores = _score(self._validation, predict(self._validation, self._config, network), self._config)
        sides: dict[str, list[float]] = {}
        for joint, share in scores.pckh_joints.items():
            if math.isfinite(share):
                sides.setdefault(joint.removeprefix("left_").removeprefix("right_"), []).append(share)
        joints = {f"pckh_{name}": sum(shares) / len(shares) for name, shares in sides.items()}
        return {"pckh": scores.pckh, "pck_oks": scores.pck_oks, "oks": scores.oks} | joints

    def weights_file(self, network: nn.Module) -> bytes:
        """Return safetensors that `--pose-weights` takes.

        Args:
            network: The pose network.

        Returns:
            The content of the file.
        """
        return weights_file(network)


class PoseTrainStep(nn.Module):
    """A pose network with its loss."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: PoseBatch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Compute the loss of this process's share of a batch.

        Args:
            batch: The share.

        Returns:
            The loss, and no further terms.
        """
        device = next(self.network.parameters()).device
        heatmaps = self.network(normalised(batch.crops.to(device), IMAGENET_PIXELS))
        return heatmap_loss(heatmaps, batch.heatmaps.to(device), batch.weights.to(device)), {}


def predict(people: Sequence[LabelledPerson], config: PoseTrainConfig, network: nn.Module) -> np.ndarray:
    """[N, 17, 3] keypoints of people in their annotated boxes, pixels of their images, in the same order.

    Args:
        people: In their images, with boxes.
        config: Sizes of the network, and crops at once.
        network: Crops to heatmaps, in evaluation mode.

    Returns:
        [N, 17, 3] x y confidence, in pixels of the images.
    """
    device = next(network.parameters()).device

    @torch.inference_mode()
    def heatmaps(crops: np.ndarray) -> np.ndarray:
        return network(normalised(torch.from_numpy(crops).to(device), IMAGENET_PIXELS)).float().cpu().numpy()

    def estimate(images: Sequence[list[LabelledPerson]]) -> list[np.ndarray]:
        keypoints: list[np.ndarray] = []
        for start in range(0, len(images), _IMAGES_PER_BATCH):
            some = images[start : start + _IMAGES_PER_BATCH]
            boxes = [np.stack([person.box for person in people]) for people in some]
            detections = [Detections(each, np.ones(len(each), np.float32)) for each in boxes]
            frames = [Frame(number, 0.0, read_rgb(each[0].image)) for number, each in enumerate(some)]
            poses = estimate_poses(frames, detections, heatmaps, config.layout(), config.scoring.batch)
            keypoints += [one.keypoints for one in poses]
        return keypoints

    by_image = [list(group) for _, group in groupby(people, key=lambda person: person.image.path)]
    return np.concatenate(map_in_processes(estimate, by_image))


def _read(source: Source, config: PoseTrainConfig) -> list[LabelledPerson]:
    return labelled_people(source, config.layout().skeleton, config.labels)


def _score(people: Sequence[LabelledPerson], keypoints: np.ndarray, config: PoseTrainConfig) -> PoseScores:
    areas = np.array([np.prod(person.box[2:] - person.box[:2]) for person in people])
    return score_poses(keypoints, _gt(people), areas, skeleton=config.layout().skeleton)


def _gt(people: Sequence[LabelledPerson]) -> np.ndarray:
    return np.stack([person.keypoints for person in people])
