"""Ambiguous queries: another person is pasted in front, so that only keypoints identify the target.

The test set is written as a folder of crops (reid.datasets.folder) with the same people, cameras and
protocol. The person in front comes from the same set as the crop, never from the other: a query that holds
pixels of a gallery image would be matched by these pixels. It is as high as the crop, stands a little lower,
as who is nearer to a camera above does, at a random horizontal position where both are recognisable: 40 to 80
%
of the person asked for stay visible, with at least half of the keypoints; at least half of the person in
front lies
in the image, and next to nothing is seen of the straight edges where its own crop ended. What is drawn for
a crop depends on the seed, its set and its row alone.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from kprtrack.core.abandoned_parts import remove_abandoned_parts
from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.core.files.json_file import load_json
from reid.crop import Crop, zero_outside
from reid.datasets.crops import read_crop, read_fields
from reid.datasets.keypoint_files import keypoints_json
from reid.datasets.layout import OWN_KEYPOINTS, AnnotationPaths
from reid.datasets.sample import ReidData, ReidSample
from reid.parts.shapes import MIN_CONFIDENCE
from reid.training.bipo import Occluder, cut_occluder, paste

PastedSets = Literal["query", "gallery", "both", "none"]  # in which people are pasted over others
DESCRIPTION = "pasted.json"

_VISIBLE = (0.4, 0.8)  # share of the person's area that the one in front may leave
_LEAST_SHOWN = 0.5  # of the area of the one in front, within the image
_LEAST_KEPT = 0.5  # of the person's keypoints
_LEAST_KEYPOINTS = 5  # of the one in front
_MOST_CUT = 0.05  # of the height: straight edges of the one in front, where its own crop ended
_LOWER = (0.0, 0.15)  # of the height, that the one in front stands lower
_SOLID = 0.5  # opacity
_PEOPLE, _PLACES = 40, 10  # tried for a crop, and for each of them
_MOST_PIXELS = 1 << 24  # of the one in front
_BY_CAMERAS, _EVERYBODY = "default", "mot_inter_intra_video"  # protocols that `folder` chooses


@dataclass(frozen=True)
class _Job:
    """One crop to be written."""

    sample: ReidSample
    image: Path
    keypoints: Path
    draw: tuple[int, ...] | None  # what the drawing depends on; None: the crop is copied
    others: tuple[ReidSample, ...]  # of whom one may be pasted


def write_pasted(
    data: ReidData,
    out: Path,
    *,
    seed: int,
    which: PastedSets = "query",
    on_crop: Callable[[int, int], None] | None = None,
) -> int:
    """Write queries and gallery of `data` to the folder `out`, with others pasted in front; returns how many.

    Crops that an earlier call wrote are kept. which: the sets in which is pasted; the others are copied.

    Args:
        on_crop: Called with the number of crops done and their total.

    Raises:
        UserError: The dataset has no keypoints or masks, a protocol of its own, or a set of one person.
        InputError: A file cannot be read, or no person fits into a crop.
        OutputError: `out` holds something else.
    """
    jobs = _jobs(data, out, seed, which)
    _validate_missing_masks(jobs)
    _begin(data, out, {"data": data.name, "pasted": which, "seed": seed})
    remove_abandoned_parts(file.parent for each in jobs for file in (each.image, each.keypoints))
    todo = [each for each in jobs if not each.image.exists()]
    for done, job in enumerate(todo, start=1):
        image, keypoints = _copied(job.sample) if job.draw is None else _pasted(job)
        write_file(job.keypoints, keypoints, concurrent=True)
        write_file(job.image, image, concurrent=True)  # last: a crop whose image is there is whole
        if on_crop:
            on_crop(done, len(todo))
    return len(todo)


def _jobs(data: ReidData, out: Path, seed: int, which: PastedSets) -> list[_Job]:
    if data.protocol not in (_BY_CAMERAS, _EVERYBODY):
        raise UserError(f"The protocol {data.protocol} of {data.name} needs more than people and cameras.")
    annotation_paths, jobs = AnnotationPaths(out, OWN_KEYPOINTS, None), []
    for number, (name, samples) in enumerate((("query", data.query), ("gallery", data.gallery))):
        pasted = which in (name, "both")
        if pasted and len({each.identity for each in samples}) < 2:
            raise UserError(
                f"The {name} images of {data.name} show a single person: there is no other person to paste."
            )
        for row, sample in enumerate(samples):
            inner = Path(name) / _name(sample, row, data.protocol, ".png" if pasted else sample.image.suffix)
            keypoints = annotation_paths.keypoints_of(inner)
            assert keypoints is not None
            draw = (seed, number, row) if pasted else None
            jobs.append(_Job(sample, out / inner, keypoints, draw, samples if pasted else ()))
    return jobs


def _name(sample: ReidSample, row: int, protocol: str, suffix: str) -> str:
    """The name that the `folder` dataset reads; cameras are numbered only where the protocol uses them."""
    camera = f"_c{sample.camera + 1:02}" if protocol == _BY_CAMERAS else ""
    stem = sample.image.stem.replace("_", "-")
    return f"{sample.identity:04}{camera}_{row:05}_{stem}{suffix}"


def _validate_missing_masks(jobs: Sequence[_Job]) -> None:
    """Check all inputs before the first crop is written."""
    for job in jobs:
        if job.sample.keypoints is None:
            raise UserError(
                "Ambiguous queries need keypoints: name their folder with keypoints=NAME, or make "
                "them with `kprtrack data keypoints`."
            )
        if job.draw is None:
            continue
        if job.sample.masks is None:
            raise UserError(
                "People are cut out with human-parsing masks: name their folder with masks=NAME, or make "
                "them with `kprtrack data part-labels`."
            )
        if not job.sample.masks.exists():
            raise InputError(
                f"There is no human-parsing file {job.sample.masks}, to cut people out. Make it with "
                "`kprtrack data part-labels`."
            )


def _begin(data: ReidData, out: Path, told: dict[str, object]) -> None:
    """Record the settings in the folder. Raises: OutputError if it holds something else."""
    crops = [f"{each.image.name} {each.identity} {each.camera}" for each in (*data.query, *data.gallery)]
    told = told | {"crops": hashlib.sha256("\n".join(crops).encode()).hexdigest()[:16]}
    path = out / DESCRIPTION
    if out.is_dir() and not path.exists() and (there := sorted(each.name for each in out.iterdir())):
        raise OutputError(
            f"{out} holds {there[0]}, which is not a set of pasted crops. Choose another folder."
        )
    if not path.exists():
        write_file(path, json.dumps(told, indent=1).encode())
        return
    before = load_json(path)
    for key, value in told.items():
        if not isinstance(before, dict) or before.get(key) != value:
            old = before.get(key) if isinstance(before, dict) else before
            raise OutputError(
                f"{out} holds pasted crops with {key}={old}, not {value}. Choose another folder, or the same "
                "settings to resume."
            )


def _copied(sample: ReidSample) -> tuple[bytes, bytes]:
    """The files of a crop as they are."""
    if isinstance(sample.keypoints, np.ndarray):
        return _read(sample.image), keypoints_json(sample.keypoints)
    assert sample.keypoints is not None
    return _read(sample.image), _read(sample.keypoints)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _pasted(job: _Job) -> tuple[bytes, bytes]:
    """Files of a crop with a person pasted in front: a lossless image and all keypoints."""
    assert job.draw is not None
    rng = np.random.default_rng(job.draw)
    other_people = [each for each in job.others if each.identity != job.sample.identity]
    found = _ambiguous(
        _with_person(job.sample), lambda: _with_person(other_people[rng.integers(len(other_people))]), rng
    )
    if found is None:
        raise InputError(
            f"None of {_PEOPLE} people fit into {job.sample.image} so that both stay recognisable. "
            f"Do its masks {job.sample.masks} show the person? Correct them, or remove the crop."
        )
    written, image = cv2.imencode(".png", cv2.cvtColor(found.image, cv2.COLOR_RGB2BGR))
    assert written
    return image.tobytes(), keypoints_json(found.keypoints)


def _ambiguous(crop: Crop, draw_other: Callable[[], Crop], rng: np.random.Generator) -> Crop | None:
    """Paste a person in front by the rule above; its skeleton comes last. None if no person fits."""
    height, width = crop.image.shape[:2]
    own, plain = cut_occluder(crop, height, width), Crop(crop.image, crop.keypoints, None)
    cut: Occluder | None = None
    for number in range(_PEOPLE * _PLACES if own else 0):
        if number % _PLACES == 0:
            cut = _cut(draw_other(), height)
        if own is None or cut is None:
            continue
        x, lower = rng.uniform(0, width), rng.uniform(*_LOWER)
        corner = round(x - cut.image.shape[1] / 2), round(lower * height)
        placed = _placed(cut, corner, height, width)
        solid = (each.opacity > _SOLID for each in (own, cut, placed))
        if _both_recognisable(*solid) and _edges(cut, corner, height, width) <= _MOST_CUT * height:
            found = _in_front(plain, placed)
            if _prompts_remain(plain, found):
                return found
    return None


def _with_person(sample: ReidSample) -> Crop:
    """The crop with the mask of the whole person, to be cut out."""
    crop, fields = read_crop(sample, None), read_fields(sample)
    assert fields is not None
    return Crop(crop.image, crop.keypoints, fields.max(axis=2, keepdims=True))


def _cut(other: Crop, height: int) -> Occluder | None:
    """The person of a crop that is made as high as another; keypoints that no prompt would show are gone."""
    width = max(1, round(other.image.shape[1] * height / other.image.shape[0]))
    if height * width > _MOST_PIXELS:  # of an image with a damaged size
        return None
    cut = cut_occluder(other, height, width)
    if cut is None:
        return None
    sure = cut.keypoints[:, 2:] > MIN_CONFIDENCE
    return replace(cut, keypoints=cut.keypoints * sure)


def _placed(cut: Occluder, corner: tuple[int, int], height: int, width: int) -> Occluder:
    """The person on an empty image of that size. corner: x y of the upper left."""
    move, size = np.array([[1, 0, corner[0]], [0, 1, corner[1]]], np.float32), (width, height)
    image, opacity = (
        cv2.warpAffine(each, move, size, flags=cv2.INTER_NEAREST) for each in (cut.image, cut.opacity)
    )
    known = cut.keypoints[:, 2:] > 0
    keypoints = (cut.keypoints + np.array([*corner, 0])) * known
    return Occluder(image, opacity, zero_outside(keypoints, height, width))


def _both_recognisable(own: np.ndarray, whole: np.ndarray, front: np.ndarray) -> bool:
    """Whether enough of both is visible. own, front: [h, w] bool; whole: `front` beyond the image."""
    least, most = _VISIBLE
    visible = 1 - (own & front).sum() / max(own.sum(), 1)
    return bool(least <= visible <= most and front.sum() >= _LEAST_SHOWN * whole.sum())


def _edges(cut: Occluder, corner: tuple[int, int], height: int, width: int) -> int:
    """Pixels of the one in front that lie on the edge of its own crop, but not on that of the image."""
    edge = cut.opacity > _SOLID
    edge[1:-1, 1:-1] = False
    columns, rows = (
        slice(max(1 - at, 0), max(side - 1 - at, 0)) for at, side in zip(corner, (width, height), strict=True)
    )
    return int(edge[rows, columns].sum())


def _in_front(target: Crop, placed: Occluder) -> Crop:
    # Just below the middle: halves are rounded to even, which would move every other odd image.
    height, width = target.image.shape[:2]
    middle = (float(np.nextafter(width / 2, 0)), float(np.nextafter(height / 2, 0)))
    return paste(target, placed, middle, phantom_keypoints=False)


def _prompts_remain(before: Crop, after: Crop) -> bool:
    sure = (after.keypoints[..., 2] > MIN_CONFIDENCE).sum(axis=1)
    had = (before.keypoints[0, :, 2] > MIN_CONFIDENCE).sum()
    return bool(sure[0] >= _LEAST_KEPT * had and sure[-1] >= _LEAST_KEYPOINTS)
