"""The subcommand `doctor`: check the installation and whether keypoint prompts can help."""

import argparse
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from kprtrack.cli.options import Parser, add_networks, add_settings, config_from, new_parser
from kprtrack.cli.output import print_text
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import UserError
from kprtrack.core.extras import missing_modules

PYTHON = (3, 11)
# As in pyproject.toml: package -> oldest supported version.
REQUIRED = {
    "av": "14",
    "lap": "0.5.12",
    "numpy": "2.0",
    "onnxruntime": "1.20",
    "opencv-python-headless": "4.10",
    "orjson": "3.10",
    "pillow": "10.3",
    "platformdirs": "4.2",
    "pyyaml": "6.0.2",
    "safetensors": "0.4.5",
    "tqdm": "4.66",
}
_TORCH = {"onnx": "1.17", "timm": "1.0.12", "torch": "2.6", "torchvision": "0.21"}
_METRICS = {"matplotlib": "3.8", "scipy": "1.13", "shapely": "2.0.6"}
EXTRAS = {
    "torch": _TORCH,
    "train": {"accelerate": "1.2", **_METRICS, **_TORCH},
    "eval": {**_METRICS, "trackeval": "1.3.0"},
    "kinematics": {"matplotlib": "3.8", "scipy": "1.13"},
    "openvino": {"openvino": "2025.0"},
    "parquet": {"pyarrow": "17"},
    "c3d": {"ezc3d": "1.5"},
    "movement": {"movement": "0.5"},
    "nwb": {"ndx-pose": "0.4", "pynwb": "4"},
    "sleap": {"sleap-io": "0.6"},
    "xlsx": {"openpyxl": "3.1"},
    "ray": {"fsspec": "2024.6", "ray": "2.50"},
    "rerun": {"rerun-sdk": "0.41"},
    "review": {"starlette": "0.40", "uvicorn": "0.30"},
    "ultralytics": {"ultralytics": "8.3"},
    "mmpose": {
        "json-tricks": "3.17",
        "mmcv-lite": "2.1",
        "mmengine": "0.10.5",
        "munkres": "1.1.4",
        "scipy": "1.13",
        "six": "1.16",
    },
}
# Other packages with the same modules; one of them is enough.
ALTERNATIVES = {
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
    "mmcv-lite": ("mmcv",),
}
DECODERS = {
    "H.264": ("h264",),
    "H.265": ("hevc",),
    "VP9": ("vp9",),
    "AV1": ("libdav1d", "libaom-av1"),
    "MPEG-4": ("mpeg4",),
}
ENCODERS = {"H.264": ("libx264", "libopenh264", "h264_videotoolbox", "h264_nvenc"), "MPEG-4": ("mpeg4",)}
LEAST_FREE_BYTES = 2 << 30  # enough for the largest set of three models


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    ok: bool  # False: something requested will not work
    detail: str
    advice: str = ""  # what to do, or what could be added


def doctor_parser() -> Parser:
    """Make the parser of `doctor`."""
    parser = new_parser("doctor", "Check the installation and whether keypoint prompts can help.")
    parser.add_argument(
        "observations",
        nargs="?",
        metavar="OBS.npz",
        help="observations whose keypoints are checked for use as prompts",
    )
    add_networks(parser)
    add_settings(parser)
    return parser


def run_doctor(options: argparse.Namespace) -> int:
    """Print the report and return the exit code."""
    print_text(format_report(report(config_from(options))))
    if options.observations:
        from kprtrack.cli.evaluation.prompt_quality import prompt_quality
        from kprtrack.io import read_observations

        print_text(prompt_quality(read_observations(Path(options.observations))).verdict)
    return 0


