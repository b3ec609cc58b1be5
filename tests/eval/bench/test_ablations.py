"""Rows of a comparison."""

import pytest

from eval.bench.ablations import ABLATIONS, rows_of
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import UserError


def test_without_ablations_there_is_only_the_default_row() -> None:
    config = TrackConfig()
    assert [(row.name, row.config, row.base) for row in rows_of(config)] == [("default", config, None)]


def test_all_stands_for_every_ablation_once() -> None:
    rows = rows_of(TrackConfig(), ("motion", "all"))
    assert [row.name for row in rows] == ["default", "motion", "prompts", "negatives", "parts"]
    assert len(rows) == len(ABLATIONS) + 1


@pytest.mark.parametrize(
    ("name", "role", "options"),
    [
        ("prompts", "reid", {"prompts": False}),
        ("negatives", "reid", {"negatives": False}),
        ("parts", "reid", {"vectors": "foreground"}),
        ("motion", "tracker", {"box_weight": 0.0, "pose_weight": 0.0}),
    ],
)
def test_an_ablation_changes_one_component(name: str, role: str, options: dict[str, object]) -> None:
    reid, tracker = (
        ComponentConfig("kpr", "w", {"min_confidence": 0.2}),
        ComponentConfig("kpr", None, {"momentum": 0.8}),
    )
    config = TrackConfig(reid=reid, tracker=tracker)
    row = rows_of(config, (name,))[1]
    assert row.base == config
    changed = getattr(row.config, role)
    assert changed.options == {**getattr(config, role).options, **options}
    assert {r: getattr(row.config, r) for r in ("detector", "pose", "reid", "tracker") if r != role} == {
        r: getattr(config, r) for r in ("detector", "pose", "reid", "tracker") if r != role
    }


def test_a_misspelt_ablation_is_rejected_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="Did you mean 'prompts'"):
        rows_of(TrackConfig(), ("promts",))


@pytest.mark.parametrize("name", ["prompts", "negatives", "parts"])
def test_ablations_of_the_encoder_need_kpr(name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}'.*--reid onnx"):
        rows_of(TrackConfig(reid=ComponentConfig("onnx", "osnet.onnx")), (name,))


@pytest.mark.parametrize(
    "config", [TrackConfig(reid=ComponentConfig("none")), TrackConfig(tracker=ComponentConfig("bytetrack"))]
)
def test_the_motion_ablation_needs_appearance(config: TrackConfig) -> None:
    with pytest.raises(UserError, match="motion"):
        rows_of(config, ("motion",))


def test_an_ablation_without_effect_is_rejected() -> None:
    with pytest.raises(UserError, match="changes nothing"):
        rows_of(TrackConfig(reid=ComponentConfig("kpr", options={"prompts": False})), ("prompts",))
