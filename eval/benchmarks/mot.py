"""MOTChallenge's folders and rules: which boxes of MOT15, MOT16, MOT17 and MOT20 are scored."""

import configparser
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.benchmarks.mot_table import people_of, read_mot_table
from eval.benchmarks.pairing import by_stem, unused_note, validate_all_have_results
from eval.datatypes import People, Sequence
from eval.metrics.similarity import box_similarities, matched_pairs
from kprtrack.core.errors import InputError
from kprtrack.io.mot import MotRows

PEDESTRIAN = 1
_CLASSES = 13  # from 1 on
_DISTRACTORS = (2, 7, 8, 12)  # person on vehicle, static person, distractor, reflection
_MOT20_DISTRACTORS = (*_DISTRACTORS, 6)  # vehicle of no other class
_COLUMNS_AFTER_FLAG = 2  # class and visibility since MOT16; MOT15 has three, a place in the world


@dataclass(frozen=True)
class MotFiles:
    """Where the two sides of a sequence are."""

    name: str
    ground_truth: Path
    results: Path


@dataclass(frozen=True)
class MotSequence:
    """What is scored of a sequence."""

    sequence: Sequence
    has_classes: bool  # whether MOT16's rules were applied


def find_mot_sequences(ground_truth: Path, results: Path) -> tuple[list[MotFiles], tuple[str, ...]]:
    """The files of all sequences by name, and notes for the reader.

    truth: a folder of NAME/gt/gt.txt or NAME.txt, one such sequence's folder, or a file.
    results: a folder of NAME.txt; with a single sequence also a file of any name.
    Raises: InputError naming what is missing.
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
    found = by_stem(results.glob("*.txt"))
    validate_all_have_results(gt_files, found, results)
    return [MotFiles(name, file, found[name]) for name, file in gt_files.items()], unused_note(
        gt_files, found
    )


def read_mot_sequence(files: MotFiles) -> MotSequence:
    """A sequence after MOTChallenge's preprocessing.

    With classes (MOT16, MOT17, MOT20), tracks that match a distractor are removed, then all truth but
    pedestrians. Truth whose flag is 0 is always removed.
    Raises: InputError naming file and line.
    Source: MOT16 (Milan et al., 2016), as TrackEval applies it.
    """
    ground_truth, tracks = read_mot_table(files.ground_truth), read_mot_table(files.results)
    tracks.reject(
        np.any(tracks.rest[:, :1] >= PEDESTRIAN + 1, axis=1),
        "a class above 1; only pedestrians are scored. Remove all others, or write -1 in column 8.",
    )
    frame_count = _frame_count(files.ground_truth, ground_truth, tracks)
    classes = _classes(ground_truth)
    scored = np.trunc(ground_truth.scores) != 0
    judged = np.ones(len(tracks), bool)
    if classes is not None:
        everybody = people_of(ground_truth, np.ones(len(ground_truth), bool)), people_of(tracks, judged)
        pairs = box_similarities(_sequence(files.name, frame_count, *everybody))
        matched = matched_pairs(pairs)
        distractors = _MOT20_DISTRACTORS if files.name.startswith("MOT20") else _DISTRACTORS
        on_distractors = matched[np.isin(classes[pairs.gt_rows[matched]], distractors)]
        judged[pairs.track_rows[on_distractors]] = False
        scored &= classes == PEDESTRIAN
    sequence = _sequence(files.name, frame_count, people_of(ground_truth, scored), people_of(tracks, judged))
    return MotSequence(sequence, classes is not None)


def _gt_files(ground_truth: Path) -> dict[str, Path]:
    """Ground truth by the name of its sequence."""
    if ground_truth.is_file():
        return {_name_of(ground_truth): ground_truth}
    if not ground_truth.is_dir():
        raise InputError(f"There is no file or folder {ground_truth}.")
    if (ground_truth / "gt" / "gt.txt").is_file():
        return {ground_truth.resolve().name: ground_truth / "gt" / "gt.txt"}
    found = {file.parents[1].name: file for file in sorted(ground_truth.glob("*/gt/gt.txt"))}
    found = found or by_stem(ground_truth.glob("*.txt"))
    if not found:
        raise InputError(
            f"{ground_truth} has neither NAME/gt/gt.txt nor NAME.txt. Name the folder that has them."
        )
    return found


def _name_of(file: Path) -> str:
    is_gt = (file.parent.name, file.name) == ("gt", "gt.txt")
    return file.resolve().parents[1].name if is_gt else file.stem


def _sequence(name: str, frame_count: int, ground_truth: People, tracks: People) -> Sequence:
    return Sequence(name, np.ones(frame_count, bool), ((),) * frame_count, ground_truth, tracks)


def _frame_count(path: Path, ground_truth: MotRows, tracks: MotRows) -> int:
    """What seqinfo.ini says; without it, up to the last frame with a box.

    Raises: InputError for a box after the end.
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
    for table in (ground_truth, tracks):
        table.reject(table.frames >= count, f"{info.name} says that the sequence ends with frame {count}.")
    return count


def _classes(ground_truth: MotRows) -> np.ndarray | None:
    """[N] classes of the ground truth; None if it has none, as in MOT15.

    Raises: InputError for an unknown class in a file that has them.
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
