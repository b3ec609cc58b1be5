"""Pasting people over others, pixel by pixel as the official code does it."""

import hashlib
import random

import cv2
import numpy as np
import pytest
import scipy.ndimage
from support.kpr_cases import GOLDEN, SHARED

from kprtrack.core.errors import UserError
from reid.crop import Crop, resize_crop, resize_masks
from reid.parts.targets import group_fields
from reid.training.bipo import (
    Occluder,
    OccluderBank,
    OcclusionConfig,
    choose_bank,
    cut_occluder,
    draw_centre,
    paste,
)

HEIGHT, WIDTH = 256, 128
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
Facts = dict[str, np.ndarray]


def golden() -> Facts:
    with np.load(GOLDEN / "kpr_bipo.npz") as file:
        return dict(file)


def shared() -> Facts:
    with np.load(SHARED / "f_bipo.npz") as file:
        return dict(file)


def decode_image(png: np.ndarray) -> np.ndarray:
    return cv2.imdecode(png, cv2.IMREAD_UNCHANGED)


def golden_pair() -> tuple[Crop, Occluder]:
    """The target, with its torso as the only mask, and the first occluder."""
    metadata = golden()
    masks = resize_masks(metadata["target/masks_small"], HEIGHT, WIDTH)
    skeletons = np.stack((metadata["target/keypoints_resized"], metadata["target/negative_resized"]))
    target = Crop(decode_image(metadata["target/image_png"]), skeletons, masks)
    opacity = metadata["occluder0/opacity_255"] / np.float32(255)
    image = decode_image(metadata["occluder0/image_png"])
    return target, Occluder(image, opacity, metadata["occluder0/keypoints_resized"])


def centre_of(metadata: Facts, case: str) -> tuple[float, float]:
    x, y = metadata[f"{case}/center_xy"].tolist()
    return x, y


@pytest.mark.parametrize("case", ["c0", "c1", "c3"])
def test_a_pasted_crop_equals_the_official_one(case: str) -> None:
    metadata = golden()
    target, occluder = golden_pair()
    pasted = paste(target, occluder, centre_of(metadata, case), phantom_keypoints=True)
    digest = hashlib.sha256(np.ascontiguousarray(pasted.image).tobytes()).hexdigest()
    assert digest == metadata[f"{case}/image_sha256"]
    assert pasted.masks is not None
    np.testing.assert_allclose(
        pasted.masks[::4, ::4], metadata[f"{case}/masks_every_4th"].astype(np.float32), rtol=0, atol=5e-4
    )
    expected = metadata[f"{case}/keypoints_out_xyasvi"].reshape(3, 17, 6)[..., [0, 1, 4]]
    np.testing.assert_allclose(pasted.keypoints, expected, rtol=0, atol=1e-6)


class OfficialDraws:
    """The official code shuffles with Python's generator and places with numpy's old one."""

    def __init__(self, seed: int) -> None:
        self._python = random.Random(seed)
        self._numpy = np.random.RandomState(seed)

    def shuffle(self, x: list[int]) -> None:
        self._python.shuffle(x)

    def uniform(self, low: float, high: float) -> float:
        return self._numpy.uniform(low, high)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_identity_and_place_are_drawn_as_the_official_code_does(seed: int) -> None:
    metadata, draws, asked = golden(), OfficialDraws(seed), []
    _, occluder = golden_pair()
    bank = OccluderBank({each: [each] for each in (10, 11, 12)}, lambda row: asked.append(row) or occluder)
    bank.draw((10, 11, 12), draws)
    assert asked == metadata[f"seed{seed}/pid"].tolist()
    assert draw_centre(HEIGHT, WIDTH, draws) == pytest.approx(centre_of(metadata, f"seed{seed}"), rel=1e-12)


def shared_occluder(metadata: Facts, number: int) -> Occluder:
    fields = metadata[f"occluder{number}/mask36"].transpose(1, 2, 0).astype(np.float32)
    crop = Crop(
        metadata[f"occluder{number}/image_rgb"], metadata[f"occluder{number}/keypoints"][None], fields
    )
    occluder = cut_occluder(crop, HEIGHT, WIDTH)
    assert occluder is not None
    return occluder


@needs_shared
@pytest.mark.parametrize("number", [0, 1])
def test_people_are_cut_out_as_the_official_code_does(number: int) -> None:
    metadata = shared()
    occluder = shared_occluder(metadata, number)
    np.testing.assert_array_equal(occluder.image, metadata[f"occluder{number}/rgba"][..., :3])
    np.testing.assert_array_equal(255 * occluder.opacity, metadata[f"occluder{number}/rgba"][..., 3])
    expected = metadata[f"occluder{number}/keypoints_resized"]
    np.testing.assert_allclose(occluder.keypoints, expected, rtol=0, atol=1e-6)


@needs_shared
@pytest.mark.parametrize("case", ["c0", "c1", "c2", "c3"])
def test_from_files_to_a_pasted_crop_nothing_differs(case: str) -> None:
    metadata = shared()
    fields = metadata["target/mask36"].astype(np.float32)
    skeletons = np.stack((metadata["target/keypoints_resized"], metadata["target/negative_resized"]))
    raw = Crop(metadata["target/image_rgb"], skeletons, group_fields(fields, "eight"))
    resized = resize_crop(raw, HEIGHT, WIDTH)
    target = Crop(resized.image, skeletons, resized.masks)  # the keypoints are stored resized only
    occluder = shared_occluder(metadata, int(metadata[f"{case}/occluder_index"]))
    pasted = paste(target, occluder, centre_of(metadata, case), phantom_keypoints=True)
    np.testing.assert_array_equal(pasted.image, metadata[f"{case}/image"])
    assert pasted.masks is not None
    expected_masks = metadata[f"{case}/mask_grouped"].astype(np.float32)
    np.testing.assert_allclose(pasted.masks, expected_masks, rtol=0, atol=5e-4)
    expected = metadata[f"{case}/keypoints_out_xyasvi"].reshape(3, 17, 6)[..., [0, 1, 4]]
    np.testing.assert_allclose(pasted.keypoints, expected, rtol=0, atol=1e-6)


