"""The direction of imports, what may be imported when, and how large files and folders may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from support.paths import ROOT

PACKAGES = ("kprtrack", "reid", "eval")
FILES = sorted(file.relative_to(ROOT) for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
FOLDERS = sorted({file.parent for file in FILES})
SCRIPTS = sorted(file.relative_to(ROOT) for file in (ROOT / "tools").rglob("*.py"))
CONFIGS = sorted(file.relative_to(ROOT) for file in (ROOT / "configs").rglob("*.py"))

# Who may import whom: the first prefix that fits a module decides.
MAY_IMPORT = {
    "kprtrack.core": ("kprtrack.core",),
    "kprtrack.cli": ("kprtrack", "reid", "eval"),
    "kprtrack.__main__": ("kprtrack",),
    "kprtrack": ("kprtrack", "reid"),
    "reid": ("reid", "kprtrack.core"),
    "eval": ("eval", "kprtrack", "reid"),
}
NOT_FROM_ELSEWHERE = "kprtrack.cli"  # the command line is started, never imported
WITHOUT_TORCH = ("kprtrack/core", "kprtrack/io", "kprtrack/trackers")
# Installed only by those who ask for an extra.
OPTIONAL = {"mmcv", "mmengine", "mmpose", "onnx", "onnxruntime", "openvino", "pyarrow", "ultralytics"}
OPTIONAL |= {
    "ezc3d",
    "movement",
    "ndx_pose",
    "openpyxl",
    "pandas",
    "polars",
    "pynwb",
    "rerun",
    "sleap_io",
    "supervision",
}
OPTIONAL |= {"xarray"}
# Half a second or more each: too slow for help and for tracking without networks.
HEAVY = ("av", "cv2", "mmengine", "timm", "torch", "torchvision")

# The default command neither needs nor imports them.
NOT_IN_CORE = ("matplotlib", "mmengine", "onnx", "onnxruntime", "scipy", "timm", "torch", "torchvision")

MOST_LINES = 300  # that are not blank
ONE_TABLE = Path("kprtrack/hub/catalog.py")  # longer: it is data
MOST_MODULES = {"kprtrack": 8, "reid": 3, "eval": 3}
MOST_MODULES_ELSEWHERE = 16


def _tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"), str(file))


def _module(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


MODULES = {_module(file): file for file in FILES}


def _named(node: ast.AST) -> Iterator[str]:
    """The modules that an import statement names; of ours, the most precise one."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports name the whole path"
        source = node.module or ""
        for alias in node.names:
            yield f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source


def _imports(file: Path) -> set[str]:
    """Everything a file imports, anywhere in it, under TYPE_CHECKING too."""
    return {name for node in ast.walk(_tree(file)) for name in _named(node)}


def _packages(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imports(file)}


