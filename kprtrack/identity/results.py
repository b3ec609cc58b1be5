"""Result files with their prototypes, as the user has corrected them, and the files of linked results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import OutputError, UserError
from kprtrack.edits import Edits, edits_path
from kprtrack.identity.linking import Links
from kprtrack.identity.persons import LINK_PROBABILITY, video_key, video_name
from kprtrack.identity.prototypes import TrackPrototypes
from kprtrack.identity.prototypes_file import read_prototypes, write_beside_result
from kprtrack.io import TrackFile, read_tracks, write_tracks

LINKS_FILE = "links.json"


@dataclass(frozen=True)
class IdentifiedResult:
    """A result with what its run has kept of the tracks.

    Args:
        path: The result file.
        tracks: Its tracks, corrected by NAME.edits.jsonl if there is one.
        prototypes: Of the same tracks.
        missed: Edits that do not apply to the result, one line each.
    """

    path: Path
    tracks: TrackFile
    prototypes: TrackPrototypes
    missed: tuple[str, ...] = ()

    @property
    def video(self) -> str:
        """The name of the video."""
        return video_name(self.prototypes)


def read_result(path: str | Path) -> IdentifiedResult:
    """Read a result, its edits and its prototypes.

    Args:
        path: The result; NAME.tracks.safetensors is beside it, and NAME.edits.jsonl if there are corrections.

    Raises:
        InputError: A file is missing, damaged or of another result.

    Examples:
        >>> read_result("tracks.json").prototypes.track_ids.tolist()
        [1, 2]
    """
    path = Path(path)
    tracks, prototypes = read_tracks(path), read_prototypes(path)
    if not edits_path(path).exists():
        return IdentifiedResult(path, tracks, prototypes)
    edited = Edits.read(edits_path(path)).apply(tracks)
    missed = tuple(str(each) for each in edited.report if each.status == "does not apply")
    return IdentifiedResult(path, edited.tracks, prototypes.relabelled(edited.tracks.frames), missed)


def read_results(paths: Sequence[str | Path]) -> list[IdentifiedResult]:
    """Read the results of several videos.

    Args:
        paths: The results.

    Raises:
        InputError: As `read_result`.
        UserError: Two are of one video, or by different encoders.
    """
    results = [read_result(path) for path in paths]
    first: dict[str, IdentifiedResult] = {}
    for result in results:
        other = first.setdefault(video_key(result.prototypes), result)
        if other is not result:
            raise UserError(f"{other.path} and {result.path} are of the same video. Leave out one of them.")
        encoder, reference = (one.prototypes.header["reid"] for one in (result, results[0]))
        if (encoder.get("name"), encoder.get("sha256")) != (reference.get("name"), reference.get("sha256")):
            raise UserError(
                f"{results[0].path} has embeddings of {reference.get('name')} and {result.path} of"
                f" {encoder.get('name')}, which cannot be compared. Track all videos with the same --reid."
            )
    return results


def write_linked(
    results: Sequence[IdentifiedResult], links: Links, names: dict[int, str], folder: Path
) -> list[Path]:
    """Write linked results: each with its persons, its prototypes beside it, and all links in one file.

    Args:
        results: What was linked.
        links: The persons.
        names: Names by person ID.
        folder: Where to; made if it is missing.

    Returns:
        The results that were written.

    Raises:
        UserError: Two results have the same name, or one is in this folder.
        OutputError: A file cannot be written.
    """
    targets = linked_paths(results, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder} ({error.strerror}).") from error
    for number, (result, target) in enumerate(zip(results, targets, strict=True)):
        persons = links.persons[number]
        own = result.tracks.header.names
        named = {track: names[person] for track, person in persons.items() if person in names}
        probability = {track: round(value, 4) for track, value in links.probability[number].items()}
        header = replace(
            result.tracks.header,
            names={**own, **named},
            persons=dict(persons),
            config={**result.tracks.header.config, LINK_PROBABILITY: probability},
        )
        write_tracks(replace(result.tracks, header=header), target)
        write_beside_result(result.prototypes, target)
    write_file(folder / LINKS_FILE, _links_json(results, targets, links, names))
    return targets


def linked_paths(results: Sequence[IdentifiedResult], folder: Path) -> list[Path]:
    """Return the files that `write_linked` writes. Raises: UserError as there."""
    targets = [folder / result.path.name for result in results]
    for number, (result, target) in enumerate(zip(results, targets, strict=True)):
        if target in targets[:number]:
            raise UserError(f"Two results are called {target.name}. Rename one: {result.path}.")
        if any(target.resolve() == other.path.resolve() for other in results):
            raise UserError(f"--out {folder}: {result.path} is in it. Choose another folder.")
    return targets


def _links_json(
    results: Sequence[IdentifiedResult], targets: Sequence[Path], links: Links, names: dict[int, str]
) -> bytes:
    videos = []
    for number, (result, target) in enumerate(zip(results, targets, strict=True)):
        prototypes, persons = result.prototypes, links.persons[number]
        videos.append(
            {
                "video": result.video,
                "sha256": video_key(prototypes),
                "result": target.name,
                "tracks": [
                    {
                        "id": track_id,
                        "person": persons[track_id],
                        "probability": round(links.probability[number][track_id], 4),
                        "first_s": first_s,
                        "last_s": last_s,
                    }
                    for track_id, first_s, last_s in zip(
                        prototypes.track_ids.tolist(),
                        prototypes.first_s.tolist(),
                        prototypes.last_s.tolist(),
                        strict=True,
                    )
                ],
            }
        )
    data = {
        "format": "kprtrack_links",
        "version": 1,
        "mean_distance": links.calibration.mean_distance,
        "pairs_seen_at_once": links.calibration.pairs,
        "names": {str(person): name for person, name in sorted(names.items())},
        "videos": videos,
        "links": [
            {
                "person": link.person,
                "tracks": _places(link.tracks, results),
                "to": _places(link.to, results),
                "probability": round(link.probability, 4),
                "decided": link.decided,
            }
            for link in links.links
        ],
    }
    return orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n"


def _places(
    tracks: Sequence[tuple[int, int]], results: Sequence[IdentifiedResult]
) -> list[dict[str, object]]:
    return [{"video": results[number].video, "id": track_id} for number, track_id in tracks]
