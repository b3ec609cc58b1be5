"""Human-parsing masks to part labels, against the official loader."""

import numpy as np
import pytest
from support.kpr_cases import GOLDEN

from kprtrack.core.errors import InputError, UserError
from reid.crop import resize_masks
from reid.parts.targets import FIELDS, PART_GROUPS, group_fields, part_labels, target_maps

CASES = [("K8", "eight", 256), ("K8", "eight", 384), ("K5", "five_v", 256), ("K5", "five_v", 384)]
LEFT_KNEE_HIP, HIPS, LEFT_SHOULDER_HIP = 18, 21, 22


def metadata() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "kpr_targets.npz") as file:
        return dict(file)


def masks(groups: str, height: int) -> np.ndarray:
    return resize_masks(group_fields(metadata()["fields"].astype(np.float32), groups), height, 128)


@pytest.mark.parametrize(("official", "groups", "height"), CASES)
def test_target_maps_equal_the_official_ones(official: str, groups: str, height: int) -> None:
    expected = metadata()[f"{official}_h{height}/target_masks_every_4th"]
    ours = target_maps(masks(groups, height))[:, ::4, ::4]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("official", "groups", "height"), CASES)
def test_part_labels_equal_the_official_ones(official: str, groups: str, height: int) -> None:
    np.testing.assert_array_equal(
        part_labels(masks(groups, height)), metadata()[f"{official}_h{height}/target_argmax"]
    )


def only(field: int) -> np.ndarray:
    fields = np.zeros((FIELDS, 2, 2), np.float32)
    fields[field] = 1
    return fields


def test_nothing_parsed_is_background_everywhere() -> None:
    assert not part_labels(np.zeros((8, 8, 3), np.float32)).any()


def test_of_equally_strong_parts_the_first_is_the_label() -> None:
    assert (part_labels(np.ones((8, 8, 3), np.float32)) == 1).all()


def test_the_hips_count_to_torso_and_left_leg_but_not_to_the_right_leg() -> None:
    shown = dict(zip(PART_GROUPS["eight"], group_fields(only(HIPS), "eight").any(axis=(0, 1)), strict=True))
    assert [name for name in shown if shown[name]] == ["torso", "left_leg"]


def test_only_the_published_gap_belongs_to_no_part() -> None:
    gaps = {
        groups: {field for field in range(FIELDS) if not group_fields(only(field), groups).any()}
        for groups in PART_GROUPS
    }
    assert gaps == {"eight": set(), "five_v": {HIPS, LEFT_SHOULDER_HIP}, "five": set()}


def test_fields_beyond_one_are_clipped() -> None:
    assert group_fields(3 * only(LEFT_KNEE_HIP), "five").max() == 1


@pytest.mark.parametrize("shape", [(35, 4, 4), (4, 4, 36), (36, 4)])
def test_masks_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="36, h, w"):
        group_fields(np.zeros(shape, np.float32), "eight")


def test_a_misspelt_grouping_names_the_nearest() -> None:
    with pytest.raises(UserError, match="'eight'"):
        group_fields(only(0), "eigth")
