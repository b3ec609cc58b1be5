"""Fit the positions of PoseTrack's neck and top of the head relative to COCO's keypoints.

    python tools/fit_head_joints.py lspet_crops.json lspet_crops/ tinypose_256x192_fp16.xml

Both joints are placed on the line from the middle of the shoulders to the nose or to the middle of the ears.
The annotations are those of LSP Extended: {"images": [[file, [[x, y, visible] * 14]], ...]}, with shoulders
at 8 and 9, the neck at 12 and the top of the head at 13; the keypoints are those of a pose network. Half of
the people is used for the fit, the other half for the error. kprtrack/io/posetrack.py holds the results.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from kprtrack import build
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.datatypes import Detections, Frame

_PEOPLE, _BATCH = 1200, 16
_MARGIN_PX = 8
_MIN_SCORE = 0.3  # confidence of the nose and the shoulders
_NEAR = 0.5  # head sizes: people whose shoulders are farther from the annotated ones are skipped
_SMALLEST_HEAD_PX = 6
_ROUNDS = 50
_NECK, _TOP = 12, 13


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("pose_weights")
    options = parser.parse_args()
    found, ground_truth = keypoints(options.annotations, options.images, options.pose_weights)
    middle = found[:, 5:7, :2].mean(1)
    head = np.linalg.norm(ground_truth[:, _NECK, :2] - ground_truth[:, _TOP, :2], axis=1)
    good = (ground_truth[:, [_NECK, _TOP], 2] > 0).all(1) & (found[:, [0, 5, 6], 2] > _MIN_SCORE).all(1)
    for predicted, annotated in ((5, 9), (6, 8)):
        good &= (
            np.linalg.norm(found[:, predicted, :2] - ground_truth[:, annotated, :2], axis=1) < _NEAR * head
        )
    good &= head > _SMALLEST_HEAD_PX
    found, ground_truth, middle, head = (each[good] for each in (found, ground_truth, middle, head))
    fitted = np.random.default_rng(1).random(len(head)) < 0.5
    print(f"{fitted.sum()} people fitted, {(~fitted).sum()} measured")
    for name, joint, towards in (
        ("NECK_TO_NOSE", _NECK, found[:, 0, :2]),
        ("TOP_TO_EARS", _TOP, found[:, 3:5, :2].mean(1)),
        ("TOP_TO_NOSE", _TOP, found[:, 0, :2]),
    ):
        way, goal = towards - middle, ground_truth[:, joint, :2] - middle
        share = least_absolute(way[fitted], goal[fitted])
        error = np.linalg.norm(share * way - goal, axis=1)[~fitted] / head[~fitted]
        print(f"{name} = {share:.2f}: median error {np.median(error):.2f} head sizes")


def keypoints(annotations: Path, images: Path, pose_weights: str) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints [N, 17, 3] of the network and annotations [N, 14, 3] of randomly selected people."""
    entries = json.loads(annotations.read_text())["images"]
    chosen = [entries[row] for row in np.random.default_rng(0).permutation(len(entries))[:_PEOPLE]]
    config = TrackConfig(pose=ComponentConfig("heatmap", pose_weights))
    compute = build.compute_config(config)
    estimate = build.build_pose_estimator(config.pose, compute)
    found = []
    for start in range(0, len(chosen), _BATCH):
        frames, people = [], []
        for name, joints in chosen[start : start + _BATCH]:
            image = cv2.cvtColor(cv2.imread(str(images / name)), cv2.COLOR_BGR2RGB)
            shown = np.array([joint[:2] for joint in joints if joint[2] > 0])
            corners = np.stack((shown.min(0) - _MARGIN_PX, shown.max(0) + _MARGIN_PX))
            box = np.clip(corners, 0, image.shape[1::-1]).reshape(1, 4).astype(np.float32)
            frames.append(Frame(0, 0.0, image))
            people.append(Detections(box, np.ones(1, np.float32)))
        found += [poses.keypoints[0] for poses in estimate(frames, people)]
    return np.stack(found), np.array([joints for _, joints in chosen], float)


def least_absolute(way: np.ndarray, goal: np.ndarray) -> float:
    """Return the factor of `way` with the least sum of absolute errors, by reweighted least squares."""
    weights, share = np.ones_like(way), 0.0
    for _ in range(_ROUNDS):
        share = float((weights * way * goal).sum() / (weights * way**2).sum())
        weights = 1 / np.maximum(np.abs(goal - share * way), 1)
    return share


if __name__ == "__main__":
    main()
