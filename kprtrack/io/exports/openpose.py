"""OpenPose's folder of JSON files, one a frame, with the 25 keypoints of BODY_25; COCO's 18 are read, too."""

import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from kprtrack.core.atomic_file import reason
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.core.files.json_file import load_json
from kprtrack.core.files.numbers import LAST_FRAME
from kprtrack.core.files.paths import real_path
from kprtrack.core.skeleton import COCO_SKELETON, KEYPOINTS, POSETRACK_SKELETON, Skeleton
from kprtrack.io.columns import NO_ID, PeopleFile
from kprtrack.io.exports.tables import ConvertOptions, people_of_poses
from kprtrack.io.header import TrackFile, compact_json

# Rows of OpenPose's models, by our names.
_BODY = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist"),
)
_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
_FEET = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))
BODY_25 = (*_BODY, "mid_hip", *_LEGS, *_FACE, *_FEET)
COCO_18 = (*_BODY, *_LEGS, *_FACE)
MODELS = {len(BODY_25) * 3: BODY_25, len(COCO_18) * 3: COCO_18}
_MIDDLES = {"neck": ("left_shoulder", "right_shoulder"), "mid_hip": ("left_hip", "right_hip")}
_FILE = re.compile(r"(?:^|.*_)(\d+)_keypoints\.json")
_OTHERS = ("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
_OTHERS_3D = ("pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d")


def write_openpose(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write NAME/NAME_000000000000_keypoints.json and so on; `person_id` is the track ID.

    The neck is the middle of the shoulders, and the middle of the hips that of both; feet are unknown, 0 0 0,
    where the skeleton has none of these names. Keypoints that BODY_25 lacks are left out.

    Raises:
        UserError: The skeleton is PoseTrack's.
        OutputError: The folder exists, or cannot be written.
    """
    if file.header.skeleton == POSETRACK_SKELETON:
        raise UserError(
            f"{options.source} has PoseTrack's skeleton, and OpenPose needs COCO's: eyes and ears."
        )
    if path.exists():
        raise OutputError(f"Cannot write {path}: it exists. Remove it, or choose another folder.")
    parent = real_path(path).parent
    if not parent.is_dir():
        raise OutputError(f"Cannot write {path}: there is no folder {parent}. Create it, or choose another.")
    part = Path(tempfile.mkdtemp(dir=parent, prefix=".export"))
    try:
        part.chmod(0o755)
        for tracks in file.frames:
            target = part / f"{path.name}_{tracks.frame_number:012d}_keypoints.json"
            target.write_bytes(compact_json({"version": 1.3, "people": _people(tracks)}))
        part.rename(path)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {reason(error)}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return [path]


def _people(tracks: Tracks) -> list[dict[str, object]]:
    points = body_25(np.round(tracks.keypoints.astype(np.float64), 3), tracks.skeleton)
    unused: dict[str, list[float]] = {name: [] for name in (*_OTHERS, *_OTHERS_3D)}
    return [
        {"person_id": [track_id], "pose_keypoints_2d": flat.tolist(), **unused}
        for track_id, flat in zip(
            tracks.ids.tolist(), points.reshape(len(tracks), 3 * len(BODY_25)), strict=True
        )
    ]


def body_25(keypoints: np.ndarray, skeleton: Skeleton = COCO_SKELETON) -> np.ndarray:
    """Convert keypoints [N, K, 3] to [N, 25, 3] of BODY_25."""
    points = np.zeros((len(keypoints), len(BODY_25), 3))
    for row, name in enumerate(BODY_25):
        if name in skeleton.names and name not in _MIDDLES:
            points[:, row] = keypoints[:, skeleton.names.index(name)]
        elif name in _MIDDLES:
            pair = keypoints[:, [skeleton.names.index(each) for each in _MIDDLES[name]]]
            both = (pair[..., 2] > 0).all(axis=1)
            points[both, row, :2] = pair[both, :, :2].mean(axis=1)
            points[both, row, 2] = pair[both, :, 2].min(axis=1)
    return points


def is_openpose(path: Path) -> bool:
    """Whether a path is a folder with files of OpenPose."""
    return path.is_dir() and any(_FILE.fullmatch(each.name) for each in path.iterdir())


def people_from_openpose(path: Path) -> PeopleFile:
    """Read a folder; people whose `person_id` is -1 have no track ID.

    Raises:
        InputError: The folder has no such files, or one is damaged or of another model.
    """
    named = {each: _FILE.fullmatch(each.name) for each in sorted(path.iterdir())} if path.is_dir() else {}
    files = [(int(match[1]), each) for each, match in named.items() if match and int(match[1]) < LAST_FRAME]
    if not files:
        raise InputError(f"{path} is no folder with files NAME_000000000000_keypoints.json of OpenPose.")
    frames: list[int] = []
    ids: list[int] = []
    poses: list[np.ndarray] = []
    for number, each in sorted(files):
        data = load_json(each)
        people = data.get("people") if isinstance(data, dict) else None
        if not isinstance(people, list):
            raise InputError(f'{each} has no list "people" as OpenPose writes it.')
        for person in people:
            frames.append(number)
            ids.append(_person_id(person))
            poses.append(_keypoints(person, each))
    keypoints = np.stack(poses) if poses else np.zeros((0, len(KEYPOINTS), 3))
    return people_of_poses(
        path, frames, ids, np.where(keypoints.any(axis=2, keepdims=True), keypoints, np.nan)
    )


def _person_id(person: object) -> int:
    value = person.get("person_id") if isinstance(person, dict) else None
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, int) and first >= 0 else NO_ID


def _keypoints(person: object, file: Path) -> np.ndarray:
    flat = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
    model = MODELS.get(len(flat)) if isinstance(flat, list) else None
    if model is None or not all(isinstance(value, int | float) for value in flat or []):
        raise InputError(
            f'{file}: "pose_keypoints_2d" must have 75 numbers (BODY_25) or 54 (COCO), x y score of each.'
        )
    points = np.array(flat, np.float64).reshape(-1, 3)
    return points[[model.index(name) for name in KEYPOINTS]]
