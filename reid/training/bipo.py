"""BIPO: another person of the batch is pasted over a training crop; image, masks and prompts follow.

The person behind stays the one to recognise, the pasted one becomes a negative prompt. This is the official
form, which differs from the paper in places (docs/reference/kpr.md 4.4, 8): the identity comes from the batch
but its image from a bank, the pasted person is always in front and never scaled.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError
from reid.crop import Crop, resize_crop

_IN_PERSON = 0.2  # a parsing field above it is part of the person
_CENTRE_BAND = (0.55, 0.75)  # of the height, where the pasted person's centre falls
_HIDES = 0.1  # of the greatest opacity; above it a keypoint behind is hidden
_SHOWS = 0.001  # opacity; below it a keypoint of the pasted person is not part of it


@dataclass(frozen=True)
class OcclusionConfig:
    """How often and how people are pasted over others."""

    probability: float = 0.2  # 0.05 in some configs (docs/reference/kpr.md 4.2); the paper says 0.3
    crops_per_identity: int = 5  # in the bank
    # The official code makes negatives even of keypoints that the pasted person lacks, all at one place
    # (docs/reference/kpr.md 4.4). False, as the paper has it: only of those it shows.
    phantom_keypoints: bool = True

    def __post_init__(self) -> None:
        validate_ranges(self, "augment.occlusion.")


@dataclass(frozen=True)
class Occluder:
    """A person to paste over others, as large as the crops."""

    image: np.ndarray  # [H, W, 3] uint8 RGB
    opacity: np.ndarray  # [H, W] float32 in [0, 1]
    keypoints: np.ndarray  # [17, 3] x y confidence, pixels; confidence 0 where the person is not


class Draws(Protocol):
    """What is drawn at random; a numpy.random.Generator does."""

    def shuffle(self, x: list[int]) -> None: ...

    def uniform(self, low: float, high: float) -> float: ...


class OccluderBank:
    """A few crops of every identity, read only when they are pasted.

    Args:
        crops: Identity -> indices of crops.
        read: Index -> occluder, None where there is no person to cut out.
    """

    def __init__(self, crops: Mapping[int, Sequence[int]], read: Callable[[int], Occluder | None]) -> None:
        self._crops = crops
        self._read = read

    def draw(self, identities: Sequence[int], draws: Draws) -> Occluder | None:
        """Draw a random crop of a random one of some people.

        Args:
            identities: The people; if the bank has none of them, all people of the bank.
            draws: Random numbers of the example.

        Returns:
            The occluder; None if no crop can be used.
        """
        known = [each for each in identities if each in self._crops] or list(self._crops)
        draws.shuffle(known)
        for identity in known:
            places = list(self._crops[identity])
            draws.shuffle(places)
            for place in places:
                if (occluder := self._read(place)) is not None:
                    return occluder
        return None


def choose_bank(
    identities: np.ndarray, crops_per_identity: int, rng: np.random.Generator
) -> dict[int, list[int]]:
    """Up to that many random crops of every identity: identity -> indices into `identities` [S].

    Args:
        identities: [S] of the crops.
        crops_per_identity: Most crops of an identity.
        rng: Source of the draws.

    Returns:
        For each identity, rising indices into `identities`.
    """
    order = np.argsort(identities, kind="stable")
    names, starts = np.unique(identities[order], return_index=True)
    return {
        int(name): np.sort(rng.permutation(rows)[:crops_per_identity]).tolist()
        for name, rows in zip(names, np.split(order, starts[1:]), strict=True)
    }


def cut_occluder(crop: Crop, height: int, width: int) -> Occluder | None:
    """The crop's person with soft edges; None where its masks are empty.

    Uses the first skeleton alone. Its masks may be any parsing fields or parts.

    Args:
        crop: With masks [h, w, K] of any size.
        height: Of the image to paste on, in pixels.
        width: Of the image to paste on, in pixels.

    Returns:
        Image, opacity in 0..1 and keypoints; None: the masks are empty.

    Raises:
        UserError: A crop has no masks.
    """
    if crop.masks is None:
        raise UserError(
            "Pasting people over others needs human-parsing masks. Give the dataset some, "
            "or leave it out with augment.occlusion.probability=0."
        )
    # Each field is resized before the highest is taken, unlike for the part labels.
    fields = torch.from_numpy(crop.masks.astype(np.float32)).permute(2, 0, 1)
    fields = F.interpolate(fields[None], (height, width), mode="bilinear", align_corners=True)[0]
    person = (fields.amax(dim=0).numpy() > _IN_PERSON).astype(np.uint8)
    grown = cv2.dilate(person, np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return None
    filled = np.zeros((height, width), np.float32)
    cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1.0, cv2.FILLED)
    opacity = cv2.GaussianBlur(filled, (9, 9), 0)
    resized = resize_crop(Crop(crop.image, crop.keypoints[:1], None), height, width)
    return Occluder(resized.image, opacity, _on_person(resized.keypoints[0], opacity))


def draw_centre(height: int, width: int, draws: Draws) -> tuple[float, float]:
    """Where the pasted person's centre falls, x y in pixels.

    Args:
        height: Of the crop in pixels.
        width: Of the crop in pixels.
        draws: Source of the draws.

    Returns:
        x y in pixels.
    """
    top, bottom = (int(share * height) for share in _CENTRE_BAND)
    return draws.uniform(0, width), draws.uniform(top, bottom)


def paste(crop: Crop, occluder: Occluder, centre: tuple[float, float], *, phantom_keypoints: bool) -> Crop:
    """The crop with the occluder in front, its skeleton last.

    Hidden keypoints get confidence 0, masks fade with the image: the pasted area is background to the part
    labels. Keypoints beyond the image are left to the caller.

    Args:
        crop: The person behind.
        occluder: Of the same size, in front.
        centre: x y in pixels of the crop, where the centre of the occluder falls.
        phantom_keypoints: Give the occluder all keypoints, also those it does not have.

    Returns:
        A new crop; the given one is not changed.
    """
    own, theirs = _overlap(crop.image.shape[:2], centre)
    opacity = occluder.opacity[theirs][..., None]
    image = crop.image.copy()
    # Truncated, not rounded.
    image[own] = opacity * occluder.image[theirs] + (1 - opacity) * image[own]
    masks = crop.masks
    if masks is not None:
        masks = masks.copy()
        masks[own] *= 1 - opacity
    shift = np.array(centre) - np.array(crop.image.shape[1::-1]) / 2
    behind = crop.keypoints.astype(np.float64)
    behind[..., 2] *= ~_hidden(behind, occluder.opacity, shift)
    front = occluder.keypoints.astype(np.float64)
    front[:, 2] = phantom_keypoints | (front[:, 2] > 0)
    front[:, :2] += shift
    return Crop(image, np.concatenate((behind, front[None])), masks)


def _overlap(
    shape: tuple[int, ...], centre: tuple[float, float]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a shifted image of the same size overlaps the other: rows and columns of both."""
    still, shifted = [], []
    for size, at in zip(shape, reversed(centre), strict=True):
        start = round(at) - size // 2
        still.append(slice(max(start, 0), min(start + size, size)))
        shifted.append(slice(max(-start, 0), min(size - start, size)))
    return (still[0], still[1]), (shifted[0], shifted[1])


def _hidden(keypoints: np.ndarray, opacity: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Whether each keypoint [..., 3] lies behind the shifted occluder.

    The official code shifts the opacity by a fraction of a pixel to the nearest neighbour, not as it pastes.
    """
    limits = np.array(opacity.shape[::-1]) - 1
    at = np.trunc(keypoints[..., :2]) - shift
    inside = ((at >= 0) & (at <= limits)).all(axis=-1)
    x, y = np.moveaxis(np.floor(at + 0.5).astype(int).clip(0, limits), -1, 0)
    return inside & (opacity[y, x] > _HIDES * opacity.max())


def _on_person(keypoints: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Keypoints [17, 3] with confidence 0 where the person is not; coordinates are kept."""
    limits = np.array(opacity.shape[::-1]) - 1
    x, y = np.rint(keypoints[:, :2]).astype(int).clip(0, limits).T
    found = keypoints.copy()
    found[:, 2] *= opacity[y, x] >= _SHOWS
    return found
