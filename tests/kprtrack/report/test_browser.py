"""The report in Chromium: hostile names do nothing, nothing is loaded, it fits on a phone."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.review_cases import make_result, make_video

from kprtrack.io import write_tracks
from kprtrack.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs an installed Chromium (apt install chromium)"),
]
SCRIPT = "Object.assign(document.createElement('script'), {textContent: 'document.title = 1'})"
HOSTILE = "<img src=//example.com/x onerror=\"document.title='taken over'\">"


def test_hostile_names_are_inert_nothing_is_loaded_and_it_fits_on_a_phone(tmp_path: Path) -> None:
    video, path, out = make_video(tmp_path / "video.mp4"), tmp_path / "tracks.json", tmp_path / "report.html"
    tracks = make_result(path)
    header = replace(tracks.header, names={1: HOSTILE, 2: "x" * 100})
    write_tracks(replace(tracks, header=header), path)
    write_report([(path, str(video))], out)
    requests: list[str] = []
    problems: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(out.as_uri())
        assert page.title() == "People in tracks.json"
        assert page.get_by_text(HOSTILE).count() >= 2
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        loaded = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
        assert page.evaluate(loaded) and page.locator("img").count() > 6
        background = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(background)
        page.emulate_media(color_scheme="light")
        assert page.evaluate(background) != dark
        # Bars are where the times are: track 3 begins after half of the video.
        bar, seen = page.locator("svg.bar").nth(2), page.locator("svg.bar .seen rect").nth(2)
        assert seen.bounding_box()["x"] > bar.bounding_box()["x"] + 0.5 * bar.bounding_box()["width"]
        # The policy of the page forbids scripts, even those that a fault would let in.
        page.evaluate(f"document.body.append({SCRIPT})")
        assert page.title() == "People in tracks.json"
        browser.close()
    assert [url for url in requests if not url.startswith(("data:", "file:"))] == []
    assert all("Content Security Policy" in text for text in problems)
