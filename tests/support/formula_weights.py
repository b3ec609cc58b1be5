"""Weights made from a formula, the same everywhere: outputs can be compared without trained weights."""

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

_AS_BUILT = ("relative_position_index", "relative_coords_table", "attn_mask", "num_batches_tracked", "k_bias")


def fill(name: str, shape: Sequence[int]) -> np.ndarray | None:
    """The value of one published KPR tensor (tests/golden/README.md); None: left as built."""
    if name.endswith(_AS_BUILT):
        return None
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(shape), dtype=np.float32)
    if name.endswith("running_var"):
        return 0.5 + np.abs(noise)
    if name.endswith("running_mean"):
        return 0.1 * noise
    if name.endswith(("relative_position_bias_table", "parts_embed", "sie_embed")):
        return 0.5 * noise
    if name.endswith("logit_scale"):
        return np.float32(math.log(10)) + np.float32(0.1) * noise
    if name.endswith("bias"):
        return 0.1 * noise
    if len(shape) == 1:
        return 1 + 0.1 * noise
    return noise / np.float32(math.sqrt(math.prod(shape[1:])))


def published_weights(shapes: Mapping[str, Sequence[int]]) -> dict[str, torch.Tensor]:
    """A published checkpoint's state_dict with formula values; counters and index tables are zero."""
    weights = {}
    for name, shape in shapes.items():
        value = fill(name, shape)
        zeros = torch.zeros(tuple(shape), dtype=torch.int64)
        weights[name] = zeros if value is None else torch.from_numpy(np.ascontiguousarray(value, np.float32))
    for name in shapes:
        # The image's patch embedding is stored twice; the copy under "model." wins.
        twin = name.replace(".model.patch_embed.", ".patch_embed.")
        if twin != name:
            weights[twin] = weights[name]
    return weights
