"""Measures how long it takes to score an encoder, ours against the published arithmetic, in the same run.

    python tools/measure_ranking.py                    2,581 queries, 10,831 gallery images: minutes
    python tools/measure_ranking.py --small            a tenth of each: seconds

Made-up features of the size of Occluded-PoseTrack-ReID: 9 parts of 512 numbers, a fifth of the parts hidden.
Both ways must give the same mAP and CMC. "Memory" is what ours holds beside the features, in all threads.
"""

import argparse
import os
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING

from timing.clock import Times, medians, timed

if TYPE_CHECKING:
    from reid.evaluation.metrics import Embedded

# Ours multiplies in its own threads; each would otherwise start more of them and wait busily.
LIBRARY_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
QUERIES, GALLERY, IDENTITIES = 2581, 10831, 1411  # Occluded-PoseTrack-ReID, docs/reference/kpr.md 5.3
PARTS, DIMENSIONS = 9, 512
NOISE = 4.0  # next to looks of deviation 1: scores far from 0 and 1
TOLERANCE = 1e-6  # of mAP and CMC: distances that differ in the last digit may change places
PROTOCOLS = ("mot_inter_intra_video", "default")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="a tenth of the images")
    parser.add_argument("--rounds", type=int, default=3, help="times each way is tried, in turns")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the published way")
    options = parser.parse_args()
    # Read when the libraries are loaded, so before the imports in the functions below.
    for name, value in LIBRARY_SETTINGS.items():
        os.environ.setdefault(name, value)
    divisor = 10 if options.small else 1
    print(f"{options.threads} threads, load before {_load()}\n")
    print("| protocol | ours, wall | processor | plain: distances | ranking | ratio | processor | memory |")
    print("|---|---|---|---|---|---|---|---|")
    for protocol in PROTOCOLS:
        print(measure(protocol, divisor, options.rounds, threads=options.threads), flush=True)
    print(f"\nload after {_load()}")


def measure(protocol: str, divisor: int, rounds: int, *, threads: int) -> str:
    """One row of the table, after both ways have given the same scores."""
    import numpy as np
    import torch
    from timing.reference_ranking import reference_distances, reference_ranking

    from reid.evaluation.metrics import RankScores, evaluate

    torch.set_num_threads(threads)
    query, gallery = embedded(QUERIES // divisor, GALLERY // divisor, IDENTITIES // divisor)
    results: dict[str, object] = {}

    def ours() -> None:
        results["ours"] = evaluate(query, gallery, protocol=protocol)

    def distances() -> None:
        results["distance"] = reference_distances(
            query.features, query.visible, gallery.features, gallery.visible
        )

    def ranking() -> None:
        results["plain"] = reference_ranking(
            results["distance"],
            query_identities=query.labels.identities,
            gallery_identities=gallery.labels.identities,
            query_cameras=query.labels.cameras,
            gallery_cameras=gallery.labels.cameras,
            same_camera=protocol == "mot_inter_intra_video",
        )

    times: Times = {"ours": [], "distances": [], "ranking": []}
    for turn in range(rounds):
        ways = [(ours,), (distances, ranking)]
        for call in (call for way in (ways if turn % 2 else ways[::-1]) for call in way):
            times[call.__name__].append(timed(call))
    scores, (mean, curve) = results["ours"], results["plain"]
    assert isinstance(scores, RankScores)
    assert abs(scores.map - mean) < TOLERANCE, f"mAP {scores.map} and {mean}"
    assert np.abs(scores.cmc - curve).max() < TOLERANCE, "the CMC curves differ"
    found = medians(times)
    plain = [found["distances"], found["ranking"]]
    wall, cpu = sum(one.wall_s for one in plain), sum(one.cpu_s for one in plain)
    cells = [
        f"`{protocol}`, mAP {scores.map:.4f}",
        f"{found['ours'].wall_s:.3g} s",
        f"{found['ours'].cpu_s:.3g} s",
        *(f"{one.wall_s:.3g} s" for one in plain),
        f"{wall / found['ours'].wall_s:.3g}",
        f"{cpu / found['ours'].cpu_s:.3g}",
        f"{_memory(ours) / 2**20:.0f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def embedded(queries: int, gallery: int, identities: int, dimensions: int = DIMENSIONS) -> "list[Embedded]":
    """Queries and gallery: looks of one's own and much noise, seen by six cameras."""
    import numpy as np

    from reid.evaluation.metrics import Embedded, Labels

    rng = np.random.default_rng(0)
    own_embeddings = rng.standard_normal((identities, PARTS, dimensions), dtype=np.float32)
    sides = []
    for count in (queries, gallery):
        people, cameras = rng.integers(0, identities, count), rng.integers(0, 6, count)
        features = own_embeddings[people]
        for rows in np.array_split(features, 16):
            rows += NOISE * rng.standard_normal(rows.shape, dtype=np.float32)
            rows /= np.linalg.norm(rows, axis=2, keepdims=True)
        visible = rng.random((count, PARTS)) < 0.8
        visible[:, 0] = True
        sides.append(Embedded(features, visible, Labels(people, cameras, cameras)))
    return sides


def _memory(call: Callable[[], None]) -> int:
    """Most bytes of arrays that a call held at once."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def _load() -> str:
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    main()
