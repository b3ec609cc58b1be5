"""Exported ONNX files are computed by ONNX Runtime alone, with the outputs of torch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kprtrack.cli.main import main
from kprtrack.core.errors import WeightsError
from kprtrack.hub.export import export_onnx
from kprtrack.hub.store import find
from kprtrack.inference.compile import normalised
from kprtrack.inference.onnx_file import validate_onnx
from kprtrack.inference.pixels import IMAGENET_PIXELS
from kprtrack.poses.small_network import load_small_pose
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.weights import load, save

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def outputs_of(path: Path, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


@pytest.mark.parametrize("people", [1, 3])
def test_a_prompted_encoder_takes_crops_and_prompts_in_batches_of_any_size(
    tmp_path: Path, people: int
) -> None:
    export_onnx("small-kpr", tmp_path / "kpr.onnx")
    validate_onnx(tmp_path / "kpr.onnx")
    rng = np.random.default_rng(0)
    crops = rng.standard_normal((people, 3, 192, 96)).astype(np.float32)
    prompts = rng.random((people, 8, 192, 96), np.float32)
    found = outputs_of(tmp_path / "kpr.onnx", crops=crops, prompts=prompts)
    with torch.inference_mode():
        expected = load(find("small-kpr").path).embed(torch.from_numpy(crops), torch.from_numpy(prompts))
    assert np.abs(found["embeddings"] - expected[0].numpy()).max() < 1e-4
    assert (found["visible"] == expected[1].numpy()).all()


def test_a_pose_network_takes_pixels(tmp_path: Path) -> None:
    export_onnx("small-pose", tmp_path / "pose.onnx")
    crops = np.random.default_rng(0).integers(0, 256, (2, 192, 128, 3), np.uint8)
    found = outputs_of(tmp_path / "pose.onnx", images=crops)
    with torch.inference_mode():
        expected = load_small_pose(find("small-pose").path)(
            normalised(torch.from_numpy(crops), IMAGENET_PIXELS)
        )
    assert np.abs(found["heatmaps"] - expected.numpy()).max() < 1e-4


def test_the_files_pass_the_checker_of_onnx(tmp_path: Path) -> None:
    for name in ("small-detector", "small-kpr"):
        export_onnx(name, tmp_path / "net.onnx")
        onnx.checker.check_model(onnx.load(tmp_path / "net.onnx"), full_check=True)


def test_a_network_without_graph_is_converted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = KprConfig("mini_cnn", 64, 32, parts=5, fused_width=32, dimensions=8, prompt_groups="cck6")
    save(tmp_path / "mini.safetensors", Kpr(config))
    described = export_onnx(str(tmp_path / "mini.safetensors"), tmp_path / "mini.onnx")
    assert described.inputs[0].startswith("crops [N, 3, 64, 32]")
    ones = {"crops": np.ones((3, 3, 64, 32), np.float32), "prompts": np.ones((3, 8, 64, 32), np.float32)}
    assert outputs_of(tmp_path / "mini.onnx", **ones)["embeddings"].shape == (3, 6, 8)


def test_weights_of_an_unknown_network_are_an_error(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="which network it belongs to is not known"):
        export_onnx(str(tmp_path / "a.pth"), tmp_path / "a.onnx")


def test_the_command_prints_the_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "export", "small-pose-accurate", "--out", str(tmp_path / "f.onnx")]) == 0
    assert "input  images [N, 256, 192, 3] uint8" in capsys.readouterr().out
    assert main(["models", "export", "small-kpr", "--to", "trt", "--out", str(tmp_path / "f.trt")]) == 2
    assert "Known: onnx" in capsys.readouterr().err
