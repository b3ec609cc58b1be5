"""Checks of what a command leaves: exit code, messages and output files, read back by the product itself."""

import json
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

REJECTED = {2, 3, 4, 5}  # exit codes that mean one line for the user
INTERRUPTED = 130
_NO_RESULT = ".trials."  # the log of a search
_MARGIN = 1e9  # no valid pixel, time or score is as large
_ESCAPES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def message_faults(code: int, errors: str) -> list[str]:
    """Return what is wrong with standard error: tracebacks, several lines, control characters."""
    faults = []
    if "Traceback (most recent call last)" in errors:
        faults.append("traceback on standard error")
    if "this is a bug" in errors:
        faults.append("this is a bug")
    if re.search(r"\w+Warning: ", errors):
        faults.append("a Python warning on standard error")
    if code in REJECTED:
        lines = errors.rstrip("\n").split("\n")
        messages = [line for line in lines if line.startswith("kprtrack: ")]
        if not messages:
            faults.append("rejected without a message")
        elif not lines[-1].startswith("kprtrack: "):
            faults.append("message of several lines")
    if _ESCAPES.search(errors.replace("\r", "").replace("\x1b[K", "")):
        faults.append("control characters in a message")
    return faults


def output_faults(folder: Path, code: int, before: Iterable[Path]) -> list[str]:
    """Return what is wrong with the files that a command left in a folder."""
    known, faults = set(before), []
    for path in sorted(set(folder.rglob("*")) - known):
        if path.is_dir() or path.name.startswith("."):
            continue
        if path.name == "ran":
            faults.append("a file that the input names was made: code ran")
        elif (
            path.name.startswith("out")
            and path.suffix not in (".part", ".partial")
            and _NO_RESULT not in path.name
        ):
            faults += _read_back(path, code)
        elif path.suffix == ".part" and "run" not in path.parts:
            faults.append(f"unfinished file left: {path.name}")
    return faults


def stopped_training_faults(run: Path, code: int) -> list[str]:
    """Return what is wrong with a training that was asked to stop: it must have begun, and can be resumed."""
    from safetensors import safe_open

    from kprtrack.training.run_folder import STATE

    if code in (0, *REJECTED):  # it ended by itself before it saw the signal
        return []
    if code != INTERRUPTED:
        return [f"stopped training: exit code {code}"]
    try:
        with safe_open(run / STATE, framework="np") as file:
            position = json.loads(file.metadata()["kpr_training"])["position"]
    except Exception as error:
        return [f"stopped training: no checkpoint ({type(error).__name__})"]
    return [] if position["epoch"] or position["batch"] else ["stopped training: no step was made"]


def _read_back(path: Path, code: int) -> list[str]:
    try:
        fault = read_back_fault(path)
    except Exception as error:
        return [f"output cannot be read back ({path.suffix}): {type(error).__name__}: {str(error)[:150]}"]
    return [f"{fault} ({path.suffix}, exit code {code})"] if fault else []


def read_back_fault(path: Path) -> str | None:
    """Return what is wrong with an output file; an exception means that it cannot be read."""
    if path.suffix == ".npz":
        return _observations_fault(path)
    if path.suffix in (".mp4", ".mkv"):
        import av

        with av.open(str(path)) as container:
            for _ in container.decode(video=0):
                pass
        return None
    if path.suffix in (".png", ".jpg", ".tif"):
        from PIL import Image

        with Image.open(path) as image:
            image.load()
        return None
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="np") as file:
            arrays = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
        return None if all(np.isfinite(one).all() for one in arrays) else "values that are not finite"
    if path.suffix == ".json" and not _is_result(path):
        json.loads(path.read_bytes(), parse_constant=_reject_constant)
        return None
    if path.suffix in (".json", ".jsonl", ".csv", ".txt", ".parquet"):
        return _tracks_fault(path)
    return None


def _is_result(path: Path) -> bool:
    document = json.loads(path.read_bytes(), parse_constant=_reject_constant)
    return isinstance(document, dict) and ("annotations" in document or document.get("format") == "kprtrack")


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _tracks_fault(path: Path) -> str | None:
    from kprtrack.io import read_tracks

    last = -1
    for tracks in read_tracks(path).frames:
        if tracks.frame_number <= last:
            return f"frame {tracks.frame_number} after frame {last}"
        last = tracks.frame_number
        if len(set(tracks.ids.tolist())) < len(tracks) or (tracks.ids < 1).any():
            return "repeated or wrong ids in a frame"
        if not _all_small(tracks.boxes, tracks.keypoints, tracks.scores):
            return "boxes, keypoints or scores that are not finite, or huge"
        if not (np.isnan(tracks.time_s) or abs(tracks.time_s) < _MARGIN):
            return f"time {tracks.time_s}"
        if not ((tracks.scores >= 0) & (tracks.scores <= 1)).all():
            return "scores outside 0..1"
    return None


def _observations_fault(path: Path) -> str | None:
    from kprtrack.io import read_observations

    with zipfile.ZipFile(path) as archive:
        if archive.testzip():
            return "a damaged member"
    last = -1
    for one in read_observations(path):
        if one.frame_number <= last:
            return f"frame {one.frame_number} after frame {last}"
        last = one.frame_number
        arrays = (one.detections.boxes, one.detections.scores, one.poses.keypoints, one.embeddings.features)
        if not _all_small(*arrays):
            return "values that are not finite, or huge"
    return None


def _all_small(*arrays: np.ndarray) -> bool:
    return all((np.abs(array) < _MARGIN).all() for array in arrays)
