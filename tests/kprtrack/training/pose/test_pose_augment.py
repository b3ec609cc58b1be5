"""Keypoints stay on what they mark under every augmentation."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.pose_cases import STANDING

from kprtrack.core.errors import UserError
from kprtrack.core.skeleton import FLIP, KEYPOINTS, POSETRACK_FLIP
from kprtrack.poses.topdown import TopDown
from kprtrack.training.degradations import WorseCamera
from kprtrack.training.pose.augment import Person, PoseAugmentConfig, augment, crop_matrix, plain

LAYOUT = TopDown(192, 256, "dark", "coco", flip_test=False, box_padding=1.25)
STILL = PoseAugmentConfig(flip=0, half_body=0, shift=0, scale_share=0, rotate=0)
MOVED = PoseAugmentConfig(flip=0, half_body=0, shift=1, scale_share=0.3, rotate=1, rotate_deg=60)
STRETCHED = replace(MOVED, stretch=1.0)
BOX = np.array([100.0, 60.0, 260.0, 360.0])
LEFT, RIGHT = KEYPOINTS.index("left_wrist"), KEYPOINTS.index("right_wrist")


def someone(image: np.ndarray | None = None) -> Person:
    places = STANDING * (BOX[2:] - BOX[:2]) + BOX[:2]
    image = np.full((420, 360, 3), 90, np.uint8) if image is None else image
    return Person(image, BOX, np.column_stack((places, np.ones(17))))


def with_dots(person: Person, rows: tuple[int, ...]) -> Person:
    """On black, a soft red dot at the first row's keypoint, a green one at the second's."""
    image = np.zeros_like(person.image)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    for channel, row in enumerate(rows):
        px, py = person.keypoints[row, :2]
        image[..., channel] = 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
    return replace(person, image=image)


def dot(crop: np.ndarray, channel: int) -> np.ndarray:
    """x y of the dot in a channel."""
    y, x = np.mgrid[: crop.shape[0], : crop.shape[1]]
    weight = crop[..., channel].astype(float)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def changed(person: Person, config: PoseAugmentConfig, seed: int, layout: TopDown = LAYOUT):
    def grey(_: np.random.Generator) -> np.ndarray:
        return np.full((9, 7, 3), 128, np.uint8)

    return augment(person, layout, config=config, rng=np.random.default_rng(seed), others=grey)


@pytest.mark.parametrize("decode", ["dark", "udp"])
@pytest.mark.parametrize("flip", [0, 1])
@pytest.mark.parametrize("moved", [MOVED, STRETCHED], ids=["moved", "stretched"])
@pytest.mark.parametrize("seed", range(4))
def test_keypoints_move_with_the_picture(seed, moved, flip, decode):
    layout, config = replace(LAYOUT, decode=decode), replace(moved, flip=flip)
    checked = 0
    for row in (0, 5, 12):
        shown = changed(with_dots(someone(), (row,)), config, seed, layout)
        place = shown.points[FLIP[row] if flip else row]
        if ((place > 8) & (place < (184, 248))).all():
            assert np.abs(dot(shown.crop, 0) - place).max() < 0.5
            checked += 1
    assert checked >= 2


def test_a_mirrored_left_wrist_is_a_right_wrist():
    person = with_dots(someone(), (LEFT, RIGHT))
    plainly = changed(person, STILL, 0)
    mirrored = changed(person, replace(STILL, flip=1), 0)
    np.testing.assert_allclose(dot(plainly.crop, 0), plainly.points[LEFT], atol=0.5)
    np.testing.assert_allclose(dot(mirrored.crop, 0), mirrored.points[RIGHT], atol=0.5)
    np.testing.assert_allclose(dot(mirrored.crop, 1), mirrored.points[LEFT], atol=0.5)
    np.testing.assert_array_equal(mirrored.crop, plainly.crop[:, ::-1])


def test_weights_are_mirrored_with_their_keypoints():
    person = someone()
    person.keypoints[LEFT, 2] = 0.25
    assert changed(person, replace(STILL, flip=1), 0).weights[RIGHT] == 0.25


def test_posetracks_neck_and_head_have_no_sides():
    layout = replace(LAYOUT, skeleton="posetrack18")
    person = someone()
    mirrored = changed(person, replace(STILL, flip=1), 0, layout)
    points = plain(person, layout).points
    np.testing.assert_allclose(mirrored.points[:, 0], 191 - points[list(POSETRACK_FLIP), 0], atol=1e-4)


def test_the_quiet_configuration_shows_what_is_seen_in_use():
    image = np.random.default_rng(0).integers(0, 256, (420, 360, 3), np.uint8)
    once, use = changed(someone(image), STILL, 0), plain(someone(image), LAYOUT)
    np.testing.assert_array_equal(once.crop, use.crop)
    np.testing.assert_array_equal(once.points, use.points)


def test_a_right_angle_turns_the_person_clockwise():
    window = np.array([100.0, 100.0, 192.0, 256.0])
    matrix = crop_matrix(window, LAYOUT, angle_deg=90, mirrored=False, stretched=np.eye(2))
    # What was above the middle is right of it.
    np.testing.assert_allclose(matrix @ (100, 60, 1), (96 + 40, 128), atol=1e-9)


def test_a_stretched_person_is_as_large_as_before_and_of_another_form():
    once = changed(someone(), STILL, 0).points
    for seed in range(8):
        points = changed(someone(), replace(STILL, stretch=1.0, stretch_share=0.4), seed).points
        linear = np.linalg.lstsq(once - once.mean(0), points - points.mean(0), rcond=None)[0]
        longest, shortest = np.linalg.svd(linear)[1]
        assert longest * shortest == pytest.approx(1, abs=1e-3)
        assert 1 <= longest <= 1.4 + 1e-3
    assert np.abs(points - once).max() > 2


def test_half_a_body_fills_the_crop():
    shown = [changed(someone(), replace(STILL, half_body=1), seed) for seed in range(12)]
    hips = [one.points[11:].mean(0) for one in shown]
    head = [one.points[:11].mean(0) for one in shown]
    centred = [
        np.abs(np.array((h, t)) - (96, 128)).max(axis=1).argmin() for h, t in zip(hips, head, strict=True)
    ]
    assert set(centred) == {0, 1}


def test_half_a_body_needs_eight_keypoints():
    person = someone()
    person.keypoints[7:, 2] = 0
    np.testing.assert_array_equal(
        changed(person, replace(STILL, half_body=1), 0).crop, plain(person, LAYOUT).crop
    )


def test_keypoints_out_of_the_crop_are_still_told():
    far = replace(STILL, shift=1, shift_share=3.0)
    shown = changed(someone(), far, 2)
    assert not ((shown.points >= 0) & (shown.points < (192, 256))).all()
    assert (shown.weights == 1).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": 1.0},
        {"shrink": 1.0},
        {"camera": WorseCamera(blur=1.0)},
        {"camera": WorseCamera(noise=1.0)},
        {"erase": 1.0},
        {"paste": 1.0},
    ],
    ids=lambda changes: str(next(iter(changes.items()))),
)
def test_the_picture_alone_changes_and_every_draw_differs(changes):
    person = someone(cv2.resize(np.random.default_rng(1).integers(0, 256, (21, 18, 3), np.uint8), (360, 420)))
    config, before = replace(STILL, **changes), plain(person, LAYOUT)
    one, same, two = (changed(person, config, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.crop, same.crop)
    assert (one.crop != before.crop).any() and (one.crop != two.crop).any()
    assert one.crop.shape == before.crop.shape and one.crop.dtype == np.uint8
    np.testing.assert_array_equal(one.points, before.points)
    np.testing.assert_array_equal(one.weights, before.weights)


def test_hidden_parts_are_as_large_as_asked_for():
    config = replace(STILL, paste=1.0, hidden_share=(0.25, 0.25))
    shares = [(changed(someone(), config, seed).crop == 128).all(-1).mean() for seed in range(20)]
    assert max(shares) == pytest.approx(1 / 16, rel=0.02)
    assert min(shares) > 0.01


@pytest.mark.parametrize(
    "wrong", [{"flip": 1.5}, {"shrink_to": (0.0, 0.5)}, {"hidden_share": (0.5, 0.2)}, {"scale_share": 1.0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UserError, match=f"augment.{next(iter(wrong))}"):
        PoseAugmentConfig(**wrong)
