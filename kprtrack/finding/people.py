"""Find the person that is meant, and the people beside, in an image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError
from kprtrack.core.geometry import iou
from kprtrack.core.skeleton import COCO_SKELETON, KEYPOINTS
from kprtrack.finding.prompt import PersonPrompt, Point
from kprtrack.pipeline import Detector, PoseEstimator
from reid.prompts import prompts_from_clicks, prompts_from_mask
from reid.prompts.masks import mask_box

MIN_SCORE = 0.3  # of a detection
_CONFIDENT = 0.3  # keypoints above it are drawn by default (kprtrack.reid_encoders.kpr)
_SAME_PERSON_IOU = 0.5  # of a detection and the box of the person
_SAME_PERSON_SHARE = 0.5  # of the keypoints of a detection inside the mask of the person
_FEW_KEYPOINTS = 3  # with fewer the middle of the box says how far a click is
_FAR = 0.5  # heights of the box; a click on another person that is farther away does not matter
_MARGIN = 0.1  # of the height, around keypoints
_SHOWN = 5  # people in a message


@dataclass(frozen=True, eq=False)
class PromptedPerson:
    """A person of an image, as a ReID encoder takes it.

    Args:
        box: [4] float32, x1 y1 x2 y2 in pixels of the image.
        keypoints: [1 + M, 17, 3] float32, x y confidence: the person, then others (negative prompts).
        by: What the prompts come from: "keypoints", "mask", "clicks", "pose" or "nothing".
    """

    box: np.ndarray
    keypoints: np.ndarray
    by: str


class PeopleInImage:
    """The people whom a detector and a pose estimator find in an image; the networks run when needed.

    Args:
        image: [H, W, 3] uint8, RGB.
        detector: Makes the detector.
        pose: Makes the pose estimator; None: the ReID encoder takes no prompts.
    """

    def __init__(
        self,
        image: np.ndarray,
        detector: Callable[[], Detector],
        pose: Callable[[], PoseEstimator] | None,
    ) -> None:
        self._frame = Frame(0, 0.0, image)
        self._make_detector, self._make_pose = detector, pose
        self._boxes: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        height, width = self._frame.image.shape[:2]
        return height, width

    @property
    def boxes(self) -> np.ndarray:
        """[N, 4] float32, the best detections first."""
        if self._boxes is None:
            (found,) = self._make_detector()([self._frame])
            order = np.argsort(-found.scores, kind="stable")
            self._boxes = found.boxes[order[found.scores[order] >= MIN_SCORE]].astype(np.float32)
        return self._boxes

    def poses(self, boxes: np.ndarray) -> np.ndarray:
        """Keypoints [N, 17, 3] of the people in boxes [N, 4]; without a pose estimator all 0."""
        if self._make_pose is None or not len(boxes):
            return np.zeros((len(boxes), len(KEYPOINTS), 3), np.float32)
        detections = Detections(boxes.astype(np.float32), np.ones(len(boxes), np.float32))
        (found,) = self._make_pose()([self._frame], [detections])
        return found.skeleton.to_prompts(found.keypoints).astype(np.float32)


def find_person(people: PeopleInImage, prompt: PersonPrompt) -> PromptedPerson:
    """Find the person that is meant, with prompts for the ReID encoder.

    A mask or keypoints are prompts themselves. For a box the pose of the person in it is estimated, for
    clicks that of the detection whose limbs are nearest to them; clicks are the prompts where no keypoint is
    confident, and where the pose is nearer to the clicks on others: in the box of two people that overlap it
    is often the other one's. The poses of the other detections and clicks on others are negative prompts.

    Args:
        people: Of the image.
        prompt: Which person is meant.

    Returns:
        The person.

    Raises:
        UserError: The prompt does not fit the image, no person is there, or there are several and nothing
            says which is meant.
    """
    prompt.validate(*people.size)
    if prompt.mask is not None:
        return _by_mask(people, prompt, prompt.mask)
    if prompt.keypoints is not None:
        return _by_keypoints(people, prompt, prompt.keypoints)
    if prompt.box is not None:
        return _by_pose(people, prompt, np.array(prompt.box, np.float32))
    boxes = people.boxes
    if prompt.clicks:
        return _by_pose(people, prompt, boxes[_clicked(people, prompt)])
    if len(boxes) > 1:
        raise UserError(
            f"The image shows {len(boxes)} people: {_places(boxes)}. Say who is meant: --click X,Y on the"
            " person, --box or --mask."
        )
    if len(boxes):
        return _by_pose(people, prompt, boxes[0])
    height, width = people.size
    return _by_pose(people, prompt, np.array([0, 0, width, height], np.float32))


def _by_mask(people: PeopleInImage, prompt: PersonPrompt, mask: np.ndarray) -> PromptedPerson:
    own = prompts_from_mask(mask, prompt.other_masks, prompt.box)
    bounds = mask_box(mask)
    assert bounds is not None  # it is not empty
    box = bounds if prompt.box is None else np.array(prompt.box, np.float32)
    others = [own[1:], _negative_clicks(prompt, box)]
    if not prompt.other_masks:
        found = people.poses(_beside(bounds, people.boxes))
        others.append(found[[_share_inside(pose, mask) < _SAME_PERSON_SHARE for pose in found]])
    return PromptedPerson(box, np.concatenate([own[:1], *others]), "mask")


def _share_inside(pose: np.ndarray, mask: np.ndarray) -> float:
    """Share of the confident keypoints of a pose [17, 3] inside a mask."""
    x, y = pose[pose[:, 2] > _CONFIDENT, :2].astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return float(mask[y[inside], x[inside]].sum() / max(len(x), 1))


def _by_keypoints(people: PeopleInImage, prompt: PersonPrompt, keypoints: np.ndarray) -> PromptedPerson:
    if prompt.box is not None:
        box = np.array(prompt.box, np.float32)
    else:
        known = keypoints[0, keypoints[0, :, 2] > 0, :2]
        low, high = known.min(axis=0), known.max(axis=0)
        margin = _MARGIN * max(float(high[1] - low[1]), 1.0)
        height, width = people.size
        box = np.clip(np.r_[low - margin, high + margin], 0, [width, height, width, height])
    others = _negative_clicks(prompt, box)
    return PromptedPerson(box.astype(np.float32), np.concatenate([keypoints, others]), "keypoints")


def _by_pose(people: PeopleInImage, prompt: PersonPrompt, box: np.ndarray) -> PromptedPerson:
    poses = people.poses(np.concatenate([box[None], _beside(box, people.boxes)]))
    by, own = "pose", poses[:1]
    if not (own[0, :, 2] > _CONFIDENT).any():
        by = "nothing"
    if prompt.clicks and (by == "nothing" or _is_of_another(own, box, prompt)):
        by, own = "clicks", prompts_from_clicks(prompt.clicks, box=box)
    return PromptedPerson(box, np.concatenate([own, poses[1:], _negative_clicks(prompt, box)]), by)


def _beside(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The detections [M, 4] of other people: all but the one that overlaps the person most."""
    overlap = iou(box[None], boxes)[0]
    if len(boxes) and overlap.max() >= _SAME_PERSON_IOU:
        return np.delete(boxes, overlap.argmax(), axis=0)
    return boxes