def _imports_at_once(file: Path) -> set[str]:
    """What importing the file imports: all but what stands inside functions and under TYPE_CHECKING."""
    found: set[str] = set()
    waiting: list[ast.AST] = [*_tree(file).body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        found.update(_named(node))
        waiting += ast.iter_child_nodes(node)
    return found


def _within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_follow_the_arrows(file: Path) -> None:
    module = _module(file)
    allowed = next(targets for prefix, targets in MAY_IMPORT.items() if _within(module, (prefix,)))
    ours = {name for name in _imports(file) if name.partition(".")[0] in PACKAGES}
    assert not {name for name in ours if not _within(name, allowed)}
    if not _within(module, (NOT_FROM_ELSEWHERE, "kprtrack.__main__")):
        assert not {name for name in ours if _within(name, (NOT_FROM_ELSEWHERE,))}


def test_there_is_no_import_circle() -> None:
    """Neither at import time, nor by an import inside a function or under TYPE_CHECKING."""
    graph = {
        module: {name for name in _imports(file) if name in MODULES and name != module}
        for module, file in MODULES.items()
        if module != "kprtrack"  # names the public API for type checkers
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_nothing_imports_tools_or_tests(file: Path) -> None:
    assert not _packages(file) & {"tools", "tests", "support", "configs"}


@pytest.mark.parametrize("file", [*FILES, *SCRIPTS], ids=str)
def test_optional_packages_are_imported_where_they_are_used(file: Path) -> None:
    assert not {name.partition(".")[0] for name in _imports_at_once(file)} & OPTIONAL


@pytest.mark.parametrize(
    "file", [file for file in FILES if _within(_module(file), ("kprtrack.cli",))], ids=str
)
def test_the_command_line_imports_evaluation_only_when_asked(file: Path) -> None:
    assert "eval" not in {name.partition(".")[0] for name in _imports_at_once(file)}


@pytest.mark.parametrize("file", [f for f in FILES if f.as_posix().startswith(WITHOUT_TORCH)], ids=str)
def test_core_results_and_trackers_never_import_torch(file: Path) -> None:
    assert not _packages(file) & {"torch", "torchvision", "timm", "accelerate"}


@pytest.mark.parametrize("file", CONFIGS, ids=str)
def test_configs_import_nothing(file: Path) -> None:
    assert not _imports(file)


@pytest.mark.parametrize("file", [*FILES, *SCRIPTS], ids=str)
def test_files_stay_short(file: Path) -> None:
    lines = [line for line in (ROOT / file).read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES or file == ONE_TABLE


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_folders_stay_small(folder: Path) -> None:
    modules = [file for file in (ROOT / folder).glob("*.py") if file.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES.get(folder.as_posix(), MOST_MODULES_ELSEWHERE)


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import kprtrack", (*HEAVY, "numpy")),
        ("import kprtrack.cli.main", (*HEAVY, "numpy")),
        ("from kprtrack.cli.main import main; main(['--help'])", (*HEAVY, "numpy")),
        ("from kprtrack.cli.main import main; main(['track', '--help'])", (*HEAVY, "numpy")),
        ("from kprtrack.cli.main import main; main(['bench', 'posetrack21', '--help'])", (*HEAVY, "numpy")),
        ("import eval.report.text, eval.report.html", (*HEAVY, "matplotlib")),
        ("import eval.report.json, eval.report.plots", (*HEAVY, "matplotlib")),
        ("import kprtrack.core.datatypes, kprtrack.io, kprtrack.pipeline, kprtrack.config", HEAVY),
        ("import kprtrack.core.geometry, kprtrack.core.assignment, kprtrack.trackers.kpr", HEAVY),
        ("import kprtrack.trackers.bytetrack, kprtrack.trackers.motion", HEAVY),
        ("import kprtrack.trackers", HEAVY),
        ("import kprtrack.hub.store", HEAVY),
        ("import kprtrack.build, kprtrack.run, kprtrack.hub.export", NOT_IN_CORE),
        ("import kprtrack.detectors, kprtrack.poses, kprtrack.reid_encoders", NOT_IN_CORE),
        ("import kprtrack.core.appearance, kprtrack.core.skeleton, kprtrack.core.errors", HEAVY),
        ("import kprtrack.kinematics", (*HEAVY, "matplotlib", "scipy")),
        ("from kprtrack import build_tracker, read_tracks, Tracks", HEAVY),
    ],
)
def test_what_runs_no_network_starts_without_heavy_packages(
    statement: str, unwanted: tuple[str, ...]
) -> None:
    program = (
        f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(' '.join(name for name in {unwanted!r} if name in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=600
    )
    assert run.stderr == ""


def test_no_ten_lines_are_in_two_places() -> None:
    """Blank lines and indentation left out."""
    places: dict[tuple[str, ...], str] = {}
    repeated = []
    for file in FILES:
        written = (ROOT / file).read_text("utf-8").splitlines()
        lines = [(number, line.strip()) for number, line in enumerate(written, 1) if line.strip()]
        for start in range(len(lines) - 9):
            run = tuple(line for _, line in lines[start : start + 10])
            place = f"{file}:{lines[start][0]}"
            if places.setdefault(run, place) != place:
                repeated.append(f"{place} as {places[run]}")
    assert not repeated
