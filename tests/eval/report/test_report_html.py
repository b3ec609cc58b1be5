"""The HTML page: whole in one file, and safe whatever sequences are called."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from support.report_cases import posetrack21

from eval.report.html import comparison_html, evaluation_html

NASTY = '<script>alert("x")</script> & $x$'
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads a page; knows every tag, and that all are closed in order."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_is_well_formed_and_holds_table_notes_and_explanations() -> None:
    page = Page(evaluation_html(posetrack21(), {}))
    assert page.open == []
    for text in (
        "data/posetrack21",
        "runs/kpr",
        "keypoints, official",
        "keypoints, fixed",
        "COMBINED",
        "54.00",
    ):
        assert text in page.text
    assert "official and fixed numbers differ." in page.text
    assert "The geometric mean of DetA and AssA" in page.text


def test_every_row_has_as_many_cells_as_its_table_has_columns() -> None:
    page = evaluation_html(posetrack21(), {}).decode()
    for table in re.findall(r"<table>.*?</table>", page, flags=re.DOTALL):
        _, *others = re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL)
        assert len({len(re.findall(r"<t[hd]", row)) for row in others}) == 1


def test_plots_are_inside_the_page() -> None:
    page = Page(evaluation_html(posetrack21(), {"thresholds": b"png", "identities": b"png"}))
    assert [image["src"] for image in page.named("img")] == ["data:image/png;base64,cG5n"] * 2


def test_the_page_asks_for_nothing_from_outside() -> None:
    page = evaluation_html(posetrack21(), {"thresholds": b"png"}).decode()
    assert not re.search(r"https?:|//|@import|url\(|<script|<link|<iframe", page.replace("base64,cG5n", ""))


def test_names_of_sequences_folders_and_runs_cannot_become_html() -> None:
    evaluation = replace(posetrack21([NASTY, "b"], notes=(NASTY,)), ground_truth=NASTY, results=NASTY)
    for data in (evaluation_html(evaluation, {}), comparison_html({NASTY: evaluation, "b": evaluation}, {})):
        page = Page(data)
        assert not page.named("script")
        assert NASTY in page.text


def test_invalid_text_in_a_path_is_replaced() -> None:
    assert b"runs/?" in evaluation_html(replace(posetrack21(), results="runs/\ud800"), {})


def test_every_sequence_has_its_row_even_if_they_are_many() -> None:
    names = [f"{i:06}_x_test" for i in range(170)]
    page = Page(evaluation_html(posetrack21(names), {}))
    assert all(name in page.text for name in names)


def test_a_comparison_shows_every_run_and_the_sequences_of_the_first() -> None:
    page = Page(comparison_html({"default": posetrack21(), "without prompts": posetrack21(differ=False)}, {}))
    assert page.open == []
    assert "without prompts" in page.text and "50.00 (-4.00)" in page.text
    assert "Tracking: default" in page.text and "000001_a_test" in page.text
