"""Keypoints taken out of prompts: how many, which, and the same every time."""

import numpy as np
import pytest

from kprtrack.core.errors import UserError
from reid.evaluation.prompt_robustness import remove_keypoints

KEYPOINTS = np.random.default_rng(1).uniform(1, 9, (200, 17, 3))


def missing(share: float, seed: int = 0) -> np.ndarray:
    return (remove_keypoints(KEYPOINTS, share, seed=seed) == 0).all(axis=-1)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_missing_keypoints_is_the_one_asked_for(share: float) -> None:
    assert missing(share).mean() == pytest.approx(share, abs=0.03)


def test_what_is_left_is_as_it_was() -> None:
    left = remove_keypoints(KEYPOINTS, 0.4, seed=0)
    assert (left[~missing(0.4)] == KEYPOINTS[~missing(0.4)]).all()


def test_nothing_or_everything_can_be_removed() -> None:
    assert (remove_keypoints(KEYPOINTS, 0, seed=0) == KEYPOINTS).all()
    assert not remove_keypoints(KEYPOINTS, 1, seed=0).any()


def test_a_larger_share_removes_the_same_keypoints_and_more() -> None:
    assert not (missing(0.2) & ~missing(0.6)).any()


def test_a_seed_gives_the_same_keypoints_and_another_seed_others() -> None:
    assert (missing(0.5) == missing(0.5)).all()
    assert (missing(0.5) != missing(0.5, seed=1)).any()


def test_images_one_by_one_lose_different_keypoints() -> None:
    first, second = (remove_keypoints(KEYPOINTS[0], 0.5, seed=(7, image)) for image in range(2))
    assert ((first == 0) != (second == 0)).any()


def test_nobody_has_nothing_to_lose() -> None:
    assert remove_keypoints(np.zeros((0, 17, 3), np.float32), 0.5, seed=0).shape == (0, 17, 3)


def test_type_and_input_are_kept() -> None:
    before = KEYPOINTS.astype(np.float32)
    assert remove_keypoints(before, 1, seed=0).dtype == np.float32
    assert before.all()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(UserError, match="share of keypoints"):
        remove_keypoints(KEYPOINTS, share, seed=0)
