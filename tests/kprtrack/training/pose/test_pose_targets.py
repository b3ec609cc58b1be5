"""Keypoints to training heatmaps, against numbers of mmpose 1.3.2."""

import numpy as np
import pytest
from support import paths

from kprtrack.poses.decode import DECODERS
from kprtrack.training.pose.targets import ENCODERS, TargetSize

GOLDEN = paths.GOLDEN / "hrnet_targets.npz"
DECODES = pytest.mark.parametrize("decode", ["msra", "dark", "udp"])


def encoded(decode: str):
    golden = np.load(GOLDEN)
    heatmaps, weights = ENCODERS[decode](golden["enc_keypoints"], golden["enc_visible"], TargetSize())
    return golden, heatmaps, weights


@DECODES
def test_targets_agree_with_mmpose(decode):
    golden, heatmaps, _ = encoded(decode)
    if decode == "dark":
        np.testing.assert_allclose(heatmaps[0, :6, ::4, ::4], golden["enc_dark_every4"], atol=1e-5)
    else:
        np.testing.assert_allclose(heatmaps[0, :6], golden[f"enc_{decode}"], atol=1e-5)


@DECODES
def test_the_sum_of_all_targets_agrees_with_mmpose(decode):
    golden, heatmaps, _ = encoded(decode)
    assert heatmaps.sum(dtype=np.float64) == pytest.approx(float(golden[f"sum_{decode}"]), abs=1e-3)


@DECODES
def test_weights_agree_with_mmpose(decode):
    golden, _, weights = encoded(decode)
    np.testing.assert_array_equal(weights, golden[f"enc_{decode}_w"])


@DECODES
def test_what_is_encoded_is_decoded_at_the_same_place(decode):
    points = np.random.default_rng(5).uniform((30, 30), (160, 220), size=(2, 17, 2))
    heatmaps, _ = ENCODERS[decode](points, np.ones((2, 17)), TargetSize())
    found, _ = DECODERS[decode](heatmaps, 192, 256)
    # msra knows quarter cells of 4 pixels; udp's published scales differ by 1/192 between the two ways.
    limit_px = {"msra": 3.0, "dark": 0.1, "udp": 1.5}[decode]
    assert np.abs(found - points).max() < limit_px


@DECODES
def test_a_keypoint_out_of_reach_has_weight_zero_and_an_empty_map(decode):
    points = np.full((1, 17, 2), 100.0)
    points[0, 3] = (-200, 100)
    heatmaps, weights = ENCODERS[decode](points, np.ones((1, 17)), TargetSize())
    assert weights.tolist() == [[1.0] * 3 + [0.0] + [1.0] * 13]
    assert heatmaps[0, 3].max() == 0


def test_targets_of_the_larger_input_have_its_size():
    size = TargetSize(input_width=288, input_height=384, width=72, height=96, sigma=3)
    heatmaps, _ = ENCODERS["msra"](np.full((1, 17, 2), 144.0), np.ones((1, 17)), size)
    assert heatmaps.shape == (1, 17, 96, 72)
    assert np.argwhere(heatmaps[0, 0] == 1).tolist() == [[36, 36]]
