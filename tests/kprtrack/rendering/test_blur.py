"""Who is blurred is blurred in every frame: in gaps, around them, and where the identity is uncertain."""

import numpy as np
import pytest
from support.render_cases import FPS, Figure, changed, tracks

from kprtrack.core.datatypes import Detections, Tracks
from kprtrack.core.errors import UserError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.rendering.blur import CELLS, blur_bodies, blur_faces
from kprtrack.rendering.blur_plan import BlurPlan
from kprtrack.rendering.options import RenderOptions
from kprtrack.selection import PeopleSelection

COUNT = 12
LEFT, RIGHT, MIDDLE = Figure(20), Figure(250), Figure(140)
PAIR = {1: LEFT, 2: RIGHT}


def blur(kind="face", **people):
    return RenderOptions(PeopleSelection(**people), blur=kind)


def is_hidden(mask, figure, number):
    """Whether the whole head has changed; of noise a few pixels keep their colour by chance."""
    return mask[figure.head(number)].mean() > 0.98


def is_untouched(mask, figure, number):
    return not mask[figure.head(number)].any()


def test_all_people_are_blurred_without_a_choice():
    for number, mask in enumerate(changed(tracks(PAIR, COUNT), blur(), COUNT)):
        assert is_hidden(mask, LEFT, number) and is_hidden(mask, RIGHT, number)
        assert not mask[120:].any()  # the bodies stay


@pytest.mark.parametrize("people", [{"exclude": (2,)}, {"only": (1,)}])
def test_people_are_blurred_by_identity(people):
    for number, mask in enumerate(changed(tracks(PAIR, COUNT), blur(**people), COUNT, [LEFT, RIGHT])):
        assert is_hidden(mask, LEFT, number) and is_untouched(mask, RIGHT, number)


def test_the_body_is_blurred_with_a_margin():
    for mask in changed(tracks(PAIR, COUNT), blur("body", only=(1,)), COUNT):
        assert mask[58:182, 18:62].mean() > 0.98
        assert not mask[:, 80:].any()


@pytest.mark.parametrize("confidence", [0.0, 0.2])
def test_without_certain_keypoints_the_upper_part_is_blurred(confidence):
    found = tracks({1: LEFT}, COUNT, confidence=confidence)
    for number, mask in enumerate(changed(found, blur(), COUNT)):
        assert is_hidden(mask, LEFT, number)


@pytest.mark.parametrize(("height", "whole"), [(149, True), (151, False)])
def test_of_small_people_the_whole_upper_part_is_blurred(height, whole):
    """Small faces may be those of the next person: the head of a person beside them is hidden, too."""
    box = np.float32([[100, 50, 100 + height / 3, 50 + height]])
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, :5] = [[112, 60, 0.9], [114, 58, 0.9], [110, 58, 0.9], [116, 59, 0.9], [108, 59, 0.9]]
    one = np.full(1, np.nan, np.float32)
    found = Tracks(
        *(0, 0.0, np.array([1]), box, np.float32([0.9]), keypoints, one, one),
        *(np.ones((1, 1), bool), np.ones(1, bool)),
    )
    plan = BlurPlan([found], PeopleSelection(), "face", fps=FPS, names=KEYPOINTS)
    (region,) = plan.regions(0)
    covers = region[0] <= 100 and region[2] >= 100 + height / 3 and region[3] >= 50 + height / 3
    assert covers == whole


@pytest.mark.parametrize("missing", [range(4, 8), range(3, 11), range(4), range(8, 12)])
def test_gaps_and_ends_of_a_track_are_blurred_along_the_way(missing):
    """In gaps of 0.4 and 0.8 s, and 0.4 s before the first and after the last box."""
    walker = Figure(60, speed=2)
    found = tracks({1: walker}, COUNT, lambda track_id, number: number not in missing)
    for number, mask in enumerate(changed(found, blur(), COUNT)):
        assert is_hidden(mask, walker, number), number


def test_a_person_who_has_left_for_long_leaves_no_blur():
    found = tracks({1: LEFT}, 40, lambda track_id, number: number < 5 or number >= 35)
    masks = changed(found, blur(), 40)
    assert not any(mask.any() for mask in masks[11:29])
    assert is_hidden(masks[7], LEFT, 7) and is_hidden(masks[32], LEFT, 32)


def test_people_without_a_track_are_blurred_where_only_some_are_excluded():
    masks = changed(tracks(PAIR, COUNT), blur(exclude=(2,)), COUNT, [LEFT, RIGHT, MIDDLE])
    assert all(is_hidden(mask, MIDDLE, number) for number, mask in enumerate(masks))
    assert all(is_untouched(mask, RIGHT, number) for number, mask in enumerate(masks))


def test_people_without_a_track_stay_where_the_blurred_ones_are_named():
    masks = changed(tracks(PAIR, COUNT), blur(only=(1,)), COUNT, [LEFT, RIGHT, MIDDLE])
    assert all(is_untouched(mask, MIDDLE, number) for number, mask in enumerate(masks))


def test_a_detection_where_a_named_person_is_missing_is_blurred():
    """The person turned aside, 15 pixels from where the track ended."""
    found = tracks({1: LEFT, 2: RIGHT}, COUNT, lambda track_id, number: track_id == 2 or number < 6)
    aside = Figure(35)
    masks = changed(found, blur(only=(1,)), COUNT, [aside, RIGHT])
    assert all(is_hidden(masks[number], aside, number) for number in range(6, 11))


