"""Who is meant in an image: by a click, a box, a mask, keypoints, or as the only person."""

import numpy as np
import pytest
from support.finding_cases import BOXES, ColourEncoder, FakePose, detector_of, mask_of, people_in, scene

from kprtrack.core.errors import UserError
from kprtrack.finding import PeopleInImage, PersonPrompt, PromptedPerson, embed_person, find_person

IMAGE = scene()


def found(prompt: PersonPrompt, *people: int, **options: float) -> PromptedPerson:
    return find_person(people_in(IMAGE, *people, **options), prompt)


def inside(points: np.ndarray, mask: np.ndarray) -> bool:
    x, y = points[points[..., 2] > 0][:, :2].astype(int).T
    return bool(mask[y, x].all())


@pytest.mark.parametrize(("click", "person"), [((40, 100), 1), ((100, 100), 2), ((250, 50), 3)])
def test_a_click_finds_the_person_and_the_others_are_negative(click: tuple, person: int) -> None:
    chosen = found(PersonPrompt([click]), 1, 2, 3)
    assert chosen.by == "pose"
    assert chosen.box.tolist() == list(BOXES[person])
    assert len(chosen.keypoints) == 3
    for points in chosen.keypoints[1:]:
        assert any(
            np.allclose(points[:, :2].mean(0)[0], (BOXES[o][0] + BOXES[o][2]) / 2, atol=9) for o in BOXES
        )


def test_where_boxes_overlap_the_limb_that_is_nearest_decides() -> None:
    narrow, wide = (62, 100), (78, 100)  # in both boxes: at the middle of 1, at its edge
    assert found(PersonPrompt([(50, 100)]), 1, 2).box.tolist() == list(BOXES[1])
    assert found(PersonPrompt([(90, 100)]), 1, 2).box.tolist() == list(BOXES[2])
    by_others = [
        found(PersonPrompt([click], [other]), 1, 2).box.tolist()
        for click in (narrow, wide)
        for other in ((30, 100), (110, 100))
    ]
    assert by_others == [list(BOXES[2]), list(BOXES[1])] * 2  # a click on the one means the other


def test_clicks_are_the_prompts_where_no_keypoint_is_confident() -> None:
    chosen = found(PersonPrompt([(40, 60), (40, 160)], [(100, 100)]), 1, 2, confidence=0.1)
    assert chosen.by == "clicks"
    assert set(map(tuple, chosen.keypoints[0].tolist())) == {(40, 60, 1), (40, 160, 1)}
    assert (100, 100, 1) in set(map(tuple, chosen.keypoints[-1].tolist()))


def test_clicks_are_the_prompts_where_the_pose_is_nearer_to_those_on_others() -> None:
    box = (20, 20, 120, 190)  # of two people; the pose in it is in the middle
    own, other = (25, 100), (70, 100)
    chosen = found(PersonPrompt([own], [other], box), 1, 2)
    assert chosen.by == "clicks"
    assert set(map(tuple, chosen.keypoints[0].tolist())) == {(*own, 1)}
    assert (*other, 1) in set(map(tuple, chosen.keypoints[-1].tolist()))
    assert found(PersonPrompt([other], [own], box), 1, 2).by == "pose"


def test_a_box_is_the_person_and_detections_elsewhere_are_negative() -> None:
    chosen = found(PersonPrompt(box=(22, 20, 78, 188)), 1, 2, 3)
    assert chosen.box.tolist() == [22, 20, 78, 188]
    assert len(chosen.keypoints) == 3  # 2 and 3 beside the person


def test_a_detection_that_overlaps_the_person_much_is_another_one_nevertheless() -> None:
    image, boxes = scene({1: (20, 20, 80, 190), 2: (30, 24, 90, 195)}), [(20, 20, 80, 190), (30, 24, 90, 195)]
    people = PeopleInImage(image, lambda: detector_of(boxes), FakePose)
    assert len(find_person(people, PersonPrompt([(25, 100)])).keypoints) == 2
    assert len(find_person(people, PersonPrompt(box=(21, 20, 79, 189))).keypoints) == 2


def test_a_mask_gives_points_inside_and_others_outside() -> None:
    chosen = found(PersonPrompt(mask=mask_of(1), other_masks=[mask_of(2)]), 3)
    assert chosen.by == "mask"
    assert chosen.box.tolist() == [20, 20, 80, 190]
    assert inside(chosen.keypoints[0], mask_of(1))
    assert inside(chosen.keypoints[1], mask_of(2))
    assert len(chosen.keypoints) == 2


