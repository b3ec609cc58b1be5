"""The scale of part distances, estimated from people visible at once."""

import numpy as np
import pytest

from kprtrack.trackers.distance_scale import DistanceScale


def frame(people: int, same: float, other: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances and overlaps of people who are all at their predicted boxes."""
    sure = np.eye(people, dtype=bool)
    return np.where(sure, same, other).astype(np.float32), sure.astype(np.float32)


def learned(people: int, same: float, other: float, frames: int = 2000) -> DistanceScale:
    scale = DistanceScale()
    for _ in range(frames):
        scale.update(*frame(people, same, other))
    return scale


def numbers(scale: DistanceScale) -> tuple[float, ...]:
    return (
        scale.intra_identity,
        scale.inter_identity,
        scale.inter_identity_lower_bound,
        scale.discriminability,
    )


@pytest.mark.parametrize(("same", "other"), [(0.05, 0.3), (0.1, 1.0), (0.3, 0.4)])
def test_the_scale_of_an_encoder_is_found(same: float, other: float) -> None:
    scale = learned(4, same, other)
    assert scale.intra_identity == pytest.approx(same, abs=0.01)
    assert scale.inter_identity == pytest.approx(other, abs=0.01)
    assert scale.inter_identity_lower_bound == pytest.approx(other, abs=0.01)
    assert scale.discriminability == pytest.approx(1 - same / other, abs=0.03)


def test_an_encoder_that_does_not_separate_people_has_no_discriminability() -> None:
    # The prior still counts for 1 in 100 when learning ends.
    assert learned(4, 0.5, 0.5).discriminability < 0.05


def test_an_encoder_worse_than_chance_has_no_discriminability() -> None:
    assert learned(4, 0.6, 0.3).discriminability == 0


def test_the_prior_is_between_the_bounds() -> None:
    scale = DistanceScale()
    assert 0 < scale.intra_identity < scale.inter_identity_lower_bound <= scale.inter_identity < 2
    assert 0 < scale.discriminability < 1


def test_a_few_pairs_change_the_prior_only_a_little() -> None:
    before, after = DistanceScale().inter_identity, learned(2, 0.08, 1.2, frames=1).inter_identity
    assert before < after < before + 0.1


def test_a_fixed_scale_is_used_as_it_is() -> None:
    scale = DistanceScale(0.7)
    scale.update(*frame(4, 0.5, 0.5))
    assert numbers(scale) == (0, 0.7, 0.7, 1)


def test_constant_embeddings_leave_the_scale_above_zero() -> None:
    scale = learned(4, 0.0, 0.0)
    assert scale.inter_identity > 0 and scale.inter_identity_lower_bound > 0
    assert np.isfinite(numbers(scale)).all()


def test_with_one_person_at_a_time_the_bounds_enclose_the_unknown() -> None:
    """Inter-identity distances may be 7 times the noise of the encoder, or as large as the prior."""
    scale = learned(1, 0.01, 0.0)
    assert scale.inter_identity_lower_bound == pytest.approx(0.07, abs=0.01)
    assert scale.inter_identity == pytest.approx(0.55)


@pytest.mark.parametrize(
    "overlap",
    [
        np.zeros((2, 2)),  # no one is at the predicted box
        np.full((2, 2), 0.9),  # everyone is at both boxes
        np.array([[0.9, 0.9], [0.0, 0.0]]),  # two boxes for one person
        np.array([[0.9, 0.0], [0.9, 0.0]]),  # one box for two people
        np.full((2, 2), 0.6),
    ],
)
def test_pairs_with_ambiguous_position_are_left_out(overlap: np.ndarray) -> None:
    scale = DistanceScale()
    scale.update(np.full((2, 2), 0.9, np.float32), overlap.astype(np.float32))
    assert numbers(scale) == numbers(DistanceScale())


def test_pairs_without_a_common_part_are_left_out() -> None:
    scale = DistanceScale()
    scale.update(np.full((3, 3), np.inf, np.float32), np.eye(3, dtype=np.float32))
    assert numbers(scale) == numbers(DistanceScale())


def test_an_inter_identity_pair_without_a_common_part_is_left_out_of_the_mean() -> None:
    distance, overlap = frame(3, 0.1, 0.9)
    distance[0, 1] = np.inf
    scale = DistanceScale()
    for _ in range(2000):
        scale.update(distance, overlap)
    assert scale.inter_identity == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3)])
def test_frames_without_people_change_nothing(shape: tuple[int, int]) -> None:
    scale = DistanceScale()
    scale.update(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    assert numbers(scale) == numbers(DistanceScale())


def test_identity_is_decided_by_position_alone() -> None:
    """People at their predicted boxes count as the same, whatever their embeddings."""
    scale = learned(3, 0.9, 0.1)
    assert scale.intra_identity == pytest.approx(0.9, abs=0.01)