def small(value: int, keypoints: np.ndarray | None = None) -> Crop:
    """A plain crop of 8 x 8 pixels, all of it the person."""
    skeleton = np.zeros((1, 17, 3)) if keypoints is None else keypoints
    return Crop(np.full((8, 8, 3), value, np.uint8), skeleton, np.ones((8, 8, 1), np.float32))


def block(value: int) -> Occluder:
    return Occluder(np.full((8, 8, 3), value, np.uint8), np.ones((8, 8), np.float32), np.zeros((17, 3)))


def test_keypoints_are_hidden_where_the_shifted_opacity_is() -> None:
    rng = np.random.default_rng(7)
    opacity = rng.random((8, 8)).astype(np.float32)
    occluder = Occluder(np.zeros((8, 8, 3), np.uint8), opacity, np.zeros((17, 3)))
    for _ in range(50):
        points = np.concatenate((rng.uniform(0, 8, (3, 17, 2)), np.ones((3, 17, 1))), axis=2)
        x, y = rng.uniform(0, 8, 2)
        shifted = scipy.ndimage.shift(opacity, (y - 4, x - 4), order=0)
        hidden = shifted[points[..., 1].astype(int), points[..., 0].astype(int)] > 0.1 * opacity.max()
        pasted = paste(small(0, points), occluder, (x, y), phantom_keypoints=True)
        np.testing.assert_array_equal(pasted.keypoints[:-1, :, 2] == 0, hidden)


def test_the_crop_that_is_pasted_over_is_left_as_it_was() -> None:
    crop = small(10)
    paste(crop, block(200), (4, 4), phantom_keypoints=True)
    assert (crop.image == 10).all()
    assert crop.masks is not None and crop.masks.all()


def test_the_pasted_area_is_background_to_the_part_labels() -> None:
    pasted = paste(small(10), block(200), (4, 8), phantom_keypoints=True)
    assert pasted.masks is not None
    assert pasted.masks[:4].all() and not pasted.masks[4:].any()
    assert (pasted.image[:4] == 10).all() and (pasted.image[4:] == 200).all()


def test_keypoints_that_the_pasted_person_lacks_become_negatives_in_the_official_form_alone() -> None:
    for phantom_keypoints in (True, False):
        pasted = paste(small(10), block(200), (6, 6), phantom_keypoints=phantom_keypoints)
        assert (pasted.keypoints[-1, :, 2] == phantom_keypoints).all()
        assert (pasted.keypoints[-1, :, :2] == 2).all()


def test_a_cut_out_person_keeps_the_keypoints_on_its_soft_edge_and_no_farther() -> None:
    masks = np.zeros((64, 64, 1), np.float32)
    masks[20:40, 20:40] = 1
    keypoints = np.ones((1, 17, 3))
    # The person is grown by two pixels to column 41, and its edge fades out until column 45.
    keypoints[0, :, :2] = np.column_stack((np.arange(34, 51), np.full(17, 30)))
    occluder = cut_occluder(Crop(np.zeros((64, 64, 3), np.uint8), keypoints, masks), 64, 64)
    assert occluder is not None
    assert occluder.keypoints[occluder.keypoints[:, 2] > 0, 0].max() == 45
    assert (occluder.keypoints[:, 2] > 0).sum() == 12


def test_nobody_is_cut_out_of_empty_masks() -> None:
    empty = Crop(np.zeros((8, 8, 3), np.uint8), np.zeros((1, 17, 3)), np.zeros((4, 4, 2), np.float32))
    assert cut_occluder(empty, 8, 8) is None


def test_a_crop_without_masks_cannot_be_pasted() -> None:
    bare = Crop(np.zeros((8, 8, 3), np.uint8), np.zeros((1, 17, 3)), None)
    with pytest.raises(UserError, match=r"occlusion\.probability=0"):
        cut_occluder(bare, 8, 8)


def test_only_identities_of_the_batch_are_pasted_while_the_bank_has_one() -> None:
    bank = OccluderBank({1: [10], 2: [20]}, lambda row: block(row))
    rng = np.random.default_rng(0)
    drawn = {int(bank.draw((2, 3), rng).image[0, 0, 0]) for _ in range(20)}
    assert drawn == {20}
    fallback = {int(bank.draw((3, 4), rng).image[0, 0, 0]) for _ in range(40)}
    assert fallback == {10, 20}


def test_crops_that_show_nobody_are_passed_over() -> None:
    bank = OccluderBank({1: [10, 11]}, lambda row: block(row) if row == 11 else None)
    rng = np.random.default_rng(0)
    assert all(bank.draw((1,), rng) is not None for _ in range(10))
    assert OccluderBank({1: [10]}, lambda row: None).draw((1,), rng) is None


def test_the_bank_holds_a_few_crops_of_everybody() -> None:
    identities = np.array([7, 3, 7, 7, 3, 7])
    bank = choose_bank(identities, 2, np.random.default_rng(0))
    assert {name: len(rows) for name, rows in bank.items()} == {3: 2, 7: 2}
    assert all(identities[row] == name for name, rows in bank.items() for row in rows)
    assert bank == choose_bank(identities, 2, np.random.default_rng(0))


def test_a_probability_above_one_is_refused() -> None:
    with pytest.raises(UserError, match="probability"):
        OcclusionConfig(probability=1.5)
