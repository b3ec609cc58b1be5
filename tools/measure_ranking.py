"""Measure the evaluation of a ReID encoder and a reference implementation, alternating in one run.

    python tools/measure_ranking.py                    2,581 queries, 10,831 gallery images: minutes
    python tools/measure_ranking.py --small            a tenth of each: seconds

Random features of the size of Occluded-PoseTrack-ReID: 9 parts of 512 numbers, a fifth of the parts
invisible. The script stops if mAP and CMC differ. "Memory" is the peak of KPRTrack beside the features, in
all threads.
"""

import argparse
import os
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING

from timing.clock import Times, medians, timed

if TYPE_CHECKING:
    from reid.evaluation.metrics import Embedded

# KPRTrack multiplies in its own threads; each would otherwise start further threads that wait busily.
LIBRARY_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
QUERIES, GALLERY, IDENTITIES = 2581, 10831, 1411  # Occluded-PoseTrack-ReID, docs/reference/kpr.md 5.3
PARTS, DIMENSIONS = 9, 512
NOISE = 4.0  # relative to embeddings of deviation 1: gives scores far from 0 and 1
TOLERANCE = 1e-6  # of mAP and CMC: distances that differ in the last digit may be ranked differently
PROTOCOLS = ("mot_inter_intra_video", "default")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="a tenth of the images")
    parser.add_argument("--rounds", type=int, default=3, help="how often each implementation runs")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of the reference")
    options = parser.parse_args()
    # Read when the libraries are loaded, so before the imports in the functions below.
    for name, value in LIBRARY_SETTINGS.items():
        os.environ.setdefault(name, value)
    divisor = 10 if options.small else 1
    print(f"{options.threads} threads, load before {_load()}\n")
    print(
        "| protocol | KPRTrack, wall | processor | reference: distances | ranking | ratio | processor |"
        " memory |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for protocol in PROTOCOLS:
        print(measure(protocol, divisor, options.rounds, threads=options.threads), flush=True)
    print(f"\nload after {_load()}")


def measure(protocol: str, divisor: int, rounds: int, *, threads: int) -> str:
    """Return one row of the table, after a comparison of the scores."""
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
        results["reference"] = reference_ranking(
            results["distance"],
            query_identities=query.labels.identities,
            gallery_identities=gallery.labels.identities,
            query_cameras=query.labels.cameras,
            gallery_cameras=gallery.labels.cameras,
            same_camera=protocol == "mot_inter_intra_video",
        )

    times: Times = {"ours": [], "distances": [], "ranking": []}
    for turn in range(rounds):
        calls = [(ours,), (distances, ranking)]
        for call in (call for group in (calls if turn % 2 else calls[::-1]) for call in group):
            times[call.__name__].append(timed(call))
    scores, (mean, curve) = results["ours"], results["reference"]
    assert isinstance(scores, RankScores)
    assert abs(scores.map - mean) < TOLERANCE, f"mAP {scores.map} and {mean}"
    assert np.abs(scores.cmc - curve).max() < TOLERANCE, "the CMC curves differ"
    found = medians(times)
    reference = [found["distances"], found["ranking"]]
    wall, cpu = sum(one.wall_s for one in reference), sum(one.cpu_s for one in reference)
    cells = [
        f"`{protocol}`, mAP {scores.map:.4f}",
        f"{found['ours'].wall_s:.3g} s",
        f"{found['ours'].cpu_s:.3g} s",
        *(f"{one.wall_s:.3g} s" for one in reference),
        f"{wall / found['ours'].wall_s:.3g}",
        f"{cpu / found['ours'].cpu_s:.3g}",
        f"{_memory(ours) / 2**20:.0f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def embedded(queries: int, gallery: int, identities: int, dimensions: int = DIMENSIONS) -> "list[Embedded]":
    """Return random queries and gallery: embeddings of identities with noise, in six cameras."""
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
    """Return the peak of allocated bytes during a call."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def _load() -> str:
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    main()
