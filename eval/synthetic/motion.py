"""Who goes where and meets whom: the stories that a sequence tells, and the motion they give."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from eval.synthetic.body import Motion, stride_m

Knot = tuple[float, float, float]  # seconds, x, z in metres
_SMOOTH_S = 0.5  # paths and turns are rounded over so long
_SLOW, _FAST = 0.25, 1.1  # m/s, from where a step is hinted at, and where it is full

# [2, 4] radians of both arms: forward, outward, bend of the elbow, forearm inward.
_GESTURES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "hug": ((1.05, 0.5, 0.35, 1.45), (1.3, 0.45, 0.3, 1.35)),
    "phone": ((0.0, 0.1, 0.25, 0.2), (0.55, 0.15, 1.75, 0.35)),
    "folded": ((0.45, 0.2, 1.2, 1.15), (0.4, 0.2, 1.25, 1.1)),
    "wave": ((0.0, 0.12, 0.2, 0.1), (0.4, 1.5, 0.3, -1.3)),
    "hips": ((-0.35, 0.75, 1.0, 0.9), (-0.35, 0.75, 1.0, 0.9)),
    "talk": ((0.2, 0.15, 1.3, 0.0), (0.1, 0.1, 0.5, 0.1)),
    "carry": ((0.0, 0.1, 0.2, 0.1), (0.1, 0.12, 1.5, 0.2)),
}


@dataclass(frozen=True)
class Action:
    """What somebody does with the arms, from when to when."""

    start_s: float
    end_s: float
    gesture: str  # a key of _GESTURES
    facing: float | None = None  # yaw meanwhile, radians; None keeps that of the walk


@dataclass(frozen=True)
class Role:
    """One person's part in a story."""

    knots: list[Knot]
    acts: list[Action] = field(default_factory=list)


@dataclass(frozen=True)
class Stage:
    """What a story must know of the place: where the picture ends and what one can hide behind."""

    duration_s: float
    half_view: float  # metres seen to each side, for each metre of depth
    half_swept: float  # the same, when the camera has panned furthest
    hideouts: tuple[tuple[float, float, float], ...]  # x, z, half width in metres
    rng: np.random.Generator

    def edge(self, z: float) -> float:
        """How far to the side a person must be, at this depth, to be out of the picture."""
        return self.half_swept * z + 0.7

    def clear(self, z: float) -> float:
        """A place from left to right at this depth where nothing hides what happens."""
        side = -np.sign(self.hideouts[0][0]) if self.hideouts else self.rng.choice([-1, 1])
        return float(side * self.rng.uniform(0.0, 0.5) * self.half_view * z)


Story = Callable[[Stage, float], list[Role]]


def play(roles: list[Role], stage: Stage, times_s: np.ndarray, heights_m: list[float]) -> list[Motion]:
    """The motion of every role; times_s: [F] evenly spaced."""
    return [_motion(*pair, stage, times_s) for pair in zip(roles, heights_m, strict=True)]


def cast_stories(count: int, stage: Stage, first: int) -> list[Role]:
    """`count` roles of stories taken in turn, beginning with the `first`; each has its own depth."""
    taken: list[Story] = []
    free, turn = count, first
    while free:
        story, people = _STORIES[turn % len(_STORIES)]
        turn += 1
        if people <= free:
            taken.append(story)
            free -= people
    lanes = np.linspace(4.5, 8.2, max(len(taken), 2))[: len(taken)]
    stage.rng.shuffle(lanes)
    return [role for story, lane in zip(taken, lanes, strict=True) for role in story(stage, float(lane))]


def stand_about(x: float, z: float, yaw: float) -> Motion:
    """One frame of somebody who stands there."""
    one = np.ones(1)
    return Motion(
        np.array([[x, z]]), yaw * one, 0 * one, 0 * one, np.zeros((1, 2, 4)), 0 * one, 0.02 * one, 0 * one
    )


def _walk(stage: Stage, meet: Knot, velocity: tuple[float, float]) -> list[Knot]:
    """The knots of a straight walk all through the sequence, at `meet` on time."""
    time, x, z = meet
    return [(t, x + velocity[0] * (t - time), z + velocity[1] * (t - time)) for t in (0.0, stage.duration_s)]


def _crossing(stage: Stage, z: float) -> list[Role]:
    middle, x = stage.duration_s * 0.5, stage.clear(z)
    a, b = stage.rng.uniform(1.0, 1.5, 2)
    return [
        Role(_walk(stage, (middle, x, z), (a, 0.06))),
        Role(_walk(stage, (middle, x, z + 0.75), (-b, 0.0))),
    ]


