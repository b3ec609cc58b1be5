"""Components under contract, and the frames of the demo clip with their ground truth."""

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from kprtrack.build import network_table, weights_of
from kprtrack.cli.demo import CLIP, GROUND_TRUTH
from kprtrack.config import ComponentConfig, configure
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks
from kprtrack.core.errors import UserError
from kprtrack.inference.devices import ComputeConfig
from kprtrack.io import read_tracks
from kprtrack.video.source import open_source
from support.untrained import UNTRAINED

COMPUTE = ComputeConfig(batch=3, threads=1)  # the batch is smaller than the number of people
STRIDE = 100  # of the 300 frames of the clip


@dataclass(frozen=True)
class Case:
    """A component that was built."""

    network: Any
    trained: bool  # with weights that fit real images


def open_component(role: str, name: str, folder: Path) -> Case:
    """Build a component with the weights of the package, else with untrained ones; else skip the test."""
    network, config = network_table(role)[name]
    weights = str(write_ground_truth(folder)) if network.weights_from == "path" else None
    try:
        component = ComponentConfig(name, weights)
        file = weights_of(role, component)
        settings = {} if file is None or file.entry is None else file.entry.settings
        options = {key.partition(".")[2]: value for key, value in settings.items()}
        options = {key: value for key, value in options.items() if key not in ("size", "width")}
        return Case(network(configure(config, options), file.path if file else None, COMPUTE), trained=True)
    except UserError as error:
        if network not in UNTRAINED:
            pytest.skip(f"{name} cannot be built here: {error}")
    options, make_weights = UNTRAINED[network]
    made = configure(config, options)
    return Case(network(made, make_weights(made, folder), COMPUTE), trained=False)


def write_ground_truth(folder: Path) -> Path:
    """Write the ground truth of the demo clip, which components that read files can use."""
    path = folder / "ground_truth.json"
    path.write_bytes(gzip.decompress(GROUND_TRUTH.read_bytes()))
    return path


@cache
def demo_frames() -> list[Frame]:
    """Every 100th frame of the demo clip."""
    with open_source(CLIP, stride=STRIDE) as video:
        return list(video)


@cache
def demo_tracks() -> list[Tracks]:
    """The ground truth of `demo_frames`."""
    with TemporaryDirectory() as folder:
        frames = read_tracks(write_ground_truth(Path(folder))).frames
    return [frames[frame.number] for frame in demo_frames()]


def demo_detections() -> list[Detections]:
    """The ground-truth boxes of `demo_frames`."""
    return [Detections(tracks.boxes, tracks.scores) for tracks in demo_tracks()]


def demo_poses() -> list[Poses]:
    """The ground-truth keypoints of `demo_frames`."""
    return [Poses(tracks.keypoints) for tracks in demo_tracks()]


def two_people(frame_count: int, *, parts: int = 2, reverse: bool = False) -> list[Observation]:
    """Two people who walk in opposite directions without meeting, at 25 frames per second.

    Args:
        frame_count: Number of observations.
        parts: Parts of the embeddings; 0: no encoder.
        reverse: List the detections of each frame in the other order.
    """
    embeddings = np.stack([np.eye(4, dtype=np.float32)[[0, 1]], np.eye(4, dtype=np.float32)[[2, 3]]])[
        :, :parts
    ]
    rows = np.array([1, 0] if reverse else [0, 1])
    observations = []
    for number in range(frame_count):
        left = np.array([100 + 4 * number, 900 - 4 * number], np.float32)
        top = np.array([100, 400], np.float32)
        boxes = np.stack([left, top, left + 60, top + 160], axis=1)[rows]
        keypoints = np.zeros((2, 17, 3), np.float32)
        keypoints[..., :2] = boxes[:, None, :2] + np.linspace(5, 55, 17, dtype=np.float32)[:, None]
        keypoints[..., 2] = 0.9
        appearance = Appearance(embeddings[rows], np.ones((2, parts), bool), np.ones(2, bool))
        detections = Detections(boxes, np.array([0.9, 0.8], np.float32)[rows])
        observations.append(Observation(number, number / 25, detections, Poses(keypoints), appearance))
    return observations
