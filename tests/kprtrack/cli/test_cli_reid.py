"""eval reid and compare from the command line, with a small untrained encoder on synthetic crops."""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.mean_colour import MeanColour

from kprtrack.cli.main import SUBCOMMANDS
from kprtrack.core.errors import InputError, UserError, WeightsError
from reid.datasets.keypoint_files import keypoints_json
from reid.model import weights
from reid.model.config import KprConfig
from reid.model.kpr import Kpr

PEOPLE = (3, 5, 8)
ROOT = ["--root", "crops", "--option", "train_identities=0"]
EVAL = ["cuhk03", *ROOT, "--weights", "kpr.safetensors", "--threads", "1"]
COMPARE = ["--weights", "kpr.safetensors", "--out", "matrix.png", "--threads", "1"]


@pytest.fixture(scope="session")
def kpr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = KprConfig("swin_mini", height=64, width=32, fused_width=16, dimensions=8, identities=3)
    path = tmp_path_factory.mktemp("weights") / "kpr.safetensors"
    weights.save(path, Kpr(config))
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kpr: Path) -> Path:
    """Weights, and crops of three people by two cameras with keypoints."""
    monkeypatch.chdir(tmp_path)
    Path("kpr.safetensors").symlink_to(kpr)
    keypoints = tmp_path / "crops" / "external_annotation" / "kprtrack"
    keypoints.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for person in PEOPLE:
        shirt = rng.integers(0, 255, (8, 4, 3)).astype(np.uint8)
        for number in (0, 5):
            name = f"{person:04}_{number:02}.jpg"
            cv2.imwrite(f"crops/{name}", cv2.resize(shirt, (32 + number, 64)))
            skeletons = rng.uniform(1, 30, (2, 17, 3)).astype(np.float32)
            skeletons[..., 2] = 1
            (keypoints / f"{name}_keypoints.json").write_bytes(keypoints_json(skeletons))
    return tmp_path


def parsed(subcommand: str, words: list[str]) -> argparse.Namespace:
    parser, _ = SUBCOMMANDS[subcommand]
    return parser().parse_args(["reid", *words] if subcommand == "eval" else words)


def run(subcommand: str, words: list[str]) -> int:
    return SUBCOMMANDS[subcommand][1](parsed(subcommand, words))


def crops() -> list[str]:
    return sorted(str(path) for path in Path("crops").glob("*.jpg"))


def test_the_table_shows_the_encoder_with_and_without_prompts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("eval", EVAL) == 0
    printed = capsys.readouterr()
    assert "cuhk03: 3 queries, 3 gallery images, protocol default\nencoder kpr.safetensors" in printed.out
    assert [line.split()[0] for line in printed.out.splitlines()[4:7]] == ["prompts", "no", "gain"]
    assert printed.err == ""


