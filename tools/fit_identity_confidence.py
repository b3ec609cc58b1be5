"""Fit the identity confidence of tracks, and see how well it holds on clips of other sources.

    python tools/fit_identity_confidence.py --clips 220 --fit SYN5 SYN9 --held-out SYN11 SYN12 --plot out.png
    python tools/fit_identity_confidence.py --clips 0 --fresh 60 --held-out SYN11 SYN12 --plot out.png

Fits on simulated clips (tools/identity_confidence/simulation.py) and on folders of observations with ground
truth: NAME.npz of `kprtrack observe` and tracks/NAME.json, as in a synthetic benchmark. Folders that are held
out should be of other sources; --fresh adds simulated clips of seeds that were never fitted on. Without clips
to fit on, only the coefficients in use are measured. Prints the coefficients of
kprtrack/identity/confidence.py, and for each set how many tracks had which confidence and how many of these
were one person.
"""

import argparse
from pathlib import Path

import numpy as np
from identity_confidence.examples import Examples, examples, examples_in, joined
from identity_confidence.simulation import simulated_clip
from scipy.optimize import minimize

from kprtrack.identity.confidence import COEFFICIENTS, INTERCEPT

_EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
_FRESH_SEED = 100_000  # the first
_PENALTY = 0.3  # of squared coefficients: few tracks are two people


def main() -> None:
    """Make the examples, fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=220, metavar="N", help="simulated clips")
    parser.add_argument("--fit", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--fresh", type=int, default=0, metavar="N", help="simulated clips that are held out")
    parser.add_argument("--held-out", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="reliability diagram of what is held out")
    options = parser.parse_args()
    known = [*_simulated(0, options.clips), *map(examples_in, options.fit)]
    held_out = {folder.name: examples_in(folder) for folder in options.held_out}
    if options.fresh:
        held_out["simulated, fresh seeds"] = joined(_simulated(_FRESH_SEED, options.fresh))
    report(joined(known) if known else None, held_out, options.plot)


def _simulated(first: int, count: int) -> list[Examples]:
    return [examples(*simulated_clip(seed)) for seed in range(first, first + count)]


def report(known: Examples | None, held_out: dict[str, Examples], plot: Path | None) -> None:
    """Fit, print the coefficients and how well they hold; draw the reliability diagram."""
    if known is not None:
        print(f"fitted: {_named(fitted(known))}")
    print(f"in use: {_named(_in_use())}")
    for name, one in {**({} if known is None else {"fitted on": known}), **held_out}.items():
        print(f"{name}: {table(one, _in_use())}")
    if held_out:
        together = joined(list(held_out.values()))
        print(f"all that is held out: {table(together, _in_use())}")
        if plot is not None:
            draw(together, _in_use(), plot)


def fitted(one: Examples) -> np.ndarray:
    """[1 + F] intercept and coefficients, 0 or more, with the smallest penalised loss."""

    def loss(values: np.ndarray) -> float:
        odds = values[0] - one.features @ values[1:]
        signed = np.where(one.one_person, odds, -odds)
        return float(np.logaddexp(0, -signed).sum() + _PENALTY / 2 * (values[1:] ** 2).sum())

    bounds = [(None, None)] + [(0, None)] * one.features.shape[1]
    result: np.ndarray = minimize(loss, np.r_[3, np.zeros(one.features.shape[1])], bounds=bounds).x
    return result


def confidences(one: Examples, values: np.ndarray) -> np.ndarray:
    """[N] the confidence of each track."""
    result: np.ndarray = 1 / (1 + np.exp(-(values[0] - one.features @ values[1:])))
    return result


def bins(one: Examples, values: np.ndarray) -> list[tuple[float, float, int]]:
    """Mean confidence, share of one person and number of the tracks between two edges."""
    confidence = confidences(one, values)
    place = np.clip(np.searchsorted(_EDGES, confidence, side="right") - 1, 0, len(_EDGES) - 2)
    return [
        (float(confidence[place == row].mean()), float(one.one_person[place == row].mean()), int(count))
        for row, count in enumerate(np.bincount(place, minlength=len(_EDGES) - 1))
        if count
    ]


def calibration_error(one: Examples, values: np.ndarray) -> float:
    """Expected calibration error: mean difference of confidence and share over the bins, by their tracks."""
    return sum(abs(mean - share) * count for mean, share, count in bins(one, values)) / len(one.one_person)


def ranking(one: Examples, values: np.ndarray) -> float:
    """Probability that a track of two people has a lower confidence than one of one person (ROC AUC)."""
    confidence = confidences(one, values)
    good, bad = confidence[one.one_person], confidence[~one.one_person]
    higher = (good[:, None] > bad).mean() + (good[:, None] == bad).mean() / 2
    return float(higher) if len(good) and len(bad) else float("nan")


def table(one: Examples, values: np.ndarray) -> str:
    """Number of tracks, calibration error, ranking, and the bins."""
    two = int(np.count_nonzero(~one.one_person))
    cells = ", ".join(f"{mean:.2f}: {share:.2f} of {count}" for mean, share, count in bins(one, values))
    error, rank = calibration_error(one, values), ranking(one, values)
    return f"{len(one.one_person)} tracks, {two} of two people; error {error:.3f}, AUC {rank:.2f}; {cells}"


def draw(one: Examples, values: np.ndarray, path: Path) -> None:
    """Write the reliability diagram."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#999999", lw=1, label="perfect")
    means, shares, counts = zip(*bins(one, values), strict=True)
    axes.plot(means, shares, "o-", color="#0072B2", label="tracks that were not fitted on")
    for mean, share, count in zip(means, shares, counts, strict=True):
        axes.annotate(f"{count}", (mean, share), textcoords="offset points", xytext=(6, -12), fontsize=8)
    axes.set(
        xlabel="identity confidence", ylabel="share of tracks of one person", xlim=(0, 1), ylim=(0, 1.02)
    )
    axes.legend(loc="upper left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _named(values: np.ndarray) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in zip(_names(), values, strict=True))


def _names() -> tuple[str, ...]:
    return ("intercept", *COEFFICIENTS)


def _in_use() -> np.ndarray:
    return np.array([INTERCEPT, *COEFFICIENTS.values()])


if __name__ == "__main__":
    main()
