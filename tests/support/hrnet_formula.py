"""Parameters and an image made by formula, for the golden values tests/golden/hrnet_*."""

import re
import zlib
from collections.abc import Mapping

import numpy as np
import torch

_FACTORS = (
    (r"\.branches\.\d+\.\d+\.conv2\.weight$", 0.25),
    (r"layer1\.\d+\.conv3\.weight$", 0.25),
    (r"\.fuse_layers\.", 0.3),
    (r"^head\.final_layer\.weight$", 0.02),
)


def formula_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """One tensor for each name and shape, the same on every machine."""
    return {name: torch.tensor(_values(name, shape)) for name, shape in shapes.items()}


def network_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """formula_weights for all that a network holds."""
    return formula_weights({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})


def pattern_image(height: int, width: int, seed: int) -> np.ndarray:
    """[H, W, 3] uint8, BGR."""
    y, x = np.mgrid[:height, :width]
    image = np.stack(
        ((3 * x + 5 * y) % 256, (x // 16 + y // 16) % 2 * 180 + (x + y) % 60, x * y // 64 % 256), axis=-1
    )
    noise = np.random.default_rng(seed).integers(0, 32, size=(height, width, 3)) - 16
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.array(0, np.int64)
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if name.endswith(("running_mean", ".bias")):
        return np.float32(0.1) * noise
    if name.endswith("running_var"):
        return np.float32(0.5) + np.abs(noise)
    if len(shape) == 1:
        return 1 + np.float32(0.1) * noise
    scale = np.sqrt(2.0 / np.prod(shape[1:]))
    for pattern, factor in _FACTORS:
        scale *= factor if re.search(pattern, name) else 1
    return np.float32(scale) * noise
