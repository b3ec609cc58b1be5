"""Heatmap networks from ONNX and OpenVINO files: toy networks, and PP-TinyPose where it is at hand."""

import gzip
import json
import re
import sys

import numpy as np
import pytest
from support import paths
from support.frames import frames_of
from support.onnx_files import write_heatmap_network

from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.skeleton import FLIP
from kprtrack.core.skeletons import skeleton_of_count
from kprtrack.inference.devices import ComputeConfig
from kprtrack.poses.crops import cut_crops, pose_windows, standard_matrices
from kprtrack.poses.decode import decode_msra, unmirror
from kprtrack.poses.heatmap import HeatmapConfig, HeatmapPose

REAL = paths.SHARED / "real"
# Heatmap = the first channel of the crop, 0..1.
PLAIN = HeatmapConfig(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0), flip_test=False)
SUFFIXES = pytest.mark.parametrize("suffix", [".onnx", ".xml"])
BATCHES = pytest.mark.parametrize("batch", ["N", 1, 4])


def spot(x: int, y: int) -> np.ndarray:
    """[200, 240, 3] uint8, RGB: a red spot on black."""
    rows, columns = np.mgrid[:200, :240]
    image = np.zeros((200, 240, 3), np.uint8)
    image[..., 0] = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 50)
    return image


def people(count: int = 1) -> Detections:
    return Detections(
        np.tile(np.array([[20, 30, 80, 190]], np.float32), (count, 1)), np.ones(count, np.float32)
    )


@SUFFIXES
@BATCHES
def test_keypoints_are_found_with_any_batch_size_of_the_file(tmp_path, suffix, batch):
    estimate = HeatmapPose(
        PLAIN, write_heatmap_network(tmp_path, suffix, batch=batch), ComputeConfig(threads=1, batch=3)
    )
    images = [spot(50, 100), spot(60, 90), spot(40, 120)]
    poses = estimate(frames_of(images), [people(5), people(0), people(1)])
    assert [len(one) for one in poses] == [5, 0, 1]
    # The toy's cell centre is 1.5 input pixels off; a cell is about 3 pixels of this frame.
    assert np.abs(poses[0].keypoints[..., :2] - (50, 100)).max() < 2.5
    assert np.abs(poses[2].keypoints[..., :2] - (40, 120)).max() < 2.5


@SUFFIXES
def test_colour_order_is_that_of_the_configuration(tmp_path, suffix):
    path = write_heatmap_network(tmp_path, suffix)
    config = HeatmapConfig(mean=PLAIN.mean, std=PLAIN.std, flip_test=False, channels="bgr")
    (red,) = HeatmapPose(config, path, ComputeConfig(threads=1))(frames_of([spot(50, 100)]), [people()])
    (blue,) = HeatmapPose(config, path, ComputeConfig(threads=1))(
        frames_of([spot(50, 100)[..., ::-1]]), [people()]
    )
    assert red.keypoints[..., 2].max() == 0
    assert blue.keypoints[..., 2].min() > 0.5


def test_both_backends_agree(tmp_path):
    images, detections = [spot(50, 100)], [people()]
    found = [
        HeatmapPose(PLAIN, write_heatmap_network(tmp_path, suffix), ComputeConfig(threads=1))(
            frames_of(images), detections
        )[0].keypoints
        for suffix in (".onnx", ".xml")
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


@SUFFIXES
@pytest.mark.parametrize(
    ("options", "words"), [({"channels": 1001}, r"\[any, 1001, 64, 48\]"), ({"rank": 2}, "52224")]
)
def test_a_network_without_heatmaps_is_an_error(tmp_path, suffix, options, words):
    with pytest.raises(WeightsError, match=words):
        HeatmapPose(PLAIN, write_heatmap_network(tmp_path, suffix, **options), ComputeConfig(threads=1))


@pytest.mark.parametrize(
    ("channels", "set_name"),
    [(26, "halpe26"), (33, "blazepose33"), (133, "wholebody133"), (21, "points21")],
)
def test_the_number_of_heatmaps_determines_the_set_of_keypoints(tmp_path, channels, set_name):
    config = HeatmapConfig(mean=PLAIN.mean, std=PLAIN.std, flip_test=True)
    path = write_heatmap_network(tmp_path, channels=channels)
    estimate = HeatmapPose(config, path, ComputeConfig(threads=1))
    (poses,) = estimate(frames_of([spot(50, 100)]), [people(2)])
    assert estimate.skeleton == poses.skeleton == skeleton_of_count(channels)
    assert poses.skeleton.name == set_name
    assert np.abs(poses.keypoints[..., :2] - (50, 100)).max() < 2.5


@pytest.mark.parametrize("name", ["broken.onnx", "broken.xml"])
def test_a_damaged_file_is_an_error(tmp_path, name):
    pytest.importorskip("onnxruntime" if name.endswith("onnx") else "openvino")
    (tmp_path / name).write_bytes(b"nothing of use")
    (tmp_path / "broken.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=name):
        HeatmapPose(PLAIN, tmp_path / name, ComputeConfig())


def test_a_missing_file_and_an_unknown_suffix_are_errors(tmp_path):
    with pytest.raises(WeightsError, match="No weights at"):
        HeatmapPose(PLAIN, tmp_path / "none.onnx", ComputeConfig())
    (tmp_path / "net.tflite").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"neither an \.onnx file nor"):
        HeatmapPose(PLAIN, tmp_path / "net.tflite", ComputeConfig())


def test_an_openvino_model_without_its_bin_is_an_error(tmp_path):
    path = write_heatmap_network(tmp_path, ".xml")
    path.with_suffix(".bin").unlink()
    with pytest.raises(WeightsError, match=r"toy\.bin beside it"):
        HeatmapPose(PLAIN, path, ComputeConfig())


@pytest.mark.parametrize(
    ("name", "module", "command"),
    [
        ("a.onnx", "onnxruntime", "pip install onnxruntime"),
        ("a.xml", "openvino", 'pip install "kprtrack[openvino]"'),
    ],
)
def test_an_absent_backend_is_an_error_with_the_command_that_installs_it(
    tmp_path, monkeypatch, name, module, command
):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=re.escape(command)):
        HeatmapPose(PLAIN, tmp_path / name, ComputeConfig())


