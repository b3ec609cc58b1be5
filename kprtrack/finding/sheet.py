"""The contact sheet of a search: a row of thumbnails for each track that was found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.edits.grammar import clock_text
from kprtrack.finding.matches import Match
from kprtrack.gallery import Gallery
from kprtrack.identity.persons import video_key
from kprtrack.identity.results import IdentifiedResult
from kprtrack.io.same_video import Video, validate_size
from kprtrack.rendering.contact_sheet import Place, Row, contact_sheet, crop_person, thumbnails
from kprtrack.video.stills import FrameReader

Places = Callable[[Match], Sequence[Place]]  # of the prototypes of a track


@dataclass(frozen=True)
class FoundVideo:
    """A video that was searched.

    Args:
        header: "video" of its result.
        path: Where it is; None: nowhere.
    """

    header: Video
    path: Path | None


def find_videos(
    headers: Mapping[str, Mapping[str, Any]], where: Sequence[Path] = ()
) -> dict[str, FoundVideo]:
    """Find the files of videos.

    Args:
        headers: Headers of prototypes by `video_key`.
        where: Files, and folders of them; a video is found by its name. Without any it is where its result
            was made from.

    Returns:
        The videos, by the same keys.

    Raises:
        InputError: A path of `where` does not exist.
    """
    files: dict[str, Path] = {}
    for path in where:
        if not path.exists():
            raise InputError(f"--videos: there is no {path}.")
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            files.setdefault(file.name, file)
    found = {}
    for key, header in headers.items():
        stored = str(header["video"].get("path") or "")
        place = files.get(PurePath(stored).name) if where else Path(stored)
        found[key] = FoundVideo(header["video"], place if stored and place and place.exists() else None)
    return found


def places_in_results(results: Sequence[IdentifiedResult]) -> Places:
    """Return what gives the places of the prototypes of a track.

    Args:
        results: That were searched.
    """
    by_key = {video_key(result.prototypes): result.prototypes for result in results}

    def places(match: Match) -> list[Place]:
        kept = by_key[match.sha256]
        return [
            Place(int(kept.frames[row]), float(kept.times_s[row]), kept.boxes[row])
            for row in kept.of(match.track_id).tolist()
        ]

    return places


def places_in_gallery(gallery: Gallery) -> Places:
    """Return what gives the places of the prototypes of a track.

    Args:
        gallery: That was searched.
    """

    def places(match: Match) -> list[Place]:
        assert match.person_id is not None  # all tracks of a gallery have a person
        _, hits = gallery.prototypes_of(match.person_id)
        return [
            Place(hit.frame, hit.time_s, np.array(hit.box))
            for hit in hits
            if (hit.sha256, hit.track_id) == match.place
        ]

    return places


def match_sheet(
    matches: Sequence[Match],
    videos: Mapping[str, FoundVideo],
    places: Places,
    query: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Lay out the prototypes of the tracks that were found, the most similar one of each first.

    Args:
        matches: Nearest first.
        videos: By `video_key`; a track whose video is nowhere has a row without images.
        places: Of the prototypes of a track.
        query: Image and box of the person that was searched for, for the first row.

    Returns:
        [H, W, 3] uint8, RGB.

    Raises:
        InputError: A video cannot be read or is another one, or none of them is there.
    """
    if matches and not any(videos[match.sha256].path for match in matches):
        path = str(videos[matches[0].sha256].header.get("path"))
        raise InputError(f"There is no video {path}. Say where the videos are: --videos DIR.")
    images: dict[int, list[np.ndarray]] = {}
    shown: dict[int, list[Place]] = {}
    for key in dict.fromkeys(match.sha256 for match in matches):
        video = videos[key]
        of_video = [row for row, match in enumerate(matches) if match.sha256 == key]
        if video.path is None:
            continue
        for row in of_video:
            shown[row] = _nearest_first(matches[row], places(matches[row]))
        with FrameReader(video.path) as reader:
            size = (reader.info.width, reader.info.height)
            validate_size(video.header, matches[of_video[0]].video, size, str(video.path))
            found = iter(thumbnails(reader, [place for row in of_video for place in shown[row]]))
            for row in of_video:
                images[row] = [next(found) for _ in shown[row]]
    rows = [] if query is None else [Row("searched for", [crop_person(*query)])]
    for row, match in enumerate(matches):
        times = [clock_text(round(place.time_s, 1)) for place in shown.get(row, [])]
        rows.append(Row(_title(row + 1, match, row in images), images.get(row, []), times))
    return contact_sheet(rows)


def _nearest_first(match: Match, places: Sequence[Place]) -> list[Place]:
    return sorted(places, key=lambda place: (place.frame != match.frame, place.frame))


def _title(number: int, match: Match, is_there: bool) -> str:
    person = match.name or (f"person {match.person_id}" if match.person_id is not None else "")
    parts = [person, f"{match.video} track {match.track_id}", f"distance {match.distance:.3f}"]
    parts += [f"probability {match.probability:.2f}", "" if is_there else "video not found"]
    return f"{number}.  " + ",  ".join(part for part in parts if part)
