"""Trains pose networks, the small one and HRNet, on labelled people or on what a teacher says of them.

A teacher's keypoints lie in the annotations with their confidences, which become weights. Its heatmaps are
not kept: they would say little more than where and how sure, and one person's take 200 kB.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError
from kprtrack.poses.small import normalised
from kprtrack.poses.topdown import estimate_poses
from kprtrack.training.config import Source
from kprtrack.training.loop import Task, run_training
from kprtrack.training.pose.config import PoseTrainConfig, resume_relevant_config
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
from kprtrack.training.sampler import EpochSampler, load_batches

_IMAGES_AT_ONCE = 8  # in scoring


def train(config: PoseTrainConfig, *, quiet: bool = False) -> Path:
    """Train as `config` says, or go on with the run in its folder; returns the folder.

    Raises: UserError and its kinds for what a user can mend; KeyboardInterrupt after Ctrl-C, with all saved.
    """
    task, same = prepare(config)
    return run_training(
        task, out=config.out, settings=asdict(config), same=same, config=config.loop(), quiet=quiet
    )


def prepare(config: PoseTrainConfig) -> tuple[Task, Mapping[str, Any]]:
    """What is to be done, and what a run must still be when it goes on. Raises: as train."""
    if not config.data.train:
        raise UserError("Say what to learn from: data.train=FILE, a json file of COCO's form.")
    sources = _read(config.data.train, config)
    tested = list(chain(*_read(config.data.val, config)))
    if tested and _score(tested, _gt(tested), config).keypoints == 0:
        raise UserError(
            "The people of data.val cannot be scored: of nobody are shoulders and hips or head known."
        )
    examples = PoseExamples(list(chain(*sources)), config)
    shares = [source.share for source in config.data.train]
    sampler = EpochSampler([len(people) for people in sources], shares, batch=config.batch, seed=config.seed)
    gpu = config.computing.device == "auto" and torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    network = new_network(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = Task(
        network=network,
        optimiser=new_optimiser(network, config.optimiser),
        loader=load_batches(examples, sampler, workers=config.computing.workers, collate=collate),
        sampler=sampler,
        step=partial(_step, network),
        learning_rate=config.schedule.rate,
        score=partial(score, tested, config) if tested else None,
        weights=weights_file,
    )
    return task, {**resume_relevant_config(config), "training_set": examples.fingerprint()}


def score(people: Sequence[LabelledPerson], config: PoseTrainConfig, network: nn.Module) -> dict[str, float]:
    """PCKh and keypoint similarity of people in their annotated boxes; left and right joints as one."""
    scores = _score(people, find_keypoints(people, config, network), config)
    sides: dict[str, list[float]] = {}
    for joint, share in scores.pckh_joints.items():
        if math.isfinite(share):
            sides.setdefault(joint.removeprefix("left_").removeprefix("right_"), []).append(share)
    joints = {f"pckh_{name}": sum(shares) / len(shares) for name, shares in sides.items()}
    return {"pckh": scores.pckh, "pck_oks": scores.pck_oks, "oks": scores.oks} | joints


def find_keypoints(
    people: Sequence[LabelledPerson], config: PoseTrainConfig, network: nn.Module
) -> np.ndarray:
    """[N, 17, 3] what the network says of people in their annotated boxes, pixels of their pictures."""
    device = next(network.parameters()).device

    @torch.inference_mode()
    def heatmaps(crops: np.ndarray) -> np.ndarray:
        return network(normalised(torch.from_numpy(crops).to(device))).float().cpu().numpy()

    pictures = [list(group) for _, group in groupby(people, key=lambda person: person.image.path)]
    found = []
    for start in range(0, len(pictures), _IMAGES_AT_ONCE):
        some = pictures[start : start + _IMAGES_AT_ONCE]
        frames = [Frame(number, 0.0, read_rgb(group[0].image)) for number, group in enumerate(some)]
        seen = [
            Detections(np.stack([person.box for person in group]), np.ones(len(group), np.float32))
            for group in some
        ]
        poses = estimate_poses(frames, seen, heatmaps, config.layout(), config.scoring.batch)
        found += [one.keypoints for one in poses]
    return np.concatenate(found)


def _step(
    network: nn.Module, batch: PoseBatch, _epoch: int, _number: int
) -> tuple[Tensor, Mapping[str, Tensor]]:
    device = next(network.parameters()).device
    found = network(normalised(batch.crops.to(device)))
    return heatmap_loss(found, batch.heatmaps.to(device), batch.weights.to(device)), {}


def _read(sources: Sequence[Source], config: PoseTrainConfig) -> list[list[LabelledPerson]]:
    return [labelled_people(source, config.layout().skeleton, config.labels) for source in sources]


def _score(people: Sequence[LabelledPerson], found: np.ndarray, config: PoseTrainConfig) -> PoseScores:
    areas = np.array([np.prod(person.box[2:] - person.box[:2]) for person in people])
    return score_poses(found, _gt(people), areas, skeleton=config.layout().skeleton)


def _gt(people: Sequence[LabelledPerson]) -> np.ndarray:
    return np.stack([person.keypoints for person in people])
