"""PoseTrack21's annotated people, and by what rule crops of them are chosen.

Source: docs/reference/kpr.md 5.3. Where the source leaves the rule open, ours is: "evenly spaced" takes the
rounded steps from first to last in the order of the files; the 1000 identities come from numpy's default
generator with seed 0; of equally occluded crops the one with the smaller annotation id becomes the query;
images marked as unlabelled give no crops.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.coco import file_name, read_coco
from kprtrack.core.files.columns import Annotations
from kprtrack.core.files.folders import InsideFolder, visible
from kprtrack.core.files.selection import POSETRACK
from kprtrack.core.skeleton import KEYPOINTS

_LEAST_VISIBLE, _LEAST_PX = 0.3, 10  # of a crop to train on
_MOST_TRAIN, _MOST_VAL, _FEWEST = 20, 10, 4  # crops of an identity
_IDENTITIES = 1000  # to train on
_QUERY_SHARE = 0.2  # of an identity's crops: the most occluded


@dataclass(frozen=True)
class Person:
    """One annotated person in one frame."""

    id: int  # of the annotation
    identity: int  # person_id, across videos
    image: str  # path below root
    image_id: int
    video: str  # name of the sequence
    box: np.ndarray  # [4] left top width height, may reach beyond the frame
    keypoints: np.ndarray  # [17, 3] in the frame
    others: tuple[np.ndarray, ...]  # keypoints of all other people in the frame

    @property
    def visibility(self) -> float:
        return float(self.keypoints[:, 2].mean())


def read_people(root: Path, split: str) -> list[Person]:
    """All annotated people of posetrack_data/SPLIT, file by file.

    Args:
        root: Folder of PoseTrack21.
        split: "train" or "val".

    Returns:
        The people of all frames.

    Raises:
        InputError: A file is missing or cannot be read.
    """
    folder = root / "posetrack_data" / split
    files = visible(folder, "*.json")
    if not files:
        raise InputError(
            f"There are no .json files in {folder}. "
            "Name the folder of PoseTrack21 that holds posetrack_data/."
        )
    return [person for path in files for person in _read_file(path, root)]


def _read_file(path: Path, root: Path) -> list[Person]:
    file, inside = read_coco(path), InsideFolder(root, str(path))
    labelled = np.array([bool(image.get("is_labeled", True)) for image in file.images])
    found_people = file.people(POSETRACK)
    people = _by_frame(found_people.at(labelled[found_people.images]))
    names = [file_name(image, f"{path}, image {index}") for index, image in enumerate(file.images)]
    inside.paths(names)
    ids, identities, boxes = people.whole("id"), people.whole("person_id"), people.boxes()
    poses = people.numbers("keypoints", 3 * len(KEYPOINTS), default=0.0).reshape(-1, len(KEYPOINTS), 3)
    found = []
    for row, image_row in enumerate(people.images.tolist()):
        others = np.flatnonzero((people.images == image_row) & (np.arange(len(people)) != row))
        found.append(
            Person(
                int(ids[row]),
                int(identities[row]),
                names[image_row],
                int(file.image_ids[image_row]),
                Path(names[image_row]).parent.name,
                boxes[row],
                poses[row],
                tuple(poses[others]),
            )
        )
    return found


def _by_frame(people: Annotations) -> Annotations:
    """The annotations of each frame together, frames in the order of their first annotations."""
    first: dict[int, int] = {}
    order = [first.setdefault(image, row) for row, image in enumerate(people.images.tolist())]
    return people.at(np.argsort(np.array(order, np.int64), kind="stable"))


def sample_people(people: Sequence[Person], *, train: bool) -> list[Person]:
    """The crops of the dataset by the documented rule.

    Args:
        people: All people of a split.
        train: Whether it is the training split, which has a stricter rule.

    Returns:
        The chosen ones, by identity.
    """
    found: dict[int, list[Person]] = defaultdict(list)
    for person in people:
        seen = person.visibility >= _LEAST_VISIBLE and person.box[2:].min() > _LEAST_PX
        if seen or not train:
            found[person.identity].append(person)
    names = sorted(name for name, each in found.items() if len(each) >= _FEWEST)
    if train:
        names = sorted(np.random.default_rng(0).permutation(names)[:_IDENTITIES].tolist())
    most = _MOST_TRAIN if train else _MOST_VAL
    return [person for name in names for person in _evenly(found[name], most)]


def _evenly(people: list[Person], most: int) -> list[Person]:
    steps = np.linspace(0, len(people) - 1, min(most, len(people))).round().astype(int)
    return [people[row] for row in steps]


def poses_in_crop(poses: np.ndarray, box: np.ndarray, width: int, height: int) -> np.ndarray:
    """Poses [M, 17, 3] of the frame in pixels of the crop of that size; keypoints beyond the box are zero.

    The box is not clipped to the frame, although the crop is, as in the authors' program.

    Args:
        poses: [M, 17, 3] x y confidence in pixels of the frame.
        box: x y width height in pixels of the frame.
        width: Of the crop in pixels.
        height: Of the crop in pixels.

    Returns:
        [M, 17, 3] in pixels of the crop.
    """
    moved = poses.copy()
    moved[..., :2] -= box[:2]
    inside = ((moved[..., :2] >= 0) & (moved[..., :2] < box[2:])).all(axis=-1) & (poses[..., 2] > 0)
    moved[..., :2] *= np.array((width, height)) / box[2:]
    return np.where(inside[..., None], moved, 0)


def occlusion_level(own: np.ndarray, others: np.ndarray) -> float:
    """Keypoints of others [M, 17, 3] in the crop for each of the person's own [17, 3].

    Args:
        own: [17, 3] x y confidence of the person.
        others: [M, 17, 3] of other people, in the crop.

    Returns:
        0 (no other person) or more.
    """
    negatives, positives = float(others[..., 2].sum()), float(own[:, 2].sum())
    return negatives / positives if positives else 2 * negatives


def query_ids(occlusion: Mapping[int, float], identities: Mapping[int, int]) -> frozenset[int]:
    """The annotations that are queries: of each identity the most occluded fifth, rounded down.

    Args:
        occlusion: Of each annotation.
        identities: Of each annotation.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for annotation, identity in identities.items():
        members[identity].append(annotation)
    return frozenset(_queries(members.values(), occlusion))


def _queries(members: Iterable[list[int]], occlusion: Mapping[int, float]) -> Iterable[int]:
    for annotations in members:
        ranked = sorted(annotations, key=lambda annotation: (-occlusion[annotation], annotation))
        yield from ranked[: int(_QUERY_SHARE * len(ranked))]
