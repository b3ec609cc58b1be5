"""The folder of people of an adaptation: copied images, people who may be the same, and the three sets."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError, OutputError
from kprtrack.core.part_distance import distance_matrix, prepare
from reid.datasets.folder import PersonImage, people_below
from reid.evaluation.metrics import Embedded

SETS = "sets.json"  # in the folder of people
LEAST_PEOPLE = 6
_LEAST_HELD_OUT = 2
_SURE = 0.1  # of the pairs seen at once, that are as near as people may be who are never seen at once
_LEAST_PAIRS = 10  # seen at once, to know how far different people are from each other


@dataclass(frozen=True)
class Split:
    """Who is trained on.

    Args:
        train: Names of people.
        held_out: Names of people that no training sees.
        left_out: By name why a person is in neither.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    left_out: Mapping[str, str]


def copy_people(source: Path, folder: Path, most: int) -> None:
    """Copy at most `most` images of each person, evenly chosen; images that exist are kept.

    Args:
        source: A folder of people, see reid.datasets.folder.
        folder: Where FOLDER/PERSON/... is made.
        most: Images of each person.

    Raises:
        InputError: There are no images, or one cannot be read.
        OutputError: An image cannot be written.
    """
    people: dict[str, list[PersonImage]] = defaultdict(list)
    for image in people_below(source):
        people[image[1]].append(image)
    for person, images in people.items():
        for row in np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)):
            path = images[row][0]
            target = folder / person / Path(*path.parts[1:] or path.parts)
            if target.exists():
                continue
            try:
                content = (source / path).read_bytes()
            except OSError as error:
                raise InputError(f"Cannot read {source / path}: {error.strerror}.") from error
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"Cannot make the folder {target.parent}: {error.strerror}.") from error
            write_file(target, content)


def possibly_the_same(embedded: Embedded, seen_at_once: Collection[tuple[int, int]]) -> dict[int, int]:
    """Find tracks that may show a person of another track: nearly as alike as no two people are.

    Two tracks that are never seen at once may be one person who left and came back, or walked into another
    video. They count as two people only if they are farther apart than the nearest tenth of the pairs that
    are seen at once.

    Args:
        embedded: Embeddings of crops; identities are tracks.
        seen_at_once: Pairs of tracks that are two people.

    Returns:
        For each track to leave out the track that it resembles; of two, the one with fewer crops is left out.

    Raises:
        InputError: Too few pairs are seen at once.
    """
    if len(seen_at_once) < _LEAST_PAIRS:
        raise InputError(
            f"Only {len(seen_at_once)} pairs of people are seen at once; {_LEAST_PAIRS} are needed to tell"
            " whether two tracks are two people. Sort the crops by hand into a folder for each person, see"
            " `kprtrack data crops --help`, and adapt to this folder."
        )
    names, counts = np.unique(embedded.labels.identities, return_counts=True)
    means, visible = _mean_of_each(embedded, names)
    parts = prepare(means, visible, "euclidean")
    distances = distance_matrix(parts, parts, metric="euclidean")
    place = {int(name): row for row, name in enumerate(names)}
    two_people = np.eye(len(names), dtype=bool)
    for a, b in seen_at_once:
        two_people[place[a], place[b]] = two_people[place[b], place[a]] = True
    threshold = np.quantile([distances[place[a], place[b]] for a, b in sorted(seen_at_once)], _SURE)
    kept: list[int] = []
    same: dict[int, int] = {}
    for row in np.argsort(-counts, kind="stable"):
        near = [other for other in kept if not two_people[row, other] and distances[row, other] < threshold]
        if near:
            same[int(names[row])] = int(names[min(near, key=lambda other: float(distances[row, other]))])
        else:
            kept.append(int(row))
    return same


def choose_held_out(people: Mapping[str, str], share: float, seed: int) -> tuple[str, ...]:
    """Draw the people who are held out; of several videos, all people of some of them.

    Args:
        people: Name -> video; one and the same where there is no video.
        share: Of the people, above 0 and below 1.
        seed: Another seed draws others.

    Returns:
        Their names in order. With several videos at most half of the people, so that it may be fewer than
        `share` of them.

    Raises:
        InputError: There are too few people.
    """
    if len(people) < LEAST_PEOPLE:
        raise InputError(
            f"There are {len(people)} people to train on and to score on; {LEAST_PEOPLE} or more are needed,"
            " better 50. Add footage."
        )
    wanted = min(max(_LEAST_HELD_OUT, round(share * len(people))), len(people) - _LEAST_HELD_OUT)
    rng = np.random.default_rng(seed)
    videos = sorted(set(people.values()))
    if len(videos) == 1:
        names = sorted(people)
        return tuple(sorted(names[row] for row in rng.permutation(len(names))[:wanted]))
    held_out: list[str] = []
    for video in rng.permutation(videos):
        of_video = [name for name in people if people[name] == video]
        if len(held_out) < wanted and len(held_out) + len(of_video) <= len(people) / 2:
            held_out += of_video
    if len(held_out) < _LEAST_HELD_OUT:
        raise InputError(
            f"The {len(videos)} videos show too few people to hold one out: {len(people)}. Add footage."
        )
    return tuple(sorted(held_out))


def write_sets(folder: Path, split: Split) -> str:
    """Write which images are for training, and which are queries and the gallery of the held-out people.

    The queries of a person with several cameras are the images of the first, the gallery those of the others.
    Where no held-out person has several, the queries are the later half of the images, in the order of their
    names, and the gallery is the earlier half.

    Args:
        folder: Of the people.
        split: Who is held out.

    Returns:
        The protocol for the score.

    Raises:
        OutputError: The file cannot be written.
    """
    images: dict[str, list[PersonImage]] = defaultdict(list)
    for image in people_below(folder):
        images[image[1]].append(image)
    several = any(len({camera for *_, camera in images[name]}) > 1 for name in split.held_out)
    query: list[Path] = []
    gallery: list[Path] = []
    for name in split.held_out:
        paths = [path for path, *_ in images[name]]
        if several:
            first = min(camera for *_, camera in images[name])
            earlier = [path for path, _, camera in images[name] if camera != first]
        else:
            earlier = paths[: len(paths) // 2]
        gallery += earlier
        query += [path for path in paths if path not in earlier]
    sets: dict[str, Sequence[Path]] = {
        "train": [path for name in split.train for path, *_ in images[name]],
        "query": query,
        "gallery": gallery,
    }
    content = {name: [path.as_posix() for path in paths] for name, paths in sets.items()}
    write_file(folder / SETS, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return "default" if several else "mot_inter_intra_video"


def _mean_of_each(embedded: Embedded, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean features [T, P, D] and visibility [T, P] of each track, over the crops that show the part."""
    weights = embedded.visible.astype(np.float32)
    means, visible = [], []
    for name in names:
        of_track = embedded.labels.identities == name
        share = weights[of_track]
        total = np.einsum("np,npd->pd", share, embedded.features[of_track])
        means.append(total / np.maximum(share.sum(axis=0), 1e-6)[:, None])
        visible.append((share.mean(axis=0) > 0).astype(np.float32))
    return np.stack(means).astype(np.float32), np.stack(visible)
