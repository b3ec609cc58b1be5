"""Draw the figure of the review page: the clip of `kprtrack demo`, tracked and opened in Chromium.

python tools/draw_review_page.py            # writes docs/figures/review.png; needs an installed Chromium
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from kprtrack.cli.demo import CLIP
from kprtrack.run import track_video

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "review.png"
SIZE = {"width": 1120, "height": 700}
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def draw(out: Path, folder: Path) -> None:
    """Track the clip, open the page at its second risky moment and write what it shows.

    Args:
        out: The PNG file.
        folder: For the tracks.
    """
    tracks = folder / "tracks.json"
    track_video(CLIP, tracks)
    command = [sys.executable, "-m", "kprtrack", "review", str(tracks), str(CLIP), "--no-browser", "--quiet"]
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        sys.exit(f"Chromium is not installed: none of {', '.join(PROGRAMS)} is there.")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as started:
        assert server.stdout is not None
        try:
            browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE)
            page.goto(server.stdout.readline().strip())
            page.wait_for_selector("body[data-ready]")
            for key in "nnf":
                page.keyboard.press(key)
            expect(page.locator("#preview")).to_contain_text("becomes")
            frame = page.input_value("#text").split()[-1]  # swap 2 3 at frame 17
            expect(page.locator("#stage")).to_have_attribute("data-frame", frame)
            image = Image.open(io.BytesIO(page.screenshot()))
            browser.close()
        finally:
            server.terminate()
    image.quantize(256).save(out)  # a third of the size


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=FIGURE, metavar="FILE", help="default: docs/figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw(options.out, Path(folder))
    print(options.out)


if __name__ == "__main__":
    main()
