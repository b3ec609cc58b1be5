"""Batches of identities: complete, reproducible, shared fairly, resumed exactly."""

from collections import Counter

import numpy as np
import pytest
from torch.utils.data import DataLoader

from kprtrack.core.errors import UserError
from kprtrack.training.loading import ProcessShare
from reid.training.sampler import Draw, EpochSampler, IdentityBatches, SamplerConfig

PEOPLE = np.repeat([3, 5, 8, 9, 11, 20], [9, 4, 6, 1, 3, 8])  # identity of each of 31 rows
BATCH = SamplerConfig(identities=4, crops_each=2)


def sampler(seed: int = 1) -> EpochSampler:
    return EpochSampler(IdentityBatches(PEOPLE, BATCH, seed=seed))


def test_every_batch_has_the_asked_number_of_people_and_crops() -> None:
    batches = list(sampler())
    assert len(batches) == len(sampler()) > 0
    for batch in batches:
        assert sorted(Counter(PEOPLE[draw.row] for draw in batch).values()) == [2, 2, 2, 2]


def test_each_place_names_the_other_identities_of_its_batch() -> None:
    for batch in sampler():
        names = {int(PEOPLE[draw.row]) for draw in batch}
        for draw in batch:
            assert set(draw.others) == names - {int(PEOPLE[draw.row])}
            assert len(draw.others) == 3


def test_no_crop_comes_twice_in_an_epoch_except_of_people_with_too_few() -> None:
    for epoch in range(20):
        every = sampler()
        every.set_epoch(epoch)
        rows = Counter(draw.row for batch in every for draw in batch)
        assert {int(PEOPLE[row]) for row, count in rows.items() if count > 1} <= {9}


def test_a_person_with_one_crop_is_shown_it_repeatedly() -> None:
    only = int(np.flatnonzero(PEOPLE == 9)[0])
    seen = []
    for epoch in range(10):
        every = sampler()
        every.set_epoch(epoch)
        seen += [draw for batch in every for draw in batch if draw.row == only]
    assert seen
    assert len({draw.seed for draw in seen}) == len(seen)


def test_every_place_of_the_training_has_a_seed_of_its_own() -> None:
    seeds, first_numbers = [], []
    for epoch in range(3):
        every = sampler()
        every.set_epoch(epoch)
        for batch in every:
            seeds += [draw.seed for draw in batch]
            first_numbers += [draw.generator().random() for draw in batch]
    assert len(set(seeds)) == len(seeds) == len(set(first_numbers))


def test_epochs_and_seeds_differ_and_can_be_repeated() -> None:
    first, again, other = (list(sampler(seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    later = sampler()
    later.set_epoch(1)
    assert list(later) != first


def test_training_resumed_within_an_epoch_sees_the_batches_it_would_have_seen() -> None:
    whole, resumed = sampler(), sampler()
    whole.set_epoch(4)
    resumed.set_epoch(4, first_batch=2)
    assert list(resumed) == list(whole)[2:]
    assert len(resumed) == len(whole) - 2


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_each_batch_and_together_see_all_of_it(world: int) -> None:
    shares = [list(ProcessShare(sampler(), process, world)) for process in range(world)]
    together = [[draw for share in batch for draw in share] for batch in zip(*shares, strict=True)]
    assert together == list(sampler())


def test_the_order_of_rows_does_not_follow_identities() -> None:
    shuffled = np.random.default_rng(0).permutation(PEOPLE)
    for batch in EpochSampler(IdentityBatches(shuffled, BATCH, seed=0)):
        assert sorted(Counter(shuffled[draw.row] for draw in batch).values()) == [2, 2, 2, 2]


def test_too_few_people_for_a_batch_are_refused() -> None:
    with pytest.raises(UserError, match=r"has 6 identities, a batch needs 16.*sampler\.identities=6"):
        IdentityBatches(PEOPLE, SamplerConfig(), seed=0)


def test_processes_that_cannot_share_a_batch_are_refused() -> None:
    with pytest.raises(UserError, match="multiple of 3"):
        ProcessShare(sampler(), 0, 3)


@pytest.mark.parametrize("shape", [(1, 4), (16, 1)])
def test_batches_without_pairs_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="no pair to compare"):
        SamplerConfig(*shape)


class Rows:
    """A dataset that answers with what it was asked for."""

    def __getitem__(self, draw: Draw) -> tuple[int, float]:
        return draw.row, draw.generator().random()

    def __len__(self) -> int:
        return len(PEOPLE)


@pytest.mark.slow
def test_workers_change_nothing() -> None:
    loaded = [
        [batch for batch in DataLoader(Rows(), batch_sampler=sampler(), num_workers=workers, collate_fn=list)]
        for workers in (0, 2)
    ]
    assert loaded[0] == loaded[1]
