"""KPR as a function for inference."""

import torch
from torch import nn

from reid.model.kpr import Kpr


class PartVectors(nn.Module):
    """KPR as a function from crops and prompts to embeddings, foreground first, and their visibility."""

    def __init__(self, model: Kpr) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: torch.Tensor, heatmaps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute embeddings [N, parts + 1, D] of unit length and whether each part is visible."""
        return self.model.embed(crops, heatmaps, vectors="foreground+parts")
