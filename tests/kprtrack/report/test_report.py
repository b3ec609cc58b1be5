"""The report of made videos, as an HTML parser finds it."""

import base64
import errno
import os
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.linked_cases import write_result
from support.numbered import HEIGHT, WIDTH, numbered_image
from support.report_page import ReportPage
from support.review_cases import FRAMES, TICKS, make_result, make_video
from support.tracks_cases import tracks_of

from kprtrack.cli.main import main
from kprtrack.edits import Edits, edits_path
from kprtrack.io import RunHeader, TrackFile, read_tracks, write_tracks
from kprtrack.report import write_report

HOSTILE = '<img src=x onerror="alert(1)">&<script>alert(2)</script>"\''


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_video(folder / "video.mp4")
    make_result(folder / "tracks.json")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    for file in made.iterdir():
        (tmp_path / file.name).hardlink_to(file)
    return tmp_path


def _page(folder: Path, *words: str) -> ReportPage:
    assert main(["report", *words, "--out", str(folder / "report.html"), "--quiet"]) == 0
    return ReportPage.of(folder / "report.html")


def _images(page: ReportPage) -> list[np.ndarray]:
    found = []
    for attributes in page.all("img"):
        kind, _, data = attributes["src"].partition(",")
        assert kind == "data:image/jpeg;base64"
        decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        found.append(decoded[..., ::-1])
    return found


def _bars(page: ReportPage) -> list[str]:
    return [attributes["aria-label"] for attributes in page.all("svg") if attributes.get("class") == "bar"]


def test_it_shows_who_was_there_when_with_images_and_loads_nothing(folder: Path) -> None:
    page = _page(folder, str(folder / "tracks.json"), str(folder / "video.mp4"))
    assert all(address.startswith(("data:image/jpeg;", "#")) for address in page.addresses)
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "style" not in {name for _, attributes in page.elements for name in attributes}
    [policy] = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    end = f"0:0{TICKS[-1] / 100 + 0.04:.1f}"
    begins = [f"0:0{TICKS[number] / 100:.1f}" for number in (20, 26)]
    assert _bars(page) == [
        f"seen 0:00.0 to {end}",  # track 2
        f"seen 0:00.0 to {begins[0]}",  # track 1
        f"seen {begins[1]} to {end}",  # track 3
    ]
    assert {each["alt"].split(" at ")[0] for each in page.all("img")} >= {"Track 1", "Track 2", "Track 3"}
    assert f"tracked frames {FRAMES}" in page.text


def test_images_are_those_of_the_person_in_that_frame(folder: Path) -> None:
    page = _page(folder, str(folder / "tracks.json"), str(folder / "video.mp4"))
    captions = [each for each in page.all("figcaption") if "title" in each]
    images = _images(page)[: len(captions)]
    for attributes, image, caption in zip(page.all("img"), images, captions, strict=False):
        number = int(caption["title"].removeprefix("frame "))
        track_id = int(attributes["alt"].removeprefix("Track ").partition(" at ")[0])
        left = 120 if track_id == 2 else 40 + number / 4
        # Box of 30 x 90 px with a margin of 5.4 px, at least 0.45 as wide as high.
        scaled = cv2.resize(image, (45, 101), interpolation=cv2.INTER_AREA).astype(int)

        def difference(other: int, scaled: np.ndarray = scaled, left: float = left) -> float:
            there = cv2.getRectSubPix(numbered_image(other), (45, 101), (left + 14.5, 64.5))
            return float(np.abs(scaled - there).mean())

        assert min(range(FRAMES), key=difference) == number
        assert attributes["height"] == "160"


def test_without_a_video_there_are_no_images_and_the_page_says_so(folder: Path) -> None:
    page = _page(folder, str(folder / "tracks.json"))
    assert not page.all("img")
    assert "made without a video" in page.text


def test_corrections_are_applied_and_listed(folder: Path) -> None:
    path = folder / "tracks.json"
    Edits(edits_path(path)).append(read_tracks(path), "3 = 1", "name 1 Anna", "delete 2")
    page = _page(folder, str(path), str(folder / "video.mp4"))
    [bar] = _bars(page)
    assert bar.count(" to ") == 2
    assert "Anna" in page.text and "Track 2" not in page.text
    assert "name 1 Anna" in page.text
    assert "1 people" not in page.text