def _together(stage: Stage, z: float) -> list[Role]:
    speed = float(stage.rng.choice([-1, 1]) * stage.rng.uniform(0.9, 1.2))
    middle = stage.duration_s * 0.5
    return [
        Role(_walk(stage, (middle, offset, z + depth), (speed, -0.08)), acts)
        for offset, depth, acts in (
            (0.0, 0.0, []),
            (0.18, 0.6, [Action(0.2 * stage.duration_s, 0.8 * stage.duration_s, "talk")]),
        )
    ]


def _hug(stage: Stage, z: float) -> list[Role]:
    """They walk up to each other, embrace for a while, and part in the directions they came from or go on."""
    start, end = stage.duration_s * 0.34, stage.duration_s * 0.62
    x = stage.clear(z)
    tilt = float(stage.rng.uniform(-0.5, 0.5))
    gap = np.array([np.cos(tilt), np.sin(tilt)]) * 0.17
    roles = []
    for sign, onward in ((-1, 1), (1, -1)):
        stop = np.array([x, z]) + sign * gap
        come = stop + np.array((sign * 1.25 * start, 0.3 * sign))
        passing = stop + np.array((onward * 0.1, -0.4 * sign))
        leave = passing + np.array((onward * 1.2 * (stage.duration_s - end), 0.0))
        facing = float(np.arctan2(-sign * gap[0], -sign * gap[1]))
        knots = [
            (0.0, *come),
            (start, *stop),
            (end, *stop),
            (end + 0.5, *passing),
            (stage.duration_s, *leave),
        ]
        roles.append(Role(knots, [Action(start - 0.35, end, "hug", facing)]))
    return roles


def _leave_and_return(stage: Stage, z: float) -> list[Role]:
    side = float(stage.rng.choice([-1, 1]))
    leave, back = stage.duration_s * 0.3, stage.duration_s * 0.62
    edge, nearer = stage.edge(z), z + 0.9
    speed = 1.3
    outside = edge + min(speed * (back - leave) / 2, 1.5)
    knots = [
        (0.0, side * (edge - speed * leave), z),
        (leave, side * edge, z),
        ((leave + back) / 2, side * outside, (z + nearer) / 2),
        (back, side * stage.edge(nearer), nearer),
        (stage.duration_s, side * (stage.edge(nearer) - speed * (stage.duration_s - back)), nearer),
    ]
    return [Role(knots)]


def _hide(stage: Stage, z: float) -> list[Role]:
    """Walks behind something, waits there unseen, and comes out."""
    if not stage.hideouts:
        return _crossing(stage, z)[:1]
    x, near, half = stage.hideouts[0]
    z = max(z, near + 0.9)
    x *= z / near  # behind it as the camera sees it
    start, end = stage.duration_s * 0.36, stage.duration_s * 0.58
    way = -1.0 if x > 0 else 1.0
    slow = min(half * 0.5, 0.2)
    knots = [
        (0.0, x - way * (1.15 * start + slow), z),
        (start, x - way * slow, z),
        (end, x + way * slow, z),
        (stage.duration_s, x + way * (1.15 * (stage.duration_s - end) + slow), z),
    ]
    return [Role(knots)]


def _toward(stage: Stage, z: float, *, away: bool = False) -> list[Role]:
    far = min(z + 1.1 * stage.duration_s, 9.5)
    near = max(z - 0.8, 4.2)
    x = stage.clear(near)
    ends = [(far, x * far / near), (near, x)]
    (z0, x0), (z1, x1) = reversed(ends) if away else ends
    # Distances are kept to what can be walked; a short sequence shows a part of the way.
    share = min(1.0, 1.4 * stage.duration_s / max(abs(far - near), 0.1))
    return [Role([(0.0, x0, z0), (stage.duration_s, x0 + (x1 - x0) * share, z0 + (z1 - z0) * share)])]


def _away(stage: Stage, z: float) -> list[Role]:
    return _toward(stage, z, away=True)


def _chat(stage: Stage, z: float) -> list[Role]:
    x = stage.clear(z)
    leave = stage.duration_s * 0.7
    way = float(np.sign(x) or 1)
    left = [(0.0, x - 0.45, z), (stage.duration_s, x - 0.45, z)]
    right = [(0.0, x + 0.45, z + 0.2), (leave, x + 0.45, z + 0.2)]
    goes = [(stage.duration_s, x + 0.45 + way * 1.3 * (stage.duration_s - leave), z + 1.0)]
    return [
        Role(left, [Action(-1, leave, "talk", 1.2), Action(leave, stage.duration_s + 1, "wave", way * 1.2)]),
        Role(right + goes, [Action(-1, leave, "folded", -1.7)]),
    ]


