"""The page in Chromium: load, seek, correct, undo, reload, two windows, a killed server, a narrow window."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.review_cases import FRAMES, make_result, make_video, serve

from kprtrack.edits import Edits
from kprtrack.io import read_tracks

for module in ("starlette", "uvicorn"):
    pytest.importorskip(module, reason="needs the extra review")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs an installed Chromium (apt install chromium)"),
]
WAIT_MS = 60_000  # only a page that hangs waits so long
expect = playwright.expect
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_video(tmp_path / "video.mp4")
    make_result(tmp_path / "tracks.json")
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    process, address = serve(folder)
    yield address
    process.kill()
    process.communicate()


@pytest.fixture
def context(browser) -> Iterator[object]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


def _open(context, address: str):
    """The page; `problems` are its errors, and requests to any other address."""
    page = context.new_page()
    own, page.problems = (address.partition("#")[0], "blob:"), []

    def note(text: str, is_one: bool) -> None:
        if is_one:
            page.problems.append(text)

    page.on("pageerror", lambda error: note(str(error), True))
    page.on("console", lambda message: note(message.text, message.type == "error"))
    page.on("request", lambda request: note(request.url, not request.url.startswith(own)))
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    _at(page, 0)
    return page


def _at(page, frame: int) -> None:
    page.wait_for_selector(f"#stage[data-frame='{frame}']")


def _write(page, text: str) -> None:
    """Write an edit, as with any other key, and wait until it is saved."""
    version = page.get_attribute("body", "data-version")
    page.keyboard.press("/")
    page.fill("#text", text)
    page.press("#text", "Enter")
    page.wait_for_selector(f"body:not([data-version='{version}'])")
    page.wait_for_selector("#command", state="hidden")


def test_load_step_seek_merge_undo_and_reload(context, address: str, folder: Path) -> None:
    page = _open(context, address)
    page.keyboard.press("ArrowRight")
    _at(page, 1)
    page.keyboard.press("End")
    _at(page, FRAMES - 1)
    page.fill("#seek", "30")
    _at(page, 30)
    page.click("#stage", position=_middle_of(page, 3))
    expect(page.locator("#chosen")).to_have_text("Person 3")
    page.keyboard.press("m")
    page.keyboard.type("1")
    expect(page.locator("#preview")).to_contain_text("become track 1")
    page.keyboard.press("Enter")
    expect(page.locator("#saved")).to_contain_text("Saved")
    path = folder / "tracks.edits.jsonl"
    assert [edit.text for edit in Edits.read(path).edits] == ["3 = 1"]
    page.keyboard.press("u")
    expect(page.locator("#saved")).to_contain_text("edit 1 is undone")
    assert Edits.read(path).undone == {1}
    _write(page, "name 1 Anna")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    page.click("#tab-people")
    assert page.locator("#people").get_by_text("Anna (1)").count() == 1
    assert page.problems == []


def _middle_of(page, track_id: int) -> dict[str, float]:
    """Where a person of frame 30 is on the stage."""
    x1, y1, x2, y2 = {3: (47.5, 20, 77.5, 110), 2: (120, 20, 150, 110)}[track_id]
    box = page.locator("#stage").bounding_box()
    scale = min(box["width"] / 192, box["height"] / 128)
    left, top = (box["width"] - 192 * scale) / 2, (box["height"] - 128 * scale) / 2
    return {"x": left + (x1 + x2) / 2 * scale, "y": top + (y1 + y2) / 2 * scale}


def test_a_person_can_be_corrected_by_keyboard_alone(context, address: str, folder: Path) -> None:
    page = _open(context, address)
    page.keyboard.press("]")
    expect(page.locator("#chosen")).to_have_text("Person 1")
    page.keyboard.press("]")
    page.keyboard.press("d")
    expect(page.locator("#preview")).to_contain_text("deleted")
    page.keyboard.press("Enter")
    expect(page.locator("#saved")).to_contain_text("Saved")
    assert [edit.text for edit in Edits.read(folder / "tracks.edits.jsonl").edits] == ["delete 2"]
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_selector("#moments [aria-current='true']")
    assert page.problems == []


def test_playing_ends_at_the_last_frame(context, address: str) -> None:
    page = _open(context, address)
    page.fill("#seek", str(FRAMES - 8))
    _at(page, FRAMES - 8)
    page.focus("#stage")
    page.keyboard.press(" ")
    _at(page, FRAMES - 1)
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")


def test_a_second_window_shows_the_edits_of_the_first(context, address: str) -> None:
    first, second = _open(context, address), _open(context, address)
    _write(first, "name 2 Ben")
    second.click("#tab-edits")
    expect(second.locator("#edits")).to_contain_text("name 2 Ben")
    assert second.evaluate("document.body.dataset.version") == first.evaluate("document.body.dataset.version")


def test_a_wrong_edit_is_one_line_in_the_page_and_is_not_written(context, address: str, folder: Path) -> None:
    page = _open(context, address)
    page.keyboard.press("/")
    page.fill("#text", "1 = 2")
    page.wait_for_selector("#preview.wrong")
    assert "so they are two people" in page.inner_text("#preview")
    assert not (folder / "tracks.edits.jsonl").exists()


def test_a_killed_server_is_reported_and_loses_nothing(context, folder: Path) -> None:
    process, address = serve(folder)
    try:
        page = _open(context, address)
        _write(page, "delete 2")
    finally:
        process.kill()
        process.communicate()
    page.wait_for_selector("#alert:not([hidden])")
    assert "The server has ended" in page.inner_text("#alert")
    edited = Edits.read(folder / "tracks.edits.jsonl").apply(read_tracks(folder / "tracks.json")).tracks
    assert not any(2 in tracks.ids for tracks in edited.frames)
    port, _, token = address.rpartition(":")[2].partition("/#")
    again, address = serve(folder, int(port))
    try:
        assert address.partition("#")[2] != token
        page = _open(context, address)
        page.click("#tab-edits")
        expect(page.locator("#edits")).to_contain_text("delete 2")
    finally:
        again.kill()
        again.communicate()


def test_without_the_token_the_page_shows_one_line(context, address: str) -> None:
    page = context.new_page()
    page.goto(address.partition("#")[0])
    page.wait_for_selector("#alert:not([hidden])")
    assert "token" in page.inner_text("#alert")


def test_a_narrow_window_shows_everything_without_scrolling_sideways(browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    context.set_default_timeout(WAIT_MS)
    page = _open(context, address)
    page.click("#tab-people")
    page.click("#people .row >> nth=0")
    page.click("[data-action=name]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("#stage", "#play", "#next", "#text", "#apply", "#timeline", "#people"):
        assert page.locator(name).is_visible()
    assert page.problems == []
    context.close()
