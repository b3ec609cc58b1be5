"""What is linked, known persons and tracks, and which of them may be one person."""

from collections.abc import Iterator, Sequence

import numpy as np

from kprtrack.core.appearance import Appearance, join_appearances, part_distance
from kprtrack.core.errors import InputError
from kprtrack.identity.calibration import DistanceCalibration
from kprtrack.identity.clustering import Merge, components
from kprtrack.identity.persons import Constraints, KnownPersons, TrackPlace, video_key
from kprtrack.identity.prototypes import TrackPrototypes

_CHUNK = 512  # nodes compared with all others at once
_POSSIBLE = 0.01  # a pair with smaller odds is never linked
_SAME_VIDEO = 0.1  # odds of two tracks of one video: where it was clear, the tracker gave them one ID


class Nodes:
    """The known persons, then the tracks of all videos: one row each."""

    def __init__(self, videos: Sequence[TrackPrototypes], known: KnownPersons) -> None:
        means = [known.means, *(video.means for video in videos)]
        shapes = {one.features.shape[1:] for one in means if len(one) and one.visible.any()}
        if len(shapes) > 1:
            raise InputError(
                f"The embeddings have {len(shapes)} shapes, so they are of different encoders. Track all"
                " videos with the same one (--reid)."
            )
        # A video without embeddings may be of any shape: its tracks are compared with nothing.
        shape = shapes.pop() if shapes else (0, 0)
        self.videos, self.known = videos, known
        self.means = join_appearances([_of_shape(one, shape) for one in means])
        self.starts = np.cumsum([len(known), *(len(video) for video in videos)])[:-1]  # first row per video
        self.video = np.repeat(np.arange(-1, len(videos)), [len(known), *(len(video) for video in videos)])
        self.track = np.concatenate([known.ids, *(video.track_ids for video in videos)])
        # Rows of tracks in the order of videos and of first appearance.
        first_s = np.concatenate([np.zeros(len(known)), *(video.first_s for video in videos)])
        self.by_appearance = np.lexsort((self.track, first_s, self.video))[len(known) :]
        self._rows = {
            (video_key(video), track_id): start + row
            for video, start in zip(videos, self.starts.tolist(), strict=True)
            for row, track_id in enumerate(video.track_ids.tolist())
        }

    def __len__(self) -> int:
        return len(self.track)

    def track_of(self, row: int) -> tuple[int, int]:
        """The number of the video and the ID of a track."""
        return int(self.video[row]), int(self.track[row])

    def row_of(self, place: TrackPlace, constraints: Constraints) -> int | None:
        """The row of a track, or that of the person it is assigned to; None if it is of another video."""
        if place in self._rows:
            return self._rows[place]
        return self.row_of_person(constraints.persons.get(place))

    def row_of_person(self, person: int | None) -> int | None:
        found = np.flatnonzero(self.known.ids == person)
        return int(found[0]) if len(found) else None


def _of_shape(people: Appearance, shape: tuple[int, ...]) -> Appearance:
    if people.features.shape[1:] == shape:
        return people
    features = np.zeros((len(people), *shape), np.float32)
    return Appearance(features, np.zeros(features.shape[:2], bool), people.prompted)


def decided_groups(nodes: Nodes, constraints: Constraints) -> tuple[np.ndarray, list[tuple[Merge, bool]]]:
    """What the user has decided to be one person: [N] group of each node, and the merges."""
    pairs = [(nodes.row_of(a, constraints), nodes.row_of(b, constraints)) for a, b in constraints.must]
    for place, person in constraints.persons.items():
        pairs.append((nodes.row_of_person(person), nodes.row_of(place, constraints)))
    groups = np.arange(len(nodes))
    merges: list[tuple[Merge, bool]] = []
    for a, b in pairs:
        if a is None or b is None or groups[a] == groups[b]:
            continue
        low, high = sorted((int(groups[a]), int(groups[b])))
        if high < len(nodes.known):
            continue  # two persons of the gallery stay two
        first, second = (tuple(np.flatnonzero(groups == one).tolist()) for one in (low, high))
        merges.append((Merge(first, second, 1.0), True))
        groups[groups == high] = low
    return np.unique(groups, return_inverse=True)[1], merges


