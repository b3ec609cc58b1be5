"""Cut the people of tracked videos out: a folder for each person, with the keypoints of the tracks."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from kprtrack.adaptation.clean_tracks import CleanTrackConfig, CleanTracks, choose_clean_tracks
from kprtrack.core.atomic_file import write_file
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.io.exports.frame_images import tracked_frames
from kprtrack.io.header import TrackFile
from kprtrack.video.inputs import short_name
from reid.datasets.keypoint_files import keypoints_json
from reid.datasets.layout import OWN_KEYPOINTS, AnnotationPaths

_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)


def person_name(video: str | Path, track_id: int) -> str:
    """Return the name of the folder of a tracked person.

    Args:
        video: The video.
        track_id: Of the person in it.

    Returns:
        The name of the video, a dash and the ID.

    Examples:
        >>> person_name("footage/yard.mp4", 3)
        'yard-3'
    """
    return f"{short_name(video)}-{track_id}"


def write_track_crops(
    tracks: TrackFile,
    video: str | Path,
    folder: Path,
    config: CleanTrackConfig,
    *,
    quiet: bool = True,
) -> CleanTracks:
    """Write the crops of the people of a video whose identity is reliable.

    The crop of track 3 in frame 120 of yard.mp4 is FOLDER/yard-3/000120.jpg. Its keypoints, and those of
    other people in it, are written where `kprtrack data keypoints folder` writes them, as COCO's 17; there is
    no such file for a person whose keypoints are unknown.

    Args:
        tracks: The result.
        video: The video that was tracked.
        folder: Of the people; it is made if it is missing.
        config: Which crops are used.
        quiet: Show no progress.

    Returns:
        The people and the frames they were cut from.

    Raises:
        InputError: The video cannot be read or is another one than the tracks were made from, or no track
            is clean.
        OutputError: A file cannot be written.
    """
    chosen = choose_clean_tracks(tracks.frames, config)
    if not chosen.frames:
        raise InputError(
            f"None of {len(chosen.left_out)} tracks of '{short_name(video)}' shows a person"
            f" {config.min_height_px} pixels tall in {config.min_crops} frames in a row without an occlusion."
            " Take other footage."
        )
    annotation_paths = AnnotationPaths(folder, OWN_KEYPOINTS, None)
    by_frame = {frame.frame_number: frame for frame in tracks.frames}
    people: dict[int, list[int]] = defaultdict(list)
    for track_id, frames in chosen.frames.items():
        for number in frames:
            people[number].append(track_id)
    for frame in tracked_frames(tracks, sorted(people), video, label="crops", quiet=quiet):
        found = by_frame[frame.number]
        for track_id in people[frame.number]:
            row = int(np.flatnonzero(found.ids == track_id)[0])
            image = Path(person_name(video, track_id), f"{frame.number:06}.jpg")
            left, top, right, bottom = _pixels(found.boxes[row], frame.image.shape)
            if found.keypoints[row, :, 2].any():
                skeletons = _in_crop(found, row, (left, top), (right - left, bottom - top))
                keypoints = annotation_paths.keypoints_of(image)
                assert keypoints is not None  # a folder for them is named above
                write_file(keypoints, keypoints_json(skeletons))
            crop = frame.image[top:bottom, left:right, ::-1]
            write_file(folder / image, cv2.imencode(".jpg", crop, _JPEG)[1].tobytes())
    return chosen


def _pixels(box: np.ndarray, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """The box in whole pixels inside the image, at least one pixel large."""
    height, width = shape[:2]
    left, top = (int(v) for v in np.floor(box[:2]).clip(0, (width - 1, height - 1)))
    right, bottom = (int(v) for v in np.ceil(box[2:]).clip((left + 1, top + 1), (width, height)))
    return left, top, right, bottom


def _in_crop(tracks: Tracks, row: int, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """[1 + M, 17, 3] in pixels of the crop: the person, then others with a keypoint inside it."""
    skeletons = tracks.skeleton.to_coco(tracks.keypoints).copy()
    skeletons[..., :2] -= corner
    inside = ((skeletons[..., :2] >= 0) & (skeletons[..., :2] < size)).all(axis=2) & (skeletons[..., 2] > 0)
    others = inside.any(axis=1) & (np.arange(len(skeletons)) != row)
    return np.concatenate((skeletons[row : row + 1], skeletons[others]))
