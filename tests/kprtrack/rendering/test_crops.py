"""Crops follow a person smoothly and stay inside the image; mosaics keep everyone's place."""

import numpy as np
import pytest
from support.render_cases import FPS, HEIGHT, INFO, WIDTH, Figure, frames, tracks

from kprtrack.core.datatypes import empty_detections
from kprtrack.core.errors import UserError
from kprtrack.io import RunHeader, TrackFile
from kprtrack.rendering.crops import CropPath, cut
from kprtrack.rendering.options import RenderOptions
from kprtrack.rendering.people import people_of
from kprtrack.rendering.renderer import Renderer
from kprtrack.selection import PeopleSelection

COUNT = 40
NO_ONE = empty_detections()


def images(found, options, count=COUNT):
    renderer = Renderer(TrackFile(RunHeader(), found, True), INFO, options, None)
    made = [image for _, image in renderer.render(frames(count))]
    assert len(made) == count
    assert {image.shape for image in made} == {(*renderer.size[::-1], 3)}
    return made


def path_of(figure, aspect=0.75, *, jitter=0.0, present=lambda track_id, number: True):
    found = tracks({1: figure}, COUNT, present)
    random = np.random.default_rng(0)
    for each in found:
        each.boxes[:] += random.normal(0, jitter, each.boxes.shape) if jitter else 0
    return CropPath(people_of(found)[1], FPS, (WIDTH, HEIGHT), aspect)


def test_the_person_stays_in_the_crop():
    walker = Figure(60, speed=4)
    path = path_of(walker)
    for number in range(COUNT):
        left, top, width, height = path.window(number)
        x1, y1, x2, y2 = walker.box(number)
        assert (left <= max(x1, 0) and x2 <= left + width + 1e-6) or x2 > WIDTH
        assert top <= y1 and y2 <= top + height


def test_the_crop_has_no_delay():
    """In the middle of a uniform movement the person is in the middle."""
    walker = Figure(60, speed=4)
    left, _, width, _ = path_of(walker).window(20)
    x1, _, x2, _ = walker.box(20)
    assert left + width / 2 == pytest.approx((x1 + x2) / 2, abs=0.01)


def test_jitter_of_the_boxes_is_smoothed():
    numbers = range(10, 30)
    shaken = [path_of(Figure(140), jitter=4).window(number) for number in numbers]
    steps = np.abs(np.diff(np.array(shaken), axis=0))
    assert steps[:, :2].max() < 2.5  # of boxes that move by 4 pixels (standard deviation)
    assert steps[:, 3].max() < 1.5


def test_crops_stay_inside_the_image():
    for figure in (Figure(-30), Figure(300), Figure(-200, speed=15)):
        for aspect in (0.3, 0.75, 1, 3):
            path = path_of(figure, aspect)
            for number in range(-20, COUNT + 20, 3):
                left, top, width, height = path.window(number)
                assert (
                    left >= 0 and top >= 0 and left + width <= WIDTH + 1e-6 and top + height <= HEIGHT + 1e-6
                )
                assert width / height == pytest.approx(aspect)


def test_in_a_gap_the_crop_moves_to_where_the_person_comes_back():
    walker = Figure(60, speed=4)
    path = path_of(walker, present=lambda track_id, number: not 12 <= number < 28)
    middles = [path.window(number)[0] + path.window(number)[2] / 2 for number in range(COUNT)]
    assert (np.diff(middles) > 0).all()
    assert middles[20] == pytest.approx(60 + 4 * 20 + 20, abs=1)


