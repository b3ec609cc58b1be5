"""Every format that the product reads: a valid input, the files to mutate, the commands that read it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from robustness import binary_mutations, folders, media, text_mutations, training
from robustness.byte_mutations import Mutation, mutate_bytes

# By suffix; others are mutated as bytes.
MUTATIONS: dict[str, Mutation] = {
    ".json": text_mutations.mutate_json,
    ".jsonl": text_mutations.mutate_json_lines,
    ".csv": text_mutations.mutate_table,
    ".txt": text_mutations.mutate_table,
    ".ini": text_mutations.mutate_table,
    ".py": text_mutations.mutate_python,
    ".yaml": text_mutations.mutate_yaml,
    ".npy": binary_mutations.mutate_array,
    ".npz": binary_mutations.mutate_zip,
    ".pth": binary_mutations.mutate_torch,
    ".safetensors": binary_mutations.mutate_safetensors,
    ".onnx": binary_mutations.mutate_onnx,
    ".png": binary_mutations.mutate_png,
    ".mp4": binary_mutations.mutate_mp4,
    ".mov": binary_mutations.mutate_mp4,
    ".parquet": binary_mutations.mutate_parquet,
}


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Args:
        build: Writes valid inputs into a folder.
        files: Pattern of the files in it that are mutated.
        commands: Words after `kprtrack`, one command is chosen for each case; {file} is the mutated file.
            Outputs are called out*, so that they are found and read back.
        share: How many of the cases, in relation to other targets.
    """

    build: Callable[[Path], None]
    files: str
    commands: tuple[str, ...]
    share: int = 1


def mutation_of(path: Path) -> Mutation:
    """Return the mutation that fits the format of a file."""
    return MUTATIONS.get(path.suffix, mutate_bytes)


_SCENE = "--detector file --detector-weights boxes.json --pose file --pose-weights boxes.json --reid none"
_FROM_FILE = (
    "video.mp4 --detector file --detector-weights {file} --pose file --pose-weights {file} --reid none"
)
_BOXES_FROM_FILE = (
    "video.mp4 --detector file --detector-weights {file} --pose file --pose-weights boxes.json --reid none"
)
_RESULTS = tuple(
    f"convert {{file}} out{suffix}" for suffix in (".json", ".jsonl", ".csv", ".txt", ".parquet")
)


def _with_scene(root: Path, *writers: Callable[[Path], object]) -> None:
    media.write_video(root / "video.mp4")
    media.write_json(root / "boxes.json", media.coco_document())
    for write in writers:
        write(root)


def _results(name: str, format: str | None, root: Path) -> None:
    _with_scene(root)
    media.write_tracks(root / name, format)
    media.write_tracks(root / "gt.json")


def _coco_variants(root: Path) -> None:
    """COCO as annotation tools write it: CocoVID, ids in attributes, one odd category, results only."""
    _with_scene(root)
    document = media.coco_document()
    entries: list[dict[str, object]] = document["annotations"]  # type: ignore[assignment]
    for number, image in enumerate(document["images"]):  # type: ignore[arg-type, var-annotated]
        image |= {"video_id": 1, "frame_id": number}
    media.write_json(root / "in_video.json", document | {"videos": [{"id": 1, "name": "v"}]})
    inside = [{**one, "attributes": {"track_id": one["track_id"]}, "keypoints": []} for one in entries]
    for one in inside:
        del one["track_id"]
    media.write_json(root / "in_attributes.json", document | {"annotations": inside})
    media.write_json(root / "in_category.json", document | {"categories": [{"id": 1, "name": "pedestrian"}]})
    media.write_json(root / "in_results.json", [{**one, "score": 0.9} for one in entries])


def _observations(root: Path) -> None:
    _with_scene(root)
    (root / "observations").mkdir()
    media.write_observations(root / "observations" / "video.npz")
    media.write_tracks(root / "gt.json")
    (root / "gt").mkdir()
    media.write_tracks(root / "gt" / "video.json")


