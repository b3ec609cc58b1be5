"""Every recipe of configs/ can be read and built."""

from pathlib import Path

import pytest
from support import paths

from kprtrack.build import build_tracker
from kprtrack.config import load_config
from kprtrack.trackers.kpr import KprTracker

FOLDER = paths.ROOT / "configs" / "track"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_every_tracking_recipe_builds_its_tracker(file: Path) -> None:
    assert build_tracker(load_config(file).tracker, fps=25).output_delay_s >= 0


def test_the_paper_recipe_looks_at_appearance_alone() -> None:
    tracker = build_tracker(load_config(FOLDER / "paper.py").tracker, fps=25)
    assert isinstance(tracker, KprTracker)
    settings = tracker.config
    assert settings.appearance_weight > 0
    assert settings.box_weight == settings.pose_weight == 0
    assert settings.match_cost == settings.low_match_cost == settings.tentative_match_cost == 0.2
    assert settings.reid_max_distance is None
    assert settings.gating_distance is None


def test_the_bytetrack_recipe_runs_no_encoder() -> None:
    assert load_config(FOLDER / "bytetrack.py").reid.name == "none"