def test_identity_confidence_is_shown_and_low_ones_are_marked(folder: Path) -> None:
    file = read_tracks(folder / "tracks.json")
    header = replace(file.header, identity_confidence={1: 0.93, 2: 0.41})
    write_tracks(replace(file, header=header), folder / "known.json")
    page = _page(folder, str(folder / "known.json"))
    assert "identity confidence 0.93" in page.text
    assert "identity confidence 0.41, worth a look" in page.text
    assert page.text.count("identity confidence") == 2  # that of track 3 is unknown


def test_hostile_names_are_text(folder: Path, tmp_path: Path) -> None:
    video = folder / "a<b>&'.mp4"
    (folder / "video.mp4").rename(video)
    tracks = read_tracks(folder / "tracks.json")
    header = replace(
        tracks.header,
        names={1: HOSTILE, 2: "安娜 שלום"},
        video={**tracks.header.video, "path": f"dir/{HOSTILE}.mp4"},
        config={HOSTILE: {HOSTILE: HOSTILE}},
        models={HOSTILE: {"name": HOSTILE}},
    )
    path = folder / "<i>&.json"
    write_tracks(replace(tracks, header=header), path)
    page = _page(folder, str(path), str(video))
    assert page.text.count(HOSTILE) >= 5
    assert "安娜 שלום" in page.text
    assert not page.all("script") and not page.all("i") and not page.all("b")
    assert all(each["src"].startswith("data:image/jpeg;base64,") for each in page.all("img"))


def test_linked_results_are_one_page_by_person(tmp_path: Path) -> None:
    results = [
        write_result(tmp_path, "one", {1: 10, 2: 20}, together=((1, 2),)),
        write_result(tmp_path, "two", {5: 20, 6: 30}, seed=1),
    ]
    for path, persons in zip(results, ({1: 1, 2: 2}, {5: 2, 6: 3}), strict=True):
        file = read_tracks(path)
        config = {"link_probability": {"5": 0.93}}
        write_tracks(replace(file, header=replace(file.header, persons=persons, config=config)), path)
    page = _page(tmp_path, *map(str, results))
    assert [each["id"] for each in page.all("article")] == ["person-1", "person-2", "person-3"]
    assert len(_bars(page)) == 4
    assert "in several videos" in page.text
    assert page.text.count("linked with probability 0.93") == 1
    assert "one.mp4" in page.text and "two.mp4" in page.text
    # The prototypes are of the results before they were linked.
    assert "belongs to another result" in page.text


def test_prototypes_decide_which_frames_are_shown(tmp_path: Path) -> None:
    path = write_result(tmp_path, "one", {1: 10})
    tracks = read_tracks(path)
    for number in range(tracks.frames[-1].frame_number + 1):
        image = numbered_image(number)
        size = max(WIDTH, int(tracks.frames[0].boxes[:, 2].max()) + 1), HEIGHT
        (tmp_path / "images").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / f"{number:04}.png"), cv2.resize(image, size))
    file = replace(tracks, header=replace(tracks.header, video={"fps": 10.0}))
    assert len(file.frames) > 0
    page = _page(tmp_path, str(path), str(tmp_path / "images"))
    frames = [int(each["title"].split()[1]) for each in page.all("figcaption") if "title" in each]
    assert frames == sorted(frames)
    assert 0 < len(frames) <= 8


