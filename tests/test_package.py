"""The wheel that users install: complete, small, importable from anywhere."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support import paths

ROOT = paths.ROOT
PACKAGES = ("kprtrack", "reid", "eval")
LARGEST_BYTES = 25_000_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the project's own backend without going online."""
    pytest.importorskip("hatchling", reason="building the wheel needs hatchling, of the group dev")
    folder = tmp_path_factory.mktemp("wheel")
    _run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)], ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files: all that installing a wheel of plain Python puts in place."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _run(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_packages_come_from_the_wheel_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    program = "import kprtrack, reid, eval; print(kprtrack.__file__, reid.__file__, eval.__file__)"
    found = _run([sys.executable, "-c", program], tmp_path, PYTHONPATH=str(installed)).split()
    assert [Path(file) for file in found] == [installed / name / "__init__.py" for name in PACKAGES]


def test_the_command_of_the_wheel_answers(installed: Path, tmp_path: Path) -> None:
    entry_points = next(installed.glob("*.dist-info")) / "entry_points.txt"
    assert "kprtrack = kprtrack.cli.main:main" in entry_points.read_text("utf-8")
    program = "import sys; from kprtrack.cli.main import main; sys.exit(main(['doctor', '--help']))"
    assert "doctor" in _run([sys.executable, "-c", program], tmp_path, PYTHONPATH=str(installed))


def test_the_wheel_holds_every_source_file_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    sources |= {f"kprtrack/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / "configs").rglob("*.py")}
    assert packed == sources


def test_packaged_configs_are_found_by_name_in_any_folder(installed: Path, tmp_path: Path) -> None:
    program = "import sys; from kprtrack.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "video.mp4", "--config", "track/bytetrack", "--print-config"]
    printed = _run(command, tmp_path, PYTHONPATH=str(installed))
    assert json.loads(printed)["tracker"]["name"] == "bytetrack"


@pytest.mark.parametrize("kind", ["reid", "detector", "pose"])
def test_packaged_training_configs_are_found_by_name_in_any_folder(
    installed: Path, tmp_path: Path, kind: str
) -> None:
    program = (
        f"from kprtrack.core.settings import config_names, find_config; "
        f"print(*(find_config(name) for name in config_names({kind!r})))"
    )
    files = _run([sys.executable, "-c", program], tmp_path, PYTHONPATH=str(installed)).split()
    assert files
    assert {Path(file).parent for file in files} == {installed / "kprtrack" / "configs" / kind}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_promises_types(installed: Path, package: str) -> None:
    assert (installed / package / "py.typed").is_file()


def test_the_wheel_carries_the_licence(installed: Path) -> None:
    assert next(installed.glob("*.dist-info/licenses/LICENSE")).read_text("utf-8").strip()


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST_BYTES
