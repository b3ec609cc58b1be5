"""The video and the frame number of every image of a COCO-like file."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.coco import CocoFile, image_size
from kprtrack.core.files.numbers import LARGEST, LAST_FRAME, whole_number
from kprtrack.core.files.selection import ONLY, Selection

_VIDEO_KEYS = ("video_id", "vid_id")  # of images: CocoVID, PoseTrack21


@dataclass(frozen=True)
class Frames:
    """The images of one video as frames; row i is image i of the file."""

    chosen: np.ndarray  # [I] bool, whether the image belongs to the video
    numbers: np.ndarray  # [I] int64, frame numbers from 0
    times: np.ndarray  # [I] float64, seconds, NaN if unknown
    size: tuple[int, int] | None  # width and height in pixels, if all images have the same


def frames_of(file: CocoFile, select: Selection = ONLY) -> Frames:
    """Find the frames of one video.

    The number of a frame is the key `frame` of its image, which kprtrack writes, or else CocoVID's
    `frame_id`, or else its place among the images of the video.

    Args:
        file: The file.
        select: The video, for files that have several.

    Returns:
        The frames; of other videos' images only `chosen` is of use.

    Raises:
        InputError: There are several videos and none is selected, or a number, time or size is wrong.
    """
    chosen = _images_of_video(file, select)
    key = "frame_id" if "frame_id" in file.images[0] and not file.is_posetrack else None
    key = "frame" if "frame" in file.images[0] else key
    places = np.cumsum(chosen) - 1
    numbers, times, sizes = places.astype(np.int64), np.full(len(chosen), np.nan), set()
    for row in np.flatnonzero(chosen).tolist():
        image, place = file.images[row], f"{file.path}, image {row}"
        if key:
            numbers[row] = _frame_number(image, key, place)
        times[row] = _time(image, place)
        sizes.add(image_size(image, place))
    _validate_unique(file, key, np.flatnonzero(chosen), numbers)
    return Frames(chosen, numbers, times, sizes.pop() if len(sizes) == 1 else None)


def _images_of_video(file: CocoFile, select: Selection) -> np.ndarray:
    key = next((name for name in _VIDEO_KEYS if any(name in image for image in file.images)), None)
    if key is None:
        if len(file.videos) > 1:
            raise InputError(f"{file.path} lists {len(file.videos)} videos, but its images have no video_id.")
        select.video({}, file.path)
        return np.ones(len(file.images), bool)
    ids = [image.get(key) for image in file.images]
    for row, video in enumerate(ids):
        if isinstance(video, bool) or not isinstance(video, int | float | str):
            raise InputError(f"{file.path}, image {row}: {key} {video!r:.40} must be the number of a video.")
    listed = {_key(video.get("id")): video.get("name") for video in file.videos}
    names = {video: str(listed.get(_key(video)) or video) for video in ids}
    wanted = select.video(names, file.path)
    return np.array([video == wanted for video in ids], bool)


def _key(value: object) -> str:
    number = whole_number(value)
    return str(value if number is None else number)


def _frame_number(image: Mapping[str, object], key: str, place: str) -> int:
    number = whole_number(image.get(key))
    if number is None or not 0 <= number < LAST_FRAME:
        raise InputError(f"{place}: {key} {image.get(key)!r:.40} must be a whole number from 0 on.")
    return number


def _time(image: Mapping[str, object], place: str) -> float:
    time = image.get("time")
    if time is None:
        return np.nan
    if type(time) not in (int, float) or not abs(time) < LARGEST:  # type: ignore[arg-type]
        raise InputError(f"{place}, time: {time!r:.40} is not a number of seconds.")
    return float(time)  # type: ignore[arg-type]


def _validate_unique(file: CocoFile, key: str | None, rows: np.ndarray, numbers: np.ndarray) -> None:
    order = np.argsort(numbers[rows], kind="stable")
    again = np.flatnonzero(np.diff(numbers[rows][order]) == 0)
    if len(again):
        row = int(rows[order[again[0] + 1]])
        raise InputError(
            f"{file.path}, image {row}: {key} {numbers[row]} is repeated. Each image needs its own number."
        )
