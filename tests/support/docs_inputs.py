"""The data sets and weights that commands of README and docs name, all tiny and made up."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch

from eval.bench.run import run_bench
from eval.synthetic.benchmark import SyntheticConfig, write_benchmark, write_reid_crops
from kprtrack.cli.main import main
from kprtrack.detectors.yolox_network import Yolox
from reid.datasets import open_dataset
from reid.datasets.keypoint_files import keypoints_json
from reid.model import weights
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.parts.mask_files import mask_file
from reid.training.distillation import name_of, save_features
from support import bench_cases, detector_cases, onnx_files, paths, pose_cases

HEIGHT, WIDTH = 64, 32
TRAIN_IDENTITIES = 3  # of six in CROPS
CROPS = [f"{person:04}_{number:02}.jpg" for person in range(6) for number in (0, 5)]
PEOPLE = [f"{person:04}/{person:04}_{number}.jpg" for person in range(6) for number in range(3)]
MARKET = [
    *(f"bounding_box_train/{person:04}_c{camera}s1_000001_00.jpg" for person in (1, 2) for camera in (1, 2)),
    *(f"query/{person:04}_c1s1_000001_00.jpg" for person in (3, 4)),
    *(f"bounding_box_test/{person:04}_c2s1_000001_00.jpg" for person in (3, 4)),
]
ENCODER = KprConfig(
    "mini_cnn", HEIGHT, WIDTH, parts=5, fused_width=16, dimensions=8, prompt_groups="cck6", identities=3
)
# Options that shorten a command, by its first words.
_REID = [
    "model.backbone=mini_cnn",
    f"model.height={HEIGHT}",
    f"model.width={WIDTH}",
    "model.fused_width=16",
    "model.dimensions=8",
    "model.prompt_groups=cck6",
    "part_groups=five_v",
    "sampler.identities=2",
    "sampler.crops_each=2",
]
_COMPUTING = ["computing.device=cpu", "computing.workers=0", "precision=fp32"]
_ONE_EPOCH = ["schedule.epochs=1", "schedule.warmup_epochs=0"]
_DETECTOR = ["size=nano", "input_px=64", "input_range_px=None", "batch=2", "schedule.plain_epochs=0"]
_SMALL_POSE = [f"small.{name}={value}" for name, value in pose_cases.TINY["small"].items()]
SHORTER = {
    r"^train (configs/)?reid/.*(cuhk03|row)": [f"data.options.train_identities={TRAIN_IDENTITIES}"],
    r"^train reid/imagenet": ["init=runs/start/weights.safetensors"],  # instead of downloaded weights
    r"^train (configs/)?reid/": [*_REID, *_COMPUTING, *_ONE_EPOCH, "frozen_prompt_epochs=0"],
    r"^train (configs/)?detector/": [*_DETECTOR, *_COMPUTING, *_ONE_EPOCH],
    r"^train detector/posetrack21": ["init=None"],  # instead of downloaded weights
    r"^train (configs/)?pose/": [*_COMPUTING, *_ONE_EPOCH, "schedule.drops=None", "batch=4"],
    r"^train (configs/)?pose/small": _SMALL_POSE,
    r"^train pose/posetrack21_hrnet": ["hrnet.input_height=64", "hrnet.input_width=64", "batch=24"],
    r"^(data [\w-]+|eval reid) cuhk03": ["--option", f"train_identities={TRAIN_IDENTITIES}"],
    r"^adapt people": ["--epochs", "1", "--device", "cpu", "--threads", "1"],
    r"^eval reid folder": ["--option", "train_share=0.5"],
    r"^bench synthetic": ["--frames", "3", "--width", "160", "--height", "120"],
    r"^bench synthetic(?!.*--sequences)": ["--sequences", "1"],
    r"^tune": ["--trials", "2"],
    # The toy network finds a person in every bright cell.
    r"--detector yolox-onnx": ["--set", "detector.min_score=0.9", "--set", "detector.nms_iou=0.01"],
}


def write_data(folder: Path) -> None:
    """Write everything below a folder: data sets, results, weights and configs."""
    shutil.copytree(paths.ROOT / "configs", folder / "configs", ignore=shutil.ignore_patterns("__pycache__"))
    _write_weights(folder)
    _write_crops(folder / "cuhk03", CROPS, "cuhk03", {"train_identities": TRAIN_IDENTITIES})
    for name in ("PEOPLE", "cuhk03_pasted"):
        shutil.copytree(folder / "cuhk03", folder / name)
    _write_crops(folder / "people", PEOPLE, "folder", {})
    for name in ("Market-1501", "Market-1501-v15.09.15"):
        _write_crops(folder / name, MARKET, "market1501", {})
    _write_features(folder)
    _write_labelled_people(folder)
    _write_benchmark(folder)
    for split, sequences in (("train", 1), ("val", 2)):
        config = SyntheticConfig(sequences=sequences, frames=12, people=3, width=256, height=144, split=split)
        write_benchmark(folder / "occluded", config)
        write_reid_crops(folder / "occluded", config)


def runnable(command: str, folder: Path) -> str:
    """A command with the names of the made files in place of what stands for many."""
    observations = sorted((folder / "run" / "observations").iterdir())[0].name
    for word, made in (
        ("$D", "cuhk03"),
        ("$row", "cuhk03_small"),
        ("KEY", observations),
        ("POSETRACK21/", "posetrack21/"),
        ("--root PoseTrack21", "--root occluded"),  # not the same as posetrack21 on every file system
    ):
        command = command.replace(word, made)
    for data_set, root in (("market1501", "Market-1501"), ("cuhk03", "cuhk03"), ("folder", "PEOPLE")):
        command = command.replace(f"{data_set} --root DIR", f"{data_set} --root {root}")
    return command.replace("data.root=DIR", "data.root=cuhk03")


def _write_weights(folder: Path) -> None:
    torch.manual_seed(0)
    model = Kpr(ENCODER)
    for name in ("start/weights", "market/weights", "cuhk03_small/weights"):
        path = folder / "runs" / f"{name}.safetensors"
        path.parent.mkdir(parents=True)
        weights.save(path, model)
    (folder / "adapted").mkdir()
    for name in ("kpr.safetensors", "adapted/weights.safetensors"):
        shutil.copy(path, folder / name)
    for name in ("osnet", "osnet_x0_25_msmt17", "my_osnet"):
        onnx_files.write_embedding_network(folder / f"{name}.onnx", ("N", 3, HEIGHT, WIDTH))
    onnx_files.write_heatmap_network(folder).rename(folder / "my_pose.onnx")
    onnx_files.write_simcc_network(folder).rename(folder / "my_rtmpose.onnx")
    onnx_files.write_yolox_network(folder).rename(folder / "my_yolox.onnx")
    onnx_files.write_rtmo_network(folder).rename(folder / "my_rtmo.onnx")
    toy = onnx_files.write_heatmap_network(folder, ".xml")
    for path in (toy, toy.with_suffix(".bin")):
        path.rename(folder / f"tinypose_256x192_fp16{path.suffix}")
    for name in ("yolox_nano", "norms"):
        torch.save({"model": Yolox("nano", 1).state_dict()}, folder / f"{name}.pth")


def _write_crops(root: Path, names: Iterable[str], kind: str, options: dict[str, object]) -> None:
    """Crops of people with keypoints and labels of their parts, where the data set has them."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        colour = np.random.default_rng(int(Path(name).name[:4])).integers(0, 255, 3)
        image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        image[4:60, 6:26] = colour
        cv2.imwrite(str(root / name), image)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[4:20, 6:26], labels[20:60, 6:26] = 2, 7
    for sample in open_dataset(kind, root, options).samples:
        skeleton = np.ones((1, 17, 3), np.float32)
        skeleton[0, :, 0], skeleton[0, :, 1] = rng.uniform(8, 24, 17), np.linspace(6, 58, 17)
        assert isinstance(sample.keypoints, Path) and isinstance(sample.masks, Path)
        for path, content in (
            (sample.keypoints, keypoints_json(skeleton)),
            (sample.masks, mask_file(sample.masks, labels)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for letter in "abc":
        (root.parent / f"{letter}.json").write_bytes(keypoints_json(skeleton))


def _write_features(folder: Path) -> None:
    """Features of another encoder, by the names that both data sets of crops have."""
    root = folder / "cuhk03"
    data = open_dataset("cuhk03", root, {"train_identities": len(CROPS) // 2 - 1})
    names = [name_of(sample, root) for sample in data.samples]
    features = np.random.default_rng(0).normal(size=(len(names), 4)).astype(np.float32)
    save_features(folder / "osnet.safetensors", names, features)


def _write_labelled_people(folder: Path) -> None:
    """Annotations of COCO's form for detectors and pose networks."""
    detector_cases.draw_plots(folder / "PERSON", count=4).rename(folder / "PERSON" / "train.json")
    shutil.copy(folder / "PERSON" / "train.json", folder / "PERSON" / "val.json")
    people = pose_cases.write_figures(folder / "figures", 4)
    for image in (folder / "figures").glob("*.png"):
        shutil.copy(image, folder / image.name)
        shutil.copy(image, folder / "PERSON" / f"figure_{image.name}")  # beside images of the same numbers
    renamed = people.read_text().replace('"file_name": "', '"file_name": "figure_')
    for name in ("pose_train.json", "pose_val.json"):
        (folder / "PERSON" / name).write_text(renamed)
    (folder / "figures").rename(folder / "images")
    for name in ("mine.json", "other.json", "train.json", "val.json"):
        shutil.copy(folder / "images" / "people.json", folder / name)


def _write_benchmark(folder: Path) -> None:
    """PoseTrack21 and MOT17, and results of a tracker on them."""
    root = bench_cases.make_root(folder / "posetrack21")
    (root / "posetrack_data" / "train").mkdir()
    for path in (root / "posetrack_data" / "val").iterdir():  # under another name: no video is in two splits
        shutil.copy(path, root / "posetrack_data" / "train" / path.name.replace("_test", "_train"))
    run = folder / "run"
    run_bench(root, run, bench_cases.file_config(root), quiet=True)
    for name in ("pose", "mot"):
        shutil.copytree(run / "default" / name, run / name)
    for video in bench_cases.VIDEOS:
        shutil.copytree(root / "posetrack_mot" / "mot" / "val" / video, folder / "MOT17" / "train" / video)
    words = ["tune", str(next((run / "observations").iterdir())), "--ground-truth", str(root)]
    assert main([*words, "--trials", "2", "--out", str(folder / "best.json"), "--quiet"]) == 0
    (folder / "best.trials.jsonl").unlink()
