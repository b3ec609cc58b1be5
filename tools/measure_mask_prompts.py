"""Measure how close prompts from masks and clicks come to prompts from keypoints.

    python tools/measure_mask_prompts.py --penn-fudan DIR      411 people in street photographs
    python tools/measure_mask_prompts.py --ccp DIR --people 300
    python tools/measure_mask_prompts.py --cuhk03 DIR          143 people, two cameras: clicks alone

DIR of the first two holds `img` and `mask`, files of the same stem: masks of Penn-Fudan number the people
from 1, every pixel of Clothing Co-Parsing (CCP) that is not 0 belongs to the one person.

Each person is in one image, so the second view is made: the box is moved by up to 4 % of its size,
brightness, colours, resolution and JPEG quality change, and in the second table another person of the set is
pasted in front so that 40 to 80 % of the person stay visible. Queries are matched with all people, each as in
the original image with keypoints as prompts. "Known" keypoints are those of the original image, without those
under the pasted person; "estimated" ones are estimated on the query. Distance: mean part distance to the
embedding with known keypoints, in units of the mean distance of two people.

CUHK03 has two views of each person, but no masks: there the queries of the first camera are prompted by
clicks at random places of the skeleton that is estimated in them, and ranked among the second camera's crops.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kprtrack import (
    Appearance,
    ComponentConfig,
    ComputeConfig,
    Detections,
    Frame,
    PoseEstimator,
    Poses,
    ReidEncoder,
    build_pose_estimator,
    build_reid_encoder,
    part_distance,
)
from kprtrack.core.appearance import join_appearances
from kprtrack.core.skeleton import COCO_SKELETON
from kprtrack.finding import PeopleInImage, PersonPrompt, find_person
from reid import prompts_from_clicks, prompts_from_mask
from reid.datasets import ReidSample, open_dataset
from reid.datasets.crops import read_image
from reid.evaluation.embed import labels_of
from reid.evaluation.metrics import Embedded, evaluate
from reid.prompts.masks import mask_box

CONFIDENT = 0.3
LEAST_HEIGHT = 80  # pixels of a person
LEAST_PIXELS = 20  # of another person's mask inside the box
BATCH = 64
VISIBLE, LEAST_SHOWN = (0.4, 0.8), 0.5  # of the person, and of the one in front: shares that stay in the crop
TRIES = 200
Prompt = Callable[["View", np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Person:
    """A person of the set, in the original image."""

    image: np.ndarray
    mask: np.ndarray
    box: np.ndarray
    others: list[np.ndarray]
    keypoints: np.ndarray  # [1 + M, 17, 3]


@dataclass(frozen=True)
class View:
    """A second view of a person: the crop is the box."""

    image: np.ndarray
    mask: np.ndarray
    others: list[np.ndarray]
    known: np.ndarray  # [1 + M, 17, 3]
    estimated: np.ndarray

    @property
    def box(self) -> np.ndarray:
        return np.array([0, 0, self.image.shape[1], self.image.shape[0]], np.float32)


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--penn-fudan", type=Path, metavar="DIR")
    parser.add_argument("--ccp", type=Path, metavar="DIR")
    parser.add_argument("--cuhk03", type=Path, metavar="DIR")
    parser.add_argument("--people", type=int, metavar="N", help="at most so many people (default: all)")
    parser.add_argument("--reid", default="small", metavar="NAME")
    parser.add_argument("--reid-weights", metavar="FILE")
    options = parser.parse_args()
    compute = ComputeConfig("cpu")
    estimate = build_pose_estimator("small-accurate", compute)
    encoder = build_reid_encoder(ComponentConfig(options.reid, options.reid_weights), compute)
    if options.cuhk03:
        _measure_cuhk03(options.cuhk03, estimate, encoder)
        return
    folder = options.penn_fudan or options.ccp or parser.error("name --penn-fudan, --ccp or --cuhk03 DIR")
    people = list(_people(folder, options.penn_fudan is not None, options.people, estimate))
    gallery = _embed(encoder, [(each.image, each.box, each.keypoints) for each in people])
    distances = part_distance(gallery, gallery)[~np.eye(len(people), dtype=bool)]
    mean = float(distances[np.isfinite(distances)].mean())
    print(f"{len(people)} people, mean distance of two {mean:.3f}")
    for pasted in (False, True):
        print(f"\n{'another person pasted in front' if pasted else 'plain'}\n")
        print("| prompts | rank 1 | mAP | distance |\n|---|---|---|---|")
        made = [(row, _view(people, row, estimate, pasted=pasted)) for row in range(len(people))]
        views = [(row, view) for row, view in made if view is not None]
        rows = np.array([row for row, _ in views])
        known = None
        for name, make in PROMPTS.items():
            prompt = make(estimate)
            drawn = [prompt(view, np.random.default_rng([7, row])) for row, view in views]
            found = _embed(
                encoder, [(view.image, view.box, each) for (_, view), each in zip(views, drawn, strict=True)]
            )
            known = known or found
            print(f"| {name} | {_scores(found, known, gallery, rows, mean)} |", flush=True)


def _measure_cuhk03(folder: Path, estimate: PoseEstimator, encoder: ReidEncoder) -> None:
    """Print a table for the test people of CUHK03."""
    data = open_dataset("cuhk03", folder, {"keypoints": None, "masks": None})
    query, gallery = ([_crop(sample, estimate) for sample in part] for part in (data.query, data.gallery))
    described = Embedded(*_arrays(_embed(encoder, gallery)), labels_of(data.gallery))
    print("| prompts | rank 1 | mAP |\n|---|---|---|")
    for name, count in (
        ("keypoints, estimated", None),
        ("5 clicks", 5),
        ("3 clicks", 3),
        ("1 click", 1),
        ("none", 0),
    ):
        prompted = [
            (image, box, _on_limbs(keypoints, count, box, np.random.default_rng([7, row])))
            for row, (image, box, keypoints) in enumerate(query)
        ]
        found = Embedded(*_arrays(_embed(encoder, prompted)), labels_of(data.query))
        scores = evaluate(found, described, metric="cosine")
        print(f"| {name} | {100 * scores.cmc[0]:.1f} | {100 * scores.map:.1f} |", flush=True)


def _crop(sample: ReidSample, estimate: PoseEstimator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image = read_image(sample.image)
    box = np.array([0, 0, *image.shape[1::-1]], np.float32)
    return image, box, _keypoints(estimate, image, box[None])


def _arrays(found: Appearance) -> tuple[np.ndarray, np.ndarray]:
    return found.features, found.visible


def _on_limbs(
    keypoints: np.ndarray, count: int | None, box: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Prompts from clicks at random places of limbs; count: None: the keypoints themselves."""
    if count is None:
        return keypoints
    ends = keypoints[0, np.array(COCO_SKELETON.edges)]  # [E, 2, 3]
    ends = ends[(ends[..., 2] > CONFIDENT).all(axis=1), :, :2]
    if not count or not len(ends):
        return np.zeros((1, len(COCO_SKELETON), 3), np.float32)
    limbs, share = ends[rng.integers(len(ends), size=count)], rng.random((count, 1))
    return prompts_from_clicks([*(limbs[:, 0] * share + limbs[:, 1] * (1 - share))], box=box)


