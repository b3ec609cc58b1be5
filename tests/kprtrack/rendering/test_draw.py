"""People are annotated with stable colours, inside the image, on a copy."""

import colorsys
from itertools import combinations

import cv2
import numpy as np
import pytest
from support import tracks_cases

from kprtrack.rendering.draw import Trails, colour_of, draw_tracks


def tracks_of(boxes, ids, **values):
    return tracks_cases.tracks_of(dict(zip(ids, boxes, strict=True)), **values)


def black(width=320, height=240):
    return np.zeros((height, width, 3), np.uint8)


def count_of(image, colour):
    return int((image == colour).all(axis=-1).sum())


def is_like(pixel, colour):
    return np.abs(pixel.astype(int) - colour).max() < 30  # antialiasing


def test_an_id_has_one_colour_for_ever():
    assert [colour_of(i) for i in range(1, 50)] == [colour_of(i) for i in range(1, 50)]


def test_the_first_twelve_ids_have_distinct_colours():
    distances = [
        np.linalg.norm(np.subtract(colour_of(a), colour_of(b))) for a, b in combinations(range(1, 13), 2)
    ]
    assert min(distances) > 40


def test_ids_in_a_row_differ_in_lightness_for_the_colour_blind():
    rgb = np.array([[colour_of(i) for i in range(1, 200)]], np.float32) / 255
    lightness = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[0, :, 0]
    assert np.abs(np.diff(lightness)).min() > 10


def test_colours_are_strong():
    assert min(colorsys.rgb_to_hsv(*(np.array(colour_of(i)) / 255))[1] for i in range(1, 200)) > 0.25


def test_the_original_stays_as_it_was():
    image = black()
    annotated = draw_tracks(image, tracks_of([[50, 50, 120, 200]], [1]))
    assert not image.any()
    assert annotated.any()
    assert annotated.shape == image.shape
    assert annotated.dtype == np.uint8


def test_without_people_the_image_is_unchanged():
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    assert np.array_equal(draw_tracks(image, tracks_of([], []), Trails()), image)


def test_the_box_has_the_colour_of_the_id():
    annotated = draw_tracks(black(), tracks_of([[50, 50, 120, 200]], [7]))
    assert is_like(annotated[120, 50], colour_of(7))
    assert not annotated[120, 80].any()  # nothing inside without keypoints


@pytest.mark.parametrize(
    "box", [[0, 0, 60, 100], [280, 0, 400, 100], [-50, -80, 30, 20], [300, 220, 320, 240], [150, 2, 152, 4]]
)
def test_the_label_stays_inside_the_image(box):
    middle = draw_tracks(black(), tracks_of([[140, 80, 200, 180]], [8]))
    plate = count_of(middle[:79], colour_of(8))
    annotated = draw_tracks(black(), tracks_of([box], [8]))
    assert count_of(annotated, colour_of(8)) >= 0.8 * plate


def test_labels_of_people_in_one_place_stand_beside_each_other():
    box = [100, 100, 180, 220]
    both = draw_tracks(black(), tracks_of([box, box], [1, 2]))
    alone = draw_tracks(black(), tracks_of([box], [1]))
    assert count_of(both[:100], colour_of(1)) + count_of(both[:100], colour_of(2)) > 1.5 * count_of(
        alone[:100], colour_of(1)
    )


def test_uncertain_keypoints_are_not_drawn():
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 5], keypoints[0, 7] = (80, 100, 0.9), (80, 160, 0.9)  # left shoulder and elbow
    people = tracks_of([[50, 50, 120, 200]], [3], keypoints=keypoints)
    assert is_like(draw_tracks(black(), people)[130, 80], colour_of(3))
    keypoints[0, 7, 2] = 0.2
    assert not draw_tracks(black(), people)[130, 80].any()


def test_the_nearer_person_is_on_top():
    annotated = draw_tracks(black(), tracks_of([[40, 40, 120, 220], [80, 40, 160, 150]], [1, 2]))
    assert is_like(annotated[150, 120], colour_of(1))


def test_lines_grow_with_the_image():
    def box_width(scale):
        box = [50 * scale, 50 * scale, 120 * scale, 200 * scale]
        row = draw_tracks(black(320 * scale, 240 * scale), tracks_of([box], [1]))[150 * scale, : 80 * scale]
        return int(row.any(axis=-1).sum())

    assert box_width(8) > 2 * box_width(1)


def walk(trails, times_s):
    for time_s in times_s:
        tracks = tracks_of([[100 + 100 * time_s, 40, 120 + 100 * time_s, 140]], [5], time_s=time_s)
        trails.add(tracks)
    return tracks


def test_a_trail_follows_the_feet_and_fades():
    trails = Trails()
    tracks = walk(trails, np.arange(0, 1.5, 0.05))
    path = (draw_tracks(black(), tracks, trails).astype(int) - draw_tracks(black(), tracks))[140]
    strength = path.sum(axis=-1)
    assert 0 < strength[125] < strength[170] < strength[220]
    assert not strength[:105].any()


def test_a_trail_ends_after_its_length():
    trails = Trails(length_s=0.5)
    walk(trails, np.arange(0, 1.5, 0.05))
    assert trails.path(5)[0, 0] >= 0.95 - 1e-6


def test_trails_of_people_who_left_are_dropped():
    trails = Trails()
    walk(trails, [0.0, 0.1])
    trails.add(tracks_of([], [], time_s=9.0))
    assert len(trails.path(5)) == 0


def test_boxes_far_outside_do_no_harm():
    boxes = [[-1e6, -1e6, 1e6, 1e6], [5000, 5000, 5100, 5200]]
    assert draw_tracks(black(), tracks_of(boxes, [1, 123456789])).shape == (240, 320, 3)


def test_tiny_images_can_be_annotated():
    assert draw_tracks(black(8, 6), tracks_of([[1, 1, 6, 5]], [1])).shape == (6, 8, 3)
