"""What is installed, what is missing, and whether keypoint prompts can help."""

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from kprtrack.build import FILE, NO_REID, weights_of
from kprtrack.cli.prompt_quality import PromptQuality, prompt_quality
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import UserError
from kprtrack.hub.catalog import CATALOGUE, PUBLISHED_PIPELINE
from kprtrack.hub.store import where

__all__ = ["Check", "PromptQuality", "format_report", "prompt_quality", "prompts", "report"]

PYTHON = (3, 11)
# As in pyproject.toml: package -> oldest version.
REQUIRED = {
    "accelerate": "1.2",
    "av": "14",
    "lap": "0.5.12",
    "matplotlib": "3.8",
    "mmengine": "0.10.5",
    "numpy": "2.0",
    "opencv-python": "4.10",
    "orjson": "3.10",
    "pillow": "10.3",
    "platformdirs": "4.2",
    "safetensors": "0.4.5",
    "scipy": "1.13",
    "shapely": "2.0.6",
    "timm": "1.0.12",
    "torch": "2.6",
    "torchvision": "0.21",
    "tqdm": "4.66",
    "trackeval": "1.3.0",
}
EXTRAS = {
    "onnx": {"onnx": "1.17", "onnxruntime": "1.20"},
    "openvino": {"onnx": "1.17", "openvino": "2025.0"},
    "parquet": {"pyarrow": "17"},
    "ultralytics": {"ultralytics": "8.3"},
    "mmpose": {"json-tricks": "3.17", "mmcv-lite": "2.1", "munkres": "1.1.4", "scipy": "1.13", "six": "1.16"},
}
# The same code under another name; one of them is enough.
ALSO_CALLED = {
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
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
LEAST_FREE_BYTES = 2 << 30  # room for the largest published set of three models


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    ok: bool  # False: something asked for will not work
    detail: str
    advice: str = ""  # what to do, or what could be added


def report(config: TrackConfig | None = None) -> list[Check]:
    """All findings for the parts and the device of `config` (default: the defaults). Never goes online."""
    config = config or TrackConfig()
    parts = {"detector": config.detector, "pose": config.pose, "reid": config.reid}
    models = [_model(role, part) for role, part in parts.items()]
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
        prompts(config.pose, config.reid, weights_in_place=all(check.ok for check in models[1:])),
    ]


def format_report(checks: list[Check]) -> str:
    """The findings as aligned lines, problems marked with `!!`, then one line that sums up."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{'ok' if check.ok else '!!'}  {check.name:<{width}}  {check.detail}")
        if check.advice:
            lines.append(f"    {'':<{width}}  -> {check.advice}")
    problems = [check.name for check in checks if not check.ok]
    lines.append(f"{len(problems)} to mend: {', '.join(problems)}" if problems else "Nothing to mend.")
    return "\n".join(lines)


def prompts(pose: ComponentConfig, reid: ComponentConfig, *, weights_in_place: bool) -> Check:
    """Whether this pair of pose estimator and encoder can use keypoint prompts at all."""
    name = "prompts"
    if reid.name == NO_REID:
        return Check(name, True, "no encoder, so nothing to prompt: people are told apart by place and pose")
    if reid.name != "kpr":
        return Check(
            name,
            True,
            f"'{reid.name}' is a global encoder and takes no prompts: people who overlap blend together",
            "an encoder that takes prompts: --reid kpr",
        )
    if not reid.options.get("prompts", True):
        return Check(name, True, "switched off in the settings", "remove prompts=False from the reid options")
    if not weights_in_place:
        return Check(
            name, False, "need the weights of both the pose estimator and the encoder", "see the lines above"
        )
    source = "the keypoints given" if pose.name == FILE else f"the keypoints of '{pose.name}'"
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
    """Extras are optional: a missing one is no problem, an outdated one is."""
    found = {name: _installed(name) for name in packages}
    install = f'pip install "kprtrack[{extra}]"'
    missing = [name for name, have in found.items() if have is None]
    if missing:
        return Check(f"[{extra}]", True, f"not installed: {', '.join(missing)}", install)
    old = [name for name, have in found.items() if have and _numbers(have) < _numbers(packages[name])]
    detail = ", ".join(f"{name} {have}" for name, have in found.items())
    return Check(f"[{extra}]", not old, detail, f"too old: {', '.join(old)}; {install}" if old else "")


def _installed(name: str) -> str | None:
    for known_as in (name, *ALSO_CALLED.get(name, ())):
        try:
            return version(known_as)
        except PackageNotFoundError:
            continue
    return None


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 15, 0) of "2.15.0+cpu"."""
    return tuple(int(part) for part in re.match(r"[\d.]*", text).group().split(".") if part)  # type: ignore[union-attr]


def _device(wanted: str) -> Check:
    """What PyTorch can compute on, and whether the wanted device is among it."""
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
        return Check("device", False, f"'{wanted}' is not there, only {detail}", "--device auto")
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
    """Which video formats PyAV's FFmpeg reads (mode "r") or writes ("w")."""
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
    advice = f"this FFmpeg lacks {', '.join(lacking)}; PyAV's own wheels have them" if lacking else ""
    return Check(name, bool(have), ", ".join(have) or "nothing", advice)


def _store() -> Check:
    folder = where()
    above = next((path for path in (folder, *folder.parents) if path.exists()), Path(folder.anchor))
    if not os.access(above, os.W_OK):
        return Check(
            "model folder", False, f"{folder} cannot be written", "choose another: KPRTRACK_HOME=/some/folder"
        )
    free = shutil.disk_usage(above).free
    advice = (
        ""
        if free > LEAST_FREE_BYTES
        else "little room: choose another folder with KPRTRACK_HOME=/some/folder"
    )
    return Check("model folder", True, f"{folder}, {free / 1e9:.0f} GB free", advice)


def _model(role: str, part: ComponentConfig) -> Check:
    try:
        file = weights_of(role, part)
    except UserError as error:
        return Check(role, False, f"{part.name}: no usable weights", str(error))
    if file is None:
        return Check(role, True, part.name)
    if part.name == FILE:
        there = file.path.is_file()
        return Check(role, there, f"given: {file.path}", "" if there else "no such file")
    return Check(role, True, f"{part.name}: {file.path} ({file.trust})")


def _published() -> Check:
    """Which networks of the authors' own pipeline are here; optional."""
    missing = [
        name for name in PUBLISHED_PIPELINE.values() if not (where() / CATALOGUE[name].file_name).is_file()
    ]
    here = [name for name in PUBLISHED_PIPELINE.values() if name not in missing]
    advice = "to repeat the published results: " + "; ".join(
        f"kprtrack models get {name}" for name in missing
    )
    return Check("published trio", True, ", ".join(here) or "none here", advice if missing else "")
