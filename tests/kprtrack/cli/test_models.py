"""`kprtrack models`: lists by licence, and all that a preset needs in one command."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from support.web import Site, local_site

from kprtrack.build import DEFAULT_WEIGHTS
from kprtrack.cli.main import main
from kprtrack.config import PRESETS
from kprtrack.hub import store
from kprtrack.hub.catalog import CATALOGUE

WEIGHTS = bytes(3_000_000)
LIGHT = ("yolox-tiny-coco-onnx", "rtmpose-s-body7")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that has the weights of the preset `light`, and an empty store."""
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path))
    monkeypatch.setattr(store, "download", partial(store.download, allow_localhost=True))
    for site in local_site(monkeypatch):
        site.body = WEIGHTS
        url = f"http://127.0.0.1:{site.port}/weights"
        served = {
            name: replace(CATALOGUE[name], url=url, sha256=None, size_bytes=None, member=None)
            for name in LIGHT
        }
        monkeypatch.setattr(store, "CATALOGUE", served)
        yield site


def test_a_preset_is_downloaded_in_one_command_with_one_bar(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "get", "--preset", "light"]) == 0
    shown = capsys.readouterr()
    files = [tmp_path / "models" / CATALOGUE[name].file_name for name in LIGHT]
    assert [line for line in shown.out.splitlines() if "sha256" not in line] == [str(file) for file in files]
    assert shown.out.count("unverified: no sha256 was published") == 2
    assert shown.err.startswith("download: 6/6 MB,")
    assert shown.err.count("\n") == 1
    assert all(file.read_bytes() == WEIGHTS for file in files)


def test_what_is_installed_is_not_downloaded_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "get", LIGHT[1], "--quiet"])
    assert capsys.readouterr().err == ""
    main(["models", "get", "--preset", "light"])
    assert capsys.readouterr().err.startswith("download: 3/3 MB,")
    assert len(site.requested_ranges) == 2
    main(["models", "get", "--preset", "light"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Name one model, or a preset: kprtrack models get --preset light."),
        (["kpr-multi", "--preset", "light"], "Name one model, or a preset"),
        (["--preset", "lite"], "Did you mean 'light'?"),
    ],
)
def test_one_model_or_one_preset_is_named(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "get", *words]) == 2
    assert message in capsys.readouterr().err


def test_weights_for_any_use_are_listed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--licence", "permissive"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert {row.split()[0] for row in rows} >= {*LIGHT, "hrnet-w32-coco-256-udp", "swin-b-imagenet22k"}
    assert {row.split()[-1] for row in rows} <= {"MIT", "Apache-2.0"}


def test_all_weights_of_the_preset_light_are_for_any_use_and_need_no_torch() -> None:
    preset = PRESETS["light"]
    rows = {row.name: row for row in store.list_models()}
    assert [preset.detector.weights, preset.pose.weights, preset.reid.name] == [*LIGHT, "none"]
    assert all(rows[name].permissive and CATALOGUE[name].file_name.endswith(".onnx") for name in LIGHT)


def test_every_default_is_in_the_catalogue() -> None:
    names = {name for role in DEFAULT_WEIGHTS.values() for name in role.values()}
    assert names <= set(CATALOGUE)
