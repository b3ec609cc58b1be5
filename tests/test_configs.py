"""Every config of configs/track builds its tracker; configs are found by path and by name."""

from pathlib import Path

import pytest
from support import paths

from kprtrack.build import build_tracker
from kprtrack.config import load_config
from kprtrack.core.errors import InputError
from kprtrack.core.settings import config_names, find_config
from kprtrack.trackers.kpr import KprTracker

FOLDER = paths.ROOT / "configs" / "track"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_every_tracking_config_builds_its_tracker(file: Path) -> None:
    assert build_tracker(load_config(file).tracker, fps=25).output_delay_s >= 0


def test_the_config_of_the_paper_uses_appearance_alone() -> None:
    tracker = build_tracker(load_config(FOLDER / "paper.py").tracker, fps=25)
    assert isinstance(tracker, KprTracker)
    settings = tracker.config
    assert settings.appearance_weight > 0
    assert settings.box_weight == settings.pose_weight == 0
    assert settings.match_cost == settings.low_match_cost == settings.tentative_match_cost == 0.2
    assert settings.reid_max_distance is None
    assert settings.gating_distance is None


def test_the_bytetrack_config_runs_no_encoder() -> None:
    assert load_config(FOLDER / "bytetrack.py").reid.name == "none"


def test_all_configs_are_known_by_name() -> None:
    files = (paths.ROOT / "configs").rglob("*.py")
    assert config_names() == sorted(
        file.relative_to(paths.ROOT / "configs").with_suffix("").as_posix() for file in files
    )


@pytest.mark.parametrize("name", config_names())
def test_a_name_is_found_from_any_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(name).samefile(paths.ROOT / "configs" / f"{name}.py")


def test_a_file_is_found_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text('device = "cpu"')
    monkeypatch.chdir(tmp_path)
    assert find_config("mine.py") == Path("mine.py")
    assert load_config("mine.py").device == "cpu"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "track/papr",
            "Unknown config 'track/papr'. Did you mean 'track/paper'? Known: track/bytetrack, track/paper.",
        ),
        ("nothing.py", "No config file at nothing.py. Configs in the package: track/bytetrack, track/paper."),
    ],
)
def test_an_unknown_config_names_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(name)
    assert str(caught.value) == message
