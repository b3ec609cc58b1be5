"""Parsers, options and checks that several subcommands share."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.config import DEFAULT_PRESET, PRESETS, ROLES, TrackConfig, load_config, merge, override
from kprtrack.core.errors import InputError, UserError, unknown_name
from kprtrack.core.renamed import OPTIONS

if TYPE_CHECKING:
    from kprtrack.adaptation.clean_tracks import CleanTrackConfig
    from kprtrack.core.files.selection import Selection

Actions = argparse._SubParsersAction  # of `eval`, `bench`, `data`, `gallery` and `models`


class Parser(argparse.ArgumentParser):
    """A parser whose error for a misspelt option names the nearest known one."""

    def error(self, message: str) -> None:  # type: ignore[override]
        unknown = message.removeprefix("unrecognized arguments: ").split(" ")[0]
        if unknown != message.split(" ")[0] and unknown.startswith("--"):
            known = [
                option for action in self._actions for option in action.option_strings if option[:2] == "--"
            ]
            raise unknown_name("option", unknown.partition("=")[0], known, OPTIONS)
        raise UserError(f"{message}. `{self.prog} --help` lists the options.")


class ActionParser(Parser):
    """A parser of an action, such as `eval mot`, that rejects options it does not know."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Parse as argparse does, but raise an error for unknown options instead of returning them."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def new_parser(subcommand: str, description: str) -> Parser:
    """Make the parser of `kprtrack SUBCOMMAND` with the options that all subcommands have."""
    parser = Parser(
        prog=f"kprtrack {subcommand}",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser)
    return parser


def add_actions(parser: Parser, metavar: str, help: str) -> "Actions[ActionParser]":
    """Add the required argument that names an action of the subcommand."""
    return parser.add_subparsers(
        dest="action", required=True, metavar=metavar, parser_class=ActionParser, help=help
    )


