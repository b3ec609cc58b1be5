import re

import pytest
import torch
from safetensors.torch import save_file
from support.yolox_cases import FACTS, filled_tensors

from kprtrack.core.errors import WeightsError
from kprtrack.detectors.yolox_network import Yolox, load_yolox_weights
from kprtrack.detectors.yolox_weights import megvii_names

TO_MMDET = (
    (r"^backbone\.backbone\.", "backbone."),
    *((rf"^backbone\.dark{n + 1}\.", f"backbone.stage{n}.") for n in (1, 2, 3, 4)),
    (r"^backbone\.lateral_conv0\.", "neck.reduce_layers.0."),
    (r"^backbone\.reduce_conv1\.", "neck.reduce_layers.1."),
    (r"^backbone\.C3_p4\.", "neck.top_down_blocks.0."),
    (r"^backbone\.C3_p3\.", "neck.top_down_blocks.1."),
    (r"^backbone\.bu_conv2\.", "neck.downsamples.0."),
    (r"^backbone\.bu_conv1\.", "neck.downsamples.1."),
    (r"^backbone\.C3_n3\.", "neck.bottom_up_blocks.0."),
    (r"^backbone\.C3_n4\.", "neck.bottom_up_blocks.1."),
    (r"^head\.stems\.", "neck.out_convs."),
    (r"^head\.(cls|reg)_convs\.", r"bbox_head.multi_level_\1_convs."),
    (r"^head\.(cls|reg|obj)_preds\.", r"bbox_head.multi_level_conv_\1."),
    (r"\.m\.(\d+)\.", r".blocks.\1."),
    (r"^(backbone\.stage[123]\.1|backbone\.stage4\.2|neck\.\w+_blocks\.\d)\.conv1\.", r"\1.main_conv."),
    (r"^(backbone\.stage[123]\.1|backbone\.stage4\.2|neck\.\w+_blocks\.\d)\.conv2\.", r"\1.short_conv."),
    (r"^(backbone\.stage[123]\.1|backbone\.stage4\.2|neck\.\w+_blocks\.\d)\.conv3\.", r"\1.final_conv."),
    (r"\.dconv\.", ".depthwise_conv."),
    (r"\.pconv\.", ".pointwise_conv."),
)


def mmdet_name(name: str) -> str:
    for pattern, replacement in TO_MMDET:
        name = re.sub(pattern, replacement, name)
    return name


def by_published_rules(name: str) -> str:
    """Megvii's name by the rules found when mmdet's own network was compared with Megvii's."""
    for pattern, replacement in FACTS["mmdet_rules"]:
        if "{n+1}" in replacement:
            name = re.sub(pattern, lambda m: f"backbone.backbone.dark{int(m[1]) + 1}.", name)
        else:
            name = re.sub(pattern, replacement, name)
    return name


def with_averages(tensors: dict) -> dict:
    """As mmdet 2 saves every training with averages: a copy of each tensor beside it, dots as underscores."""
    return tensors | {f"ema_{name.replace('.', '_')}": one + 1 for name, one in tensors.items()}


def v3() -> torch.Tensor:
    return torch.zeros(3, 1, 1)


@pytest.fixture(scope="module")
def tensors():
    with torch.device("meta"):
        network = Yolox("nano", 80)
    return filled_tensors(network, 2.05)


