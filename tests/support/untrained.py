"""Networks without trained weights, for components whose weights are not part of the package."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from kprtrack.detectors.yolox import YoloxDetector
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.detectors.yolox_onnx import YoloxOnnxDetector
from kprtrack.poses.heatmap import HeatmapPose
from kprtrack.poses.hrnet import HrnetPose
from kprtrack.poses.hrnet_network import Hrnet
from kprtrack.poses.rtmpose import RtmPose
from kprtrack.reid_encoders.onnx import OnnxEncoder
from support.hrnet_formula import network_weights
from support.onnx_files import (
    write_embedding_network,
    write_heatmap_network,
    write_simcc_network,
    write_yolox_network,
)


def _yolox(config: Any, folder: Path) -> Yolox:
    torch.manual_seed(0)
    return Yolox(config.size, 1).eval()


def _hrnet(config: Any, folder: Path) -> Hrnet:
    network = Hrnet(config.width)
    network.load_state_dict(network_weights(network))
    return network.eval()


# Class of the component -> (options that keep it small, function from config and folder to its weights).
UNTRAINED: dict[type, tuple[dict[str, Any], Callable[[Any, Path], Any]]] = {
    YoloxDetector: ({"input_height": 96, "input_width": 96, "min_score": 0.0}, _yolox),
    YoloxOnnxDetector: ({}, lambda config, folder: write_yolox_network(folder)),
    HrnetPose: ({"input_height": 96, "input_width": 64}, _hrnet),
    HeatmapPose: ({}, lambda config, folder: write_heatmap_network(folder)),
    RtmPose: ({}, lambda config, folder: write_simcc_network(folder)),
    OnnxEncoder: ({}, lambda config, folder: write_embedding_network(folder / "reid.onnx", ("N", 3, 64, 32))),
}
