"""Reads YOLOX weights of Megvii, ByteTrack, mmdet and this project, strictly.

Source: `docs/reference/detector_and_pose.md 1.6 (person row), 1.7-1.8 (files), 1.10 (mmdet names)`.
"""

import json
import re
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError
from kprtrack.core.tensors import Shapes, misfits, validate_finite
from kprtrack.detectors.yolox_shapes import SHAPES, YoloxSize

STORED_SETTINGS = "yolox"  # header of this project's files: JSON with size, input_px and preprocess
COCO_CLASSES = 80
PERSON_CLASS = 0  # row of "person" in a COCO head

_STEM = "backbone.backbone.stem.conv.conv.weight"
_DEPTHWISE = "backbone.backbone.dark2.0.dconv.conv.weight"
_CLASS_ROWS = re.compile(r"head\.cls_preds\.\d\.(weight|bias)")
_SHOWN = 3  # names listed in a message

# Replacements for mmdet's names, in this order: first the position of a module, then its layers.
_MMDET_RULES: tuple[tuple[str, str], ...] = (
    (r"^backbone\.(stem|stage\d)\.", r"backbone.backbone.\1."),
    *((rf"\.stage{number}\.", f".dark{number + 1}.") for number in (1, 2, 3, 4)),
    (r"^neck\.reduce_layers\.0\.", "backbone.lateral_conv0."),
    (r"^neck\.reduce_layers\.1\.", "backbone.reduce_conv1."),
    (r"^neck\.top_down_blocks\.0\.", "backbone.C3_p4."),
    (r"^neck\.top_down_blocks\.1\.", "backbone.C3_p3."),
    (r"^neck\.downsamples\.0\.", "backbone.bu_conv2."),
    (r"^neck\.downsamples\.1\.", "backbone.bu_conv1."),
    (r"^neck\.bottom_up_blocks\.0\.", "backbone.C3_n3."),
    (r"^neck\.bottom_up_blocks\.1\.", "backbone.C3_n4."),
    (r"^neck\.out_convs\.", "head.stems."),
    (r"^bbox_head\.multi_level_(cls|reg)_convs\.", r"head.\1_convs."),
    (r"^bbox_head\.multi_level_conv_(cls|reg|obj)\.", r"head.\1_preds."),
    (r"\.main_conv\.", ".conv1."),
    (r"\.short_conv\.", ".conv2."),
    (r"\.final_conv\.", ".conv3."),
    (r"\.blocks\.", ".m."),
    (r"\.depthwise_conv\.", ".dconv."),
    (r"\.pointwise_conv\.", ".pconv."),
)


Tensors = dict[str, np.ndarray]


def read_yolox_weights(path: Path, size: YoloxSize, num_classes: int = 1) -> Tensors:
    """Read the tensors of a YOLOX from a file of Megvii, ByteTrack, mmdet or this project.

    The file does not store its preprocessing; see `letterbox.PIXELS`.

    Args:
        path: The checkpoint.
        size: Expected size.
        num_classes: Classes of the head; for 1 the person class of a COCO head is selected.

    Returns:
        Tensors with Megvii's names.

    Raises:
        WeightsError: The file is unreadable, or not a YOLOX of this size and head.
    """
    tensors = megvii_names(read_checkpoint(path).tensors)
    _check_size(tensors, size, path)
    return _fit_head(tensors, num_classes, path)


def validate_yolox_weights(tensors: Tensors, expected: Shapes, path: Path) -> None:
    """Check the tensors of a file.

    Args:
        tensors: From `read_yolox_weights`.
        expected: Names and shapes of the tensors of the network.
        path: The file, for messages.

    Raises:
        WeightsError: Names or shapes differ, or a number is not finite.
    """
    wrong = misfits(tensors, expected)
    for problem, names in (
        ("lacks", wrong.missing),
        ("has unexpected", wrong.unexpected),
        ("has other shapes in", wrong.misshaped),
    ):
        if names:
            raise WeightsError(f"{path} does not fit: it {problem} {_some(names)} ({len(names)} in all).")
    validate_finite(tensors, expected, path)


def stored_input_px(path: Path) -> int | None:
    """Read the canvas side that the weights were trained for, stored in this project's files, else None."""
    try:
        with safe_open(path, framework="np") as file:
            stored = json.loads((file.metadata() or {})[STORED_SETTINGS])
            return int(stored["input_px"])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError):
        return None  # a file of another program; load_yolox_weights validates it


def megvii_names(tensors: Tensors) -> Tensors:
    """Rename the tensors of mmdet to Megvii's names; others are returned unchanged."""
    if not any(name.startswith("bbox_head.") for name in tensors):
        return tensors
    return {_renamed(name): tensor for name, tensor in tensors.items()}


def _renamed(name: str) -> str:
    for pattern, replacement in _MMDET_RULES:
        name = re.sub(pattern, replacement, name)
    return name


def _check_size(tensors: Tensors, size: YoloxSize, path: Path) -> None:
    if _STEM not in tensors or tensors[_STEM].ndim != 4:
        raise WeightsError(
            f"{path} contains no YOLOX weights: it has no '{_STEM}' but {_some(tensors)}. "
            "Use a YOLOX file of Megvii, ByteTrack or mmdet."
        )
    found = _size_of(tensors)
    if found is None:
        raise WeightsError(
            f"{path} contains a YOLOX of unknown size (stem with {tensors[_STEM].shape[0]} channels); "
            f"known: {', '.join(SHAPES)}."
        )
    if found != size:
        raise WeightsError(f"{path} contains YOLOX-{found}, not YOLOX-{size}. Use --detector yolox-{found}.")


def _size_of(tensors: Tensors) -> str | None:
    """Find the size by the width of the stem and the kind of convolution."""
    found = (tensors[_STEM].shape[0], _DEPTHWISE in tensors)
    return next((n for n, shape in SHAPES.items() if (int(64 * shape.width), shape.depthwise) == found), None)


def _fit_head(tensors: Tensors, num_classes: int, path: Path) -> Tensors:
    """Keep all class rows of the head, or select the person row of a COCO head."""
    rows = tensors.get("head.cls_preds.0.weight")
    if rows is None or rows.ndim == 0 or rows.shape[0] == num_classes:
        return tensors
    if num_classes != 1 or rows.shape[0] != COCO_CLASSES:
        raise WeightsError(
            f"{path} has {rows.shape[0]} classes, expected {num_classes}. "
            f"The person class is known for the {COCO_CLASSES} classes of COCO only."
        )
    person = slice(PERSON_CLASS, PERSON_CLASS + 1)
    return {k: v[person].copy() if _CLASS_ROWS.fullmatch(k) else v for k, v in tensors.items()}


def _some(names: list[str] | Tensors) -> str:
    return ", ".join(f"'{name}'" for name in list(names)[:_SHOWN]) or "nothing"
