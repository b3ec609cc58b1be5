"""Human-parsing files: 36 fields as published, or our own label images of body parts.

36 fields: .npy, [36, h, w] in [0, 1], of any number type. Labels: each pixel a row of LABELS, as .png of 8
bits or as .npy [h, w]. A label belongs to the field FIELD_OF_LABEL, so every part grouping reads both forms.
Source: docs/reference/kpr.md 3.1, 5.1.
"""

import io
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.lib import format as npy

from kprtrack.core.errors import InputError, UserError, unknown_name
from kprtrack.core.files.images import validate_pixels
from reid.parts.shapes import FIELD_OF_LABEL, LABELS
from reid.parts.targets import FIELDS, PART_GROUPS, group_fields

_HOW_TO_GET = (
    "Download the published files, make labels with `kprtrack data part-labels`, name another folder with "
    "masks=NAME, or train without: masks=none."
)
_COLOURS = (
    *(0, 0, 0, 230, 50, 50, 40, 160, 60, 240, 160, 40, 240, 220, 70, 230, 90, 150, 150, 60, 200),
    *(40, 70, 220, 40, 170, 230, 110, 120, 240, 80, 220, 220, 150, 90, 40, 220, 220, 220, 120, 120, 120),
    *(130, 220, 130),
)  # of LABELS, red green blue
_FIELD_SIZE = (32, 96)  # width and height of fields we write, those of Occluded-PoseTrack-ReID
_MOST_BYTES = 1 << 28  # of an array; the published ones have 0.4 MB
_FAR = 0.5  # beyond [0, 1], more than resizing can overshoot: the values mean something else


def read_part_masks(path: Path, part_groups: str) -> np.ndarray:
    """How much of each of K parts is at each place: [h, w, K] float32 in [0, 1].

    Args:
        part_groups: A name in reid.parts.targets.PART_GROUPS.

    Raises:
        InputError: The file is missing or damaged.
        UserError: The grouping is unknown.
    """
    if part_groups not in PART_GROUPS:
        raise unknown_name("part groups", part_groups, PART_GROUPS)
    found = _read(path)
    if found.ndim == 3:
        return group_fields(found, part_groups)
    members = PART_GROUPS[part_groups].values()
    shows = np.array([[field in fields for fields in members] for field in FIELD_OF_LABEL], np.float32)
    shows[0] = 0  # background
    return shows[found]


def read_fields(path: Path) -> np.ndarray:
    """Read the 36 fields as [h, w, 36] float32 in [0, 1].

    Raises:
        InputError: The file is missing or damaged.
    """
    found = _read(path)
    fields = found if found.ndim == 3 else label_fields(found)
    return np.moveaxis(fields, 0, -1).astype(np.float32).clip(0, 1)


def mask_file(path: Path, labels: np.ndarray) -> bytes:
    """Labels [h, w] as the file `path` names: a .png of labels, in colours to look at, or .npy of fields.

    Raises:
        UserError: The suffix is neither .png nor .npy.
    """
    data = io.BytesIO()
    if path.suffix == ".npy":
        np.save(data, label_fields(cv2.resize(labels, _FIELD_SIZE, interpolation=cv2.INTER_NEAREST)))
    elif path.suffix == ".png":
        from PIL import Image

        image = Image.fromarray(labels)
        image.putpalette(_COLOURS)
        image.save(data, "PNG")
    else:
        raise UserError(f"Part labels are .png or .npy files, not {path.name}.")
    return data.getvalue()


def label_fields(labels: np.ndarray) -> np.ndarray:
    """Labels [h, w] as [36, h, w] float32, 0 or 1: one field for each label."""
    fields = np.zeros((FIELDS, *labels.shape), np.float32)
    for label, field in enumerate(FIELD_OF_LABEL[1:], start=1):
        fields[field] = np.maximum(fields[field], labels == label)
    return fields


def _read(path: Path) -> np.ndarray:
    """[36, h, w] float, or labels [h, w] uint8."""
    try:
        found = _READERS.get(path.suffix, _read_array)(path)
    except FileNotFoundError as error:
        raise InputError(f"There is no human-parsing file {path}. {_HOW_TO_GET}") from error
    except (OSError, ValueError, EOFError, SyntaxError, OverflowError) as error:
        raise InputError(f"The human-parsing file {path} cannot be read: {error}. Write it again.") from error
    if found.ndim == 2 and found.dtype == np.uint8 and found.size:
        if found.max() >= len(LABELS):
            raise InputError(
                f"{path}: label {found.max()} is none of the {len(LABELS)} labels of body parts "
                f"(0 {LABELS[0]} to {len(LABELS) - 1} {LABELS[-1]})."
            )
        return found
    if found.ndim != 3 or len(found) != FIELDS or not found.size or found.dtype.kind not in "fiub":
        raise InputError(
            f"{path}: human parsing must be [{FIELDS}, h, w] or labels [h, w] of 8 bits, "
            f"not {list(found.shape)} of {found.dtype}."
        )
    low, high = found.min(), found.max()
    if not (low >= -_FAR and high <= 1 + _FAR):  # also NaN
        raise InputError(f"{path}: the fields must lie in [0, 1], but reach from {low:.4g} to {high:.4g}.")
    return found


def _read_array(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
        size = dtype.itemsize * math.prod(shape)  # a header may claim any shape
        if size > _MOST_BYTES or size > path.stat().st_size - file.tell():
            raise ValueError(f"its header claims {size} bytes")
    found: np.ndarray = np.load(path, allow_pickle=False)
    return found


def _read_labels(path: Path) -> np.ndarray:
    from PIL import Image

    data = path.read_bytes()
    validate_pixels(data, path)
    with Image.open(io.BytesIO(data)) as image:  # not by OpenCV, which makes colours of a palette
        if image.mode not in ("L", "P"):
            raise ValueError(f"its pixels are {image.mode}, not one label each")
        return np.array(image)


_READERS: dict[str, Callable[[Path], np.ndarray]] = {".npy": _read_array, ".png": _read_labels}
