"""Fit the probability that two tracks are one person, and see how well it holds on other videos.

    python tools/fit_link_probability.py --fit DRAWN CUHK03_OSNET --held-out DEMO CUHK03

The sets are folders of `python tools/make_linking_sets.py`; those that are held out should be of other
sources. Prints the two constants of kprtrack/identity/calibration.py, and a table of how many pairs of tracks
of different videos had which probability, and how many of these were one person.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from linking_sets.reading import read_set
from scipy.optimize import minimize

from eval.metrics.links import UNMATCHED
from kprtrack.identity.calibration import DistanceCalibration, calibration_for
from kprtrack.identity.clustering import match_probability
from kprtrack.identity.nodes import Nodes, odds_by_rows, pairs_apart
from kprtrack.identity.persons import Constraints, KnownPersons

_EDGES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.0)


class LabelledSet(NamedTuple):
    """The N tracks of a set of videos."""

    name: str
    nodes: Nodes
    apart: np.ndarray  # [C, 2] rows of two people
    calibration: DistanceCalibration
    compared: np.ndarray  # [N, N] bool: tracks of labelled persons, of different videos
    same: np.ndarray  # [N, N] bool: one person


def main() -> None:
    """Read the sets, fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fit", nargs="+", type=Path, required=True, metavar="SET")
    parser.add_argument("--held-out", nargs="*", type=Path, default=[], metavar="SET")
    options = parser.parse_args()
    sets = [labelled_set(folder) for folder in options.fit]
    start = DistanceCalibration()
    found = minimize(
        lambda values: np.mean([loss(one, *values) for one in sets]),
        (start.at_zero, start.slope),
        method="Nelder-Mead",
        options={"xatol": 0.02, "fatol": 1e-4},
    )
    print(f"fitted: at_zero {found.x[0]:.2f}, slope {found.x[1]:.2f}, loss {found.fun:.3f}")
    print(f"in use: at_zero {start.at_zero}, slope {start.slope}")
    for one in [*sets, *map(labelled_set, options.held_out)]:
        kind = "fitted on" if one in sets else "held out"
        print(f"{one.name} ({kind}): {table(one, start.at_zero, start.slope)}")


def labelled_set(folder: Path) -> LabelledSet:
    """Read a set, and find out which pairs of its tracks are one person."""
    read = read_set(folder)
    videos = [video.result.prototypes for video in read]
    persons = np.concatenate([video.persons for video in read])
    nodes, person = Nodes(videos, KnownPersons()), persons
    labelled = (person != UNMATCHED) & nodes.means.visible.any(1)
    compared = np.triu(labelled[:, None] & labelled & (nodes.video[:, None] != nodes.video))
    apart = pairs_apart(nodes, Constraints(), np.arange(len(nodes)))
    return LabelledSet(
        folder.name, nodes, apart, calibration_for(videos), compared, person[:, None] == person
    )


def probabilities(one: LabelledSet, at_zero: float, slope: float) -> np.ndarray:
    """[N, N] probability of each pair, before anything is linked."""
    calibration = replace(one.calibration, at_zero=at_zero, slope=slope)
    rows = odds_by_rows(one.nodes, np.arange(len(one.nodes)), one.apart, calibration)
    odds = np.concatenate([block for _, block in rows])
    return match_probability(odds, np.zeros(len(odds)))


def loss(one: LabelledSet, at_zero: float, slope: float) -> float:
    """Negative log-likelihood of the labels, by the number of pairs of one person."""
    found = np.clip(probabilities(one, at_zero, slope)[one.compared], 1e-6, 1 - 1e-6)
    same = one.same[one.compared]
    total = -np.log(found[same]).sum() - np.log(1 - found[~same]).sum()
    return float(total / max(np.count_nonzero(same), 1))


def table(one: LabelledSet, at_zero: float, slope: float) -> str:
    """How many pairs had which probability, and how many of them were one person."""
    found, same = probabilities(one, at_zero, slope)[one.compared], one.same[one.compared]
    cells: Sequence[str] = [
        f"{low:g} to {high:g}: {np.count_nonzero(same[inside])} of {np.count_nonzero(inside)}"
        for low, high in pairwise(_EDGES)
        if (inside := (found >= low) & ((found < high) | (high == 1))).any()
    ]
    return ", ".join(cells) or "no pair"


if __name__ == "__main__":
    main()