def test_without_masks_of_others_detected_people_are_negative() -> None:
    chosen = found(PersonPrompt(mask=mask_of(1)), 1, 2, 3)
    assert len(chosen.keypoints) == 3
    assert not inside(chosen.keypoints[1:], mask_of(1))


def test_keypoints_are_taken_as_they_are_and_give_the_box() -> None:
    keypoints = np.zeros((2, 17, 3), np.float32)
    keypoints[0, [0, 15]] = (50, 30, 1), (60, 180, 1)
    keypoints[1, 5] = (100, 100, 1)
    chosen = found(PersonPrompt(keypoints=keypoints))
    assert chosen.by == "keypoints"
    assert (chosen.keypoints == keypoints).all()
    assert chosen.box.tolist() == [35, 15, 75, 195]


def test_the_only_person_needs_no_click_and_an_image_without_detections_is_one_person() -> None:
    assert found(PersonPrompt(), 3).box.tolist() == list(BOXES[3])
    assert found(PersonPrompt()).box.tolist() == [0, 0, 320, 200]


def test_without_prompts_the_pose_estimator_is_not_made() -> None:
    chosen = find_person(people_in(IMAGE, 1, 2, prompts=False), PersonPrompt([(100, 100)]))
    assert chosen.by == "clicks"
    assert chosen.box.tolist() == list(BOXES[2])


def test_the_prompts_decide_whose_colours_are_embedded() -> None:
    colours = [
        embed_person(IMAGE, found(prompt, 1, 2, 3), ColourEncoder()).features[0, 1].argmax()  # type: ignore
        for prompt in (
            PersonPrompt([(30, 100)]),
            PersonPrompt([(100, 100)]),
            PersonPrompt(mask=mask_of(1)),
            PersonPrompt(mask=mask_of(2)),
            PersonPrompt(box=(220, 10, 280, 180)),
        )
    ]
    assert colours == [0, 1, 0, 1, 2]  # red, green, red, green, blue


@pytest.mark.parametrize(
    ("prompt", "people", "reason"),
    [
        ({}, (1, 3), "shows 2 people: 50,105 250,95. Say who is meant: --click"),
        ({"clicks": [(150, 100)]}, (1, 3), "no person was detected at 150,100. There are people at 50,105"),
        ({"clicks": [(30, 50), (250, 50)]}, (1, 3), "no person was detected at 30,50 and 250,50"),
        ({"clicks": [(30, 50)]}, (), "None is in the image"),
        ({"clicks": [(320, 50)]}, (1,), "outside the image, which has 320 x 200"),
        ({"clicks": [(30, 50)], "not_clicks": [(1, -1)]}, (1,), "--not-click 1,-1 is outside"),
        ({"clicks": [(np.nan, 50)]}, (1,), "--click nan,50 is outside"),
        ({"box": (30, 50, 20, 60)}, (1,), "left, upper, right and lower"),
        ({"box": (30, 50, np.inf, 60)}, (1,), "left, upper, right and lower"),
        ({"box": (330, 50, 400, 60)}, (1,), "outside the image"),
        ({"mask": np.ones((9, 8), bool)}, (1,), "--mask has 8 x 9 pixels, the image 320 x 200"),
        ({"mask": np.zeros((200, 320), bool)}, (1,), "--mask is empty"),
        ({"mask": mask_of(1), "other_masks": [np.ones((9, 8), bool)]}, (1,), "--not-mask has 8 x 9"),
        ({"keypoints": np.zeros((1, 17, 3))}, (1,), "no keypoint inside the image"),
        ({"keypoints": np.full((1, 17, 3), 999.0)}, (1,), "no keypoint inside the image"),
        ({"keypoints": np.full((1, 9, 3), 1.0)}, (1,), "shape"),
    ],
)
def test_what_does_not_fit_is_one_line(prompt: dict, people: tuple[int, ...], reason: str) -> None:
    with pytest.raises(UserError) as caught:
        found(PersonPrompt(**prompt), *people)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "prompt",
    [
        {"other_masks": [mask_of(1)]},
        {"mask": mask_of(1), "keypoints": np.ones((1, 17, 3))},
        {"mask": mask_of(1), "clicks": [(1, 1)]},
        {"not_clicks": [(1, 1)]},
    ],
)
def test_choices_that_contradict_each_other_are_one_line(prompt: dict) -> None:
    with pytest.raises(UserError, match="--"):
        PersonPrompt(**prompt)
