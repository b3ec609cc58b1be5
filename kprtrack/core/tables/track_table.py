"""Tracks as a table, the columns of CSV, Parquet, Excel and data frames, and as supervision's detections."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.geometry import left_top_size
from kprtrack.core.skeleton import KEYPOINTS

Library = Literal["pandas", "polars"]
TEXT_COLUMNS = ("name", "visible_parts")  # all others are numbers
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


def column_names(keypoints: Sequence[str] = KEYPOINTS, *, with_name: bool = False) -> list[str]:
    """Return the names of all columns in order; with_name: people have names."""
    points = [f"{name}_{part}" for name in keypoints for part in ("x", "y", "score")]
    name = ["name"] if with_name else []
    start = ["frame", "time", "track_id", *name, *BOX_COLUMNS, "score", "keypoint_score"]
    return [*start, *points, "distance", "margin", "parts", "visible_parts", "prompted"]


def columns_of(tracks: TracksLike, names: Mapping[int, str] | None = None) -> list[np.ndarray | list[str]]:
    """Return the values of every column for one frame: pixels to 0.01, scores and distances to 0.0001.

    Args:
        tracks: The frame.
        names: Names by track ID, for the column "name"; without any there is no such column.
    """
    count = len(tracks)
    points = tracks.keypoints.astype(np.float64)
    points[..., :2] = np.round(points[..., :2], 2)
    points[..., 2] = np.round(points[..., 2], 4)
    distances, margins = (_finite_or_nan(values) for values in (tracks.distances, tracks.margins))
    return [
        np.full(count, tracks.frame_number, np.int64),
        np.full(count, np.round(tracks.time_s, 6), np.float64),
        tracks.ids,
        *([[names.get(track_id, "") for track_id in tracks.ids.tolist()]] if names else []),
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
    people: Mapping[int, str] | None = None,
) -> Any:
    """Make a data frame with one row per person and frame, and the columns of the CSV format.

    Args:
        frames: The tracks.
        library: "pandas" or "polars".
        keypoints: Names of the keypoints.
        people: Names of people by track ID, for a column "name".

    Returns:
        The data frame; what is unknown is NaN.

    Raises:
        UserError: The library is unknown or not installed.
    """
    parts = [columns_of(tracks, people) for tracks in frames]
    names = column_names(keypoints, with_name=bool(people))
    columns: dict[str, Any] = {}
    for index, name in enumerate(names):
        values = [part[index] for part in parts]
        texts = name in TEXT_COLUMNS
        columns[name] = [each for value in values for each in value] if texts else _joined(values)
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


def _joined(values: list[Any]) -> np.ndarray:
    return np.concatenate(values) if values else np.zeros(0)


def _imported(name: str) -> Any:
    """Import a package. Raises: UserError with the command that installs it."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(f"This needs {name}. Install it with: pip install {name}") from error


def _finite_or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), np.round(values.astype(np.float64), 4), np.nan)
