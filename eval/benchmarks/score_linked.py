"""Score the persons of linked videos against ground truth with the same person IDs in all videos."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as List
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from eval.benchmarks.tracks import TrackPair, find_track_files, read_track_pair
from eval.datatypes import Evaluation, Measure, People, Scores, Sequence
from eval.metrics.boxes import person_scores
from eval.metrics.links import UNMATCHED, LinkedTracks, gt_of_tracks, link_scores, name_scores
from eval.metrics.similarity import box_similarities
from kprtrack.core.errors import InputError

_SCORED = ("hota", "identity")


@dataclass(frozen=True)
class _Video:
    """One video: its sequence, and its tracks in order of ID."""

    path: Path  # of the result
    sequence: Sequence  # its ground truth has person IDs
    ids: np.ndarray  # [T] int64, track IDs
    persons: Mapping[int, int]  # by track ID
    names: Mapping[int, str]
    gt_persons: np.ndarray  # [T] int64, or UNMATCHED
    gt_names: Mapping[int, str]  # by person ID


def score_linked(
    ground_truth: Path, results: Path, *, on_sequence: Callable[[str], None] | None = None
) -> Evaluation:
    """Score persons: HOTA and IDF1 of all videos as one, before and after linking; links; names.

    Args:
        ground_truth: A folder with a file for each video: a linked result, or one whose track IDs are person
            IDs. Its names are those of known persons.
        results: A folder with the linked result of each video, NAME.json or NAME.tracks.json.
        on_sequence: Called with the name of each video when it is read.

    Raises:
        InputError: A file is missing or invalid, no result is linked, or a person is twice in a frame.
    """
    files, notes = find_track_files(ground_truth, results)
    videos: list[_Video] = []
    for name, paths in files.items():
        pair = read_track_pair(name, *paths)
        notes = (*notes, *pair.notes)
        videos.append(_video(pair, paths))
        if on_sequence is not None:
            on_sequence(name)
    if not any(video.persons for video in videos):
        raise InputError(
            f"No result in {results} has persons. Link the videos with `kprtrack link`, and score its output."
        )
    before, after = _track_identities(videos, linked=False), _track_identities(videos, linked=True)
    tracks = LinkedTracks(
        np.repeat(np.arange(len(videos)), [len(video.ids) for video in videos]),
        np.concatenate(after),
        np.concatenate([video.gt_persons for video in videos]),
    )
    scores: dict[str, Scores] = {}
    for what, identities in (("unlinked", before), ("linked", after)):
        one = joined([_with_tracks(video, ids) for video, ids in zip(videos, identities, strict=True)])
        only = frozenset(f"{what}_{measure}" for measure in _SCORED)
        scores |= person_scores(box_similarities(one), what, only=only)
    scores["links"] = link_scores(tracks)
    names = _names(videos)
    return Evaluation(
        benchmark="linked",
        ground_truth=str(ground_truth),
        results=str(results),
        measures={name: Measure(value, {}) for name, value in (scores | names).items()},
        timelines={},
        notes=notes,
    )


def joined(videos: List[Sequence]) -> Sequence:
    """Return videos as one: their frames in a row, with identities as they are.

    Args:
        videos: The videos.
    """
    starts = np.cumsum([0, *(len(video.labelled) for video in videos)]).tolist()
    return Sequence(
        "all videos",
        np.concatenate([video.labelled for video in videos]),
        tuple(regions for video in videos for regions in video.ignore_regions),
        *(_people([getattr(video, side) for video in videos], starts) for side in ("ground_truth", "tracks")),
    )


def _people(parts: List[People], starts: List[int]) -> People:
    moved = [replace(part, frames=part.frames + start) for part, start in zip(parts, starts, strict=False)]
    return People(
        *(np.concatenate([getattr(part, field.name) for part in moved]) for field in fields(People))
    )


def _video(pair: TrackPair, paths: tuple[Path, Path]) -> _Video:
    sequence, header = pair.sequence, pair.headers[0]
    names = header.names
    if header.persons:
        ids = sequence.ground_truth.ids
        for track_id in np.setdiff1d(ids, list(header.persons)).tolist()[:1]:
            raise InputError(
                f"{paths[0]}: track {track_id} has no person, but others have. Link it, or delete the track."
            )
        of_people = np.array([header.persons[track_id] for track_id in ids.tolist()], np.int64)
        people = _with_ids(sequence.ground_truth, of_people, paths[0])
        sequence = replace(sequence, ground_truth=people)
        names = {
            header.persons[track_id]: name for track_id, name in names.items() if track_id in header.persons
        }
    persons = np.unique(sequence.ground_truth.ids)
    rows = gt_of_tracks(box_similarities(sequence))
    return _Video(
        path=paths[1],
        sequence=sequence,
        ids=np.unique(sequence.tracks.ids),
        persons=pair.headers[1].persons,
        names=pair.headers[1].names,
        gt_persons=np.array([UNMATCHED if row == UNMATCHED else persons[row] for row in rows], np.int64),
        gt_names=names,
    )


def _track_identities(videos: List[_Video], *, linked: bool) -> list[np.ndarray]:
    """For each video the identities [T] of its tracks: their persons, or one of their own for each."""
    own = 1 + max((person for video in videos for person in video.persons.values()), default=0)
    identities = []
    for video in videos:
        persons = video.persons if linked else {}
        numbers = [persons.get(one, own + row) for row, one in enumerate(video.ids.tolist())]
        own += len(numbers)
        identities.append(np.array(numbers, np.int64))
    return identities


def _with_tracks(video: _Video, identities: np.ndarray) -> Sequence:
    """The sequence with these identities [T] of its tracks."""
    tracks = video.sequence.tracks
    ids = identities[np.searchsorted(video.ids, tracks.ids)]
    return replace(video.sequence, tracks=_with_ids(tracks, ids, video.path))


def _with_ids(people: People, ids: np.ndarray, path: Path) -> People:
    """The people with other IDs [N]. Raises: InputError if one is twice in a frame."""
    places, counts = np.unique(np.stack([people.frames, ids]), axis=1, return_counts=True)
    for frame, person in places[:, counts > 1].T[:1].tolist():
        same = people.ids[(people.frames == frame) & (ids == person)].tolist()
        raise InputError(
            f"{path}: tracks {' and '.join(map(str, same[:2]))} are both person {person} and both in a frame"
            f" ({frame}, counted from 0). Link the videos again."
        )
    return replace(people, ids=ids)


def _names(videos: List[_Video]) -> dict[str, Scores]:
    """The scores of names; none if the ground truth has no names."""
    known = dict(_known_names(videos))
    if not known:
        return {}
    names = [video.names.get(one) for video in videos for one in video.ids.tolist()]
    wanted = [known.get(person) for video in videos for person in video.gt_persons.tolist()]
    return {"names": name_scores(names, wanted)}


def _known_names(videos: List[_Video]) -> Iterable[tuple[int, str]]:
    """Person IDs and names. Raises: InputError if a person has two names."""
    known: dict[int, str] = {}
    for video in videos:
        for person, name in video.gt_names.items():
            if known.setdefault(person, name) != name:
                raise InputError(
                    f"The ground truth of {video.sequence.name} names person {person} {name}, that of another"
                    f" video {known[person]}. Give a person one name."
                )
    return known.items()
