"""The direction of imports, what may be imported when, and how long a file may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("reid", "kprtrack", "eval")
FILES = sorted(file.relative_to(ROOT) for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
SCRIPTS = sorted(file.relative_to(ROOT) for file in (ROOT / "tools").rglob("*.py"))
CONFIGS = sorted(file.relative_to(ROOT) for file in (ROOT / "configs").rglob("*.py"))

NOT_FROM = {"reid": {"kprtrack", "eval"}, "kprtrack": {"eval"}, "eval": set()}
# The command line starts every part of the project, eval included, from inside the verb's function.
COMMAND_LINE = {Path(f"kprtrack/commands_{verb}.py") for verb in ("demo", "eval", "reid")}
# Installed only by those who ask for an extra.
OPTIONAL = {"mmcv", "mmpose", "onnx", "onnxruntime", "openvino", "pyarrow", "ultralytics"}
# Half a second or more each: too slow for help and for tracking without networks.
HEAVY = ("av", "cv2", "mmengine", "timm", "torch", "torchvision")

LONGEST = 270  # lines that are not blank
ONE_TABLE = Path("kprtrack/model_catalogue.py")  # longer: it is data


def _tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"), str(file))


def _packages(node: ast.AST) -> Iterator[str]:
    """Top-level package of everything an import statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports name the whole path"
        yield (node.module or "").partition(".")[0]


def _imports(file: Path) -> set[str]:
    return {package for node in ast.walk(_tree(file)) for package in _packages(node)}


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
        found.update(_packages(node))
        waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("file", FILES, ids=str)
def test_reid_knows_nothing_of_tracking_and_tracking_nothing_of_evaluation(file: Path) -> None:
    wrong = _imports(file) & NOT_FROM[file.parts[0]]
    assert not wrong or (file in COMMAND_LINE and wrong == {"eval"})


@pytest.mark.parametrize("file", FILES, ids=str)
def test_nothing_imports_tools_or_tests(file: Path) -> None:
    assert not _imports(file) & {"tools", "tests", "configs"}


@pytest.mark.parametrize("file", [*FILES, *SCRIPTS], ids=str)
def test_optional_packages_are_imported_where_they_are_used(file: Path) -> None:
    assert not _imports_at_once(file) & OPTIONAL


@pytest.mark.parametrize("file", sorted(COMMAND_LINE), ids=str)
def test_the_command_line_imports_evaluation_only_when_asked(file: Path) -> None:
    assert "eval" not in _imports_at_once(file)


@pytest.mark.parametrize("file", CONFIGS, ids=str)
def test_configs_import_nothing(file: Path) -> None:
    assert not _imports(file)


@pytest.mark.parametrize("file", [*FILES, *SCRIPTS], ids=str)
def test_files_stay_short(file: Path) -> None:
    lines = [line for line in (ROOT / file).read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) <= LONGEST or file == ONE_TABLE


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import kprtrack", (*HEAVY, "numpy")),
        ("import kprtrack.cli, kprtrack.commands, kprtrack.commands_eval", (*HEAVY, "numpy")),
        ("from kprtrack.cli import main; main(['--help'])", (*HEAVY, "numpy")),
        ("from kprtrack.cli import main; main(['track', '--help'])", (*HEAVY, "numpy")),
        ("from kprtrack.cli import main; main(['bench', 'posetrack21', '--help'])", (*HEAVY, "numpy")),
        ("import eval.report, eval.report_html, eval.report_json, eval.pictures", (*HEAVY, "matplotlib")),
        ("import kprtrack.datatypes, kprtrack.results, kprtrack.pipeline, kprtrack.config", HEAVY),
        ("import kprtrack.association, kprtrack.motion, kprtrack.trackers.kpr", HEAVY),
        ("import kprtrack.trackers.bytetrack", HEAVY),
        ("import kprtrack.detectors, kprtrack.poses, kprtrack.embedders, kprtrack.trackers", HEAVY),
        ("import kprtrack.models", HEAVY),
        ("import reid.appearance, reid.skeleton, reid.errors", HEAVY),
        ("from kprtrack import build_tracker, follow, read_tracks, Tracks", HEAVY),
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
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stderr == ""
