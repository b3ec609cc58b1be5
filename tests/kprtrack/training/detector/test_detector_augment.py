"""Boxes and ignored regions stay where their people are, whatever the augmentation."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.detector_cases import draw_plots, person, tiny_config, write_annotations

from kprtrack.detectors.letterbox import letterbox
from kprtrack.detectors.yolox_network import cells
from kprtrack.training.annotations import corners_of
from kprtrack.training.degradations import WorseCamera, worsened
from kprtrack.training.detector.assign import cell_centres
from kprtrack.training.detector.augment import (
    DetectorAugment,
    Labels,
    LazyImage,
    example,
    plain_example,
    recoloured,
)
from kprtrack.training.detector.data import DetectorExamples, collate, ignored_cells
from reid.training.sampler import Draw

SIZE = 128
# Each person has a colour of its own that the ground, the padding and colourless changes never have.
COLOURS = ((0, 0, 255), (0, 255, 0), (255, 0, 0))
STILL = DetectorAugment(mixup=0, colour=0, least_visible=0, scale=(0.6, 1.6))


def scene(rng: np.random.Generator, *, ignored: bool = False) -> LazyImage:
    """Three coloured rectangles that do not touch, on grey; the last one is only known as a region."""
    width, height = (int(side) for side in rng.integers(120, 300, 2))
    image = np.full((height, width, 3), 90, np.uint8)
    boxes = []
    for place, colour in enumerate(COLOURS):
        x1 = place * width // 3 + int(rng.integers(2, 8))
        y1 = int(rng.integers(0, height // 2))
        x2, y2 = x1 + width // 5, y1 + int(rng.integers(30, height // 2))
        image[y1:y2, x1:x2] = colour
        boxes.append((x1, y1, x2, y2))
    people = np.float32(boxes[:2] if ignored else boxes)
    regions = (corners_of(boxes[2]),) if ignored else ()

    def read(coarse: int) -> np.ndarray:
        half = (-(-width // 2), -(-height // 2))
        return image if coarse == 1 else cv2.resize(image, half, interpolation=cv2.INTER_AREA)

    return LazyImage(read, width, height, Labels(people, np.ones(len(people), np.float32), regions))


def blobs(image: np.ndarray, colour: tuple[int, ...]) -> list[tuple[float, ...]]:
    """x1 y1 x2 y2 of each connected patch of the colour."""
    near = (np.abs(image.astype(int) - colour).max(2) < 90).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(near)
    return [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:count] if area >= 12]


def enclosed(blob: tuple[float, ...], boxes: np.ndarray, slack_px: float) -> bool:
    x1, y1, x2, y2 = blob
    lower, upper = (boxes[:, :2] - slack_px <= (x1, y1)).all(1), (boxes[:, 2:] + slack_px >= (x2, y2)).all(1)
    return bool((lower & upper).any())


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_a_box_still_encloses_its_person(mosaic: float) -> None:
    config = DetectorAugment(mixup=0, colour=0, mosaic=mosaic, least_visible=0, scale=(0.6, 1.6))
    seen = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        made = example(scene(rng), scene, SIZE, config, rng)
        # Slivers of a pixel or two are regions instead.
        regions = [np.concatenate((each.min(0), each.max(0))) for each in made.labels.ignore]
        known = np.concatenate((made.labels.boxes, np.float32(regions).reshape(-1, 4)))
        for colour in COLOURS:
            for blob in blobs(made.image, colour):
                assert enclosed(blob, known, 2)
                seen += 1
        assert made.labels.boxes.min(initial=0) >= 0 and made.labels.boxes.max(initial=0) <= SIZE
    assert seen > 40


def test_without_rotation_a_box_is_no_larger_than_its_person() -> None:
    config = DetectorAugment(mixup=0, colour=0, rotate_deg=0, shear_deg=0, scale=(0.6, 1.6), least_visible=0)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        made = example(scene(rng), scene, SIZE, config, rng)
        found = np.float32([blob for colour in COLOURS for blob in blobs(made.image, colour)]).reshape(-1, 4)
        for box in made.labels.boxes:
            if (box[2:] - box[:2]).min() > 6:
                assert np.abs(found - box).max(1).min() <= 2


def test_ignored_regions_follow_the_picture() -> None:
    seen = 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        made = example(scene(rng, ignored=True), lambda r: scene(r, ignored=True), SIZE, STILL, rng)
        regions = [np.concatenate((each.min(0), each.max(0))) for each in made.labels.ignore]
        for blob in blobs(made.image, COLOURS[2]):
            assert enclosed(blob, np.float32(regions), 2)
            seen += 1
    assert seen > 5


def test_who_is_nearly_out_of_sight_is_neither_person_nor_background() -> None:
    rng = np.random.default_rng(0)
    strict = DetectorAugment(mixup=0, colour=0, least_visible=1.0, scale=(1.5, 1.5))
    made = example(scene(rng), scene, SIZE, strict, rng)
    cut = [blob for colour in COLOURS for blob in blobs(made.image, colour) if SIZE in blob or 0 in blob]
    assert cut
    regions = np.float32([np.concatenate((each.min(0), each.max(0))) for each in made.labels.ignore])
    assert all(enclosed(blob, regions, 2) for blob in cut)


def test_mixup_shows_both_pictures_and_asks_for_both() -> None:
    rng = np.random.default_rng(4)
    alone = example(scene(np.random.default_rng(1)), scene, SIZE, STILL, np.random.default_rng(4))
    both = DetectorAugment(mixup=1, colour=0, least_visible=0, scale=(0.6, 1.6))
    mixed = example(scene(np.random.default_rng(1)), scene, SIZE, both, rng)
    np.testing.assert_array_equal(mixed.labels.boxes[: len(alone.labels.boxes)], alone.labels.boxes)
    assert len(mixed.labels.boxes) > len(alone.labels.boxes)


def test_a_plain_example_is_what_the_detector_will_see() -> None:
    example = scene(np.random.default_rng(2))
    made = plain_example(example, SIZE, DetectorAugment(flip=0, colour=0), np.random.default_rng(0))
    difference = np.abs(made.image.astype(int) - letterbox(example.read(1), SIZE, SIZE))
    # Two ways to interpolate; the last row and column of a cut-off size may differ.
    assert difference.mean() < 1.5
    ratio = SIZE / max(example.width, example.height)
    np.testing.assert_allclose(made.labels.boxes, example.labels.boxes * ratio, rtol=1e-5)


def test_colours_change_but_not_too_much() -> None:
    image = scene(np.random.default_rng(2)).read(1)
    changed = [recoloured(image, np.random.default_rng(seed)) for seed in range(8)]
    assert any((each != image).any() for each in changed)
    for each in changed:
        value = cv2.cvtColor(each, cv2.COLOR_BGR2HSV)[..., 2].astype(int)
        assert np.abs(value - cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 2]).max() <= 31


@pytest.mark.parametrize("fault", ["coarse", "blur", "noise", "grey", "jpeg"])
def test_a_worse_camera_changes_pixels_and_no_size(fault: str) -> None:
    image = scene(np.random.default_rng(2)).read(1)
    worse = worsened(image, WorseCamera(**{fault: 1.0}), np.random.default_rng(1))
    assert worse.shape == image.shape and worse.dtype == np.uint8 and (worse != image).any()
    assert worsened(image, WorseCamera(), np.random.default_rng(1)) is image


def test_cells_are_ignored_when_their_centre_lies_in_a_region() -> None:
    polygon = np.float32([(10, 5), (100, 20), (60, 110)])
    found = ignored_cells([polygon], SIZE)
    centres = cell_centres(cells(SIZE, SIZE)).numpy()
    distance = np.array([cv2.pointPolygonTest(polygon, tuple(map(float, c)), True) for c in centres])
    np.testing.assert_array_equal(found[np.abs(distance) > 1], distance[np.abs(distance) > 1] > 0)
    assert not ignored_cells([], SIZE).any()


def batch_of(annotations: Path, number: int, **changes: Any) -> Any:
    from kprtrack.training.annotations import read_annotations

    config = tiny_config(annotations, None, **changes)
    examples = DetectorExamples([read_annotations(annotations)], [1.0], config)
    made = [examples[Draw(place, 0, number, (1, 0, 4 * number + place))] for place in range(4)]
    return collate(made)


def test_a_batch_has_one_size_and_ten_batches_have_the_same(tmp_path: Path) -> None:
    annotations = draw_plots(tmp_path)
    shapes = [batch_of(annotations, number).images.shape for number in (0, 9, 10, 20, 30, 40)]
    assert shapes[0] == shapes[1]
    assert len(set(shapes)) > 1 and {side for shape in shapes for side in shape[1:3]} <= {64, 96}


def test_an_example_depends_on_its_place_alone(tmp_path: Path) -> None:
    annotations = draw_plots(tmp_path)
    one, again, other = (batch_of(annotations, number) for number in (3, 3, 4))
    assert torch.equal(one.images, again.images) and torch.equal(one.boxes, again.boxes)
    assert not torch.equal(one.images, other.images)


def test_boxes_of_a_doubtful_teacher_become_regions_and_others_weights(tmp_path: Path) -> None:
    draw_plots(tmp_path)
    images = [{"id": n, "file_name": f"{n}.png", "width": 120, "height": 90} for n in range(4)]
    boxes = [(10, 10, 30, 60), (60, 10, 30, 60), (0, 0, 120, 90), (200, 200, 9, 9)]
    scores = (0.9, 0.3, 0.1, 1.0)
    people = [person(n, 0, box, score=s) for n, (box, s) in enumerate(zip(boxes, scores, strict=True))]
    annotations = write_annotations(tmp_path / "teacher.json", images, people)
    changes = {"augment__mosaic": 0.0, "distil": {"full_score": 0.6, "ignore_below": 0.2}}
    batch = batch_of(annotations, 0, **changes)
    assert batch.counts == (2, 0, 0, 0)  # the last box lies outside the image
    assert batch.scores.tolist() == pytest.approx([1.0, 0.5])
    assert batch.ignored[0].any() and not batch.ignored[1:].any()
