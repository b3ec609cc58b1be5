"""Every number of the three training configs has a range, and values outside are rejected in one line."""

import dataclasses

import pytest

from kprtrack.core.config_files.ranges import RANGES, numbers_of, range_of, validate_ranges
from kprtrack.core.errors import UserError
from kprtrack.core.settings import config_names, nested
from kprtrack.training.config import DataConfig, Source
from kprtrack.training.tasks import TASKS, load_config

OPTIONAL = {  # numbers that are not set by default
    "model.semantic_weight": 0.5,
    "loss.margin": 0.3,
    "scoring.every_epochs": 1,
    "computing.save_every_batches": 1,
    "optimiser.clip_gradient": 1.0,
    "schedule.drops": (1.0, 2.0),
}


def numeric_fields(config, prefix=""):
    """Names of all fields whose type has a number, by the annotations alone."""
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            yield from numeric_fields(value, f"{name}.")
        elif any(word in str(field.type) for word in ("int", "float")) and "Literal" not in str(field.type):
            yield name


@pytest.mark.parametrize("task", TASKS)
def test_every_number_has_a_range_that_holds_its_default(task):
    config = TASKS[task].config()
    for name in numeric_fields(config):
        least, greatest = range_of(name)
        assert least < greatest, name
    for name, value in numbers_of(config):
        assert range_of(name)[0] <= value <= range_of(name)[1], name


def test_no_range_is_left_over():
    names = {name for kind in TASKS.values() for name in numeric_fields(kind.config())} | {"share"}
    used = {".".join(name.split(".")[-length:]) for name in names for length in (1, 2)}
    assert set(RANGES) <= used


@pytest.mark.parametrize("name", [name for name in config_names() if not name.startswith("track/")])
def test_the_configs_of_the_package_lie_within_the_ranges(name):
    validate_ranges(load_config(name))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("value", [10**7, -1, 2**62, 1e308, -1e-300])
def test_a_number_far_outside_is_rejected_by_its_name(task, value):
    config = TASKS[task].config()
    rejected = 0
    for name in numeric_fields(config):
        old = value_of(config, name)
        old = OPTIONAL[name] if old is None else old
        if range_of(name)[0] <= value <= range_of(name)[1] or name in ("model.parts", "model.identities"):
            continue
        wrong = (value,) * len(old) if isinstance(old, tuple) else value
        with pytest.raises(UserError) as caught:
            TASKS[task].with_settings(config, nested([f"{name}={wrong!r}"], ""))
        assert "\n" not in str(caught.value)
        rejected += name.rpartition(".")[2] in str(caught.value)
    assert rejected > 10


def value_of(config, name):
    for part in name.split("."):
        config = getattr(config, part)
    return config


def test_the_share_of_a_source_has_a_range():
    with pytest.raises(UserError, match=r"share is 1000000000\.0\. Set it to 0 or more, at most 1000\."):
        TASKS["pose"].with_settings(
            TASKS["pose"].config(), {"data": {"train": {"annotations": "a.json", "share": 1e9}}}
        )
    assert DataConfig((Source("a.json", share=0.5),)).train[0].share == 0.5
