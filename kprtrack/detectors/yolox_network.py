"""The YOLOX network in its six sizes, with the state-dict names of the published weights.

Source: YOLOX (Ge et al., 2021, arXiv 2107.08430); `docs/reference/detector_and_pose.md 1.1, 1.3, 1.4`.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kprtrack.detectors.yolox_blocks import ConvBnAct, CspLayer, Focus, SpatialPyramid, conv3x3
from kprtrack.detectors.yolox_shapes import SHAPES, STRIDES, Shape, YoloxSize
from kprtrack.detectors.yolox_weights import read_yolox_weights, validate_yolox_weights

OBJECT_PRIOR = 0.01  # initial object and class probability of every cell in training


class CspDarknet(nn.Module):
    """Backbone: image -> features at strides 8, 16, 32."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        base, count, depthwise = int(64 * shape.width), max(round(3 * shape.depth), 1), shape.depthwise

        def stage(inputs: int, blocks: int) -> nn.Sequential:
            return nn.Sequential(
                conv3x3(inputs, 2 * inputs, depthwise=depthwise, stride=2),
                CspLayer(2 * inputs, 2 * inputs, blocks, shortcut=True, depthwise=depthwise),
            )

        self.stem = Focus(base)
        self.dark2 = stage(base, count)
        self.dark3 = stage(base * 2, count * 3)
        self.dark4 = stage(base * 4, count * 3)
        self.dark5 = nn.Sequential(
            conv3x3(base * 8, base * 16, depthwise=depthwise, stride=2),
            SpatialPyramid(base * 16),
            CspLayer(base * 16, base * 16, count, shortcut=False, depthwise=depthwise),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stride8 = self.dark3(self.dark2(self.stem(x)))
        stride16 = self.dark4(stride8)
        return stride8, stride16, self.dark5(stride16)


class Pafpn(nn.Module):
    """Path aggregation network: features of three strides, fused from coarse to fine and back."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        fine, middle, coarse = (int(channels * shape.width) for channels in (256, 512, 1024))
        depthwise = shape.depthwise

        def csp(inputs: int, outputs: int) -> CspLayer:
            return CspLayer(inputs, outputs, round(3 * shape.depth), shortcut=False, depthwise=depthwise)

        self.backbone = CspDarknet(shape)
        self.lateral_conv0 = ConvBnAct(coarse, middle, 1)
        self.C3_p4 = csp(2 * middle, middle)
        self.reduce_conv1 = ConvBnAct(middle, fine, 1)
        self.C3_p3 = csp(2 * fine, fine)
        self.bu_conv2 = conv3x3(fine, fine, depthwise=depthwise, stride=2)
        self.C3_n3 = csp(2 * fine, middle)
        self.bu_conv1 = conv3x3(middle, middle, depthwise=depthwise, stride=2)
        self.C3_n4 = csp(2 * middle, coarse)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stride8, stride16, stride32 = self.backbone(images)
        f0 = self.lateral_conv0(stride32)
        f1 = self.reduce_conv1(self.C3_p4(torch.cat((_upsampled(f0), stride16), dim=1)))
        p3 = self.C3_p3(torch.cat((_upsampled(f1), stride8), dim=1))
        p4 = self.C3_n3(torch.cat((self.bu_conv2(p3), f1), dim=1))
        p5 = self.C3_n4(torch.cat((self.bu_conv1(p4), f0), dim=1))
        return p3, p4, p5


def _upsampled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class DecoupledHead(nn.Module):
    """Head with separate branches: features -> box, object and class predictions of every cell."""

    def __init__(self, shape: Shape, num_classes: int) -> None:
        super().__init__()
        width = int(256 * shape.width)

        def tower() -> nn.Sequential:
            return nn.Sequential(*(conv3x3(width, width, depthwise=shape.depthwise) for _ in range(2)))

        self.cls_convs = nn.ModuleList(tower() for _ in STRIDES)
        self.reg_convs = nn.ModuleList(tower() for _ in STRIDES)
        self.cls_preds = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for _ in STRIDES)
        self.reg_preds = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in STRIDES)
        self.obj_preds = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in STRIDES)
        self.stems = nn.ModuleList(ConvBnAct(int(c * shape.width), width, 1) for c in (256, 512, 1024))
        # A low initial probability: otherwise the many background cells dominate the first steps.
        for prediction in (*self.cls_preds, *self.obj_preds):
            nn.init.constant_(prediction.bias, -math.log((1 - OBJECT_PRIOR) / OBJECT_PRIOR))

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        levels = []
        for i, feature in enumerate(features):
            x = self.stems[i](feature)
            boxes = self.reg_convs[i](x)
            classes = self.cls_preds[i](self.cls_convs[i](x))
            level = torch.cat((self.reg_preds[i](boxes), self.obj_preds[i](boxes), classes), dim=1)
            levels.append(level.flatten(2))  # [B, 5 + C, rows * columns]
        return torch.cat(levels, dim=2).transpose(1, 2)


class Yolox(nn.Module):
    """YOLOX of one size; `state_dict()` has the names of the published weights."""

    def __init__(self, size: YoloxSize, num_classes: int) -> None:
        super().__init__()
        self.size, self.num_classes = size, num_classes
        self.backbone = Pafpn(SHAPES[size])
        self.head = DecoupledHead(SHAPES[size], num_classes)

    def logits(self, images: Tensor) -> Tensor:
        """Compute [B, A, 5 + C] before the sigmoid, for the training losses; `images` as in `forward`."""
        return self.head(self.backbone(images))

    def forward(self, images: Tensor) -> Tensor:
        """Compute raw boxes, object and class probabilities of every cell.

        Args:
            images: [B, 3, H, W], channels as in `letterbox.PIXELS`, H and W multiples of 32.

        Returns:
            [B, A, 5 + C], cells by row, stride 8 first. Always float32, because sigmoids in half precision
            make close scores equal.
        """
        raw = self.logits(images).float()
        return torch.cat((raw[..., :4], raw[..., 4:].sigmoid()), dim=-1)


def cells(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Make column, row and stride in pixels of every cell of a canvas, [A, 3] float32, in output order."""
    levels = []
    for stride in STRIDES:
        rows, columns = torch.meshgrid(
            torch.arange(height // stride, device=device),
            torch.arange(width // stride, device=device),
            indexing="ij",
        )
        levels.append(torch.stack((columns, rows, torch.full_like(rows, stride)), dim=-1).flatten(0, 1))
    return torch.cat(levels).float()


def decode(raw: Tensor, height: int, width: int) -> Tensor:
    """Convert raw boxes [B, A, 5 + C] to centre x, centre y, width, height in canvas pixels."""
    grid = cells(height, width, raw.device)
    corner, stride = grid[:, :2], grid[:, 2:]
    return torch.cat(((raw[..., :2] + corner) * stride, raw[..., 2:4].exp() * stride, raw[..., 4:]), dim=-1)


def load_yolox_weights(path: Path, size: YoloxSize, num_classes: int = 1) -> Yolox:
    """Load a YOLOX network from a file of Megvii, ByteTrack, mmdet or this project.

    Args:
        path: The checkpoint.
        size: Expected size.
        num_classes: Classes of the head; for 1 the person class of a COCO head is selected.

    Returns:
        The network in evaluation mode, on the CPU, batch norm not folded.

    Raises:
        WeightsError: The file is unreadable, incomplete, damaged, or not a YOLOX of this size and head.
    """
    tensors = read_yolox_weights(path, size, num_classes)
    # Without memory of its own the network needs no initialisation that the file would overwrite.
    with torch.device("meta"):
        network = Yolox(size, num_classes)
    expected = network.state_dict()
    validate_yolox_weights(tensors, {name: tuple(like.shape) for name, like in expected.items()}, path)
    # Files of old torch versions have no batch counts, which are not used with a fixed momentum.
    counts = {name: torch.zeros((), dtype=torch.int64) for name in expected if name not in tensors}
    given = {name: torch.from_numpy(tensors[name]) for name in expected if name in tensors}
    complete = {name: tensor.to(expected[name].dtype) for name, tensor in (counts | given).items()}
    network.load_state_dict(complete, assign=True)
    return network.eval()
