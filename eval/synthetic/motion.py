"""Scenarios of a sequence: the paths and actions of people, and the motion that results from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.synthetic.body import Motion, stride_m

Knot = tuple[float, float, float]  # seconds, x, z in metres
_SMOOTH_S = 0.5  # smoothing window of paths and turns
_SLOW, _FAST = 0.25, 1.1  # m/s: below the first there are no steps, above the second full steps

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
    """A gesture of the arms during a time span."""

    start_s: float
    end_s: float
    gesture: str  # a key of _GESTURES
    facing: float | None = None  # yaw during the action, radians; None keeps the walking direction


@dataclass(frozen=True)
class PersonPlan:
    """The path and the actions of one person."""

    knots: list[Knot]
    actions: list[Action] = field(default_factory=list)


@dataclass(frozen=True)
class SceneLimits:
    """Properties of the scene that paths depend on: image borders and occluders."""

    duration_s: float
    half_view: float  # metres visible to each side, per metre of depth
    half_swept: float  # the same over the whole pan of the camera
    occluders: tuple[tuple[float, float, float], ...]  # x, z, half width in metres
    rng: np.random.Generator

    def edge(self, z: float) -> float:
        """Return the distance to the side from which a person is outside the image.

        Args:
            z: Depth in metres.

        Returns:
            Metres.
        """
        return self.half_swept * z + 0.7

    def unoccluded_x(self, z: float) -> float:
        """Return a random place at some depth away from the occluder.

        Args:
            z: Depth in metres.

        Returns:
            x in metres.
        """
        side = -np.sign(self.occluders[0][0]) if self.occluders else self.rng.choice([-1, 1])
        return float(side * self.rng.uniform(0.0, 0.5) * self.half_view * z)


Scenario = Callable[[SceneLimits, float], list[PersonPlan]]


def motions_of(
    plans: Sequence[PersonPlan], limits: SceneLimits, times_s: np.ndarray, heights_m: list[float]
) -> list[Motion]:
    """Return the motion of each person at evenly spaced times [F]."""
    return [_motion(*pair, limits, times_s) for pair in zip(plans, heights_m, strict=True)]


def choose_scenarios(count: int, limits: SceneLimits, first: int) -> list[PersonPlan]:
    """Return plans for `count` people from consecutive scenarios, starting with number `first`.

    Each scenario has a depth of its own.
    """
    taken: list[Scenario] = []
    remaining, turn = count, first
    while remaining:
        scenario, people = _SCENARIOS[turn % len(_SCENARIOS)]
        turn += 1
        if people <= remaining:
            taken.append(scenario)
            remaining -= people
    lanes = np.linspace(4.5, 8.2, max(len(taken), 2))[: len(taken)]
    limits.rng.shuffle(lanes)
    return [
        plan for scenario, lane in zip(taken, lanes, strict=True) for plan in scenario(limits, float(lane))
    ]


def stand_about(x: float, z: float, yaw: float) -> Motion:
    """Return one frame of a standing person."""
    one = np.ones(1)
    return Motion(
        np.array([[x, z]]), yaw * one, 0 * one, 0 * one, np.zeros((1, 2, 4)), 0 * one, 0.02 * one, 0 * one
    )


def _walk(limits: SceneLimits, meet: Knot, velocity: tuple[float, float]) -> list[Knot]:
    """Return the knots of a straight walk through the whole sequence that passes through `meet`."""
    time, x, z = meet
    return [(t, x + velocity[0] * (t - time), z + velocity[1] * (t - time)) for t in (0.0, limits.duration_s)]


def _crossing(limits: SceneLimits, z: float) -> list[PersonPlan]:
    middle, x = limits.duration_s * 0.5, limits.unoccluded_x(z)
    a, b = limits.rng.uniform(1.0, 1.5, 2)
    return [
        PersonPlan(_walk(limits, (middle, x, z), (a, 0.06))),
        PersonPlan(_walk(limits, (middle, x, z + 0.75), (-b, 0.0))),
    ]


def _together(limits: SceneLimits, z: float) -> list[PersonPlan]:
    speed = float(limits.rng.choice([-1, 1]) * limits.rng.uniform(0.9, 1.2))
    middle = limits.duration_s * 0.5
    return [
        PersonPlan(_walk(limits, (middle, offset, z + depth), (speed, -0.08)), actions)
        for offset, depth, actions in (
            (0.0, 0.0, []),
            (0.18, 0.6, [Action(0.2 * limits.duration_s, 0.8 * limits.duration_s, "talk")]),
        )
    ]


def _hug(limits: SceneLimits, z: float) -> list[PersonPlan]:
    """Two people walk up to each other, embrace and walk on."""
    start, end = limits.duration_s * 0.34, limits.duration_s * 0.62
    x = limits.unoccluded_x(z)
    tilt = float(limits.rng.uniform(-0.5, 0.5))
    gap = np.array([np.cos(tilt), np.sin(tilt)]) * 0.17
    plans = []
    for sign, onward in ((-1, 1), (1, -1)):
        stop = np.array([x, z]) + sign * gap
        come = stop + np.array((sign * 1.25 * start, 0.3 * sign))
        passing = stop + np.array((onward * 0.1, -0.4 * sign))
        leave = passing + np.array((onward * 1.2 * (limits.duration_s - end), 0.0))
        facing = float(np.arctan2(-sign * gap[0], -sign * gap[1]))
        knots = [
            (0.0, *come),
            (start, *stop),
            (end, *stop),
            (end + 0.5, *passing),
            (limits.duration_s, *leave),
        ]
        plans.append(PersonPlan(knots, [Action(start - 0.35, end, "hug", facing)]))
    return plans


def _leave_and_return(limits: SceneLimits, z: float) -> list[PersonPlan]:
    side = float(limits.rng.choice([-1, 1]))
    leave, back = limits.duration_s * 0.3, limits.duration_s * 0.62
    edge, nearer = limits.edge(z), z + 0.9
    speed = 1.3
    outside = edge + min(speed * (back - leave) / 2, 1.5)
    knots = [
        (0.0, side * (edge - speed * leave), z),
        (leave, side * edge, z),
        ((leave + back) / 2, side * outside, (z + nearer) / 2),
        (back, side * limits.edge(nearer), nearer),
        (limits.duration_s, side * (limits.edge(nearer) - speed * (limits.duration_s - back)), nearer),
    ]
    return [PersonPlan(knots)]


def _hide(limits: SceneLimits, z: float) -> list[PersonPlan]:
    """A person walks behind an occluder, waits there and comes out."""
    if not limits.occluders:
        return _crossing(limits, z)[:1]
    x, near, half = limits.occluders[0]
    z = max(z, near + 0.9)
    x *= z / near  # behind it, seen from the camera
    start, end = limits.duration_s * 0.36, limits.duration_s * 0.58
    way = -1.0 if x > 0 else 1.0
    slow = min(half * 0.5, 0.2)
    knots = [
        (0.0, x - way * (1.15 * start + slow), z),
        (start, x - way * slow, z),
        (end, x + way * slow, z),
        (limits.duration_s, x + way * (1.15 * (limits.duration_s - end) + slow), z),
    ]
    return [PersonPlan(knots)]


def _toward(limits: SceneLimits, z: float, *, away: bool = False) -> list[PersonPlan]:
    far = min(z + 1.1 * limits.duration_s, 9.5)
    near = max(z - 0.8, 4.2)
    x = limits.unoccluded_x(near)
    ends = [(far, x * far / near), (near, x)]
    (z0, x0), (z1, x1) = reversed(ends) if away else ends
    # In a short sequence the person walks only a part of the path.
    share = min(1.0, 1.4 * limits.duration_s / max(abs(far - near), 0.1))
    return [PersonPlan([(0.0, x0, z0), (limits.duration_s, x0 + (x1 - x0) * share, z0 + (z1 - z0) * share)])]


def _away(limits: SceneLimits, z: float) -> list[PersonPlan]:
    return _toward(limits, z, away=True)


def _chat(limits: SceneLimits, z: float) -> list[PersonPlan]:
    x = limits.unoccluded_x(z)
    leave = limits.duration_s * 0.7
    way = float(np.sign(x) or 1)
    left = [(0.0, x - 0.45, z), (limits.duration_s, x - 0.45, z)]
    right = [(0.0, x + 0.45, z + 0.2), (leave, x + 0.45, z + 0.2)]
    goes = [(limits.duration_s, x + 0.45 + way * 1.3 * (limits.duration_s - leave), z + 1.0)]
    return [
        PersonPlan(
            left, [Action(-1, leave, "talk", 1.2), Action(leave, limits.duration_s + 1, "wave", way * 1.2)]
        ),
        PersonPlan(right + goes, [Action(-1, leave, "folded", -1.7)]),
    ]


def _stand(limits: SceneLimits, z: float) -> list[PersonPlan]:
    x = limits.unoccluded_x(z)
    gesture = str(limits.rng.choice(["phone", "hips", "folded"]))
    facing = float(np.pi + limits.rng.uniform(-0.9, 0.9))
    half = limits.duration_s * 0.55
    knots = [(0.0, x, z), (limits.duration_s, x, z)]
    return [
        PersonPlan(
            knots,
            [Action(-1, half, gesture, facing), Action(half, limits.duration_s + 1, "phone", facing + 1.6)],
        )
    ]


# With the number of people; the first five people give a hug, a return, an occlusion and an approach.
_SCENARIOS: tuple[tuple[Scenario, int], ...] = (
    *((_hug, 2), (_leave_and_return, 1), (_hide, 1), (_toward, 1)),
    *((_crossing, 2), (_together, 2), (_stand, 1), (_chat, 2), (_leave_and_return, 1), (_away, 1)),
)


def _motion(plan: PersonPlan, height_m: float, limits: SceneLimits, times_s: np.ndarray) -> Motion:
    """Follow the knots with rounded corners; the gait follows the distance, so that feet do not slide."""
    fine = np.arange(-1.0, times_s[-1] + 1.0, 1 / 50)
    knots = np.array(plan.knots)
    place = np.stack([_extended(fine, knots[:, 0], knots[:, axis]) for axis in (1, 2)], axis=1)
    place = _rounded(place, _SMOOTH_S)
    velocity = np.gradient(place, 1 / 50, axis=0)
    speed = np.hypot(*velocity.T)
    swing = _rounded(np.clip((speed - _SLOW) / (_FAST - _SLOW), 0, 1)[:, None], 0.3)[:, 0]
    swing = np.where(speed > 0.05, np.maximum(swing, 0.25 * np.minimum(speed / _SLOW, 1)), swing)
    steps = speed / stride_m(height_m, swing) / 50
    phase = np.cumsum(steps) + limits.rng.uniform()
    heading = _heading(plan, fine, velocity, speed)
    arms, gesture = _arms(plan, fine)
    head_turn = 0.35 * np.sin(2 * np.pi * (fine / limits.rng.uniform(3, 6) + limits.rng.uniform()))
    lean = 0.03 + 0.05 * swing
    at = np.searchsorted(fine, times_s - 1e-6).clip(0, len(fine) - 1)
    columns = (heading, phase, swing, arms, gesture, lean, head_turn * (1 - 0.6 * gesture))
    return Motion(place[at], *(column[at] for column in columns))


def _extended(times: np.ndarray, knot_times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate linearly, extrapolating at both ends so that smoothing does not slow the ends down."""
    result = np.interp(times, knot_times, values)
    for outside, (a, b) in ((times < knot_times[0], (0, 1)), (times > knot_times[-1], (-1, -2))):
        slope = (values[b] - values[a]) / (knot_times[b] - knot_times[a])
        result[outside] = values[a] + slope * (times[outside] - knot_times[a])
    return result


