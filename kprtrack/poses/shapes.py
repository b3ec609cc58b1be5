"""Architectures of the pose networks of this project, as their files of weights store them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kprtrack.core.checkpoints import header_json, read_checkpoint
from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.tensors import Shapes, misfits, validate_finite

CELL_PX = 4  # input pixels per heatmap cell
_COARSEST = 32  # input pixels per cell of the last stage of SmallPose
_SHOWN = 3  # names in a message


@dataclass(frozen=True)
class SmallPoseShape:
    """Architecture of the network, stored in its file of weights."""

    input_height: int = 256  # pixels
    input_width: int = 192
    stem_width: int = 16  # channels
    stage_widths: tuple[int, int, int, int] = (24, 48, 96, 160)  # at 4, 8, 16, 32 pixels per cell
    stage_blocks: tuple[int, int, int, int] = (1, 2, 4, 4)
    neck_width: int = 64

    def __post_init__(self) -> None:
        validate_ranges(self)
        for name, pixels in (("input_height", self.input_height), ("input_width", self.input_width)):
            if pixels % _COARSEST:
                raise UserError(
                    f"{name} is {pixels}; it must be a multiple of {_COARSEST}, such as 192 or 256."
                )


@dataclass(frozen=True)
class LiteHrnetShape:
    """Input of the network, stored in its file of weights; the weights are trained for one size."""

    input_height: int = 256  # pixels, a multiple of 4
    input_width: int = 192

    def __post_init__(self) -> None:
        validate_ranges(self)
        for name, pixels in (("input_height", self.input_height), ("input_width", self.input_width)):
            if pixels % CELL_PX:
                raise UserError(
                    f"{name} is {pixels}; it must be a multiple of {CELL_PX}, such as 192 or 256."
                )

    def cells(self, branch: int) -> tuple[int, int]:
        """Rows and columns of a branch's features; they are constants of an exported graph."""
        cell = CELL_PX << branch
        return -(-self.input_height // cell), -(-self.input_width // cell)


PoseShape = SmallPoseShape | LiteHrnetShape
# Key in the header of a file -> architecture of the network.
SHAPES: dict[str, type[PoseShape]] = {"lite_hrnet": LiteHrnetShape, "small_pose": SmallPoseShape}


class StoredPose(NamedTuple):
    """Content of a file of weights."""

    shape: PoseShape
    tensors: dict[str, np.ndarray]


def header_of(shape: PoseShape) -> dict[str, str]:
    """The header of a file of weights of that architecture; one entry, so that the file is reproducible."""
    return {key: json.dumps(asdict(shape)) for key, kind in SHAPES.items() if isinstance(shape, kind)}


def read_small_pose(weights: Path) -> StoredPose:
    """Read a file of weights of one of this project's pose networks.

    Returns:
        Architecture and tensors.

    Raises:
        WeightsError: The file is missing, damaged or for another network.
    """
    checkpoint = read_checkpoint(weights)
    for header, kind in SHAPES.items():
        if (stored := header_json(checkpoint, header)) is not None:
            return StoredPose(_shape(kind, stored, weights), checkpoint.tensors)
    raise WeightsError(
        f"{weights} is not for --pose small: its header does not describe a pose network of this project "
        f"(it starts with {next(iter(checkpoint.tensors), 'nothing')})."
    )


def validate_small_pose(tensors: Mapping[str, np.ndarray], expected: Shapes, weights: Path) -> None:
    """Check the tensors of a file. Raises: WeightsError if they are not those of its architecture."""
    wrong = misfits(tensors, expected)
    for problem, names in (
        ("lacks", wrong.missing),
        ("has unexpected", wrong.unexpected),
        ("has other shapes in", wrong.misshaped),
    ):
        if names:
            shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
            raise WeightsError(
                f"{weights} does not contain the network that its header describes: it {problem} {shown}"
                f" ({len(names)} in all)."
            )
    validate_finite(tensors, tensors, weights)


def _shape(kind: type[PoseShape], stored: dict[str, Any], weights: Path) -> PoseShape:
    if unknown := sorted(set(stored) - {field.name for field in fields(kind)}):
        raise WeightsError(f"{weights} was written by a newer version: unknown {unknown}.")
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in stored.items()}
    for key, value in values.items():
        for one in value if isinstance(value, tuple) else (value,):
            if not isinstance(one, int) or isinstance(one, bool):
                problem = f"describes a network that is not possible: {key} is {one!r:.40}."
                raise WeightsError(f"{weights} {problem}")
    try:
        return kind(**values)
    except (TypeError, UserError) as error:
        raise WeightsError(f"{weights} describes a network that is not possible: {error}") from error
