"""Score an encoder on the held-out people, and tell whether another one is better."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.inference.devices import ComputeConfig
from kprtrack.reid_encoders.crops import PACKAGED, OnCrops, open_encoder
from reid.datasets import ReidData
from reid.evaluation.protocols import ScoreConfig, score

_RESAMPLES = 1000
SURE = 0.95  # of the resamples must be better, for the adapted encoder to be recommended


@dataclass(frozen=True)
class HeldOutScores:
    """Scores of an encoder on the held-out people.

    Args:
        map: Mean average precision with prompts, 0 to 1.
        rank1: Rank-1 accuracy with prompts, 0 to 1.
        map_without_prompts: Mean average precision without keypoints, 0 to 1.
        average_precision: Of each query that has a match.
        people: Number of the person of each of these queries.
    """

    map: float
    rank1: float
    map_without_prompts: float
    average_precision: tuple[float, ...]
    people: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def scores_from_json(values: Mapping[str, Any]) -> HeldOutScores:
    """Return what `HeldOutScores.to_json` returned.

    Args:
        values: The fields.

    Returns:
        The scores.
    """
    lists = {name: tuple(values[name]) for name in ("average_precision", "people")}
    return HeldOutScores(**{**values, **lists})


def score_held_out(
    weights: Path | None, data: ReidData, protocol: str, compute: ComputeConfig, on_crops: OnCrops
) -> HeldOutScores:
    """Score an encoder on queries and gallery, with and without prompts.

    Args:
        weights: Of the encoder; None: the one in the package.
        data: The data set.
        protocol: In reid.evaluation.metrics.PROTOCOLS.
        compute: Device and batch size.
        on_crops: Called with the number of crops embedded since the last call.

    Returns:
        The scores.

    Raises:
        InputError: A crop cannot be read.
        WeightsError: The weights are missing or do not fit.
    """
    encoder = open_encoder(PACKAGED, str(weights) if weights else None, {}, compute)
    found = score(data, lambda samples: encoder.encode(samples, on_crops), ScoreConfig(protocol=protocol))
    with_prompts, without = found.rows[0].scores, found.rows[1].scores
    scored = with_prompts.scored
    return HeldOutScores(
        with_prompts.map,
        float(with_prompts.cmc[0]),
        without.map,
        tuple(with_prompts.average_precision[scored].tolist()),
        tuple(int(each.identity) for each, counts in zip(data.query, scored, strict=True) if counts),
    )


def share_of_resamples_better(before: HeldOutScores, after: HeldOutScores, seed: int = 0) -> float:
    """Return how often `after` is better when the held-out people are drawn again, with repetition.

    People and not queries are drawn, because the queries of one person resemble each other.

    Args:
        before: Scores on some queries.
        after: Scores on the same queries.
        seed: Of drawing.

    Returns:
        Share of 1000 resamples in which the mean average precision of `after` is greater, 0 to 1.
    """
    gains = np.subtract(after.average_precision, before.average_precision)
    _, rows, counts = np.unique(before.people, return_inverse=True, return_counts=True)
    gain_of_person = np.bincount(rows, gains)
    drawn = np.random.default_rng(seed).integers(0, len(counts), (_RESAMPLES, len(counts)))
    means = gain_of_person[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return float((means > 0).mean())
