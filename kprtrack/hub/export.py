"""Writes networks as ONNX files for other programs."""

import json
from dataclasses import dataclass
from pathlib import Path

from kprtrack.build import network_table, options_of
from kprtrack.config import ComponentConfig, configure
from kprtrack.core.atomic_file import write_file
from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError
from kprtrack.detectors.yolox import yolox_source
from kprtrack.detectors.yolox_weights import STORED_SETTINGS
from kprtrack.hub.model_file import ModelFile
from kprtrack.hub.store import find
from kprtrack.inference.network import onnx_model
from kprtrack.inference.source import NetworkSource
from kprtrack.poses.hrnet import hrnet_source
from kprtrack.poses.shapes import SHAPES
from kprtrack.poses.small import small_pose_source
from kprtrack.reid_encoders.kpr import kpr_source
from reid.model.stored import HEADER

_ROLES = {"detector": "detector", "pose": "pose", "reid": "reid"}  # kind in the catalogue -> role


@dataclass(frozen=True)
class ExportedFile:
    """An ONNX file that was written."""

    path: Path
    inputs: tuple[str, ...]  # a line for each: name, shape, what it holds
    outputs: tuple[str, ...]


def export_onnx(name_or_path: str, out: Path) -> ExportedFile:
    """Write a network with its weights as an ONNX file, batch size free.

    Args:
        name_or_path: A name of `kprtrack models list`, or a file of this project's trainings.
        out: The file to write.

    Returns:
        What its inputs and outputs are.

    Raises:
        WeightsError: The weights are missing, damaged, or of a network that cannot be exported.
        UserError: The extra `torch` is needed.
        OutputError: The file cannot be written.

    Examples:
        >>> export_onnx("small-kpr", Path("kpr.onnx")).inputs[1]
        'prompts [N, 8, 192, 96] float32: background, negative, then the groups of keypoints, in [0, 1]'
    """
    file = find(name_or_path)
    role, component = _component(file)
    _, config_type = network_table(role)[component.name]
    config = configure(config_type, options_of(component, file))
    if role == "detector":
        source, described = yolox_source(file.path, config), _detector
    elif component.name.startswith("hrnet"):
        source, described = hrnet_source(file.path, config), _pose
    elif role == "pose":
        source, described = small_pose_source(file.path)[1], _pose
    else:
        source, described = kpr_source(config, file.path)[1], _reid
    write_file(out, onnx_model(source))
    return ExportedFile(out, *described(source))


def _component(file: ModelFile) -> tuple[str, ComponentConfig]:
    """The role of a file of weights and the component that runs it. Raises: WeightsError if unknown."""
    if file.entry is not None and file.entry.kind != "backbone":
        name = "kpr" if file.entry.kind == "reid" else file.entry.architecture
        return _ROLES[file.entry.kind], ComponentConfig(name)
    header = read_checkpoint(file.path).meta
    if STORED_SETTINGS in header:
        size = json.loads(header[STORED_SETTINGS])["size"]
        return "detector", ComponentConfig(f"yolox-{size}")
    if any(key in header for key in SHAPES):
        return "pose", ComponentConfig("small")
    if HEADER in header:
        return "reid", ComponentConfig("kpr")
    raise WeightsError(
        f"{file.path} is neither in `kprtrack models list` nor written by a training of this project: which"
        " network it belongs to is not known. Import it under its name first: kprtrack models import FILE."
    )


def _detector(source: NetworkSource) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        ("images [N, H, W, 3] uint8: RGB, padded with grey (114), H and W multiples of 32",),
        (
            "boxes [N, cells, 6] float32: x, y, w, h before decoding, objectness, person; cells by row,"
            " stride 8 first",
        ),
    )


def _pose(source: NetworkSource) -> tuple[tuple[str, ...], tuple[str, ...]]:
    _, height, width, _ = source.example[0].shape
    return (
        (f"images [N, {height}, {width}, 3] uint8: RGB crops of people",),
        (f"heatmaps [N, 17, {height // 4}, {width // 4}] float32: one for each COCO keypoint, about 0 to 1",),
    )


def _reid(source: NetworkSource) -> tuple[tuple[str, ...], tuple[str, ...]]:
    (_, _, height, width), (_, channels, _, _) = (one.shape for one in source.example)
    return (
        (
            f"crops [N, 3, {height}, {width}] float32: RGB, normalised",
            f"prompts [N, {channels}, {height}, {width}] float32: background, negative, then the groups of"
            " keypoints, in [0, 1]",
        ),
        (
            "embeddings [N, 1 + parts, D] float32: foreground, then the body parts, of unit length",
            "visible [N, 1 + parts] bool: whether each is visible",
        ),
    )
