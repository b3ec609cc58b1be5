"""The contact sheet: thumbnails of the right person from the right frames, in the order of the matches."""

from pathlib import Path

import av
import numpy as np
import pytest
from support.finding_cases import COLOURS, coloured, write_coloured

from kprtrack.cli.main import main
from kprtrack.core.appearance import Appearance
from kprtrack.core.errors import InputError
from kprtrack.core.files.images import read_rgb
from kprtrack.finding import find_in_gallery, find_in_results
from kprtrack.finding.sheet import find_videos, match_sheet, places_in_gallery, places_in_results
from kprtrack.gallery import Gallery
from kprtrack.identity import TrackPrototypes
from kprtrack.identity.persons import video_key
from kprtrack.identity.results import read_results

PEOPLE = {"a.mp4": {1: 1, 2: 2}, "b.mp4": {1: 2, 3: 3}}
VIDEOS = [coloured(name, people, seed=row) for row, (name, people) in enumerate(PEOPLE.items())]
HEADERS = {video_key(video): video.header for video in VIDEOS}


def write_video(path: Path, prototypes: TrackPrototypes, people: dict[int, int]) -> None:
    """A video of 10 frames a second in which each person is seen at the prototypes alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 400, 160, "yuv420p"
        for number in range(int(prototypes.frames.max()) + 2):
            image = np.full((160, 400, 3), 128, np.uint8)
            for row in np.flatnonzero(prototypes.frames == number).tolist():
                x1, y1, x2, y2 = prototypes.boxes[row].astype(int).tolist()
                image[y1:y2, x1:x2] = COLOURS[people[int(prototypes.track_ids[prototypes.track_row[row]])]]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of two videos, the videos in a folder, and a gallery."""
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    with Gallery.open("people.kprdb", create=True) as gallery:
        for (name, people), video in zip(PEOPLE.items(), VIDEOS, strict=True):
            write_video(Path("clips") / name, video, people)
            write_coloured(Path(name).with_suffix(".json"), video)
            gallery.add(video)
    return tmp_path


def query(person: int) -> Appearance:
    features = np.tile(np.float32(COLOURS[person]) / np.linalg.norm(COLOURS[person]), (1, 3, 1))
    return Appearance(features, np.ones((1, 3), bool), np.ones(1, bool))


def colours_of(sheet: np.ndarray) -> list[list[int]]:
    """The people whose colour fills at least 1,000 pixels of each row of thumbnails, from above."""
    found = []
    near = {person: np.abs(sheet.astype(int) - colour).max(axis=2) < 30 for person, colour in COLOURS.items()}
    any_colour = np.logical_or.reduce(list(near.values())).any(axis=1)
    edges = np.flatnonzero(np.diff(np.r_[False, any_colour, False].astype(int)))
    for top, bottom in edges.reshape(-1, 2):
        if bottom - top > 50:
            found.append([person for person, mask in near.items() if mask[top:bottom].sum() > 1000])
    return found


def test_each_row_shows_the_track_and_the_first_row_who_was_searched_for(folder: Path) -> None:
    results = read_results(["a.json", "b.json"])
    matches = find_in_results(query(2), results, 3)
    videos = find_videos(HEADERS, [Path("clips")])
    image = np.full((200, 100, 3), COLOURS[5], np.uint8)
    sheet = match_sheet(matches, videos, places_in_results(results), (image, np.array([0, 0, 100, 200])))
    third = PEOPLE[matches[2].video][matches[2].track_id]
    assert colours_of(sheet) == [[5], [2], [2], [third]]
    with Gallery.open("people.kprdb") as gallery:
        found = find_in_gallery(query(2), gallery, 3)
        sheet_of_gallery = match_sheet(found, videos, places_in_gallery(gallery))
    assert colours_of(sheet_of_gallery) == [[2], [2], [third]]


def test_a_track_whose_video_is_nowhere_has_no_images(folder: Path) -> None:
    results = read_results(["a.json", "b.json"])
    matches = find_in_results(query(2), results, 2)
    Path("clips/b.mp4").unlink()
    sheet = match_sheet(matches, find_videos(HEADERS, [Path("clips")]), places_in_results(results))
    assert colours_of(sheet) == [[2]]
    with pytest.raises(InputError, match=r"There is no video videos/.\.mp4. Say where .* --videos"):
        match_sheet(matches, find_videos(HEADERS), places_in_results(results))


def test_another_video_of_the_same_name_is_an_error(folder: Path) -> None:
    header = {**VIDEOS[0].header, "video": {**VIDEOS[0].header["video"], "width": 640, "height": 480}}
    videos = find_videos({video_key(VIDEOS[0]): header}, [Path("clips/a.mp4")])
    results = read_results(["a.json"])
    with pytest.raises(InputError, match="640 x 480 pixels"):
        match_sheet(find_in_results(query(1), results, 1), videos, places_in_results(results))


def test_the_command_writes_the_sheet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["find", "people.kprdb", "--person", "2", "--in", "a.json", "b.json", "--top", "2"]
    assert main([*words, "--contact-sheet", "sheet.png", "--videos", "clips"]) == 0
    assert colours_of(read_rgb(Path("sheet.png"))) == [[2], [2]]
    capsys.readouterr()
    for options, code, reason in (
        (["--contact-sheet", "sheet.gif"], 2, "the suffix .png or .jpg"),
        (["--contact-sheet", "missing/sheet.png"], 5, "no folder missing"),
        (["--contact-sheet", "sheet.png", "--videos", "nowhere"], 3, "there is no nowhere"),
        (["--contact-sheet", "sheet.png"], 3, "Say where the videos are"),
        (["--videos", "clips"], 2, "--videos is for --contact-sheet"),
    ):
        assert main([*words, *options]) == code
        (line,) = capsys.readouterr().err.splitlines()
        assert reason in line
