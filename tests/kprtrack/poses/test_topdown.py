"""Top-down estimation from boxes to keypoints, with a network whose heatmaps are the brightness."""

import numpy as np
import pytest
from support.frames import frames_of

from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import UserError
from kprtrack.poses.topdown import TopDown, estimate_poses

BOXES = np.array([[20.0, 30.0, 80.0, 190.0], [100.0, 20.0, 180.0, 120.0]], np.float32)
SPOTS = ((50, 100), (150, 60))  # x y, one in each box


def layout(decode: str = "msra", skeleton: str = "coco", *, flip_test: bool = True) -> TopDown:
    return TopDown(192, 256, decode, skeleton, flip_test=flip_test, box_padding=1.25)


def image_with_spots() -> np.ndarray:
    """Spots wide enough to survive the scaling, soft enough to have one middle."""
    y, x = np.mgrid[:200, :240]
    spots = sum(np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / 50) for sx, sy in SPOTS)
    return np.repeat((255 * np.minimum(spots, 1)).astype(np.uint8)[..., None], 3, axis=-1)


def brightness(crops: np.ndarray) -> np.ndarray:
    """Heatmaps whose every channel is the crop's brightness, sampled where cell x stands for pixel 4x."""
    assert crops.dtype == np.uint8
    assert crops.flags.c_contiguous
    return np.repeat(crops[:, None, ::4, ::4, 0].astype(np.float32) / 255, 17, axis=1)


def brightness_between_centres(crops: np.ndarray) -> np.ndarray:
    """The same where the first and last cells stand for the first and last pixels, as UDP has it."""
    rows, columns = np.linspace(0, 255, 64).round().astype(int), np.linspace(0, 191, 48).round().astype(int)
    return np.repeat(crops[:, None, rows][..., columns, 0].astype(np.float32) / 255, 17, axis=1)


def people(boxes: np.ndarray) -> Detections:
    return Detections(boxes, np.ones(len(boxes), np.float32))


@pytest.mark.parametrize("flip_test", [True, False])
@pytest.mark.parametrize("decode", ["msra", "dark", "udp"])
def test_keypoints_are_at_the_spot_in_each_box(decode, flip_test):
    network = brightness_between_centres if decode == "udp" else brightness
    (poses,) = estimate_poses(
        frames_of([image_with_spots()]), [people(BOXES)], network, layout(decode, flip_test=flip_test), 16
    )
    # A heatmap cell is about 3 pixels of this frame.
    assert np.abs(poses.keypoints[:, :, :2] - np.array(SPOTS)[:, None]).max() < 2


def test_frames_without_people_have_no_poses():
    images = [image_with_spots()] * 4
    no_people = people(np.zeros((0, 4), np.float32))
    detections = [no_people, people(BOXES[:1]), no_people, people(BOXES)]
    assert [
        len(poses) for poses in estimate_poses(frames_of(images), detections, brightness, layout(), 16)
    ] == [
        0,
        1,
        0,
        2,
    ]


def test_the_network_is_not_run_without_people():
    no_people = people(np.zeros((0, 4), np.float32))
    (poses,) = estimate_poses(frames_of([image_with_spots()]), [no_people], lambda crops: 1 / 0, layout(), 16)
    assert len(poses) == 0


def test_people_of_several_frames_share_batches_of_the_given_size():
    sizes = []

    def network(crops: np.ndarray) -> np.ndarray:
        sizes.append(len(crops))
        return brightness(crops)

    estimate_poses(
        frames_of([image_with_spots()] * 3), [people(BOXES)] * 3, network, layout(flip_test=False), 4
    )
    assert sizes == [4, 2]


def test_batch_size_does_not_change_the_keypoints():
    images = [image_with_spots(), image_with_spots()[::-1]]
    detections = [people(BOXES), people(BOXES[::-1])]
    alone = estimate_poses(frames_of(images), detections, brightness, layout(), 1)
    together = estimate_poses(frames_of(images), detections, brightness, layout(), 16)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-5)


def test_confidence_is_the_maximum_clipped_to_one():
    for factor, expected in ((3.0, 1.0), (0.5, 0.5), (-1.0, 0.0)):
        (poses,) = estimate_poses(
            frames_of([np.full((200, 240, 3), 255, np.uint8)]),
            [people(BOXES)],
            lambda crops, factor=factor: np.full((len(crops), 17, 64, 48), factor, np.float32),
            layout(),
            16,
        )
        assert (poses.keypoints[..., 2] == np.float32(expected)).all()
        assert np.isfinite(poses.keypoints).all()


def test_ears_of_posetrack_have_confidence_zero():
    (poses,) = estimate_poses(
        frames_of([image_with_spots()]), [people(BOXES)], brightness, layout(skeleton="posetrack18"), 16
    )
    assert (poses.keypoints[:, 3:5, 2] == 0).all()
    assert (poses.keypoints[:, [0, 1, 2, 5], 2] > 0.5).all()


def test_a_network_output_of_nan_is_an_error():
    with pytest.raises(UserError, match="not finite"):
        estimate_poses(
            frames_of([image_with_spots()]),
            [people(BOXES)],
            lambda crops: brightness(crops) * np.nan,
            layout(),
            16,
        )


def test_an_unknown_decoding_is_an_error():
    with pytest.raises(UserError, match="decode is 'mrsa'; known: msra, dark, udp"):
        layout("mrsa")
