"""Crops and heatmaps: numbers of the official loader, and the rules for whom to prompt."""

import cv2
import numpy as np
import pytest
from support.kpr_cases import GOLDEN

from kprtrack.core.errors import UserError
from reid.model.prompts import (
    PromptConfig,
    draw_heatmaps,
    gaussian_bump,
    into_crop,
    make_prompts,
    whole_pixel_boxes,
)

CONFIG = PromptConfig()
BACKGROUND, NEGATIVE, HEAD, LEFT_ARM, TORSO = 0, 1, 2, 3, 5
NO_PEOPLE = np.zeros((17, 3), np.float32)


def metadata() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "kpr_prompts.npz") as file:
        return dict(file)


def cases() -> list[str]:
    return [name.removesuffix("/prompt") for name in metadata() if name.endswith("/prompt")]


def skeleton(**points: tuple[float, float, float]) -> np.ndarray:
    """A skeleton with the named rows ("k0" is the nose) and nothing else."""
    found = NO_PEOPLE.copy()
    for name, point in points.items():
        found[int(name[1:])] = point
    return found


@pytest.mark.parametrize("name", cases())
def test_heatmaps_equal_the_official_loader(name: str) -> None:
    known = metadata()
    width, height = known[f"{name}/img_wh"]
    expected = known[f"{name}/prompt"]  # every fourth pixel
    config = PromptConfig(height=expected.shape[1] * 4, groups="cck8" if name.startswith("K8") else "cck6")
    people = np.concatenate((known[f"{name}/pos"][None], known[f"{name}/neg"]))
    people = into_crop(people, np.array((0, 0, width, height)), config)
    drawn = draw_heatmaps(people[0], people[1:], config)
    assert np.abs(drawn[:, ::4, ::4] - expected).max() < 1e-6


def test_bump_equals_the_official_kernel() -> None:
    bump, radius_px = gaussian_bump(128)
    assert radius_px == 11
    assert np.abs(bump - metadata()["gaussian_kernel_w128"]).max() < 1e-6


def test_nobody_known_is_all_background() -> None:
    drawn = draw_heatmaps(NO_PEOPLE, NO_PEOPLE[None], CONFIG)
    assert drawn[BACKGROUND].min() == 1
    assert drawn[1:].max() == 0


def test_shoulder_belongs_to_arm_and_torso() -> None:
    drawn = draw_heatmaps(skeleton(k5=(60, 100, 1)), NO_PEOPLE[None], CONFIG)
    assert [channel for channel in range(2, 10) if drawn[channel].max() > 0] == [LEFT_ARM, TORSO]
    assert drawn[TORSO].max() == drawn[TORSO, 100, 60] == 1


@pytest.mark.parametrize(("confidence", "is_drawn"), [(0.3, False), (0.31, True), (0, False)])
def test_only_confident_keypoints_are_drawn(confidence: float, is_drawn: bool) -> None:
    drawn = draw_heatmaps(skeleton(k0=(60, 100, confidence)), NO_PEOPLE[None], CONFIG)
    assert (drawn[HEAD].max() > 0) == is_drawn


def frame_with_two() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A frame with two people side by side whose boxes overlap."""
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    boxes = np.array([[20, 10, 120, 190], [80, 10, 180, 190]], np.float32)
    keypoints = np.stack((skeleton(k0=(70, 30, 1)), skeleton(k0=(110, 30, 1), k15=(160, 180, 1))))
    return image, boxes, keypoints


def test_others_inside_the_box_are_negatives_and_others_outside_are_not() -> None:
    prompts = make_prompts(*frame_with_two(), CONFIG)
    first, second = prompts.heatmaps
    # The second person's nose lies in the first one's box, 90 of 100 pixels from the left; the ankle outside.
    assert np.unravel_index(first[NEGATIVE].argmax(), (256, 128)) == (int(20 * 256 / 180), int(90 * 1.28))
    assert (first[NEGATIVE] == 1).sum() == 1
    assert second[NEGATIVE].max() == 0
    assert prompts.prompted.tolist() == [True, True]


def test_negatives_can_be_left_out() -> None:
    prompts = make_prompts(*frame_with_two(), PromptConfig(negatives=False))
    assert prompts.heatmaps[:, NEGATIVE].max() == 0
    assert prompts.heatmaps[0, HEAD].max() == 1


def test_person_without_keypoints_is_unprompted_even_among_others() -> None:
    image, boxes, keypoints = frame_with_two()
    keypoints[0] = 0
    prompts = make_prompts(image, boxes, keypoints, CONFIG)
    assert prompts.prompted.tolist() == [False, True]
    assert prompts.heatmaps[0, BACKGROUND].min() == 1
    assert prompts.heatmaps[0, 1:].max() == 0


def test_person_whose_keypoints_lie_outside_the_box_is_unprompted() -> None:
    image, boxes, keypoints = frame_with_two()
    keypoints[0, 0, :2] = (250, 30)
    assert make_prompts(image, boxes, keypoints, CONFIG).prompted.tolist() == [False, True]


def test_prompts_can_be_switched_off() -> None:
    prompts = make_prompts(*frame_with_two(), PromptConfig(positives=False))
    assert not prompts.prompted.any()
    assert prompts.heatmaps[:, BACKGROUND].min() == 1


def test_rows_choose_people_without_changing_their_prompts() -> None:
    whole = make_prompts(*frame_with_two(), CONFIG)
    second = make_prompts(*frame_with_two(), CONFIG, rows=np.array([1]))
    assert (whole.heatmaps[1] == second.heatmaps[0]).all()
    assert (whole.crops[1] == second.crops[0]).all()


def test_crop_is_the_resized_normalised_box() -> None:
    image, boxes, keypoints = frame_with_two()
    crop = make_prompts(image, boxes, keypoints, CONFIG).crops[0].transpose(1, 2, 0)
    expected = cv2.resize(image[10:190, 20:120], (128, 256), interpolation=cv2.INTER_LINEAR) / 255
    assert np.abs(crop - (expected - CONFIG.mean) / CONFIG.std).max() < 1e-5


def test_boxes_are_rounded_clipped_and_never_empty() -> None:
    boxes = np.array([[-5.2, 3.4, 40.6, 900], [400, 50, 420, 60], [10.2, 10.2, 10.3, 10.3]], np.float32)
    assert whole_pixel_boxes(boxes, 200, 300).tolist() == [
        [0, 3, 41, 200],
        [299, 50, 300, 60],
        [10, 10, 11, 11],
    ]


def test_no_people_make_no_prompts() -> None:
    image, boxes, keypoints = frame_with_two()
    prompts = make_prompts(image, boxes[:0], keypoints[:0], CONFIG)
    assert prompts.crops.shape == (0, 3, 256, 128)
    assert prompts.heatmaps.shape == (0, 10, 256, 128)


def test_unknown_groups_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="cck8"):
        PromptConfig(groups="ck8")