def report(config: TrackConfig | None = None) -> list[Check]:
    """Run all checks for the components and the device of a configuration. Needs no network connection."""
    config = config or TrackConfig()
    components = {"detector": config.detector, "pose": config.pose, "reid": config.reid}
    models = [_model(role, component) for role, component in components.items()]
    return [
        _python(),
        *(_package(name, oldest) for name, oldest in REQUIRED.items()),
        *(_extra(name, packages) for name, packages in EXTRAS.items()),
        _device(config.device),
        _threads(config.threads),
        _video("video decoding", "r", DECODERS),
        _video("video writing", "w", ENCODERS),
        _store(),
        *models,
        _published(),
        prompts(config.pose, config.reid, weights_available=all(check.ok for check in models[1:])),
    ]


def format_report(checks: list[Check]) -> str:
    """Format the checks as aligned lines, problems marked with `!!`, followed by a summary line."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{'ok' if check.ok else '!!'}  {check.name:<{width}}  {check.detail}")
        if check.advice:
            lines.append(f"    {'':<{width}}  -> {check.advice}")
    problems = [check.name for check in checks if not check.ok]
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines.append(f"{count}: {', '.join(problems)}" if problems else "No problems found.")
    return "\n".join(lines)


def prompts(pose: ComponentConfig, reid: ComponentConfig, *, weights_available: bool) -> Check:
    """Check whether this pair of pose estimator and ReID encoder can use keypoint prompts."""
    from kprtrack.build import FILE, NO_REID, takes_prompts

    name = "prompts"
    if reid.name == NO_REID:
        return Check(name, True, "no ReID encoder: people are tracked by position and pose alone")
    if not takes_prompts(reid.name):
        return Check(
            name,
            True,
            f"'{reid.name}' is a global encoder without prompts: embeddings of overlapping people mix",
            "use an encoder with prompts: --reid small or --reid kpr",
        )
    if not reid.options.get("prompts", True):
        return Check(name, True, "disabled in the config", "remove prompts=False from the reid config")
    if not weights_available:
        return Check(
            name,
            False,
            "need the weights of pose estimator and ReID encoder",
            "see the lines above",
        )
    source = "the keypoints of a file" if pose.name == FILE else f"the keypoints of '{pose.name}'"
    return Check(name, True, f"the encoder is prompted with {source}")


def _python() -> Check:
    wanted = ".".join(map(str, PYTHON))
    ok = sys.version_info[:2] >= PYTHON
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("python", ok, detail, "" if ok else f"kprtrack needs Python {wanted} or newer")


def _package(name: str, oldest: str) -> Check:
    found = _installed(name)
    if found is None:
        return Check(name, False, "missing", f'pip install "{name}>={oldest}"')
    if _numbers(found) < _numbers(oldest):
        return Check(name, False, f"{found} is older than {oldest}", f'pip install "{name}>={oldest}"')
    return Check(name, True, found)


def _extra(extra: str, packages: dict[str, str]) -> Check:
    """An extra is optional: a missing one is no problem, an outdated one is."""
    found = {name: _installed(name) for name in packages}
    install = f'pip install "kprtrack[{extra}]"'
    missing = [name for name, have in found.items() if have is None]
    if missing:
        return Check(f"[{extra}]", True, f"not installed: {', '.join(missing)}", install)
    old = [name for name, have in found.items() if have and _numbers(have) < _numbers(packages[name])]
    detail = ", ".join(f"{name} {have}" for name, have in found.items())
    return Check(f"[{extra}]", not old, detail, f"too old: {', '.join(old)}; {install}" if old else "")


def _installed(name: str) -> str | None:
    for package in (name, *ALTERNATIVES.get(name, ())):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return None


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 15, 0) of "2.15.0+cpu"."""
    return tuple(int(part) for part in re.match(r"[\d.]*", text).group().split(".") if part)  # type: ignore[union-attr]


