"""Validation of the encoder on query and gallery during training."""

from collections.abc import Mapping, Sequence

import numpy as np

from kprtrack.core.errors import UserError
from reid.datasets import ReidData, ReidSample
from reid.evaluation.embed import embed_samples, labels_of
from reid.evaluation.metrics import Embedded, evaluate
from reid.model.kpr import Kpr
from reid.training.config import ReidTrainConfig
from reid.training.distributed import map_in_processes

_RANKS = (1, 5, 10)


def validate_test_data(test: ReidData, config: ReidTrainConfig) -> None:
    """Check that there is something to validate on.

    Args:
        test: Query and gallery.
        config: When to score.

    Raises:
        UserError: Scores are requested, and query or gallery is empty.
    """
    requested = config.scoring.at_end or config.scoring.every_epochs
    if requested and not (test.query and test.gallery):
        raise UserError(
            f"The dataset {test.name} has no query and gallery to validate on. Name another with "
            "test.name and test.root, or train without: scoring.at_end=false scoring.every_epochs=none."
        )


def score(model: Kpr, test: ReidData, config: ReidTrainConfig) -> Mapping[str, float]:
    """mAP and CMC by the dataset's protocol; called in all processes.

    Args:
        model: The encoder, in evaluation mode.
        test: Query and gallery.
        config: Vectors, distance and batch of the scores.

    Returns:
        "map" and "rank1", "rank5" and so on, in 0..1.
    """
    query, gallery = (_embed(model, samples, config) for samples in (test.query, test.gallery))
    found = evaluate(
        query,
        gallery,
        protocol=test.protocol,
        metric=config.scoring.metric,
        combine=config.scoring.combine,
    )
    return {"map": found.map} | {f"rank{rank}": float(found.cmc[rank - 1]) for rank in _RANKS}


def _embed(model: Kpr, samples: Sequence[ReidSample], config: ReidTrainConfig) -> Embedded:
    """Features of all samples, each process embedding its share."""

    def embed(share: Sequence[ReidSample]) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        own = embed_samples(
            model,
            share,
            prompts=config.prompt_config(),
            vectors=config.scoring.vectors,
            batch=config.scoring.batch,
            workers=config.computing.workers,
        )
        return list(zip(own.features, own.visible, strict=True))

    features, visible = zip(*map_in_processes(embed, samples), strict=True)
    return Embedded(np.stack(features), np.stack(visible), labels_of(samples))
