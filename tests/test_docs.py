"""Every command and every Python example in README.md and docs/ runs, or is checked against the parsers.

All commands are parsed by the real parsers. Those that need neither a download, a camera nor a GPU also run
in a folder with tiny inputs, with options appended that shorten them; ONLY_PARSED says why the others do not.
Python examples run page by page; of those that need a data set only the imports do.
"""

import ast
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import docs_inputs, paths
from support.short_demo import shorten_demo

from kprtrack import build, run
from kprtrack.cli.demo import CLIP
from kprtrack.cli.main import SUBCOMMANDS, main
from kprtrack.config import PRESETS, TrackConfig
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Poses
from kprtrack.core.settings import find_config
from kprtrack.detectors import DETECTORS
from kprtrack.gallery import Gallery
from kprtrack.hub.catalog import CATALOGUE
from kprtrack.identity import read_prototypes
from kprtrack.online import tracker as online
from kprtrack.pipeline import Networks
from kprtrack.poses import POSES
from kprtrack.reid_encoders import REID_ENCODERS
from kprtrack.trackers import TRACKERS
from kprtrack.video.source import open_source
from kprtrack.video.writer import VideoWriter

ROOT = paths.ROOT
README = ROOT / "README.md"
CARDS = sorted((ROOT / "kprtrack" / "weights").glob("*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")), *CARDS]