def same(network: Yolox, tensors: dict) -> bool:
    return all(torch.equal(value, tensors[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("size", ["nano", "s"])
def test_every_mmdet_name_becomes_the_published_name(size):
    names = list(FACTS["keys"][size])
    theirs = [mmdet_name(name) for name in names]
    assert [by_published_rules(name) for name in theirs] == names
    assert list(megvii_names(dict.fromkeys(theirs))) == names


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: {"model": t, "start_epoch": 300, "optimizer": {"state": {}}},
        lambda t: {"model": {f"module.{k}": v for k, v in t.items()}},
        lambda t: {"state_dict": {mmdet_name(k): v for k, v in t.items()}, "meta": {"epoch": 300}},
        lambda t: {"state_dict": with_averages({mmdet_name(k): v for k, v in t.items()})},
        lambda t: {"state_dict": {f"detector.{mmdet_name(k)}": v for k, v in t.items()}},
        lambda t: {"state_dict": {mmdet_name(k): v for k, v in t.items()} | {"data_preprocessor.mean": v3()}},
        lambda t: {"model_state_dict": {f"module._orig_mod.{k}": v for k, v in t.items()}},
        lambda t: t,
    ],
    ids=["megvii", "several-gpus", "mmdet", "mmdet-2", "mmtrack", "mmdet-3", "compiled", "bare"],
)
def test_published_files_give_the_same_network(wrap, tensors, tmp_path):
    torch.save(wrap(tensors), tmp_path / "yolox.pth.tar")
    assert same(load_yolox_weights(tmp_path / "yolox.pth.tar", "nano", 80), tensors)


def test_safetensors_give_the_same_network(tensors, tmp_path):
    save_file(tensors, tmp_path / "yolox.safetensors")
    network = load_yolox_weights(tmp_path / "yolox.safetensors", "nano", 80)
    assert same(network, tensors)
    assert all(p.requires_grad for p in network.parameters())


def test_half_precision_files_are_read_as_single_precision(tensors, tmp_path):
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}, tmp_path / "h.safetensors"
    )
    network = load_yolox_weights(tmp_path / "h.safetensors", "nano", 80)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_the_person_row_of_a_coco_head_scores_as_the_whole_head(tensors, tmp_path):
    save_file(tensors, tmp_path / "coco.safetensors")
    images = torch.randint(0, 256, (1, 3, 64, 96)).float()
    with torch.inference_mode():
        coco = load_yolox_weights(tmp_path / "coco.safetensors", "nano", 80)(images)
        person = load_yolox_weights(tmp_path / "coco.safetensors", "nano")(images)
    assert person.shape == (1, 126, 6)
    torch.testing.assert_close(person, coco[..., :6], rtol=1e-5, atol=1e-5)


def test_a_file_without_batch_counts_is_read(tensors, tmp_path):
    save_file({k: v for k, v in tensors.items() if "num_batches" not in k}, tmp_path / "old.safetensors")
    assert same(load_yolox_weights(tmp_path / "old.safetensors", "nano", 80), tensors)


def test_weights_of_another_size_are_an_error_that_names_both(tensors, tmp_path):
    save_file(tensors, tmp_path / "nano.safetensors")
    with pytest.raises(WeightsError, match=r"contains YOLOX-nano, not YOLOX-s\. Use --detector yolox-nano"):
        load_yolox_weights(tmp_path / "nano.safetensors", "s")


def test_weights_of_another_model_are_an_error(tmp_path):
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.safetensors")
    with pytest.raises(WeightsError, match=r"contains no YOLOX weights.*'conv1\.weight'"):
        load_yolox_weights(tmp_path / "resnet.safetensors", "s")


def test_an_unknown_stem_width_is_an_error(tmp_path):
    save_file(
        {"backbone.backbone.stem.conv.conv.weight": torch.zeros(20, 12, 3, 3)}, tmp_path / "odd.safetensors"
    )
    with pytest.raises(WeightsError, match="unknown size"):
        load_yolox_weights(tmp_path / "odd.safetensors", "s")


LAST = "head.reg_preds.2.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(LAST), f"lacks '{LAST}'"),
        (lambda t: t.update(extra=torch.zeros(1)), "has unexpected 'extra'"),
        (lambda t: t.update({LAST: torch.zeros(5)}), f"has other shapes in '{LAST}'"),
        (lambda t: t.update({LAST: torch.full((4,), torch.nan)}), f"is damaged: '{LAST}'"),
    ],
)
def test_a_file_that_does_not_fit_exactly_is_an_error(change, message, tensors, tmp_path):
    changed = dict(tensors)
    change(changed)
    save_file(changed, tmp_path / "changed.safetensors")
    with pytest.raises(WeightsError, match=message):
        load_yolox_weights(tmp_path / "changed.safetensors", "nano")


def test_a_head_with_other_classes_is_an_error(tensors, tmp_path):
    rows = {k: v[:7].clone() if "cls_preds" in k else v for k, v in tensors.items()}
    save_file(rows, tmp_path / "seven.safetensors")
    with pytest.raises(WeightsError, match="has 7 classes, expected 1"):
        load_yolox_weights(tmp_path / "seven.safetensors", "nano")