@pytest.mark.slow
def test_many_tracks_of_two_hours_stay_small(tmp_path: Path) -> None:
    frames = []
    for number in range(720):  # one in 10 s
        ids = range(number // 36 * 10 + 1, number // 36 * 10 + 11)
        people = {
            track_id: (10 + track_id, 10, 40 + track_id, 90) for track_id in ids if (number + track_id) % 3
        }
        frames.append(tracks_of(people, number=number * 250, time_s=number * 10.0))
    path = tmp_path / "tracks.json"
    write_tracks(TrackFile(RunHeader(video={"fps": 25.0}), frames, True), path)
    page = _page(tmp_path, str(path))
    assert len(_bars(page)) == 200
    assert (tmp_path / "report.html").stat().st_size < 2_500_000
    assert "2 h tracked" in page.text


def test_images_of_many_people_fit_into_the_page() -> None:
    from kprtrack.report.images import encoded

    noise = np.random.default_rng(0).integers(0, 255, (160, 72, 3), dtype=np.uint8)
    images = encoded([noise] * 40, most_bytes=100_000)
    assert sum(len(image.address) for image in images) < 110_000
    assert len({image.height for image in images}) == 1


@pytest.mark.parametrize(
    "frames", [[], [tracks_of({}, number=0, time_s=0.0)], [tracks_of({}, number=3, time_s=float("nan"))]]
)
def test_results_without_people_have_a_page(tmp_path: Path, frames: list) -> None:
    path = tmp_path / "tracks.json"
    write_tracks(TrackFile(RunHeader(), frames, True), path)
    page = _page(tmp_path, str(path))
    assert "No person was tracked" in page.text


def test_formats_without_times_show_frames(tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    lines = [f"{number},7,10,20,30,40,0.9,-1,-1,-1" for number in range(1, 30) if not 10 < number < 20]
    path.write_text("\n".join(lines))
    page = _page(tmp_path, str(path))
    assert _bars(page) == ["seen frame 0 to frame 10, frame 19 to frame 29"]


def test_one_line_for_each_mistake(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tracks, video, out = (str(folder / name) for name in ("tracks.json", "video.mp4", "report.html"))
    (folder / "empty.json").write_text("{")
    cases = [
        ([str(folder / "missing.json")], 3, "missing.json"),
        ([str(folder / "empty.json")], 3, "empty.json"),
        ([tracks, str(folder / "missing.mp4")], 3, "missing.mp4"),
        ([video, tracks], 2, "Write it after the result"),
        ([tracks, video, video], 2, "Write it after the result"),
        ([tracks, "rtsp://host/stream"], 2, "can be read only once"),
    ]
    for words, code, text in cases:
        assert main(["report", *words, "--out", out]) == code, words
        error = capfd.readouterr().err
        assert text in error and error.count("\n") == 1 and "Traceback" not in error
        assert not Path(out).exists()
    assert main(["report", tracks, "--out", tracks]) == 2
    assert main(["report", tracks, "--out", str(folder / "report.pdf")]) == 2
    assert "ends in .html" in capfd.readouterr().err


def test_another_video_is_noted_and_one_of_another_size_is_an_error(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = read_tracks(folder / "tracks.json")
    path, words = folder / "other.json", ["--out", str(folder / "report.html")]
    header = replace(file.header, video={**file.header.video, "sha256": "0" * 64})
    write_tracks(replace(file, header=header), path)
    assert main(["report", str(path), str(folder / "video.mp4"), *words]) == 0
    assert "different content (sha256)" in capfd.readouterr().err
    assert "different content (sha256)" in ReportPage.of(folder / "report.html").text
    write_tracks(replace(file, header=replace(header, video={"width": 64, "height": 48})), path)
    assert main(["report", str(path), str(folder / "video.mp4"), *words]) == 3
    assert "64 x 48" in capfd.readouterr().err
    late = [*file.frames, tracks_of({2: (1, 1, 30, 90)}, number=999, time_s=9.0)]
    write_tracks(replace(file, header=file.header, frames=late), path)
    assert main(["report", str(path), str(folder / "video.mp4"), *words]) == 3
    assert "has no frame 999" in capfd.readouterr().err


def test_a_full_disk_leaves_the_old_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "report.html"
    out.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["report", str(folder / "tracks.json"), "--out", str(out)]) == 5
    assert out.read_text() == "old"
    assert not list(folder.glob("*.part"))


def test_from_python(folder: Path) -> None:
    assert write_report([(folder / "tracks.json", str(folder / "video.mp4"))], folder / "a.html") == ()
    assert re.search(r"<h1><bdi>People in ", (folder / "a.html").read_text("utf-8"))
