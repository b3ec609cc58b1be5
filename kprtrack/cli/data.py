"""The subcommand `data`: check ReID datasets and make what they lack."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.evaluation.eval_reid import assignments, open_encoder
from kprtrack.cli.options import (
    Parser,
    add_action,
    add_actions,
    add_computing,
    add_crops,
    add_dataset,
    add_encoder,
    add_networks,
    add_settings,
    clean_track_config,
    config_from,
    new_parser,
    required,
    validate_minimum,
)
from kprtrack.cli.output import print_config, print_line, print_text, validate_reports
from kprtrack.core.errors import InputError, UserError, unknown_name
from kprtrack.core.files.paths import expanded, real_path

if TYPE_CHECKING:
    from tqdm import tqdm


def data_parser() -> Parser:
    """Make the parser of `data`."""
    parser = new_parser("data", "Check ReID datasets and make keypoints, part labels and features for them.")
    actions = add_actions(parser, "ACTION", "what to do")
    check = add_action(actions, "check", "List what a dataset holds and lacks, and which files are damaged.")
    check.add_argument("--quick", action="store_true", help="only check whether the files exist")
    build = add_action(actions, "build", "Cut the crops of a dataset out of its videos (occluded_posetrack).")
    crops = add_action(
        actions,
        "crops",
        "Cut the people of a tracked video out, a folder for each, with keypoints: the crops of each track "
        "whose identity is reliable.",
    )
    crops.add_argument("tracks", metavar="TRACKS", help="a result file of any format")
    crops.add_argument("source", metavar="VIDEO", help="the video the tracks were made from")
    crops.add_argument("--out", "-o", metavar="DIR", help="folder of the people; several videos can share it")
    add_crops(crops)
    keypoints = add_action(actions, "keypoints", "Estimate keypoints for crops that have none.")
    labels = add_action(actions, "part-labels", "Make body part labels from keypoints for crops without any.")
    features = add_action(
        actions,
        "features",
        "Write one embedding of every crop, as a teacher for distil.teacher=FILE. KPR gives the foreground "
        "embedding, with --vectors whole that of the whole crop.",
    )
    paste = add_action(
        actions,
        "paste",
        "Make a test set in which another person is pasted in front of every query, so that only the "
        "keypoints identify the query person.",
    )
    for parser_of_action in (check, build, keypoints, labels, features, paste):
        add_dataset(parser_of_action)
    keypoints.add_argument(
        "--others",
        action="store_true",
        help="also detect other people in each crop with the --detector: they become negative prompts",
    )
    add_networks(keypoints)
    add_settings(keypoints)
    labels.add_argument(
        "--masks",
        metavar="DIR",
        help="person masks, DIR/PATH.png for the image PATH: labels are restricted to them",
    )
    add_encoder(features, any_kind=True)
    features.add_argument("--out", "-o", metavar="FILE", help="output file, .safetensors")
    add_computing(features, reads_crops=True)
    paste.add_argument(
        "--into", default="query", metavar="NAME", help="where to paste: query (default), gallery, both, none"
    )
    paste.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    paste.add_argument("--out", "-o", metavar="DIR", help="folder of the new dataset")
    return parser


def run_data(options: argparse.Namespace) -> int:
    """Run one action and return the exit code."""
    if options.action == "crops":
        return _crops(options)
    root = expanded(required(options.root, f"folder of the dataset {options.dataset}", "--root DIR"))
    return _ACTIONS[options.action](options, root)


def _check(options: argparse.Namespace, root: Path) -> int:
    from reid.datasets.check import check_dataset

    bar = _Bar(options, "checking")
    report = check_dataset(
        options.dataset, root, _settings(options), quick=options.quick, on_sample=bar.reach
    )
    print_text(str(report))
    return InputError.exit_code if report.problems else 0


def _build(options: argparse.Namespace, root: Path) -> int:
    from reid.datasets.build_occluded_posetrack import build_occluded_posetrack

    if options.dataset != "occluded_posetrack":
        raise unknown_name("dataset to build", options.dataset, ["occluded_posetrack"])
    if options.option:
        raise UserError("`data build` takes no --option.")
    build_occluded_posetrack(root, on_crop=_Bar(options, "cutting").reach)
    return 0


def _crops(options: argparse.Namespace) -> int:
    from kprtrack.adaptation.track_crops import write_track_crops
    from kprtrack.io import read_tracks

    out = expanded(required(options.out, "folder of the people", "--out DIR"))
    tracks = read_tracks(expanded(options.tracks))
    config = clean_track_config(options)
    chosen = write_track_crops(tracks, options.source, out, config, quiet=options.quiet)
    if not options.quiet:
        images = sum(map(len, chosen.frames.values()))
        print_line(f"{images} crops of {len(chosen.frames)} people; tracks left out: {len(chosen.left_out)}")
        for track_id, reason in chosen.left_out.items():
            print_line(f"  {track_id}: {reason}")
    return 0


def _keypoints(options: argparse.Namespace, root: Path) -> int:
    from kprtrack.build import compute_config
    from kprtrack.training.reid_annotations import crop_networks, make_keypoints
    from reid.datasets import open_dataset
    from reid.datasets.layout import OWN_KEYPOINTS

    config = config_from(options)
    if options.print_config:
        return print_config(config)
    settings = _with_own_folder("keypoints", OWN_KEYPOINTS, options)
    samples = open_dataset(options.dataset, root, settings).samples
    estimate_poses, detect = crop_networks(config, detects=options.others)
    bar = _Bar(options, "keypoints")
    batch = compute_config(config).batch
    made = make_keypoints(samples, estimate_poses, detect=detect, batch=batch, on_crop=bar.reach)
    return _print_files(options, made, len(samples), f"keypoints={settings.get('keypoints')}")


def _part_labels(options: argparse.Namespace, root: Path) -> int:
    from kprtrack.training.reid_annotations import make_part_labels, person_masks_in
    from reid.datasets import open_dataset
    from reid.datasets.layout import OWN_MASKS

    settings = _with_own_folder("masks", OWN_MASKS, options)
    samples = open_dataset(options.dataset, root, settings).samples
    masks = person_masks_in(expanded(options.masks), root) if options.masks else None
    bar = _Bar(options, "part labels")
    posetrack = options.dataset == "occluded_posetrack"
    made = make_part_labels(samples, posetrack=posetrack, person_mask=masks, on_crop=bar.reach)
    return _print_files(options, made, len(samples), f"masks={settings['masks']}")


def _features(options: argparse.Namespace, root: Path) -> int:
    out = expanded(required(options.out, "output file", "--out FILE.safetensors"))
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out}: name it {out.with_suffix('.safetensors')}.")
    if options.vectors == "parts":
        raise UserError("--vectors parts gives no embedding of the whole person. Use --vectors whole.")
    validate_reports(options, outputs=[out])
    from reid.datasets import open_dataset
    from reid.training.distillation import name_of, save_features

    samples = open_dataset(options.dataset, root, _settings(options)).samples
    encoder, bar = open_encoder(options), _Bar(options, "features")
    features = encoder.encode(samples, lambda more: bar.advance(more, len(samples))).features[:, 0]
    save_features(out, [name_of(each, root) for each in samples], features)
    if not options.quiet:
        count, dimensions = features.shape
        print_line(f"{count} embeddings of {dimensions} dimensions. Train with distil.teacher={out}")
    return 0


def _paste(options: argparse.Namespace, root: Path) -> int:
    from typing import get_args

    from reid.datasets import open_dataset
    from reid.datasets.pasted import PastedSets, write_pasted

    out = expanded(required(options.out, "folder of the new dataset", "--out DIR"))
    if real_path(out).is_relative_to(real_path(root)):
        raise UserError(f"--out {out} lies in the dataset itself. Choose a folder elsewhere.")
    if options.into not in get_args(PastedSets):
        raise unknown_name("value of --into", options.into, get_args(PastedSets))
    validate_minimum(options.seed, "--seed", 0)
    data = open_dataset(options.dataset, root, _settings(options))
    made = write_pasted(
        data, out, seed=options.seed, which=options.into, on_crop=_Bar(options, "pasting").reach
    )
    if not options.quiet:
        kept = len(data.query) + len(data.gallery) - made
        print_line(
            f"{made} crops written, {kept} existed. Score on them: kprtrack eval reid folder --root {out}"
        )
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
    """The options of the dataset."""
    return assignments(options.option, "keypoints=none")


def _with_own_folder(key: str, folder: str, options: argparse.Namespace) -> dict[str, object]:
    """The options of the dataset, with a separate folder that keeps published files apart."""
    from reid.datasets import DATASETS, options_of

    takes = options.dataset in DATASETS and key in options_of(options.dataset)
    return {**({key: folder} if takes else {}), **_settings(options)}


def _print_files(options: argparse.Namespace, made: int, total: int, what: str) -> int:
    if not options.quiet:
        print_line(f"{made} files written, {total - made} existed. Use them with {what}")
    return 0


class _Bar:
    """A progress bar, on a terminal."""

    def __init__(self, options: argparse.Namespace, label: str) -> None:
        self._label, self._hidden = label, options.quiet or not sys.stderr.isatty()
        self._bar: tqdm | None = None
        self._done = 0

    def advance(self, more: int, total: int) -> None:
        """Count `more` of `total` crops as done."""
        self._done += more
        self.reach(self._done, total)

    def reach(self, done: int, total: int) -> None:
        """Show that `done` of `total` crops are done; another total starts a new bar."""
        if self._bar is None or self._bar.total != total:
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, desc=self._label, unit=" crops", dynamic_ncols=True, disable=self._hidden
            )
        self._bar.update(done - self._bar.n)
