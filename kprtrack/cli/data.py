"""What `data` does, once its options are parsed."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.commands import config_of, print_config, print_text
from kprtrack.cli.reid import assignments, encoder_of, needed, validate_reports
from kprtrack.core.errors import InputError, UserError

if TYPE_CHECKING:
    from tqdm import tqdm


def run(verb: str, options: argparse.Namespace) -> int:
    """Run one action of `data`; returns the exit code. Raises: UserError and its kinds."""
    if not options.root:
        raise UserError(f"Say where the data set {options.dataset} is: --root DIR.")
    return _ACTIONS[options.action](options, Path(options.root).expanduser())


def _check(options: argparse.Namespace, root: Path) -> int:
    from reid.datasets.check import check_dataset

    bar = _Bar(options, "looking")
    report = check_dataset(
        options.dataset, root, _settings(options), quick=options.quick, on_sample=bar.reach
    )
    print_text(str(report))
    return InputError.exit_code if report.problems else 0


def _build(options: argparse.Namespace, root: Path) -> int:
    from kprtrack.core.errors import unknown_name
    from reid.datasets.build_occluded_posetrack import build_occluded_posetrack

    if options.dataset != "occluded_posetrack":
        raise unknown_name("data set to build", options.dataset, ["occluded_posetrack"])
    if options.option:
        raise UserError("`data build` takes no --option.")
    build_occluded_posetrack(root, on_crop=_Bar(options, "cutting").reach)
    return 0


def _keypoints(options: argparse.Namespace, root: Path) -> int:
    from kprtrack.training.reid_annotations import crop_networks, make_keypoints
    from reid.datasets import open_dataset
    from reid.datasets.layout import OWN_KEYPOINTS

    config = config_of(options)
    if options.print_config:
        return print_config(config)
    settings = _own("keypoints", OWN_KEYPOINTS, options)
    samples = open_dataset(options.dataset, root, settings).samples
    estimate_poses, detect = crop_networks(config, detects=options.others)
    bar = _Bar(options, "keypoints")
    made = make_keypoints(samples, estimate_poses, detect=detect, batch=config.batch, on_crop=bar.reach)
    return _tell(options, made, len(samples), f"keypoints={settings.get('keypoints')}")


def _part_labels(options: argparse.Namespace, root: Path) -> int:
    from kprtrack.training.reid_annotations import make_part_labels, person_masks_in
    from reid.datasets import open_dataset
    from reid.datasets.layout import OWN_MASKS

    settings = _own("masks", OWN_MASKS, options)
    samples = open_dataset(options.dataset, root, settings).samples
    masks = person_masks_in(Path(options.masks).expanduser(), root) if options.masks else None
    bar = _Bar(options, "part labels")
    posetrack = options.dataset == "occluded_posetrack"
    made = make_part_labels(samples, posetrack=posetrack, person_mask=masks, on_crop=bar.reach)
    return _tell(options, made, len(samples), f"masks={settings['masks']}")


def _features(options: argparse.Namespace, root: Path) -> int:
    out = Path(needed(options.out, "the features go: --out FILE.safetensors")).expanduser()
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out}: name it {out.with_suffix('.safetensors')}.")
    if options.vectors == "parts":
        raise UserError("--vectors parts has no feature of the whole person. Leave it out, or say whole.")
    validate_reports(options, out)
    from reid.datasets import open_dataset
    from reid.training.distillation import name_of, save_features

    samples = open_dataset(options.dataset, root, _settings(options)).samples
    encoder, bar = encoder_of(options), _Bar(options, "features")
    features = encoder.encode(samples, lambda more: bar.advance(more, len(samples))).features[:, 0]
    save_features(out, [name_of(each, root) for each in samples], features)
    if not options.quiet:
        count, dimensions = features.shape
        print_text(f"{count} features of {dimensions} numbers. Learn from them with distil.teacher={out}")
    return 0


def _paste(options: argparse.Namespace, root: Path) -> int:
    from typing import get_args

    from kprtrack.core.errors import unknown_name
    from reid.datasets import open_dataset
    from reid.datasets.pasted import PastedSets, write_pasted

    out = Path(needed(options.out, "the new data set goes: --out DIR")).expanduser()
    if out.resolve().is_relative_to(root.resolve()):
        raise UserError(f"--out {out} lies in the data set itself. Choose a folder elsewhere.")
    if options.into not in get_args(PastedSets):
        raise unknown_name("set to paste into", options.into, get_args(PastedSets))
    if options.seed < 0:
        raise UserError(f"--seed is {options.seed}. Give 0 or more.")
    data = open_dataset(options.dataset, root, _settings(options))
    made = write_pasted(
        data, out, seed=options.seed, which=options.into, on_crop=_Bar(options, "pasting").reach
    )
    if not options.quiet:
        there = len(data.query) + len(data.gallery) - made
        print_text(f"{made} crops written, {there} were there. Score on them: eval reid folder --root {out}")
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace, Path], int]] = {
    "check": _check,
    "build": _build,
    "keypoints": _keypoints,
    "part-labels": _part_labels,
    "features": _features,
    "paste": _paste,
}


def _settings(options: argparse.Namespace) -> dict[str, object]:
    """The data set's own options."""
    return assignments(options.option, "keypoints=none")


def _own(key: str, folder: str, options: argparse.Namespace) -> dict[str, object]:
    """The settings, with a folder of our own for what is made: it should not mix with published files."""
    from reid.datasets import DATASETS, options_of

    takes = options.dataset in DATASETS and key in options_of(options.dataset)
    return {**({key: folder} if takes else {}), **_settings(options)}


def _tell(options: argparse.Namespace, made: int, total: int, what: str) -> int:
    if not options.quiet:
        print_text(f"{made} files written, {total - made} were there. Use them with {what}")
    return 0


class _Bar:
    """How far the work is, on a terminal."""

    def __init__(self, options: argparse.Namespace, label: str) -> None:
        self._label, self._hidden = label, options.quiet or not sys.stderr.isatty()
        self._bar: tqdm | None = None
        self._done = 0

    def advance(self, more: int, total: int) -> None:
        """`more` of `total` crops are done."""
        self._done += more
        self.reach(self._done, total)

    def reach(self, done: int, total: int) -> None:
        """`done` of `total` crops are done; another total starts again."""
        if self._bar is None or self._bar.total != total:
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, desc=self._label, unit=" crops", dynamic_ncols=True, disable=self._hidden
            )
        self._bar.update(done - self._bar.n)
