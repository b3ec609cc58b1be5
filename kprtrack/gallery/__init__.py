"""Persons across videos, in one file: names, notes, prototypes and where they were seen.

Examples:
    >>> from kprtrack.gallery import Gallery
    >>> with Gallery.open("people.kprdb", create=True) as gallery:
    ...     gallery.persons()
    []
"""

from kprtrack.gallery.gallery import Gallery
from kprtrack.gallery.records import Correction, Hit, Move, Person, Sighting

__all__ = ["Correction", "Gallery", "Hit", "Move", "Person", "Sighting"]
