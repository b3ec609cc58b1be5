import math
import zlib

import numpy as np
import pytest
import torch
from support.yolox_cases import FACTS, FIXTURES, GOLDEN, STEP, filled_network, golden_input
from torch import nn

from kprtrack.detectors.yolox_network import Yolox, cells, decode
from kprtrack.inference.compile import folded

SIZES = ["nano", "tiny", pytest.param("s", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def outputs():
    """Raw output by size, each computed once."""
    known = {}

    def raw(size):
        if size not in known:
            with torch.inference_mode():
                known[size] = filled_network(size)(golden_input(size))
        return known[size]

    return raw


def skeleton(size: str, num_classes: int) -> Yolox:
    with torch.device("meta"):
        return Yolox(size, num_classes)


@pytest.mark.parametrize("size", list(FACTS["sizes"]))
def test_every_size_has_the_published_number_of_parameters(size):
    wanted = FACTS["sizes"][size]
    network = skeleton(size, 80)
    assert sum(p.numel() for p in network.parameters()) == wanted["params"]
    assert sum(p.numel() for p in skeleton(size, 1).parameters()) == wanted["params_1class"]
    assert len(network.state_dict()) == wanted["keys"]
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == wanted["convs"]


@pytest.mark.parametrize("size", ["nano", "s"])
def test_names_and_shapes_are_the_published_ones_in_the_same_order(size):
    ours = [(name, list(tensor.shape)) for name, tensor in skeleton(size, 80).state_dict().items()]
    assert ours == list(FACTS["keys"][size].items())


def test_batch_norm_has_the_published_constants():
    norms = [m for m in skeleton("nano", 1).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


def test_initial_object_probabilities_are_low():
    head = Yolox("nano", 2).head
    for prediction in (*head.cls_preds, *head.obj_preds):
        assert torch.allclose(prediction.bias, torch.tensor(-math.log(99.0)))


@pytest.mark.parametrize("size", ["nano", "tiny"])
def test_the_test_parameters_are_those_of_the_golden_values(size):
    stem = filled_network(size).state_dict()["backbone.backbone.stem.conv.conv.weight"]
    assert zlib.crc32(stem.numpy().tobytes()) == FACTS["models"][size]["param_crc32_first"]


@pytest.mark.parametrize("size", SIZES)
def test_the_output_is_that_of_the_published_network(size, outputs):
    golden = np.load(GOLDEN / "yolox_outputs.npz")[f"{size}_raw"]
    np.testing.assert_allclose(outputs(size)[0, ::STEP].numpy(), golden, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_decoded_boxes_are_those_of_the_published_network(size, outputs):
    golden = np.load(GOLDEN / "yolox_outputs.npz")[f"{size}_boxes"]
    decoded = decode(outputs(size), *FACTS["models"][size]["test_size"])[0, ::STEP, :4].numpy()
    np.testing.assert_allclose(decoded, golden, rtol=1e-4, atol=1e-3)


@pytest.mark.skipif(not FIXTURES.exists(), reason="needs ../shared")
@pytest.mark.parametrize("size", SIZES)
def test_every_cell_and_feature_is_that_of_the_published_network(size, outputs):
    golden = np.load(FIXTURES / f"yolox_{size}.npz")
    np.testing.assert_allclose(outputs(size)[0].numpy(), golden["raw"], rtol=1e-4, atol=1e-5)
    with torch.inference_mode():
        features = filled_network(size).backbone(golden_input(size))
    stats = [[float(f.mean()), float(f.std(correction=0)), float(f.abs().max())] for f in features]
    np.testing.assert_allclose(stats, golden["feat_stats"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        features[0][0, :8, :4, :4].numpy(), golden["feat0_corner"], rtol=1e-4, atol=1e-5
    )


def test_folding_batch_norm_does_not_change_the_output(outputs):
    network = folded(filled_network("nano"))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    with torch.inference_mode():
        found = network.to(memory_format=torch.channels_last)(golden_input("nano"))
    wanted = outputs("nano")
    assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max()


def test_cells_are_ordered_by_stride_then_row_by_row():
    grid = cells(32, 64)
    assert grid.shape == (4 * 8 + 2 * 4 + 1 * 2, 3)
    assert grid[[0, 1, 8, 32, 40, 41]].tolist() == [
        [0, 0, 8],
        [1, 0, 8],
        [0, 1, 8],
        [0, 0, 16],
        [0, 0, 32],
        [1, 0, 32],
    ]


def test_a_decoded_box_is_relative_to_its_cell_and_stride():
    raw = torch.zeros(1, 42, 6)
    raw[0, 41] = torch.tensor([0.5, 0.25, math.log(2), 0, 0.9, 0.8])
    expected = torch.tensor([48.0, 8.0, 64.0, 32.0, 0.9, 0.8])
    torch.testing.assert_close(decode(raw, 32, 64)[0, 41], expected)


def test_a_training_step_changes_every_parameter():
    network = Yolox("nano", 1).train()
    network.logits(torch.rand(2, 3, 64, 64) * 255).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
