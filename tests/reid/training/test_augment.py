"""Shifting, erasing and prompting of training crops.

The golden numbers were made with albumentations 1.3.1 in the published order: Resize, PadIfNeeded,
RandomCrop, Normalize, CoarseDropout, with keypoints removed that leave the image.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.kpr_cases import GOLDEN

from kprtrack.core.errors import UserError
from reid.crop import Crop, resize_crop
from reid.model.prompts import PromptConfig
from reid.training.augment import (
    Augment,
    AugmentConfig,
    draw_hole,
    erase,
    make_example,
    plain_example,
    shift,
    stack,
)
from reid.training.bipo import Occluder, OccluderBank, OcclusionConfig

SMALL = PromptConfig(height=64, width=32)
NEGATIVE = 1


def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "kpr_augment.npz") as file:
        return dict(file)


@pytest.mark.parametrize("case", range(6))
def test_shift_and_erasure_equal_those_of_the_official_library(case: int) -> None:
    metadata = golden()
    raw = Crop(metadata["image"], metadata["keypoints"], metadata["masks"])
    x1, y1, x2, y2 = metadata[f"{case}/hole_xyxy"]
    hole = (slice(y1, y2), slice(x1, x2))
    shifted = shift(resize_crop(raw, 64, 32), 10, metadata[f"{case}/corner_yx"])
    erased = erase(shifted, hole)
    image = make_example(shifted, SMALL, hole).image.permute(1, 2, 0)
    np.testing.assert_allclose(image, metadata[f"{case}/image"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(erased.masks, metadata[f"{case}/masks"])
    np.testing.assert_allclose(erased.keypoints, metadata[f"{case}/keypoints"], rtol=0, atol=1e-9)


def crop(value: int = 100, others: int = 0) -> Crop:
    """A plain crop whose people all stand in the middle."""
    keypoints = np.zeros((1 + others, 17, 3))
    keypoints[:] = (16, 32, 1)
    return Crop(np.full((64, 32, 3), value, np.uint8), keypoints, np.ones((16, 8, 2), np.float32))


def bank(value: int) -> OccluderBank:
    whole = np.ones((64, 32), np.float32)
    keypoints = np.full((17, 3), (16.0, 32.0, 1.0))
    return OccluderBank({5: [0]}, lambda _: Occluder(np.full((64, 32, 3), value, np.uint8), whole, keypoints))


STILL = AugmentConfig(padding_px=0, erase_probability=0, occlusion=OcclusionConfig(probability=0))


def test_with_everything_off_training_sees_what_evaluation_sees() -> None:
    ours = Augment(STILL, SMALL, bank(0))(crop(), (5,), np.random.default_rng(0))
    plain = plain_example(crop(), SMALL)
    assert torch.equal(ours.image, plain.image)
    assert torch.equal(ours.heatmaps, plain.heatmaps)
    assert torch.equal(ours.part_labels, plain.part_labels)


def test_the_same_generator_gives_the_same_example() -> None:
    augment = Augment(replace(AugmentConfig(), occlusion=OcclusionConfig(probability=1)), SMALL, bank(0))
    first, second, third = (augment(crop(), (5,), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.image, second.image)
    assert not torch.equal(first.image, third.image)


def test_the_pasted_person_becomes_a_negative_prompt_and_no_part() -> None:
    config = replace(STILL, occlusion=OcclusionConfig(probability=1))
    example = Augment(config, SMALL, bank(0))(crop(), (5,), np.random.default_rng(3))
    plain = plain_example(crop(), SMALL)
    assert not plain.heatmaps[NEGATIVE].any()
    assert example.heatmaps[NEGATIVE].max() == 1
    assert (example.part_labels == 0).sum() > (plain.part_labels == 0).sum() == 0


def test_without_a_bank_nobody_is_pasted() -> None:
    config = replace(STILL, occlusion=OcclusionConfig(probability=1))
    example = Augment(config, SMALL, None)(crop(), (5,), np.random.default_rng(3))
    assert torch.equal(example.image, plain_example(crop(), SMALL).image)


def test_holes_are_within_their_shares_and_the_picture() -> None:
    rng = np.random.default_rng(0)
    holes = [draw_hole((256, 128), (0.15, 0.65), rng) for _ in range(2000)]
    for axis, (size, least, greatest) in enumerate([(256, 38, 166), (128, 19, 83)]):
        sides = [hole[axis].stop - hole[axis].start for hole in holes]
        assert (min(sides), max(sides)) == (least, greatest)
        assert min(hole[axis].start for hole in holes) == 0
        assert max(hole[axis].stop for hole in holes) == size


def test_a_shift_reaches_the_border_on_every_side() -> None:
    image = np.arange(64 * 32, dtype=np.int64).reshape(64, 32) % 251
    numbered = Crop(np.repeat(image[..., None], 3, axis=2).astype(np.uint8), np.zeros((1, 17, 3)), None)
    corners = [(y, x) for y in (0, 20) for x in (0, 20)]
    tops = [int(shift(numbered, 10, np.array(corner)).image[32, 16, 0]) for corner in corners]
    assert tops == [image[22, 6], image[22, 26], image[42, 6], image[42, 26]]


def test_shifts_of_up_to_the_padding_are_drawn_to_every_side() -> None:
    dot = crop(0)
    dot.image[32, 16] = 255
    augment, moved = Augment(replace(STILL, padding_px=3), SMALL, None), set()
    for seed in range(200):
        image = augment(dot, (), np.random.default_rng(seed)).image[0]
        y, x = np.unravel_index(int(image.argmax()), image.shape)
        moved.add((int(y) - 32, int(x) - 16))
    assert moved == {(y, x) for y in range(-3, 4) for x in range(-3, 4)}


@pytest.mark.slow
def test_crops_are_erased_as_often_as_asked() -> None:
    plain = plain_example(crop(), SMALL).image
    for probability, least, greatest in [(0, 0, 0), (0.5, 80, 120), (1, 200, 200)]:
        augment = Augment(replace(STILL, erase_probability=probability), SMALL, None)
        images = [augment(crop(), (), np.random.default_rng(seed)).image for seed in range(200)]
        assert least <= sum(not torch.equal(image, plain) for image in images) <= greatest


def test_prompts_can_be_left_out_one_kind_at_a_time() -> None:
    seen = crop(others=1)
    own_only = plain_example(seen, replace(SMALL, negatives=False)).heatmaps
    others_only = plain_example(seen, replace(SMALL, positives=False)).heatmaps
    assert own_only[2:].any() and not own_only[NEGATIVE].any()
    assert others_only[NEGATIVE].any() and not others_only[2:].any()


def test_a_batch_mixing_crops_with_and_without_masks_is_refused() -> None:
    masked = plain_example(crop(), SMALL)
    bare = plain_example(Crop(crop().image, crop().keypoints, None), SMALL)
    assert stack([masked, masked]).part_labels.shape == (2, 16, 8)
    assert stack([bare, bare]).part_labels is None
    with pytest.raises(UserError, match="Only 1 of the 2 crops"):
        stack([masked, bare])


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(UserError, match="erase_share"):
        AugmentConfig(erase_share=(0.7, 0.2))
