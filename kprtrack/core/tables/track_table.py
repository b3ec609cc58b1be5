"""Tracks as a table, the columns of CSV, Parquet, Excel and data frames, and as supervision's detections."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Literal, Protocol

import numpy as np

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.geometry import left_top_size
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.core.tables.names import NO_LABELS, PersonLabels

Library = Literal["pandas", "polars"]
TEXT_COLUMNS = ("video", "name", "visible_parts")  # all others are numbers
BOX_COLUMNS = ("x", "y", "width", "height")


class TracksLike(Protocol):
    """The arrays of `kprtrack.Tracks` that a table is made from."""

    @property
    def frame_number(self) -> int: ...
    @property
    def time_s(self) -> float: ...
    @property
    def ids(self) -> np.ndarray: ...
    @property
    def boxes(self) -> np.ndarray: ...
    @property
    def scores(self) -> np.ndarray: ...
    @property
    def keypoints(self) -> np.ndarray: ...
    @property
    def distances(self) -> np.ndarray: ...
    @property
    def margins(self) -> np.ndarray: ...
    @property
    def visible(self) -> np.ndarray: ...
    @property
    def prompted(self) -> np.ndarray: ...
    def __len__(self) -> int: ...


def column_names(keypoints: Sequence[str] = KEYPOINTS, labels: PersonLabels = NO_LABELS) -> list[str]:
    """Return the names of all columns in order.

    Args:
        keypoints: Names of the keypoints.
        labels: Of the tracks: with persons there are the columns "video" and "person", with names "name".
    """
    points = [f"{name}_{part}" for name in keypoints for part in ("x", "y", "score")]
    video, person = (["video"], ["person"]) if labels.persons else ([], [])
    name = ["name"] if labels.names else []
    start = [*video, "frame", "time", "track_id", *person, *name, *BOX_COLUMNS, "score", "keypoint_score"]
    return [*start, *points, "distance", "margin", "parts", "visible_parts", "prompted"]


def columns_of(tracks: TracksLike, labels: PersonLabels = NO_LABELS) -> list[np.ndarray | list[Any]]:
    """Return the values of every column for one frame: pixels to 0.01, scores and distances to 0.0001.

    Args:
        tracks: The frame.
        labels: Who the tracks are; see `column_names`. The person of a track without one is None.
    """
    count, ids, names, persons = len(tracks), tracks.ids.tolist(), labels.names, labels.persons
    points = tracks.keypoints.astype(np.float64)
    points[..., :2] = np.round(points[..., :2], 2)
    points[..., 2] = np.round(points[..., 2], 4)
    distances, margins = (_finite_or_nan(values) for values in (tracks.distances, tracks.margins))
    return [
        *([[labels.video] * count] if persons else []),
        np.full(count, tracks.frame_number, np.int64),
        np.full(count, np.round(tracks.time_s, 6), np.float64),
        tracks.ids,
        *([[persons.get(track_id) for track_id in ids]] if persons else []),
        *([[names.get(track_id, "") for track_id in ids]] if names else []),
        *left_top_size(tracks.boxes).T,
        np.round(tracks.scores.astype(np.float64), 4),
        np.round(points[..., 2].mean(axis=1), 4),
        *points.reshape(count, 3 * points.shape[1]).T,
        distances,
        margins,
        np.full(count, tracks.visible.shape[1], np.int64),
        [" ".join(map(str, np.flatnonzero(row))) for row in tracks.visible],
        tracks.prompted.astype(np.int64),
    ]


def to_dataframe(
    frames: Iterable[TracksLike],
    library: Library = "pandas",
    keypoints: Sequence[str] = KEYPOINTS,
    labels: PersonLabels = NO_LABELS,
) -> Any:
    """Make a data frame with one row per person and frame, and the columns of the CSV format.

    Args:
        frames: The tracks.
        library: "pandas" or "polars".
        keypoints: Names of the keypoints.
        labels: Who the tracks are; see `column_names`.

    Returns:
        The data frame; what is unknown is NaN.

    Raises:
        UserError: The library is unknown or not installed.
    """
    parts = [columns_of(tracks, labels) for tracks in frames]
    columns: dict[str, Any] = {}
    for index, name in enumerate(column_names(keypoints, labels)):
        values = [part[index] for part in parts]
        columns[name] = joined(values) if values else [] if name in TEXT_COLUMNS else np.zeros(0)
    if library == "pandas":
        return _imported("pandas").DataFrame(columns)
    if library == "polars":
        return _imported("polars").DataFrame(columns)
    raise unknown_name("library of data frames", library, ("pandas", "polars"))


def to_supervision(tracks: TracksLike) -> Any:
    """Convert the tracks of a frame to `supervision.Detections`; see `Tracks.to_supervision`."""
    supervision = _imported("supervision")
    return supervision.Detections(
        xyxy=tracks.boxes.astype(np.float32),
        confidence=tracks.scores.astype(np.float32),
        class_id=np.zeros(len(tracks), int),
        tracker_id=tracks.ids.astype(int),
        data={"class_name": np.full(len(tracks), "person"), "keypoints": tracks.keypoints},
    )


def joined(values: Sequence[np.ndarray | list[Any]]) -> np.ndarray | list[Any]:
    """Join the values of one column from several frames, at least one."""
    return list(chain.from_iterable(values)) if isinstance(values[0], list) else np.concatenate(values)


def _imported(name: str) -> Any:
    """Import a package. Raises: UserError with the command that installs it."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(f"This needs {name}. Install it with: pip install {name}") from error


def _finite_or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), np.round(values.astype(np.float64), 4), np.nan)
