"""Training losses of the encoder: identity, triplet and part prediction.

The identity and triplet losses are GiLt (Somers et al., BPBReID, WACV 2023), as KPR trains with them.
Source: docs/reference/kpr.md 3.
"""

from dataclasses import dataclass, field, fields

import torch
import torch.nn.functional as F

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError
from reid.model.heads import PerHead, at_least_float32
from reid.model.kpr import KprOutput

LABEL_SMOOTHING = 0.1  # of all three losses (docs/reference/kpr.md 3)
_NEVER_ZERO = 1e-16


@dataclass(frozen=True)
class HeadWeights:
    """The weight of each embedding; 0 leaves it out. The background never counts."""

    whole: float = 0.0
    foreground: float = 0.0
    joined: float = 0.0
    parts: float = 0.0


@dataclass(frozen=True)
class LossConfig:
    """The weights of the losses; the defaults are the published ones."""

    identity: HeadWeights = field(default_factory=lambda: HeadWeights(whole=1, foreground=1, joined=1))
    triplet: HeadWeights = field(default_factory=lambda: HeadWeights(parts=1))
    part_prediction: float = 0.35  # the paper says 0.3
    margin: float | None = 0.3  # of the triplet; None: soft margin
    visible_only: bool = False  # leave out parts that are not visible; the published weights keep them
    easiest_share: float = 1.0  # of positions in the part prediction, those of least loss

    def __post_init__(self) -> None:
        validate_ranges(self, "loss.")
        if self.easiest_share == 0:
            raise UserError("loss.easiest_share is 0. Set it to more than 0.")


@dataclass(frozen=True)
class Losses:
    """One step's losses: `total` is differentiable, the rest is for the log."""

    total: torch.Tensor
    terms: dict[str, torch.Tensor]  # by name, before their weights
    watched: dict[str, torch.Tensor]  # accuracies and shares in [0, 1]


def kpr_loss(
    output: KprOutput, identities: torch.Tensor, part_labels: torch.Tensor | None, config: LossConfig
) -> Losses:
    """The training loss of a batch.

    Args:
        identities: [N] index of each person.
        part_labels: [N, H/4, W/4] index of the part shown, 0 is background, as reid.parts.targets makes them;
            None only where the part prediction does not count.

    Raises:
        UserError: Part labels are missing.
    """
    # float32 throughout: the official code lets half precision into the distances (docs/reference/kpr.md 3).
    with torch.autocast(identities.device.type, enabled=False):
        visible = _visibility(output) if config.visible_only else None
        losses = gilt_loss(output.reduced, output.identity_logits, identities, visible, config)
        if not config.part_prediction:
            return losses
        if part_labels is None:
            raise UserError(
                "There are no part labels for the part prediction. Give the dataset human-parsing masks, "
                "or train without it: loss.part_prediction=0."
            )
        logits = at_least_float32(output.part_logits)
        parts = part_prediction_loss(logits, part_labels, config.easiest_share)
        right = (logits.detach().argmax(dim=1) == part_labels).float().mean()
        return Losses(
            losses.total + config.part_prediction * parts,
            losses.terms | {"part_prediction": parts.detach()},
            losses.watched | {"accuracy/part_prediction": right},
        )


def gilt_loss(
    features: PerHead,
    logits: PerHead,
    identities: torch.Tensor,
    visible: PerHead | None,
    config: LossConfig,
) -> Losses:
    """Identity and triplet losses of every embedding with a weight.

    Args:
        features: Before the BN necks, not normalised.
        visible: [N] and parts [N, K], bool or in [0, 1]; None: all of them.
    """
    total = identities.new_zeros((), dtype=torch.float32)
    terms, watched = {}, {}
    for head in (each.name for each in fields(HeadWeights)):
        head_visible = None if visible is None else getattr(visible, head)
        if weight := getattr(config.identity, head):
            scores = at_least_float32(getattr(logits, head))
            loss, watched[f"accuracy/{head}"] = identity_loss(scores, identities, head_visible)
            total, terms[f"identity/{head}"] = total + weight * loss, loss.detach()
        if weight := getattr(config.triplet, head):
            points = at_least_float32(getattr(features, head))
            loss, watched[f"mined/{head}"] = triplet_loss(points, identities, head_visible, config.margin)
            total, terms[f"triplet/{head}"] = total + weight * loss, loss.detach()
    return Losses(total, terms, watched)


