"""Configuration: accepted values, and errors for all others."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from kprtrack.config import ComponentConfig, TrackConfig, configure, load_config, merge, override
from kprtrack.core.errors import InputError, UserError


@dataclass(frozen=True)
class Options:
    share: float = 0.5
    count: int = 3
    limit: float | None = 1.0
    mirrored: bool = True
    colours: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (1.0, 2.0, 3.0)
    size: str = "m"


def test_values_of_the_right_type_are_taken() -> None:
    made = configure(
        Options, {"share": 1, "limit": None, "mirrored": False, "colours": "bgr", "mean": [4, 5, 6]}
    )
    assert made == Options(1.0, 3, None, False, "bgr", (4.0, 5.0, 6.0))
    assert isinstance(made.share, float) and isinstance(made.mean[0], float)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shear": 1}, "Unknown option 'shear'. Did you mean 'share'?"),
        ({"share": "big"}, "share must be a number, not 'big'."),
        ({"share": True}, "share must be a number, not True."),
        ({"share": float("nan")}, "share must be a finite number, not nan."),
        ({"limit": "x"}, "limit must be a number, not 'x'."),
        ({"count": 1.5}, "count must be a whole number, not 1.5."),
        ({"count": True}, "count must be a whole number, not True."),
        ({"count": None}, "count must be a whole number, not None."),
        ({"mirrored": 1}, "mirrored must be true or false, not 1."),
        ({"colours": "rbg"}, "Unknown value for colours 'rbg'. Did you mean"),
        ({"mean": (1, 2)}, "mean must be 3 values in a row"),
        ({"mean": (1, 2, "a")}, "mean must be a number, not 'a'."),
        ({"mean": 5}, "mean must be 3 values in a row"),
    ],
)
def test_a_wrong_option_is_an_error_in_words(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        configure(Options, options)
    assert str(caught.value).startswith(message)


def test_a_field_fixed_by_the_name_is_no_option() -> None:
    with pytest.raises(UserError, match="Unknown option 'size'"):
        configure(partial(Options, size="x"), {"size": "s"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("OFF", False),
        ("none", None),
        ("3", 3),
        ("1e-2", 0.01),
        ("(1, 2)", (1, 2)),
        ("a b", "a b"),
    ],
)
def test_assignments_are_read_as_the_value_they_write(text: str, value: object) -> None:
    assert override(TrackConfig(), [f"tracker.some_option={text}"]).tracker.options["some_option"] == value


def test_assignments_never_run_code() -> None:
    text = "__import__('os').getcwd()"
    assert override(TrackConfig(), [f"tracker.x={text}"]).tracker.options["x"] == text
    assert override(TrackConfig(), ["tracker.x=" + "(" * 9000]).tracker.options["x"] == "(" * 9000


@pytest.mark.parametrize("text", ["high_score", "", "batch"])
def test_an_assignment_without_equals_sign_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match="not of the form key=value"):
        override(TrackConfig(), [text])


@pytest.mark.parametrize("text", ["trackr.x=1", "=1", ".x=1", "bach=3"])
def test_an_unknown_setting_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match="Unknown setting"):
        override(TrackConfig(), [text])


def test_later_assignments_win() -> None:
    config = override(TrackConfig(), ["batch=2", "batch=3", "tracker.a=1", "tracker.b=2", "tracker.a=4"])
    assert config.batch == 3
    assert config.tracker.options == {"a": 4, "b": 2}


def test_options_are_dropped_when_the_component_changes_and_kept_otherwise() -> None:
    config = TrackConfig(detector=ComponentConfig("yolox-m", "mine.pth", {"nms_iou": 0.6}))
    assert merge(config, {"detector": "yolox-s"}).detector == ComponentConfig("yolox-s")
    assert merge(config, {"detector": {"name": "yolox-m"}}).detector == config.detector


def test_a_config_file_changes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text('device = "cpu"\ntracker = dict(name="bytetrack", track_thresh=0.4)\n')
    config = load_config(tmp_path / "mine.py")
    assert config == TrackConfig(
        device="cpu", tracker=ComponentConfig("bytetrack", None, {"track_thresh": 0.4})
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.py", "x = (", "Cannot read the config file"),
        ("a.py", "raise SystemExit(3)", "Cannot read the config file"),
        ("a.txt", "device = 1", "Cannot read the config file"),
    ],
)
def test_a_broken_config_file_is_an_error(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(tmp_path / name)


def test_a_missing_config_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No config file at"):
        load_config(tmp_path / "none.py")


def test_a_misspelt_key_in_a_config_file_is_an_error_with_the_nearest_key(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("devise = 'cpu'\n")
    with pytest.raises(UserError, match=r"Unknown setting 'devise'. Did you mean 'device'\?"):
        load_config(tmp_path / "mine.py")


def test_a_name_stands_for_a_component() -> None:
    assert TrackConfig(reid="none", tracker="bytetrack") == TrackConfig(
        reid=ComponentConfig("none"), tracker=ComponentConfig("bytetrack")
    )


def test_a_component_of_another_type_is_a_user_error() -> None:
    with pytest.raises(UserError, match="reid must be a name or a ComponentConfig, not None"):
        TrackConfig(reid=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [{"batch": "x" * 9999}, {"x" * 9999: 1}, {"tracker": ["x"] * 9999}])
def test_messages_show_the_beginning_of_what_is_long(values: dict[str, object]) -> None:
    with pytest.raises(UserError) as caught:
        merge(TrackConfig(), values)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "component", [{"name": 1.5}, {"name": ["kpr"]}, {"name": None}, {"weights": 3}, 7, ["kpr"]]
)
def test_a_component_whose_name_is_no_text_is_an_error(component: object) -> None:
    with pytest.raises(UserError, match=r"must be text|must be a name or a dict"):
        merge(TrackConfig(), {"tracker": component})


def test_a_printed_config_can_be_used_as_a_config(tmp_path: Path) -> None:
    config = override(TrackConfig(device="cpu", reid="none"), ["tracker.high_score=0.5", "detector=yolox-s"])
    (tmp_path / "printed.json").write_text(json.dumps(asdict(config)))
    assert load_config(tmp_path / "printed.json") == config
