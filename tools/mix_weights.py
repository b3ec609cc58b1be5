"""Interpolate between the weights of a network before and after fine-tuning.

    python tools/mix_weights.py detector --origin norms.pth --tuned weights.safetensors --share 0.5 --out OUT
    python tools/mix_weights.py pose --origin tinypose.onnx --tuned weights.safetensors --share 0.7 --out OUT

Fine-tuned weights are better on images like those they were tuned on, the origin on others; weights between
them are often better than both on either (WiSE-FT, Wortsman et al., CVPR 2022). Batch norms must have the
same statistics in both, as `freeze_norms` keeps them.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from kprtrack.core.atomic_file import write_file
from kprtrack.detectors.yolox_network import load_yolox_weights
from kprtrack.poses.lite_hrnet import load_tinypose_onnx
from kprtrack.poses.small_network import load_small_pose, small_pose_file
from kprtrack.training.detector.config import DetectorTrainConfig
from kprtrack.training.detector.task import detector_file


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("detector", "pose"))
    parser.add_argument("--origin", type=Path, required=True)
    parser.add_argument("--tuned", type=Path, required=True)
    parser.add_argument("--share", type=float, required=True, help="of the tuned weights, in 0..1")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    network: nn.Module
    if options.kind == "detector":
        origin, network = (
            load_yolox_weights(path, "nano", num_classes=1) for path in (options.origin, options.tuned)
        )
        mix(origin, network, options.share)
        write_file(options.out, detector_file(network, DetectorTrainConfig(size="nano", input_px=640)))
        return
    network = load_small_pose(options.tuned)
    onnx = options.origin.suffix == ".onnx"
    mix((load_tinypose_onnx if onnx else load_small_pose)(options.origin), network, options.share)
    write_file(options.out, small_pose_file(network))


def mix(origin: nn.Module, tuned: nn.Module, share: float) -> None:
    """Change `tuned` to the weights between the two."""
    old, new = origin.state_dict(), tuned.state_dict()
    tuned.load_state_dict(
        {
            name: torch.lerp(old[name], value, share) if value.is_floating_point() else value
            for name, value in new.items()
        }
    )


if __name__ == "__main__":
    main()