def _rounded(values: np.ndarray, over_s: float) -> np.ndarray:
    """Smooth values [F, D] over time."""
    reach = max(1, round(over_s * 25))
    kernel = np.hanning(2 * reach + 3)[1:-1]
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    columns = [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T]
    return np.stack(columns, axis=1)


def _heading(plan: PersonPlan, times: np.ndarray, velocity: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """Return the yaw: the walking direction, or that of an action; standing people keep the last one."""
    east, north = velocity.T * np.minimum(speed / 0.3, 1)
    for action in plan.actions:
        if action.facing is not None:
            during = (times >= action.start_s) & (times < action.end_s)
            east[during], north[during] = np.sin(action.facing), np.cos(action.facing)
    moving = np.hypot(east, north) > 0.05
    if not moving.any():
        return np.full(len(times), np.pi)
    last = np.maximum.accumulate(np.where(moving, np.arange(len(times)), -1))
    last = np.where(last < 0, np.argmax(moving), last)
    angle = np.unwrap(np.arctan2(east[last], north[last]))
    return _rounded(angle[:, None], _SMOOTH_S)[:, 0]


def _arms(plan: PersonPlan, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return arm angles [F, 2, 4], and their weight [F] relative to the swing of the walk."""
    arms, weight = np.zeros((len(times), 2, 4)), np.zeros(len(times))
    for action in plan.actions:
        during = (times >= action.start_s) & (times < action.end_s)
        arms[during] = _GESTURES[action.gesture]
        weight[during] = 1
    # The angles of the next action apply while its weight fades in.
    known = np.flatnonzero(weight > 0)
    if len(known):
        arms = arms[known[np.searchsorted(known, np.arange(len(times))).clip(0, len(known) - 1)]]
    smooth = _rounded(arms.reshape(len(times), -1), 0.35).reshape(arms.shape)
    return smooth, _rounded(weight[:, None], 0.35)[:, 0].clip(0, 1)
