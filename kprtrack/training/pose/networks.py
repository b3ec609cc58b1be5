"""Pose networks for training: their initial weights, optimiser and files."""

from dataclasses import replace
from operator import gt
from pathlib import Path

import torch
from safetensors.torch import save as serialise
from torch import nn

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError
from kprtrack.core.tensors import validate_finite
from kprtrack.hub.store import find
from kprtrack.poses.hrnet_network import Hrnet, load_hrnet_weights
from kprtrack.poses.lite_hrnet import LiteHrnet, load_tinypose_onnx
from kprtrack.poses.small_network import SmallPose, SmallPoseNetwork, load_small_pose, small_pose_file
from kprtrack.training.optimiser import weight_decay_groups
from kprtrack.training.pose.config import PoseOptimiser, PoseTrainConfig

_TRUNK_FIRST = "conv1.weight"  # in classifiers, whose trunk has no prefix
# What stands in a classifier behind the branch that a pose network reads
# (docs/reference/detector_and_pose.md 2.2).
_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.", "stage4.2.fuse_layers.")


def new_network(config: PoseTrainConfig, *, resume: bool = False) -> nn.Module:
    """The network before its first step; resume: without reading `config.init`.

    Args:
        config: Kind and size of the network, seed and initial weights.
        resume: Do not read `config.init`: a checkpoint will replace the weights.

    Returns:
        The network in training mode, on the CPU.

    Raises:
        WeightsError: `config.init` is missing or does not fit.
    """
    torch.manual_seed(config.seed)
    network = _network(config)
    if config.init is None or resume:
        return network
    path = find(config.init).path
    if isinstance(network, Hrnet):
        _initialise_hrnet(network, config.hrnet.width, path)
        return network
    if isinstance(network, LiteHrnet):
        return _initialise_lite(network, path)
    return _initialise_small(network, path)


def _network(config: PoseTrainConfig) -> Hrnet | SmallPoseNetwork:
    if config.network == "hrnet":
        return Hrnet(config.hrnet.width)
    return LiteHrnet(config.lite_hrnet) if config.network == "lite-hrnet" else SmallPose(config.small)


def new_optimiser(network: nn.Module, config: PoseOptimiser) -> torch.optim.Optimizer:
    """AdamW; only weights of convolutions decay.

    Args:
        network: The network to train.
        config: Weight decay.

    Returns:
        The optimiser; its learning rate is set before each step.
    """
    return torch.optim.AdamW(weight_decay_groups(network, config.weight_decay))


def weights_file(network: nn.Module) -> bytes:
    """The network's weights as the safetensors file that `--pose-weights` takes.

    Args:
        network: The trained network.

    Returns:
        Content of a .safetensors file.
    """
    if isinstance(network, SmallPoseNetwork):
        return small_pose_file(network)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return serialise(tensors, {"format": "pt"})


def _initialise_small(network: SmallPose, path: Path) -> SmallPose:
    """The network with the weights of one that has no more blocks than it in any stage.

    New blocks start as identity: the deeper network has the same outputs at first.
    Raises: WeightsError if the other differs in more than its blocks, or has more of them.
    """
    given, wanted = load_small_pose(path), network.shape
    if not isinstance(given, SmallPose):
        raise WeightsError(f"{path} holds a Lite-HRNet: set network=lite-hrnet to start from it.")
    alike = replace(given.shape, stage_blocks=wanted.stage_blocks) == wanted
    if not alike or any(map(gt, given.shape.stage_blocks, wanted.stage_blocks)):
        raise WeightsError(
            f"{path} is no start for the network asked for: it holds {given.shape}, asked for is {wanted}. "
            "Only stage_blocks may differ, and only grow."
        )
    network.load_state_dict(given.state_dict(), strict=False)
    return network


def _initialise_lite(network: LiteHrnet, path: Path) -> LiteHrnet:
    """The network with weights of the package's file format or of PP-TinyPose; input sizes may differ.

    Raises: WeightsError if the file holds another network.
    """
    given = load_tinypose_onnx(path) if path.suffix == ".onnx" else load_small_pose(path)
    if not isinstance(given, LiteHrnet):
        raise WeightsError(f"{path} holds no Lite-HRNet: set network=small to start from it.")
    network.load_state_dict(given.state_dict())
    return network


def _initialise_hrnet(network: Hrnet, width: int, path: Path) -> None:
    """Weights of a pose network, or those of a classifier in the trunk and a new head.

    Raises: WeightsError if neither fits.
    """
    tensors = read_checkpoint(path).tensors
    if _TRUNK_FIRST not in tensors:
        load_hrnet_weights(network, width, path)
        return
    wanted = {name: tuple(one.shape) for name, one in network.backbone.state_dict().items()}
    shared = {name: tensor for name, tensor in tensors.items() if name in wanted}
    wrong = [name for name, size in wanted.items() if name not in shared or shared[name].shape != size]
    unknown = [name for name in tensors if name not in wanted and not name.startswith(_CLASSIFIER)]
    if wrong or unknown:
        raise WeightsError(
            f"{path} is no start for hrnet-w{width}: {len(wrong)} tensors are missing or of another size, "
            f"{len(unknown)} have no place (first: {(wrong + unknown)[0]})."
        )
    validate_finite(shared, shared, path)
    network.backbone.load_state_dict({name: torch.from_numpy(one) for name, one in shared.items()})
