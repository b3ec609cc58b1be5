"""Draw the figures of the review page and of the report: the clip of `kprtrack demo`, opened in Chromium.

python tools/draw_pages.py            # writes review.png and report.png to docs/figures; needs Chromium
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from kprtrack.cli.demo import CLIP
from kprtrack.edits import Edits, edits_path
from kprtrack.io import read_tracks
from kprtrack.report import write_report
from kprtrack.run import track_video

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
SIZE = {"width": 1120, "height": 700}
REPORT_SIZE = {"width": 1120, "height": 980}
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def review_image(browser: Browser, tracks: Path) -> bytes:
    """Open the review page at its second risky moment.

    Args:
        browser: Chromium.
        tracks: Of the clip.

    Returns:
        What it shows, as PNG.
    """
    command = [sys.executable, "-m", "kprtrack", "review", str(tracks), str(CLIP), "--no-browser", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            page = browser.new_page(viewport=SIZE)
            page.goto(server.stdout.readline().strip())
            page.wait_for_selector("body[data-ready]")
            for key in "nnf":
                page.keyboard.press(key)
            expect(page.locator("#preview")).to_contain_text("becomes")
            frame = page.input_value("#text").split()[-1]  # swap 2 3 at frame 17
            expect(page.locator("#stage")).to_have_attribute("data-frame", frame)
            return page.screenshot()
        finally:
            server.terminate()


def report_image(browser: Browser, tracks: Path) -> bytes:
    """Open the report, with a name.

    Args:
        browser: Chromium.
        tracks: Of the clip.

    Returns:
        The beginning of the page, as PNG.
    """
    Edits(edits_path(tracks)).append(read_tracks(tracks), "name 1 Anna")
    out = tracks.with_name("report.html")
    write_report([(tracks, str(CLIP))], out)
    page = browser.new_page(viewport=REPORT_SIZE)
    page.goto(out.as_uri())
    return page.screenshot()


def main() -> None:
    """Draw the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=FIGURES, metavar="DIR", help="default: docs/figures")
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        sys.exit(f"Chromium is not installed: none of {', '.join(PROGRAMS)} is there.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tracks = Path(folder) / "tracks.json"
        track_video(CLIP, tracks)
        for name, draw in (("review", review_image), ("report", report_image)):
            out = options.out / f"{name}.png"
            Image.open(io.BytesIO(draw(browser, tracks))).quantize(256).save(out)  # a third of the size
            print(out)
        browser.close()


if __name__ == "__main__":
    main()
