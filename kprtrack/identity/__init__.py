"""Identities across videos: what a run keeps of every track, and how tracks of several videos are linked."""

from kprtrack.identity.collector import PrototypeCollector
from kprtrack.identity.prototypes import TrackPrototypes
from kprtrack.identity.prototypes_file import prototypes_path, read_prototypes, write_beside, write_prototypes

__all__ = [
    "PrototypeCollector",
    "TrackPrototypes",
    "prototypes_path",
    "read_prototypes",
    "write_beside",
    "write_prototypes",
]
