"""The runs that `tools/kill.py` kills, and what must be equal when they are resumed."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from robustness import folders, media, training
from robustness.checks import read_back_fault

_TIMES = {"seconds", "images_per_s", "frames_per_s", "created"}  # keys of what a run measured of itself
_LONG = 150  # frames of a video that takes a second or more


@dataclass(frozen=True)
class Run:
    """One command that is killed and repeated.

    Args:
        build: Writes its inputs into a folder.
        words: Words after `kprtrack`, of the first run.
        again: Words of every further run.
        outputs: Patterns of the files that are equal, however often the run was killed.
        progress: From the folder of a killed run to a number that must never shrink.
        check: Raises or returns a text if something that was left by a kill is wrong.
    """

    build: Callable[[Path], None]
    words: str
    outputs: tuple[str, ...]
    again: str | None = None
    progress: Callable[[Path], float] = lambda folder: 0.0
    check: Callable[[Path], str | None] = lambda folder: None


def fingerprint(folder: Path, patterns: tuple[str, ...]) -> dict[str, str]:
    """Return the hash of every output; JSON without the times that a run measured of itself."""
    found = {}
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        data = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            lines = data.splitlines() if path.suffix == ".jsonl" else [data]
            data = json.dumps([_without_times(json.loads(line)) for line in lines]).encode()
        if path.suffix == ".safetensors":  # the order of its metadata is random
            size = 8 + int.from_bytes(data[:8], "little")
            data = json.dumps(json.loads(data[8:size]), sort_keys=True).encode() + data[size:]
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in _TIMES}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def _long_video(folder: Path) -> None:
    media.write_video(folder / "video.mp4", frames=_LONG)
    media.write_json(folder / "boxes.json", media.coco_document(count=_LONG))


def _with_older_result(name: str, folder: Path) -> None:
    """A long video, and a complete result of a shorter one under the name of the output."""
    _long_video(folder)
    media.write_tracks(folder / name)


def _training(task: str, folder: Path) -> None:
    if task == "reid":
        folders.write_reid(folder / "data", "folder")
    else:
        training.write_training_images(folder / "data")
    settings = training.training_settings(task, epochs=4)
    settings["computing"] |= {"save_every_batches": 1}  # type: ignore[operator]
    settings["scoring"] = {"every_epochs": 2}
    media.write_json(folder / "config.json", settings)


def _trained_batches(folder: Path) -> float:
    """Position of the checkpoint: epochs and a fraction; -1 without one."""
    from safetensors import safe_open

    state = folder / "run" / "state.safetensors"
    if not state.exists():
        return -1.0
    with safe_open(state, framework="np") as file:
        position = json.loads(file.metadata()["kpr_training"])["position"]
    return float(position["epoch"] + position["batch"] / 1000)


def _readable_weights(folder: Path) -> str | None:
    """Files of weights under their final names are whole."""
    from safetensors import safe_open

    for path in (folder / "run").glob("*.safetensors"):
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118
                file.get_tensor(name)
    return None


def _benchmark(folder: Path) -> None:
    folders.write_posetrack21(folder / "in", number=1)
    folders.write_posetrack21(folder / "in", number=2)


def _complete_observations(folder: Path) -> float:
    from kprtrack.io import read_observations

    return float(sum(read_observations(path).complete for path in folder.rglob("*.npz")))


def _nothing_partial(folder: Path) -> str | None:
    """Only whole videos are of use to a later run."""
    left = sorted(path.name for path in folder.rglob("*.partial"))
    return f"left: {', '.join(left)}" if left else None


def _observations(folder: Path) -> None:
    (folder / "observations").mkdir()
    media.write_observations(folder / "observations" / "video.npz")
    (folder / "gt").mkdir()
    media.write_tracks(folder / "gt" / "video.json")


def _trials(folder: Path) -> float:
    log = next(iter(folder.glob("*.trials.jsonl")), None)
    return float(log.read_bytes().count(b"\n")) if log else 0.0


def _large_file(folder: Path) -> None:
    (folder / "weights.pth").write_bytes(bytes(range(256)) * 40_000)


def _imported_whole(folder: Path) -> str | None:
    stored = folder / "home" / "models" / "mine.pth"
    if stored.exists() and stored.read_bytes() != (folder / "weights.pth").read_bytes():
        return "the model folder holds a part of the file under its final name"
    return None


def _older_or_complete(name: str, folder: Path) -> str | None:
    """The result under its final name is the older one or the new one, never a part."""
    from kprtrack.io import read_tracks

    file = read_tracks(folder / name)
    if file.complete is False or len(file.frames) not in (media.FRAMES, _LONG):
        return f"{name} holds {len(file.frames)} frames in the place of an older complete result"
    return None


def _recovered(name: str, folder: Path) -> float:
    """Frames that `kprtrack recover` saves from a copy of what a kill has left; 0 without a file."""
    from kprtrack.core.errors import InputError
    from kprtrack.recover import recover

    part = folder / f"{name}.part"
    if not part.exists() or not part.stat().st_size:
        return 0.0
    with tempfile.TemporaryDirectory() as other:
        copy = Path(shutil.copy(part, other))
        try:
            found = recover(copy)
        except InputError as error:
            if "no whole frame" in str(error):
                return 0.0
            raise
        if fault := read_back_fault(found.path):
            raise ValueError(fault)
        return float(found.frames)


def _is_whole(path: Path) -> bool:
    """Whether the result is there with all frames: then the observations are not needed any more."""
    from kprtrack.core.errors import InputError
    from kprtrack.io import read_tracks

    if not path.exists() or path.suffix == ".npz":
        return False
    try:
        return len(read_tracks(path).frames) == _LONG
    except InputError:
        return False


def _stored(name: str, folder: Path) -> float:
    """Frames of which a run that is to be resumed has stored the observations, under any of its names."""
    from kprtrack.io import read_observations

    if _is_whole(folder / name.removesuffix(".observations.npz")):
        return float(_LONG)
    finished = folder / name
    frames = float(read_observations(finished).frames) if finished.exists() else 0.0
    return max(frames, _recovered(name, folder), _recovered(f"{name}.old", folder))


def _older_and_recoverable(name: str, folder: Path) -> str | None:
    """An older complete result is untouched, and what lies beside it can be recovered."""
    _recovered(name, folder)
    return _older_or_complete(name, folder)


def _recoverable(name: str, folder: Path) -> str | None:
    """What lies under the final name can be read, and what lies beside it can be recovered."""
    _recovered(name, folder)
    return read_back_fault(folder / name) if (folder / name).exists() else None


def _playable(folder: Path) -> str | None:
    """What a kill has left of an annotated video can be recovered and decoded."""
    _recovered("drawn.mp4", folder)
    return None


def _reid(folder: Path) -> None:
    folders.write_reid(folder / "in", "folder")
    shutil.rmtree(folder / "in" / "masks")


_BOXES = (
    "--detector file --detector-weights boxes.json --pose file --pose-weights boxes.json --reid none --quiet"
)
_PLAIN_RESULTS = ("tracks.json", "tracks.jsonl", "tracks.csv", "tracks.txt", "tracks.parquet")
_VAL = "in/posetrack_data/val"

RUNS: Mapping[str, Run] = {
    **{
        f"train {task}": Run(
            partial(_training, task),
            "train config.json --out run --quiet",
            ("run/weights.safetensors", "run/best.safetensors", "run/metrics.json"),
            progress=_trained_batches,
            check=_readable_weights,
        )
        for task in ("reid", "detector", "pose")
    },
    "bench": Run(
        _benchmark,
        f"bench posetrack21 --root in --out run --detector file --detector-weights {_VAL} --pose file "
        f"--pose-weights {_VAL} --reid none --json scores.json --quiet",
        ("run/default/pose/*", "run/default/mot/*", "scores.json", "run/observations/**/*.npz"),
        progress=_complete_observations,
        check=_nothing_partial,
    ),
    "tune": Run(
        _observations,
        "tune observations --ground-truth gt --trials 12 --out best.json --quiet",
        ("best.json", "best.trials.jsonl"),
        progress=_trials,
    ),
    "import": Run(
        _large_file,
        "models import weights.pth --name mine",
        ("home/models/mine.pth", "home/models/mine.pth.json"),
        check=_imported_whole,
    ),
    "part labels": Run(_reid, "data part-labels folder --root in --quiet", ("in/masks/**/*.png",)),
    **{
        f"track {Path(name).suffix}": Run(
            partial(_with_older_result, name),
            f"video.mp4 {_BOXES} --out {name}",
            (name,),
            check=partial(_older_and_recoverable, name),
        )
        for name in _PLAIN_RESULTS
    },
    **{
        f"track {Path(name).suffix} resumed": Run(
            _long_video,
            f"video.mp4 {_BOXES} --out {name} --resume",
            (name,),
            progress=partial(_stored, f"{name}.observations.npz"),
            check=partial(_recoverable, name),
        )
        for name in _PLAIN_RESULTS
    },
    "track coco resumed": Run(
        _long_video,
        f"video.mp4 {_BOXES} --out tracks.json --format coco --resume",
        ("tracks.json",),
        progress=partial(_stored, "tracks.json.observations.npz"),
    ),
    "track video resumed": Run(
        _long_video,
        f"video.mp4 {_BOXES} --out tracks.json --video drawn.mp4 --resume",
        ("tracks.json",),  # the encoder may give other bytes for the same images
        progress=partial(_stored, "tracks.json.observations.npz"),
        check=_playable,
    ),
    "observe": Run(_long_video, f"observe video.mp4 {_BOXES} --out obs.npz", ("obs.npz",)),
    "observe resumed": Run(
        _long_video,
        f"observe video.mp4 {_BOXES} --out obs.npz --resume",
        ("obs.npz",),
        progress=partial(_stored, "obs.npz"),
    ),
}
