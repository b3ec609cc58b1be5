"""A training that is stopped at any moment ends as if it never had been."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.train_cases import drawn_data, metrics, tiny_config
from support.training_processes import SETTINGS, start

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.signals import StopRequest
from kprtrack.training import loop
from kprtrack.training.run_folder import STATE, locked
from kprtrack.training.tasks import train_reid
from reid.model import weights


def assert_same_run(a: Path, b: Path) -> None:
    for name in ("weights.safetensors", "best.safetensors"):
        one, two = (weights.load(folder / name).state_dict() for folder in (a, b))
        assert all(torch.equal(one[key], two[key]) for key in one)
    rows = [metrics(json.loads((folder / "metrics.json").read_text())) for folder in (a, b)]
    assert rows[0] == rows[1]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many as the worker has, whatever tests before this one have left: the bits depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    drawn_data(folder)
    return folder


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(drawn: Path, tmp_path: Path) -> None:
    train_reid(tiny_config(tmp_path / "whole", **SETTINGS), drawn_data(drawn), quiet=True)
    chance, killed = random.Random(1), tmp_path / "killed"
    for _ in range(3):
        training = start("reid", drawn, killed, wait_after=3, **SETTINGS)
        training.wait_for_checkpoint(killed / STATE)
        time.sleep(chance.uniform(0, 0.15))
        training.kill()
    # What a kill in the middle of writing leaves behind.
    (killed / f"{STATE}.part").write_bytes((killed / STATE).read_bytes()[:1000])
    assert start("reid", drawn, killed, **SETTINGS).wait() == 0
    assert_same_run(tmp_path / "whole", killed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_saves_and_the_same_command_goes_on(
    drawn: Path, tmp_path: Path, number: signal.Signals
) -> None:
    settings = SETTINGS | {"schedule__epochs": 2}  # starting a worker for each takes most of the time
    train_reid(tiny_config(tmp_path / "whole", **settings), drawn_data(drawn), quiet=True)
    # Saved at no other time than when it is stopped.
    rare = settings | {"computing__save_every_batches": None, "computing__workers": 1}
    training = start("reid", drawn, tmp_path / "stopped", wait_after=2, **rare)
    training.wait_for_batches()
    os.killpg(training.pid, number)  # it and its workers, as a terminal does
    assert training.wait() != 0
    assert start("reid", drawn, tmp_path / "stopped", **rare).wait() == 0
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_every_batch_is_a_place_to_stop(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimiser: str
) -> None:
    data = drawn_data(drawn)
    settings = SETTINGS | {"schedule": {"epochs": 2, "peak": 0.01}, "optimiser__name": optimiser}
    del settings["schedule__epochs"]
    train_reid(tiny_config(tmp_path / "whole", **settings), data, quiet=True)
    config = tiny_config(tmp_path / "stopped", **settings)
    # Everybody asks to stop, from the first batch on.
    monkeypatch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "asked", True) or self)
    stops = 0
    while True:
        try:
            train_reid(config, data, quiet=True)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 4
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.slow
def test_a_lost_reader_is_told_and_the_same_command_goes_on(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = drawn_data(drawn)
    train_reid(tiny_config(tmp_path / "whole", **SETTINGS), data, quiet=True)
    config = tiny_config(tmp_path / "lost", **SETTINGS, computing__workers=1)

    def kill_the_reader(accelerator: Any, stopped: bool) -> bool:
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
        time.sleep(600)  # torch raises an error from its handler of the signal that a child has ended
        raise AssertionError("the end of the reader was not noticed")

    with monkeypatch.context() as patch, pytest.raises(UserError, match="worker was killed"):
        patch.setattr(loop, "_any_process", kill_the_reader)  # after the first batch
        train_reid(config, data, quiet=True)
    train_reid(config, data, quiet=True)
    assert_same_run(tmp_path / "whole", tmp_path / "lost")


def test_other_settings_in_the_same_folder_are_refused(drawn: Path, tmp_path: Path) -> None:
    data = drawn_data(drawn)
    train_reid(tiny_config(tmp_path), data, quiet=True)
    with pytest.raises(UserError, match=r"holds a run with schedule.peak=0.05, not 0.06\. "):
        train_reid(tiny_config(tmp_path, schedule__peak=0.06), data, quiet=True)
    with pytest.raises(UserError, match="training_set="):
        train_reid(tiny_config(tmp_path), drawn_data(drawn, people=9), quiet=True)
    # A finished run stays as it is, wherever and however it is resumed.
    assert train_reid(tiny_config(tmp_path, computing__workers=3), data, quiet=True) == tmp_path


def test_a_folder_with_other_things_is_left_alone(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"thesis\.tex, which is no training run"):
        train_reid(tiny_config(tmp_path), drawn_data(drawn), quiet=True)


def test_a_damaged_state_is_told(drawn: Path, tmp_path: Path) -> None:
    data = drawn_data(drawn)
    train_reid(tiny_config(tmp_path), data, quiet=True)
    (tmp_path / STATE).write_bytes(b"x" * 100)
    with pytest.raises(WeightsError, match="is damaged or not a training checkpoint"):
        train_reid(tiny_config(tmp_path), data, quiet=True)


def test_two_trainings_in_one_folder_are_refused(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(UserError, match="Another process is training"),
        locked(tmp_path),
    ):
        pass
