"""What a gallery returns: persons, where they were seen, hits of a search and corrections."""

from dataclasses import dataclass

LONGEST_NOTES = 2000  # characters
NOTES_RULE = f"notes have at most {LONGEST_NOTES} printable characters, in one line."


def is_notes(text: object) -> bool:
    """Whether a value may be the notes of a person."""
    return isinstance(text, str) and len(text) <= LONGEST_NOTES and text.isprintable()


@dataclass(frozen=True)
class Sighting:
    """A track of a video, which is a person of the gallery.

    Args:
        video: Name of the file.
        sha256: Of the video, as `video_key` returns it.
        track_id: In the result of the video.
        first_s: Seconds, first detection.
        last_s: Last one.
        prototypes: Number of prototypes.
    """

    video: str
    sha256: str
    track_id: int
    first_s: float
    last_s: float
    prototypes: int

    @property
    def place(self) -> tuple[str, int]:
        """The sha256 of the video and the track ID, as `Gallery.split` takes them."""
        return self.sha256, self.track_id


@dataclass(frozen=True)
class Person:
    """A person of a gallery.

    Args:
        id: Never used again, not even after the person was removed.
        name: None: without a name.
        notes: Any text in one line.
        sightings: Where the person was seen, by video and time.
    """

    id: int
    name: str | None
    notes: str
    sightings: tuple[Sighting, ...]

    @property
    def prototypes(self) -> int:
        """Number of prototypes of all sightings."""
        return sum(sighting.prototypes for sighting in self.sightings)


@dataclass(frozen=True)
class Hit:
    """A prototype that a search has found.

    Args:
        person_id: Whose it is.
        video: Name of the file.
        sha256: Of the video.
        track_id: In its result.
        frame: Frame number.
        time_s: Seconds.
        box: x1 y1 x2 y2, pixels.
        quality: Of the prototype, in [0, 1].
        distance: To the query, in [0, 2]; exact.
    """

    person_id: int
    video: str
    sha256: str
    track_id: int
    frame: int
    time_s: float
    box: tuple[float, float, float, float]
    quality: float
    distance: float


@dataclass(frozen=True)
class Move:
    """A sighting that becomes another person.

    Args:
        sighting: The sighting.
        before: Person ID before.
        after: Person ID after.
        probability: Of the link, if it was found by linking again; 1: the user has decided it.
    """

    sighting: Sighting
    before: int
    after: int
    probability: float = 1.0


@dataclass(frozen=True)
class Correction:
    """What a merge or split changes.

    Args:
        person_id: The person that is left of a merge, or made by a split.
        moves: Sightings that become another person: first those of the correction, then those that are
            linked to a changed person in consequence.
        notes: What else changes, one line each.
    """

    person_id: int
    moves: tuple[Move, ...]
    notes: tuple[str, ...] = ()
