"""The honest split: whole sources that no training uses, named in honest_split.json."""

import json
from pathlib import Path

_SPLIT = json.loads(Path(__file__).with_name("honest_split.json").read_text(encoding="utf-8"))
SOURCES = frozenset(_SPLIT["sources"])
PHOTOGRAPHS = frozenset(_SPLIT["photographs"])  # the origin of images in the archives of photographs
VIDEOS = tuple(_SPLIT["videos"])
MOT17 = tuple(_SPLIT["mot17"])


def is_honest(source: str, name: str) -> bool:
    """Return whether an image belongs to the honest split.

    Args:
        source: A source of tools/make_person_data.py, such as "pennfudan".
        name: Name of the image without suffix; that of a photograph is ORIGIN_NUMBER.
    """
    if source in ("photographs", "no_people"):
        return name.rpartition("_")[0] in PHOTOGRAPHS
    if source == "videos":
        return name.rpartition("_")[0] in VIDEOS
    if source == "mot17":
        return name.rpartition("_")[0] in MOT17
    return source in SOURCES
