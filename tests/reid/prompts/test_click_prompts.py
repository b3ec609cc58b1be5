"""Clicks as prompts: each keypoint at the nearest click, negative clicks in skeletons of their own."""

import numpy as np
import pytest

from kprtrack.core.skeleton import KEYPOINTS, PROMPT_GROUPS
from reid import prompts_from_clicks
from reid.model.prompts import PromptConfig, draw_heatmaps

BOX = (0, 0, 128, 256)


@pytest.mark.parametrize("groups", PROMPT_GROUPS)
def test_one_click_is_a_point_in_the_channel_of_every_part(groups: str) -> None:
    config = PromptConfig(groups=groups)
    points = prompts_from_clicks([(64, 100)], box=BOX)
    assert len(points) == 1
    heatmaps = draw_heatmaps(points[0], points[1:], config)
    assert (heatmaps[2:, 100, 64] == 1).all()
    assert not heatmaps[1].any()


def test_clicks_on_head_and_feet_go_to_their_parts() -> None:
    points = prompts_from_clicks([(60, 20), (40, 240), (90, 240)], box=BOX)[0]
    places = {name: tuple(point[:2].tolist()) for name, point in zip(KEYPOINTS, points, strict=True)}
    assert places["nose"] == places["left_shoulder"] == (60, 20)
    assert places["right_ankle"] == (40, 240)  # left in the image
    assert places["left_ankle"] == (90, 240)


def test_negative_clicks_are_all_drawn_in_the_negative_channel() -> None:
    negative = [(x, y) for x in range(10, 120, 25) for y in range(10, 250, 40)]
    points = prompts_from_clicks([(64, 100)], negative, box=BOX)
    assert points.shape == (1 + -(-len(negative) // 17), 17, 3)
    channel = draw_heatmaps(points[0], points[1:], PromptConfig())[1]
    assert all(channel[y, x] == 1 for x, y in negative)
    assert points[1:, :, 2].sum() == len(negative)


@pytest.mark.parametrize(
    ("positive", "negative", "box"),
    [
        ([], [(1, 1)], BOX),
        ([(1, np.nan)], [], BOX),
        ([(1, 1)], [(np.inf, 1)], BOX),
        ([(1, 1, 1)], [], BOX),
        ([(1, 1)], [], (0, 0, 1)),
        ([(1, 1)], [], (0, 0, 1, np.nan)),
    ],
)
def test_bad_clicks_are_value_errors(positive: list, negative: list, box: tuple) -> None:
    with pytest.raises(ValueError, match=r"click|four numbers"):
        prompts_from_clicks(positive, negative, box=box)