def test_without_weights_the_encoder_in_the_package_is_scored(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("eval", ["cuhk03", *ROOT, "--prompts", "on", "--threads", "1"]) == 0
    assert "encoder small-kpr.safetensors" in capsys.readouterr().out


def test_without_weights_the_encoder_in_the_package_compares(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--keypoints", "crops/external_annotation/kprtrack", "--out", "m.png", "--json", "-"]
    assert run("compare", [*crops()[:2], *words, "--threads", "1", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["encoder"] == "small-kpr.safetensors"


@pytest.mark.slow
def test_all_options_together_fill_the_folder_of_plots() -> None:
    words = ["--occlusion", "--robustness", "--rerank", "--ranking", "2", "--plots", "plots", "-q"]
    assert run("eval", [*EVAL, *words, "--json", "scores.json"]) == 0
    made = sorted(path.name for path in Path("plots").iterdir())
    assert made[:2] == ["cmc.png", "occlusion.png"]
    assert made[-1] == "robustness.png"
    assert len(made) == 5
    assert len(json.loads(Path("scores.json").read_text())["rows"]) == 4


def test_json_on_standard_output_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("eval", [*EVAL, "--prompts", "off", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["encoder"] == "kpr.safetensors"


def test_a_query_can_be_plotted_by_its_name() -> None:
    words = ["--queries", "0005_00.jpg", "--plots", "plots", "--columns", "2", "-q"]
    assert run("eval", [*EVAL, "--prompts", "off", *words]) == 0
    assert [path.name for path in Path("plots").glob("ranking*")] == ["ranking_00001_0005_00.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cuhk03", *ROOT, "--reid", "onnx"], "--weights"),
        (["cuhk03", "--weights", "kpr.safetensors"], "--root"),
        ([*EVAL, "--ranking", "2"], "--plots"),
        ([*EVAL, "--ranking", "0", "--plots", "p"], "1 or more"),
        ([*EVAL, "--columns", "0"], "1 or more"),
        ([*EVAL, "--prompts", "sometimes"], "Known: both, off, on"),
        ([*EVAL, "--negatives", "no"], "Known: off, on"),
        ([*EVAL, "--vectors", "part"], "Did you mean 'parts'"),
        ([*EVAL, "--set", "prompts=false"], "Use the option --prompts"),
        ([*EVAL, "--set", "image_hight=64"], "Did you mean 'image_height'"),
        ([*EVAL, "--reid", "kp"], "Did you mean 'kpr'"),
        ([*EVAL, "--reid", "onnx", "--robustness"], "takes no prompts"),
        ([*EVAL, "--option", "keypoints"], "keypoints=none"),
        ([*EVAL, "--option", "keypoints=none"], "--prompts off"),
        ([*EVAL, "--protocol", "intra"], "Unknown protocol"),
        ([*EVAL, "--json", "nowhere/scores.json"], "no folder nowhere"),
    ],
)
def test_a_wrong_option_of_eval_reid_is_an_error(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run("eval", words)


def test_a_damaged_crop_is_named() -> None:
    Path("crops/0005_05.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"0005_05\.jpg"):
        run("eval", EVAL)


def test_another_encoder_is_scored_by_the_same_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kprtrack.reid_encoders import REID_ENCODERS
    from kprtrack.reid_encoders.onnx import OnnxConfig

    monkeypatch.setitem(REID_ENCODERS, "onnx", (MeanColour, OnnxConfig))
    words = ["--reid", "onnx", "--ranking", "1", "--plots", "plots"]
    assert run("eval", [*EVAL, *words]) == 0
    rows = capsys.readouterr().out.splitlines()[4:]
    assert [row.split() for row in rows] == [["no", "prompts", "100.0", "100.0", "100.0", "100.0"]]
    assert len(list(Path("plots").glob("ranking*"))) == 1


def test_compare_plots_the_matrix_and_counts_prompted_crops(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--keypoints", "crops/external_annotation/kprtrack", "--json", "matrix.json"]
    assert run("compare", [*crops(), *words, *COMPARE]) == 0
    assert "6 crops, 6 prompted" in capsys.readouterr().err
    assert Path("matrix.png").read_bytes().startswith(b"\x89PNG")
    stored = json.loads(Path("matrix.json").read_text())
    assert np.allclose(np.diag(stored["similarity"]), 1)
    assert np.shape(stored["part_distance"]) == (6, 6, 9)


def test_keypoint_files_belong_to_crops_in_their_order() -> None:
    files = sorted(map(str, Path("crops/external_annotation/kprtrack").iterdir()))
    both = {}
    for name, places in (("files", files[:2]), ("folder", ["crops/external_annotation/kprtrack"])):
        words = ["--keypoints", *places, "--json", f"{name}.json"]
        assert run("compare", [*crops()[:2], *words, *COMPARE, "-q"]) == 0
        both[name] = Path(f"{name}.json").read_text()
    assert both["files"] == both["folder"]


def test_compare_names_the_crops_without_a_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    Path("crops/external_annotation/kprtrack/0003_00.jpg_keypoints.json").unlink()
    words = ["--keypoints", "crops/external_annotation/kprtrack"]
    assert run("compare", [*crops(), *words, *COMPARE]) == 0
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "compared without a prompt, because they have no keypoints: 0003_00.jpg"
    assert "5 prompted" in printed[1]


def test_crops_of_one_name_are_distinguished_by_their_folders() -> None:
    Path("more").mkdir()
    Path("more/0003_00.jpg").write_bytes(Path("crops/0003_00.jpg").read_bytes())
    images = ["crops/0003_00.jpg", "more/0003_00.jpg"]
    assert run("compare", [*images, *COMPARE, "--json", "m.json", "-q"]) == 0
    assert [one["name"] for one in json.loads(Path("m.json").read_text())["crops"]] == images


def test_compare_runs_the_pose_estimator_on_the_whole_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    from kprtrack.core.datatypes import Detections, Frame, Poses
    from kprtrack.pipeline import PoseEstimator
    from kprtrack.poses import POSES
    from kprtrack.poses.heatmap import HeatmapConfig

    asked = []

    class FakePose(PoseEstimator):
        def __init__(self, config: object, weights: object, compute: object) -> None:
            pass

        def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
            asked.extend(found.boxes.tolist() for found in detections)
            return [Poses(np.full((1, 17, 3), 5, np.float32)) for _ in frames]

    monkeypatch.setitem(POSES, "heatmap", (FakePose, HeatmapConfig))
    words = ["--pose", "heatmap", "--pose-weights", "kpr.safetensors", "--json", "m.json", "-q"]
    assert run("compare", [*crops()[:2], *words, *COMPARE]) == 0
    assert asked == [[[0, 0, 32, 64]], [[0, 0, 37, 64]]]
    assert all(one["prompted"] for one in json.loads(Path("m.json").read_text())["crops"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["crops/0003_00.jpg", *COMPARE], "Name two or more"),
        (["crops/0003_00.jpg"] * 41 + COMPARE, "at most 40"),
        (["a.jpg", "b.jpg", "--weights", "w"], "--out"),
        (["a.jpg", "b.jpg", "--weights", "w", "--out", "m.jpg"], "m.png"),
        (["a.jpg", "b.jpg", *COMPARE, "--json", "matrix.png"], "is also the file of --out"),
        (["a.jpg", "b.jpg", *COMPARE, "--pose", "heatmap", "--keypoints", "crops"], "not from both"),
        (["a.jpg", "b.jpg", *COMPARE, "--pose", "file"], "--keypoints"),
        (["a.jpg", "b.jpg", *COMPARE, "--keypoints", "kpr.safetensors"], "1 files for 2 images"),
    ],
)
def test_a_wrong_option_of_compare_is_an_error(words: list[str], message: str) -> None:
    Path("a.jpg").write_bytes(Path("crops/0003_00.jpg").read_bytes())
    Path("b.jpg").write_bytes(Path("crops/0005_00.jpg").read_bytes())
    with pytest.raises(UserError, match=message):
        run("compare", words)
    assert not Path("matrix.png").exists()


@pytest.mark.parametrize("wrong", ["gone.jpg", "kpr.safetensors"])
def test_an_image_that_cannot_be_read_is_named(wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        run("compare", ["crops/0003_00.jpg", wrong, *COMPARE])


def test_weights_of_another_kind_are_rejected() -> None:
    from safetensors.torch import save_file

    save_file({"conv0.weight": torch.zeros(1)}, "other.safetensors")
    with pytest.raises(WeightsError, match="not a KPR encoder"):
        run("compare", [*crops(), "--weights", "other.safetensors", "--out", "m.png"])


@pytest.mark.parametrize("subcommand", ["eval", "compare"])
def test_every_option_is_explained(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(subcommand, ["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--weights", "--set", "--vectors", "--device", "--precision", "--batch", "--json"):
        assert option in printed
