"""Checks the tensors of a checkpoint, as numpy arrays, before a network gets them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kprtrack.core.errors import WeightsError

# A tensor of every batch norm that only a resumed training needs; some exporters leave it out.
COUNTER = "num_batches_tracked"
_SHOWN = 5  # names in a message

Shapes = Mapping[str, tuple[int, ...]]  # by name in the state dict


class Misfits(NamedTuple):
    """What keeps tensors from fitting a network: names, in its order."""

    missing: list[str]
    unexpected: list[str]
    misshaped: list[str]


def misfits(tensors: Mapping[str, np.ndarray], expected: Shapes) -> Misfits:
    """Compare names and shapes with those of a network; counters of batch norms do not matter.

    Args:
        tensors: Tensors of a file.
        expected: Shapes of the tensors of the network.

    Returns:
        Names that do not fit.

    Examples:
        >>> misfits({"a": np.zeros(2), "b": np.zeros(3)}, {"a": (4,), "c": (1,)})
        Misfits(missing=['c'], unexpected=['b'], misshaped=['a'])
    """
    return Misfits(
        [name for name in expected if name not in tensors and not name.endswith(COUNTER)],
        [name for name in tensors if name not in expected and not name.endswith(COUNTER)],
        [name for name, shape in expected.items() if name in tensors and tensors[name].shape != shape],
    )


def validate_finite(tensors: Mapping[str, np.ndarray], names: Iterable[str], where: Path | str) -> None:
    """Reject weights that a diverged training or a damaged file has left.

    Args:
        tensors: Tensors of any type and shape, by name.
        names: Those that the network uses; names that `tensors` lacks are skipped.
        where: The file, for the message.

    Raises:
        WeightsError: A tensor holds an infinite or undefined number.
    """
    broken = [name for name in names if name in tensors and not np.isfinite(tensors[name]).all()]
    if broken:
        shown = ", ".join(f"'{name}'" for name in broken[:_SHOWN]) + (", ..." if len(broken) > _SHOWN else "")
        raise WeightsError(
            f"{where} is damaged: {shown} contain infinite or undefined numbers. Use another file of weights."
        )