def _device(wanted: str) -> Check:
    """List the devices of PyTorch, where it is installed, and check for the requested one."""
    if missing_modules(["torch"]):
        ok = wanted in ("auto", "cpu")
        detail = "cpu" if ok else f"'{wanted}' is not available, only cpu"
        return Check("device", ok, detail, 'for a GPU: pip install "kprtrack[torch]"')
    try:
        import torch
    except ImportError as error:
        return Check(
            "device", False, f"PyTorch cannot be imported: {error}", "pip install --force-reinstall torch"
        )
    found = ["cpu"]
    if torch.cuda.is_available():
        found = [
            f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())
        ] + found
    if torch.backends.mps.is_available():
        found = ["mps", *found]
    detail = ", ".join(found)
    if wanted != "auto" and not any(f"{name.split()[0]}:".startswith(f"{wanted}:") for name in found):
        return Check("device", False, f"'{wanted}' is not available, only {detail}", "--device auto")
    if shutil.which("nvidia-smi") and not torch.cuda.is_available():
        advice = (
            f"PyTorch {torch.__version__} does not use the NVIDIA driver found here: install its CUDA build"
        )
        return Check("device", False, detail, advice)
    return Check("device", True, detail)


def _threads(wanted: int | None) -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    advice = "more threads than cores slow each other down" if wanted and wanted > cores else ""
    return Check("threads", True, f"{wanted or cores} on {cores} CPU cores", advice)


def _video(name: str, mode: Literal["r", "w"], formats: dict[str, tuple[str, ...]]) -> Check:
    """List the video formats that PyAV reads (mode "r") or writes ("w")."""
    try:
        from av.codec import Codec
        from av.codec.codec import UnknownCodecError
    except ImportError as error:
        return Check(name, False, f"PyAV cannot be imported: {error}", "pip install --force-reinstall av")

    def works(codec: str) -> bool:
        try:
            Codec(codec, mode)
        except UnknownCodecError:
            return False
        return True

    have = [label for label, codecs in formats.items() if any(map(works, codecs))]
    lacking = [label for label in formats if label not in have]
    advice = f"this FFmpeg lacks {', '.join(lacking)}; the wheels of PyAV include them" if lacking else ""
    return Check(name, bool(have), ", ".join(have) or "nothing", advice)


def _store() -> Check:
    from kprtrack.hub.store import store_folder

    folder = store_folder()
    above = next((path for path in (folder, *folder.parents) if path.exists()), Path(folder.anchor))
    if not os.access(above, os.W_OK):
        return Check(
            "model folder", False, f"{folder} cannot be written", "choose another: KPRTRACK_HOME=/some/folder"
        )
    free = shutil.disk_usage(above).free
    advice = (
        ""
        if free > LEAST_FREE_BYTES
        else "little free space: choose another folder with KPRTRACK_HOME=/some/folder"
    )
    return Check("model folder", True, f"{folder}, {free / 1e9:.0f} GB free", advice)


def _model(role: str, component: ComponentConfig) -> Check:
    from kprtrack.build import FILE, weights_of

    try:
        file = weights_of(role, component)
    except UserError as error:
        return Check(role, False, f"{component.name}: no usable weights", str(error))
    if file is None:
        return Check(role, True, component.name)
    if component.name == FILE:
        exists = file.path.is_file()
        return Check(role, exists, f"file: {file.path}", "" if exists else "no such file")
    return Check(role, True, f"{component.name}: {file.path} ({file.trust})")


def _published() -> Check:
    """List which weights of the authors' own pipeline are installed; they are optional."""
    from kprtrack.hub.catalog import CATALOGUE, PUBLISHED_PIPELINE
    from kprtrack.hub.store import store_folder

    names = PUBLISHED_PIPELINE.values()
    missing = [name for name in names if not (store_folder() / CATALOGUE[name].file_name).is_file()]
    installed = [name for name in names if name not in missing]
    advice = "to reproduce the published results: " + "; ".join(
        f"kprtrack models get {name}" for name in missing
    )
    return Check("published models", True, ", ".join(installed) or "none", advice if missing else "")
