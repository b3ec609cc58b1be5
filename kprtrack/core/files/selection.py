"""Which category and which video of a COCO-like file are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.columns import Annotations, Entry

PERSON = "person"
PERSON_ID = 1  # of people in COCO and PoseTrack, where a file has no names
_SHOWN = 10  # names in a message


@dataclass(frozen=True)
class Selection:
    """The choice of a category and of a video, for files that have several.

    Args:
        category: Name of the category of people, in any case; without names its number. None: the category
            "person", or the only one.
        sequence: Name or number of the video; None: the only one.
        where_several: The choices apply only to files that have several, others are read whole.
        option: How a user sets them, for messages; {} stands for "category" or "sequence". Empty: they
            cannot be set.
    """

    category: str | None = None
    sequence: str | None = None
    where_several: bool = False
    option: str = "{}=NAME"

    def validate_unused(self, path: Path) -> None:
        """Raises: UserError if something is chosen, for a file that has neither categories nor videos."""
        for name in ("category", "sequence"):
            if getattr(self, name) is not None and not self.where_several:
                raise UserError(
                    f"{path} has neither categories nor videos to choose. Leave out {self._set(name)}."
                )

    def people(self, categories: Mapping[object, str], path: Path) -> list[object]:
        """Return the IDs of the categories of people.

        Args:
            categories: Names of all categories, by ID.
            path: The file, for messages.

        Raises:
            InputError: The chosen category is not there, or there are several and none is called "person".
        """
        several = len(categories) > 1
        if self.category is not None and (several or not self.where_several):
            return self._find("category", "categories", self.category, categories, path)
        people = [number for number, name in categories.items() if name.strip().casefold() == PERSON]
        if several and not people:
            raise self._ambiguous("category", f"none of the categories is called {PERSON}", categories, path)
        return people or list(categories)

    def video(self, videos: Mapping[object, str], path: Path) -> object | None:
        """Return the ID of the video that is read; None: all images.

        Args:
            videos: Names of all videos that have images, by ID; empty if the file has no videos.
            path: The file, for messages.

        Raises:
            InputError: The chosen video is not there, or there are several.
        """
        several = len(videos) > 1
        if self.sequence is not None and (several or not self.where_several):
            if not videos:
                raise InputError(f"{path} has no videos. Leave out {self._set('sequence')}.")
            return self._find("sequence", "videos", self.sequence, videos, path)[0]
        if several:
            raise self._ambiguous("sequence", "there are several videos", videos, path)
        return next(iter(videos), None)

    def _find(
        self, name: str, kind: str, wanted: str, names: Mapping[object, str], path: Path
    ) -> list[object]:
        key = wanted.strip().casefold()
        found = [number for number, each in names.items() if each.strip().casefold() == key]
        found = found or [number for number in names if str(number) == wanted.strip()]
        if not found:
            raise InputError(
                f"{path}: none of the {kind} is called {wanted!r:.40}, but {_listed(names)}. "
                f"{self._advice(name)}"
            )
        return found

    def _ambiguous(self, name: str, what: str, names: Mapping[object, str], path: Path) -> InputError:
        return InputError(f"{path}: {what}: {_listed(names)}. {self._advice(name)}")

    def _advice(self, name: str) -> str:
        return f"Choose one with {self._set(name)}." if self.option else "Keep only one in the file."

    def _set(self, name: str) -> str:
        return self.option.format(name)


ONLY = Selection()  # of files that have one category and one video
POSETRACK = Selection(option="")  # whose only category is "person"


def category_names(categories: Sequence[Entry], path: Path) -> dict[object, str]:
    """Return the names of the categories by ID; without a name the ID. Raises: InputError.

    The only category needs no ID: then there are no names, as without categories.
    """
    if len(categories) == 1 and categories[0].get("id") is None:
        return {}
    names: dict[object, str] = {}
    for index, category in enumerate(categories):
        number = category.get("id")
        name = category.get("name", number)
        if not _is_id(number) or not _is_id(name):
            raise InputError(f'{path}, category {index}: it needs an "id" and a "name", a text.')
        if number in names:
            raise InputError(f"{path}, category {index}: id {number!r:.40} is repeated.")
        names[number] = str(name)
    return names


def people_of(annotations: Annotations, names: Mapping[object, str], select: Selection) -> Annotations:
    """Return the annotations of the category of people.

    Args:
        annotations: Of all categories.
        names: Names of the categories by ID; empty: the file has none, and their numbers are the names.
        select: The choice of the category.

    Returns:
        The people. Without any categories all annotations are people, and where there is only one, those
        without a category.

    Raises:
        InputError: The choice is not possible, or an annotation has no known category.
    """
    ids = [entry.get("category_id") for entry in annotations.entries]
    known = names or _numbered(ids) or {PERSON_ID: PERSON}
    people = select.people(known, annotations.path)
    if names:
        for row, number in enumerate(ids):
            if not (number in names if _is_id(number) else number is None and len(names) == 1):
                raise InputError(
                    f"{annotations.place(row)}: category_id {number!r:.40} is none of the categories: "
                    f"{', '.join(map(str, list(names)[:_SHOWN]))}."
                )
    return annotations.at(np.array([number is None or number in people for number in ids], bool))


def _numbered(ids: Sequence[object]) -> dict[object, str]:
    """The categories of a file without names; COCO's number of people stands for a person."""
    found = sorted({number for number in ids if _is_id(number)}, key=str)
    return {number: PERSON if number == PERSON_ID else str(number) for number in found}


def _is_id(value: object) -> TypeGuard[int | float | str]:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _listed(names: Mapping[object, str]) -> str:
    shown = [f"{name!r:.40}"[1:-1] for name in list(names.values())[:_SHOWN]]
    return ", ".join(shown) + (f", … ({len(names)})" if len(names) > _SHOWN else "")
