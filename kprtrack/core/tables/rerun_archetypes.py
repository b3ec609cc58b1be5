"""Tracks as archetypes of the viewer Rerun (rerun.io): boxes, skeletons and their annotation context."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from kprtrack.core.extras import require
from kprtrack.core.skeleton import Skeleton
from kprtrack.core.tables.drawing import MIN_CONFIDENCE, colour_of
from kprtrack.core.tables.track_table import TracksLike

MOST_CLASSES = 65_536  # the class IDs of Rerun have 16 bits


class PosesLike(TracksLike, Protocol):
    """The arrays of `kprtrack.Tracks`, with the set of keypoints."""

    @property
    def skeleton(self) -> Skeleton: ...


def to_rerun(tracks: PosesLike, entity: str = "people") -> dict[str, Any]:
    """Make archetypes of the tracks of a frame; see `Tracks.to_rerun`."""
    classes = class_ids(tracks.ids.tolist())
    return {
        entity: annotation_context(classes, tracks.skeleton),
        **boxes_and_skeletons(tracks, classes, entity),
    }


def class_ids(ids: list[int]) -> dict[int, int]:
    """Return the class of each track ID: the ID itself, or its place in the list where one is too large."""
    if max(ids, default=0) < MOST_CLASSES:
        return {track_id: track_id for track_id in ids}
    return {track_id: number for number, track_id in enumerate(ids)}


def annotation_context(classes: Mapping[int, int], skeleton: Skeleton) -> Any:
    """Make an `AnnotationContext` with label, colour and skeleton of each track ID."""
    require("Rerun's archetypes", "rerun")
    import rerun as rr

    return rr.AnnotationContext(
        [
            rr.ClassDescription(
                info=rr.AnnotationInfo(id=number, label=str(track_id), color=colour_of(track_id)),
                keypoint_annotations=[
                    rr.AnnotationInfo(id=keypoint, label=name, color=colour_of(track_id))
                    for keypoint, name in enumerate(skeleton.names)
                ],
                keypoint_connections=list(skeleton.edges),
            )
            for track_id, number in classes.items()
        ]
    )


def boxes_and_skeletons(tracks: TracksLike, classes: Mapping[int, int], entity: str) -> dict[str, Any]:
    """Make `Boxes2D` and `Points2D` of all people of a frame; a class is a person.

    Args:
        tracks: The tracks.
        classes: Track ID -> class ID.
        entity: Path of the parent, which holds the annotation context.

    Returns:
        Entity path -> archetype.

    Raises:
        UserError: Rerun is not installed.
    """
    require("Rerun's archetypes", "rerun")
    import rerun as rr

    of_people = np.array([classes[track_id] for track_id in tracks.ids.tolist()], np.uint16)
    rows, keypoints = np.nonzero(tracks.keypoints[..., 2] > MIN_CONFIDENCE)
    return {
        f"{entity}/boxes": rr.Boxes2D(
            array=tracks.boxes.astype(np.float32),
            array_format=rr.Box2DFormat.XYXY,
            class_ids=of_people,
        ),
        f"{entity}/skeletons": rr.Points2D(
            tracks.keypoints[rows, keypoints, :2],
            class_ids=of_people[rows],
            keypoint_ids=keypoints.astype(np.uint16),
            show_labels=False,
        ),
    }