def test_a_device_that_onnxruntime_does_not_support_is_an_error(tmp_path):
    path = write_heatmap_network(tmp_path, ".onnx")
    with pytest.raises(UserError, match="does not support 'mps'"):
        HeatmapPose(PLAIN, path, ComputeConfig(device="mps"))


@pytest.mark.parametrize("wrong", [{"channels": "rbg"}, {"std": (1.0, 0.0, 1.0)}, {"skeleton": "coco18"}])
def test_invalid_settings_are_errors(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        HeatmapConfig(**wrong)


@pytest.fixture(scope="module")
def tinypose() -> HeatmapPose:
    path = REAL / "weights" / "tinypose_256x192_fp16.xml"
    if not path.exists():
        pytest.skip("needs ../shared/real")
    pytest.importorskip("openvino")
    return HeatmapPose(HeatmapConfig(), path, ComputeConfig(threads=1))


def cached_frames(count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Image, boxes and the cached keypoints [N, 17, 3] of the first frames of a clip."""
    import cv2

    with gzip.open(REAL / "cache" / "mmaction2_demo_skeleton.json.gz") as file:
        frames = json.load(file)["frames"][:count]
    video = cv2.VideoCapture(str(REAL / "videos" / "mmaction2_demo_skeleton.mp4"))
    return [
        (video.read()[1][..., ::-1], np.array(one["boxes"], np.float32), np.array(one["keypoints"]))
        for one in frames
    ]


@pytest.mark.weights
@pytest.mark.slow
def test_tinypose_gives_the_cached_keypoints_when_decoded_as_for_the_cache(tinypose):
    """The cache averaged the mirrored maps without the column shift and added half a cell; so do we here."""
    off_cells, off_score = [], []
    for image, boxes, cached in cached_frames(6):
        windows = pose_windows(boxes, 192, 256, padding=1.25)
        matrices = standard_matrices(windows, 192, 256)
        crops = cut_crops(image, matrices, 192, 256)
        mirrored = unmirror(tinypose.heatmaps(np.ascontiguousarray(crops[:, :, ::-1])), FLIP, "udp")
        points, scores = decode_msra((tinypose.heatmaps(crops) + mirrored) / np.float32(2), 192, 256)
        expected = np.einsum("nij,nkj->nki", matrices[:, :, :2], cached[..., :2]) + matrices[:, None, :, 2]
        off_cells.append(np.abs((points + 2 - expected) / 4).max(axis=-1))
        off_score.append(np.abs(scores - cached[..., 2]))
    # The cache was computed in bfloat16 and rounded: one keypoint in ten takes another quarter cell.
    assert np.median(np.concatenate(off_cells)) < 0.02
    assert (np.concatenate(off_cells) < 0.1).mean() > 0.85
    assert np.concatenate(off_cells).max() < 1
    assert np.concatenate(off_score).max() < 0.02


@pytest.mark.weights
def test_tinypose_is_within_one_cell_of_the_cached_keypoints(tinypose):
    for image, boxes, cached in cached_frames(6):
        (poses,) = tinypose(frames_of([image]), [Detections(boxes, np.ones(len(boxes), np.float32))])
        cell_px = pose_windows(boxes, 192, 256, padding=1.25)[:, 3] / 64
        off = (poses.keypoints[..., :2] - cached[..., :2]) / cell_px[:, None, None]
        assert np.abs(off).max() <= 1.3
        # The cache lies half a cell lower: it took a cell's middle for the keypoint's place.
        assert np.median(off, axis=(0, 1)) == pytest.approx([0, -0.5], abs=0.05)
