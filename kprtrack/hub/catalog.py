"""Catalogue of the weights in the package and of published checkpoints: links, hashes and settings.

Source: docs/reference/detector_and_pose.md 1.7, 1.8, 1.10, 2.6; docs/reference/kpr.md 1.1, 4.2, 7.3. Longer
than other files because it is a table.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from kprtrack.hub.entry import Kind, ModelEntry, Setting
from kprtrack.hub.onnx_catalog import ONNX_ENTRIES

_MEGVII = "https://github.com/Megvii-BaseDetection/YOLOX/releases"
_MMDET = "https://download.openmmlab.com/mmdetection/v2.0/yolox"
_MMPOSE_COCO = "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco"
_MMPOSE_POSETRACK = "https://download.openmmlab.com/mmpose/top_down/hrnet"
_MMPOSE_BACKBONES = "https://download.openmmlab.com/mmpose/pretrain_models"
_KPR_FOLDER = "https://drive.google.com/drive/folders/1t4wXc2c3qlFaqUCifAlc_OPrFwvb7peD"
_KPR_HUB = "https://huggingface.co/trackinglaboratory/keypoint_promptable_reid"
_KPR_MULTI_STEM = "kpr_dancetrack_sportsmot_posetrack21_occludedduke_market_split0"
_TIMM_HUB = "https://huggingface.co/timm/swinv2_base_window12to16_192to256.ms_in22k_ft_in1k"
_SWIN = "https://github.com/SwinTransformer/storage/releases"

_APACHE = "Apache-2.0"
_KPR_LICENCE = "Hippocratic-3.0 (the code's; none stated for the weights)"
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean, std of RGB in [0, 1]
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _small(
    kind: Kind,
    architecture: str,
    *,
    research: str = "",
    score: str,
    file: tuple[int, str],
    settings: Mapping[str, Setting] | None = None,
    version: str = "",
) -> ModelEntry:
    """Weights of this project, in the package.

    research: data sets that it was trained on and that are for research only; none: any use is allowed.
    file: its size in bytes and sha256.
    version: "-v1" for weights of the former release, which stay for one more; "-accurate" for a slower
        network.
    """
    name = f"small-{'kpr' if kind == 'reid' else kind}{version}"
    return ModelEntry(
        name=name,
        kind=kind,
        architecture=architecture,
        file_name=f"{name}.safetensors",
        page="",
        licence=f"research only: trained on {research}" if research else "Apache-2.0",
        score=score,
        size_bytes=file[0],
        sha256=file[1],
        settings=settings or {},
        in_package=True,
    )


def _drive_page(drive_id: str) -> str:
    return f"https://drive.google.com/file/d/{drive_id}/view"


def _drive_url(drive_id: str) -> str:
    return f"https://drive.usercontent.google.com/download?id={drive_id}&export=download&confirm=t"


def _yolox(size: str, average_precision: str, size_bytes: int, sha256: str) -> ModelEntry:
    """COCO weights of YOLOX's authors, release 0.1.1rc0."""
    side = 416 if size in ("nano", "tiny") else 640
    return ModelEntry(
        name=f"yolox-{size}-coco",
        kind="detector",
        architecture=f"yolox-{size}",
        file_name=f"yolox_{size}.pth",
        page=f"{_MEGVII}/tag/0.1.1rc0",
        licence=_APACHE,
        score=f"COCO val AP {average_precision}",
        url=f"{_MEGVII}/download/0.1.1rc0/yolox_{size}.pth",
        size_bytes=size_bytes,
        # sha256 and size are from a mirror and not verified against the original.
        sha256=sha256,
        sha256_from="mirror",
        settings={"yolox.size": size, "yolox.input_height": side, "yolox.input_width": side},
    )


def _mmdet_yolox(
    size: str, average_precision: str, file_name: str, size_bytes: int, sha256: str
) -> ModelEntry:
    """COCO weights of mmdet, as the KPR authors' tracker used (docs/reference/detector_and_pose.md 1.11)."""
    return ModelEntry(
        name=f"yolox-{size}-coco-mmdet",
        kind="detector",
        architecture=f"yolox-{size}",
        file_name=file_name,
        page="https://github.com/open-mmlab/mmdetection/tree/main/configs/yolox",
        licence=_APACHE,
        score=f"COCO val AP {average_precision}",
        url=f"{_MMDET}/yolox_{size}_8x8_300e_coco/{file_name}",
        size_bytes=size_bytes,
        # The first 8 digits are in the publisher's file name; the rest and the size are from a mirror.
        sha256=sha256,
        sha256_from="mirror",
        settings={"yolox.size": size, "yolox.input_height": 640, "yolox.input_width": 640},
    )


