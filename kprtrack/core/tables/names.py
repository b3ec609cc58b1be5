"""The names and the person IDs of tracks: in one video, and in all videos that were linked."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST_NAME = 100  # characters
_LONGEST_LABEL = 24  # characters that are drawn
NAME_RULE = f"a name has 1 to {LONGEST_NAME} printable characters, without spaces at its ends."


@dataclass(frozen=True)
class PersonLabels:
    """Who the tracks of a video are.

    Args:
        names: Names of people by track ID.
        persons: Person ID by track ID, the same in all videos that were linked; empty: not linked.
        video: Name of the video.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    persons: Mapping[int, int] = field(default_factory=dict)
    video: str = ""

    def drawn(self) -> dict[int, str]:
        """Return what is drawn by track ID: the name, or P and the person ID; a track may have neither."""
        return {**{track_id: f"P{person}" for track_id, person in self.persons.items()}, **self.names}


NO_LABELS = PersonLabels()


def is_name(text: object) -> bool:
    """Whether a value is a name that a person may have."""
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_NAME:
        return False
    return text.isprintable() and text == text.strip()


def drawn_label(track_id: int, names: Mapping[int, str]) -> str:
    """Return what is drawn on a person: the name, or the ID of a person without one.

    The font of annotated videos has ASCII alone: accents are left out, and a name in another script is
    replaced by the ID.

    Examples:
        >>> drawn_label(3, {3: "Zoë"}), drawn_label(4, {3: "Zoë"})
        ('Zoe', '4')
    """
    plain = without_accents(names.get(track_id, str(track_id)))
    if not plain.isascii():
        return str(track_id)
    return plain if len(plain) <= _LONGEST_LABEL else f"{plain[: _LONGEST_LABEL - 2]}.."


def without_accents(text: str) -> str:
    """Return a text whose letters have lost their accents.

    Examples:
        >>> without_accents("Zoë")
        'Zoe'
    """
    parts = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in parts if not unicodedata.combining(letter))
