"""The small pose network: shapes, its file, and its way into the tracker."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from support.frames import frames_of

from kprtrack.build import build_pose_estimator
from kprtrack.config import ComponentConfig
from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.inference.compile import normalised
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.pixels import IMAGENET_PIXELS
from kprtrack.poses.shapes import SmallPoseShape
from kprtrack.poses.small import SmallPoseConfig, SmallPoseEstimator
from kprtrack.poses.small_network import SmallPose, load_small_pose, small_pose_file

TINY = SmallPoseShape(64, 64, 4, (4, 6, 8, 8), (0, 1, 1, 0), 8)


def tiny() -> SmallPose:
    """A network whose batch norms are not the identity, so that folding them matters."""
    torch.manual_seed(3)
    network = SmallPose(TINY)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2)
    return network.eval()


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    return path


def changed_header(content: bytes, **changes: object) -> bytes:
    """The file telling another shape, with the same tensors."""
    return save(load(content), {"small_pose": json.dumps(vars(TINY) | changes)})


@pytest.mark.parametrize(("height", "width"), [(256, 192), (192, 160), (64, 64)])
def test_heatmaps_have_a_quarter_of_the_inputs_size(height, width):
    found = tiny()(torch.zeros(2, 3, height, width))
    assert found.shape == (2, 17, height // 4, width // 4)


def test_the_default_network_has_3_million_parameters():
    network = SmallPose(SmallPoseShape())
    assert sum(one.numel() for one in network.parameters()) < 3_000_000
    assert len(small_pose_file(network, dtype=torch.float16)) < 6_000_000


def test_every_parameter_of_a_new_network_has_a_gradient():
    network = SmallPose(TINY).train()
    torch.nn.init.normal_(network.head.weight)
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert [name for name, one in network.named_parameters() if one.grad is None] == []


def test_shifting_an_image_by_one_coarsest_cell_shifts_its_heatmaps_by_eight():
    image = torch.zeros(1, 3, 512, 512)
    image[..., 224:256, 224:256] = torch.randn(1, 3, 32, 32)
    here, there = (tiny()(image) for image in (image, image.roll(32, dims=3)))
    # The middle rows and columns, which no border reaches.
    torch.testing.assert_close(there[..., 56:64, 64:72], here[..., 56:64, 56:64], rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_stored_network_is_loaded_unchanged(tmp_path, dtype):
    network = tiny()
    path = write(tmp_path, small_pose_file(network, dtype=dtype))
    again = load_small_pose(path)
    assert again.shape == TINY
    assert {one.dtype for one in again.parameters()} == {torch.float32}
    images = torch.randn(2, 3, 64, 64)
    exact = dtype == torch.float32
    torch.testing.assert_close(again(images), network(images), rtol=0, atol=1e-6 if exact else 2e-2)


def test_the_estimator_gives_the_heatmaps_of_the_network_it_copied():
    network, crops = tiny(), np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    found = SmallPoseEstimator(SmallPoseConfig(), network, ComputeConfig()).heatmaps(crops)
    with torch.inference_mode():
        expected = network(normalised(torch.from_numpy(crops), IMAGENET_PIXELS)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize("flip_test", [True, False])
def test_every_person_has_17_keypoints(tmp_path, flip_test):
    path = write(tmp_path, small_pose_file(tiny()))
    estimate = build_pose_estimator(
        ComponentConfig("small", str(path), {"flip_test": flip_test}), ComputeConfig(batch=2)
    )
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    people = Detections(np.array([[10, 5, 50, 80], [60, 20, 100, 90]], np.float32), np.ones(2, np.float32))
    no_people = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    poses = estimate(frames_of([image, image]), [people, no_people])
    assert [one.keypoints.shape for one in poses] == [(2, 17, 3), (0, 17, 3)]


def test_a_file_without_architecture_is_an_error(tmp_path):
    path = write(tmp_path, save({"backbone.stem.weight": torch.zeros(3)}))
    with pytest.raises(WeightsError, match=r"not for --pose small.*starts with backbone\.stem"):
        load_small_pose(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"neck_width": 16},
            "does not contain the network that its header describes: it has other shapes in",
        ),
        ({"stage_blocks": (1, 1, 1, 0)}, "does not contain.*: it lacks"),
        ({"input_width": 100}, "a network that is not possible.*input_width is 100"),
        ({"stem_width": "wide"}, "a network that is not possible"),
        ({"attention": 1}, r"newer version: unknown \['attention'\]"),
    ],
)
def test_a_file_with_a_wrong_architecture_is_an_error(tmp_path, changes, words):
    path = write(tmp_path, changed_header(small_pose_file(tiny()), **changes))
    with pytest.raises(WeightsError, match=f"(?s){words}"):
        load_small_pose(path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(WeightsError, match=r"gone\.safetensors"):
        load_small_pose(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("wrong", [{"input_height": 250}, {"stem_width": 0}, {"stage_blocks": (1, 1, 1, -1)}])
def test_invalid_architectures_are_errors(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        SmallPoseShape(**wrong)


def test_invalid_box_padding_is_an_error():
    with pytest.raises(UserError, match=r"box_padding is 0\.0"):
        SmallPoseConfig(box_padding=0.0).layout(TINY)
