"""data features and data paste from the command line, on synthetic crops."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.mean_colour import MeanColour

from kprtrack.cli.data import data_parser, run_data
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.reid_encoders import REID_ENCODERS
from kprtrack.reid_encoders.onnx import OnnxConfig
from reid.crop import Crop
from reid.datasets import open_dataset
from reid.datasets.crops import read_crop
from reid.datasets.keypoint_files import keypoints_json
from reid.evaluation.embed import embed_samples
from reid.model import weights
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.training.distillation import load_features

HEIGHT, WIDTH = 64, 32
OPTIONS = {"train_identities": 2}
SET = ["cuhk03", "--root", "crops", "--option", "train_identities=2"]
FEATURES = ["features", *SET, "--weights", "kpr.safetensors", "--threads", "1"]


@pytest.fixture(scope="module")
def kpr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = KprConfig("mini_cnn", height=64, width=32, fused_width=16, dimensions=8, identities=3)
    path = tmp_path_factory.mktemp("weights") / "kpr.safetensors"
    weights.save(path, Kpr(config))
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kpr: Path) -> Path:
    """Weights, and crops of six people by two cameras with keypoints and masks."""
    monkeypatch.chdir(tmp_path)
    Path("kpr.safetensors").symlink_to(kpr)
    keypoints, masks = Path("crops/external_annotation/kprtrack"), Path("crops/masks/part_labels")
    for place in (keypoints, masks):
        place.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for person in range(6):
        for number in (0, 5):
            name = f"{person:04}_{number:02}.jpg"
            image, labels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[4:60, 6:26] = 2
            image[labels > 0] = np.random.default_rng(person).integers(0, 255, 3)
            skeleton = np.ones((1, 17, 3), np.float32)
            skeleton[0, :, 0], skeleton[0, :, 1] = rng.uniform(8, 24, 17), np.linspace(6, 58, 17)
            cv2.imwrite(f"crops/{name}", image)
            cv2.imwrite(str(masks / f"{name}.png"), labels)
            (keypoints / f"{name}_keypoints.json").write_bytes(keypoints_json(skeleton))
    return tmp_path


def parsed(words: list[str]) -> argparse.Namespace:
    return data_parser().parse_args(words)


def run(*words: str) -> int:
    return run_data(parsed([*words]))


def test_every_crop_gets_the_foreground_of_kpr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*FEATURES, "--out", "f.safetensors") == 0

    printed = capsys.readouterr().out
    assert printed == "12 embeddings of 8 dimensions. Train with distil.teacher=f.safetensors\n"
    samples = open_dataset("cuhk03", Path("crops"), OPTIONS).samples
    own = embed_samples(weights.load(Path("kpr.safetensors")), samples).features[:, 0]
    centred = own - own.mean(axis=0)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(
        load_features(Path("f.safetensors"), samples, Path("crops")), expected, atol=1e-4
    )


def test_they_are_found_wherever_the_data_set_moves() -> None:
    run(*FEATURES, "--out", "f.safetensors", "-q")
    Path("crops").rename("moved")

    samples = open_dataset("cuhk03", Path("moved"), OPTIONS).train
    assert load_features(Path("f.safetensors"), samples, Path("moved")).shape == (4, 8)


def test_the_whole_crop_is_another_feature() -> None:
    run(*FEATURES, "--out", "foreground.safetensors", "-q")
    run(*FEATURES, "--out", "whole.safetensors", "--vectors", "whole", "-q")

    assert Path("foreground.safetensors").read_bytes() != Path("whole.safetensors").read_bytes()


def test_any_encoder_can_be_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REID_ENCODERS, "onnx", (MeanColour, OnnxConfig))
    assert run(*FEATURES, "--reid", "onnx", "--batch", "5", "--out", "f.safetensors", "-q") == 0

    samples = open_dataset("cuhk03", Path("crops"), OPTIONS).samples
    assert load_features(Path("f.safetensors"), samples, Path("crops")).shape == (12, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (FEATURES, "--out FILE"),
        ([*FEATURES, "--out", "f.npz"], r"f\.safetensors"),
        ([*FEATURES, "--out", "nowhere/f.safetensors"], "no folder nowhere"),
        ([*FEATURES, "--out", "f.safetensors", "--vectors", "parts"], "whole person"),
        ([*FEATURES, "--out", "f.safetensors", "--workers", "-1"], "0 or more"),
        ([*FEATURES, "--out", "f.safetensors", "--reid", "kp"], "Did you mean 'kpr'"),
        (["features", *SET, "--reid", "onnx", "--out", "f.safetensors"], "--weights"),
        (["features", "cuhk03", "--out", "f.safetensors"], "--root DIR"),
        (["paste", *SET], "--out DIR"),
        (["paste", *SET, "--out", "crops/pasted"], "in the dataset itself"),
        (["paste", *SET, "--out", "p", "--into", "queries"], "Did you mean 'query'"),
        (["paste", *SET, "--out", "p", "--seed", "-1"], "0 or more"),
        (["paste", *SET, "--out", "p", "--option", "masks=none"], "masks=NAME"),
    ],
)
def test_a_wrong_option_is_an_error_and_nothing_is_written(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(*words)
    assert not {"f.safetensors", "f.npz", "p"} & {each.name for each in Path().iterdir()}


def test_a_damaged_crop_leaves_no_file_of_features() -> None:
    Path("crops/0005_05.jpg").write_bytes(b"no image")

    with pytest.raises(InputError, match=r"0005_05\.jpg"):
        run(*FEATURES, "--out", "f.safetensors")
    assert not Path("f.safetensors").exists()


def crops_of(path: str) -> list[Crop]:
    return [read_crop(each, None) for each in open_dataset("folder", Path(path)).query]


def test_people_are_pasted_over_the_queries(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("paste", *SET, "--out", "pasted") == 0

    printed = capsys.readouterr().out
    assert printed == "8 crops written, 0 existed. Score on them: kprtrack eval reid folder --root pasted\n"
    assert [len(crop.keypoints) for crop in crops_of("pasted")] == [2] * 4

    assert run("paste", *SET, "--out", "pasted") == 0
    assert capsys.readouterr().out.startswith("0 crops written, 8 existed.")


def test_the_seed_and_the_sets_can_be_chosen() -> None:
    run("paste", *SET, "--out", "plain", "--into", "none", "-q")
    run("paste", *SET, "--out", "other", "--seed", "3", "-q")

    assert [len(crop.keypoints) for crop in crops_of("plain")] == [1] * 4
    with pytest.raises(OutputError, match="seed=3, not 0"):
        run("paste", *SET, "--out", "other")


@pytest.mark.parametrize("action", ["features", "paste"])
def test_every_option_is_explained(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed([action, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    own = {"features": ("--reid", "--weights", "--device", "--workers"), "paste": ("--into", "--seed")}
    for option in ("--root", "--option", "--out", *own[action]):
        assert option in printed
