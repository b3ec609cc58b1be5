"""Tracks of clips whose people are known: their features, and whether each is one person."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kprtrack.core.datatypes import Observation, Tracks
from kprtrack.core.geometry import iou
from kprtrack.identity import PrototypeCollector
from kprtrack.identity.confidence import COEFFICIENTS, features_of
from kprtrack.io import read_observations, read_tracks
from kprtrack.pipeline import track
from kprtrack.trackers.kpr import KprTracker

_MIN_IOU = 0.5  # of a box with that of a person
_MIN_BOXES = 5  # labelled ones; of shorter tracks nothing can be said
_MIN_LABELLED = 0.5  # of the boxes of a track; other tracks are of no one
_MIN_SHARE = 0.95  # of its labelled boxes that are of one person


class Examples(NamedTuple):
    """N tracks."""

    features: np.ndarray  # [N, F] in the order of COEFFICIENTS
    one_person: np.ndarray  # [N] bool


def examples(observations: Iterable[Observation], ground_truth: Sequence[Tracks]) -> Examples:
    """Track a clip, and compare each track with the people in the ground truth.

    Args:
        observations: One per frame.
        ground_truth: Frames with the true identities, some or all.
    """
    collector, tracker = PrototypeCollector({"video": {}, "reid": {}}), KprTracker()
    frames = []
    for tracks in track(collector.observed(observations), tracker):
        collector.evidence.add(tracker.take_evidence())
        collector.add(tracks)
        frames.append(tracks)
    features = features_of(frames, collector.result(complete=True))
    labels = one_person(frames, ground_truth)
    known = sorted(set(features) & set(labels))
    return Examples(
        np.array([[features[number][name] for name in COEFFICIENTS] for number in known]).reshape(
            -1, len(COEFFICIENTS)
        ),
        np.array([labels[number] for number in known], bool),
    )


def one_person(frames: Sequence[Tracks], ground_truth: Sequence[Tracks]) -> dict[int, bool]:
    """Whether at least 95 % of the labelled boxes of each track are of one person, by track ID."""
    truth = {one.frame_number: one for one in ground_truth if len(one)}
    people: dict[int, Counter[int]] = {}
    boxes: Counter[int] = Counter()
    for tracks in frames:
        labels = truth.get(tracks.frame_number)
        if labels is None or not len(tracks):
            continue
        boxes.update(tracks.ids.tolist())
        overlap = iou(tracks.boxes, labels.boxes)
        for row, column in enumerate(overlap.argmax(1).tolist()):
            if overlap[row, column] >= _MIN_IOU and overlap[:, column].argmax() == row:
                people.setdefault(int(tracks.ids[row]), Counter())[int(labels.ids[column])] += 1
    return {
        number: max(seen.values()) >= _MIN_SHARE * seen.total()
        for number, seen in people.items()
        if seen.total() >= max(_MIN_BOXES, _MIN_LABELLED * boxes[number])
    }


def examples_in(folder: Path) -> Examples:
    """Examples of all observations (.npz) in a folder; ground truth is tracks/NAME.json somewhere in it."""
    found = []
    for file in sorted(folder.rglob("*.npz")):
        (truth,) = folder.rglob(f"tracks/{file.stem}.json")
        found.append(examples(read_observations(file), read_tracks(truth).frames))
    return joined(found)


def joined(sets: Sequence[Examples]) -> Examples:
    """All examples of several sets."""
    return Examples(
        np.concatenate([one.features for one in sets]), np.concatenate([one.one_person for one in sets])
    )
