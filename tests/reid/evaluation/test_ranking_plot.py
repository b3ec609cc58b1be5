"""What a ranking image shows, by the colours of its pixels."""

from dataclasses import replace

import numpy as np
import pytest
from support.crop_overlay_cases import count, overlay, pixels

from reid.evaluation.ranking import Ranking
from reid.evaluation.report.crop_overlay import (
    NEGATIVE,
    colour_of_part,
    draw_parts,
    draw_prompts,
    feature_names,
    part_names,
)
from reid.evaluation.report.ranking_plot import Caption, draw_ranking

RIGHT, WRONG, QUERY = (0, 158, 60), (214, 39, 40), (40, 90, 200)
RANKING = Ranking(
    query=0,
    gallery=np.array([4, 2, 9]),
    places=np.array([0, 1, 7]),
    match=np.array([False, True, True]),
    distances=np.array([0.2, 0.4, 0.9]),
    part_distances=np.full((3, 9), 0.5),
    shared=np.ones((3, 9), bool),
    visible=np.ones(9, bool),
    average_precision=0.5,
    first_match=1,
    candidates=8,
    matches=2,
)
NAMES = feature_names(9, 8)


def drawn(ranking: Ranking = RANKING, **options: object) -> np.ndarray:
    one = overlay(**options), Caption("7", "1", "a name far too long for its place " * 9)  # type: ignore[arg-type]
    return pixels(draw_ranking(ranking, one, [one] * len(ranking.gallery), names=NAMES))


def test_right_and_wrong_images_have_green_and_red_borders() -> None:
    one_more = replace(RANKING, match=np.array([True, True, True]))
    right, wrong = (count(drawn(), colour) for colour in (RIGHT, WRONG))
    assert count(drawn(), QUERY) > 1000
    assert right > 1.5 * wrong > 0
    assert count(drawn(one_more), WRONG) == 0
    assert count(drawn(one_more), RIGHT) > 1.4 * right


def test_ten_columns_fit_on_a_wide_screen() -> None:
    ten = replace(
        RANKING,
        gallery=np.arange(10),
        places=np.arange(10),
        match=np.zeros(10, bool),
        distances=np.arange(10.0),
        part_distances=np.zeros((10, 9)),
        shared=np.ones((10, 9), bool),
    )
    assert drawn(ten).shape[1] <= 1920


def test_the_same_ranking_gives_the_same_picture() -> None:
    np.testing.assert_array_equal(drawn(), drawn())


def test_a_part_that_is_not_in_both_has_no_bar() -> None:
    hidden = replace(RANKING, shared=RANKING.shared & (np.arange(9) != 1))
    head = colour_of_part("head")
    assert count(drawn(), head) - count(drawn(hidden), head) > 500


def test_an_encoder_without_parts_has_no_second_row() -> None:
    assert drawn(parts=None).shape[0] < drawn().shape[0] - 100


def test_a_query_without_any_match_can_be_drawn() -> None:
    lost = replace(RANKING, match=np.zeros(3, bool), matches=0, first_match=-1, average_precision=np.nan)
    assert count(drawn(lost), RIGHT) == 0


def test_keypoints_of_others_are_red_and_own_ones_never() -> None:
    assert count(draw_prompts(overlay(others=1)), NEGATIVE) > 0
    assert count(draw_prompts(overlay()), NEGATIVE) == 0


def test_without_prompts_the_crop_stays_as_it_is() -> None:
    bare = overlay(prompted=False)
    assert not bare.prompted
    np.testing.assert_array_equal(draw_prompts(bare), bare.image)


def test_each_part_tints_its_place_and_background_stays_grey() -> None:
    tinted = draw_parts(overlay())
    assert np.ptp(tinted[0], axis=-1).max() == 0  # the first band is background
    assert len(np.unique(tinted.reshape(-1, 3), axis=0)) == 9


def test_a_part_seen_at_a_single_place_is_not_smoothed_away() -> None:
    one = overlay()
    assert one.parts is not None
    lone = np.zeros_like(one.parts)
    lone[0] = 1
    lone[:, 5, 3] = 0
    lone[2, 5, 3] = 1
    tinted = draw_parts(replace(one, parts=lone))
    assert (np.ptp(tinted, axis=-1) > 0).sum() == 16


@pytest.mark.parametrize(
    ("count_", "parts", "first"),
    [(1, 0, "whole"), (9, 8, "foreground"), (8, 8, "head"), (6, 5, "foreground")],
)
def test_features_have_the_names_of_their_parts(count_: int, parts: int, first: str) -> None:
    names = feature_names(count_, parts)
    assert (len(names), names[0]) == (count_, first)


def test_an_unknown_number_of_parts_gets_numbers() -> None:
    assert part_names(3) == ("part 1", "part 2", "part 3")
