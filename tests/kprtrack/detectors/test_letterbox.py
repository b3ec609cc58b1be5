import zlib

import numpy as np
import pytest
import torch
from support.yolox_cases import FACTS, FIXTURES, GOLDEN, pattern_image, pattern_image_bgr

from kprtrack.detectors.letterbox import PIXELS, letterbox, letterbox_ratio, resized_hw, trimmed_hw
from kprtrack.inference.compile import normalised

CASES = FACTS["letterbox"]


def canvas_of(case: dict) -> np.ndarray:
    return letterbox(pattern_image(*case["image_hw"], case["seed"]), *case["test_size"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: "x".join(map(str, case["image_hw"])))
def test_the_test_images_are_those_of_the_golden_values(case):
    assert zlib.crc32(pattern_image_bgr(*case["image_hw"], case["seed"]).tobytes()) == case["image_crc32"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "x".join(map(str, case["image_hw"])))
def test_the_canvas_has_the_bytes_of_the_published_code(case):
    blue_first = normalised(torch.from_numpy(canvas_of(case))[None], PIXELS["megvii"])[0].numpy()
    assert np.array_equal(blue_first, blue_first.astype(np.uint8))
    assert zlib.crc32(blue_first.astype(np.uint8).tobytes()) == case["uint8_crc32"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "x".join(map(str, case["image_hw"])))
def test_the_scaled_size_is_truncated_and_not_rounded(case):
    assert letterbox_ratio(case["image_hw"], *case["test_size"]) == case["ratio"]
    assert list(resized_hw(case["image_hw"], *case["test_size"])) == case["resized_hw"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "x".join(map(str, case["image_hw"])))
def test_legacy_preprocessing_has_the_sums_of_the_published_code(case):
    pixels = normalised(torch.from_numpy(canvas_of(case))[None], PIXELS["legacy"]).double()
    assert float(pixels.sum()) == pytest.approx(case["legacy_sum"], abs=1e-6 * case["legacy_abs"])
    assert float(pixels.abs().sum()) == pytest.approx(case["legacy_abs"], rel=1e-6)


def test_legacy_preprocessing_equals_bytetracks():
    pixels = normalised(torch.from_numpy(canvas_of(CASES[0]))[None], PIXELS["legacy"])[0].numpy()
    golden = np.load(GOLDEN / "yolox_outputs.npz")["bytetrack_97x61"]
    assert np.abs(pixels[:, ::4, ::4] - golden).max() <= 2.5e-7


@pytest.mark.skipif(not FIXTURES.exists(), reason="needs ../shared")
@pytest.mark.parametrize(("number", "index"), [(1, 0), (6, 5)])
def test_legacy_preprocessing_equals_bytetracks_in_every_pixel(number, index):
    pixels = normalised(torch.from_numpy(canvas_of(CASES[index]))[None], PIXELS["legacy"])[0].numpy()
    assert np.abs(pixels - np.load(FIXTURES / "preprocess.npz")[f"bytetrack{number}"]).max() <= 2.5e-7


def test_an_image_of_one_line_has_a_row_on_the_canvas():
    assert resized_hw((1, 4000), 416, 416) == (1, 416)
    assert letterbox(np.zeros((1, 4000, 3), np.uint8), 416, 416)[1:].min() == 114


@pytest.mark.parametrize(
    ("image_hw", "canvas"), [((720, 1280), (256, 416)), ((1280, 720), (416, 256)), ((416, 416), (416, 416))]
)
def test_a_trimmed_canvas_contains_the_image_in_whole_cells(image_hw, canvas):
    assert trimmed_hw(image_hw, 416, 416, 32) == canvas
