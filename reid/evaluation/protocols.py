"""Scores and curves of an encoder: with and without prompts, by occlusion, with missing keypoints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from kprtrack.core.errors import UserError, unknown_name
from reid.datasets import ReidData, ReidSample
from reid.datasets.crops import read_crop
from reid.datasets.keypoint_files import read_keypoints
from reid.evaluation.metrics import PROTOCOLS, Embedded, RankScores, evaluate
from reid.evaluation.occlusion_levels import LevelScores, multi_person_occlusion, scores_per_level
from reid.evaluation.prompt_robustness import remove_keypoints
from reid.evaluation.ranking import Ranking, choose_queries, given_queries, rank_gallery
from reid.evaluation.rerank import Reranking
from reid.model.prompts import PromptConfig

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the keypoints removed, for the robustness
PROMPTED, NO_NEGATIVES, UNPROMPTED = "prompts", "positive prompts only", "no prompts"
RERANKED = "re-ranked"
_QUERY, _GALLERY = 0, 1  # so that a query and a gallery image do not lose the same keypoints

Encode = Callable[[Sequence[ReidSample]], Embedded]  # shows the encoder each crop with its sample's keypoints


@dataclass(frozen=True)
class RankingChoice:
    """Which queries are plotted."""

    count: int = 10
    how: str = "worst"  # or "random"
    names: tuple[str, ...] = ()  # file names of queries, instead of `how`
    columns: int = 10  # gallery images
    seed: int = 0  # of "random"


@dataclass(frozen=True)
class ScoreConfig:
    """What to evaluate."""

    prompts: Literal["on", "off", "both"] = "both"
    negatives: bool = True  # keypoints of other people are part of the prompt
    protocol: str | None = None  # in reid.evaluation.metrics.PROTOCOLS; None: the dataset's own
    reranking: Reranking | None = None  # scores after re-ranking as well
    occlusion: bool = False  # by multi-person occlusion, eq. 3
    robustness: bool = False  # with keypoints missing at random
    seed: int = 0  # which keypoints
    ranking: RankingChoice | None = None  # of the first row


@dataclass(frozen=True)
class Row:
    """The scores of one way to run the encoder."""

    name: str
    scores: RankScores
    levels: tuple[LevelScores, ...] = ()  # by occlusion; empty if not asked for, or after re-ranking


@dataclass(frozen=True)
class Missing:
    """Scores with a share of the keypoints removed, from queries and gallery."""

    share: float
    map: float
    rank1: float


@dataclass(frozen=True)
class ReidScores:
    """All requested scores."""

    dataset: str
    protocol: str
    queries: int
    gallery: int
    rows: tuple[Row, ...]
    robustness: tuple[Missing, ...]
    notes: tuple[str, ...]
    rankings: tuple[Ranking, ...]
    first: tuple[Embedded, Embedded]  # features of queries and gallery behind the first row


@dataclass(frozen=True)
class _Shown:
    """Which keypoints prompt the encoder."""

    positives: bool = True
    negatives: bool = True
    removed: float = 0.0
    seed: int = 0

    def __call__(self, samples: Sequence[ReidSample], side: int) -> list[ReidSample]:
        return [self._one(sample, (self.seed, side, row)) for row, sample in enumerate(samples)]

    def _one(self, sample: ReidSample, seed: tuple[int, ...]) -> ReidSample:
        if not self.positives or sample.keypoints is None:
            return replace(sample, keypoints=None)
        if self.negatives and not self.removed:
            return sample
        found = sample.keypoints
        keypoints = read_keypoints(found) if isinstance(found, Path) else found
        if self.removed:
            keypoints = remove_keypoints(keypoints, self.removed, seed=seed)
        return replace(sample, keypoints=keypoints if self.negatives else keypoints[:1])


def shown_samples(samples: Sequence[ReidSample], config: ScoreConfig) -> list[ReidSample]:
    """The samples with the prompts of the first row."""
    return _settings(config)[0][1](samples, _QUERY)


def score(data: ReidData, encode: Encode, config: ScoreConfig) -> ReidScores:
    """Scores of an encoder on the queries and the gallery of a dataset, by the published distance.

    Args:
        encode: Run once over both for each row that needs other features.

    Raises:
        UserError: The protocol is unknown, no crop has keypoints for prompts, or no query has a match.
    """
    protocol = config.protocol or data.protocol
    _validate_early(data, config, protocol)
    levels, notes = _levels(data, config)
    rows: list[Row] = []
    first: tuple[Embedded, Embedded] | None = None
    for name, shown in _settings(config):
        sides = encode(shown(data.query, _QUERY)), encode(shown(data.gallery, _GALLERY))
        first = first or sides
        scores = evaluate(*sides, protocol=protocol)
        rows.append(Row(name, scores, () if levels is None else tuple(scores_per_level(scores, levels))))
        if config.reranking:
            reranked = evaluate(*sides, protocol=protocol, reranking=config.reranking)
            rows.append(Row(f"{name}, {RERANKED}", reranked))
    assert first is not None
    unscored = int((~rows[0].scores.scored).sum())
    if unscored:
        notes.append(
            f"{unscored} of {len(data.query)} queries have no match in the gallery and do not count."
        )
    return ReidScores(
        data.name,
        protocol,
        len(data.query),
        len(data.gallery),
        tuple(rows),
        _robustness(data, encode, config, protocol=protocol, rows=rows),
        tuple(notes),
        _rankings(data, config, protocol, rows=rows, first=first),
        first,
    )


def _settings(config: ScoreConfig) -> list[tuple[str, _Shown]]:
    prompted = (PROMPTED if config.negatives else NO_NEGATIVES, _Shown(negatives=config.negatives))
    unprompted = (UNPROMPTED, _Shown(positives=False))
    return {"on": [prompted], "off": [unprompted], "both": [prompted, unprompted]}[config.prompts]


def _validate_early(data: ReidData, config: ScoreConfig, protocol: str) -> None:
    """Checks that need no embeddings."""
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    without = [one for one in (*data.query, *data.gallery) if one.keypoints is None]
    if config.prompts != "off" and len(without) == len(data.query) + len(data.gallery):
        raise UserError(
            f"No crop of {data.name} has keypoints, so there are no prompts. Make some with `kprtrack data "
            "keypoints`, or score without: --prompts off."
        )
    if config.ranking:
        given_queries(config.ranking.names, _names(data.query))
    if config.robustness and config.prompts == "off":
        raise UserError("Robustness to missing keypoints needs prompts: not with --prompts off.")
    shared = np.intersect1d([one.identity for one in data.query], [one.identity for one in data.gallery])
    if not len(shared):
        raise UserError(
            f"None of the {len(data.query)} queries of {data.name} shows a person who is in the gallery of "
            f"{len(data.gallery)} images. Check the split."
        )


def _names(samples: Sequence[ReidSample]) -> list[str]:
    return [sample.image.name for sample in samples]


def _levels(data: ReidData, config: ScoreConfig) -> tuple[np.ndarray | None, list[str]]:
    """Multi-person occlusion of the queries if asked for, and notes about the keypoints."""
    samples = (*data.query, *data.gallery)
    without = sum(one.keypoints is None for one in samples)
    notes = []
    if without and config.prompts != "off":
        notes.append(f"{without} of {len(samples)} crops have no keypoints and are embedded without prompts.")
    if not config.occlusion:
        return None, notes
    negatives, positives = _count_keypoints(data.query)
    if not negatives.any():
        notes.append(
            "No query shows a keypoint of another person: its occlusion only reflects how many of its own "
            "keypoints are missing."
        )
    return multi_person_occlusion(negatives, positives), notes


def _count_keypoints(samples: Sequence[ReidSample]) -> tuple[np.ndarray, np.ndarray]:
    """How many keypoints of others and of its own person each crop shows, [Q] each, as prompts draw them."""
    limit = PromptConfig().min_confidence
    drawn = [(read_crop(sample, None).keypoints[..., 2] > limit).sum(axis=1) for sample in samples]
    return np.array([each[1:].sum() for each in drawn]), np.array([each[0] for each in drawn])


def _robustness(
    data: ReidData, encode: Encode, config: ScoreConfig, *, protocol: str, rows: Sequence[Row]
) -> tuple[Missing, ...]:
    if not config.robustness:
        return ()
    known = {SHARES[0]: rows[0].scores}
    known.update((SHARES[-1], row.scores) for row in rows if row.name == UNPROMPTED)
    curve = []
    for share in SHARES:
        scores = known.get(share)
        if scores is None:
            shown = _Shown(negatives=config.negatives, removed=share, seed=config.seed)
            sides = encode(shown(data.query, _QUERY)), encode(shown(data.gallery, _GALLERY))
            scores = evaluate(*sides, protocol=protocol)
        curve.append(Missing(share, scores.map, float(scores.cmc[0])))
    return tuple(curve)


def _rankings(
    data: ReidData,
    config: ScoreConfig,
    protocol: str,
    *,
    rows: Sequence[Row],
    first: tuple[Embedded, Embedded],
) -> tuple[Ranking, ...]:
    choice = config.ranking
    if choice is None:
        return ()
    scores = rows[0].scores
    if choice.names:
        queries = given_queries(choice.names, _names(data.query))
    else:
        queries = choose_queries(scores, choice.how, choice.count, seed=choice.seed)
    return tuple(rank_gallery(*first, queries, scores, protocol=protocol, columns=choice.columns))
