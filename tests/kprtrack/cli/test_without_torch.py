"""The core: what runs with the packages of a plain installation, and what it imports."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.onnx_files import write_embedding_network, write_simcc_network, write_yolox_network
from support.paths import ROOT, SHARED

from kprtrack.cli.demo import CLIP

# Installed by extras only, or heavy: the core neither needs nor imports them.
EXTRAS = (
    *("torch", "torchvision", "timm", "onnx", "accelerate", "matplotlib", "scipy", "shapely", "trackeval"),
    *("mmengine", "openvino", "pyarrow"),
)
NEVER_IMPORTED = ("torch", "torchvision", "timm", "onnx", "matplotlib", "scipy", "mmengine")
HIDE = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""
RUN = """
import sys
from kprtrack.cli.main import main
codes = [main(line.split("|")) for line in sys.argv[1:]]
print(codes, [name for name in {names!r} if name in sys.modules])
"""


def run(folder: Path, *commands: list[str], before: str = "") -> subprocess.CompletedProcess[str]:
    """Run commands one after the other in one process."""
    program = before + RUN.format(names=NEVER_IMPORTED)
    return subprocess.run(
        [sys.executable, "-c", program, *("|".join(words) for words in commands)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_the_core_tracks_draws_and_converts_without_the_packages_of_the_extras(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        [str(CLIP), "--end", "0.2", "--out", "tracks.json", "--video", "tracks.mp4"],
        ["observe", str(CLIP), "--end", "0.1", "--out", "obs.npz"],
        ["follow", "obs.npz", "--out", "followed.json"],
        ["draw", "tracks.json", str(CLIP), "--out", "drawn.mp4"],
        ["convert", "tracks.json", "tracks.csv"],
        ["models", "list"],
        ["doctor"],
        before=HIDE,
    )
    assert found.stdout.splitlines()[-1] == "[0, 0, 0, 0, 0, 0, 0] []", found.stdout + found.stderr
    document = json.loads((tmp_path / "tracks.json").read_text())
    assert document["models"]["pose"]["backend"].startswith("onnxruntime ")


def toy_networks(folder: Path) -> dict[str, tuple[str, Path]]:
    """Networks in files for each component: name and file."""
    return {
        "detector": ("yolox-onnx", write_yolox_network(folder)),
        "pose": ("rtmpose", write_simcc_network(folder)),
        "reid": ("onnx", write_embedding_network(folder / "reid.onnx", ("N", 3, 64, 32))),
    }


def real_networks(folder: Path) -> dict[str, tuple[str, Path]]:
    """Small published networks."""
    weights = SHARED / "real" / "weights"
    if not weights.is_dir():
        pytest.skip("needs ../shared/real")
    return {
        "detector": ("yolox-onnx", weights / "yolox_nano_coco80_416.onnx"),
        "pose": ("heatmap", weights / "tinypose_256x192.onnx"),
        "reid": ("onnx", weights / "osnet_x0_25_msmt17.onnx"),
    }


@pytest.mark.parametrize("networks", [toy_networks, pytest.param(real_networks, marks=pytest.mark.weights)])
def test_networks_in_onnx_files_track_without_the_packages_of_the_extras(
    tmp_path: Path, networks: Callable[[Path], dict[str, tuple[str, Path]]]
) -> None:
    words = [str(CLIP), "--end", "0.1", "--out", "tracks.json", "--set", "detector.nms_iou=0.3"]
    for role, (name, file) in networks(tmp_path).items():
        words += [f"--{role}", name, f"--{role}-weights", str(file)]
    found = run(tmp_path, words, before=HIDE)
    assert found.stdout.splitlines()[-1] == "[0] []", found.stdout + found.stderr
    frames = json.loads((tmp_path / "tracks.json").read_text())["frames"]
    assert any(frame["people"] for frame in frames) or networks is toy_networks


@pytest.mark.slow
def test_tracking_imports_no_heavy_package_that_is_installed(tmp_path: Path) -> None:
    found = run(tmp_path, [str(CLIP), "--end", "0.05", "--out", "tracks.json", "--device", "cpu"])
    assert found.stdout.splitlines()[-1] == "[0] []", found.stdout + found.stderr


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (
            ["--backend", "torch"],
            '--backend torch needs torch, which is not installed: pip install "kprtrack[torch]".',
        ),
        (
            ["--device", "cuda"],
            '--device cuda needs torch, which is not installed: pip install "kprtrack[torch]".',
        ),
        (["--precision", "bf16"], "--precision bf16 needs torch"),
        (["--backend", "openvino"], 'pip install "kprtrack[openvino]"'),
    ],
)
def test_what_needs_an_extra_says_so_in_one_line(tmp_path: Path, words: list[str], advice: str) -> None:
    found = run(tmp_path, [str(CLIP), "--out", "t.json", *words], before=HIDE)
    assert found.stdout.splitlines()[-1] == "[2] []"
    assert advice in found.stderr and found.stderr.count("\n") == 1, found.stderr


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (
            ["train", "pose/small", "data.train=a.json", "data.val=a.json", "out=o"],
            'pip install "kprtrack[train]"',
        ),
        (["eval", "tracks", "a.json", "b.json"], 'pip install "kprtrack[eval]"'),
        (["bench", "synthetic", "--out", "b"], 'pip install "kprtrack[eval]"'),
    ],
)
def test_commands_of_an_extra_say_how_to_install_it(tmp_path: Path, words: list[str], advice: str) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text("{}")
    found = run(tmp_path, words, before=HIDE)
    assert advice in found.stderr and found.stderr.count("\n") == 1, found.stderr


def test_the_tests_hide_what_the_project_offers_as_extras() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    packages = {
        name.partition(">")[0] for extra in ("torch", "train", "eval", "openvino") for name in extras[extra]
    }
    assert {name for name in packages if not name.startswith("kprtrack[")} <= set(EXTRAS)
