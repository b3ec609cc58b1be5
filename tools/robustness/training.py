"""Configs and run folders of tiny trainings to be mutated, and a training that is stopped."""

import json
from pathlib import Path

from robustness import media
from robustness.folders import write_reid


def write_training(root: Path, task: str) -> None:
    """Write a finished tiny training of a kind in `run`, and its data in `data`."""
    from kprtrack.cli.main import main

    if task == "reid":
        write_reid(root / "data", "folder")
    else:
        write_training_images(root / "data")
    (root / "config.json").write_text(json.dumps(training_settings(task)))
    code = main(["train", str(root / "config.json"), "--out", str(root / "run"), "--quiet"])
    if code:
        raise RuntimeError(f"the tiny training of {task} ended with {code}")


def write_training_images(root: Path) -> None:
    """Write labelled images for detector and pose training."""
    for number in range(media.FRAMES):
        media.write_image(root / f"{number}.png", number, width=256, height=192)
    media.write_json(root / "train.json", media.coco_document(scale=4.0))


def training_settings(task: str, epochs: int = 1) -> dict[str, object]:
    """Return settings with which a training takes about a second; paths are relative."""
    sources = {"train": "data/train.json", "val": "data/train.json"}
    common: dict[str, object] = {"task": task, "computing": {"device": "cpu", "workers": 0}}
    if task == "detector":
        return common | {
            "data": sources,
            "size": "nano",
            "input_px": 64,
            "input_range_px": [64, 64],
            "batch": 4,
            "augment": {"mosaic": 0.0, "mixup": 0.0},
            "schedule": {"epochs": epochs, "warmup_epochs": 0, "plain_epochs": 0},
        }
    if task == "pose":
        small = {
            "input_height": 64,
            "input_width": 64,
            "stem_width": 8,
            "stage_widths": [12, 16, 24, 32],
            "neck_width": 24,
        }
        return common | {
            "data": sources,
            "network": "small",
            "small": small,
            "sigma": 1.0,
            "batch": 8,
            "schedule": {"epochs": epochs, "warmup_epochs": 0.0},
        }
    return common | {
        "data": {"name": "folder", "root": "data", "options": {"train_share": 0.5}},
        "model": {
            "backbone": "mini_cnn",
            "height": 64,
            "width": 32,
            "fused_width": 16,
            "dimensions": 8,
            "prompt_groups": "cck6",
        },
        "part_groups": "five_v",
        "sampler": {"identities": 2, "crops_each": 2},
        "schedule": {"epochs": epochs, "warmup_epochs": 0},
    }


def write_configs(root: Path) -> None:
    """Configs with all settings, of trainings that take a second; their base has the small values, too."""
    import yaml

    from kprtrack.core.config_files.reader import read_config_file
    from kprtrack.training.tasks import load_config, settings_text

    write_training_images(root / "data")
    write_reid(root / "people", "folder")
    for task in ("reid", "detector", "pose"):
        base = root / "data" / f"tiny_{task}.json"
        settings = training_settings(task)
        if task == "reid":
            settings["data"] |= {"root": "people"}  # type: ignore[operator]
        media.write_json(base, settings)
        file = root / f"{task}.py"
        file.write_text(settings_text(load_config(base)))
        settings = {"_base_": f"data/{base.name}"} | read_config_file(file)
        file.write_text("".join(f"{key} = {value!r}\n" for key, value in settings.items()))
        media.write_json(root / f"{task}.json", settings)
        plain = json.loads(json.dumps(settings))
        (root / f"{task}.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