def _configs(root: Path) -> None:
    _observations(root)
    settings = {
        "tracker": {"name": "kpr", "high_score": 0.5, "max_lost_s": 10.0, "recent_s": 1.0, "box_weight": 0.5},
        "reid": "none",
        "detector": {"name": "file", "weights": "boxes.json"},
        "pose": {"name": "file", "weights": "boxes.json"},
        "device": "cpu",
        "batch": 2,
        "frames_at_once": 4,
    }
    media.write_json(root / "config.json", settings)
    lines = [f"{key} = {value!r}" for key, value in settings.items()]
    (root / "config.py").write_text("\n".join(lines) + "\n")
    (root / "config.yaml").write_text(
        "\n".join(f"{key}: {json.dumps(value)}" for key, value in settings.items() if key != "tracker")
        + "\ntracker:\n  name: kpr\n  high_score: 0.5\n  max_lost_s: 10.0\n"
    )
    media.write_json(root / "base.json", {"batch": 1})


def _videos(root: Path) -> None:
    _with_scene(root)
    for suffix in media.CODECS:
        media.write_video(root / f"in{suffix}")
    for suffix in media.ANIMATIONS:
        media.write_animation(root / f"in{suffix}")


def _images(root: Path) -> None:
    _with_scene(root)
    for number in range(4):
        media.write_image(root / "frames" / f"{number}{media.STILLS[number]}", number)
    document = media.coco_document("frames/")
    media.write_json(root / "boxes.json", document)


def _networks(root: Path) -> None:
    _with_scene(root, folders.write_networks)
    media.write_image(root / "a_1.jpg", 0, **folders.CROP)
    media.write_image(root / "b_1.jpg", 1, **folders.CROP)
    for name in ("a_1", "b_1"):
        folders.write_keypoints(root / f"{name}.json")


def _reid(kind: str, root: Path) -> None:
    folders.write_reid(root / "in", kind)
    folders.write_onnx(root)


def _tuning(root: Path) -> None:
    from kprtrack.cli.main import main

    _observations(root)
    main([*_TUNE.split(), "--quiet"])


def _bench(root: Path) -> None:
    folders.write_posetrack21(root / "in")


_TUNE = "tune observations --ground-truth gt --trials 2 --out best.json"
_YOLOX = "video.mp4 --detector yolox-nano --detector-weights {file} --pose file --pose-weights boxes.json"
_SMALL = (
    "--set detector.input_height=64 --set detector.input_width=64 --backend torch --reid none --out out.json"
)
_KPR = "video.mp4 --detector file --detector-weights boxes.json --pose file --pose-weights boxes.json --reid"
_COMPARE = "compare a_1.jpg b_1.jpg --keypoints a_1.json b_1.json --out out.png --json out.json --weights"
_EVAL = "eval posetrack21 --ground-truth gt --results results"
_BENCH = (
    "bench posetrack21 --root in --out run --detector file --detector-weights in/posetrack_data/val "
    "--pose file --pose-weights in/posetrack_data/val --reid none --json out.json --processes 1"
)


def _reid_commands(kind: str) -> tuple[str, ...]:
    options = " --option train_identities=2" if kind.startswith("cuhk") else ""
    options = " --option train_share=0.5" if kind == "folder" else options
    data = f"{kind} --root in{options}"
    score = "--reid onnx --weights reid.onnx --device cpu"
    return (
        f"data check {data}",
        f"data check {data} --quick",
        f"data paste {data} --out out",
        f"data part-labels {data}",
        f"eval reid {data} {score} --json out.json",
        f"data features {data} {score} --out out.safetensors",
    )