def _people(folder: Path, numbered: bool, most: int | None, estimate: PoseEstimator) -> Iterator[Person]:
    count = 0
    for file in sorted((folder / "img").iterdir()):
        image = cv2.imread(str(file))[..., ::-1].copy()
        stored = cv2.imread(str(next((folder / "mask").glob(f"{file.stem}*"))), cv2.IMREAD_UNCHANGED)
        stored = stored if stored.ndim == 2 else stored.max(axis=2)
        masks = [stored == one for one in np.unique(stored[stored > 0])] if numbered else [stored > 0]
        masks = [mask for mask in masks if mask.any()]
        if not masks:
            continue
        boxes = np.stack([mask_box(mask) for mask in masks])
        keypoints = _keypoints(estimate, image, boxes)
        for row, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
            if box[3] - box[1] >= LEAST_HEIGHT and (most is None or count < most):
                count += 1
                order = [row, *(other for other in range(len(masks)) if other != row)]
                yield Person(image, mask, box, [masks[other] for other in order[1:]], keypoints[order])


def _keypoints(estimate: PoseEstimator, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    detections = Detections(boxes.astype(np.float32), np.ones(len(boxes), np.float32))
    return estimate([Frame(0, 0.0, image)], [detections])[0].keypoints


def _view(people: list[Person], row: int, estimate: PoseEstimator, *, pasted: bool) -> View | None:
    """A second view; None: no other person can be pasted so."""
    person, rng = people[row], np.random.default_rng([1, row, pasted])
    size = np.tile(person.box[2:] - person.box[:2], 2)
    moved = person.box + (np.array([-0.03, -0.03, 0.03, 0.03]) + rng.uniform(-0.04, 0.04, 4)) * size
    high, wide = person.image.shape[:2]
    x1, y1, x2, y2 = np.clip(moved, 0, [wide, high, wide, high]).astype(int)
    inside = (slice(y1, y2), slice(x1, x2))
    image, own = person.image[inside].copy(), person.mask[inside].copy()
    others = [other[inside] for other in person.others]
    known = person.keypoints - np.float32([x1, y1, 0])
    if pasted:
        front = next(filter(None, (_front(people, person, own, rng) for _ in range(TRIES))), None)
        if front is None:
            return None
        pixels, mask, keypoints = front
        image[mask] = pixels[mask]
        own, others = own & ~mask, [mask, *(other & ~mask for other in others)]
        at = np.clip(known[..., :2].astype(int), 0, [own.shape[1] - 1, own.shape[0] - 1])
        known = known.copy()
        known[mask[at[..., 1], at[..., 0]], 2] = 0
        known = np.concatenate([known[:1], keypoints[None], known[1:]])
    others = [other for other in others if other.sum() > LEAST_PIXELS]
    image = _other_camera(image, rng)
    boxes = np.stack([[0, 0, image.shape[1], image.shape[0]], *map(mask_box, others)])
    return View(image, own, others, known, _keypoints(estimate, image, boxes)) if own.any() else None


def _front(
    people: list[Person], person: Person, own: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Image, mask and keypoints of a person at a random place of the crop; None: it hides too much."""
    other = people[rng.integers(len(people))]
    scale = own.shape[0] * rng.uniform(0.92, 1.07) / (other.box[3] - other.box[1])
    corner = np.array([rng.uniform(0, own.shape[1]), rng.uniform(0, 0.12) * own.shape[0]])
    corner[0] -= (other.box[2] - other.box[0]) * scale / 2
    move = corner - other.box[:2] * scale
    matrix = np.array([[scale, 0, move[0]], [0, scale, move[1]]])
    height, width = own.shape
    mask = cv2.warpAffine(other.mask.astype(np.float32), matrix, (width, height)) > 0.5
    visible = 1 - (mask & own).sum() / own.sum()
    whole = other.mask.sum() * scale**2
    fits = VISIBLE[0] <= visible <= VISIBLE[1] and mask.sum() >= LEAST_SHOWN * whole
    if other.image is person.image or not fits:
        return None
    keypoints = other.keypoints[0] * np.float32([scale, scale, 1]) + np.float32([*move, 0])
    return cv2.warpAffine(other.image, matrix, (width, height)), mask, keypoints


def _other_camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, colours, resolution and JPEG quality."""
    changed = image * rng.uniform(0.7, 1.3) + rng.uniform(-20, 20)
    changed = np.clip(changed * (1 + rng.uniform(-0.08, 0.08, 3)), 0, 255).astype(np.uint8)
    scale = rng.uniform(0.35, 0.8)
    small = cv2.resize(changed, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(small, image.shape[1::-1])
    _, jpeg = cv2.imencode(".jpg", blurred[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(40, 80))])
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1].copy()


def _embed(encoder: ReidEncoder, items: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Appearance:
    """Embed the person in a box of each image: image, box and keypoints."""
    found: list[Appearance] = []
    for start in range(0, len(items), BATCH):
        some = items[start : start + BATCH]
        frames = [Frame(row, 0.0, image) for row, (image, _, _) in enumerate(some)]
        boxes = [Detections(box[None].astype(np.float32), np.ones(1, np.float32)) for _, box, _ in some]
        found += encoder(frames, boxes, [Poses(keypoints.astype(np.float32)) for _, _, keypoints in some])
    return join_appearances(found)


def _scores(found: Appearance, known: Appearance, gallery: Appearance, rows: np.ndarray, mean: float) -> str:
    distances = part_distance(found, gallery)
    own = distances[np.arange(len(rows)), rows]
    rank = (distances < own[:, None]).sum(axis=1)
    apart = np.diagonal(part_distance(found, known))
    apart = apart[np.isfinite(apart)].mean() / mean
    return f"{100 * (rank == 0).mean():.1f} | {100 * (1 / (rank + 1)).mean():.1f} | {apart:.3f}"


def _without(view: View, rng: np.random.Generator) -> np.ndarray:
    return np.zeros((1, len(COCO_SKELETON), 3), np.float32)


def _masks(view: View, rng: np.random.Generator) -> np.ndarray:
    return prompts_from_mask(view.mask, view.others)


def _mirrored(view: View, rng: np.random.Generator) -> np.ndarray:
    """Left and right exchanged, as if all people were seen from behind."""
    return _masks(view, rng)[:, list(COCO_SKELETON.flip)]


def _spread(view: View, rng: np.random.Generator) -> np.ndarray:
    """The points of the mask, but each of any part."""
    return _masks(view, rng)[:, rng.permutation(len(COCO_SKELETON))]


def _clicks(count: int, *, negative: bool = True) -> Prompt:
    def prompt(view: View, rng: np.random.Generator) -> np.ndarray:
        clicks = [tuple(point) for point in _inside(view.mask, count, rng)]
        others = [tuple(point) for other in view.others for point in _inside(other, count, rng)]
        return prompts_from_clicks(clicks, others if negative else [], box=view.box)

    return prompt


def _inside(mask: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random points [count, 2] that are not at the edge of a mask."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.nonzero(depth >= 0.35 * depth.max())
    chosen = rng.integers(len(x), size=count)
    return np.stack([x[chosen], y[chosen]], axis=1) + 0.5


def _estimated_with_clicks(count: int, estimate: PoseEstimator) -> Prompt:
    """As `kprtrack find` with the box of the person: its pose, or the clicks if it is of another."""

    def prompt(view: View, rng: np.random.Generator) -> np.ndarray:
        boxes = np.stack([view.box, *map(mask_box, view.others)])
        found = Detections(boxes.astype(np.float32), np.ones(len(boxes), np.float32))
        people = PeopleInImage(view.image, lambda: lambda frames: [found], lambda: estimate)
        clicks = [tuple(point) for point in _inside(view.mask, count, rng)]
        others = [tuple(point) for other in view.others for point in _inside(other, count, rng)]
        return find_person(people, PersonPrompt(clicks, others, tuple(view.box.tolist()))).keypoints

    return prompt


PROMPTS: dict[str, Callable[[PoseEstimator], Prompt]] = {
    "keypoints, known": lambda estimate: lambda view, rng: view.known,
    "keypoints, estimated": lambda estimate: lambda view, rng: view.estimated,
    "the same, with 1 click on each": lambda estimate: _estimated_with_clicks(1, estimate),
    "the same, with 3 clicks on each": lambda estimate: _estimated_with_clicks(3, estimate),
    "masks": lambda estimate: _masks,
    "masks, left and right exchanged": lambda estimate: _mirrored,
    "masks, parts at random": lambda estimate: _spread,
    "5 clicks on each": lambda estimate: _clicks(5),
    "3 clicks on each": lambda estimate: _clicks(3),
    "1 click on each": lambda estimate: _clicks(1),
    "1 click on the person alone": lambda estimate: _clicks(1, negative=False),
    "none": lambda estimate: _without,
}


if __name__ == "__main__":
    main()
