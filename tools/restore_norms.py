"""Restore the batch norms of YOLOX-nano weights that have them folded into the convolutions.

    python tools/restore_norms.py --weights yolox_nano.pth --annotations train.json --images DIR --out OUT.pth

The network sees up to 256 images; each convolution is divided by the standard deviation of its outputs, and
the batch norm behind it gets their mean and deviation. The function is the same, but the weights have the
scales that training needs.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from kprtrack.detectors.letterbox import PIXELS, letterbox
from kprtrack.detectors.yolox_network import load_yolox_weights
from kprtrack.inference.compile import normalised
from kprtrack.training.annotations import read_annotations
from kprtrack.training.detector.data import read_image

_IMAGES, _BATCH = 256, 16
_CANVASES_PX = (416, 512, 640)
_MIN_DEVIATION = 1e-2  # of a channel


def main() -> None:
    """Write the network with its batch norms."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("weights", "annotations", "images", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    network = load_yolox_weights(options.weights, "nano", num_classes=1)
    images = read_annotations(options.annotations, options.images)
    rows = np.random.default_rng(0).choice(len(images), min(_IMAGES, len(images)), replace=False)
    batches = []
    for number, start in enumerate(range(0, len(rows), _BATCH)):
        side = _CANVASES_PX[number % len(_CANVASES_PX)]
        pixels = [cv2.cvtColor(read_image(images[row]), cv2.COLOR_BGR2RGB) for row in rows[start:][:_BATCH]]
        canvases = torch.from_numpy(np.stack([letterbox(each, side, side) for each in pixels]))
        batches.append(normalised(canvases, PIXELS["megvii"]))
    with torch.no_grad():
        before = network(batches[0][:2])
        restore(network, batches)
        change = (network(batches[0][:2]) - before).abs().max()
    print(f"greatest change of an output: {change:.2e} of {before.abs().max():.1f}")
    torch.save({"model": network.state_dict()}, options.out)


@torch.no_grad()
def restore(network: nn.Module, batches: list[Tensor]) -> None:
    """Change a network in evaluation mode.

    Args:
        network: Its batch norms each follow a convolution `conv` of the same parent module.
        batches: Inputs to measure with.
    """
    norms = {name: each for name, each in network.named_modules() if isinstance(each, nn.BatchNorm2d)}
    inputs: dict[str, list[Tensor]] = {name: [] for name in norms}  # sums of values and squares, count

    def measure(name: str):
        def hook(_module: nn.Module, arguments: tuple[Tensor]) -> None:
            values = arguments[0].double().transpose(0, 1).flatten(1)
            ones = torch.full((len(values),), float(values.shape[1]), dtype=values.dtype)
            inputs[name].append(torch.stack((values.sum(1), values.square().sum(1), ones)))

        return hook

    hooks = [each.register_forward_pre_hook(measure(name)) for name, each in norms.items()]
    for batch in batches:
        network(batch)
    for hook in hooks:
        hook.remove()
    for name, norm in norms.items():
        total, squares, count = torch.stack(inputs[name]).sum(0)
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        deviation = variance.sqrt().clamp(min=_MIN_DEVIATION)
        conv = network.get_submodule(name.rpartition(".")[0]).conv
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        shift = norm.bias.double() - scale * norm.running_mean.double()
        conv.weight.copy_(conv.weight.double() / deviation[:, None, None, None])
        norm.running_mean.copy_(mean / deviation)
        norm.running_var.copy_(variance / deviation.square())
        norm.weight.copy_(scale * deviation * (variance / deviation.square() + norm.eps).sqrt())
        norm.bias.copy_(shift + scale * mean)


if __name__ == "__main__":
    main()
