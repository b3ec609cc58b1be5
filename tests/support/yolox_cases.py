"""The formulas that make the parameters and images of the YOLOX golden values."""

import json
import math
import re
import zlib

import numpy as np
import torch
from torch import Tensor

from kprtrack.detectors.letterbox import PIXELS, letterbox
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.inference.compile import normalised
from support import paths

ROOT = paths.ROOT
GOLDEN = ROOT / "tests" / "golden"
SHARED = ROOT.parent / "shared"
FIXTURES = SHARED / "fixtures" / "detpose"
FACTS = json.loads((GOLDEN / "yolox_facts.json").read_text())
STEP = 16  # of the full outputs every 16th cell is in the golden file

FACTORS = (
    (r"^backbone\.backbone\.stem\.conv\.conv\.weight$", 1 / 128),
    (r"\.m\.\d+\.conv2\.(pconv\.)?conv\.weight$", 0.5),
    (r"\.dconv\.conv\.weight$", 1.5),
    (r"^head\.reg_preds\.\d+\.weight$", 0.5),
    (r"^head\.obj_preds\.\d+\.weight$", 3.0),
)


def filled_tensors(network: Yolox, gain: float) -> dict[str, Tensor]:
    """Parameters by formula for every name of the network."""
    return {
        name: filled_parameter(name, tuple(like.shape), gain) for name, like in network.state_dict().items()
    }


def filled_parameter(name: str, shape: tuple[int, ...], gain: float) -> Tensor:
    """One parameter by formula; `name` is the full official one."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if name.endswith("running_mean"):
        value = np.float32(0.1) * noise
    elif name.endswith("running_var"):
        value = np.float32(0.5) + np.abs(noise)
    elif name.endswith(".bias"):
        value = np.float32(0.1) * noise + np.float32(_bias(name))
    elif len(shape) == 1:
        value = np.float32(1) + np.float32(0.1) * noise
    else:
        factor = math.prod(factor for pattern, factor in FACTORS if re.search(pattern, name))
        value = np.float32(math.sqrt(gain / math.prod(shape[1:])) * factor) * noise
    return torch.from_numpy(np.asarray(value, np.float32))


def _bias(name: str) -> float:
    if re.match(r"^head\.(obj|cls)_preds\.\d+\.bias$", name):
        return -1.0
    return 1.5 if re.match(r"^head\.reg_preds\.\d+\.bias$", name) else 0.0


def pattern_image_bgr(height: int, width: int, seed: int) -> np.ndarray:
    """[height, width, 3] uint8, blue first: stripes, tiles and noise."""
    y, x = np.mgrid[0:height, 0:width]
    planes = ((3 * x + 5 * y) % 256, ((x // 16 + y // 16) % 2) * 180 + (x + y) % 60, (x * y // 64) % 256)
    noise = np.random.default_rng(seed).integers(0, 32, size=(height, width, 3)) - 16
    return np.clip(np.stack(planes, axis=-1) + noise, 0, 255).astype(np.uint8)


def pattern_image(height: int, width: int, seed: int) -> np.ndarray:
    """[height, width, 3] uint8, RGB."""
    return np.ascontiguousarray(pattern_image_bgr(height, width, seed)[..., ::-1])


def filled_network(size: str) -> Yolox:
    """YOLOX of a size with 80 classes and the parameters of the golden values."""
    network = Yolox(size, 80)
    network.load_state_dict(filled_tensors(network, FACTS["models"][size]["gain2"]))
    return network.eval()


def golden_input(size: str) -> Tensor:
    """[1, 3, H, W]: the image of the golden values as the network reads it."""
    case = FACTS["models"][size]
    image = pattern_image(*case["image_hw"], case["image_seed"])
    return normalised(torch.from_numpy(letterbox(image, *case["test_size"]))[None], PIXELS["megvii"])
