"""Overlap, pose similarity, cover and pairing against hand-made cases, slow formulas and lap's answers."""

import gzip
import json

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from support import paths

from kprtrack.core.assignment import assign
from kprtrack.core.geometry import iou, iou_inclusive, occluded_fraction, oks
from kprtrack.core.skeleton import OKS_SIGMAS

GOLDEN = paths.GOLDEN
UNITS = json.loads(gzip.decompress((GOLDEN / "bytetrack_units.json.gz").read_bytes()))
GATED = json.loads(gzip.decompress((GOLDEN / "tracklab_units.json.gz").read_bytes()))["min_cost_matching"]
SEEDS = range(300)


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 300, (count, 2))
    return np.concatenate((corner, corner + rng.uniform(20, 150, (count, 2))), 1).astype(np.float32)


def random_poses(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.concatenate((rng.uniform(0, 60, (count, 17, 2)), rng.random((count, 17, 1))), 2)


# Overlap


def test_boxes_sharing_a_quarter_of_each_have_iou_one_seventh() -> None:
    assert iou(boxes((0, 0, 2, 2)), boxes((1, 1, 3, 3), (0, 0, 2, 2), (2, 0, 4, 2))) == pytest.approx(
        np.array([[1 / 7, 1, 0]])
    )


def test_iou_keeps_float32_and_rows_of_the_first_argument() -> None:
    matrix = iou(random_boxes(np.random.default_rng(0), 3), random_boxes(np.random.default_rng(1), 5))
    assert matrix.shape == (3, 5)
    assert matrix.dtype == np.float32


def test_two_boxes_without_area_do_not_overlap() -> None:
    assert iou(boxes((5, 5, 5, 5)), boxes((5, 5, 5, 5))) == 0


@pytest.mark.parametrize("count", [(0, 3), (3, 0), (0, 0)])
def test_nobody_gives_empty_matrices(count: tuple[int, int]) -> None:
    a, b = np.zeros((count[0], 4), np.float32), np.zeros((count[1], 4), np.float32)
    poses_a, poses_b = np.zeros((count[0], 17, 3)), np.zeros((count[1], 17, 3))
    assert iou(a, b).shape == iou_inclusive(a, b).shape == count
    assert oks(poses_a, poses_b, np.ones(count[0]), 0.3).shape == count


def test_inclusive_iou_equals_cython_bbox() -> None:
    case = UNITS["iou_plus_one"]
    matrix = iou_inclusive(np.array(case["a"]), np.array(case["b"]))
    np.testing.assert_allclose(matrix, case["iou"], rtol=0, atol=1e-9)


# Poses


def slow_oks(a: np.ndarray, b: np.ndarray, area: float, min_confidence: float) -> float:
    """COCO's formula, keypoint by keypoint."""
    values = []
    for (x_a, y_a, c_a), (x_b, y_b, c_b), sigma in zip(a, b, OKS_SIGMAS, strict=True):
        if c_a > min_confidence and c_b > min_confidence:
            values.append(np.exp(-((x_a - x_b) ** 2 + (y_a - y_b) ** 2) / (2 * area * (2 * sigma) ** 2)))
    return float(np.mean(values)) if values else float("nan")


@pytest.mark.parametrize("count", [4, 90])  # all keypoints at once; several rounds
def test_oks_equals_the_formula_keypoint_by_keypoint(count: int) -> None:
    rng = np.random.default_rng(count)
    a, b, areas = random_poses(rng, count), random_poses(rng, count + 1), rng.uniform(500, 5000, count)
    matrix = oks(a, b, areas, 0.3)
    picks = rng.integers(0, count, (30, 2))
    expected = [slow_oks(a[i], b[j], areas[i], 0.3) for i, j in picks]
    np.testing.assert_allclose(matrix[picks[:, 0], picks[:, 1]], expected, rtol=0, atol=2e-6)


def test_the_same_pose_has_oks_one_far_from_the_origin() -> None:
    pose = random_poses(np.random.default_rng(0), 1) + np.array((7000, 4000, 1))
    assert oks(pose, pose, np.array([900.0]), 0.3) == 1


def test_poses_without_a_common_confident_keypoint_have_no_oks() -> None:
    pose = random_poses(np.random.default_rng(0), 1)
    upper, lower = pose.copy(), pose.copy()
    upper[0, :, 2], lower[0, :, 2] = 0.9, 0.9
    upper[0, 9:, 2], lower[0, :9, 2] = 0.3, 0.0
    assert np.isnan(oks(upper, lower, np.array([900.0]), 0.3))


def test_wild_coordinates_of_unconfident_keypoints_do_not_matter() -> None:
    pose = random_poses(np.random.default_rng(0), 1) + np.array((0, 0, 0.5))
    wild = pose.copy()
    wild[0, 4] = (1e6, -1e6, 0.1)
    assert oks(pose, wild, np.array([900.0]), 0.3) == 1


# Cover


def test_the_person_whose_feet_are_lower_covers_the_other() -> None:
    assert occluded_fraction(boxes((0, 0, 10, 20), (5, 10, 15, 30))).tolist() == [0.25, 0]


def test_people_apart_or_touching_are_not_covered() -> None:
    assert occluded_fraction(boxes((0, 0, 10, 20), (10, 0, 20, 25), (40, 0, 50, 30))).tolist() == [0, 0, 0]


def test_equally_low_feet_cover_each_other() -> None:
    assert occluded_fraction(boxes((0, 0, 10, 20), (5, 0, 15, 20))).tolist() == [0.5, 0.5]


def test_two_in_front_count_once_where_they_overlap() -> None:
    behind, left, also_left, right = (0, 0, 16, 16), (0, 0, 8, 20), (0, 0, 8, 21), (8, 8, 16, 22)
    assert occluded_fraction(boxes(behind, left, also_left, right))[0] == 0.75


@pytest.mark.parametrize("people", [[], [(0, 0, 10, 20)]])
def test_alone_nobody_is_covered(people: list[tuple[float, float, float, float]]) -> None:
    assert not occluded_fraction(boxes(*people)).any()


def test_cover_equals_a_drawn_mask_up_to_its_grid() -> None:
    people = random_boxes(np.random.default_rng(3), 25).round()
    for row, share in enumerate(occluded_fraction(people)):
        mask = np.zeros((460, 460), bool)
        for other, (left, top, right, bottom) in enumerate(people.astype(int)):
            if other != row and bottom >= people[row, 3]:
                mask[top:bottom, left:right] = True
        left, top, right, bottom = people[row].astype(int)
        assert share == pytest.approx(mask[top:bottom, left:right].mean(), abs=0.09)


def test_a_crowd_of_groups_apart_is_covered_as_each_group_alone() -> None:
    group = random_boxes(np.random.default_rng(4), 25).round()
    crowd = np.concatenate([group + np.float32([1000 * n, 0, 1000 * n, 0]) for n in range(30)])
    assert np.array_equal(occluded_fraction(crowd), np.tile(occluded_fraction(group), 30))


# Pairing


def worth(cost: np.ndarray, rows: np.ndarray, columns: np.ndarray, limit: float) -> float:
    return float((limit - cost[rows, columns]).sum())


def clipped_by_scipy(cost: np.ndarray, limit: float) -> float:
    """What the best pairing is worth: dear pairs cost just as much as staying alone."""
    clipped = np.where(cost < limit, cost, limit)
    return worth(clipped, *linear_sum_assignment(clipped), limit)


def check_is_a_pairing(cost: np.ndarray, limit: float) -> None:
    rows, columns, unmatched_rows, unmatched_columns = assign(cost, limit)
    assert (cost[rows, columns] < limit).all()
    assert rows.tolist() == sorted(rows)
    assert sorted([*rows, *unmatched_rows]) == list(range(cost.shape[0]))
    assert sorted([*columns, *unmatched_columns]) == list(range(cost.shape[1]))
    assert worth(cost, rows, columns, limit) == pytest.approx(clipped_by_scipy(cost, limit), abs=1e-9)


@pytest.mark.parametrize("case", UNITS["assignment_cost_limit"])
def test_pairing_is_worth_what_lap_with_a_limit_finds(case: dict) -> None:
    cost, limit, official = (
        np.array(case["cost"]),
        case["thresh"],
        np.array(case["matches"], int).reshape(-1, 2),
    )
    rows, columns, unmatched_rows, unmatched_columns = assign(cost, limit)
    assert worth(cost, rows, columns, limit) == pytest.approx(worth(cost, *official.T, limit), abs=1e-9)
    if not (cost == limit).any():  # else several pairings are equally good
        assert np.stack((rows, columns), 1).tolist() == official.tolist()
        assert unmatched_rows.tolist() == case["unmatched_rows"]
        assert unmatched_columns.tolist() == case["unmatched_cols"]


@pytest.mark.parametrize("seed", SEEDS)
def test_pairing_is_the_best_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.random(rng.integers(0, 12, 2))
    if seed % 3 == 0:
        cost = cost.round(1)  # many ties, also with the limit
    check_is_a_pairing(cost, [0.1, 0.3, 0.5, 0.9, 1.5][seed % 5])


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_pairing_does_not_depend_on_the_unit_of_cost(scale: float) -> None:
    cost = np.random.default_rng(0).random((20, 20))
    assert assign(cost * scale, 0.5 * scale).columns.tolist() == assign(cost, 0.5).columns.tolist()


def test_pairing_is_not_the_cheapest_pairing_with_dear_pairs_dropped() -> None:
    # The cheapest whole pairing is the diagonal, 0.4 + 0.6; below 0.5, one pair of 0.1 is worth more.
    cost = np.array([[0.4, 0.1], [0.95, 0.6]])
    rows, columns, *_ = assign(cost, 0.5)
    assert (rows.tolist(), columns.tolist()) == ([0], [1])


def test_infinite_and_unknown_costs_are_never_paired() -> None:
    cost = np.array([[np.inf, 0.2, np.nan], [np.nan, 0.1, np.inf], [np.nan, np.nan, np.nan]])
    rows, columns, unmatched_rows, unmatched_columns = assign(cost, 0.5)
    assert (rows.tolist(), columns.tolist()) == ([1], [1])
    assert (unmatched_rows.tolist(), unmatched_columns.tolist()) == ([0, 2], [0, 2])


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0)])
def test_an_empty_matrix_leaves_everybody_free(shape: tuple[int, int]) -> None:
    found = assign(np.zeros(shape), 1.0)
    assert [len(part) for part in found] == [0, 0, *shape]


def test_a_pair_exactly_at_the_limit_stays_apart() -> None:
    assert len(assign(np.array([[0.5]]), 0.5).rows) == 0


def test_the_cost_matrix_is_left_as_it_was() -> None:
    cost = np.random.default_rng(0).random((9, 7))
    before = cost.copy()
    assign(cost, 0.5)
    assert (cost == before).all()


def test_pairing_refuses_a_limit_or_a_cost_without_end() -> None:
    with pytest.raises(ValueError, match="max_cost must be finite"):
        assign(np.zeros((2, 2)), np.inf)
    with pytest.raises(ValueError, match="-inf"):
        assign(np.array([[-np.inf, 0.1], [0.1, 0.2]]), 0.5)


@pytest.mark.parametrize("case", GATED)
def test_pairing_is_worth_no_less_than_tracklabs_gated_assignment(case: dict) -> None:
    cost, limit = np.array(case["cost"]), case["max_distance"]
    theirs = np.array(case["matches"], int).reshape(-1, 2)
    rows, columns, *_ = assign(cost, limit)
    assert worth(cost, rows, columns, limit) >= worth(cost, *theirs.T, limit) - 1e-9
