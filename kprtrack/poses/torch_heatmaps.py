"""Torch heatmap networks, compiled for inference, as functions of crops."""

import numpy as np
import torch
from torch import nn

from kprtrack.inference.compile import TORCH_TYPES, compile_model, noise
from kprtrack.inference.devices import ComputeConfig
from kprtrack.poses.topdown import IMAGENET_MEAN, IMAGENET_STD


class TorchHeatmaps:
    """A copy of a heatmap network that runs on the configured device."""

    def __init__(self, network: nn.Module, height: int, width: int, compute: ComputeConfig) -> None:
        """Compile the network.

        Args:
            network: From normalised RGB images [N, 3, H, W] to heatmaps [N, 17, H/4, W/4]; left unchanged.
            height: Height of the input in pixels.
            width: Its width.
            compute: Device, precision, threads and backend.
        """
        self._device, self._dtype = torch.device(compute.device), TORCH_TYPES[compute.precision]
        self._network = compile_model(network, [noise(2, 3, height, width)], compute, dtype=self._dtype)
        self.backend = self._network.backend

    @torch.inference_mode()
    def __call__(self, crops: np.ndarray) -> np.ndarray:
        """Run the network on crops [N, H, W, 3] uint8 RGB.

        Returns:
            [N, 17, H/4, W/4] float32.
        """
        images = normalised(torch.from_numpy(crops).to(self._device)).to(self._dtype)
        (found,) = self._network.run(images)
        return found.float().cpu().numpy()


def normalised(crops: torch.Tensor) -> torch.Tensor:
    """Normalise crops [N, H, W, 3] uint8 RGB by ImageNet's mean and deviation, [N, 3, H, W] float32."""
    mean, std = (torch.tensor(values, device=crops.device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((crops.float() - mean) / std).permute(0, 3, 1, 2)