def _bytetrack(label: str, size: str, drive_id: str, shape: tuple[int, int], mota_idf1: str) -> ModelEntry:
    """One class, amodal full-body boxes, normalised RGB input (docs/reference/detector_and_pose.md 1.8)."""
    return ModelEntry(
        name=f"bytetrack-{label.replace('_', '-')}",
        kind="detector",
        architecture=f"yolox-{size}",
        file_name=f"bytetrack_{label}.pth.tar",
        page=_drive_page(drive_id),
        licence="MIT (the code's)",
        score=f"MOTA / IDF1 {mota_idf1}",
        url=_drive_url(drive_id),
        settings={
            "yolox.size": size,
            "yolox.input_height": shape[0],
            "yolox.input_width": shape[1],
            "yolox.preprocess": "legacy",
        },
    )


def _hrnet_settings(width: int, height: int, decode: str, skeleton: str) -> dict[str, Setting]:
    return {
        "hrnet.width": width,
        "hrnet.input_height": height,
        "hrnet.input_width": height * 3 // 4,
        "hrnet.decode": decode,
        "hrnet.skeleton": skeleton,
    }


def _hrnet_coco(width: int, height: int, decode: str, average_precision: str, suffix: str) -> ModelEntry:
    """mmpose 1.x COCO weights. suffix: HASH_DATE at the end of the published file name."""
    variant = "" if decode == "msra" else f"{decode}-"
    batch = 64 if width == 32 else 32
    file_name = f"td-hm_hrnet-w{width}_{variant}8xb{batch}-210e_coco-{height}x{height * 3 // 4}-{suffix}.pth"
    return ModelEntry(
        name=f"hrnet-w{width}-coco-{height}" + ("" if decode == "msra" else f"-{decode}"),
        kind="pose",
        architecture=f"hrnet-w{width}",
        file_name=file_name,
        page="https://mmpose.readthedocs.io/en/latest/model_zoo/body_2d_keypoint.html",
        licence=_APACHE,
        score=f"COCO val AP {average_precision} (flip test)",
        url=f"{_MMPOSE_COCO}/{file_name}",
        sha256=suffix.split("_")[0],
        settings=_hrnet_settings(width, height, decode, "coco"),
    )


def _hrnet_posetrack(width: int, height: int, maps: str, suffix: str) -> ModelEntry:
    """mmpose 0.x PoseTrack18 weights (head_bottom and head_top instead of the eyes)."""
    file_name = f"hrnet_w{width}_posetrack18_{height}x{height * 3 // 4}-{suffix}.pth"
    return ModelEntry(
        name=f"hrnet-w{width}-posetrack18-{height}",
        kind="pose",
        architecture=f"hrnet-w{width}",
        file_name=file_name,
        page="https://mmpose.readthedocs.io/en/latest/model_zoo/body_2d_keypoint.html",
        licence=_APACHE,
        score=f"PoseTrack18 val mAP {maps} (true boxes / Cascade R-CNN)",
        url=f"{_MMPOSE_POSETRACK}/{file_name}",
        sha256=suffix.split("_")[0],
        settings=_hrnet_settings(width, height, "msra", "posetrack18"),
    )


def _hrnet_backbone(width: int, sha256: str) -> ModelEntry:
    file_name = f"hrnet_w{width}-{sha256}.pth"
    return ModelEntry(
        name=f"hrnet-w{width}-imagenet",
        kind="backbone",
        architecture=f"hrnet-w{width}",
        file_name=file_name,
        page="https://github.com/open-mmlab/mmpose",
        licence=_APACHE,
        score="ImageNet, initial weights for training",
        url=f"{_MMPOSE_BACKBONES}/{file_name}",
        sha256=sha256,
        settings={"hrnet.width": width},
    )


