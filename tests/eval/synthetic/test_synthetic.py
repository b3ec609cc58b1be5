"""The synthetic benchmark in memory: images agree with the ground truth."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from support.synthetic_cases import SMALL, TINY

from eval.synthetic.benchmark import SyntheticConfig, SyntheticFrame, scenes
from eval.synthetic.motion import PersonPlan
from eval.synthetic.scene import Scene
from eval.synthetic.shapes import PARTS
from kprtrack.core.errors import UserError
from kprtrack.core.geometry import iou
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS

_FACE = {"head"}
# Parts that may be visible at the pixel of a joint: those that meet there, and clothes over them.
_AT_JOINT = {
    **dict.fromkeys(KEYPOINTS[:5], _FACE),
    **{f"{s}_shoulder": {f"{s}_upper_arm", "torso", "head", "bag"} for s in ("left", "right")},
    **{f"{s}_elbow": {f"{s}_upper_arm", f"{s}_forearm"} for s in ("left", "right")},
    **{f"{s}_wrist": {f"{s}_forearm"} for s in ("left", "right")},
    **{f"{s}_hip": {"torso", f"{s}_thigh", f"{s}_forearm", "bag"} for s in ("left", "right")},
    **{f"{s}_knee": {"torso", f"{s}_thigh", f"{s}_shank"} for s in ("left", "right")},
    **{f"{s}_ankle": {f"{s}_shank", f"{s}_foot"} for s in ("left", "right")},
}


@pytest.fixture(scope="module")
def frames() -> list[SyntheticFrame]:
    return list(scenes(SMALL))


def _same(a: SyntheticFrame, b: SyntheticFrame) -> bool:
    names = ("image", "ids", "person_ids", "boxes", "keypoints", "posetrack", "mask", "parts", "visibility")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def test_the_same_settings_draw_the_same() -> None:
    assert all(_same(*pair) for pair in zip(scenes(TINY), scenes(TINY), strict=True))


def test_another_seed_draws_something_else() -> None:
    other = scenes(replace(TINY, seed=1))
    assert not any(np.array_equal(a.image, b.image) for a, b in zip(scenes(TINY), other, strict=True))


def test_more_sequences_leave_the_first_as_they_are() -> None:
    more = scenes(replace(TINY, sequences=2))
    assert all(_same(*pair) for pair in zip(scenes(TINY), more, strict=False))


def test_the_splits_have_different_people() -> None:
    people = [
        {int(p) for frame in scenes(replace(TINY, split=split)) for p in frame.person_ids}
        for split in ("train", "val")
    ]
    assert people[0].isdisjoint(people[1])


def test_visible_joints_lie_on_their_own_body_part(frames: list[SyntheticFrame]) -> None:
    right = total = 0
    for frame in frames:
        for track, pose in zip(frame.ids, frame.keypoints, strict=True):
            for name, (x, y, state) in zip(KEYPOINTS, pose, strict=True):
                if state != 2:
                    continue
                row, column = min(round(float(y)), SMALL.height - 1), min(round(float(x)), SMALL.width - 1)
                total += 1
                own = frame.mask[max(row, 0), max(column, 0)] == track
                right += own and PARTS[frame.parts[max(row, 0), max(column, 0)]] in _AT_JOINT[name]
    assert total > 500
    assert right / total > 0.95  # a thin limb at half the resolution may be missed by a pixel


def test_occluded_joints_have_positions_but_are_not_visible(frames: list[SyntheticFrame]) -> None:
    states = np.concatenate([frame.keypoints[..., 2].ravel() for frame in frames])
    assert {0, 1, 2} == set(states.tolist())
    for frame in frames:
        hidden = frame.keypoints[frame.keypoints[..., 2] == 1]
        assert ((hidden[:, :2] > -1) & (hidden[:, :2] < (SMALL.width, SMALL.height))).all()


def test_posetrack_joints_are_coco_s_where_both_have_them(frames: list[SyntheticFrame]) -> None:
    shared = [(POSETRACK_KEYPOINTS.index(name), KEYPOINTS.index(name)) for name in ("nose", *KEYPOINTS[5:])]
    for frame in frames:
        for posetrack, coco in shared:
            inside = frame.keypoints[:, coco, 2] > 0
            np.testing.assert_array_equal(
                frame.posetrack[inside, posetrack, :2], frame.keypoints[inside, coco, :2]
            )
        assert not frame.posetrack[:, 3:5].any()


def test_boxes_contain_all_joints_in_the_image_and_end_at_its_edge(frames: list[SyntheticFrame]) -> None:
    for frame in frames:
        assert (frame.boxes >= 0).all()
        assert (frame.boxes <= (SMALL.width, SMALL.height) * 2).all()
        for box, pose in zip(frame.boxes, frame.keypoints, strict=True):
            points = pose[pose[:, 2] > 0, :2]
            assert (points >= box[:2] - 1).all()
            assert (points <= box[2:] + 1).all()


def test_head_boxes_hold_nose_and_top_of_the_head(frames: list[SyntheticFrame]) -> None:
    rows = [POSETRACK_KEYPOINTS.index(name) for name in ("nose", "head_top")]
    for frame in frames:
        for box, pose in zip(frame.head_boxes, frame.posetrack[:, rows], strict=True):
            points = pose[pose.any(1), :2]
            assert (points >= box[:2] - 0.6).all()
            assert (points <= box[2:] + 0.6).all()


def test_masks_show_the_annotated_people_and_their_parts(frames: list[SyntheticFrame]) -> None:
    for frame in frames:
        assert set(np.unique(frame.mask)) - {0} == set(frame.ids)
        assert np.array_equal(frame.mask > 0, frame.parts > 0)
        counts = [np.count_nonzero(frame.mask == track) for track in frame.ids]
        areas = np.prod(frame.boxes[:, 2:] - frame.boxes[:, :2], axis=1)
        np.testing.assert_allclose(frame.visibility, counts / areas, rtol=1e-3)


def _pair(other: tuple[float, float], standing_x: float = 0.0) -> SyntheticFrame:
    """A person who stands 5.5 m from the camera, and another one at x and z in metres."""
    config = SyntheticConfig(3, frames=2, people=2, width=320, height=240)
    places = (standing_x, 5.5), other
    plans = [PersonPlan([(0.0, x, z), (1.0, x, z)]) for x, z in places]
    return Scene(config, 2, plans).frame(0)  # in a hall; no pan


@pytest.mark.parametrize("shift_m", [0.0, 0.15, 0.3, 0.45])
def test_the_visible_fraction_is_relative_to_the_person_alone(shift_m: float) -> None:
    alone = np.count_nonzero(_pair((90.0, 5.0)).mask == 1)
    frame = _pair((shift_m, 4.5))
    visible = np.count_nonzero(frame.mask == 1)
    assert 0 < visible < alone
    (row,) = np.flatnonzero(frame.ids == 1)
    assert frame.visible_fraction[row] == pytest.approx(visible / alone, abs=0.002)


def test_an_unoccluded_person_in_the_image_is_visible_completely() -> None:
    assert _pair((90.0, 5.0)).visible_fraction.tolist() == pytest.approx([1.0], abs=1e-6)


def test_the_part_outside_the_image_is_not_visible() -> None:
    whole = _pair((90.0, 5.0)).boxes[0]
    cut = _pair((90.0, 5.0), standing_x=-2.45)
    assert cut.boxes[0, 0] == 0 and 0 < cut.boxes[0, 2] < whole[2] - whole[0]
    inside = (cut.boxes[0, 2] - cut.boxes[0, 0]) / (whole[2] - whole[0])
    assert cut.visible_fraction[0] == pytest.approx(inside, abs=0.05)


def test_a_person_leaves_for_seconds_and_returns_with_the_same_id(frames: list[SyntheticFrame]) -> None:
    times_of_track = defaultdict(list)
    for frame in frames:
        for track in frame.ids.tolist():
            times_of_track[frame.sequence, track].append(frame.time_s)
    assert max(np.diff(times).max(initial=0) for times in times_of_track.values()) > 1.0


def test_two_people_embrace(frames: list[SyntheticFrame]) -> None:
    overlaps = [np.triu(iou(frame.boxes, frame.boxes), 1).max(initial=0) for frame in frames]
    assert sum(overlap > 0.4 for overlap in overlaps) >= 3


def _torso_colours(frames: list[SyntheticFrame]) -> dict[tuple[str, int], np.ndarray]:
    """The median colour of every person's trunk in every sequence."""
    pixels = defaultdict(list)
    for frame in frames:
        trunk = frame.parts == PARTS.index("torso")
        for track, person in zip(frame.ids, frame.person_ids, strict=True):
            pixels[frame.sequence, int(person)].append(frame.image[trunk & (frame.mask == track)])
    return {key: np.median(np.concatenate(found), axis=0) for key, found in pixels.items()}


