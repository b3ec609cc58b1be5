"""The files around the code agree with each other: dependencies, versions, addresses, workflows."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

import kprtrack

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
YAML_FILES = [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / "mkdocs.yml", ROOT / "CITATION.cff"]


def names(requirements: list[str | dict[str, str]]) -> set[str]:
    """Names of packages, without groups that are included."""
    return {re.split(r"[\[<>=!~ ]", each)[0] for each in requirements if isinstance(each, str)} - {"kprtrack"}


def test_every_dependency_is_described() -> None:
    wanted = names(PROJECT["project"]["dependencies"])
    for group in (PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]):
        wanted |= {name for requirements in group.values() for name in names(requirements)}
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    described = set()
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6:  # package, what for, licence, version, size, released
            described.add(cells[0])
        if len(cells) in (6, 7):  # with the extra or group in front
            described |= set(cells[1].split(", "))
    assert not wanted - described


def test_every_extra_and_group_is_described() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    known = {*PROJECT["project"]["optional-dependencies"], *PROJECT["dependency-groups"]}
    assert not [name for name in known if f"| `{name}` |" not in page]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_files_can_be_read(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert kprtrack.__version__ == PROJECT["project"]["version"] == citation["version"]


def test_the_address_of_the_repository_is_the_same_everywhere() -> None:
    address = PROJECT["project"]["urls"]["Repository"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert address == citation["repository-code"] == site["repo_url"]
    owner = address.rpartition("/")[0]
    for path in (*YAML_FILES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(rf"{re.escape(owner)}[^\s)>\"'`]*", path.read_text("utf-8")):
            assert link == address or link.startswith(f"{address}/"), f"{path.name}: {link}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_only_read_and_use_fixed_versions(path: Path) -> None:
    text = path.read_text("utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert not [job for job, content in workflow["jobs"].items() if "permissions" in content]
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert not [action for action in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+(\.\d+){0,2}", action)]


def test_the_workflow_runs_on_all_systems_and_python_versions_that_are_promised() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    promised = [
        classifier.rpartition(" :: ")[2]
        for classifier in PROJECT["project"]["classifiers"]
        if re.match(r"Programming Language :: Python :: 3\.\d+$", classifier)
    ]
    assert matrix["python"] == promised
    assert PROJECT["project"]["requires-python"] == f">={promised[0]}"
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_the_workflow_runs_every_check_of_the_local_script() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    local = re.findall(r"^uv run .*", (ROOT / ".ci" / "run").read_text("utf-8"), flags=re.MULTILINE)
    assert local
    assert not [check for check in local if re.sub(r" -n \d+", "", check) not in workflow]


def test_no_tracked_file_is_ignored() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git clone")
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert not subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
