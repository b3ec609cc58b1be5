"""Persons that are known before videos are linked, and what the user has decided about them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import check_shape
from kprtrack.core.errors import printable
from kprtrack.identity.prototypes import TrackPrototypes

TrackPlace = tuple[str, int]  # sha256 of the video, track ID
LINK_PROBABILITY = "link_probability"  # in the config of a linked result


@dataclass(frozen=True)
class KnownPersons:
    """The K persons of a gallery, as linking needs them.

    Args:
        ids: [K] int64, person IDs, rising.
        means: [K, P, D] mean of the embeddings of each person, per part; a part never seen is invisible.
        weights: [K] int64, how many embeddings are in the mean.
        next_id: The first person ID that was never used; it is greater than those of removed persons, too.
        names: Names by person ID.

    Raises:
        ValueError: The shapes do not fit.

    Examples:
        >>> from kprtrack.core.appearance import empty_appearance
        >>> known = KnownPersons(np.array([3]), empty_appearance(1, 6, 128), np.array([0]), next_id=5)
        >>> len(known)
        1
    """

    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    means: Appearance = field(default_factory=empty_appearance)
    weights: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    next_id: int = 1
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_shape("KnownPersons.weights", self.weights, (len(self.ids),))
        check_shape("KnownPersons.means", self.means.features, (len(self.ids), None, None))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Constraints:
    """What the user has decided; it holds whatever the embeddings are like.

    Args:
        must: Pairs of tracks that are one person.
        cannot: Pairs of tracks that are two persons.
        persons: The person of tracks that the user has assigned to a person of the gallery, by name, by a
            merge or by a split.

    Examples:
        >>> Constraints(must=((("ab12", 1), ("cd34", 7)),)).must[0][1]
        ('cd34', 7)
    """

    must: tuple[tuple[TrackPlace, TrackPlace], ...] = ()
    cannot: tuple[tuple[TrackPlace, TrackPlace], ...] = ()
    persons: Mapping[TrackPlace, int] = field(default_factory=dict)


def video_key(prototypes: TrackPrototypes) -> str:
    """Return what identifies a video: its sha256 or, where it has none (camera, images), its result's.

    Args:
        prototypes: Of a run.
    """
    video = prototypes.header.get("video")
    stored = video.get("sha256") if isinstance(video, Mapping) else None
    stored = stored or prototypes.header.get("result_sha256")
    if isinstance(stored, str) and stored:
        return stored
    description = json.dumps([prototypes.header, prototypes.track_ids.tolist()], sort_keys=True, default=str)
    return hashlib.sha256(description.encode()).hexdigest()


def video_name(prototypes: TrackPrototypes) -> str:
    """Return the file name of a video, printable; "video" if it is unknown."""
    video = prototypes.header.get("video")
    path = video.get("path") if isinstance(video, Mapping) else None
    name = PurePath(path).name if isinstance(path, str) else ""
    return printable(name or "video")


def link_probabilities(config: Mapping[str, object]) -> dict[int, float]:
    """Return by track ID how probable the person of a linked result is; what is no probability is left out.

    Args:
        config: Of the header of a result.

    Examples:
        >>> link_probabilities({"link_probability": {"3": 0.8}})
        {3: 0.8}
    """
    stored = config.get(LINK_PROBABILITY)
    return {
        int(track_id): float(value)
        for track_id, value in (stored.items() if isinstance(stored, Mapping) else ())
        if str(track_id).isdecimal() and isinstance(value, int | float) and 0 <= value <= 1
    }


def probability_text(value: float) -> str:
    """Return a probability such as "0.93" or, close to 1, ">0.99"."""
    return ">0.99" if value > 0.99 else f"{value:.2f}"
