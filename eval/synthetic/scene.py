"""One sequence of the synthetic benchmark: its place, its people, and its frames with ground truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from eval.synthetic.body import Joints, Motion, move
from eval.synthetic.drawing import PARTS_PER_PERSON, Canvas, draw_billboard, draw_tube
from eval.synthetic.frame import FIRST_OF_SPLIT, SyntheticConfig, SyntheticFrame
from eval.synthetic.ground_truth import DrawnPerson, gt_of
from eval.synthetic.motion import PersonPlan, SceneLimits, choose_scenarios, motions_of, stand_about
from eval.synthetic.occluders import make_place
from eval.synthetic.people import PersonAppearance, appearance_of
from eval.synthetic.places import PLACES
from eval.synthetic.shapes import Camera, GarmentBuilder

OVERSAMPLE = 2  # pixels drawn for each image pixel, per side
_FOCAL = 1.5  # relative to the image height
_HORIZON = 0.26  # row, relative to the image height
_PAN = 0.1  # pan of a moving camera to either side, relative to the image width
_CROWD_FROM = 900_000  # identities of bystanders, who are not annotated
_NOTHING_M = 1e6
_NEAREST_M = 1.5  # nearer people are not drawn
_SHADOW_JOINTS = (
    *("pelvis", "chest", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hip", "left_knee"),
    *("left_ankle", "left_toe", "right_shoulder", "right_elbow", "right_wrist", "right_hip", "right_knee"),
    *("right_ankle", "right_toe"),
)
_LIMBS = ((0, 1, 0.1), (1, 2, 0.08), (3, 4, 0.16), (4, 5, 0.11), (5, 6, 0.09))  # of one side
_SHADOW_LINES = (  # from, to (rows of _SHADOW_JOINTS), metres wide
    *((0, 1, 0.3), (1, 2, 0.16)),
    *((side + a, side + b, wide) for side in (3, 10) for a, b, wide in _LIMBS),
)


@dataclass(frozen=True)
class _SyntheticPerson:
    person: int
    appearance: PersonAppearance
    joints: Joints
    motion: Motion


def _video_number(config: SyntheticConfig, number: int) -> int:
    return FIRST_OF_SPLIT[config.split] + number + 1


def sequence_name(config: SyntheticConfig, number: int) -> str:
    """Return the name of the sequence with this 0-based number."""
    return f"{_video_number(config, number):06d}_synth_{config.split}"


class Scene:
    """Draws one sequence.

    Args:
        config: Settings of the benchmark.
        number: 0-based number of the sequence in the split of the config.
        plans: Paths and actions, one for each person; None: random scenarios.
    """

    def __init__(
        self, config: SyntheticConfig, number: int, plans: Sequence[PersonPlan] | None = None
    ) -> None:
        self._config = config
        self._video = _video_number(config, number)
        self.name = sequence_name(config, number)
        self._rng = rng = np.random.default_rng([config.seed, self._video, 0])
        width, height = config.width * OVERSAMPLE, config.height * OVERSAMPLE
        wide = round(width * (1 + 2 * _PAN)) + 8
        self._camera = Camera(_FOCAL * height, wide / 2, _HORIZON * height)
        kind = tuple(PLACES)[(number + config.seed) % len(PLACES)]
        self._place = make_place(kind, self._camera, (wide, height), rng)
        self._times_s = np.arange(config.frames) / config.fps
        self._pans = self._pan(wide - width, moving=number % 2 == 1)
        self._people = self._make_people(number, plans)
        size = self._place.backdrop.shape[:2]
        far, no_owner = np.full(size, _NOTHING_M, np.float32), np.zeros(size, np.uint16)
        self._backdrop = Canvas(self._place.backdrop, far, no_owner)
        self._crowd = self._draw_crowd() if number % 2 == 0 else None
        for billboard in self._place.billboards:
            draw_billboard(self._backdrop, billboard)
        self._tint = rng.uniform(0.94, 1.05, 3).astype(np.float32) * np.float32(rng.uniform(0.9, 1.06))
        grain = rng.normal(0, rng.uniform(1.5, 3.5), (config.height + 64, config.width + 64, 3))
        self._grain = np.clip(grain, -12, 12).astype(np.int16)
        self._blur = float(rng.uniform(0.3, 0.55))

    def frames(self) -> Iterator[SyntheticFrame]:
        """Yield all frames in order of time."""
        for index in range(self._config.frames):
            yield self.frame(index)

    def frame(self, index: int) -> SyntheticFrame:
        """Draw a frame.

        Args:
            index: Its number, counted from 0.

        Returns:
            The frame with its ground truth.
        """
        pan = int(self._pans[index])
        canvas = self._empty_canvas(pan)
        joints: list[Joints] = [
            {name: joint[index] for name, joint in person.joints.items()} for person in self._people
        ]
        self._draw_shadows(canvas, joints, pan)
        drawn = []
        for row, (person, pose) in enumerate(zip(self._people, joints, strict=True)):
            builder = GarmentBuilder(
                pose, person.appearance, float(person.motion.yaw[index]), camera=self._camera, pan=pan
            )
            tubes = builder.tubes() if pose["pelvis"][2] > _NEAREST_M else []
            silhouette = np.zeros(canvas.owner.shape, bool)
            for tube in tubes:
                silhouette.reshape(-1)[draw_tube(canvas, tube, row + 1, self._place.light)] = True
            drawn.append(DrawnPerson(row + 1, person.person, pose, tubes, silhouette))
        owner = canvas.owner[::OVERSAMPLE, ::OVERSAMPLE]
        ground_truth = gt_of(drawn, canvas, self._camera, pan, OVERSAMPLE)
        mask = self._annotated(owner // PARTS_PER_PERSON, ground_truth.ids)
        return SyntheticFrame(
            sequence=self.name,
            video=self._video,
            number=index,
            time_s=float(self._times_s[index]),
            labelled=self._is_labelled(index) and len(ground_truth.ids) > 0,
            image=self._simulate_camera(canvas.colour, index),
            mask=mask,
            parts=np.where(mask > 0, owner % PARTS_PER_PERSON, 0).astype(np.uint8),
            ignore_regions=self._ignored(pan),
            **ground_truth.arrays(),
        )

    def _make_people(self, number: int, plans: Sequence[PersonPlan] | None) -> list[_SyntheticPerson]:
        """Return the people and their motion; adjacent sequences share half of their people."""
        config = self._config
        first = FIRST_OF_SPLIT[config.split] + config.first_person(number) + 1
        appearances = [appearance_of(first + k, config.seed) for k in range(config.people)]
        half = config.width / (2 * _FOCAL * config.height)
        swept = half * (1 + 2 * _PAN)
        limits = SceneLimits(config.frames / config.fps, half, swept, self._place.occluders, self._rng)
        if plans is None:
            chosen = choose_scenarios(config.people, limits, number * 4)
            self._rng.shuffle(chosen)
            plans = chosen
        motions = motions_of(
            plans, limits, self._times_s, [appearance.build.height_m for appearance in appearances]
        )
        return [
            _SyntheticPerson(first + k, appearance, move(motion, appearance.build), motion)
            for k, (appearance, motion) in enumerate(zip(appearances, motions, strict=True))
        ]

    def _pan(self, room: int, *, moving: bool) -> np.ndarray:
        """Return the column of the backdrop at the left image edge in each frame, [F] int."""
        shake = np.cumsum(self._rng.normal(0, 0.5, (len(self._times_s))))
        shake -= np.linspace(shake[0], shake[-1], len(shake))
        turn = np.sin(2 * np.pi * (self._times_s / self._rng.uniform(9, 14) + self._rng.uniform()))
        swing = room / 2 * (1 + 0.9 * turn * moving) + np.clip(shake, -2, 2) * moving
        return np.clip(np.round(swing), 0, room).astype(int)

    def _empty_canvas(self, pan: int) -> Canvas:
        wide = self._config.width * OVERSAMPLE
        colour, depth_m, owner = self._backdrop.colour, self._backdrop.depth_m, self._backdrop.owner
        return Canvas(*(layer[:, pan : pan + wide].copy() for layer in (colour, depth_m, owner)))

    def _draw_crowd(self) -> tuple[int, int, int, int] | None:
        """Draw bystanders on the backdrop; return left, top, right and bottom around them."""
        (middle, depth), camera, rng = self._place.crowd, self._camera, self._rng
        canvas = self._backdrop
        for k in range(int(rng.integers(5, 9))):
            appearance = appearance_of(_CROWD_FROM + 4 * int(rng.integers(10_000)), self._config.seed)
            x, z = middle + 0.5 * k - 1.5 + rng.uniform(-0.15, 0.15), depth + rng.uniform(-0.4, 0.4)
            motion = stand_about(float(x), float(z), float(rng.uniform(0, 2 * np.pi)))
            pose = {name: joint[0] for name, joint in move(motion, appearance.build).items()}
            for tube in GarmentBuilder(pose, appearance, float(motion.yaw[0]), camera=camera, pan=0).tubes():
                draw_tube(canvas, tube, 1, self._place.light)
        rows, columns = np.nonzero(canvas.owner)
        if not len(rows):
            return None
        canvas.owner[:] = 0
        return int(columns.min()) - 4, int(rows.min()) - 4, int(columns.max()) + 5, int(rows.max()) + 5

    def _ignored(self, pan: int) -> tuple[np.ndarray, ...]:
        if self._crowd is None:
            return ()
        left, top, right, bottom = (edge / OVERSAMPLE for edge in self._crowd)
        left, right = (float(np.clip(x - pan / OVERSAMPLE, 0, self._config.width)) for x in (left, right))
        if right - left < 2:
            return ()
        return (np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32),)

    def _draw_shadows(self, canvas: Canvas, people: list[Joints], pan: int) -> None:
        """Darken the ground in the shadow of limbs."""
        colour = canvas.colour
        across, back, dark = self._place.shadow
        top = int(self._camera.horizon)
        shadow = np.zeros((len(colour) // 4 + 1, colour.shape[1] // 4 + 1), np.uint8)
        for pose in people:
            if pose["pelvis"][2] <= _NEAREST_M:
                continue
            points = np.stack([pose[name] for name in _SHADOW_JOINTS])
            points[:, 0] += across * points[:, 1]
            points[:, 2] += back * points[:, 1]
            points[:, 1] = 0
            places = np.round(self._camera.project(points, pan)[:, :2] * 4).astype(int)
            wide = self._camera.focal / pose["pelvis"][2] / 4
            for a, b, thick_m in _SHADOW_LINES:
                thickness = max(1, round(thick_m * wide))
                cv2.line(shadow, places[a].tolist(), places[b].tolist(), 255, thickness, cv2.LINE_AA, 4)
        shadow = cv2.GaussianBlur(shadow, (0, 0), 1.2)
        rows, columns = np.nonzero(shadow.any(1))[0], np.nonzero(shadow.any(0))[0]
        if not len(rows):
            return
        area = np.s_[max(rows[0] * 4, top) : (rows[-1] + 1) * 4, columns[0] * 4 : (columns[-1] + 1) * 4]
        height, width = colour[area].shape[:2]
        if height < 1:
            return
        large = cv2.resize(shadow, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)[area][:height, :width]
        large[canvas.depth_m[area] < _NOTHING_M] = 0  # people and occluders receive no shadow
        left = 255 - (large * np.float32(dark)).astype(np.uint8)
        colour[area] = cv2.multiply(colour[area], cv2.merge((left, left, left)), scale=1 / 255)

    def _simulate_camera(self, colour: np.ndarray, index: int) -> np.ndarray:
        """Return the image of a small camera: averaged, tinted, slightly blurred and noisy."""
        size = self._config.width, self._config.height
        small = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (3, 3), self._blur)
        levels = np.arange(256, dtype=np.float32)[:, None] * self._tint
        small = cv2.LUT(small, np.clip(levels, 0, 255).astype(np.uint8)[None])
        down, right = (index * 37) % 64, (index * 23) % 64
        grain = self._grain[down : down + size[1], right : right + size[0]]
        return np.clip(small + grain, 0, 255).astype(np.uint8)

    def _annotated(self, people: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Return the mask with unannotated people as background."""
        keep = np.zeros(len(self._people) + 1, np.uint16)
        keep[ids] = ids
        return keep[people]

    def _is_labelled(self, index: int) -> bool:
        """Return whether a frame is labelled: the 30 frames in the middle and every n-th, as in PoseTrack."""
        config = self._config
        return index % config.labelled_every == 0 or abs(index - (config.frames - 1) / 2) < 15
