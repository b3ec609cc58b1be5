"""HRNet on timm, against heatmaps and keypoints of mmpose 1.3.2; parameters come from formulas."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support import paths
from support.frames import frames_of
from support.hrnet_formula import formula_weights, network_weights, pattern_image

from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.inference.devices import ComputeConfig
from kprtrack.poses.hrnet import HrnetConfig, HrnetPose
from kprtrack.poses.hrnet_network import Hrnet, load_hrnet_weights

GOLDEN = np.load(paths.GOLDEN / "hrnet_network.npz")
SHARED = paths.SHARED


@pytest.fixture(scope="module")
def network() -> Hrnet:
    made = Hrnet(32).eval()
    made.load_state_dict(network_weights(made))
    return made


def formula_input() -> np.ndarray:
    return np.random.default_rng(2024).standard_normal((1, 3, 256, 192), dtype=np.float32)


def heatmaps_of(made: Hrnet, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return made(torch.from_numpy(images)).numpy()


def people() -> Detections:
    return Detections(GOLDEN["boxes"], np.ones(3, np.float32))


def sample_image() -> np.ndarray:
    return pattern_image(311, 273, seed=21)[..., ::-1]


def save(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = tmp_path / "weights.pth"
    torch.save({"meta": {}, "state_dict": tensors}, path)
    return path


@pytest.mark.slow
def test_w32_gives_the_heatmaps_of_mmpose(network):
    found = heatmaps_of(network, formula_input())[0]
    np.testing.assert_allclose(found[:, ::4, ::4], GOLDEN["w32_every4"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_w48_gives_the_heatmaps_of_mmpose():
    made = Hrnet(48).eval()
    made.load_state_dict(network_weights(made))
    found = heatmaps_of(made, formula_input())[0]
    np.testing.assert_allclose(found[:3, ::4, ::4], GOLDEN["w48_every4"], rtol=1e-4, atol=1e-5)


def test_sizes_are_those_of_mmpose(network):
    assert sum(one.numel() for one in network.parameters()) == 28_536_113
    assert len(network.state_dict()) == 1754


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_names_and_shapes_are_those_of_mmpose(network):
    expected = json.loads((SHARED / "fixtures" / "detpose" / "keys_mmpose_hrnet_w32.json").read_text())
    assert {name: list(one.shape) for name, one in network.state_dict().items()} == expected


@pytest.mark.slow
@pytest.mark.parametrize("flip", ["flip", "noflip"])
def test_keypoints_from_boxes_agree_with_mmpose(network, flip):
    config = HrnetConfig(flip_test=flip == "flip")
    (poses,) = HrnetPose(config, network, ComputeConfig(batch=2))(frames_of([sample_image()]), [people()])
    # One of the 51 sits on a numerical tie; OpenCV 4 crops differently and moves more of them.
    safe = GOLDEN[f"td_msra_{flip}_safe"]
    off_px = np.abs(poses.keypoints[..., :2] - GOLDEN[f"td_msra_{flip}_kpts"]).max(axis=-1)
    assert (off_px[safe] < 0.01).mean() >= (0.9 if _old_opencv() else 1)
    np.testing.assert_allclose(
        poses.keypoints[..., 2],
        np.clip(GOLDEN[f"td_msra_{flip}_scores"], 0, 1),
        atol=5e-3 if _old_opencv() else 1e-4,
    )


def _old_opencv() -> bool:
    import cv2

    return int(cv2.__version__.split(".")[0]) < 5


def test_the_larger_input_gives_larger_heatmaps(network):
    found = heatmaps_of(network, np.zeros((1, 3, 384, 288), np.float32))
    assert found.shape == (1, 17, 96, 72)


def test_every_parameter_of_a_new_network_has_a_gradient():
    made = Hrnet(32).train()
    made(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert [name for name, one in made.named_parameters() if one.grad is None] == []


@pytest.mark.slow
def test_names_of_mmpose_0_and_stored_image_means_are_read(network, tmp_path):
    tensors = {
        name.replace("head.", "keypoint_head.", 1) if name.startswith("head.") else name: one
        for name, one in network.state_dict().items()
    }
    tensors["data_preprocessor.mean"] = torch.zeros(3)
    path = save(tmp_path, tensors)
    config = HrnetConfig(skeleton="posetrack18", flip_test=False)
    (poses,) = HrnetPose(config, path, ComputeConfig())(frames_of([sample_image()]), [people()])
    assert (poses.keypoints[:, 3:5, 2] == 0).all()
    coco = HrnetPose(HrnetConfig(flip_test=False), network, ComputeConfig())(
        frames_of([sample_image()]), [people()]
    )[0]
    np.testing.assert_allclose(poses.keypoints[..., :2], coco.keypoints[..., :2], atol=1e-4)


def test_weights_without_batch_counters_are_loaded(network, tmp_path):
    tensors = {n: t for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    load_hrnet_weights(Hrnet(32), 32, save(tmp_path, tensors))


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (
            {"backbone.stage2.0.branches.0.0.conv1.weight": (48, 48, 3, 3)},
            "hrnet-w48; choose --pose hrnet-w48",
        ),
        ({"head.stems.0.conv.weight": (64, 64, 1, 1)}, "a YOLOX detector"),
        ({"stage2.0.branches.0.0.conv1.weight": (32, 32, 3, 3)}, "without pose head"),
        ({"blocks.0.attn.qkv.weight": (12, 4)}, "does not seem to be an HRNet"),
        ({"backbone.stage2.0.branches.0.0.conv1.weight": (32, 32, 3, 3)}, "without the 1x1 heatmap head"),
        (
            {
                "backbone.stage2.0.branches.0.0.conv1.weight": (32, 32, 3, 3),
                "head.final_layer.weight": (16, 32, 1, 1),
            },
            "for 16 keypoints instead of 17",
        ),
    ],
)
def test_the_error_for_other_weights_says_what_they_are(network, tmp_path, shapes, words):
    with pytest.raises(WeightsError, match=words):
        load_hrnet_weights(network, 32, save(tmp_path, formula_weights(shapes)))


def test_a_file_that_does_not_fit_leaves_the_network_unchanged(network, tmp_path):
    before = network.head["final_layer"].bias.clone()
    with pytest.raises(WeightsError, match="1461 are missing"):
        load_hrnet_weights(network, 32, save(tmp_path, {"head.final_layer.bias": torch.full((17,), 9.0)}))
    assert torch.equal(network.head["final_layer"].bias, before)


@pytest.mark.parametrize(
    "wrong", [{"width": 40}, {"input_height": 250}, {"box_padding": 0.0}, {"decode": "best"}]
)
def test_invalid_settings_are_errors(wrong):
    with pytest.raises(UserError, match=str(next(iter(wrong.values())))):
        HrnetConfig(**wrong)
