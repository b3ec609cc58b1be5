"""Scores the encoder on query and gallery while it is trained; every process embeds its share."""

from collections.abc import Mapping, Sequence

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from kprtrack.core.errors import UserError
from reid.datasets import ReidData, ReidSample
from reid.evaluation.embed import embed_samples, labels_of
from reid.evaluation.metrics import Embedded, evaluate
from reid.model.kpr import Kpr
from reid.training.config import ReidTrainConfig

_RANKS = (1, 5, 10)


def scoring_is_due(config: ReidTrainConfig, epoch: int) -> bool:
    """Whether scores are taken after this epoch, counted from 0."""
    every = config.scoring.every_epochs
    last = epoch + 1 == config.schedule.epochs
    return bool((every and (epoch + 1) % every == 0) or (last and config.scoring.at_end))


def validate_unscorable(test: ReidData, config: ReidTrainConfig) -> None:
    """Raises: UserError if scores are asked for and there is nothing to score on."""
    asked = config.scoring.at_end or config.scoring.every_epochs
    if asked and not (test.query and test.gallery):
        raise UserError(
            f"The dataset {test.name} has no query and gallery to be scored on. Name another with "
            "test.name and test.root, or leave it: scoring.at_end=false scoring.every_epochs=none."
        )


def score(engine: Accelerator, model: Kpr, test: ReidData, config: ReidTrainConfig) -> Mapping[str, float]:
    """mAP and CMC by the dataset's protocol, in all processes."""
    query, gallery = (
        _embed_together(engine, model, samples, config) for samples in (test.query, test.gallery)
    )
    found = evaluate(
        query,
        gallery,
        protocol=test.protocol,
        metric=config.scoring.metric,
        combine=config.scoring.combine,
    )
    return {"map": found.map} | {f"rank{rank}": float(found.cmc[rank - 1]) for rank in _RANKS}


def _embed_together(
    engine: Accelerator, model: Kpr, samples: Sequence[ReidSample], config: ReidTrainConfig
) -> Embedded:
    rank, world = engine.process_index, engine.num_processes
    own = embed_samples(
        model,
        samples[rank::world] or samples[:1],
        prompts=config.shown(),
        vectors=config.scoring.vectors,
        batch=config.scoring.batch,
        workers=config.computing.workers,
    )
    if world == 1:
        return own
    features = np.empty((len(samples), *own.features.shape[1:]), own.features.dtype)
    visible = np.empty(features.shape[:2], own.visible.dtype)
    for place, (found, seen) in enumerate(gather_object([(own.features, own.visible)])):
        count = len(features[place::world])
        features[place::world], visible[place::world] = found[:count], seen[:count]
    return Embedded(features, visible, labels_of(samples))
