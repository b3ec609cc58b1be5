"""The documentation site has every public name, option and page, and loads nothing from other servers."""

import re
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

import kprtrack
from kprtrack.cli.main import SUBCOMMANDS

DOCS = ROOT / "docs"
SECTION = re.compile(r"^#{2,3} (kprtrack .*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def site():
    """tools/docs_site.py, which mkdocs loads by its path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        import docs_site

        yield docs_site


@pytest.fixture(scope="module")
def reference(site) -> str:
    return site.cli_reference()


def test_the_api_page_has_every_public_name_once() -> None:
    shown = re.findall(r"^::: kprtrack\.(\w+)$", (DOCS / "api.md").read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(shown) == sorted(set(kprtrack.__all__) - {"__version__"})


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_cli_reference_has_every_option_that_help_prints(reference: str, name: str) -> None:
    _, *parts = SECTION.split(reference)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    lines = re.findall(r"^  -.*$", SUBCOMMANDS[name][0]().format_help(), flags=re.MULTILINE)
    printed = {
        option for line in lines for option in re.findall(r"--[a-z-]+", line.strip().partition("  ")[0])
    }
    assert "--quiet" in printed
    section = sections[f"kprtrack {name}"]
    assert not [option for option in printed - {"--help"} if f"`{option}" not in section]


def test_the_cli_reference_goes_where_the_page_marks_it(site) -> None:
    assert (DOCS / site.CLI_PAGE).read_text("utf-8").count(site.SUBCOMMANDS_MARK) == 1


def test_help_texts_are_no_markup(site) -> None:
    assert site._cell("a_b <FILE> | *x* `a_b|c`") == r"a\_b \<FILE\> \| \*x\* `a_b\|c`"


def pages_of(nav: list) -> list[str]:
    """The paths in a navigation, in order."""
    targets = [next(iter(entry.values())) if isinstance(entry, dict) else entry for entry in nav]
    return [
        path for target in targets for path in (pages_of(target) if isinstance(target, list) else [target])
    ]


def test_every_page_is_in_the_navigation_once(site) -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    pages = pages_of(site.expand_folders(nav))
    assert sorted(pages) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_a_folder_in_the_navigation_becomes_its_pages(site, tmp_path: Path) -> None:
    (tmp_path / "guides").mkdir()
    for name in ("b.md", "a.md", "figure.png"):
        (tmp_path / "guides" / name).touch()
    nav = ["index.md", {"Guides": ["guides/", {"More": "more.md"}]}, {"Concepts": ["concepts/"]}]
    assert site.expand_folders(nav, tmp_path) == [
        "index.md",
        {"Guides": ["guides/a.md", "guides/b.md", {"More": "more.md"}]},
    ]
    assert site.expand_folders(["guides/b.md", "guides/"], tmp_path) == ["guides/b.md", "guides/a.md"]


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("faq.md", "../SECURITY.md", "URL/SECURITY.md"),
        ("guides/film.md", "../../configs/track/paper.py", "URL/configs/track/paper.py"),
        ("guides/film.md", "../faq.md", "../faq.md"),
        ("faq.md", "formats.md#csv", "formats.md#csv"),
        ("faq.md", "../README.md#use", "URL/README.md#use"),
        ("faq.md", "#speed", "#speed"),
        ("faq.md", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_out_of_the_docs_lead_to_the_repository(site, page: str, link: str, expected: str) -> None:
    assert site.link_to_repository(f"see [it]({link}).", page, "URL") == f"see [it]({expected})."


@pytest.mark.parametrize(
    ("tag", "loads"),
    [
        ('<script src="https://example.org/a.js"></script>', True),
        ('<link rel="stylesheet" href="https://example.org/a.css">', True),
        ("<img alt=a src=//example.org/a.png>", True),
        ('<link rel="canonical" href="https://example.org/">', False),
        ('<a href="https://example.org/">there</a>', False),
        ('<script src="assets/a.js"></script>', False),
    ],
)
def test_what_loads_from_another_server_is_found(site, tag: str, loads: bool) -> None:
    assert bool(site.external_resources(f"<p>{tag}</p>")) == loads
