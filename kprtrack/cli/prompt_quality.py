"""How much keypoint prompts can do for one video, judged from what the networks saw in it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import Observation, Tracks

JOINT_CONFIDENCE = 0.3  # below, KPR draws no prompt for a joint (docs/reference/kpr.md 2.3)
LEAST_JOINTS = 3  # a person with fewer is embedded without a prompt
OVERLAP = 0.1  # share of a person's box under one other box from which on the crop is ambiguous
RARELY = 0.02  # share of overlapped people below which prompts cannot change much
MOSTLY = 0.5  # share of overlapped people that need usable keypoints


@dataclass(frozen=True)
class PromptQuality:
    """How much keypoint prompts can do for one video."""

    people: int  # boxes in all frames
    usable_share: float  # people with at least LEAST_JOINTS joints above JOINT_CONFIDENCE, 0..1
    overlapped_share: float  # people partly under another box, where prompts matter, 0..1
    usable_overlapped_share: float  # of the overlapped people, those with usable keypoints, 0..1
    helps: bool
    verdict: str  # in plain words


def prompt_quality(observations: Iterable[Observation | Tracks]) -> PromptQuality:
    """How usable the keypoints of a video are, and how often prompts matter in it. Source: KPR issue 20."""
    usable, overlapped = [np.zeros(0, bool)], [np.zeros(0, bool)]
    for seen in observations:
        boxes, keypoints = (
            (seen.boxes, seen.keypoints)
            if isinstance(seen, Tracks)
            else (seen.detections.boxes, seen.poses.keypoints)
        )
        usable.append((keypoints[:, :, 2] > JOINT_CONFIDENCE).sum(axis=1) >= LEAST_JOINTS)
        overlapped.append(_covered(boxes) >= OVERLAP)
    good, under = np.concatenate(usable), np.concatenate(overlapped)
    shares = _share(good), _share(under), _share(good[under])
    helps, verdict = _verdict(len(good), *shares)
    return PromptQuality(len(good), *shares, helps, verdict)


def _covered(boxes: np.ndarray) -> np.ndarray:
    """[N] largest share of each box that lies under one other box, 0..1."""
    if len(boxes) < 2:
        return np.zeros(len(boxes))
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)  # [N, N] pixels
    np.fill_diagonal(shared, 0)
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    return shared.max(axis=1) / np.maximum(areas, 1e-6)


def _share(rows: np.ndarray) -> float:
    return float(rows.mean()) if len(rows) else 0.0


def _verdict(people: int, usable: float, overlapped: float, usable_overlapped: float) -> tuple[bool, str]:
    if not people:
        return False, "Nobody was seen, so nothing can be said about prompts."
    if overlapped < RARELY:
        return False, (
            f"Prompts will change little here: only {overlapped:.1%} of the people overlap another."
            f" {usable:.0%} have usable keypoints."
        )
    if usable_overlapped < MOSTLY:
        return False, (
            f"The keypoints are too poor for prompts to help: {overlapped:.0%} of the people overlap another,"
            f" but only {usable_overlapped:.0%} of those show {LEAST_JOINTS} joints with confidence above"
            f" {JOINT_CONFIDENCE}. The rest get no prompt. Try a better pose estimator or larger pictures."
        )
    return True, (
        f"Prompts can help: {overlapped:.0%} of the people overlap another, and {usable_overlapped:.0%} of"
        " those have usable keypoints."
    )
