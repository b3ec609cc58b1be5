"""The learning rate of every epoch against the official scheduler."""

import gzip
import json

import pytest
import torch
from support.kpr_cases import GOLDEN

from kprtrack.core.errors import UserError
from kprtrack.training.optimiser import set_learning_rate
from reid.training.schedule import ScheduleConfig, learning_rate


@pytest.mark.parametrize(("config", "peak"), [("imagenet_lr0.008", 0.008), ("solider_lr0.0002", 0.0002)])
def test_every_rate_equals_the_official_one(config: str, peak: float) -> None:
    with gzip.open(GOLDEN / "kpr_schedule.json.gz", "rt") as file:
        official = json.load(file)[config]
    ours = [learning_rate(epoch, ScheduleConfig(peak=peak)) for epoch in range(120)]
    assert ours == pytest.approx(official, rel=0, abs=1e-12)


def test_without_warm_up_the_first_epoch_has_the_peak() -> None:
    assert learning_rate(0, ScheduleConfig(epochs=3, warmup_epochs=0)) == 0.008


def test_weights_and_biases_get_the_same_rate() -> None:
    layer = torch.nn.Linear(2, 2)
    groups = [{"params": [layer.weight], "lr": 1.0}, {"params": [layer.bias], "lr": 2.0}]
    optimiser = torch.optim.SGD(groups)
    set_learning_rate(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [0.5, 0.5]


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_a_warm_up_longer_than_training_ends_before_the_last_epoch(epochs: int) -> None:
    config = ScheduleConfig(epochs=epochs, warmup_epochs=5)
    step = (config.peak - config.floor) / max(epochs - 1, 1)
    expected = [config.floor + epoch * step for epoch in range(epochs - 1)] + [config.peak]
    assert [learning_rate(epoch, config) for epoch in range(epochs)] == pytest.approx(expected)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"warmup_epochs": -1}])
def test_a_schedule_without_epochs_or_with_a_negative_warm_up_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match=rf"schedule\.{next(iter(wrong))} is"):
        ScheduleConfig(**wrong)  # type: ignore[arg-type]
