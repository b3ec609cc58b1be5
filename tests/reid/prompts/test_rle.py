"""COCO's run lengths: against masks that pycocotools encoded, and against itself where it is installed."""

import numpy as np
import pytest

from reid import decode_rle


def hand_made() -> np.ndarray:
    mask = np.zeros((7, 9), bool)
    mask[2:6, 3:8] = True
    mask[0, 0] = True
    mask[4, 5] = False
    return mask


def circle() -> np.ndarray:
    y, x = np.mgrid[:300, :400]
    return (x - 200) ** 2 + (y - 150) ** 2 < 90


# What pycocotools 2.0 gives for these masks.
ENCODED = [
    (hand_made(), "01f03]O00NNO23005"),
    (circle(), "XSh15T96L2N2N2O000O2O00000001N10001N2N2N4Jg`g1"),
]


@pytest.mark.parametrize(("mask", "counts"), ENCODED)
@pytest.mark.parametrize("kind", [str, str.encode])
def test_compressed_counts_are_those_of_pycocotools(mask: np.ndarray, counts: str, kind: type) -> None:
    assert (decode_rle({"size": list(mask.shape), "counts": kind(counts)}) == mask).all()


def test_plain_counts_go_down_the_columns_and_begin_with_0() -> None:
    mask = decode_rle({"size": [3, 2], "counts": [0, 2, 3, 1]})
    assert mask.tolist() == [[True, False], [True, False], [False, True]]


def test_random_masks_are_as_pycocotools_decodes_them() -> None:
    pycocotools = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(3)
    for share in (0.01, 0.3, 0.99, 0, 1):
        mask = rng.random((int(rng.integers(1, 90)), int(rng.integers(1, 90)))) < share
        rle = pycocotools.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert (decode_rle(rle) == mask).all()


@pytest.mark.parametrize(
    ("rle", "reason"),
    [
        ({}, "size"),
        ({"size": [2, 3]}, "no counts"),
        ({"size": [2], "counts": [6]}, "size"),
        ({"size": [2.0, 3], "counts": [6]}, "size"),
        ({"size": [0, 3], "counts": []}, "size"),
        ({"size": [1 << 20, 1 << 20], "counts": [1 << 40]}, "size"),
        ({"size": [2, 3], "counts": [5]}, "5 pixels, not 2 x 3"),
        ({"size": [2, 3], "counts": [9, -3]}, "whole numbers"),
        ({"size": [2, 3], "counts": [5.0, 1]}, "whole numbers"),
        ({"size": [2, 3], "counts": ["6"]}, "whole numbers"),
        ({"size": [2, 3], "counts": "6 "}, "no compressed text at ' '"),
        ({"size": [2, 3], "counts": "ü"}, "no compressed text"),
        ({"size": [2, 3], "counts": "o" * 1000}, "no compressed text"),
        ({"size": [2, 3], "counts": "P"}, "within a number"),
        ({"size": [2, 3], "counts": 6}, "no counts"),
        ({"size": [2, 3], "counts": "O"}, "whole numbers"),  # -1
    ],
)
def test_a_damaged_mask_is_a_value_error(rle: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_rle(rle)
