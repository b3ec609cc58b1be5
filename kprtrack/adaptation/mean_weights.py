"""The mean of the weights before and after a training."""

from pathlib import Path

import torch

from reid.model import weights

_SHARE = 0.5  # of the trained weights


def write_mean_weights(start: Path, trained: Path, out: Path) -> None:
    """Write the mean of the weights that a training started from and of those that it ended with.

    Fine-tuned weights are better on footage like that of the training, the first ones on any other; their
    mean is often better than both on either (WiSE-FT, Wortsman et al., CVPR 2022). The identities of the
    training set are left out.

    Args:
        start: Weights of an encoder.
        trained: Weights of the same encoder after the training.
        out: The file to write, .safetensors.

    Raises:
        WeightsError: A file is missing or damaged.
        OutputError: The file cannot be written.
    """
    model, tuned = weights.load(start), weights.load(trained).state_dict()
    mean = {
        name: torch.lerp(value, tuned[name], _SHARE)
        if value.is_floating_point() and value.shape == tuned[name].shape
        else value
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(mean)
    weights.save(out, model)
