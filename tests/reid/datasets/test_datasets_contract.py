"""What holds for every entry of DATASETS; a new entry is tested without an edit here."""

import dataclasses
import re
from pathlib import Path

import pytest

from kprtrack.core.errors import InputError, UserError
from reid.datasets import DATASETS, open_dataset, options_of


@pytest.mark.parametrize("name", DATASETS)
def test_configs_are_frozen_dataclasses_with_defaults(name: str) -> None:
    config = DATASETS[name][1]()
    assert dataclasses.is_dataclass(config)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, options_of(name)[0], None)


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_folder_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder .*absent"):
        open_dataset(name, tmp_path / "absent")


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_folder_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        open_dataset(name, tmp_path)


@pytest.mark.parametrize("name", DATASETS)
def test_an_unknown_option_is_an_error_that_names_the_nearest(name: str, tmp_path: Path) -> None:
    known = options_of(name)[-1]
    with pytest.raises(UserError, match=f"'{known}x'.*Did you mean '{known}'"):
        open_dataset(name, tmp_path, {f"{known}x": None})


@pytest.mark.parametrize("name", DATASETS)
def test_a_wrong_type_is_an_error_that_names_the_option(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="masks must be text"):
        open_dataset(name, tmp_path, {"masks": 3})