def _stand(stage: Stage, z: float) -> list[Role]:
    x = stage.clear(z)
    gesture = str(stage.rng.choice(["phone", "hips", "folded"]))
    facing = float(np.pi + stage.rng.uniform(-0.9, 0.9))
    half = stage.duration_s * 0.55
    knots = [(0.0, x, z), (stage.duration_s, x, z)]
    return [
        Role(
            knots,
            [Action(-1, half, gesture, facing), Action(half, stage.duration_s + 1, "phone", facing + 1.6)],
        )
    ]


# With how many people it takes; five people see a hug, a return, a hiding and somebody who comes nearer.
_STORIES: tuple[tuple[Story, int], ...] = (
    *((_hug, 2), (_leave_and_return, 1), (_hide, 1), (_toward, 1)),
    *((_crossing, 2), (_together, 2), (_stand, 1), (_chat, 2), (_leave_and_return, 1), (_away, 1)),
)


def _motion(role: Role, height_m: float, stage: Stage, times_s: np.ndarray) -> Motion:
    """Follow the knots with rounded corners; the phase of the gait follows the way, so feet do not slide."""
    fine = np.arange(-1.0, times_s[-1] + 1.0, 1 / 50)
    knots = np.array(role.knots)
    place = np.stack([_extended(fine, knots[:, 0], knots[:, axis]) for axis in (1, 2)], axis=1)
    place = _rounded(place, _SMOOTH_S)
    velocity = np.gradient(place, 1 / 50, axis=0)
    speed = np.hypot(*velocity.T)
    swing = _rounded(np.clip((speed - _SLOW) / (_FAST - _SLOW), 0, 1)[:, None], 0.3)[:, 0]
    swing = np.where(speed > 0.05, np.maximum(swing, 0.25 * np.minimum(speed / _SLOW, 1)), swing)
    steps = speed / stride_m(height_m, swing) / 50
    phase = np.cumsum(steps) + stage.rng.uniform()
    heading = _heading(role, fine, velocity, speed)
    arms, gesture = _arms(role, fine)
    look_about = 0.35 * np.sin(2 * np.pi * (fine / stage.rng.uniform(3, 6) + stage.rng.uniform()))
    lean = 0.03 + 0.05 * swing
    at = np.searchsorted(fine, times_s - 1e-6).clip(0, len(fine) - 1)
    columns = (heading, phase, swing, arms, gesture, lean, look_about * (1 - 0.6 * gesture))
    return Motion(place[at], *(column[at] for column in columns))


def _extended(times: np.ndarray, knot_times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear between knots and on past both ends, so that rounding does not slow the ends down."""
    result = np.interp(times, knot_times, values)
    for outside, (a, b) in ((times < knot_times[0], (0, 1)), (times > knot_times[-1], (-1, -2))):
        slope = (values[b] - values[a]) / (knot_times[b] - knot_times[a])
        result[outside] = values[a] + slope * (times[outside] - knot_times[a])
    return result


def _rounded(values: np.ndarray, over_s: float) -> np.ndarray:
    """[F, D] smoothed over time."""
    reach = max(1, round(over_s * 25))
    kernel = np.hanning(2 * reach + 3)[1:-1]
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    columns = [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T]
    return np.stack(columns, axis=1)


def _heading(role: Role, times: np.ndarray, velocity: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """Where they walk, or what an act says; a person who stands keeps the last direction."""
    east, north = velocity.T * np.minimum(speed / 0.3, 1)
    for act in role.acts:
        if act.facing is not None:
            during = (times >= act.start_s) & (times < act.end_s)
            east[during], north[during] = np.sin(act.facing), np.cos(act.facing)
    moving = np.hypot(east, north) > 0.05
    if not moving.any():
        return np.full(len(times), np.pi)
    last = np.maximum.accumulate(np.where(moving, np.arange(len(times)), -1))
    last = np.where(last < 0, np.argmax(moving), last)
    angle = np.unwrap(np.arctan2(east[last], north[last]))
    return _rounded(angle[:, None], _SMOOTH_S)[:, 0]


def _arms(role: Role, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[F, 2, 4] angles and [F] how far they replace the swing of the walk."""
    arms, weight = np.zeros((len(times), 2, 4)), np.zeros(len(times))
    for act in role.acts:
        during = (times >= act.start_s) & (times < act.end_s)
        arms[during] = _GESTURES[act.gesture]
        weight[during] = 1
    # Arms keep the form of the next act while the weight fades.
    known = np.flatnonzero(weight > 0)
    if len(known):
        arms = arms[known[np.searchsorted(known, np.arange(len(times))).clip(0, len(known) - 1)]]
    smooth = _rounded(arms.reshape(len(times), -1), 0.35).reshape(arms.shape)
    return smooth, _rounded(weight[:, None], 0.35)[:, 0].clip(0, 1)
