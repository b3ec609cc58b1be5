"""Which boxes lie in ignored regions."""

import numpy as np
import pytest

from eval.metrics.ignored_boxes import boxes_in_regions

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], float)
BOW_TIE = np.array([[0, 0], [100, 100], [100, 0], [0, 100]], float)  # two triangles that touch in the middle


def inside(box: tuple[float, float, float, float], *regions: np.ndarray) -> bool:
    (answer,) = boxes_in_regions(np.array([box], float), regions)
    return bool(answer)


def test_overlap_is_measured_against_the_union() -> None:
    assert inside((0, 0, 100, 10.1), SQUARE)
    assert not inside((0, 0, 100, 10), SQUARE), "exactly a tenth is not enough"
    assert not inside((0, 0, 20, 20), SQUARE), "a small box deep in a large region shares little of the union"


def test_one_region_of_many_is_enough_and_their_shares_do_not_add_up() -> None:
    assert inside((0, 0, 100, 50), SQUARE + 1000, SQUARE)
    assert not inside((0, 0, 100, 9), SQUARE, SQUARE)


def test_a_box_beside_or_touching_the_region_is_outside() -> None:
    assert not inside((100, 0, 50, 50), SQUARE)
    assert not inside((300, 300, 50, 50), SQUARE)


def test_the_parts_of_a_polygon_that_crosses_itself_are_summed() -> None:
    # Left and right triangle have 2500 each. Shared: 2 x 1250. Unions: 2 x (5000 + 2500 - 1250). Share: 0.2.
    assert inside((0, 0, 100, 50), BOW_TIE)
    # Shared: 2 x 50. Unions: 2 x (1000 + 2500 - 50). Share: 0.014.
    assert not inside((0, 0, 100, 10), BOW_TIE)


def test_a_box_without_area_is_outside() -> None:
    assert not inside((50, 50, 0, 0), SQUARE)


@pytest.mark.parametrize("region", [SQUARE[:2], np.array([[5, 5], [50, 5], [95, 5]], float)])
def test_a_region_without_area_contains_no_box(region: np.ndarray) -> None:
    assert not inside((0, 0, 10, 10), region)


def test_no_people_and_no_regions() -> None:
    assert len(boxes_in_regions(np.zeros((0, 4)), (SQUARE,))) == 0
    assert not inside((0, 0, 10, 10))
