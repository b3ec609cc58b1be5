"""Heatmaps to keypoints, against numbers of mmpose 1.3.2."""

import numpy as np
import pytest
from support import paths

from kprtrack.core.skeleton import FLIP
from kprtrack.poses.decode import DECODERS, unmirror

GOLDEN = paths.GOLDEN / "hrnet_decode.npz"
SHARED = paths.SHARED
TOLERANCE_PX = {"msra": 1e-5, "dark": 1e-3, "udp": 1e-3}
DECODES = pytest.mark.parametrize("decode", ["msra", "dark", "udp"])


def compare(golden, heatmaps: np.ndarray, decode: str) -> None:
    points, scores = DECODERS[decode](heatmaps, 192, 256)
    official = golden[f"dec_{decode}"][: len(heatmaps), : heatmaps.shape[1]]
    # The official UDP decoding gives NaN for an empty map; ours must not.
    known = np.isfinite(official)
    assert np.isfinite(points).all()
    assert np.abs(points - official)[known].max() <= TOLERANCE_PX[decode]
    assert (~known).sum() == (2 if decode == "udp" else 0)
    np.testing.assert_array_equal(scores, golden[f"dec_{decode}_score"][: len(heatmaps), : heatmaps.shape[1]])


@DECODES
def test_decoding_agrees_with_mmpose(decode):
    golden = np.load(GOLDEN)
    compare(golden, golden["heatmaps"], decode)


@DECODES
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_decoding_agrees_with_mmpose_on_all_maps(decode):
    golden = np.load(SHARED / "fixtures" / "detpose" / "hrnet.npz")
    compare(golden, golden["synthetic_heatmaps"], decode)


@DECODES
@pytest.mark.parametrize("value", [0.0, -0.5])
def test_an_empty_map_has_score_zero_and_a_finite_point(decode, value):
    points, scores = DECODERS[decode](np.full((2, 17, 64, 48), value, np.float32), 192, 256)
    assert np.isfinite(points).all()
    assert (scores == value).all()


@DECODES
def test_a_map_whose_blur_is_not_positive_has_a_finite_point(decode):
    heatmaps = np.full((1, 17, 64, 48), -1.0, np.float32)
    heatmaps[:, :, 30, 20] = 0.1
    points, _ = DECODERS[decode](heatmaps, 192, 256)
    assert np.isfinite(points).all()


@DECODES
def test_decoding_does_not_depend_on_the_other_people(decode):
    heatmaps = np.random.default_rng(3).random((3, 17, 64, 48), dtype=np.float32)
    together, _ = DECODERS[decode](heatmaps, 192, 256)
    alone, _ = DECODERS[decode](heatmaps[1:2], 192, 256)
    # The Newton step of noise may be long, and with it its rounding.
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-3, atol=1e-3)


@DECODES
def test_no_heatmaps_give_no_points(decode):
    points, scores = DECODERS[decode](np.zeros((0, 17, 64, 48), np.float32), 192, 256)
    assert points.shape == (0, 17, 2)
    assert scores.shape == (0, 17)


def test_unmirroring_swaps_left_and_right_and_shifts_one_column():
    heatmaps = np.zeros((1, 17, 64, 48), np.float32)
    heatmaps[0, 5, 10, 40] = 1  # left shoulder of the mirrored person
    (_, row, y, x), *more = np.argwhere(unmirror(heatmaps, FLIP, "msra"))
    assert (row, y, x) == (6, 10, 48 - 1 - 40 + 1)
    assert not more


def test_unmirroring_for_udp_does_not_shift():
    heatmaps = np.random.default_rng(4).random((1, 17, 64, 48), dtype=np.float32)
    np.testing.assert_array_equal(unmirror(heatmaps, FLIP, "udp"), heatmaps[:, FLIP, :, ::-1])
