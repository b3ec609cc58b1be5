"""The part of the catalogue that lists ONNX files, which run without torch.

Source: docs/reference/detector_and_pose.md 1.12, 3.2 to 3.4. Most sha256 were never published; those
given here are from projects that use the files. For the others, the first download is recorded.
"""

from kprtrack.hub.entry import ModelEntry

_OPENMMLAB = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk"
_RTMO = "https://download.openmmlab.com/mmpose/v1/projects/rtmo/onnx_sdk"
_RTMW = "https://download.openmmlab.com/mmpose/v1/projects/rtmw/onnx_sdk"
_RTMO_PAGE = "https://github.com/open-mmlab/mmpose/tree/main/projects/rtmo"
_TINYPOSE_HUB = "https://huggingface.co/chenmohan/web-sdk-pp-tinypose"
_TINYPOSE_REVISION = "8aa6bd0a3f1aeb401b1c45744f0d88c95fb07158"
_RTMPOSE_PAGE = "https://github.com/open-mmlab/mmpose/tree/main/projects/rtmpose"
_RTMLIB_PAGE = "https://github.com/Tau-J/rtmlib"
_MEGVII = "https://github.com/Megvii-BaseDetection/YOLOX/releases"
_OSNET_HUB = "https://huggingface.co/kornia/osnet"
_APACHE = "Apache-2.0"


def _yolox(size: str, average_precision: str, size_bytes: int | None, sha256: str | None) -> ModelEntry:
    """COCO weights of YOLOX's authors, release 0.1.1rc0."""
    return ModelEntry(
        name=f"yolox-{size}-coco-onnx",
        kind="detector",
        architecture="yolox-onnx",
        file_name=f"yolox_{size}.onnx",
        page=f"{_MEGVII}/tag/0.1.1rc0",
        licence=_APACHE,
        score=f"COCO val AP {average_precision}",
        url=f"{_MEGVII}/download/0.1.1rc0/yolox_{size}.onnx",
        size_bytes=size_bytes,
        sha256=sha256,
        sha256_from="third party",
    )


def _humanart(
    size: str, suffix: str, average_precision: str, size_bytes: int | None, sha256: str
) -> ModelEntry:
    """A one-class YOLOX of OpenMMLab; non-maximum suppression is part of the network."""
    slug = f"yolox_{size}_8xb8-300e_humanart-{suffix}"
    side = 416 if size in ("nano", "tiny") else 640
    return ModelEntry(
        name=f"yolox-{size}-humanart",
        kind="detector",
        architecture="yolox-onnx",
        file_name=f"{slug}.onnx",
        page=_RTMLIB_PAGE,
        licence=_APACHE,
        score=f"Human-Art AP {average_precision}",
        url=f"{_OPENMMLAB}/{slug}.zip",
        size_bytes=size_bytes,
        sha256=sha256,
        sha256_from="third party",
        settings={"yolox-onnx.input_height": side, "yolox-onnx.input_width": side},
        member="end2end.onnx",
    )


def _rtmpose(
    size: str, slug: str, score: str, size_bytes: int | None = None, sha256: str | None = None
) -> ModelEntry:
    """RTMPose for crops of 256 x 192, trained on seven data sets; with COCO's 17 or Halpe's 26 keypoints."""
    keypoints = "halpe26" if "halpe26" in slug else "body7"
    return ModelEntry(
        name=f"rtmpose-{size}-{keypoints}",
        kind="pose",
        architecture="rtmpose",
        file_name=f"rtmpose-{size}_{slug}.onnx",
        page=_RTMPOSE_PAGE,
        licence=_APACHE,
        score=score,
        url=f"{_OPENMMLAB}/rtmpose-{size}_{slug}.zip",
        size_bytes=size_bytes,
        sha256=sha256,
        sha256_from="third party",
        member="end2end.onnx",
    )


def _rtmo(size: str, slug: str, score: str, size_bytes: int | None, sha256: str | None) -> ModelEntry:
    """RTMO trained on seven data sets: boxes and poses of one network."""
    return ModelEntry(
        name=f"rtmo-{size}-body7",
        kind="detector",
        architecture="rtmo",
        file_name=f"rtmo-{size}_{slug}.onnx",
        page=_RTMO_PAGE,
        licence=_APACHE,
        score=score,
        url=f"{_RTMO}/rtmo-{size}_{slug}.zip",
        size_bytes=size_bytes,
        sha256=sha256,
        sha256_from="third party",
        member="end2end.onnx",
    )


_BODY7 = "simcc-body7_pt-body7_420e-256x192"
_HALPE26 = "simcc-body7_pt-body7-halpe26_700e-256x192"

