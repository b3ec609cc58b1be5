"""Boxes to crops, against numbers of mmpose 1.3.2 under OpenCV 5.0 and 4.11."""

import cv2
import numpy as np
import pytest
from support import paths
from support.hrnet_formula import pattern_image

from kprtrack.poses.crops import cut_crops, pose_windows, standard_matrices, to_frame, udp_matrices

GOLDEN = paths.GOLDEN / "hrnet_crops.npz"
MATRICES = {"std": standard_matrices, "udp": udp_matrices}
KINDS = pytest.mark.parametrize("kind", ["std", "udp"])


def windows_of(boxes: np.ndarray) -> np.ndarray:
    return pose_windows(boxes, 192, 256, padding=1.25)


@KINDS
def test_windows_agree_with_mmpose(kind):
    golden = np.load(GOLDEN)
    official = np.stack([golden[f"cs_{kind}_{row}"].ravel() for row in range(3)])
    np.testing.assert_array_equal(windows_of(golden["boxes"]), official)


@KINDS
def test_matrices_agree_with_mmpose(kind):
    golden = np.load(GOLDEN)
    official = np.stack([golden[f"mat_{kind}_{row}"] for row in range(3)])
    np.testing.assert_allclose(MATRICES[kind](windows_of(golden["boxes"]), 192, 256), official, atol=1e-4)


@KINDS
def test_crops_agree_with_mmpose_under_the_same_opencv(kind):
    golden = np.load(GOLDEN)
    matrices = MATRICES[kind](windows_of(golden["boxes"]), 192, 256)
    crops = cut_crops(pattern_image(311, 273, seed=21), matrices, 192, 256)[:, ::8, ::8].astype(int)
    if int(cv2.__version__.split(".")[0]) >= 5:
        official = np.stack([golden[f"crop_{kind}_{row}_every8"] for row in range(3)])
        assert np.abs(crops - official).max() <= 1
    else:
        assert np.abs(crops[0] - golden[f"cv4_crop_{kind}_0_every8"]).max() <= 1


@KINDS
def test_crops_of_the_two_opencv_generations_stay_close(kind):
    golden = np.load(GOLDEN)
    matrices = MATRICES[kind](windows_of(golden["boxes"][:1]), 192, 256)
    crop = cut_crops(pattern_image(311, 273, seed=21), matrices, 192, 256)[0, ::8, ::8].astype(int)
    assert np.abs(crop - golden[f"crop_{kind}_0_every8"]).mean() < 0.5
    assert np.abs(crop - golden[f"cv4_crop_{kind}_0_every8"]).mean() < 0.5


@KINDS
def test_crops_are_black_outside_of_the_image(kind):
    windows = windows_of(np.array([[-50.0, 0.0, 50.0, 100.0]]))
    (crop,) = cut_crops(np.full((100, 100, 3), 200, np.uint8), MATRICES[kind](windows, 192, 256), 192, 256)
    assert crop[:, :90].max() == 0
    assert crop[128, 150].tolist() == [200, 200, 200]


def test_a_window_has_the_aspect_ratio_of_the_input():
    windows = windows_of(np.array([[0.0, 0.0, 300.0, 100.0], [0.0, 0.0, 10.0, 100.0]]))
    np.testing.assert_allclose(windows[:, 2] / windows[:, 3], 192 / 256, rtol=1e-6)
    assert windows[:, 2:].min(axis=1).tolist() == [375.0, 93.75]


def test_points_of_standard_crops_map_back_to_the_frame():
    windows = windows_of(np.array([[40.5, 30.0, 140.25, 290.0]]))
    points = np.array([[[60.0, 100.0], [130.0, 250.0]]])
    (matrix,) = standard_matrices(windows, 192, 256)
    inside = points @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(to_frame(inside, windows, 192, 256), points, atol=1e-4)


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [5, 9, 8, 9], [9, 5, 8, 9], [5, 5, float("nan"), 9]])
def test_a_box_without_area_is_an_error(box):
    with pytest.raises(ValueError, match=r"Box 1 is \["):
        windows_of(np.array([[0, 0, 10, 20], box], np.float32))


def test_no_boxes_give_no_crops():
    windows = windows_of(np.zeros((0, 4), np.float32))
    image = np.zeros((20, 20, 3), np.uint8)
    assert cut_crops(image, standard_matrices(windows, 192, 256), 192, 256).shape == (0, 256, 192, 3)
