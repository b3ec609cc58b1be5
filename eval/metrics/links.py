"""Scores of links: which tracks of different videos were said to be one person, and who was given which name.

Source: docs/reference/tracking_and_evaluation.md 2.8.
"""

from collections.abc import Sequence as List
from dataclasses import dataclass

import numpy as np

from eval.datatypes import Scores
from eval.metrics.similarity import Similarities, matched_pairs

UNMATCHED = -1
_LEAST_MATCHED = 0.5  # share of the boxes of a track


@dataclass(frozen=True)
class LinkedTracks:
    """The T tracks of all videos."""

    videos: np.ndarray  # [T] int64, number of the video
    persons: np.ndarray  # [T] int64, identity after linking; that of a track that was not linked is its own
    gt_persons: np.ndarray  # [T] int64, the person that it is a track of, or UNMATCHED


def gt_of_tracks(pairs: Similarities) -> np.ndarray:
    """Return the row of the person that each track is most often matched with, at IoU 0.5; or UNMATCHED.

    A track of which less than half is matched with anyone, as of a bystander without labels, is UNMATCHED.

    Args:
        pairs: The similarities of one video.

    Returns:
        [T] rows of its persons, for each of its tracks in order of ID; the first of equally frequent ones.
    """
    matched = matched_pairs(pairs)
    gt_ids, track_ids = pairs.gt_ids[pairs.gt_rows[matched]], pairs.track_ids[pairs.track_rows[matched]]
    counts = np.zeros((pairs.track_ids.max(initial=-1) + 1, pairs.gt_ids.max(initial=0) + 1), np.int64)
    np.add.at(counts, (track_ids, gt_ids), 1)
    boxes = np.bincount(pairs.track_ids, minlength=len(counts))
    return np.where(counts.sum(1) >= _LEAST_MATCHED * boxes, counts.argmax(1), UNMATCHED)


def link_scores(tracks: LinkedTracks) -> Scores:
    """Return precision, recall and F1 of pairs of tracks of different videos, and who was linked wrongly.

    Two tracks that are matched with no person are not counted: they may be of a person without labels.
    FPIR is the share of the tracks of persons of one video alone that are linked, which is wrong for all of
    them; "unknown" is their number. NaN: there is nothing to divide by.
    """
    known = tracks.gt_persons != UNMATCHED
    said = _pairs_across(tracks.videos, tracks.persons)
    said -= _pairs_across(tracks.videos[~known], tracks.persons[~known])
    true = _pairs_across(tracks.videos[known], tracks.gt_persons[known])
    both = _pairs_across(tracks.videos[known], tracks.persons[known], tracks.gt_persons[known])
    unknown = np.flatnonzero(known & (_videos_of(tracks.videos, tracks.gt_persons) == 1))
    linked = _videos_of(tracks.videos, tracks.persons) > 1
    return {
        "precision": _ratio(both, said),
        "recall": _ratio(both, true),
        "F1": _ratio(2 * both, said + true),
        "right_links": both,
        "wrong_links": said - both,
        "missed_links": true - both,
        "unknown": len(unknown),
        "FPIR": _ratio(int(linked[unknown].sum()), len(unknown)),
    }


def name_scores(names: List[str | None], gt_names: List[str | None]) -> Scores:
    """Return how often tracks have the wrong name, or none.

    Args:
        names: [T] of the tracks; None: without a name.
        gt_names: [T] of the persons that they are tracks of; None: the person has none, or there is none.

    Returns:
        Shares of the tracks of known persons: right_names, wrong_names, missed_names; and FPIR, the
        share of the other tracks that have a name. NaN: there are no such tracks.
    """
    pairs = list(zip(names, gt_names, strict=True))
    known = [(name, wanted) for name, wanted in pairs if wanted is not None]
    unknown = [name for name, wanted in pairs if wanted is None]
    return {
        "right_names": _ratio(sum(name == wanted for name, wanted in known), len(known)),
        "wrong_names": _ratio(sum(name not in (None, wanted) for name, wanted in known), len(known)),
        "missed_names": _ratio(sum(name is None for name, _ in known), len(known)),
        "FPIR": _ratio(sum(name is not None for name in unknown), len(unknown)),
    }


def _pairs_across(videos: np.ndarray, *keys: np.ndarray) -> int:
    """How many pairs of tracks of different videos have the same keys."""
    return _pairs(*keys) - _pairs(videos, *keys)


def _pairs(*keys: np.ndarray) -> int:
    counts = np.unique(np.stack(keys), axis=1, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _videos_of(videos: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """[T] in how many videos the person of each track is."""
    if not len(persons):
        return np.zeros(0, np.int64)
    places = np.unique(np.stack([persons, videos]), axis=1)
    found, counts = np.unique(places[0], return_counts=True)
    return counts[np.searchsorted(found, persons)]


def _ratio(count: int, whole: int) -> float:
    return count / whole if whole else float("nan")
