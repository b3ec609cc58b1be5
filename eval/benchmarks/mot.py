"""MOTChallenge's folders and its rules for the boxes that are scored in MOT15, MOT16, MOT17 and MOT20."""

import configparser
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.benchmarks.mot_table import LAST_FRAME, people_of, read_mot_table
from eval.benchmarks.pairing import by_stem, unused_note, validate_all_have_results
from eval.datatypes import People, Sequence
from eval.metrics.similarity import box_similarities, matched_pairs
from kprtrack.core.errors import InputError
from kprtrack.core.files.folders import visible
from kprtrack.core.files.paths import real_path
from kprtrack.io.mot import MotRows

PEDESTRIAN = 1
_CLASSES = 13  # from 1 on
_DISTRACTORS = (2, 7, 8, 12)  # person on vehicle, static person, distractor, reflection
_MOT20_DISTRACTORS = (*_DISTRACTORS, 6)  # vehicle of no other class
_COLUMNS_AFTER_FLAG = 2  # class and visibility since MOT16; MOT15 has three, a position in the world


@dataclass(frozen=True)
class MotFiles:
    """The two files of a sequence."""

    name: str
    ground_truth: Path
    results: Path


@dataclass(frozen=True)
class MotSequence:
    """A sequence after preprocessing."""

    sequence: Sequence
    has_classes: bool  # whether MOT16's rules were applied
    notes: tuple[str, ...]


def find_mot_sequences(ground_truth: Path, results: Path) -> tuple[list[MotFiles], tuple[str, ...]]:
    """Find the files of all sequences.

    Args:
        ground_truth: A folder of NAME/gt/gt.txt or NAME.txt, the folder of one sequence, or a file.
        results: A folder of NAME.txt; for a single sequence also a file of any name.

    Returns:
        The files, ordered by name of the sequence, and notes for the reader.

    Raises:
        InputError: A file or folder is missing.
    """
    gt_files = _gt_files(ground_truth)
    if results.is_file():
        if len(gt_files) > 1:
            raise InputError(
                f"{results} is one file, but {ground_truth} has {len(gt_files)} sequences. Give a folder."
            )
        return [MotFiles(name, file, results) for name, file in gt_files.items()], ()
    if not results.is_dir():
        raise InputError(f"There is no file or folder {results}.")
    found = by_stem(visible(results, "*.txt"))
    validate_all_have_results(gt_files, found, results)
    return [MotFiles(name, file, found[name]) for name, file in gt_files.items()], unused_note(
        gt_files, found
    )


def read_mot_sequence(files: MotFiles) -> MotSequence:
    """Read a sequence and apply MOTChallenge's preprocessing.

    With classes (MOT16, MOT17, MOT20), tracks that match a distractor are removed, then all ground truth
    other than pedestrians. Ground truth whose flag is 0 is always removed.
    Source: MOT16 (Milan et al., 2016), as TrackEval applies it.

    Raises:
        InputError: A file is invalid; the message names file and line.
    """
    ground_truth, tracks = read_mot_table(files.ground_truth), read_mot_table(files.results)
    tracks.reject(
        np.any(tracks.rest[:, :1] >= PEDESTRIAN + 1, axis=1),
        "a class above 1; only pedestrians are scored. Remove all others, or write -1 in column 8.",
    )
    frame_count = _frame_count(files.ground_truth, ground_truth, tracks)
    classes = _classes(ground_truth)
    gt_scored = np.trunc(ground_truth.scores) != 0
    tracks_scored = np.ones(len(tracks), bool)
    if classes is not None:
        sides = people_of(ground_truth, np.ones(len(ground_truth), bool)), people_of(tracks, tracks_scored)
        pairs = box_similarities(_sequence(files.name, frame_count, *sides))
        matched = matched_pairs(pairs)
        distractors = _MOT20_DISTRACTORS if files.name.startswith("MOT20") else _DISTRACTORS
        on_distractors = matched[np.isin(classes[pairs.gt_rows[matched]], distractors)]
        tracks_scored[pairs.track_rows[on_distractors]] = False
        gt_scored &= classes == PEDESTRIAN
    sequence = _sequence(
        files.name, frame_count, people_of(ground_truth, gt_scored), people_of(tracks, tracks_scored)
    )
    return MotSequence(sequence, classes is not None, _ignored_notes(files.name, ground_truth, gt_scored))


