"""Where and how the networks compute."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "bf16"]


@dataclass(frozen=True)
class Runtime:
    """A concrete device and number format; `auto` has been resolved before one is made."""

    device: str = "cpu"  # "cpu", "cuda", "cuda:1", "mps"
    precision: Precision = "fp32"
    batch: int = 16  # most images or crops in one forward pass of a network
    threads: int | None = None  # CPU threads a network may use; None leaves the library's own choice
