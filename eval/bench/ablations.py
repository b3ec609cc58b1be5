"""The rows of a benchmark table: the configured tracker, and the same tracker without one component."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kprtrack.build import takes_prompts
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import UserError, unknown_name

DEFAULT = "default"
ALL = "all"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: "default", or the ablation.
        config: Networks, tracker and settings of this row.
        base: The configuration whose stored detections and poses are reused; None runs all networks.
    """

    name: str
    config: TrackConfig
    base: TrackConfig | None = None


def rows_of(config: TrackConfig, ablate: tuple[str, ...] = ()) -> list[Row]:
    """Return the default row, then one row for each ablation.

    Args:
        config: The configuration of the default row.
        ablate: Names of ABLATIONS; "all" stands for every one.

    Raises:
        UserError: An ablation is unknown, or removes a component that `config` does not have.
    """
    names = list(
        dict.fromkeys(name for listed in ablate for name in (ABLATIONS if listed == ALL else [listed]))
    )
    for name in names:
        if name not in ABLATIONS:
            raise unknown_name("ablation", name, [*ABLATIONS, ALL])
    return [Row(DEFAULT, config), *(Row(name, ABLATIONS[name](config), config) for name in names)]


def _without_prompts(config: TrackConfig) -> TrackConfig:
    return _with_encoder_options(config, "prompts", {"prompts": False})


def _without_negatives(config: TrackConfig) -> TrackConfig:
    return _with_encoder_options(config, "negatives", {"negatives": False})


def _without_parts(config: TrackConfig) -> TrackConfig:
    return _with_encoder_options(config, "parts", {"vectors": "foreground"})


def _with_encoder_options(config: TrackConfig, row: str, options: Mapping[str, object]) -> TrackConfig:
    if not takes_prompts(config.reid.name):
        raise UserError(
            f"The ablation '{row}' needs the ReID encoder small or kpr; --reid {config.reid.name} has"
            f" no {row}."
        )
    if any(config.reid.options.get(key) == value for key, value in options.items()):
        raise UserError(f"The ablation '{row}' changes nothing: the settings already have {options}.")
    return replace(config, reid=_with_options(config.reid, options))


def _without_motion(config: TrackConfig) -> TrackConfig:
    """Associate by appearance alone, without boxes and poses."""
    if config.tracker.name != "kpr" or config.reid.name == "none":
        raise UserError(
            "The ablation 'motion' associates by appearance alone: it needs --tracker kpr and a ReID encoder,"
            f" not --tracker {config.tracker.name} --reid {config.reid.name}."
        )
    return replace(config, tracker=_with_options(config.tracker, {"box_weight": 0.0, "pose_weight": 0.0}))


def _with_options(component: ComponentConfig, options: Mapping[str, object]) -> ComponentConfig:
    return replace(component, options={**component.options, **options})


# Name of what is removed -> configuration without it.
ABLATIONS: dict[str, Callable[[TrackConfig], TrackConfig]] = {
    "prompts": _without_prompts,
    "negatives": _without_negatives,
    "motion": _without_motion,
    "parts": _without_parts,
}