def _ignored_notes(name: str, ground_truth: MotRows, scored: np.ndarray) -> tuple[str, ...]:
    """Return notes on ground truth boxes that do not count for a reason that may be a mistake."""
    notes, total = [], len(ground_truth)
    fractions = (ground_truth.scores < 1) & (ground_truth.scores > -1) & (ground_truth.scores != 0)
    flagged = np.trunc(ground_truth.scores) == 0
    if fractions.any() or (total and flagged.all()):
        count = f"all {total}" if flagged.all() else f"{fractions.sum()} of {total}"
        notes.append(
            f"{name}: {count} ground-truth boxes have a flag below 1 and do not count. Write 1 in column 7,"
            " if it has confidences."
        )
    elif total and not scored.any():
        notes.append(f"{name}: none of the {total} ground truth boxes is a pedestrian (class 1 in column 8).")
    elif not total:
        notes.append(f"{name}: the ground truth has no boxes.")
    return tuple(notes)


def _gt_files(ground_truth: Path) -> dict[str, Path]:
    """Return the ground truth files by name of the sequence."""
    if ground_truth.is_file():
        return {_name_of(ground_truth): ground_truth}
    if not ground_truth.is_dir():
        raise InputError(f"There is no file or folder {ground_truth}.")
    if (ground_truth / "gt" / "gt.txt").is_file():
        return {real_path(ground_truth).name: ground_truth / "gt" / "gt.txt"}
    found = {file.parents[1].name: file for file in visible(ground_truth, "*/gt/gt.txt")}
    found = found or by_stem(visible(ground_truth, "*.txt"))
    if not found:
        raise InputError(
            f"{ground_truth} has neither NAME/gt/gt.txt nor NAME.txt. Name the folder that has them."
        )
    return found


def _name_of(file: Path) -> str:
    is_gt = (file.parent.name, file.name) == ("gt", "gt.txt")
    return real_path(file).parents[1].name if is_gt else file.stem


def _sequence(name: str, frame_count: int, ground_truth: People, tracks: People) -> Sequence:
    return Sequence(name, np.ones(frame_count, bool), ((),) * frame_count, ground_truth, tracks)


def _frame_count(path: Path, ground_truth: MotRows, tracks: MotRows) -> int:
    """Return the length in seqinfo.ini or, without that file, up to the last frame with a box.

    Raises:
        InputError: There is a box after the end.
    """
    info = path.parent.parent / "seqinfo.ini"
    if path.parent.name != "gt" or not info.is_file():
        return int(max(ground_truth.frames.max(initial=-1), tracks.frames.max(initial=-1))) + 1
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(info, encoding="utf-8-sig")
        count = parser.getint("Sequence", "seqLength")
    except (configparser.Error, ValueError) as error:
        message = str(error).splitlines()[0]
        raise InputError(f"{info} must have seqLength in its section [Sequence]: {message}.") from error
    if not 0 <= count <= LAST_FRAME:
        raise InputError(f"{info}: seqLength {count} must be at most {LAST_FRAME}.")
    for table in (ground_truth, tracks):
        table.reject(table.frames >= count, f"{info.name}: the sequence ends with frame {count}.")
    return count


def _classes(ground_truth: MotRows) -> np.ndarray | None:
    """Return the classes of the ground truth, [N]; None if it has none, as in MOT15.

    Raises:
        InputError: A class is unknown.
    """
    if not ground_truth.rest.shape[1]:
        return None
    column = ground_truth.rest[:, 0]
    known = (column % 1 == 0) & (column >= PEDESTRIAN) & (column <= _CLASSES)
    may_have = ground_truth.rest.shape[1] == _COLUMNS_AFTER_FLAG and (column != -1).any()
    if may_have or known.all():
        ground_truth.reject(~known, f"its class, column 8, must be a whole number from 1 to {_CLASSES}.")
        return column.astype(np.int64)
    return None