def _kpr(label: str, encoder: str, file_stem: str, height: int, groups: str) -> ModelEntry:
    """A KPR encoder from the authors' folder; browser download, no hash (docs/reference/kpr.md 4.2).

    file_stem: kpr_SET_START_mAP_R1_JOB, for Partial-ReID kpr_SET_START_R1_R3_JOB.
    """
    first, second = file_stem.split("_")[-3:-1]
    figures = f"R1 {first}, R3 {second}" if "partial" in label else f"mAP {first}, R1 {second}"
    mean, std = _HALF if encoder == "solider" else _IMAGENET
    settings: dict[str, Setting] = {
        "kpr.image_height": height,
        "kpr.image_width": 128,
        "kpr.mean": mean,
        "kpr.std": std,
        "kpr.prompt_groups": groups,
        "kpr.parts": 8 if groups == "cck8" else 5,
    }
    if encoder != "swinv2":  # the timm path has no semantic embedding
        settings["kpr.semantic_weight"] = 0.2
    return ModelEntry(
        name=f"kpr-{label}",
        kind="reid",
        architecture=f"kpr-{encoder}",
        file_name=f"{file_stem}.pth.tar",
        page=_KPR_FOLDER,
        licence=_KPR_LICENCE,
        score=f"{label.rsplit('-', 1)[0]} {figures}",
        settings=settings,
    )


_KPR_POSETRACK_ID = "1Np5wu3nQa_Fl_z7Zw2kchJNC8JZVwsh5"
_SOLIDER_ID = "1uh7tO34tMf73MJfFqyFEGx42UBktTbZU"