# Commands that are not run here, and why.
ONLY_PARSED = {
    r"^0 |^rtsp:": "needs a camera or a stream",
    r"--preset (light|balanced|accurate)": "needs weights to be downloaded",
    r"^models (get|import)|init=hrnet-w32-coco": "needs a download",
    r"--device cuda": "needs a GPU",
    r"weights runs/(detector|pose)/": "needs the weights of a long training",
    r"--start 1:30": "needs a longer video",
    r"--pose mmpose": "needs mmpose",
    r"/ --workers \d": "needs the extra ray; tests/kprtrack/scale has what it does",
    r"^s3://": "needs an object store and a cluster",
    r"^review ": "serves its page until it is stopped",
    r"^find .*--image": "needs results by the encoder of the package",
    r"^adapt \w+\.mp4": "needs footage of a dozen people",
}
NEEDS_DATA = re.compile(
    r"^(train|adapt|data|tune|bench|eval (mot|posetrack21|reid))\b|my_\w+\.|--config best|kpr\.saf"
    r"|weights (runs|adapted)/"
)
ANNOTATIONS = {"keypoints": "external_annotation", "part-labels": "masks"}  # folders of a data set
# Libraries of extras that write files of these suffixes.
LIBRARIES = {".c3d": "ezc3d", ".nwb": "pynwb", ".rrd": "rerun", ".slp": "sleap_io", ".xlsx": "openpyxl"}
FAST = ("convert", "draw", "edit", "find", "follow", "gallery", "link", "models")


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks in one of the languages, a pattern."""
    return re.findall(
        rf"^```(?:{language})\n(.*?)^```$", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def lines(page: Path) -> Iterator[str]:
    """The lines of all shell blocks, continued lines joined, steps of a line one by one."""
    for block in blocks(page, "(?:sh)?"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (step.strip() for step in re.split(r"\s#|&&|;", line))


def commands() -> list[str]:
    """Every command line of `kprtrack` on the pages, without the name of the program."""
    found = [re.match(r"(?:uv run --no-dev )?kprtrack (.*)", line) for page in PAGES for line in lines(page)]
    return sorted({match[1] for match in found if match})


def subcommand_of(command: str) -> str:
    word = shlex.split(command)[0]
    return word if word in SUBCOMMANDS else "track"


def is_run(command: str) -> bool:
    return not any(re.search(pattern, command) for pattern in ONLY_PARSED)


def mark(command: str) -> object:
    fast = subcommand_of(command) in FAST or "--print-config" in command or command.startswith("eval tracks")
    return pytest.param(command, marks=() if fast else pytest.mark.slow)


# What the pages name exists


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for path, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text("utf-8")):
        target = page.parent / path if path else page
        if "://" in path:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}")
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in headings]
    return {re.sub(r" +", "-", heading) for heading in plain}


@pytest.mark.parametrize("command", commands())
def test_commands_have_options_and_names_that_exist(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)
    name = words.pop(0) if words[0] in SUBCOMMANDS else "track"
    if name == "track" and words[0] == "SUBCOMMAND":
        pytest.skip("stands for any subcommand")
    if "--help" in words:
        return
    options = SUBCOMMANDS[name][0]().parse_args(words)
    for role, known in (
        ("detector", DETECTORS),
        ("pose", POSES),
        ("reid", REID_ENCODERS),
        ("tracker", TRACKERS),
        ("preset", PRESETS),
    ):
        assert getattr(options, role, None) in (None, *known)
    config = getattr(options, "config", None)
    if config and not re.search(r"[A-Z$]|best\.json", config):  # a placeholder, or the result of a search
        monkeypatch.chdir(ROOT)
        assert find_config(config).is_file()


def test_models_in_commands_are_in_the_catalog() -> None:
    found = {
        name
        for command in commands()
        for name in re.findall(r"models get (\w[\w-]*)|--name ([\w-]+)", command)
    }
    names = {name for pair in found for name in pair} - {"", "NAME"}
    assert "yolox-m-coco" in names
    assert not names - set(CATALOGUE)


def test_scripts_in_commands_have_the_options_that_are_used() -> None:
    checked = 0
    for page in PAGES:
        for line in lines(page):
            match = re.match(r"(?:uv run )?python (tools/\S+\.py)(.*)", line)
            if match:
                script = (ROOT / match[1]).read_text("utf-8")
                options = re.findall(r"(?<=\s)--[\w-]+", match[2])
                assert not [option for option in options if not re.search(rf'"(--)?{option[2:]}"', script)], (
                    line
                )
                checked += 1
    assert checked


def test_tests_that_pages_name_exist() -> None:
    found = {path for page in PAGES for path in re.findall(r"\btests/[\w/]+\.py", page.read_text("utf-8"))}
    assert found
    assert not [path for path in found if not (ROOT / path).is_file()]


def test_the_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    test_command = README.read_text("utf-8").partition("Pass the tests")[2].split("```")[1]
    run = (ROOT / ".ci" / "run").read_text("utf-8")
    for step in test_command.removeprefix("sh").strip().split(" && "):
        assert step.replace("pip install", "pip install --quiet") in run


# Commands and examples run


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages name: videos, images, tracks, boxes, observations."""
    folder = tmp_path_factory.mktemp("inputs")
    with open_source(CLIP) as clip:
        images = [image for image, _ in zip((frame.image for frame in clip), range(6), strict=False)]
    height, width = images[0].shape[:2]
    for name, count in (("video", 6), ("a", 6), ("b", 5)):
        with VideoWriter(folder / f"{name}.mp4", width, height, 12.5) as writer:
            for number, image in enumerate(images[:count]):
                writer.write(image, number / 12.5)
    (folder / "frames").mkdir()
    for number, image in enumerate(images[:3]):
        Image.fromarray(image).save(folder / "frames" / f"{number:03d}.png")
    for name, left in (("a", 100), ("b", 200), ("c", 300)):
        Image.fromarray(images[0][100:300, left : left + 100]).save(folder / f"{name}.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        networks = Functions()
        write_results(networks)
    for copy in ("ground_truth.json", "shot.json", "scene.json", "corrected.json"):
        shutil.copy(folder / "tracks.json", folder / copy)
    results = [str(folder / f"{name}.tracks.json") for name in "ab"]
    assert main(["link", *results, "--out", str(folder / "linked"), "--quiet"]) == 0
    shutil.copytree(folder / "linked", folder / "ground_truth", ignore=shutil.ignore_patterns("links.json"))
    assert main(["edit", str(folder / "tracks.json"), "name 1 Anna", "--quiet"]) == 0
    write_gallery(folder)
    assert main(["convert", str(folder / "tracks.json"), str(folder / "boxes.txt"), "--quiet"]) == 0
    assert main(["convert", str(folder / "tracks.json"), str(folder / "coco.json"), "--to", "coco"]) == 0
    assert main(["convert", str(folder / "tracks.json"), str(folder / "to_correct.xml")]) == 0
    return folder


class Functions:
    """Networks that find the same two people in every frame, without weights."""

    def detect(self, frames):
        boxes = np.float32([[100, 60, 160, 220], [300, 80, 350, 230]])
        return [Detections(boxes + frame.number, np.float32([0.95, 0.9])) for frame in frames]

    def estimate_poses(self, frames, detections):
        return [Poses(np.stack([self._pose(box) for box in found.boxes])) for found in detections]

    def _pose(self, box):
        place = np.linspace(0.1, 0.9, 17)[:, None] * (box[2:] - box[:2]) + box[:2]
        return np.concatenate([place, np.full((17, 1), 0.8)], axis=1).astype(np.float32)

    def embed(self, frames, detections, poses):
        features = np.eye(2, 4, dtype=np.float32)[:, None].repeat(3, axis=1)
        return [Appearance(features, np.ones((2, 3), bool), np.ones(2, bool)) for _ in frames]


def write_results(functions: Functions) -> None:
    """Write the results of three videos, and obs.npz of video.mp4, into the working folder."""
    networks = Networks(functions.detect, functions.estimate_poses, functions.embed)
    for video, out in (("video", "tracks"), ("a", "a.tracks"), ("b", "b.tracks")):
        run.track_video(f"{video}.mp4", f"{out}.json", TrackConfig(), networks=networks, quiet=True)
    run.observe_video("video.mp4", "obs.npz", TrackConfig(), networks=networks, quiet=True)


def write_gallery(folder: Path) -> None:
    """Write people.kprdb: the people of tracks.json in four videos, person 1 in two of them, 7 the keeper."""
    prototypes = read_prototypes(folder / "tracks.json")
    with Gallery.open(folder / "people.kprdb", create=True) as gallery:
        for name in ("video", "match", "training", "final"):
            video = {"path": f"{name}.mp4", "sha256": name * 8}
            gallery.add(replace(prototypes, header={**prototypes.header, "video": video}))
        gallery.name(7, "Keeper")
        gallery.merge(1, 5, relink=False)
        gallery.merge(6, 4, relink=False)


@pytest.fixture
def folder(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with copies of the inputs."""
    place = tmp_path / "work"
    shutil.copytree(inputs, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def loaded_once(monkeypatch: pytest.MonkeyPatch, networks: dict[str, Networks]) -> None:
    """Commands with the same networks share them; loading is what takes the time here."""

    def build_once(config: TrackConfig) -> Networks:
        key = repr(replace(config, tracker=TrackConfig().tracker))
        if key not in networks:
            networks[key] = build.build_networks(config)
        return networks[key]

    monkeypatch.setattr(run, "build_networks", build_once)


@pytest.fixture(scope="module")
def networks() -> dict[str, Networks]:
    return {}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets and weights that the pages name."""
    place = tmp_path_factory.mktemp("data")
    docs_inputs.write_data(place)
    return place


@pytest.mark.usefixtures("loaded_once")
@pytest.mark.parametrize("command", [mark(command) for command in commands() if is_run(command)])
def test_commands_run_and_write_what_they_name(
    command: str,
    folder: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The inputs stand for results that the pages make in their order; here each command runs by itself.
    if NEEDS_DATA.search(command):
        data = request.getfixturevalue("data")
        shutil.copytree(data, folder, dirs_exist_ok=True)
        command = docs_inputs.runnable(command, data)
    words = shlex.split(command)
    for library in {LIBRARIES[Path(word).suffix] for word in words if Path(word).suffix in LIBRARIES}:
        pytest.importorskip(library)
    made = [Path(words[row + 1]) for row, word in enumerate(words) if word in ("--out", "--video", "--html")]
    for run_folder in (Path(word.removeprefix("out=")) for word in words if word.startswith("out=")):
        shutil.rmtree(run_folder, ignore_errors=True)  # its weights may be the input of another command
        made.append(run_folder / "weights.safetensors")
    if words[:2] == ["data", "keypoints"] or words[:2] == ["data", "part-labels"]:
        annotations = folder / words[words.index("--root") + 1] / ANNOTATIONS[words[1]]
        shutil.rmtree(annotations)
        made.append(annotations)
    if made and (words[:2] == ["data", "paste"] or words[0] == "adapt"):
        shutil.rmtree(made[0])  # the input of another command
    if words[0] == "demo":
        shorten_demo(folder / "short", 25, monkeypatch)
        made.append(Path("demo/frame.png"))
    shorter = [more for pattern, more in docs_inputs.SHORTER.items() if re.search(pattern, command)]
    code = main(words + [word for more in shorter for word in more])
    assert code == 0, capsys.readouterr().err
    if "--print-config" not in words:
        assert [path for path in made if not path.exists()] == []


def test_every_reason_to_parse_only_is_needed() -> None:
    unused = [pattern for pattern in ONLY_PARSED if not any(re.search(pattern, one) for one in commands())]
    assert not unused


def python_pages() -> list[object]:
    """The pages with Python examples; those that load the shipped networks are slow."""
    found = [page for page in PAGES if blocks(page, "python")]
    return [
        pytest.param(
            page,
            id=relative(page),
            marks=pytest.mark.slow if "build_networks(" in page.read_text("utf-8") else (),
        )
        for page in found
    ]


def runnable(text: str) -> ast.Module:
    """An example, or only its imports if it needs a data set; skipped where its library is not installed."""
    module = ast.parse(text)
    for library in re.findall(r"^import (supervision)\b", text, flags=re.MULTILINE):
        pytest.importorskip(library)
    if re.search(r"open_dataset\(|my_\w+\.", text):
        module.body = [one for one in module.body if isinstance(one, ast.Import | ast.ImportFrom)]
    return module


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", python_pages())
def test_python_examples_run_in_the_order_of_the_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # examples may print
    functions = Functions()  # trackers of the examples load no networks
    monkeypatch.setitem(online._BUILDERS, "pose", lambda component, compute: functions.estimate_poses)
    monkeypatch.setitem(online._BUILDERS, "reid", lambda component, compute: functions.embed)
    names: dict[str, object] = {"__name__": "example"}
    for number, text in enumerate(blocks(page, "python"), start=1):
        try:
            exec(compile(runnable(text), f"{relative(page)}, example {number}", "exec"), names)
        except Exception as error:
            raise AssertionError(f"{relative(page)}, example {number}:\n{text}") from error


def test_the_guide_makes_a_detector_that_the_table_could_hold(folder: Path) -> None:
    names: dict[str, object] = {"__name__": "example"}
    text = blocks(ROOT / "docs" / "guides" / "own_detector.md", "python")[-1]
    imports = "import numpy as np\nfrom kprtrack import Detections\n"
    exec(compile(imports + text, "own_detector.md", "exec"), names)
    detector = names["MiddleDetector"](names["MiddleConfig"](), None, None)  # type: ignore[operator]
    with open_source(folder / "video.mp4") as video:
        frames = list(video)
    found = detector(frames)
    height, width = frames[0].image.shape[:2]
    assert len(found) == len(frames)
    np.testing.assert_allclose(
        found[0].boxes, [[0.4 * width, 0.4 * height, 0.6 * width, 0.6 * height]], rtol=1e-6
    )


def test_optional_packages_are_named_by_their_extra() -> None:
    """`pip install ".[a,b]"` names extras that exist."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for page in PAGES:
        for extras in re.findall(r"pip install \"(?:\.|kprtrack)\[([\w,]+)\]\"", page.read_text("utf-8")):
            assert not set(extras.split(",")) - set(project["optional-dependencies"])
