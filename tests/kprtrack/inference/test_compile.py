"""Networks made fast give the numbers of the network as it was trained, whatever computes them."""

import json
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kprtrack.build import build_networks
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import UserError
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.inference.compile import compile_model, folded, noise
from kprtrack.inference.devices import ComputeConfig, usable_cores
from kprtrack.poses.hrnet import Hrnet
from kprtrack.poses.small import SmallPose, SmallPoseShape
from kprtrack.reid_encoders.kpr import PartVectors
from reid.model.kpr import Kpr, KprConfig
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


def made(name: str) -> tuple[nn.Module, list[Tensor]]:
    """A network with random weights, whose norms do something, and two rows of input."""
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
        model = Kpr(config)
        nn.init.normal_(model.prompt_tokens.conv.weight, std=0.05)
        nn.init.normal_(model.part_classifier.classifier.weight)
        network = PartVectors(model, "foreground+parts")
        example = [noise(2, channels, 128, 64) for channels in (3, config.prompts().channels)]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.2, 0.8)  # HRNet's sums of sums stay of moderate size
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval(), example


def as_trained(network: nn.Module, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        found = network(*inputs)
    return found if isinstance(found, tuple) else (found,)


def largest_difference(answers: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> float:
    return max(float((a.double() - b.double()).abs().max()) for a, b in zip(answers, wanted, strict=True))


@NETWORKS
def test_folding_batch_norm_changes_no_output(name):
    network, example = made(name)
    assert largest_difference(as_trained(folded(network), example), as_trained(network, example)) < 2e-6


@NETWORKS
def test_no_norm_is_left_behind_a_convolution(name):
    network, _ = made(name)
    left = [place for place, one in folded(network).named_modules() if isinstance(one, nn.BatchNorm2d)]
    kept = ["model.part_classifier.bn"]  # it stands before its convolution
    assert left == (kept if isinstance(network, PartVectors) else [])


def test_the_network_given_stays_as_it_is():
    network, example = made("mini_cnn")
    before = as_trained(network, example)
    compile_model(network, example, ComputeConfig())
    assert isinstance(network.model.fusion.norm, nn.BatchNorm2d)
    assert largest_difference(as_trained(network, example), before) == 0


@BACKENDS
@NETWORKS
def test_other_backends_give_the_results_of_torch_for_any_number_of_people(name, backend):
    pytest.importorskip(backend)
    pytest.importorskip("onnx")
    network, example = made(name)
    found = compile_model(network, example, ComputeConfig(threads=2, backend=backend))
    assert found.backend.startswith(backend)
    rows = [torch.cat((one, one.flip(3), one[:1].flip(2))) for one in example]
    for count in (1, 2, 5):
        inputs = [one[:count] for one in rows]
        assert largest_difference(found.run(*inputs), as_trained(network, inputs)) < 5e-6


@BACKENDS
def test_a_detector_finds_the_same_people_on_canvases_of_any_size(backend):
    pytest.importorskip(backend)
    pytest.importorskip("onnx")
    network, _ = made("yolox-nano")
    config = YoloxConfig("nano", input_height=128, min_score=0.0)
    images = [np.random.default_rng(0).integers(0, 256, (*hw, 3), np.uint8) for hw in ((72, 128), (128, 64))]
    wanted = YoloxDetector(network, config, ComputeConfig())(images)
    for ours, theirs in zip(
        YoloxDetector(network, config, ComputeConfig(backend=backend))(images), wanted, strict=True
    ):
        assert len(ours) == len(theirs) > 0
        # Scores that are equal but for the last digit may change places.
        apart = np.abs(ours.boxes[:, None] - theirs.boxes[None]).max(axis=2)
        assert apart.min(axis=0).max() < 1e-3  # pixels
        assert np.abs(ours.scores[apart.argmin(axis=0)] - theirs.scores).max() < 1e-5


def test_results_say_what_computed_a_network(tmp_path):
    person = {"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1, "keypoints": [5, 6, 1] * 17}
    (tmp_path / "given.json").write_text(json.dumps([person]))
    given = ComponentConfig("file", str(tmp_path / "given.json"))
    config = KprConfig("mini_cnn", 64, 32, parts=5, fused_width=32, dimensions=8, prompt_groups="cck6")
    save(tmp_path / "kpr.safetensors", Kpr(config))
    reid = ComponentConfig("kpr", str(tmp_path / "kpr.safetensors"))
    metadata = build_networks(
        TrackConfig(given, given, reid, device="cpu", backend="torch", threads=1)
    ).metadata
    assert metadata["reid"]["backend"] == f"torch {torch.__version__}"
    assert "backend" not in metadata["detector"]


def test_auto_takes_torch_where_nothing_else_is_installed(monkeypatch):
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    network, example = made("mini_cnn")
    assert (
        compile_model(network, example, ComputeConfig(backend="auto")).backend == f"torch {torch.__version__}"
    )


def test_auto_takes_torch_for_half_precision():
    network, example = made("mini_cnn")
    assert compile_model(
        network, example, ComputeConfig(precision="bf16", backend="auto")
    ).backend.startswith("torch")


@BACKENDS
@pytest.mark.parametrize("missing", ["onnx", None])
def test_a_backend_that_is_not_installed_is_named_with_its_extra(monkeypatch, backend, missing):
    monkeypatch.setitem(sys.modules, missing or backend, None)
    network, example = made("mini_cnn")
    with pytest.raises(UserError, match=rf'needs {missing or backend}.*pip install "kprtrack\[') as refused:
        compile_model(network, example, ComputeConfig(backend=backend))
    assert f"--backend {backend}" in str(refused.value)


@pytest.mark.parametrize("place", [{"device": "cuda"}, {"precision": "bf16"}])
def test_a_backend_named_for_another_device_or_precision_is_refused(place):
    network, example = made("mini_cnn")
    with pytest.raises(UserError, match="computes on the CPU in fp32"):
        compile_model(network, example, ComputeConfig(backend="onnxruntime", **place))


@pytest.mark.parametrize(
    ("limit", "most"), [("100000 100000", 1), ("150000 100000", 2), ("1000 100000", 1), ("max 100000", None)]
)
def test_a_container_gets_no_more_threads_than_it_may_use(tmp_path, limit, most):
    (tmp_path / "cpu.max").write_text(limit)
    everywhere = usable_cores(tmp_path / "missing")
    if everywhere is None:
        pytest.skip("this system does not tell")
    assert usable_cores(tmp_path / "cpu.max") == min(everywhere, most or everywhere)


class Unknown(nn.Module):
    """A function that no format of files knows."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


class Counting(nn.Module):
    """A rule by the number of people, which a recording of two people does not hold."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if len(x) == 2 else x


@pytest.mark.parametrize("network", [Unknown(), Counting()])
def test_auto_says_when_a_network_stays_with_torch(caplog, network):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    x = noise(3, 4) + 1
    found = compile_model(network, [x[:2]], ComputeConfig(backend="auto"))
    assert found.backend.startswith("torch")
    torch.testing.assert_close(found.run(x)[0], network(x))
    assert type(network).__name__ in caplog.text
    assert "torch computes it" in caplog.text


@BACKENDS
@pytest.mark.parametrize("network", [Unknown(), Counting()])
def test_a_backend_named_for_a_network_that_it_cannot_compute_is_refused(backend, network):
    pytest.importorskip(backend)
    pytest.importorskip("onnx")
    with pytest.raises(UserError, match=rf"--backend {backend}: .*{type(network).__name__}.*--backend torch"):
        compile_model(network, [noise(2, 4) + 1], ComputeConfig(backend=backend))