def pairs_apart(nodes: Nodes, constraints: Constraints, groups: np.ndarray) -> np.ndarray:
    """[C, 2] pairs of groups that are two people, both ways."""
    pairs = [
        nodes.starts[n] + np.searchsorted(video.track_ids, video.together)
        for n, video in enumerate(nodes.videos)
    ]
    for places in constraints.cannot:
        a, b = (nodes.row_of(place, constraints) for place in places)
        if a is not None and b is not None:
            pairs.append(np.array([[a, b]]))
    of_groups = groups[np.concatenate([np.zeros((0, 2), np.int64), *pairs])]
    of_groups = of_groups[of_groups[:, 0] != of_groups[:, 1]]  # what the user has decided overrules the video
    both: np.ndarray = np.unique(np.concatenate([of_groups, of_groups[:, ::-1]]), axis=0)
    return both


def possible_matches(
    nodes: Nodes, groups: np.ndarray, apart: np.ndarray, calibration: DistanceCalibration
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield sets of groups that may be one person: [G] groups, [G, G] their odds, [G] those of all others."""
    total = [np.zeros(0, np.float32)]
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    for first, odds in odds_by_rows(nodes, groups, apart, calibration):
        total.append(odds.sum(1))
        rows, columns = np.nonzero(odds >= _POSSIBLE)
        found.append((rows + first, columns, odds[rows, columns]))
    sums = np.concatenate(total)
    rows, columns, values = (np.concatenate(each) for each in zip(*found, strict=True))
    for members in components(len(sums), zip(rows.tolist(), columns.tolist(), strict=True)):
        inside = np.isin(rows, members)
        odds = np.zeros((len(members), len(members)), np.float32)
        place = np.searchsorted(members, rows[inside]), np.searchsorted(members, columns[inside])
        odds[place] = values[inside]
        yield members, odds, np.maximum(sums[members] - odds.sum(1), 0)


def odds_by_rows(
    nodes: Nodes, groups: np.ndarray, apart: np.ndarray, calibration: DistanceCalibration
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first of a few groups, and their odds [R, G] to be the same person as each of the groups."""
    count = int(groups.max(initial=-1)) + 1
    order = np.argsort(groups, kind="stable")
    means, starts = nodes.means[order], np.searchsorted(groups[order], np.arange(count + 1))
    known = np.isin(np.arange(count), groups[: len(nodes.known)])
    video = np.where(np.diff(starts) == 1, nodes.video[order][starts[:-1]], -1)
    first = 0
    while first < count:
        last = max(int(np.searchsorted(starts, starts[first] + _CHUNK, side="right")) - 1, first + 1)
        here = np.arange(first, last)
        distance = part_distance(means[np.arange(starts[first], starts[last])], means)
        # Of several groups of embeddings of one person the nearest counts.
        nearest = np.minimum.reduceat(distance, starts[here] - starts[first], axis=0)
        nearest = np.minimum.reduceat(nearest, starts[:-1], axis=1)
        ratio = calibration.likelihood_ratio(nearest).astype(np.float32)
        ratio[np.isinf(nearest)] = 0  # nothing is known of the pair
        ratio[here - first, here] = 0
        ratio[np.ix_(known[here], known)] = 0
        # Groups of more than one video have none.
        ratio[(video[here][:, None] == video) & (video >= 0)] *= _SAME_VIDEO
        two = apart[(apart[:, 0] >= first) & (apart[:, 0] < last)]
        ratio[two[:, 0] - first, two[:, 1]] = 0
        yield first, ratio / np.maximum(np.count_nonzero(ratio, axis=1), 1)[:, None].astype(np.float32)
        first = last
