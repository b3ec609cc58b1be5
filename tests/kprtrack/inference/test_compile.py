"""Networks prepared for inference give the outputs of the trained network with every backend."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.frames import frames_of
from torch import Tensor, nn

from kprtrack.build import build_networks
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import UserError
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.inference.compile import folded
from kprtrack.inference.devices import ComputeConfig, usable_cores
from kprtrack.inference.network import open_network
from kprtrack.inference.source import NetworkSource, example_numbers
from kprtrack.poses.hrnet_network import Hrnet
from kprtrack.poses.shapes import SmallPoseShape
from kprtrack.poses.small_network import SmallPose
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.part_vectors import PartVectors
from reid.model.weights import save

BACKENDS = pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
NETWORKS = pytest.mark.parametrize(
    "name",
    [
        "yolox-nano",
        "small",
        "mini_cnn",
        "swin_mini",
        pytest.param("convnext_atto", marks=pytest.mark.slow),
        pytest.param("hrnet-w32", marks=pytest.mark.slow),
        pytest.param("swin_tiny", marks=pytest.mark.slow),
        pytest.param("swinv2_base", marks=pytest.mark.slow),
    ],
)


def noise(*shape: int) -> Tensor:
    """Numbers in [0, 1), the same in every call."""
    return torch.from_numpy(example_numbers(*shape))


def source_of(network: nn.Module, example: list[Tensor], path: Path | None = None) -> NetworkSource:
    """A module that is handed in, or one of a file whose architecture has no graph."""
    architecture = None if path is None else {"network": type(network).__name__}
    return NetworkSource(
        lambda: network,
        [one.numpy() for one in example],
        inputs=[f"input{number}" for number in range(len(example))],
        path=path,
        architecture=architecture,
    )


def random_network(name: str) -> tuple[nn.Module, list[Tensor]]:
    """A network with random weights and batch norms that are not the identity, and two rows of input."""
    torch.manual_seed(0)
    if name == "yolox-nano":
        network, example = Yolox("nano", 1), [noise(2, 3, 64, 96) * 255]
        for prediction in network.head.obj_preds:
            nn.init.normal_(prediction.weight)  # scores of all sizes
    elif name == "small":
        network, example = SmallPose(SmallPoseShape(64, 32)), [noise(2, 3, 64, 32)]
    elif name == "hrnet-w32":
        network, example = Hrnet(32), [noise(2, 3, 64, 64)]
    else:
        config = KprConfig(
            name, height=128, width=64, parts=5, fused_width=32, dimensions=8, prompt_groups="cck6"
        )
        model = with_two_blocks_a_stage(Kpr(config))
        nn.init.normal_(model.prompt_tokens.conv.weight, std=0.05)
        nn.init.normal_(model.part_classifier.classifier.weight)
        network = PartVectors(model)
        example = [noise(2, channels, 128, 64) for channels in (3, config.prompts().channels)]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.2, 0.8)  # keeps the sums of HRNet's fusions small
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval(), example


def with_two_blocks_a_stage(model: Kpr) -> Kpr:
    """Drop the other blocks, which compute the same as the first two (plain and shifted windows)."""
    for module in list(model.modules()):
        blocks = getattr(module, "blocks", None)
        if isinstance(blocks, nn.Sequential):
            module.blocks = blocks[:2]
    return model


def torch_output(network: nn.Module, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        found = network(*inputs)
    return found if isinstance(found, tuple) else (found,)


def largest_difference(outputs: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    return max(float((a.double() - b.double()).abs().max()) for a, b in zip(outputs, expected, strict=True))


@NETWORKS
def test_folding_batch_norm_changes_no_output(name):
    network, example = random_network(name)
    assert largest_difference(torch_output(folded(network), example), torch_output(network, example)) < 2e-6


@NETWORKS
def test_every_batch_norm_after_a_convolution_is_folded(name):
    network, _ = random_network(name)
    remaining = [name for name, one in folded(network).named_modules() if isinstance(one, nn.BatchNorm2d)]
    kept = ["model.part_classifier.bn"]  # comes before its convolution
    assert remaining == (kept if isinstance(network, PartVectors) else [])


def test_compiling_leaves_the_original_network_unchanged():
    network, example = random_network("mini_cnn")
    before = torch_output(network, example)
    open_network(source_of(network, example), ComputeConfig())
    assert isinstance(network.model.fusion.norm, nn.BatchNorm2d)
    assert largest_difference(torch_output(network, example), before) == 0


@pytest.mark.slow
@BACKENDS
@NETWORKS
def test_backends_give_the_results_of_torch_for_any_batch_size(name, backend):
    pytest.importorskip(backend)
    pytest.importorskip("onnx")
    network, example = random_network(name)
    found = open_network(source_of(network, example), ComputeConfig(threads=2, backend=backend))
    assert found.backend.startswith(backend)
    rows = [torch.cat((one, one.flip(3), one[:1].flip(2))) for one in example]
    for count in (1, 2, 5):
        inputs = [one[:count] for one in rows]
        outputs = tuple(map(torch.from_numpy, found.run(*(one.numpy() for one in inputs))))
        assert largest_difference(outputs, torch_output(network, inputs)) < 5e-6


@pytest.mark.slow
@BACKENDS
def test_backends_detect_the_same_people_on_canvases_of_any_size(backend):
    pytest.importorskip(backend)
    pytest.importorskip("onnx")
    network, _ = random_network("yolox-nano")
    config = YoloxConfig("nano", input_height=128, min_score=0.0)
    images = [np.random.default_rng(0).integers(0, 256, (*hw, 3), np.uint8) for hw in ((72, 128), (128, 64))]
    wanted = YoloxDetector(config, network, ComputeConfig())(frames_of(images))
    for ours, theirs in zip(
        YoloxDetector(config, network, ComputeConfig(backend=backend))(frames_of(images)), wanted, strict=True
    ):
        assert len(ours) == len(theirs) > 0
        # Nearly equal scores may be sorted differently.
        distances = np.abs(ours.boxes[:, None] - theirs.boxes[None]).max(axis=2)
        assert distances.min(axis=0).max() < 1e-3  # pixels
        assert np.abs(ours.scores[distances.argmin(axis=0)] - theirs.scores).max() < 1e-5


def test_metadata_names_the_backend_of_each_network(tmp_path):
    person = {"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1, "keypoints": [5, 6, 1] * 17}
    (tmp_path / "people.json").write_text(json.dumps([person]))
    stored = ComponentConfig("file", str(tmp_path / "people.json"))
    config = KprConfig("mini_cnn", 64, 32, parts=5, fused_width=32, dimensions=8, prompt_groups="cck6")
    save(tmp_path / "kpr.safetensors", Kpr(config))
    reid = ComponentConfig("kpr", str(tmp_path / "kpr.safetensors"))
    metadata = build_networks(
        TrackConfig(stored, stored, reid, device="cpu", backend="torch", threads=1)
    ).metadata
    assert metadata["reid"]["backend"] == f"torch {torch.__version__}"
    assert "backend" not in metadata["detector"]


def test_auto_computes_a_file_in_torch_where_no_other_backend_is_installed(monkeypatch, tmp_path):
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    network, example = random_network("mini_cnn")
    opened = open_network(source_of(network, example, tmp_path / "w"), ComputeConfig())
    assert opened.backend == f"torch {torch.__version__}"


def test_auto_computes_a_module_that_is_handed_in_with_torch():
    network, example = random_network("mini_cnn")
    assert open_network(source_of(network, example), ComputeConfig()).backend.startswith("torch")


def test_auto_chooses_torch_for_half_precision(tmp_path):
    network, example = random_network("mini_cnn")
    opened = open_network(source_of(network, example, tmp_path / "w"), ComputeConfig(precision="bf16"))
    assert opened.backend.startswith("torch")


@BACKENDS
@pytest.mark.parametrize("missing", ["onnx", None])
def test_an_absent_backend_is_an_error_that_says_how_to_install_it(monkeypatch, backend, missing):
    monkeypatch.setitem(sys.modules, missing or backend, None)
    network, example = random_network("mini_cnn")
    with pytest.raises(UserError, match=rf"needs {missing or backend}.*pip install") as error:
        open_network(source_of(network, example), ComputeConfig(backend=backend))
    assert f"--backend {backend}" in str(error.value)


@pytest.mark.parametrize(
    ("backend", "option"),
    [
        ("onnxruntime", {"precision": "bf16"}),
        ("openvino", {"precision": "fp16"}),
        ("openvino", {"device": "cuda"}),
    ],
)
def test_a_backend_chosen_for_another_device_or_precision_is_an_error(backend, option):
    network, example = random_network("mini_cnn")
    with pytest.raises(UserError, match=f"--backend {backend} computes"):
        open_network(source_of(network, example), ComputeConfig(backend=backend, **option))


@pytest.mark.parametrize(
    ("quota", "most"), [("100000 100000", 1), ("150000 100000", 2), ("1000 100000", 1), ("max 100000", None)]
)
def test_usable_cores_respect_the_quota_of_the_container(tmp_path, quota, most):
    (tmp_path / "cpu.max").write_text(quota)
    all_cores = usable_cores(tmp_path / "missing")
    if all_cores is None:
        pytest.skip("this system does not report its cores")
    assert usable_cores(tmp_path / "cpu.max") == min(all_cores, most or all_cores)


class NotInOnnx(nn.Module):
    """A function that ONNX does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


class DependsOnBatchSize(nn.Module):
    """Depends on the batch size, which a trace of two rows does not record."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if len(x) == 2 else x


@pytest.mark.parametrize("network", [NotInOnnx(), DependsOnBatchSize()])
def test_auto_warns_when_a_network_falls_back_to_torch(caplog, monkeypatch, tmp_path, network):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    (tmp_path / "w").write_bytes(b"weights")
    x = noise(3, 4) + 1
    found = open_network(source_of(network, [x[:2]], tmp_path / "w"), ComputeConfig())
    assert found.backend.startswith("torch")
    torch.testing.assert_close(torch.from_numpy(found.run(x.numpy())[0]), network(x))
    assert type(network).__name__ in caplog.text
    assert "Using torch instead" in caplog.text


@BACKENDS
@pytest.mark.parametrize("network", [NotInOnnx(), DependsOnBatchSize()])
def test_a_backend_chosen_for_a_network_that_it_cannot_compute_is_an_error(backend, network):
    pytest.importorskip(backend)
    pytest.importorskip("onnx")
    with pytest.raises(UserError, match=rf"--backend {backend}: .*{type(network).__name__}.*--backend torch"):
        open_network(source_of(network, [noise(2, 4) + 1]), ComputeConfig(backend=backend))