def _is_of_another(pose: np.ndarray, box: np.ndarray, prompt: PersonPrompt) -> bool:
    """Whether a pose [1, 17, 3] is nearer to the clicks on others than to those on the person."""
    if not prompt.not_clicks:
        return False
    own, others = (
        _distances(pose, box[None], np.array(clicks, np.float32))[0]
        for clicks in (prompt.clicks, prompt.not_clicks)
    )
    return bool(others < own)


def _negative_clicks(prompt: PersonPrompt, box: np.ndarray) -> np.ndarray:
    """Skeletons [M, 17, 3] that hold the clicks on others."""
    return prompts_from_clicks([(0.0, 0.0)], prompt.not_clicks, box=box)[1:]


def _clicked(people: PeopleInImage, prompt: PersonPrompt) -> int:
    """The row of the detection that is clicked on. Raises: UserError."""
    boxes = people.boxes
    clicks = np.array(prompt.clicks, np.float32)
    inside = ((clicks >= boxes[:, None, :2]) & (clicks <= boxes[:, None, 2:])).all(axis=(1, 2))
    if not inside.any():
        raise UserError(_nobody(people, prompt.clicks))
    rows = np.flatnonzero(inside)
    if len(rows) == 1:
        return int(rows[0])
    poses = people.poses(boxes[rows])
    away = _distances(poses, boxes[rows], clicks)
    if len(prompt.not_clicks):
        others = _distances(poses, boxes[rows], np.array(prompt.not_clicks, np.float32))
        away = away - np.minimum(others, _FAR)
    return int(rows[away.argmin()])


def _nobody(people: PeopleInImage, clicks: Sequence[Point]) -> str:
    where = " and ".join(f"{x:g},{y:g}" for x, y in clicks)
    found = f"There are people at {_places(people.boxes)}." if len(people.boxes) else "None is in the image."
    return f"--click: no person was detected at {where}. {found} A box says where one is: --box X1,Y1,X2,Y2."


def _places(boxes: np.ndarray) -> str:
    """The middles of boxes, as clicks."""
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2).round().astype(int).tolist()
    texts = [f"{x},{y}" for x, y in middles[:_SHOWN]]
    more = [f"and {len(boxes) - _SHOWN} more"] if len(boxes) > _SHOWN else []
    return " ".join([*texts, *more])


def _distances(poses: np.ndarray, boxes: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """Mean distance [N] of clicks to the limbs of people, in heights of their boxes.

    Args:
        poses: [N, 17, 3].
        boxes: [N, 4].
        clicks: [C, 2].
    """
    edges = np.array(COCO_SKELETON.edges)
    known = poses[..., 2] > _CONFIDENT
    starts, ends = poses[:, edges[:, 0], None, :2], poses[:, edges[:, 1], None, :2]  # [N, E, 1, 2]
    along = ends - starts
    share = ((clicks - starts) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-6)
    nearest = starts + np.clip(share, 0, 1)[..., None] * along
    away = np.hypot(*np.moveaxis(clicks - nearest, -1, 0))  # [N, E, C]
    away[~(known[:, edges[:, 0]] & known[:, edges[:, 1]])] = np.inf
    limbs = away.min(axis=1)  # [N, C]
    middles = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    centre = np.hypot(*np.moveaxis(clicks - middles, -1, 0))
    few = (known.sum(axis=1) < _FEW_KEYPOINTS)[:, None] | ~np.isfinite(limbs)
    heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    result: np.ndarray = np.where(few, centre, limbs).mean(axis=1) / heights
    return result
