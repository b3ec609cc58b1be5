"""Estimate from the observations of a video whether keypoint prompts can help."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import Observation, Tracks

JOINT_CONFIDENCE = 0.3  # KPR makes no prompt from joints below (docs/reference/kpr.md 2.3)
MIN_JOINTS = 3  # a person with fewer is embedded without a prompt
MIN_OVERLAP = 0.1  # fraction of a box covered by another box that makes its crop ambiguous
MIN_OVERLAPPED_SHARE = 0.02  # with fewer overlapped people prompts cannot change much
MIN_USABLE_SHARE = 0.5  # of the overlapped people: they need usable keypoints


@dataclass(frozen=True)
class PromptQuality:
    """Whether keypoint prompts can help on one video."""

    people: int  # boxes in all frames
    usable_share: float  # people with at least MIN_JOINTS joints above JOINT_CONFIDENCE, 0..1
    overlapped_share: float  # people partly under another box, where prompts matter, 0..1
    usable_overlapped_share: float  # of the overlapped people, those with usable keypoints, 0..1
    helps: bool
    verdict: str  # one or two sentences


def prompt_quality(observations: Iterable[Observation | Tracks]) -> PromptQuality:
    """Measure how usable the keypoints of a video are and how many people overlap.

    Source: KPR issue 20.
    """
    usable, overlapped = [np.zeros(0, bool)], [np.zeros(0, bool)]
    for frame in observations:
        boxes, keypoints = (
            (frame.boxes, frame.skeleton.to_prompts(frame.keypoints))
            if isinstance(frame, Tracks)
            else (frame.detections.boxes, frame.poses.skeleton.to_prompts(frame.poses.keypoints))
        )
        usable.append((keypoints[:, :, 2] > JOINT_CONFIDENCE).sum(axis=1) >= MIN_JOINTS)
        overlapped.append(_largest_overlap(boxes) >= MIN_OVERLAP)
    good, under = np.concatenate(usable), np.concatenate(overlapped)
    shares = _share(good), _share(under), _share(good[under])
    helps, verdict = _verdict(len(good), *shares)
    return PromptQuality(len(good), *shares, helps, verdict)


def _largest_overlap(boxes: np.ndarray) -> np.ndarray:
    """[N] largest fraction of each box that one other box overlaps, 0..1."""
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
        return False, "No person was detected, so prompts cannot be assessed."
    if overlapped < MIN_OVERLAPPED_SHARE:
        return False, (
            f"Prompts will change little here: only {overlapped:.1%} of the people overlap another."
            f" {usable:.0%} have usable keypoints."
        )
    if usable_overlapped < MIN_USABLE_SHARE:
        return False, (
            f"The keypoints are too poor for prompts to help: {overlapped:.0%} of the people overlap another,"
            f" but only {usable_overlapped:.0%} of those have {MIN_JOINTS} joints with confidence above"
            f" {JOINT_CONFIDENCE}. The others get no prompt. Try a better pose estimator or larger images."
        )
    return True, (
        f"Prompts can help: {overlapped:.0%} of the people overlap another, and {usable_overlapped:.0%} of"
        " those have usable keypoints."
    )