ONNX_ENTRIES = (
    _yolox("nano", "25.8", 3_659_407, "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d"),
    _yolox("tiny", "32.8", 20_219_662, "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7"),
    _yolox("s", "40.5", 35_858_002, "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063"),
    _yolox("m", "46.9", None, None),
    _humanart(
        "nano",
        "40f6f0d0",
        "38.9",
        3_722_395,
        "1450966de24902b18aada1a78913d7efd8fc8dcd51bd4d0d5591476bd4a38821",
    ),
    _humanart(
        "tiny", "6f3252f9", "47.7", None, "ceb11c07298f95c50d7c5abeb906d03340c85f23aa79e3e66966e7fb6c307250"
    ),
    _humanart(
        "s", "3ef259a7", "54.6", None, "332e09ea9696e3401049b6c5314851db020b6430f85da159e65f37034ab3aee8"
    ),
    _humanart(
        "m",
        "c2c7a14a",
        "59.1",
        101_400_344,
        "3dea6513388889f0fff4b77bf7a26013600321b9eb9ceb0e9a400a82572f5f23",
    ),
    _rtmpose(
        "t",
        f"{_BODY7}-026a1439_20230504",
        "COCO val AP 65.9",
        13_350_364,
        "a6c2f6a3896a4d51131d14d7a80a3d08b50f559af5a58a45d5b098aef510a70f",
    ),
    _rtmpose(
        "s",
        f"{_BODY7}-acd4a1ef_20230504",
        "COCO val AP 69.7",
        None,
        "9aeb635b83f86aea45cf45d85798f7eba1a162de8e0d721c44e54fe5eebaf47d",
    ),
    _rtmpose(
        "m",
        f"{_BODY7}-e48f03d0_20230504",
        "COCO val AP 74.9",
        54_330_655,
        "5c0a4bf67953e6d2ac43ce15e77dc9d5d354ae18430a47d2c5963a7bc5683e3c",
    ),
    _rtmpose("t", f"{_HALPE26}-6020f8a6_20230605", "PCK@0.1 91.9 on eight data sets"),
    _rtmpose("s", f"{_HALPE26}-7f134165_20230605", "PCK@0.1 93.0 on eight data sets"),
    _rtmpose(
        "m",
        f"{_HALPE26}-4d3e73dd_20230605",
        "PCK@0.1 94.8 on eight data sets",
        55_685_444,
        "26f3a19e61304a600dfb82d1001d41d24343b89fc70a33ffc84657e0b0bf2ecf",
    ),
    ModelEntry(
        name="rtmw-m-wholebody",
        kind="pose",
        architecture="rtmpose",
        file_name="rtmw-m_simcc-cocktail14_270e-256x192_20231122.onnx",
        page=_RTMPOSE_PAGE,
        licence=_APACHE,
        score="COCO-WholeBody val AP 58.2",
        url=f"{_RTMW}/rtmw-dw-l-m_simcc-cocktail14_270e-256x192_20231122.zip",
        sha256_from="third party",
        member="end2end.onnx",
    ),
    _rtmo(
        "t",
        "8xb32-600e_body7-416x416-f48f75cb_20231219",
        "COCO val AP 57.4, of poses",
        None,
        "20aad6e2e42359cac1c5b4a0b2da00e29bfe91a72a782fdcf287d273a04c1b24",
    ),
    _rtmo(
        "s",
        "8xb32-600e_body7-640x640-dac2bf74_20231211",
        "COCO val AP 68.6, of poses",
        39_617_685,
        "d0703d40d19f3921da51ae725402d5fdae4d2478c7442072d3101bd396f370d8",
    ),
    _rtmo("m", "16xb16-600e_body7-640x640-39e78cc4_20231211", "COCO val AP 72.6, of poses", None, None),
    ModelEntry(
        name="tinypose-256x192",
        kind="pose",
        architecture="heatmap",
        file_name="tinypose-256x192-fp32.onnx",
        page=_TINYPOSE_HUB,  # PaddleDetection's release, converted by Paddle2ONNX
        licence=_APACHE,
        score="COCO val AP 68.3, in annotated boxes",
        url=f"{_TINYPOSE_HUB}/resolve/{_TINYPOSE_REVISION}/tinypose-256x192/0.1.0/tinypose-256x192-fp32.onnx",
        size_bytes=5_685_847,
        sha256="7614d17acbe957200a8505e11a4fb8445103f9e44a7087115d8a1ea85f88b1b9",
        sha256_from="mirror",
    ),
    ModelEntry(
        name="osnet-x0-25-msmt17",
        kind="reid",
        architecture="onnx",
        file_name="osnet_x0_25_msmt17.onnx",
        page=_OSNET_HUB,
        licence="MIT (the code's)",
        score="none published for this file; global embeddings, no prompts",
        url=f"{_OSNET_HUB}/resolve/main/osnet_x0_25_msmt17.onnx",
        size_bytes=907_169,
        sha256="e78604f4ccda49b8f41cd0f8f7303800ce75d2361895ebb0729513c1bf53d277",
        sha256_from="third party",
    ),
)
