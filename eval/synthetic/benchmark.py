"""A benchmark that draws itself: people with clothes who walk, meet, hide and return, and the whole truth.

All is made from a seed: the same settings give the same people, ways and places. A look belongs to a
person_id, so who appears in two videos looks the same in both; neighbouring videos share half of their
people, and of every four identities two wear the same kit.

Who is annotated: everyone of whom at least synthetic_truth.MIN_VISIBLE of the box is seen. Boxes reach around
the whole body, hidden parts included, and end at the picture's edge. A joint is visible if the person's own
body is drawn at its pixel and the joint lies no deeper than a body is thick; a hidden joint keeps its place.

Files below a root (SPLIT is train or val, SEQ as 005001_synth_val, pictures as 000000.jpg):
    images/SPLIT/SEQ, posetrack_data/SPLIT/SEQ.json, posetrack_mot/mot/SPLIT/SEQ   PoseTrack21's own
    masks/SPLIT/SEQ     PNG, the track id of the person seen, 0 is nobody; 16 bit above 255
    parts/SPLIT/SEQ     PNG, the body part seen, a row of synthetic_shapes.PARTS
    coco/SPLIT/SEQ.json COCO with all 17 joints; what is to be ignored has iscrowd 1
    tracks/SEQ.json     the truth as a result of kprtrack, for the detector and pose estimator `given`
    videos/SEQ.mp4      if asked for
    occluded_posetrack_reid  crops, see synthetic_crops
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import orjson

from eval.report.output import make_folder
from eval.synthetic.crops import write_crops
from eval.synthetic.files import gt_path, write_sequence
from eval.synthetic.frame import SyntheticConfig, SyntheticFrame
from eval.synthetic.scene import Scene, sequence_name
from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError, OutputError

__all__ = ["SyntheticConfig", "SyntheticFrame", "scenes", "write_benchmark", "write_reid_crops"]

_VERSION = 1  # of what is drawn: raise it when the same config gives other files


def scenes(config: SyntheticConfig) -> Iterator[SyntheticFrame]:
    """Every frame of every sequence, in order, in memory."""
    for number in range(config.sequences):
        yield from Scene(config, number).frames()


def write_benchmark(
    root: Path,
    config: SyntheticConfig,
    *,
    videos: bool = False,
    on_sequence: Callable[[str], None] | None = None,
) -> None:
    """Write the split of the config below `root`, which is new, empty or holds a part of the same benchmark.

    Sequences that are complete are kept, so a run that was broken off goes on, and a larger `sequences` adds.
    videos: also an mp4 of each sequence. on_sequence: hears the name of each that is complete.
    Raises: OutputError where `root` holds something else or cannot be written.
    """
    _check_folder(root, config)
    for number in range(config.sequences):
        name = sequence_name(config, number)
        video_file = root / "videos" / f"{name}.mp4"
        if not gt_path(root, config.split, name).exists() or (videos and not video_file.exists()):
            gt_path(root, config.split, name).unlink(missing_ok=True)
            write_sequence(root, config, name, Scene(config, number).frames(), video=videos)
        if on_sequence:
            on_sequence(name)


def write_reid_crops(root: Path, config: SyntheticConfig) -> None:
    """Cut the crops of Occluded-PoseTrack-ReID out of a benchmark that `write_benchmark` wrote.

    Raises: InputError if a sequence of the config is not there, OutputError.
    """
    names = [sequence_name(config, number) for number in range(config.sequences)]
    missing = [name for name in names if not gt_path(root, config.split, name).exists()]
    if missing:
        raise InputError(f"{root} lacks {missing[0]}. Write the benchmark first, with the same settings.")
    write_crops(root, config.split, names)


def _check_folder(root: Path, config: SyntheticConfig) -> None:
    """Leave a note of what the folder holds; refuse a folder that holds something else."""
    note = root / f"synthetic_{config.split}.json"
    mine = {"version": _VERSION, "config": asdict(replace(config, sequences=1))}
    if note.exists():
        try:
            found = orjson.loads(note.read_bytes())
        except ValueError as error:
            raise OutputError(f"{note} is damaged. Delete {root}, or choose another folder.") from error
        if found != mine:
            raise OutputError(
                f"{root} holds a benchmark of other settings ({note.name}). Choose another folder."
            )
        return
    if root.exists() and (
        not root.is_dir() or (any(root.iterdir()) and not any(root.glob("synthetic_*.json")))
    ):
        raise OutputError(f"{root} is not empty and holds no synthetic benchmark. Choose another folder.")
    make_folder(root)
    write_file(note, orjson.dumps(mine))
