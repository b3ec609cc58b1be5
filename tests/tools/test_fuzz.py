"""How tools/fuzz.py judges cases that sleep, and trainings that it stops."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from support import paths

from kprtrack.training.run_folder import STATE

pytestmark = pytest.mark.usefixtures("tools")


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


def test_a_case_that_took_long_without_computing_is_run_once_more(monkeypatch):
    from robustness import limited

    batches = []

    def run_batch(numbers, run):
        batches.append([*numbers])
        if len(batches) == 1:
            yield limited.Outcome(numbers[0], "hang without processor time", ["hang"])
            return  # its process was ended
        for number in numbers:
            yield limited.Outcome(number, "read")

    monkeypatch.setattr(limited, "_run_batch", run_batch)
    outcomes = list(limited.run_cases([1, 2, 3], lambda number: None))
    assert [(one.number, one.kind, one.faults) for one in outcomes] == [(n, "read", []) for n in (1, 2, 3)]
    assert batches == [[1, 2, 3], [1], [2, 3]]


def test_a_training_that_was_stopped_must_have_made_a_step(tmp_path):
    from robustness.checks import INTERRUPTED, stopped_training_faults

    def checkpoint(epoch, batch):
        header = {"kpr_training": json.dumps({"position": {"epoch": epoch, "batch": batch}})}
        save_file({"a": np.zeros(1)}, tmp_path / STATE, header)

    assert "no checkpoint" in stopped_training_faults(tmp_path, INTERRUPTED)[0]
    checkpoint(0, 0)
    assert stopped_training_faults(tmp_path, INTERRUPTED) == ["stopped training: no step was made"]
    for epoch, batch in ((0, 1), (1, 0)):
        checkpoint(epoch, batch)
        assert stopped_training_faults(tmp_path, INTERRUPTED) == []
    assert stopped_training_faults(tmp_path, 0) == []  # it ended by itself
    assert stopped_training_faults(tmp_path, -1) == ["stopped training: exit code -1"]
