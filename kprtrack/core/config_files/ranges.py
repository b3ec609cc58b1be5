"""Ranges of the numbers that settings of trainings can have.

A value outside is a mistake in any training: it would take all memory, never end, or compute nothing. What
must hold between settings, and names, are validated by the settings themselves.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from kprtrack.core.errors import UserError

Range = tuple[float, float]  # least and greatest value, both allowed

_SHARE: Range = (0, 1)
_WEIGHT: Range = (0, 1e4)  # of a loss
_RATE: Range = (0, 100)  # learning rate
_EPOCHS: Range = (0, 1_000_000)
_CHANNELS: Range = (1, 4096)
_SIDE_PX: Range = (4, 4096)
_DEGREES: Range = (0, 360)

# By the name of the setting, or of its dict and its own where the name alone has several meanings.
RANGES: dict[str, Range] = {
    # Length
    "epochs": (1, 1_000_000),
    "warmup_epochs": _EPOCHS,
    "plain_epochs": _EPOCHS,
    "frozen_prompt_epochs": _EPOCHS,
    "drops": _EPOCHS,
    "every_epochs": (1, 1_000_000),
    "share": (0, 1000),
    # Batches and processes
    "batch": (1, 16_384),
    "sampler.identities": (2, 16_384),
    "crops_each": (2, 256),
    "crops_per_identity": (1, 1000),
    "workers": (0, 1024),
    "save_every_min": (0, 1e6),
    "save_every_batches": (1, 1e9),
    "seed": (0, 2**63 - 1),
    # Networks
    "model.height": (32, 2048),
    "model.width": (32, 2048),
    "model.parts": (1, 64),
    "model.identities": (0, 1e7),
    "model.cameras": (0, 1e5),
    "fused_width": _CHANNELS,
    "dimensions": _CHANNELS,
    "semantic_weight": _SHARE,
    "mean": (-1000, 1000),
    "std": (1e-6, 1000),
    "drop_path": (0, 0.99),
    "input_px": _SIDE_PX,
    "input_range_px": _SIDE_PX,
    "input_height": _SIDE_PX,
    "input_width": _SIDE_PX,
    "width": (1, 4096),
    "box_padding": (0.1, 10),
    "stem_width": (1, 1024),
    "stage_widths": (1, 1024),
    "stage_blocks": (0, 64),
    "neck_width": (1, 1024),
    "sigma": (0.1, 100),
    # Losses
    "whole": _WEIGHT,
    "foreground": _WEIGHT,
    "joined": _WEIGHT,
    "parts": _WEIGHT,
    "part_prediction": _WEIGHT,
    "margin": (0, 1000),
    "easiest_share": _SHARE,
    "full_score": (0.001, 1),
    "ignore_below": _SHARE,
    "distil.weight": _WEIGHT,
    "least_confidence": _SHARE,
    "absent_weight": _WEIGHT,
    "least_keypoints": (0, 1000),
    "least_height_px": (0, 1e5),
    # Optimiser
    "momentum": (0, 0.9999),
    "weight_decay": (0, 10),
    "convolution_rate": _RATE,
    "clip_gradient": (1e-9, 1e9),
    "peak": _RATE,
    "floor": _RATE,
    "floor_share": _SHARE,
    "rate_per_image": _RATE,
    "ema_decay": _SHARE,
    "ema_ramp": (1, 1e9),
    # Augmentation
    "padding_px": (0, 512),
    "erase_probability": _SHARE,
    "erase_share": _SHARE,
    "probability": _SHARE,
    "mosaic": _SHARE,
    "mixup": _SHARE,
    "rotate_deg": _DEGREES,
    "shear_deg": (0, 80),
    "translate": (0, 10),
    "scale": (0.01, 100),
    "colour": _SHARE,
    "flip": _SHARE,
    "least_visible": _SHARE,
    "coarse": _SHARE,
    "blur": _SHARE,
    "noise": _SHARE,
    "grey": _SHARE,
    "jpeg": _SHARE,
    "half_body": _SHARE,
    "shift": _SHARE,
    "shift_share": (0, 10),
    "scale_share": _SHARE,
    "rotate": _SHARE,
    "stretch": _SHARE,
    "stretch_share": _SHARE,
    "colour_share": _SHARE,
    "shrink": _SHARE,
    "shrink_to": _SHARE,
    "erase": _SHARE,
    "paste": _SHARE,
    "hidden_share": _SHARE,
}


def validate_ranges(config: Any, prefix: str = "") -> None:
    """Check every number of a training config, those of the dataclasses within it included.

    Args:
        config: A dataclass.
        prefix: Of the names in messages, where it is a part of a config, such as "augment.".

    Raises:
        UserError: A number lies outside its range; the message names the setting and the range.

    Examples:
        >>> from kprtrack.training.pose.config import PoseTrainConfig
        >>> try:
        ...     PoseTrainConfig(batch=0)
        ... except UserError as error:
        ...     print(error)
        batch is 0. Set it to 1 or more, at most 16384.
    """
    for name, value in numbers_of(config, prefix):
        least, greatest = range_of(name)
        if not least <= value <= greatest:
            raise UserError(f"{name} is {value}. Set it to {least:.12g} or more, at most {greatest:.12g}.")


def range_of(name: str) -> Range:
    """Return the range of a setting.

    Args:
        name: Such as "schedule.epochs".

    Returns:
        Least and greatest value.

    Raises:
        KeyError: The table lacks it.
    """
    parts = name.split(".")
    two = ".".join(parts[-2:])
    return RANGES[two] if two in RANGES else RANGES[parts[-1]]


def numbers_of(config: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield name and value of every number in a dataclass.

    Args:
        config: A dataclass.
        prefix: Of the names.

    Yields:
        Names such as "schedule.epochs", the same for all numbers of a tuple.
    """
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        for one in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(one):
                yield from numbers_of(one, f"{name}.")
            elif isinstance(one, int | float) and not isinstance(one, bool):
                yield name, one