def identity_loss(
    logits: torch.Tensor, identities: torch.Tensor, visible: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Smoothed cross-entropy averaged over what is visible, and the share of right guesses.

    Args:
        logits: [N, C] or [N, K, C].
        visible: [N] or [N, K], a weight where it is no bool.
    """
    ground_truth = identities.reshape(-1, *[1] * (logits.ndim - 2)).expand(logits.shape[:-1])
    each = F.cross_entropy(
        logits.flatten(0, -2), ground_truth.flatten(), label_smoothing=LABEL_SMOOTHING, reduction="none"
    )
    right = (logits.detach().argmax(dim=-1) == ground_truth).flatten()
    weights = torch.ones_like(each) if visible is None else visible.flatten().to(each)
    mass = weights.sum().clamp(min=1e-12)
    return (each * weights).sum() / mass, (right * (weights > 0)).sum() / (weights > 0).sum().clamp(min=1)


def triplet_loss(
    features: torch.Tensor, identities: torch.Tensor, visible: torch.Tensor | None, margin: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch-hard triplet loss on distances averaged over parts, and the share of anchors that had a triplet.

    Args:
        features: [N, D] or [N, K, D].
        visible: [N] or [N, K]. Each anchor is held against its farthest positive and its nearest negative; an
            anchor that lacks either counts nothing, and a batch without any gives 0.

    Source: docs/reference/kpr.md 3; Hermans et al. 2017, eq. 5.
    """
    if features.ndim == 2:
        features, visible = features[:, None], None if visible is None else visible[:, None]
    distance, known = mean_part_distance(features, visible)
    same = identities[:, None] == identities[None, :]
    positive = (same & known).fill_diagonal_(False)
    negative = ~same & known
    farthest = distance.masked_fill(~positive, -torch.inf).max(dim=1).values
    nearest = distance.masked_fill(~negative, torch.inf).min(dim=1).values
    mined = positive.any(dim=1) & negative.any(dim=1)
    behind = torch.where(mined, farthest - nearest, 0)
    each = F.softplus(behind) if margin is None else F.relu(behind + margin)
    return (each * mined).sum() / mined.sum().clamp(min=1), mined.float().mean()


def mean_part_distance(
    features: torch.Tensor, visible: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Euclidean distances [N, N] averaged over the parts both show, and where there is such a part.

    Args:
        features: [N, K, D].
        visible: [N, K] bool, or float: a pair then weighs the root of its product.
    """
    points = features.transpose(0, 1)  # [K, N, D]
    products = points @ points.mT
    squares = products.diagonal(dim1=1, dim2=2)
    squared = F.relu(squares[:, :, None] - 2 * products + squares[:, None, :])
    # The root's slope at 0 is infinite: equal points get distance 0 and no gradient.
    equal = squared == 0
    distance = torch.sqrt(squared + _NEVER_ZERO * equal) * ~equal
    if visible is None:
        return distance.mean(dim=0), torch.ones_like(equal[0])
    weights = visible.T.to(distance)
    both = torch.sqrt(weights[:, :, None] * weights[:, None, :])
    mass = both.sum(dim=0)
    return (both * distance).sum(dim=0) / mass.clamp(min=1e-12), mass > 0


def part_prediction_loss(
    logits: torch.Tensor, labels: torch.Tensor, easiest_share: float = 1.0
) -> torch.Tensor:
    """Smoothed cross-entropy averaged over all positions, background included.

    Args:
        logits: [N, K + 1, h, w].
        labels: [N, h, w].
        easiest_share: Only this share of positions, those of least loss, counts.
    """
    each = F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING, reduction="none").flatten()
    if easiest_share < 1:
        each = each.topk(int(easiest_share * len(each)), largest=False).values
    return each.mean()


def _visibility(output: KprOutput) -> PerHead:
    """Visibility of every embedding; all but the parts always are (docs/reference/kpr.md 1.12)."""
    parts = output.visible[:, 1:]
    always = torch.ones_like(parts[:, 0])
    return PerHead(
        whole=always, background=output.visible[:, 0], foreground=always, joined=always, parts=parts
    )
