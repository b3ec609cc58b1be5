"""Inputs that networks of images may declare."""

from pathlib import Path

import pytest
from support.onnx_files import write_embedding_network, write_heatmap_network

from kprtrack.core.errors import WeightsError
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.image_network import ImageNetwork, takes_images
from kprtrack.inference.pixels import IMAGENET_PIXELS
from kprtrack.reid_encoders.onnx import OnnxConfig, OnnxEncoder


@pytest.mark.parametrize(
    "shape", [(None, 3, None, None), (None, None, 64, 32), (1, 3, 64, 32), (32, 3, 640, 640), (None, 3, 1, 1)]
)
def test_images_of_any_usual_size_are_taken(shape: tuple[int | None, ...]) -> None:
    assert takes_images(shape)


@pytest.mark.parametrize(
    "shape",
    [
        *((), (3,), (None, 3, 64), (1, 4, 64, 32), (1, 3, 64, 32, 1)),
        *((-3, 3, 64, 32), (0, 3, 64, 32), (None, 3, -1, 32), (None, 3, 64, 0)),
        *((100_000, 3, 256, 192), (None, 3, 2**31, 2**31)),
    ],
)
def test_other_inputs_are_not(shape: tuple[int | None, ...]) -> None:
    assert not takes_images(shape)


@pytest.mark.parametrize("batch", [0, 100_000])
def test_an_impossible_batch_size_is_rejected_when_a_file_is_opened(tmp_path: Path, batch: int) -> None:
    with pytest.raises(WeightsError, match=r"expected images|is not opened"):
        ImageNetwork(write_heatmap_network(tmp_path, batch=batch), ComputeConfig(), IMAGENET_PIXELS)
    file = write_embedding_network(tmp_path / "reid.onnx", (batch, 3, 64, 32))
    if not batch:
        with pytest.raises(WeightsError, match=r"not images|is not opened"):
            OnnxEncoder(OnnxConfig(), file, ComputeConfig())
