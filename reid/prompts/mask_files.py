"""Read masks from files: images, and COCO's run lengths in JSON."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.images import decode_image
from kprtrack.core.files.json_file import load_json, read_limited
from reid.prompts.rle import decode_rle

_FORMS = "a mask is an image (0 where the person is not) or JSON with COCO's run lengths"


def read_mask(path: str | Path) -> np.ndarray:
    """Read the mask of a person.

    Args:
        path: A .json file with an RLE of COCO, {"size": [height, width], "counts": ...}, or an annotation
            with one as "segmentation"; any other file is an image. Pixels that are not 0 in a channel belong
            to the person; of an image with transparency those that are not transparent.

    Returns:
        [H, W] bool.

    Raises:
        InputError: The file cannot be read, is no mask, or the mask is empty.
    """
    path = Path(path)
    mask = _from_json(path) if path.suffix.lower() == ".json" else _from_image(path)
    if not mask.any():
        raise InputError(f"The mask {path} is empty: no pixel belongs to the person.")
    return mask


def _from_json(path: Path) -> np.ndarray:
    found = load_json(path)
    if isinstance(found, Mapping) and "segmentation" in found:
        found = found["segmentation"]
    if not isinstance(found, Mapping):
        raise InputError(f'{path} has no {{"size": [height, width], "counts": ...}}: {_FORMS}.')
    try:
        return decode_rle(found)
    except ValueError as error:
        raise InputError(f"{path} is no mask of COCO: {error}.") from error


def _from_image(path: Path) -> np.ndarray:
    import cv2

    image = decode_image(read_limited(path), path, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{path} is no image: {_FORMS}.")
    if image.ndim == 2:
        result: np.ndarray = image != 0
        return result
    if image.shape[2] == 4 and not image[..., 3].all():
        opaque: np.ndarray = image[..., 3] != 0
        return opaque
    coloured: np.ndarray = (image[..., :3] != 0).any(axis=2)
    return coloured
