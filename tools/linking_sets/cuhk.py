"""The test people of CUHK03 or CUHK01 as videos of one camera: each has one person, one crop a frame."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Detections, Frame, Observation
from kprtrack.core.skeleton import COCO_SKELETON
from kprtrack.io import RunHeader
from kprtrack.pipeline import Networks
from linking_sets.writing import labelled, write_video
from reid.datasets import ReidSample, open_dataset
from reid.datasets.crops import read_image

_INTERVAL_S = 1.0  # between the crops
_SCORE = 0.9  # of the boxes, which fill their crops


def write_people(folder: Path, dataset: str, root: Path, networks: Networks, one_camera: float) -> int:
    """Embed the crops of the test people, and write a video for each person and camera into a set.

    Args:
        folder: Of the set.
        dataset: "cuhk03" or "cuhk01".
        root: Of the dataset.
        networks: Pose network and encoder.
        one_camera: Share of the people whose second camera is left out: there is nothing to link them with.

    Returns:
        Number of videos.
    """
    data = open_dataset(dataset, root, {"keypoints": None, "masks": None})
    header = RunHeader(models=networks.metadata, skeleton=networks.skeleton or COCO_SKELETON)
    videos: dict[tuple[int, int], list[ReidSample]] = defaultdict(list)
    for sample in (*data.query, *data.gallery):
        videos[sample.identity, sample.camera].append(sample)
    persons = sorted({person for person, _ in videos})
    alone = np.random.default_rng(0).choice(persons, round(one_camera * len(persons)), replace=False)
    kept = sorted(
        (place, samples) for place, samples in videos.items() if place[1] == 0 or place[0] not in alone
    )
    for (person, camera), samples in kept:
        frames = [
            Frame(number, number * _INTERVAL_S, read_image(sample.image))
            for number, sample in enumerate(sorted(samples, key=lambda one: one.image.name))
        ]
        boxes = [np.array([[0, 0, *frame.image.shape[1::-1]]], np.float32) for frame in frames]
        detections = [Detections(box, np.full(1, _SCORE, np.float32)) for box in boxes]
        poses = networks.estimate_poses(frames, detections)
        embeddings = networks.embed(frames, detections, poses)
        seen = [
            Observation(frame.number, frame.time_s, *rest)
            for frame, *rest in zip(frames, detections, poses, embeddings, strict=True)
        ]
        tracks, ground_truth = (
            [
                labelled(each.frame_number, each.time_s, np.array([one]), each.detections.boxes, each.poses)
                for each in seen
            ]
            for one in (1, person + 1)
        )
        write_video(folder, f"{person:04d}_{camera}", header, seen, tracks, ground_truth)
    return len(kept)
