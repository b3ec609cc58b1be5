"""Links tracks of several videos: the same person ID for the same person in all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.identity.calibration import DistanceCalibration, calibration_for
from kprtrack.identity.clustering import Merge, agglomerate
from kprtrack.identity.nodes import Nodes, decided_groups, pairs_apart, possible_matches
from kprtrack.identity.persons import Constraints, KnownPersons
from kprtrack.identity.prototypes import TrackPrototypes

MIN_PROBABILITY = 0.7  # of a link; a wrong name is worse than none


@dataclass(frozen=True)
class Link:
    """Tracks that were linked to a person.

    Args:
        person: The person ID.
        tracks: What was linked: number of the video and track ID, in order.
        to: Tracks of the person before, in order; none if it was known from a gallery only.
        probability: Of the link; 1 if the user has decided it.
        decided: By the user.
    """

    person: int
    tracks: tuple[tuple[int, int], ...]
    to: tuple[tuple[int, int], ...]
    probability: float
    decided: bool = False


@dataclass(frozen=True)
class Links:
    """The persons of several videos.

    Args:
        persons: Per video: person ID by track ID.
        probability: Per video: by track ID how probable it is that the track is of its person: that of the
            weakest link that attached it; 1 for a track that others were linked to.
        links: All links, in order.
        calibration: By which distances became probabilities.
        next_id: The first person ID that was never used.
    """

    persons: tuple[Mapping[int, int], ...]
    probability: tuple[Mapping[int, float], ...]
    links: tuple[Link, ...]
    calibration: DistanceCalibration
    next_id: int


def link(
    videos: Sequence[TrackPrototypes],
    known: KnownPersons | None = None,
    constraints: Constraints | None = None,
    *,
    min_probability: float = MIN_PROBABILITY,
) -> Links:
    """Link the tracks of videos with each other and with known persons.

    Tracks that were seen at once are two people, and so are two known persons. A track that is no one's
    probable match is a new person.

    Args:
        videos: What runs have kept of their tracks, all by one encoder.
        known: Persons of a gallery.
        constraints: What the user has decided; it overrules everything else.
        min_probability: Of a link, in (0, 1].

    Returns:
        The persons. New ones are numbered in the order of videos and of first appearance.

    Raises:
        InputError: The videos or the known persons have embeddings of different encoders.

    Examples:
        >>> prototypes = read_prototypes("tracks.json")
        >>> links = link([prototypes, prototypes])  # the same video twice
        >>> dict(links.persons[0]), dict(links.persons[1])
        ({1: 1, 2: 2}, {1: 1, 2: 2})
    """
    known, constraints = known or KnownPersons(), constraints or Constraints()
    nodes = Nodes(videos, known)
    groups, merges = decided_groups(nodes, constraints)
    apart = pairs_apart(nodes, constraints, groups)
    calibration = calibration_for(videos)
    for rows, odds, outside in possible_matches(nodes, groups, apart, calibration):
        members = [np.flatnonzero(groups == row) for row in rows]
        for merge in agglomerate(odds, outside, min_probability):
            first, second = (
                tuple(np.sort(np.concatenate([members[row] for row in side])).tolist())
                for side in (merge.first, merge.second)
            )
            merges.append((Merge(first, second, merge.probability), False))
    return _links(nodes, merges, calibration)


def _links(nodes: Nodes, merges: Sequence[tuple[Merge, bool]], calibration: DistanceCalibration) -> Links:
    """Number the persons."""
    known = len(nodes.known)
    first_row = np.arange(len(nodes))  # of the person of each node
    weakest = np.ones(len(nodes))
    sides = [_attached(merge, known) for merge, _ in merges]
    for (base, attached), (merge, _) in zip(sides, merges, strict=True):
        first_row[list(base + attached)] = min(base + attached)
        weakest[list(attached)] = np.minimum(weakest[list(attached)], merge.probability)
    person, next_id = np.zeros(len(nodes), np.int64), nodes.known.next_id
    person[:known] = nodes.known.ids
    for row in nodes.by_appearance.tolist():
        if person[first_row[row]] == 0:
            person[first_row[row]] = next_id
            next_id += 1
    person = person[first_row]
    persons: list[dict[int, int]] = [{} for _ in nodes.videos]
    probability: list[dict[int, float]] = [{} for _ in nodes.videos]
    for row in range(known, len(nodes)):
        video, track_id = nodes.track_of(row)
        persons[video][track_id] = int(person[row])
        probability[video][track_id] = float(weakest[row])
    links = [
        Link(
            int(person[base[0]]),
            tuple(nodes.track_of(row) for row in sorted(attached)),
            tuple(nodes.track_of(row) for row in sorted(base) if row >= known),
            merge.probability,
            decided,
        )
        for (base, attached), (merge, decided) in zip(sides, merges, strict=True)
    ]
    return Links(tuple(persons), tuple(probability), tuple(links), calibration, next_id)


def _attached(merge: Merge, known: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The group that stays what it is, and the one that is linked to it: the smaller or later one."""
    base, attached = sorted(
        (merge.first, merge.second), key=lambda rows: (min(rows) >= known, -len(rows), rows)
    )
    return base, attached
