"""The loss of heatmap networks."""

import torch


def heatmap_loss(found: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted squared error: summed over a heatmap's cells, mean over all heatmaps.

    Heatmaps of weight 0 count in the mean. HRNet's training takes the mean over the cells as well
    (docs/reference/detector_and_pose.md 2.7); Adam learns the same from both, and these are numbers that one
    can read: an empty map costs pi sigma², 12.6 for a sigma of 2 cells.

    Args:
        found: [N, K, h, w].
        target: [N, K, h, w].
        weights: [N, K].
    """
    found = found.to(torch.promote_types(found.dtype, torch.float32))
    errors = (found - target).square().sum(dim=(2, 3))
    return (errors * weights).mean()
