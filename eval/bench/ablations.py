"""The rows of a comparison: the default, and the default with one thing taken away."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import UserError, unknown_name

DEFAULT = "default"
ALL = "all"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    config: TrackConfig
    base: TrackConfig | None = None  # whose detections and poses are taken over; None: its own networks' are


def rows_of(config: TrackConfig, ablate: tuple[str, ...] = ()) -> list[Row]:
    """The default row, then one row for each name of ABLATIONS in `ablate`; "all" stands for every one.

    Raises: UserError for an unknown name, with the nearest known one, and for a row that takes away what
    `config` does not have.
    """
    names = list(dict.fromkeys(name for given in ablate for name in (ABLATIONS if given == ALL else [given])))
    for name in names:
        if name not in ABLATIONS:
            raise unknown_name("ablation", name, [*ABLATIONS, ALL])
    return [Row(DEFAULT, config), *(Row(name, ABLATIONS[name](config), config) for name in names)]


def _without_prompts(config: TrackConfig) -> TrackConfig:
    return _encoder(config, "prompts", {"prompts": False})


def _without_negatives(config: TrackConfig) -> TrackConfig:
    return _encoder(config, "negatives", {"negatives": False})


def _without_parts(config: TrackConfig) -> TrackConfig:
    return _encoder(config, "parts", {"vectors": "foreground"})


def _encoder(config: TrackConfig, row: str, options: Mapping[str, object]) -> TrackConfig:
    if config.reid.name != "kpr":
        raise UserError(
            f"The ablation '{row}' changes the encoder kpr; --reid {config.reid.name} has no {row} to lose."
        )
    if any(config.reid.options.get(key) == value for key, value in options.items()):
        raise UserError(
            f"The ablation '{row}' takes away what the settings have switched off already: {options}."
        )
    return replace(config, reid=_with(config.reid, options))


def _without_motion(config: TrackConfig) -> TrackConfig:
    """Looks alone decide: neither boxes nor poses say where to search."""
    if config.tracker.name != "kpr" or config.reid.name == "none":
        raise UserError(
            "The ablation 'motion' leaves only looks to follow: it needs --tracker kpr and an encoder, not"
            f" --tracker {config.tracker.name} --reid {config.reid.name}."
        )
    return replace(config, tracker=_with(config.tracker, {"box_weight": 0.0, "pose_weight": 0.0}))


def _with(part: ComponentConfig, options: Mapping[str, object]) -> ComponentConfig:
    return replace(part, options={**part.options, **options})


# Each gives the settings without the thing it is named after.
ABLATIONS: dict[str, Callable[[TrackConfig], TrackConfig]] = {
    "prompts": _without_prompts,
    "negatives": _without_negatives,
    "motion": _without_motion,
    "parts": _without_parts,
}
