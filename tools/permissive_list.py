"""Keep the images of a list whose licence permits any use.

    python tools/permissive_list.py PERSON/train/photographs.json --sources REAL/people/sources.json \
        --out PERSON/train/permissive.json

The list is one of tools/make_person_data.py, in COCO's form. Kept are images that this project draws,
photographs whose source states a licence in PERMISSIVE, and frames of videos in VIDEOS. Prints how many
images of which source are kept. A licence is what the repository of the source states.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kprtrack.core.atomic_file import write_file

PERMISSIVE = ("Apache-2.0", "BSD", "BSL-1.0", "CC-BY-4.0", "CC0-1.0", "MIT", "Unlicense")
VIDEOS = ("intel_one_by_one",)  # CC BY 4.0
_DRAWN = ("drawn", "synthetic")


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("list", type=Path, help="of tools/make_person_data.py")
    parser.add_argument("--sources", type=Path, required=True, help="sources.json of the photographs")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sources = json.loads(options.sources.read_text("utf-8"))["sources"]
    kept, counts = permissive(json.loads(options.list.read_text("utf-8")), sources)
    write_file(options.out, json.dumps(kept).encode())
    for (source, licence), count in sorted(counts.items()):
        print(f"{source}: {licence}, {count} images")
    print(f"{options.out}: {len(kept['images'])} images, {len(kept['annotations'])} people")


def permissive(
    images: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], Counter[tuple[str, str]]]:
    """Return a list with the images that may be used, and their number by source and licence.

    Args:
        images: "images", "annotations" and the rest of COCO's form.
        sources: Licences of photographs by source.
    """
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for image in images["images"]:
        found = _source(image["file_name"], sources)
        if found is not None:
            counts[found] += 1
            kept.append(image)
    ids = {image["id"] for image in kept}
    people = [person for person in images["annotations"] if person["image_id"] in ids]
    return {**images, "images": kept, "annotations": people}, counts


def _source(name: str, sources: Mapping[str, Mapping[str, Any]]) -> tuple[str, str] | None:
    """Source and licence of an image that may be used."""
    path = PurePosixPath(name)
    folder, source = path.parts[0], path.stem.rsplit("_", 1)[0]
    if folder in _DRAWN:
        return folder, "this project"
    for video in VIDEOS:
        if path.stem.startswith(video):
            return video, "CC-BY-4.0"
    licence = sources.get(source, {}).get("licence")
    return (source, licence) if licence in PERMISSIVE else None


if __name__ == "__main__":
    main()