def test_a_person_in_two_videos_has_the_same_appearance(frames: list[SyntheticFrame]) -> None:
    colours = _torso_colours(frames)
    first, second = (
        {person: colour for (name, person), colour in colours.items() if name == sequence}
        for sequence in sorted({frame.sequence for frame in frames})
    )
    shared = first.keys() & second.keys()
    assert len(shared) >= 2
    own = [np.abs(first[person] - second[person]).mean() for person in shared]
    others = [np.abs(first[a] - second[b]).mean() for a in first for b in second if a != b]
    assert np.mean(own) < 0.5 * np.mean(others)


def test_a_far_crowd_is_a_region_to_ignore(frames: list[SyntheticFrame]) -> None:
    with_crowd = {frame.sequence for frame in frames if frame.ignore_regions}
    assert len(with_crowd) == 1
    for region in (region for frame in frames for region in frame.ignore_regions):
        assert (region >= 0).all()
        assert (region <= (SMALL.width, SMALL.height)).all()


@pytest.mark.slow
def test_poses_are_annotated_in_the_middle_and_now_and_then() -> None:
    config = replace(SMALL, sequences=1, frames=50, width=128, height=96, labelled_every=4)
    rule = {*range(10, 40), *range(0, 50, 4)}
    frames = list(scenes(config))
    assert [f.number for f in frames if f.labelled] == [
        f.number for f in frames if f.number in rule and len(f.ids)
    ]
    assert sum(frame.labelled for frame in frames) > 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"people": 0}, "people is 0"),
        ({"split": "test"}, "'test'"),
        ({"fps": 0.0}, "fps"),
        ({"sequences": 2000}, "too many for a split"),
    ],
)
def test_invalid_settings_are_rejected(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SyntheticConfig(**change)


def test_the_same_seed_gives_the_same_ground_truth_on_every_machine(frames: list[SyntheticFrame]) -> None:
    frame = frames[20]
    boxes = [[149.1, 78.9, 187.9, 192.2], [152.0, 82.7, 189.5, 192.0], [223.3, 75.3, 250.9, 169.8]]
    assert frame.person_ids.tolist() == [5001, 5004, 5005]
    np.testing.assert_allclose(frame.boxes, boxes, atol=0.06)
    counts = np.bincount(frame.mask.ravel(), minlength=6)
    np.testing.assert_allclose(
        counts[[1, 4, 5]], [1293, 1456, 1579], atol=8
    )  # pixels at an edge may tip over