def add_action(actions: "Actions[ActionParser]", name: str, description: str) -> ActionParser:
    """Add one action with the options that all subcommands have."""
    parser = actions.add_parser(name, help=description, description=description, allow_abbrev=False)
    add_common(parser)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add --quiet and --debug."""
    parser.add_argument("--quiet", "-q", action="store_true", help="print errors only")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add DATASET, --root and --option."""
    names = (
        "market1501, occluded_duke, occluded_reid, partial_reid, occluded_posetrack, cuhk03, cuhk01, folder"
    )
    parser.add_argument("dataset", metavar="DATASET", help=names)
    parser.add_argument("--root", metavar="DIR", help="folder of the dataset")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one option of the dataset, e.g. keypoints=NAME or masks=none; repeatable",
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add VIDEO ..., --start, --end and --stride."""
    parser.add_argument(
        "sources",
        nargs="*",  # --print-config needs none
        metavar="VIDEO",
        help="video file, folder or glob of videos, folder of images, camera number (if no file has this"
        " name), rtsp:// or http:// address",
    )
    parser.add_argument(
        "--camera", type=int, action="append", default=[], metavar="N", help="camera number; repeatable"
    )
    group = parser.add_argument_group("frames")
    group.add_argument("--start", metavar="TIME", help="start at this time: seconds or hh:mm:ss")
    group.add_argument("--end", metavar="TIME", help="stop at this time: seconds or hh:mm:ss")
    group.add_argument("--stride", type=int, default=1, metavar="N", help="use every Nth frame (default 1)")
    group.add_argument(
        "--reconnect",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to try again when a camera or live stream breaks off (default 60; 0: not at all)",
    )
    group.add_argument(
        "--allow-playlists",
        action="store_true",
        help="also open local playlists (.m3u8, ffconcat, .sdp), which can name any other file or address",
    )
    group.add_argument(
        "--on-damage",
        choices=("skip", "stop"),
        default="skip",
        help="after a damaged part of a video: skip (default) continues and lists the damaged frames,"
        " stop ends there",
    )


def add_networks(parser: argparse.ArgumentParser) -> None:
    """Add the options of the detector, the pose estimator, the ReID encoder and the device."""
    group = parser.add_argument_group("models (--…-weights: a name from `kprtrack models list`, or a file)")
    group.add_argument(
        "--preset",
        metavar="NAME",
        help="small (default): included in the package; light (without ReID; any use allowed), balanced,"
        " accurate: downloaded weights",
    )
    for role, names in (
        ("detector", "small, yolox-{nano,tiny,s,m,l,x}, yolox-onnx, ultralytics, file"),
        (
            "pose",
            "small, small-accurate, hrnet-w32, hrnet-w48, rtmpose, heatmap (ONNX or OpenVINO), mmpose, file",
        ),
        ("reid", "small, kpr, onnx, none"),
    ):
        group.add_argument(f"--{role}", metavar="NAME", help=names)
        group.add_argument(f"--{role}-weights", metavar="FILE")
    group.add_argument(
        "--trust-code",
        action="store_true",
        help="open files that can run any code: .pt of ultralytics, configurations of mmpose; only for files"
        " that you made or trust",
    )
    group = parser.add_argument_group("computing")
    group.add_argument(
        "--device",
        metavar="NAME",
        help="auto (default), cpu, cuda, cuda:1, mps; with --backend onnxruntime also tensorrt, directml",
    )
    group.add_argument(
        "--precision",
        metavar="NAME",
        help="fp32 (default), fp16, bf16; on a CPU with --backend openvino: fp32 or bf16",
    )
    group.add_argument(
        "--backend",
        metavar="NAME",
        help="inference backend; all give the same results: auto (default; on a CPU the fastest installed,"
        " else torch), torch, onnxruntime, openvino",
    )
    group.add_argument("--batch", type=int, metavar="N", help="largest batch (8 on a CPU, else 16)")
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")


def add_encoder(parser: argparse.ArgumentParser, *, any_kind: bool) -> None:
    """Add the options of a ReID encoder; any_kind: with --reid, else KPR only."""
    group = parser.add_argument_group("ReID encoder")
    if any_kind:
        group.add_argument("--reid", default="small", metavar="NAME", help="small (default), kpr, onnx")
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="a file, or a name from `kprtrack models list` (default: the encoder in the package)",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting of the encoder, e.g. image_height=384; repeatable",
    )
    group.add_argument(
        "--vectors",
        metavar="NAME",
        help="embeddings of KPR: foreground+parts (default), parts, whole",
    )


def add_computing(parser: argparse.ArgumentParser, *, reads_crops: bool) -> None:
    """Add the options of the device; reads_crops: with --workers."""
    group = parser.add_argument_group("computing")
    group.add_argument(
        "--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, cuda:1, mps"
    )
    group.add_argument("--precision", default="fp32", metavar="NAME", help="fp32 (default), fp16, bf16")
    group.add_argument("--batch", type=int, default=64, metavar="N", help="largest batch of crops (64)")
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    if reads_crops:
        group.add_argument(
            "--workers",
            type=int,
            default=0,
            metavar="N",
            help="extra processes that read crops (0)",
        )


def add_crops(parser: argparse.ArgumentParser) -> None:
    """Add --images and --min-height, for crops of tracked people."""
    group = parser.add_argument_group("crops")
    group.add_argument(
        "--images", type=int, default=32, metavar="N", help="at most so many of each person (default 32)"
    )
    group.add_argument(
        "--min-height",
        type=int,
        default=64,
        metavar="PIXELS",
        help="of a person in a video; lower boxes are not used (default 64)",
    )


def clean_track_config(options: argparse.Namespace) -> "CleanTrackConfig":
    """Return which crops --images and --min-height select. Raises: UserError."""
    from kprtrack.adaptation.clean_tracks import CleanTrackConfig

    validate_minimum(options.images, "--images", 2)
    validate_minimum(options.min_height, "--min-height")
    least = min(CleanTrackConfig.min_crops, options.images)
    return CleanTrackConfig(options.min_height, options.images, least)


def add_tracker(parser: argparse.ArgumentParser) -> None:
    """Add --tracker."""
    group = parser.add_argument_group("tracker")
    group.add_argument("--tracker", metavar="NAME", help="kpr (default), bytetrack")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add --config, --set and --print-config."""
    group = parser.add_argument_group("settings")
    group.add_argument(
        "--config",
        metavar="CONFIG",
        help="a config of the package such as track/paper, or a .py, .json or .yaml file",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting, e.g. tracker.high_score=0.5 detector.nms_iou=0.7 pose.flip_test=false; repeatable",
    )
    group.add_argument("--print-config", action="store_true", help="print the resulting config and exit")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add --category and --sequence."""
    group = parser.add_argument_group("COCO-like files of several categories or videos")
    group.add_argument(
        "--category", metavar="NAME", help='category of people (default: "person", or the only one)'
    )
    group.add_argument("--sequence", metavar="NAME", help="the video to read")


def selection(options: argparse.Namespace) -> "Selection":
    """Return what --category and --sequence select, see `kprtrack.core.files.selection`."""
    from kprtrack.core.files.selection import Selection

    return Selection(options.category, options.sequence, option="--{} NAME")


def add_out(parser: argparse.ArgumentParser, help: str) -> None:
    """Add --out with its help text."""
    parser.add_argument("--out", "-o", metavar="FILE", help=help)


def config_from(options: argparse.Namespace) -> TrackConfig:
    """Build the configuration from preset, --config, single options and --set; later ones override."""
    preset = getattr(options, "preset", None) or DEFAULT_PRESET
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    config = PRESETS[preset]
    if options.config:
        config = load_config(options.config, config)
    for role in ROLES:
        name, weights = getattr(options, role, None), getattr(options, f"{role}_weights", None)
        if name:
            config = merge(config, {role: {"name": name}})
        if weights:
            config = merge(config, {role: {"name": getattr(config, role).name, "weights": weights}})
    names = ("device", "precision", "backend", "batch", "threads")
    values = {key: getattr(options, key, None) for key in names}
    config = merge(config, {key: value for key, value in values.items() if value is not None})
    if getattr(options, "trust_code", False):
        config = merge(config, {"trust_code": True})
    return override(config, options.set)


def required(value: str | None, what: str, usage: str) -> str:
    """Return the value of an option. Raises: UserError with its usage if it was not given."""
    if not value:
        raise UserError(f"Missing {what}: add {usage}.")
    return value


def validate_exists(paths: Iterable[Path], *, folders: bool = False) -> None:
    """Raises: InputError for the first path that does not exist, or with `folders` is a file."""
    for path in paths:
        if not path.exists():
            raise InputError(f"There is no {path}. Check the path.")
        if folders and not path.is_dir():
            raise InputError(f"{path} is a file. Name the folder that holds it.")


def validate_minimum(number: int | None, option: str, least: int = 1) -> None:
    """Raises: UserError if the number is given and below the least one."""
    if number is not None and number < least:
        raise UserError(f"{option} is {number}. Give {least} or more.")
