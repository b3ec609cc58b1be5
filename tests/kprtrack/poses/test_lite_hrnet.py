"""Lite-HRNet: equal to PP-TinyPose's file, its own file, input sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.paths import SHARED

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.poses.lite_hrnet import LiteHrnet, load_tinypose_onnx
from kprtrack.poses.shapes import LiteHrnetShape
from kprtrack.poses.small_network import load_small_pose, small_pose_file

TINYPOSE = SHARED / "real" / "weights" / "tinypose_256x192.onnx"


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.skipif(not TINYPOSE.exists(), reason="needs ../shared/real")
def test_heatmaps_equal_those_that_onnxruntime_computes_from_the_published_file():
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(TINYPOSE), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).standard_normal((2, 3, 256, 192)).astype(np.float32)
    (expected,) = session.run(None, {session.get_inputs()[0].name: images})
    with torch.inference_mode():
        found = load_tinypose_onnx(TINYPOSE)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(256, 192), (192, 128), (160, 120)])
def test_heatmaps_have_a_quarter_of_the_inputs_size(height, width):
    network = LiteHrnet(LiteHrnetShape(height, width))
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, height, width)).shape == (1, 17, height // 4, width // 4)


def test_the_network_has_the_published_number_of_parameters():
    # Source: the tensors of the published ONNX file, summed.
    assert sum(each.numel() for each in LiteHrnet().parameters()) == 1_300_177


def test_its_file_keeps_shape_and_weights(tmp_path):
    torch.manual_seed(1)
    network, path = LiteHrnet(LiteHrnetShape(160, 120)), tmp_path / "pose.safetensors"
    path.write_bytes(small_pose_file(network))
    again = load_small_pose(path)
    assert isinstance(again, LiteHrnet)
    assert again.shape == network.shape
    torch.testing.assert_close(again.state_dict(), network.state_dict(), rtol=0, atol=0)


def test_an_input_size_that_heatmaps_cannot_divide_is_an_error():
    with pytest.raises(UserError, match="input_width is 98; it must be a multiple of 4"):
        LiteHrnetShape(128, 98)


def test_another_networks_onnx_file_is_an_error(tmp_path):
    onnx = pytest.importorskip("onnx")
    path: Path = tmp_path / "other.onnx"
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), str(path))
    with pytest.raises(WeightsError, match="has 0 convolutions; PP-TinyPose has 269"):
        load_tinypose_onnx(path)
