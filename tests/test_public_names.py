"""What `import kprtrack` offers is there, documented, and in the README's words."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import pytest
from support import fake_run, paths

import kprtrack

ROOT = paths.ROOT
LOADS_NETWORKS = {"build_networks", "build_pose_estimator", "build_reid_encoder"}
NAMES = [name for name in kprtrack.__all__ if name != "__version__"]


def _named_for_type_checkers() -> set[str]:
    """Names imported under `if TYPE_CHECKING:`, which is all that editors and mypy see."""
    tree = ast.parse((ROOT / "kprtrack" / "__init__.py").read_text("utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(kprtrack, name)
    text = inspect.getdoc(found)
    assert text
    assert not text.startswith(f"{name}("), "a dataclass without a docstring of its own"


@pytest.mark.parametrize("name", NAMES)
def test_public_functions_say_their_types(name: str) -> None:
    found = getattr(kprtrack, name)
    if not callable(found) or (inspect.isclass(found) and issubclass(found, Exception)):
        return
    call = found.__init__ if inspect.isclass(found) else found
    parameters = [one for one in inspect.signature(call).parameters.values() if one.name != "self"]
    assert all(one.annotation is not inspect.Parameter.empty for one in parameters)


@pytest.fixture
def example_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What examples may use: the public names, networks, and a folder with the files of a run."""
    monkeypatch.chdir(tmp_path)
    fake_run.make_video(tmp_path / "video.mp4")
    kprtrack.observe_video("video.mp4", "observations.npz", networks=fake_run.NETWORKS)
    kprtrack.track_observations(kprtrack.read_observations("observations.npz"), "tracks.json")
    return {name: getattr(kprtrack, name) for name in NAMES} | {"networks": fake_run.NETWORKS, "Path": Path}


def _failures(name: str, text: str, names: dict[str, object]) -> list[str]:
    test = doctest.DocTestParser().get_doctest(text, dict(names), name, None, 0)
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append)
    return report


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LOADS_NETWORKS else ())
        for name in NAMES
        if callable(getattr(kprtrack, name))
    ],
)
def test_every_public_name_has_an_example_that_runs(name: str, example_names: dict[str, object]) -> None:
    text = inspect.getdoc(getattr(kprtrack, name)) or ""
    assert ">>> " in text
    failures = _failures(name, text, example_names)
    if any('which is not installed: pip install "kprtrack[' in one for one in failures):
        pytest.skip("an extra is not installed")
    assert failures == []


def test_the_example_of_the_package_runs(example_names: dict[str, object]) -> None:
    assert _failures("kprtrack", kprtrack.__doc__ or "", example_names) == []


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isfunction(getattr(kprtrack, name))])
def test_public_functions_document_arguments_and_results(name: str) -> None:
    function = getattr(kprtrack, name)
    text, signature = inspect.getdoc(function) or "", inspect.signature(function)
    assert ("Args:" in text) == bool(signature.parameters)
    for parameter in signature.parameters:
        assert f"\n    {parameter}: " in text
    returns = signature.return_annotation not in (None, "None")
    assert ("Returns:" in text or "Yields:" in text) == returns


def test_type_checkers_see_the_same_names() -> None:
    assert _named_for_type_checkers() == set(NAMES)


def test_the_list_names_nothing_twice_and_dir_shows_it() -> None:
    assert sorted(set(kprtrack.__all__)) == dir(kprtrack)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="track_vido"):
        kprtrack.track_vido  # noqa: B018


def test_the_version_is_that_of_the_package() -> None:
    assert f'version = "{kprtrack.__version__}"' in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize("package", ["kprtrack", "reid", "eval"])
def test_packages_promise_their_types(package: str) -> None:
    folder = Path(importlib.import_module(package).__file__ or "").parent
    assert (folder / "py.typed").is_file()
