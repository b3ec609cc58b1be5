"""Measure a large gallery: time to add and to index, time of a query, and how many of the nearest it finds.

    python tools/benchmark_gallery.py --prototypes 1000000 --like results/*.tracks.safetensors

Persons are drawn from a distribution of embeddings: with --like from that of real prototypes (mean, variation
between and within persons, visible parts), else from one with about the spectrum of CUHK03 with the package's
encoder. Every person has several tracks, every track eight prototypes. Queries are further sightings of
persons in the gallery. The nearest prototypes are found independently, by a product with all stored rows.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.gallery import Gallery
from kprtrack.identity import TrackPrototypes, read_prototypes

PER_TRACK = 8
TRACKS_AT_ONCE = 500  # of one video
_PARTS, _DIMENSIONS = 6, 128
_COUNTS = (1, 10, 100)


@dataclass(frozen=True)
class Spread:
    """How embeddings are distributed: mean, and factors of the variation between and within persons."""

    shape: tuple[int, int]
    mean: np.ndarray  # [P * D]
    between: np.ndarray  # [b, P * D]
    within: np.ndarray  # [w, P * D]
    visible: np.ndarray  # [V, P] bool, patterns that are drawn


def main() -> None:
    """Make the gallery, unless it is there, and print the figures."""
    options = _options()
    random = np.random.default_rng(options.seed)
    spread = spread_of(options.like) if options.like else made_spread(random)
    persons = max(options.prototypes // PER_TRACK // options.tracks, 1)
    latent = random.standard_normal((persons, len(spread.between))).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.gallery or Path(folder) / "people.kprdb")
        print(f"{persons} persons, {options.prototypes} prototypes of {spread.shape}")
        if not path.exists():
            make(path, spread, latent, options, random)
        print(f"{path.stat().st_size / 1e6:.0f} MB", flush=True)
        random = np.random.default_rng(options.seed + 1)
        for name, hidden in (("all parts", 0), ("half of the parts", spread.shape[0] // 2), ("one part", -1)):
            query = queries(spread, latent, options.queries, hidden, random)
            measure(path, name, query)


def make(
    path: Path, spread: Spread, latent: np.ndarray, options: argparse.Namespace, random: np.random.Generator
) -> None:
    """Make the gallery and print how long it takes."""
    started = time.perf_counter()
    with Gallery.open(path, create=True) as gallery:
        spent, longest = add_all(gallery, spread, latent, options, random)
    print(f"made in {time.perf_counter() - started:.0f} s, of which adding and indexing take {spent:.0f} s;")
    print(
        f"the longest addition of {TRACKS_AT_ONCE} tracks takes {longest:.1f} s (with a new index)",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--prototypes", type=int, default=1_000_000)
    parser.add_argument("--tracks", type=int, default=4, help="of each person")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument(
        "--like", nargs="*", help="real prototypes, of videos with one person each: 0001_*.safetensors"
    )
    parser.add_argument(
        "--gallery", help="the file, made if it is missing and kept (default: a temporary one)"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def spread_of(files: Sequence[str]) -> Spread:
    """Measure real prototypes; the part of a name before "_" is the person."""
    prototypes = [(Path(file).name.split("_")[0], read_prototypes(file).embeddings) for file in sorted(files)]
    names = np.concatenate([[name] * len(some) for name, some in prototypes])
    visible = np.concatenate([some.visible for _, some in prototypes])
    features = np.concatenate([some.features for _, some in prototypes]) * visible[:, :, None]
    flat = features.reshape(len(features), -1)
    persons, row = np.unique(names, return_inverse=True)
    means = np.stack([flat[row == number].mean(0) for number in range(len(persons))])
    mean = means.mean(0)
    between = (means - mean) / np.sqrt(len(means))
    within = (flat - means[row]) / np.sqrt(len(flat) - len(persons))
    return Spread(features.shape[1:], mean, *(_factors(one) for one in (between, within)), visible)


def _factors(rows: np.ndarray) -> np.ndarray:
    """Rows whose random combinations have the covariance of the rows given, few of them."""
    _, lengths, directions = np.linalg.svd(rows, full_matrices=False)
    return (lengths[:, None] * directions).astype(np.float32)


def made_spread(random: np.random.Generator) -> Spread:
    """A spectrum like that of CUHK03: 40 % mean, the rest two thirds between and one third within persons."""
    length = _PARTS * _DIMENSIONS

    def directions(count: int, share: float, decay: float) -> np.ndarray:
        rows = np.linalg.qr(random.standard_normal((length, count)))[0].T
        energy = np.arange(1, count + 1.0) ** -decay
        return (np.sqrt(share * energy / energy.sum() * _PARTS)[:, None] * rows).astype(np.float32)

    mean = random.standard_normal(length)
    visible = random.random((1000, _PARTS)) < 0.9
    visible[:, 0] = True
    between, within = directions(140, 0.4, 0.9), directions(400, 0.2, 0.7)
    return Spread(
        (_PARTS, _DIMENSIONS), mean / np.linalg.norm(mean) * np.sqrt(0.4 * _PARTS), between, within, visible
    )


def drawn(spread: Spread, latent: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """[N, P, D] embeddings of persons [N, b] with noise [N, w]."""
    flat = spread.mean + latent @ spread.between + noise @ spread.within
    features = flat.reshape(-1, *spread.shape).astype(np.float32)
    return features / np.linalg.norm(features, axis=2, keepdims=True)


def add_all(
    gallery: Gallery,
    spread: Spread,
    latent: np.ndarray,
    options: argparse.Namespace,
    random: np.random.Generator,
) -> tuple[float, float]:
    """Add the tracks of all persons, many to a video; return the seconds of the adding and of the longest."""
    owner = np.repeat(np.arange(len(latent)), options.tracks)
    random.shuffle(owner)
    spent, longest = 0.0, 0.0
    for start in range(0, len(owner), TRACKS_AT_ONCE):
        persons = owner[start : start + TRACKS_AT_ONCE]
        prototypes = video(spread, latent[persons], f"{start}.mp4", random)
        began = time.perf_counter()
        gallery.add(prototypes)
        longest = max(longest, time.perf_counter() - began)
        spent += time.perf_counter() - began
    return spent, longest


def video(spread: Spread, latent: np.ndarray, name: str, random: np.random.Generator) -> TrackPrototypes:
    """A video with one track of each person."""
    tracks = len(latent)
    row = np.repeat(np.arange(tracks), PER_TRACK)
    size = len(spread.within)
    of_track = random.standard_normal((tracks, size), np.float32)[row]
    noise = np.sqrt(0.5) * (of_track + random.standard_normal((len(row), size), np.float32))
    features = drawn(spread, latent[row], noise)
    visible = spread.visible[random.integers(len(spread.visible), size=len(row))]
    ids, zeros = np.arange(1, tracks + 1), np.zeros(tracks, np.int64)
    count = len(row)
    return TrackPrototypes(
        header={"video": {"path": name, "sha256": name}, "reid": {"name": "made", "sha256": "made"}},
        track_ids=ids,
        first_s=zeros.astype(np.float64),
        last_s=zeros.astype(np.float64),
        first_frame=zeros,
        last_frame=zeros,
        boxes_seen=zeros,
        means=Appearance(features[::PER_TRACK], visible[::PER_TRACK], np.zeros(tracks, bool)),
        weights=zeros + 1,
        track_row=row,
        embeddings=Appearance(features, visible, np.ones(count, bool)),
        frames=np.arange(count),
        times_s=np.arange(count) / 25,
        boxes=np.zeros((count, 4), np.float32),
        keypoints=np.zeros((count, 17, 3), np.float32),
        quality=np.ones(count, np.float32),
        together=np.zeros((0, 2), np.int64),
    )


def queries(
    spread: Spread, latent: np.ndarray, count: int, hidden: int, random: np.random.Generator
) -> Appearance:
    """Further sightings of persons, with some parts invisible (-1: all but one)."""
    parts = spread.shape[0]
    hidden = parts - 1 if hidden < 0 else min(hidden, parts - 1)
    persons = random.integers(len(latent), size=count)
    features = drawn(spread, latent[persons], random.standard_normal((count, len(spread.within)), np.float32))
    visible = np.ones((count, parts), bool)
    for row in range(count):
        visible[row, random.choice(parts, hidden, replace=False)] = False
    return Appearance(features, visible, np.ones(count, bool))


def measure(path: Path, name: str, query: Appearance) -> None:
    """Print the time of queries and the share of the nearest prototypes that they find."""
    truth = nearest_distances(path, query, max(_COUNTS))
    times, found = [], {count: 0.0 for count in _COUNTS}
    with Gallery.open(path) as gallery:
        began = time.perf_counter()
        gallery.search(query[np.array([0])], max(_COUNTS))
        first = time.perf_counter() - began
        for row in range(len(query)):
            began = time.perf_counter(), time.process_time()
            hits = gallery.search(query[np.array([row])], max(_COUNTS))
            times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
            for count in _COUNTS:
                limit = truth[row, count - 1] + 1e-5
                found[count] += sum(hit.distance <= limit for hit in hits[:count]) / count / len(query)
    (middle, busy), (high, _) = np.percentile(times, [50, 95], axis=0) * 1000
    shares = ", ".join(f"{share:.4f} of the nearest {count}" for count, share in found.items())
    print(
        f"{name}: first query {first:.2f} s, then {middle:.1f} ms (95 %: {high:.1f} ms, busy {busy:.1f} ms)"
    )
    print(f"  finds {shares}", flush=True)


def nearest_distances(path: Path, query: Appearance, count: int) -> np.ndarray:
    """[Q, count] the smallest distances, from all stored rows."""
    parts, length = query.features.shape[1:]
    shown = (query.features * query.visible[:, :, None]).reshape(len(query), -1)
    best = np.full((len(query), count), np.inf, np.float32)
    for bits, blobs in _stored(path):
        visible = (bits[:, None] >> np.arange(parts) & 1).astype(np.float32)
        features = (
            np.frombuffer(b"".join(blobs), "<f2").reshape(len(blobs), parts * length).astype(np.float32)
        )
        shared = query.visible.astype(np.float32) @ visible.T
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(shared > 0, 1 - (shown @ features.T) / shared, np.inf)
        best = np.sort(np.concatenate([best, distance], 1), axis=1)[:, :count]
    return best


def _stored(path: Path) -> Iterator[tuple[np.ndarray, list[bytes]]]:
    with sqlite3.connect(path) as database:
        cursor = database.execute("SELECT visible, embedding FROM prototype")
        while rows := cursor.fetchmany(8192):
            yield np.array([row[0] for row in rows]), [row[1] for row in rows]
    database.close()


if __name__ == "__main__":
    main()