@pytest.mark.parametrize("window", [(10.0, 20.0, 80.0, 60.0), (10.25, 20.5, 80.0, 60.0), (0, 0, 320, 240)])
def test_the_crop_shows_its_part_of_the_image(window):
    """On a ramp every pixel has the colour of its place."""
    ramp = np.stack(np.broadcast_arrays(np.arange(320)[None] / 2, np.arange(240)[:, None], 0), axis=2)
    left, top, width, height = window
    for size in ((80, 60), (160, 120), (40, 30)):
        part = cut(ramp.astype(np.uint8), window, size).astype(float)
        x = left + (np.arange(size[0]) + 0.5) * width / size[0] - 0.5
        y = top + (np.arange(size[1]) + 0.5) * height / size[1] - 0.5
        inner = slice(2, -2)
        np.testing.assert_allclose(part[inner, inner, 0].mean(axis=0), x[inner] / 2, atol=1)
        np.testing.assert_allclose(part[inner, inner, 1].mean(axis=1), y[inner], atol=1.1)


@pytest.mark.parametrize("size", [None, (90, 160), (641, 361)])
def test_a_followed_video_has_one_size_and_all_frames(size):
    found = tracks({1: Figure(60, speed=4), 2: Figure(200)}, COUNT, lambda track_id, number: number < 30)
    made = images(found, RenderOptions(follow=1, size=size))
    assert made[0].shape[:2] == (size[::-1] if size else (162, 122))


def test_a_mosaic_has_a_tile_for_each_person_who_is_there():
    found = tracks(
        {1: Figure(60), 2: Figure(200)}, COUNT, lambda track_id, number: track_id == 1 or number < 10
    )
    made = images(found, RenderOptions(mosaic=True))
    assert made[0].shape == (HEIGHT, WIDTH, 3)
    left, right = made[0][60:200, 20:140], made[0][60:200, 180:300]
    assert left.std() > 40 and right.std() > 40  # noise of the image
    assert made[30][60:200, 180:300].std() < 1 and made[30][60:200, 20:140].std() > 40


def test_a_mosaic_of_chosen_people_is_of_them_alone():
    found = tracks({1: Figure(60), 2: Figure(200), 3: Figure(130)}, COUNT)
    (one, *_) = images(found, RenderOptions(PeopleSelection(only=(3,)), mosaic=True, size=(120, 160)))
    assert one.shape == (160, 120, 3)
    assert one[40:, 5:110].std() > 40


def test_more_people_than_tiles_are_an_error():
    people = {number: Figure(10.0) for number in range(1, 200)}
    with pytest.raises(UserError, match=r"199 people do not fit into 320x240 pixels\. Choose fewer"):
        images(tracks(people, 1), RenderOptions(mosaic=True), 1)


def test_a_mosaic_without_people_is_an_error():
    with pytest.raises(UserError, match="no people to show"):
        images(tracks({}, 3), RenderOptions(mosaic=True), 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"follow": 1, "mosaic": True}, "--follow and --mosaic"),
        ({"size": (640, 480)}, "--size is for --follow and --mosaic"),
        ({"follow": 1, "size": (8, 480)}, "--size 8x480: both sides must be 32 to 8192"),
        ({"follow": 1, "people": PeopleSelection(main=2)}, "Leave out the other choices"),
        ({"blur": "head"}, "kind of blur"),
    ],
)
def test_options_that_exclude_each_other_are_errors(options, message):
    with pytest.raises(UserError, match=message):
        RenderOptions(**options)


def test_following_someone_unknown_is_an_error():
    with pytest.raises(UserError, match=r"There is no person 9 in the result\. Its IDs are: 1"):
        images(tracks({1: Figure(60)}, 2), RenderOptions(follow=9), 2)


def test_a_blurred_person_can_be_followed():
    found = tracks({1: Figure(60), 2: Figure(200)}, 5)
    renderer = Renderer(
        TrackFile(RunHeader(), found, True),
        INFO,
        RenderOptions(PeopleSelection(only=(1,)), blur="body", follow=1),
        lambda batch: [NO_ONE for _ in batch],
    )
    (image, *_) = [image for _, image in renderer.render(frames(5))]
    clear = images(found, RenderOptions(follow=1), 5)[0]
    assert image[40:120, 40:80].std() < 0.5 * clear[40:120, 40:80].std()