TARGETS: dict[str, Target] = {
    **{
        f"results {name}": Target(
            partial(_results, name, format),
            name,
            (
                *_RESULTS,
                "convert {file} out.json --to coco",
                "convert {file} out.json --to posetrack21",
                "draw {file} video.mp4 --out out.mp4",
                "eval tracks gt.json {file} --json out.json",
                "eval tracks {file} gt.json --json out.json",
                f"{_BOXES_FROM_FILE if name == 'in.txt' else _FROM_FILE} --out out.json",
            ),
            share=2,
        )
        for name, format in (
            ("in.json", None),
            ("in.jsonl", None),
            ("in.csv", None),
            ("in.parquet", None),
            ("in.txt", None),
            ("in_coco.json", "coco"),
            ("000001_in.json", "posetrack21"),
        )
    },
    "coco variants": Target(
        _coco_variants, "in_*.json", (*_RESULTS, f"{_FROM_FILE} --out out.json"), share=2
    ),
    "observations": Target(
        _observations,
        "observations/*.npz",
        (
            "follow {file} --out out.json",
            "follow {file} --out out.json --tracker bytetrack",
            "doctor {file}",
            "tune observations --ground-truth gt --trials 1 --out out.json",
        ),
        share=3,
    ),
    "configs": Target(
        _configs,
        "config.*",
        (
            "--print-config --config {file}",
            "follow observations/video.npz --config {file} --out out.json",
            "video.mp4 --config {file} --out out.json",
        ),
        share=3,
    ),
    "train configs": Target(
        training.write_configs,
        "*.[jpy][sya]*",
        ("train {file} --print-config", "train {file} --out out.run --quiet"),
        share=2,
    ),
    "videos": Target(
        _videos,
        "in.*",
        (
            f"{{file}} {_SCENE} --out out.json",
            f"{{file}} {_SCENE} --out out.json --start 0.3",
            f"{{file}} {_SCENE} --out out.jsonl --video out.mp4",
            "observe {file} --out out.npz " + _SCENE,
        ),
        share=6,
    ),
    "images": Target(
        _images, "frames/*", (f"frames {_SCENE} --out out.json", f"{{file}} {_SCENE} --out out.csv"), 2
    ),
    "detector weights": Target(
        _networks, "yolox*", (f"{_YOLOX} {_SMALL}", "models import {file} --name mine"), 2
    ),
    "reid weights": Target(
        _networks,
        "kpr.safetensors",
        (f"{_KPR} kpr --reid-weights {{file}} --backend torch --out out.json", f"{_COMPARE} {{file}}"),
    ),
    "pose onnx": Target(
        _networks,
        "pose.onnx",
        (
            "video.mp4 --detector file --detector-weights boxes.json --pose heatmap --pose-weights {file}"
            " --reid none --out out.json",
        ),
    ),
    "reid onnx": Target(_networks, "reid.onnx", (f"{_KPR} onnx --reid-weights {{file}} --out out.json",)),
    "crops": Target(_networks, "[ab]_1.*", (f"{_COMPARE} kpr.safetensors",)),
    **{
        f"reid {kind}": Target(partial(_reid, kind), "in/**/*.*", _reid_commands(kind))
        for kind in (*folders.REID, "occluded_posetrack")
    },
    "eval posetrack21": Target(
        folders.write_posetrack21_eval,
        "**/*.[jti][sxn]*",
        (
            f"{_EVAL} --processes 1 --json out.json",
            f"{_EVAL} --box-results boxes --processes 1 --json out.json",
        ),
        share=2,
    ),
    "eval mot": Target(
        folders.write_mot_eval,
        "**/*.[ti][xn]*",
        ("eval mot --ground-truth gt --results results --json out.json",),
        2,
    ),
    "bench": Target(_bench, "in/**/*.*", (_BENCH,)),
    "model folder": Target(
        folders.write_model_folder,
        "home/models/*",
        (
            "models list",
            "models check",
            "models get mine",
            "models where",
            "models import {file} --name other",
        ),
    ),
    "tuning log": Target(_tuning, "best*", (_TUNE,)),
    **{
        f"training {task}": Target(
            partial(training.write_training, task=task),
            "run/*.*",
            ("train config.json --out run --quiet",),
        )
        for task in ("reid", "detector", "pose")
    },
    "training data": Target(
        training.write_configs,
        "data/train.json",
        ("train detector.json --out out.run --quiet", "train pose.json --out out.run --quiet"),
    ),
}
