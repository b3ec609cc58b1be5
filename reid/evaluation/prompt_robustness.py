"""Prompts with keypoints missing at random: the data of the paper's Fig. 5.

Source: KPR (Somers et al., ECCV 2024), section 4.6, "A Prompt-Optional Method".
"""

from collections.abc import Sequence

import numpy as np

from kprtrack.core.errors import UserError


def remove_keypoints(keypoints: np.ndarray, share: float, *, seed: int | Sequence[int]) -> np.ndarray:
    """A copy in which each keypoint is missing (all zero) with the probability `share`.

    Args:
        keypoints: [..., 17, 3] x y confidence, positive or negative prompts of one image or of many. What is
            missing at some share is missing at every larger one with the same seed.
        seed: Such as (run, image) where images come one by one, so that they do not all lose the same
            keypoints.
    """
    if not 0 <= share <= 1:
        raise UserError(f"The share of keypoints to remove must lie in [0, 1], not {share}.")
    gone = np.random.default_rng(seed).random(keypoints.shape[:-1]) < share
    return np.where(gone[..., None], 0, keypoints)