_ENTRIES = (
    # In the package. After training one again, update score, size and sha256 here and in its model card.
    _small(
        "detector",
        "yolox-nano",
        score="person AP 63.8 AP50 89.0 (ours)",
        file=(1_893_012, "98d12af06ed9465f5fd6bf5505330cf23d19529eb41f220652cf3a7bc75298a4"),
        # A 16:9 video is computed at 640 x 384: padding of the square canvas is left out.
        settings={
            "yolox.size": "nano",
            "yolox.input_height": 640,
            "yolox.input_width": 640,
            "yolox.voting_iou": 0.75,
        },
    ),
    _small(
        "pose",
        "small",
        score="keypoint AP 68.4 (ours)",
        file=(2_653_914, "3bb1805efc28f2d1615026b3899b1de2b9e9458d54a82bd219288084dd67ccb5"),
        settings={"small.box_padding": 1.1},
    ),
    _small(
        "pose",
        "small-accurate",
        research="Leeds Sports Pose, CUHK01 and others",
        score="keypoint AP 75.2 (ours)",
        file=(2_653_914, "1c9d97c4f2b84a0498c6e13a248b74a31dcfef3d2e915c75a2da71b5d1073581"),
        version="-accurate",
    ),
    _small(
        "reid",
        "kpr",
        research="CUHK03 and CUHK01",
        score="CUHK03 mAP 73 R1 75 (ours)",
        file=(6_176_900, "7d7e991606326a821b652e57270b633b1f5e5ce09e6be47ac2fc7b1935f8f8b5"),
    ),
    _small(
        "detector",
        "yolox-nano",
        research="MOT17, Penn-Fudan, ImageNet and others",
        score="AP50 74 (ours)",
        file=(1_893_012, "c013b45dd03a4dc39ca16a16c1bc18cbc34d668b0b29970691b57c3899b46014"),
        # A 16:9 video is computed at 640 x 384: padding of the square canvas is left out.
        settings={"yolox.size": "nano", "yolox.input_height": 640, "yolox.input_width": 640},
        version="-v1",
    ),
    _small(
        "pose",
        "small",
        research="Leeds Sports Pose, CUHK and others",
        score="PCKh 70 (ours)",
        file=(5_825_488, "416b6f8bc23d8e385648b0a6306bd72e989f9f9c8f67a2feed54c270a908fa81"),
        settings={"small.box_padding": 1.25, "small.flip_test": True},
        version="-v1",
    ),
    _yolox("nano", "25.8", 7_694_953, "cd28f55fbbc1829f99d9ac9b38a16d259a22889739c8728ea877610201feff7b"),
    _yolox("tiny", "32.8", 40_755_013, "9de513de589ac98bb92d3bca53b5af7b9acfa9b0bacb831f7999d0f7afaee8f0"),
    _yolox("s", "40.5", 72_089_125, "f55ded7181e1b0c13285c56e7790b8f0e8f8db590fe4edb37f0b7f345c913a30"),
    _yolox("m", "46.9", 203_114_461, "60076992b32da82951c90cfa7bd6ab70eba9eda243e08b940a396f60ac2d19b6"),
    _yolox("l", "49.7", 434_357_141, "1e6b7fa6240375370b2a8a8eab9066b3cdd43fd1d0bfa8d2027fd3a51def2917"),
    _yolox("x", "51.1", 793_463_373, "5652330b6ae860043f091b8f550a60c10e1129f416edfdb65c259be6caf355cf"),
    _mmdet_yolox(
        "l",
        "49.4",
        "yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth",
        217_289_556,
        "d3bd2b23e4cd178bfcc756df67e0d0949f3d77e0a73482f6da694c580ed54da1",
    ),
    _mmdet_yolox(
        "x",
        "50.9",
        "yolox_x_8x8_300e_coco_20211126_140254-1ef88d67.pth",
        396_898_755,
        "1ef88d67f9c912a7c3a6df4f4d9bdf391cf70df867e6c9d7f249c7a3990e3dec",
    ),
    _bytetrack("x_mot17", "x", "1P4mY0Yyd3PPTybgZkjMYhFri88nTmJX5", (800, 1440), "90.0 / 83.3, MOT17 train"),
    _bytetrack("l_mot17", "l", "1XwfUuCBF4IgWBWK2H7oOhQgEj9Mrb3rz", (800, 1440), "88.7 / 80.7, MOT17 train"),
    _bytetrack("m_mot17", "m", "11Zb0NN_Uu7JwUd9e6Nk8o2_EUfxWqsun", (800, 1440), "87.0 / 80.1, MOT17 train"),
    _bytetrack("s_mot17", "s", "1uSmhXzyV1Zvb4TJJCzpsZOIcw7CCJLxj", (608, 1088), "79.2 / 74.3, MOT17 train"),
    _bytetrack(
        "tiny_mot17", "tiny", "1LFAl14sql2Q5Y9aNFsX_OqsnIzUD_1ju", (608, 1088), "77.1 / 71.5, MOT17 train"
    ),
    _bytetrack(
        "nano_mot17", "nano", "1AoN2AxzVwOLM0gJ15bcwqZUpFjlDV1dX", (608, 1088), "69.0 / 66.3, MOT17 train"
    ),
    _bytetrack(
        "ablation", "x", "1iqhM-6V_r1FpOlOzrdP_Ejshgk0DxOob", (800, 1440), "76.6 / 79.3, MOT17 half val"
    ),
    _bytetrack("x_mot20", "x", "1HX2_JpMOjOIj1Z9rJjoet9XNy_cCAs5U", (896, 1600), "93.4 / 89.3, MOT20 train"),
    _hrnet_coco(32, 256, "msra", "74.9", "81c58e40_20220909"),
    _hrnet_coco(32, 384, "msra", "76.1", "ca5956af_20220909"),
    _hrnet_coco(48, 256, "msra", "75.6", "0e67c616_20220913"),
    _hrnet_coco(48, 384, "msra", "76.7", "c161b7de_20220915"),
    _hrnet_coco(32, 256, "dark", "75.7", "0e00bf12_20220914"),
    _hrnet_coco(32, 384, "dark", "76.6", "9bab4c9b_20220917"),
    _hrnet_coco(48, 256, "dark", "76.4", "e1ebdd6f_20220913"),
    _hrnet_coco(48, 384, "dark", "77.2", "39c3c381_20220916"),
    _hrnet_coco(32, 256, "udp", "76.2", "73ede547_20220914"),
    _hrnet_coco(32, 384, "udp", "76.8", "9a3f7c85_20220914"),
    _hrnet_coco(48, 256, "udp", "76.8", "3feaef8f_20220913"),
    _hrnet_coco(48, 384, "udp", "77.3", "70d7ab01_20220913"),
    _hrnet_posetrack(32, 256, "83.4 / 76.9", "1ee951c4_20201028"),
    _hrnet_posetrack(32, 384, "83.7 / 77.3", "806f00a3_20211130"),
    _hrnet_posetrack(48, 256, "84.6 / 77.4", "b5d9b3f1_20211130"),
    _hrnet_posetrack(48, 384, "84.6 / 77.8", "5fd6d3ff_20211130"),
    _hrnet_backbone(32, "36af842e"),
    _hrnet_backbone(48, "8ef0771d"),
    _kpr("market-in", "swin", "kpr_market_IN_89.58_95.87_41898449", 384, "cck6"),
    _kpr("occ-duke-in", "swinv2", "kpr_occ_duke_IN_67.12_79.77_41330771", 256, "cck8"),
    replace(
        _kpr("occ-posetrack-in", "swinv2", "kpr_occ_pt_IN_82.34_92.33_42323828", 256, "cck8"),
        page=_drive_page(_KPR_POSETRACK_ID),
        url=_drive_url(_KPR_POSETRACK_ID),
        sha256="9bea1e6dd887fb7af8c2f154912cce846c8c809c4c2357df4b89282889b31a20",
        sha256_from="third party",
    ),
    _kpr("occ-reid-in", "swinv2", "kpr_occ_reid_IN_79.05_85.40_41668493", 256, "cck6"),
    _kpr("partial-reid-in", "swinv2", "kpr_partial_reid_IN_86.0_90.0_41668493", 256, "cck6"),
    _kpr("market-solider", "solider", "kpr_market_SOLIDER_93.25_96.59_41453430", 384, "cck6"),
    _kpr("occ-duke-solider", "solider", "kpr_occ_duke_SOLIDER_75.12_84.25_41443413", 384, "cck8"),
    _kpr("occ-posetrack-solider", "solider", "kpr_occ_pt_SOLIDER_81.24_90.59_42326409", 384, "cck8"),
    _kpr("occ-reid-solider", "solider", "kpr_occ_reid_SOLIDER_82.56_84.80_41898366", 384, "cck6"),
    _kpr("partial-reid-solider", "solider", "kpr_partial_reid_SOLIDER_90.7_94.0_41898366", 384, "cck6"),
    # Its image size and normalisation are not published: these are the official extractor's fixed values.
    replace(
        _kpr("multi", "swinv2", _KPR_MULTI_STEM, 256, "cck6"),
        page=_KPR_HUB,
        score="none published; trained on five datasets, for tracking",
        url=f"{_KPR_HUB}/resolve/main/{_KPR_MULTI_STEM}.pth.tar",
        sha256="c7f3a74d86a0bb56940b2703508a50f1d3dbee4d755049272ef5caa18457db3f",
    ),
    ModelEntry(
        name="solider-swin-b-kpr",
        kind="backbone",
        architecture="kpr-solider",
        file_name="swin_base_reid.pth",
        page=_KPR_FOLDER,
        licence="none stated",
        score="initial weights of KPR's SOLIDER configurations",
    ),
    ModelEntry(
        name="solider-swin-b",
        kind="backbone",
        architecture="kpr-solider",
        file_name="swin_base.pth",
        page=_drive_page(_SOLIDER_ID),
        licence="Apache-2.0 (the code's)",
        score="self-supervised on LUPerson; Market mAP 93.9 after fine-tuning",
        url=_drive_url(_SOLIDER_ID),
    ),
    ModelEntry(
        name="swin-b-imagenet22k",
        kind="backbone",
        architecture="kpr-swin",
        file_name="swin_base_patch4_window7_224_22k.pth",
        page=f"{_SWIN}/tag/v1.0.0",
        licence="MIT",
        score="ImageNet-22k, initial weights for training",
        url=f"{_SWIN}/download/v1.0.0/swin_base_patch4_window7_224_22k.pth",
    ),
    ModelEntry(
        name="swinv2-b-imagenet",
        kind="backbone",
        architecture="kpr-swinv2",
        file_name="swinv2_base_window12to16_192to256.ms_in22k_ft_in1k.safetensors",
        page=_TIMM_HUB,
        licence="MIT",
        score="ImageNet-22k then 1k, initial weights for training",
        url=f"{_TIMM_HUB}/resolve/main/model.safetensors",
    ),
)

CATALOGUE: Mapping[str, ModelEntry] = MappingProxyType(
    {entry.name: entry for entry in (*_ENTRIES, *ONNX_ENTRIES)}
)

# The models of the KPR authors' own tracking code (docs/reference/detector_and_pose.md 1.11,
# docs/reference/kpr.md 7.3).
PUBLISHED_PIPELINE = {
    "detector": "yolox-x-coco-mmdet",
    "pose": "hrnet-w32-posetrack18-256",
    "reid": "kpr-occ-posetrack-in",
}
