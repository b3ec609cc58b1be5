"""The parts of the synthetic benchmark: bodies, tubes, appearances."""

import numpy as np
import pytest

from eval.synthetic.body import Build, Motion, move, stride_m
from eval.synthetic.drawing import PARTS_PER_PERSON, Canvas, Light, Tube, draw_tube
from eval.synthetic.patterns import PATTERNS, Paint
from eval.synthetic.people import appearance_of

_BUILD = Build(1.8, 1.0, 1.0)
_LIGHT = Light((0.0, 0.6, 0.8))


def _walk(seconds: float = 2.0, speed: float = 1.3) -> dict[str, np.ndarray]:
    """Return the joints of a person who walks to the right, at 50 frames per second."""
    times = np.arange(0, seconds, 0.02)
    one = np.ones_like(times)
    place = np.stack((speed * times, 6 * one), axis=1)
    phase = speed * times / stride_m(_BUILD.height_m, one)
    still = 0 * one
    motion = Motion(place, np.pi / 2 * one, phase, one, np.zeros((len(one), 2, 4)), still, still, still)
    return move(motion, _BUILD)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "bone", [("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")]
)
def test_bones_keep_their_length(side: str, bone: tuple[str, str]) -> None:
    joints = _walk()
    lengths = np.linalg.norm(joints[f"{side}_{bone[0]}"] - joints[f"{side}_{bone[1]}"], axis=1)
    assert np.ptp(lengths) < 1e-3


def test_a_walker_stands_on_the_ground_and_has_the_configured_height() -> None:
    joints = _walk()
    feet = [joints[f"{side}_{end}"][:, 1] for side in ("left", "right") for end in ("heel", "toe")]
    np.testing.assert_allclose(np.min(feet, axis=0), 0, atol=1e-4)
    assert abs(joints["head_top"][:, 1].max() / _BUILD.height_m - 1) < 0.03


def test_the_standing_foot_hardly_slides() -> None:
    joints = _walk()
    speeds = [np.abs(np.gradient(joints[f"{side}_ankle"][:, 0], 0.02)) for side in ("left", "right")]
    slower = np.minimum(*speeds)
    assert np.median(slower) < 0.35  # the body moves at 1.3 m/s


def test_left_arm_swings_with_the_right_leg() -> None:
    joints = _walk()
    arm = joints["left_wrist"][:, 0] - joints["pelvis"][:, 0]
    legs = [joints[f"{side}_ankle"][:, 0] - joints["pelvis"][:, 0] for side in ("left", "right")]
    assert np.corrcoef(arm, legs[1])[0, 1] > 0.6 > 0 > np.corrcoef(arm, legs[0])[0, 1]


def _canvas() -> Canvas:
    size = 40, 40
    return Canvas(np.zeros((*size, 3), np.uint8), np.full(size, 1e6, np.float32), np.zeros(size, np.uint16))


def _tube(depth_m: float, part: int) -> Tube:
    ends = np.array([20.0, 10.0, depth_m]), np.array([20.0, 30.0, depth_m])
    return Tube(*ends, 6.0, 5.0, 0.1, part, Paint((200, 100, 50)))


def test_nearer_surfaces_occlude_farther_ones_in_any_drawing_order() -> None:
    images = []
    for order in ((1, 2), (2, 1)):
        canvas = _canvas()
        for owner in order:
            draw_tube(canvas, _tube(5.0 - owner, owner), owner, _LIGHT)
        images.append(canvas)
    assert set(np.unique(images[0].owner)) == {0, 2 * PARTS_PER_PERSON + 2}
    assert np.array_equal(images[0].owner, images[1].owner)
    assert np.array_equal(images[0].colour, images[1].colour)


def test_a_tube_outside_the_canvas_changes_nothing() -> None:
    canvas = _canvas()
    far = np.array([500.0, 10.0, 3.0])
    draw_tube(canvas, Tube(far, far, 5.0, 5.0, 0.1, 1, Paint((1, 2, 3))), 1, _LIGHT)
    assert not canvas.owner.any()


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_every_pattern_can_be_drawn(pattern: str) -> None:
    canvas = _canvas()
    tube = _tube(3.0, 1)
    paint = Paint((200, 100, 50), (20, 40, 220), pattern, cut=0.8, under=(90, 60, 40), number=7)
    draw_tube(canvas, Tube(tube.start, tube.end, 6.0, 5.0, 0.1, 1, paint), 1, _LIGHT)
    assert canvas.colour[canvas.owner > 0].min() > 0


def test_appearance_depends_on_the_identity_alone() -> None:
    assert appearance_of(7, 0) == appearance_of(7, 0)
    assert appearance_of(7, 0) != appearance_of(8, 0)
    assert appearance_of(7, 0) != appearance_of(7, 1)


def test_team_mates_share_the_kit_and_nothing_else() -> None:
    one, two = appearance_of(1, 0), appearance_of(2, 0)
    assert one.shirt.colour == two.shirt.colour
    assert one.legs.colour == two.legs.colour
    assert (one.head, one.build) != (two.head, two.build)
