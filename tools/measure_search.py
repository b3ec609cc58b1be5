"""Measure how well a single image finds a person, and how far its probability can be believed.

    python tools/make_linking_sets.py cuhk03 SET --root CUHK03
    python tools/measure_search.py SET

SET holds results named PERSON_CAMERA, with one person each. Every prototype of camera 0 is searched for among
all tracks of camera 1; a share of the people, drawn at random, is left out there, so that nothing is right.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from kprtrack.core.appearance import join_appearances
from kprtrack.finding import Match, find_in_results
from kprtrack.identity.results import IdentifiedResult, read_results

BINS = (0.0, 0.2, 0.5, 0.8, 0.95, 1.0)


def main() -> None:
    """Print rank 1 and a table of the probability of the first match."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path)
    parser.add_argument("--missing", type=float, default=0.3, metavar="SHARE", help="of the people (0.3)")
    options = parser.parse_args()
    results = {camera: read_results(sorted(options.set.glob(f"*_{camera}.tracks.json"))) for camera in (0, 1)}
    people = [_person(result) for result in results[1]]
    missing = np.random.default_rng(0).choice(people, round(options.missing * len(people)), replace=False)
    searched = [result for result in results[1] if _person(result) not in missing]
    firsts, right, absent = [], [], []
    for result in results[0]:
        for row in range(len(result.prototypes.frames)):
            query = join_appearances([result.prototypes.embeddings[np.array([row])]])
            first = find_in_results(query, searched, 1)[0]
            firsts.append(first.probability)
            right.append(_found(first) == _person(result))
            absent.append(_person(result) in missing)
    _print(np.array(firsts), np.array(right), np.array(absent), len(searched))


def _person(result: IdentifiedResult) -> str:
    return result.path.name.partition("_")[0]


def _found(match: Match) -> str:
    return match.video.partition("_")[0]


def _print(probability: np.ndarray, right: np.ndarray, absent: np.ndarray, people: int) -> None:
    print(f"{len(right)} images among {people} people; the person is not there: {absent.mean():.0%}")
    print(f"rank 1 of the others: {100 * right[~absent].mean():.1f}\n")
    print("| probability of the first | images | mean | right |\n|---|---|---|---|")
    for low, high in pairwise(BINS):
        inside = (probability >= low) & (probability < high if high < 1 else probability <= 1)
        if inside.any():
            mean, share = probability[inside].mean(), right[inside].mean()
            print(f"| {low:g} to {high:g} | {inside.sum()} | {mean:.2f} | {share:.2f} |")


if __name__ == "__main__":
    main()
