"""How alike crops are, and the matrix that shows it."""

import json

import numpy as np
import pytest
import torch
from support.crop_overlay_cases import count, overlay, pixels

from kprtrack.core.errors import UserError
from reid.crop import Crop
from reid.evaluation.report.crop_overlay import take_portraits
from reid.evaluation.report.similarity_plot import MOST_CROPS, draw_similarities
from reid.evaluation.similarity import Similarities, compare_all, compare_crops, similarity_json
from reid.model.config import KprConfig
from reid.model.kpr import Kpr

NEAREST = (230, 120, 0)


def people(seen: object = None) -> Similarities:
    """Three people of two parts: the first and the second look the same."""
    features = np.zeros((3, 2, 2), np.float32)
    features[:2, :, 0] = 1
    features[2, :, 1] = 1
    return compare_all(features, np.ones((3, 2), bool) if seen is None else np.array(seen, bool))


def small_kpr() -> Kpr:
    torch.manual_seed(0)
    config = KprConfig("swin_mini", height=64, width=32, fused_width=16, dimensions=8, identities=3)
    return Kpr(config).eval()


def crop(shade: int, *, keypoint: bool) -> Crop:
    keypoints = np.zeros((1, 17, 3), np.float32)
    if keypoint:
        keypoints[0, 0] = (10, 12, 1)
    image = np.random.default_rng(shade).integers(0, 255, (40, 24, 3)).astype(np.uint8)
    return Crop(image, keypoints, None)


def test_the_same_are_wholly_alike_and_right_angles_far_apart() -> None:
    np.testing.assert_allclose(people().values[0], [1, 1, 1 - np.sqrt(2) / 2], atol=1e-6)


def test_crops_that_share_no_part_are_not_alike_at_all() -> None:
    alike = people([[True, False], [False, True], [True, True]])
    assert alike.values[0, 1] == 0
    assert alike.shared[0].tolist() == [[True, False], [False, False], [True, False]]


def test_one_picture_cannot_be_compared() -> None:
    with pytest.raises(UserError, match="two or more"):
        compare_all(np.ones((1, 2, 2), np.float32), np.ones((1, 2), bool))


def test_each_row_marks_its_nearest() -> None:
    image = pixels(draw_similarities(people(), [overlay()] * 3, ["a", "b", "c"], title="weights"))
    cells = np.flatnonzero((image == NEAREST).all(axis=-1).sum(axis=1) > 40)
    assert len(cells) == 3 * 2 * 4  # the upper and lower edges of three frames, four pixels thick


def test_a_crop_without_a_prompt_is_marked() -> None:
    with_prompt, without = (
        pixels(draw_similarities(people(), [overlay(prompted=p)] * 3, list("abc"), title=""))
        for p in (True, False)
    )
    assert count(without, (25, 25, 25)) > count(with_prompt, (25, 25, 25)) + 3000


def test_too_many_crops_for_a_picture_are_refused() -> None:
    with pytest.raises(UserError, match=str(MOST_CROPS)):
        draw_similarities(people(), [overlay()] * (MOST_CROPS + 1), [], title="")


def test_json_has_null_where_nothing_is_shared() -> None:
    alike = people([[True, False], [False, True], [True, True]])
    told = json.loads(similarity_json(alike, ["a", "b", "c"], [True, False, True], encoder="w"))
    assert told["distance"][0][1] is None
    assert told["part_distance"][0][2][1] is None
    assert told["crops"][1] == {"name": "b", "prompted": False}


@pytest.mark.slow
def test_the_encoder_sees_crops_and_their_keypoints() -> None:
    model = small_kpr()
    torch.nn.init.normal_(model.prompt_tokens.conv.weight)
    alike = compare_crops(model, [crop(1, keypoint=True), crop(1, keypoint=False), crop(1, keypoint=True)])
    assert alike.values[0, 2] == pytest.approx(1, abs=1e-3)
    assert alike.values[0, 1] < alike.values[0, 2]


@pytest.mark.slow
def test_a_portrait_has_the_size_and_the_parts_of_the_encoder() -> None:
    first, second = take_portraits(small_kpr(), [crop(1, keypoint=True), crop(2, keypoint=False)])
    assert first.image.shape == (64, 32, 3)
    assert first.parts is not None
    assert first.parts.shape == (9, 16, 8)
    np.testing.assert_allclose(first.parts.sum(axis=0), 1, atol=1e-5)
    assert (first.prompted, second.prompted) == (True, False)
    assert first.own[0].tolist() == pytest.approx([10 * 32 / 24, 12 * 64 / 40, 1])
