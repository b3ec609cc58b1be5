"""What the parsers of several commands share: how they answer mistakes, and their common options."""

import argparse

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.renamed import OPTIONS


class Parser(argparse.ArgumentParser):
    """Answers a misspelt option with the nearest known one."""

    def error(self, message: str) -> None:  # type: ignore[override]
        unknown = message.removeprefix("unrecognized arguments: ").split(" ")[0]
        if unknown != message.split(" ")[0] and unknown.startswith("--"):
            known = [
                option for action in self._actions for option in action.option_strings if option[:2] == "--"
            ]
            raise unknown_name("option", unknown.partition("=")[0], known, OPTIONS)
        raise UserError(f"{message}. `{self.prog} --help` lists the options.")


class ActionParser(Parser):
    """A parser under a verb, such as `eval mot`, which answers for its own options."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """As argparse does, but what is unknown here is unknown: the verb's parser has other options."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def new_parser(verb: str, description: str) -> Parser:
    """A parser of `kprtrack VERB` with the options that all verbs have."""
    parser = Parser(
        prog=f"kprtrack {verb}",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """--quiet and --debug."""
    parser.add_argument("--quiet", "-q", action="store_true", help="print errors only")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """DATASET, where it is, and its own options."""
    names = (
        "market1501, occluded_duke, occluded_reid, partial_reid, occluded_posetrack, cuhk03, cuhk01, folder"
    )
    parser.add_argument("dataset", metavar="DATASET", help=names)
    parser.add_argument("--root", metavar="DIR", help="folder of the data set")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one option of the data set, e.g. keypoints=NAME or masks=none; repeatable",
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """VIDEO ... and which of its frames."""
    parser.add_argument(
        "sources",
        nargs="*",  # none is fine with --print-config
        metavar="VIDEO",
        help="video file, folder or glob of videos, folder of images, camera number, rtsp:// or http://"
        " address",
    )
    group = parser.add_argument_group("frames")
    group.add_argument("--start", metavar="TIME", help="first moment: seconds or hh:mm:ss")
    group.add_argument("--end", metavar="TIME", help="last moment: seconds or hh:mm:ss")
    group.add_argument("--stride", type=int, default=1, metavar="N", help="take every Nth frame (default 1)")


def add_networks(parser: argparse.ArgumentParser) -> None:
    """Detector, pose estimator, encoder, and where they run."""
    group = parser.add_argument_group(
        "models (a name of `kprtrack models list` or a file for every --…-weights)"
    )
    group.add_argument(
        "--preset",
        metavar="NAME",
        help="small (default): in the package; balanced, accurate: published weights",
    )
    for role, names in (
        ("detector", "yolox-{nano,tiny,s,m,l,x}, ultralytics, file"),
        ("pose", "small, hrnet-w32, hrnet-w48, heatmap (ONNX or OpenVINO), mmpose, file"),
        ("reid", "kpr, onnx, none"),
    ):
        group.add_argument(f"--{role}", metavar="NAME", help=names)
        group.add_argument(f"--{role}-weights", metavar="FILE")
    group = parser.add_argument_group("computing")
    group.add_argument("--device", metavar="NAME", help="auto (default), cpu, cuda, cuda:1, mps")
    group.add_argument("--precision", metavar="NAME", help="fp32 (default), fp16, bf16")
    group.add_argument(
        "--backend",
        metavar="NAME",
        help="what executes the networks on a CPU: auto (default, the fastest that is installed), torch,"
        " onnxruntime, openvino; all give the same results",
    )
    group.add_argument(
        "--batch", type=int, metavar="N", help="most images or crops a network sees at once (16)"
    )
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")


def add_encoder(parser: argparse.ArgumentParser, *, any_kind: bool) -> None:
    """An encoder of crops; any_kind: not KPR alone."""
    group = parser.add_argument_group("encoder")
    if any_kind:
        group.add_argument("--reid", default="kpr", metavar="NAME", help="kpr (default), onnx")
    group.add_argument("--weights", metavar="FILE", help="a file, or a name of `kprtrack models list`")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting of the encoder, e.g. image_height=384; repeatable",
    )
    group.add_argument(
        "--vectors", metavar="NAME", help="what of KPR is compared: foreground+parts (default), parts, whole"
    )


def add_computing(parser: argparse.ArgumentParser, *, reads_crops: bool) -> None:
    """Where the encoder runs; reads_crops: other processes may read the crops of a data set."""
    group = parser.add_argument_group("computing")
    group.add_argument(
        "--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, cuda:1, mps"
    )
    group.add_argument("--precision", default="fp32", metavar="NAME", help="fp32 (default), fp16, bf16")
    group.add_argument(
        "--batch", type=int, default=64, metavar="N", help="most crops the encoder sees at once (64)"
    )
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    if reads_crops:
        group.add_argument(
            "--workers",
            type=int,
            default=0,
            metavar="N",
            help="processes that read crops beside this one (0)",
        )


def add_tracker(parser: argparse.ArgumentParser) -> None:
    """--tracker."""
    group = parser.add_argument_group("tracker")
    group.add_argument("--tracker", metavar="NAME", help="kpr (default), bytetrack")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """--config, --set and --print-config."""
    group = parser.add_argument_group("settings")
    group.add_argument(
        "--config", metavar="FILE", help="settings file, e.g. configs/track/paper.py; a .py file is run"
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting, e.g. tracker.high_score=0.5 detector.nms_iou=0.7 pose.flip_test=false; repeatable",
    )
    group.add_argument("--print-config", action="store_true", help="print the settings in force and stop")


def add_out(parser: argparse.ArgumentParser, kinds: str) -> None:
    """--out; kinds: what it may name."""
    parser.add_argument("--out", "-o", metavar="FILE", help=kinds)
