"""Citations of docs/reference name sections that exist, and every golden file is described."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
GOLDEN = ROOT / "tests" / "golden"
_SUFFIXES = (".py", ".md", ".toml", ".yml", ".yaml")
PAGES = ("detector_and_pose.md", "kinematics.md", "kpr.md", "tracking_and_evaluation.md")

# A line break within a citation may be followed by a comment's or docstring's indentation.
_GAP = r"(?:\s|#)+"
_SECTION = r"\d+(?:\.\d+)*"
_MORE = rf"(?:,{_GAP}(?:and{_GAP})?|{_GAP}and{_GAP}|-){_SECTION}"  # a list or a range
_CITATION = re.compile(rf"docs/reference/(\w+\.md)(?:{_GAP}({_SECTION}(?:{_MORE})*))?")
_OLD_CITATION = re.compile(
    rf"\bspecs?{_GAP}(?:\w+\.md\b|\d)|(?<!docs/reference/)\b(?:{'|'.join(map(re.escape, PAGES))}){_GAP}\d"
)
_HEADING = re.compile(rf"^#{{2,}} ({_SECTION}) ", re.MULTILINE)


def sections(page: str) -> list[str]:
    """The numbers of a page's sections, in order."""
    return _HEADING.findall((REFERENCE / page).read_text("utf-8"))


def texts() -> dict[str, str]:
    """Every tracked text file that may cite, by its path."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split() if listed.returncode == 0 else []
    folders = ("configs", "docs", "eval", "kprtrack", "reid", "tests", "tools")  # where there is no git
    paths = [ROOT / name for name in names] or [path for each in folders for path in (ROOT / each).rglob("*")]
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for path in paths
        if path.suffix in _SUFFIXES and path.is_file()
    }


TEXTS = texts()


@pytest.mark.parametrize("page", PAGES)
def test_sections_are_numbered_in_order_and_only_once(page: str) -> None:
    numbers = [tuple(map(int, number.split("."))) for number in sections(page)]
    assert numbers == sorted(set(numbers))
    assert {number[:-1] for number in numbers if len(number) > 1} <= set(numbers)


def test_every_citation_names_an_existing_section() -> None:
    known = {page: set(sections(page)) for page in PAGES}
    cited = [
        (path, match[1], number)
        for path, text in TEXTS.items()
        for match in _CITATION.finditer(text)
        for number in re.findall(_SECTION, match[2] or "")
    ]
    wrong = [(path, page, number) for path, page, number in cited if number not in known.get(page, ())]
    assert not wrong
    assert {page for _, page, _ in cited} == set(PAGES)


def test_code_cites_sections_and_not_whole_pages() -> None:
    bare = [
        (path, match[0])
        for path, text in TEXTS.items()
        if path.endswith(".py") and Path(path).name != Path(__file__).name
        for match in _CITATION.finditer(text)
        if match[2] is None
    ]
    assert not bare


def test_every_page_is_one_of_the_known() -> None:
    assert sorted(path.name for path in REFERENCE.glob("*.md")) == sorted(PAGES)


def test_no_citation_names_a_document_outside_of_the_repository() -> None:
    old = [
        (path, match[0])
        for path, text in TEXTS.items()
        if Path(path).name != Path(__file__).name
        for match in _OLD_CITATION.finditer(text)
    ]
    assert not old


def test_every_golden_file_is_described_and_every_described_one_exists() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", (GOLDEN / "README.md").read_text("utf-8"), re.MULTILINE)
    described = [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(described) == sorted(path.name for path in GOLDEN.iterdir() if path.name != "README.md")
