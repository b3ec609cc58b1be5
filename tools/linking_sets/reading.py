"""Read a set of videos with labelled persons."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from eval.benchmarks.tracks import find_track_files, read_track_pair
from eval.metrics.links import UNMATCHED, gt_of_tracks
from eval.metrics.similarity import box_similarities
from kprtrack.identity.results import IdentifiedResult, read_result
from linking_sets.writing import GROUND_TRUTH


class LabelledVideo(NamedTuple):
    """One video of a set."""

    result: IdentifiedResult
    persons: np.ndarray  # [T] the person of each track of the prototypes, or UNMATCHED


def read_set(folder: Path) -> list[LabelledVideo]:
    """Read the results of a set and find out which person each track is of."""
    files, _ = find_track_files(folder / GROUND_TRUTH, folder)
    videos = []
    for name, paths in files.items():
        sequence = read_track_pair(name, *paths).sequence
        result = read_result(paths[1])
        rows = gt_of_tracks(box_similarities(sequence))
        ids, numbers = np.unique(sequence.tracks.ids), np.unique(sequence.ground_truth.ids)
        person_by_track = {
            track: UNMATCHED if row == UNMATCHED else int(numbers[row])
            for track, row in zip(ids.tolist(), rows.tolist(), strict=True)
        }
        tracks = result.prototypes.track_ids.tolist()
        persons = np.array([person_by_track.get(track, UNMATCHED) for track in tracks], np.int64)
        videos.append(LabelledVideo(result, persons))
    return videos


def sets_below(folder: Path) -> list[Path]:
    """Return the set in a folder, or those in its subfolders."""
    return sorted(path.parent for path in folder.glob(f"**/{GROUND_TRUTH}"))
