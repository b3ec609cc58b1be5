"""Any ReID network as an ONNX file: tiny ones made here, and a real one where it is at hand."""

import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import paths
from support.frames import frames_of
from support.onnx_files import write_embedding_network

from kprtrack.core.datatypes import Detections, Frame, empty_detections, empty_poses
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.inference.devices import ComputeConfig
from kprtrack.reid_encoders.onnx import OnnxConfig, OnnxEncoder

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

REAL = paths.SHARED / "real"
OSNET = REAL / "weights" / "osnet_x0_25_msmt17.onnx"


def scene() -> tuple[list[Frame], list[Detections]]:
    """Two frames, three people, each box of one colour: red, green, then grey."""
    images = [np.zeros((60, 80, 3), np.uint8) for _ in range(2)]
    images[0][:, :40, 0] = images[0][:, 40:, 1] = 255
    images[1][:] = 128
    boxes = [[[0, 0, 40, 60], [40, 0, 80, 60]], [[10, 10, 30, 50]]]
    return frames_of(images), [
        Detections(np.array(found, np.float32), np.ones(len(found), np.float32)) for found in boxes
    ]


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("batch", ["N", 1, 2, 4])
def test_free_and_fixed_batch_sizes_give_the_same_embeddings(
    tmp_path: Path, batch: int | str, flat: bool
) -> None:
    embed = OnnxEncoder(
        OnnxConfig(),
        write_embedding_network(tmp_path / "n.onnx", (batch, 3, 64, 32), flat=flat),
        ComputeConfig(batch=2),
    )
    images, people = scene()
    found = embed(images, people, [empty_poses(2), empty_poses(1)])
    colours = np.array([[1, 0, 0], [0, 1, 0], [128 / 255] * 3])
    expected = (colours - OnnxConfig().mean) / OnnxConfig().std
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.concatenate([one.features for one in found])[:, 0] == pytest.approx(expected, abs=1e-5)
    assert [one.features.shape for one in found] == [(2, 1, 3), (1, 1, 3)]


def test_embeddings_are_visible_and_not_prompted(tmp_path: Path) -> None:
    images, people = scene()
    embed = OnnxEncoder(
        OnnxConfig(), write_embedding_network(tmp_path / "n.onnx", ("N", 3, 64, 32)), ComputeConfig()
    )
    for one in embed(images, people, [empty_poses(2), empty_poses(1)]):
        assert one.visible.all()
        assert not one.prompted.any()


def test_frames_without_people_have_no_embeddings(tmp_path: Path) -> None:
    embed = OnnxEncoder(
        OnnxConfig(), write_embedding_network(tmp_path / "n.onnx", ("N", 3, 64, 32)), ComputeConfig()
    )
    found = embed(scene()[0], [empty_detections()] * 2, [empty_poses()] * 2)
    assert [one.features.shape for one in found] == [(0, 1, 3)] * 2


def test_the_crop_size_is_in_the_file_or_a_required_option(tmp_path: Path) -> None:
    free = write_embedding_network(tmp_path / "free.onnx", ("N", 3, "h", "w"))
    fixed = write_embedding_network(tmp_path / "fixed.onnx", ("N", 3, 64, 32))
    with pytest.raises(UserError, match="set the option height"):
        OnnxEncoder(OnnxConfig(), free, ComputeConfig())
    with pytest.raises(UserError, match="height 64, not 256"):
        OnnxEncoder(OnnxConfig(height=256), fixed, ComputeConfig())
    images, people = scene()
    found = OnnxEncoder(OnnxConfig(64, 32), free, ComputeConfig())(
        images, people, [empty_poses(2), empty_poses(1)]
    )
    assert len(found[0]) == 2


def test_files_of_other_networks_are_errors(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(WeightsError):
        OnnxEncoder(OnnxConfig(), tmp_path / "text.onnx", ComputeConfig())
    with pytest.raises(WeightsError, match="No weights at"):
        OnnxEncoder(OnnxConfig(), tmp_path / "none.onnx", ComputeConfig())
    with pytest.raises(WeightsError, match="not images"):
        OnnxEncoder(
            OnnxConfig(), write_embedding_network(tmp_path / "four.onnx", ("N", 4, 64, 32)), ComputeConfig()
        )


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.skipif(not OSNET.exists(), reason="no ../shared/real")
def test_a_real_network_re_identifies_a_person_in_the_other_camera() -> None:
    with zipfile.ZipFile(REAL / "reid" / "cuhk03_train.zip") as archive:
        names = sorted(name for name in archive.namelist() if re.search(r"_0[05]\.jpg$", name))
        people = sorted({Path(name).name[:4] for name in names})
        both = [one for one in people if sum(Path(name).name.startswith(one) for name in names) == 2][:60]
        raw = {
            camera: [
                archive.read(next(n for n in names if n.endswith(f"{one}_0{camera}.jpg"))) for one in both
            ]
            for camera in (0, 5)
        }
    embed = OnnxEncoder(OnnxConfig(), OSNET, ComputeConfig(threads=1))
    views = []
    for images in raw.values():
        images = [
            cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].copy() for p in images
        ]
        whole = [
            Detections(np.array([[0, 0, i.shape[1], i.shape[0]]], np.float32), np.ones(1)) for i in images
        ]
        views.append(
            np.concatenate(
                [a.features[:, 0] for a in embed(frames_of(images), whole, [empty_poses(1)] * len(images))]
            )
        )
    distance = 1 - views[0] @ views[1].T
    same = np.eye(len(distance), dtype=bool)
    assert len(both) == 60
    assert distance[same].mean() < 0.7 * distance[~same].mean()
    assert (distance.argmin(axis=1) == np.arange(60)).mean() > 0.5
