"""Generate a synthetic benchmark: clothed people who walk, meet, are occluded and return, with ground truth.

The seed determines everything: the same settings give the same people, paths and places. Appearance depends
on the person_id, so a person looks the same in all videos; adjacent videos share half of their people, and
of every four identities two wear the same team kit.

A person is annotated if at least ground_truth.MIN_VISIBLE of the box shows the person. Boxes enclose the
whole body, including occluded parts, and end at the image border. A joint is visible if the person's own
body is drawn at its pixel and the joint is not deeper than a body is thick; an occluded joint keeps its
position.

Files below a root (SPLIT is train or val, SEQ for example 005001_synth_val, images 000000.jpg):
    images/SPLIT/SEQ, posetrack_data/SPLIT/SEQ.json, posetrack_mot/mot/SPLIT/SEQ   PoseTrack21's own
    masks/SPLIT/SEQ     PNG, track ID of the visible person, 0 is background; 16 bit above 255
    parts/SPLIT/SEQ     PNG, the visible body part, an index of shapes.PARTS
    coco/SPLIT/SEQ.json COCO with all 17 joints; ignore regions have iscrowd 1
    tracks/SEQ.json     ground truth as a result of kprtrack, for the detector and pose estimator `file`
    videos/SEQ.mp4      optional
    occluded_posetrack_reid  crops, see crops.py
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

_VERSION = 1  # raise it when the same config gives other files


def scenes(config: SyntheticConfig) -> Iterator[SyntheticFrame]:
    """Yield every frame of every sequence in order, without files."""
    for number in range(config.sequences):
        yield from Scene(config, number).frames()


def write_benchmark(
    root: Path,
    config: SyntheticConfig,
    *,
    videos: bool = False,
    on_sequence: Callable[[str], None] | None = None,
) -> None:
    """Write a benchmark; complete sequences are kept, so an interrupted run resumes.

    Args:
        root: A new or empty folder, or one with a part of the same benchmark.
        config: What to generate; a larger `sequences` extends an existing benchmark.
        videos: Also write an MP4 file of each sequence.
        on_sequence: Called with the name of each complete sequence.

    Raises:
        OutputError: `root` has other content or cannot be written.
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
    """Write crops in the layout of Occluded-PoseTrack-ReID from a benchmark of `write_benchmark`.

    Raises:
        InputError: A sequence of the config is missing.
        OutputError: A file cannot be written.
    """
    names = [sequence_name(config, number) for number in range(config.sequences)]
    missing = [name for name in names if not gt_path(root, config.split, name).exists()]
    if missing:
        raise InputError(f"{root} lacks {missing[0]}. Write the benchmark first, with the same settings.")
    write_crops(root, config.split, names)


def _check_folder(root: Path, config: SyntheticConfig) -> None:
    """Write a file that describes the content of the folder; reject a folder with other content."""
    note = root / f"synthetic_{config.split}.json"
    expected = {"version": _VERSION, "config": asdict(replace(config, sequences=1))}
    if note.exists():
        try:
            found = orjson.loads(note.read_bytes())
        except ValueError as error:
            raise OutputError(f"{note} is damaged. Delete {root}, or choose another folder.") from error
        if found != expected:
            raise OutputError(
                f"{root} holds a benchmark with other settings ({note.name}). Choose another folder."
            )
        return
    if root.exists() and (
        not root.is_dir() or (any(root.iterdir()) and not any(root.glob("synthetic_*.json")))
    ):
        raise OutputError(f"{root} is not empty and holds no synthetic benchmark. Choose another folder.")
    make_folder(root)
    write_file(note, orjson.dumps(expected))