def test_everyone_is_blurred_in_frames_beyond_the_tracks():
    found = tracks(PAIR, COUNT)[3:6]
    masks = changed(found, blur(only=(1,)), COUNT, [LEFT, RIGHT, MIDDLE])
    for number in (0, 1, 7, 11):
        assert is_hidden(masks[number], MIDDLE, number)


def test_a_track_that_begins_where_a_blurred_one_ends_is_blurred_too():
    people = {1: LEFT, 2: RIGHT, 3: LEFT, 4: RIGHT}
    ids = {1: range(5), 2: range(5), 3: range(6, 12), 4: range(6, 12)}
    found = tracks(people, COUNT, lambda track_id, number: number in ids[track_id])
    masks = changed(found, blur(only=(1,)), COUNT)
    assert all(is_hidden(mask, LEFT, number) for number, mask in enumerate(masks))
    assert all(is_untouched(mask, RIGHT, number) for number, mask in enumerate(masks))


def test_a_detection_of_low_score_inside_an_excluded_person_is_a_part_of_this_one():
    part = np.array([[252, 90, 280, 150]], np.float32)
    found = tracks(PAIR, COUNT)
    plan = BlurPlan(found, PeopleSelection(exclude=(2,)), "face", fps=FPS, names=KEYPOINTS)
    for score, count in ((0.2, 0), (0.5, 1)):
        detections = Detections(part, np.array([score], np.float32))
        assert len(plan.unknown_regions(5, detections)) == count


def test_the_only_person_may_be_excluded():
    masks = changed(tracks({1: LEFT}, COUNT), blur(exclude=(1,)), COUNT, [LEFT, MIDDLE])
    for number, mask in enumerate(masks):
        assert is_untouched(mask, LEFT, number) and is_hidden(mask, MIDDLE, number)


def test_an_unknown_id_is_an_error():
    with pytest.raises(UserError, match=r"There is no person 7 in the result\. Its IDs are: 1, 2"):
        changed(tracks(PAIR, 2), blur(exclude=(7,)), 2)


def test_without_any_track_all_detections_are_blurred():
    for number, mask in enumerate(changed([], blur(), COUNT, [MIDDLE])):
        assert is_hidden(mask, MIDDLE, number)


def test_a_person_at_the_edge_and_beyond_is_blurred():
    walker = Figure(290, speed=6)  # leaves the image
    found = tracks({1: walker}, COUNT)
    masks = changed(found, blur(), COUNT)
    assert all(is_hidden(masks[number], walker, number) for number in range(3))
    assert not masks[-1].any() or masks[-1][:, 300:].any()


def test_nothing_but_mean_colours_is_left():
    """Images whose pixels are shuffled within each cell give the same result, so it cannot be undone."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    width, height = 10, 15  # of a cell
    shuffled, box = image.copy(), np.array([50.0, 40.0, 50 + CELLS * width, 40 + CELLS * height])
    for row in range(CELLS):
        for column in range(CELLS):
            y, x = 40 + row * height, 50 + column * width
            pixels = image[y : y + height, x : x + width].reshape(-1, 3)
            shuffled[y : y + height, x : x + width] = random.permutation(pixels).reshape(height, width, 3)
    assert not np.array_equal(shuffled, image)
    results = [image.copy(), shuffled]
    for each in results:
        blur_bodies(each, [box])
    assert np.array_equal(*results)
    assert np.array_equal(results[0][:40], image[:40]) and np.array_equal(results[0][:, :50], image[:, :50])


@pytest.mark.parametrize(("side", "most"), [(3, 1), (11, 1), (13, 4), (200, 16)])
def test_small_regions_have_fewer_cells(side, most):
    """Of an image with one pixel that differs, at most one cell differs: no cell is below 6 pixels."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[100, 100] = 255
    blur_bodies(image, [np.array([100.0, 100.0, 100 + side, 100 + side])])
    assert image.max() <= 255 / (side * side / most) + 1


def test_the_ellipse_fills_its_box():
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    blurred = image.copy()
    blur_faces(blurred, [np.array([100.0, 80.0, 160.0, 160.0])])
    mask = (blurred != image).any(axis=2)
    assert mask[80:160, 100:160].mean() > 0.9
    assert mask[120, 98:162].all() and mask[76:164, 130].all()
    assert not mask[:73].any() and not mask[167:].any()


@pytest.mark.parametrize(
    "box", [[-50, -50, -10, -10], [99, 9, 500, 20], [-1e6, -1e6, 1e6, 1e6], [5, 5, 5, 5]]
)
def test_boxes_outside_and_of_any_size_do_no_harm(box):
    image = np.full((24, 32, 3), 7, np.uint8)
    blur_faces(image, [np.array(box, np.float64)])
    blur_bodies(image, [np.array(box, np.float64)])
    assert (image == 7).all()


@pytest.mark.parametrize(("score", "clear"), [(0.2, True), (0.5, False)])
def test_a_group_of_low_score_does_not_hide_the_head_of_an_excluded_person(score, clear):
    """A detection that covers the excluded person and the one beside is no third person."""

    def detect(batch):
        box = np.array([[100, 50, 210, 185]], np.float32)
        return [Detections(box, np.array([score], np.float32)) for _ in batch]

    found = tracks({1: LEFT, 2: MIDDLE}, COUNT)
    options = blur(exclude=(2,))
    for number, mask in enumerate(changed(found, options, COUNT, detect=detect)):
        assert is_untouched(mask, MIDDLE, number) == clear
        assert mask[60:84, 104:120].mean() > 0.9  # beside the head it is blurred
