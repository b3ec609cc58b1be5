"""README.md stays true: its links, its commands, its names and its Python."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from support import paths

from kprtrack.cli.main import SUBCOMMANDS
from kprtrack.config import PRESETS, load_config
from kprtrack.detectors import DETECTORS
from kprtrack.hub.catalog import CATALOGUE
from kprtrack.pipeline import Networks
from kprtrack.poses import POSES
from kprtrack.reid_encoders import REID_ENCODERS
from kprtrack.trackers import TRACKERS
from kprtrack.video.writer import VideoWriter

ROOT = paths.ROOT
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(kind: str, text: str = README) -> list[str]:
    """The fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


def commands() -> list[str]:
    """Every kprtrack command line of the pages, without what a shell adds around it."""
    found = []
    for page in PAGES:
        for block in blocks("(?:sh)?", page.read_text("utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                for step in re.split(r"\s#|&&", line):
                    match = re.match(r"(?:uv run --no-dev )?kprtrack (.*)", step.strip())
                    found += [match[1]] if match else []
    return sorted(set(found))


@pytest.mark.parametrize("command", commands())
def test_commands_name_only_options_that_exist(command: str) -> None:
    words = shlex.split(command)
    verb = words.pop(0) if words[0] in SUBCOMMANDS else "track"
    if "--help" in words:
        return
    options = SUBCOMMANDS[verb][0]().parse_args(words)
    for role, known in (
        ("detector", list(DETECTORS)),
        ("pose", list(POSES)),
        ("reid", list(REID_ENCODERS)),
        ("tracker", list(TRACKERS)),
        ("preset", list(PRESETS)),
    ):
        assert getattr(options, role, None) in (None, *known)


@pytest.mark.parametrize("name", [*(DETECTORS), *(POSES), *(REID_ENCODERS), *TRACKERS, *PRESETS])
def test_everything_to_choose_from_is_told(name: str) -> None:
    family, _, size = name.rpartition("-")
    assert f"`{name}`" in README or (
        family and re.search(rf"`{family}-\{{[^}}]*\b{size}\b[^}}]*\}}`", README)
    )


def test_the_example_of_a_config_file_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(blocks("python")[0], "utf-8")
    assert load_config(file).device == "cuda"


def test_models_named_in_commands_are_in_the_catalogue() -> None:
    names = re.findall(r"models get ([\w-]+)", README)
    assert names
    assert not set(names) - set(CATALOGUE)


def test_the_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    test_command = README.partition("Pass the tests")[2].partition("```")[2].partition("```")[0]
    run = (ROOT / ".ci" / "run").read_text("utf-8")
    for step in test_command.removeprefix("sh").strip().split(" && "):
        assert step.replace("pip install", "pip install --quiet") in run


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short `video.mp4` in the working folder."""
    with VideoWriter(tmp_path / "video.mp4", 64, 48, 10.0) as writer:
        for number in range(4):
            writer.write(np.full((48, 64, 3), 60 * number, np.uint8), number / 10)
    monkeypatch.chdir(tmp_path)


def run_python(text: str, names: dict[str, object]) -> dict[str, object]:
    """The names there are after running an example of the README."""
    exec(compile(text, "README.md", "exec"), names)
    return names


@pytest.mark.usefixtures("video")
def test_the_example_with_own_functions_runs() -> None:
    assert run_python(blocks("python")[2], {})["people"] == {1}


@pytest.mark.usefixtures("video")
def test_the_example_with_published_networks_runs(capsys: pytest.CaptureFixture[str]) -> None:
    own = run_python(blocks("python")[2], {})
    networks = Networks(own["detect"], own["estimate_poses"], own["embed"])  # type: ignore[arg-type]
    lines = blocks("python")[1].splitlines(keepends=True)
    without_weights = "".join(line for line in lines if "= build_networks(" not in line)
    run_python(without_weights, {"networks": networks})
    assert capsys.readouterr().out.startswith("4 frames, 1 people\n0.0 1 ")
