"""Photographs from many public origins, with and without people; whole origins are held out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kprtrack.core.geometry import iou
from person_data.labels import ImageRecord, Person
from person_data.reading import SourceContext
from person_data.split import is_honest

_CANVAS = 640  # pixels
_SAME_IOU = 0.5  # of an annotated box and one of the teacher on the same person
_MIN_HEIGHT_PX = 12.0  # of an annotated person that the teacher misses


def photographs(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield photographs with people, labelled by the teacher; annotated boxes replace the teacher's."""
    archive = context.archive("people/people.zip", "photographs")
    annotated: dict[str, Any] = context.json("people/labels_people.json", "photographs")
    for name in archive.names(".", ".jpg"):
        image = archive.image(f"{name}.jpg")
        people = context.teachers.label_all(image, _CANVAS)
        boxes = np.float32(annotated.get(f"{name}.jpg", {}).get("boxes", ())).reshape(-1, 4)
        if len(boxes):
            people = _with_annotated(context, image, people, boxes)
        yield ImageRecord(name, image, tuple(people), "teacher", is_honest("photographs", name))


def no_people(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield photographs without people, among them statues and mannequins."""
    archive = context.archive("people/no_people.zip", "no_people")
    for name in archive.names(".", ".jpg"):
        image = archive.image(f"{name}.jpg")
        yield ImageRecord(name, image, (), "true", is_honest("no_people", name), poses=False)


def _with_annotated(
    context: SourceContext, image: np.ndarray, people: Sequence[Person], boxes: np.ndarray
) -> list[Person]:
    """Move the teacher's boxes to the annotated ones [N, 4], and add people that it misses."""
    found = np.float32([each.box for each in people]).reshape(-1, 4)
    overlap = iou(boxes, found)
    kept, new = list(people), []
    for row, box in enumerate(boxes):
        best = int(overlap[row].argmax()) if len(found) else -1
        if best >= 0 and overlap[row, best] >= _SAME_IOU:
            if not kept[best].ignore:
                kept[best] = replace(kept[best], box=box, score=1.0)
                continue
            kept[best] = replace(kept[best], box=np.zeros(4, np.float32))  # dropped when it is written
        if box[3] - box[1] >= _MIN_HEIGHT_PX:
            new.append(box)
    added = context.teachers.label(image, np.float32(new).reshape(-1, 4)) if new else []
    return kept + added
