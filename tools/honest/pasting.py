"""Images of people with another person pasted in front of them or beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from honest.lists import Entry, ImageList, has_joints

_TIMES = 4  # images made of each person
_HEIGHT = 0.7, 1.1  # of the pasted person, relative to the longer side of the box
_OPAQUE = 0.3  # alpha above which a joint is hidden


def read_cutouts(folder: Path) -> list[dict[str, np.ndarray]]:
    """Read cut-out people, .npz with `image` [h, w, 3] uint8 RGB and `alpha` [h, w] in 0..1, by name."""
    return [dict(np.load(path, allow_pickle=False)) for path in sorted(folder.glob("*.npz"))]


def pasted(images: ImageList, cutouts: Sequence[Mapping[str, np.ndarray]]) -> ImageList:
    """Make four images of each person with joints, each with a person pasted in; the same ones in every run.

    Args:
        images: Images with people.
        cutouts: People to paste, at least one.

    Returns:
        Images in memory with one labelled person each; joints under the pasted person are not scored.
    """
    rng = np.random.default_rng(0)
    made: list[Entry] = []
    pixels: dict[int, np.ndarray] = {}
    people: list[Entry] = []
    for image in images.images:
        original = images.read(image)
        for person in filter(has_joints, images.of(image)):
            for _ in range(_TIMES):
                number = len(made) + 1
                cutout = cutouts[rng.integers(len(cutouts))]
                pixels[number], keypoints = paste(original, person, cutout, rng)
                made.append(image | {"id": number})
                known = sum(state > 0 for state in keypoints[2::3])
                own = {"id": number, "image_id": number, "keypoints": keypoints, "num_keypoints": known}
                people.append(person | own)
    return ImageList(tuple(made), tuple(people), images.categories, lambda image: pixels[image["id"]])


def paste(
    image: np.ndarray,
    person: Mapping[str, object],
    cutout: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[float]]:
    """Paste a cut-out person near another one.

    Args:
        image: [H, W, 3] uint8.
        person: Annotation with `bbox` and `keypoints`.
        cutout: `image` [h, w, 3] uint8 and `alpha` [h, w] in 0..1.
        rng: Determines size and position.

    Returns:
        The new image, and the person's keypoints with v 0 for those that are now hidden.
    """
    x, y, width, height = np.array(person["bbox"], float)
    side = max(width, height)
    scale = side * rng.uniform(*_HEIGHT) / cutout["alpha"].shape[0]
    size = [max(2, round(edge * scale)) for edge in cutout["alpha"].shape[::-1]]
    colours = cv2.resize(cutout["image"], size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(cutout["alpha"], size, interpolation=cv2.INTER_AREA)
    right = rng.choice([-1, 1]) * rng.uniform(0.35, 0.65) * (width + size[0]) / 2 * 1.2
    down = rng.uniform(-0.1, 0.2) * side
    centre = np.array([x + width / 2 + right, y + height / 2 + down])
    left, top = (int(edge) for edge in np.round(centre - np.array(size) / 2))
    result, keypoints = image.copy(), [float(each) for each in np.ravel(person["keypoints"])]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + size[0], image.shape[1]), min(top + size[1], image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return result, keypoints
    inside = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    opaque, part = alpha[inside][..., None], result[y0:y1, x0:x1]
    result[y0:y1, x0:x1] = (part * (1 - opaque) + colours[inside] * opaque + 0.5).astype(np.uint8)
    for joint in range(0, len(keypoints), 3):
        column, row = int(keypoints[joint]), int(keypoints[joint + 1])
        if x0 <= column < x1 and y0 <= row < y1 and alpha[row - top, column - left] > _OPAQUE:
            keypoints[joint + 2] = 0
    return result, keypoints
