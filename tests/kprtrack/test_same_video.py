"""Tracks, boxes and poses of a video are not used with another one."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from support import paths

from kprtrack.cli.main import main
from kprtrack.core.datatypes import Frame, Tracks
from kprtrack.core.errors import InputError
from kprtrack.detectors.file import FileConfig, FileDetector
from kprtrack.hub.store import sha256_of
from kprtrack.io import RunHeader, TrackFile, open_writer
from kprtrack.poses.file import FilePose
from kprtrack.rendering.video import draw_video
from kprtrack.video.source import open_source
from kprtrack.video.writer import VideoWriter

CASE = paths.SHARED / "cases" / "draw-on-another-video"


def film(path: Path, width: int = 64, height: int = 48, frames: int = 4, grey: int = 90) -> Path:
    with VideoWriter(path, width, height, 10) as writer:
        for number in range(frames):
            writer.write(np.full((height, width, 3), grey, np.uint8), number / 10)
    return path


def tracks_of(video: Path, frames: int = 4) -> TrackFile:
    """One person in every frame, with the header of a run on that video."""
    with open_source(video) as source:
        header = {**asdict(source.info), "time_base": str(source.info.time_base), "sha256": sha256_of(video)}
    boxes, keypoints = np.array([[5, 5, 25, 40]], np.float32), np.full((1, 17, 3), 9, np.float32)
    keypoints[..., 2] = 1
    ones, none = np.ones(1, np.float32), np.zeros((1, 0), bool)
    people = [
        Tracks(number, number / 10, np.array([1]), boxes, ones, keypoints, ones, ones, none, ones > 2)
        for number in range(frames)
    ]
    return TrackFile(RunHeader(video=header), people, True)


def written(path: Path, file: TrackFile) -> Path:
    with open_writer(path, file.header) as writer:
        for tracks in file.frames:
            writer.write(tracks)
    return path


def test_the_video_of_the_tracks_needs_no_note(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4")
    assert draw_video(tracks_of(video), video, tmp_path / "o.mp4").notes == ()


def test_another_size_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    tracks, other = tracks_of(film(tmp_path / "a.mp4")), film(tmp_path / "b.mp4", 128, 96)
    with pytest.raises(InputError, match="the tracks has 64 x 48 pixels, that of 'b' 128 x 96"):
        draw_video(tracks, other, tmp_path / "o.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("frames", "grey", "notes"),
    [(4, 30, ["different content (sha256)"]), (2, 90, ["content", "frames (4 and 2)", "end with frame 3"])],
)
def test_another_content_or_length_is_noted(tmp_path: Path, frames: int, grey: int, notes: list[str]) -> None:
    other = film(tmp_path / "b.mp4", frames=frames, grey=grey)
    found = draw_video(tracks_of(film(tmp_path / "a.mp4")), other, tmp_path / "o.mp4").notes
    assert len(found) == len(notes)
    assert all(part in note for part, note in zip(notes, found, strict=True))


def test_the_command_line_prints_the_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracks = written(tmp_path / "t.json", tracks_of(film(tmp_path / "a.mp4")))
    other, out = film(tmp_path / "b.mp4", grey=30), tmp_path / "o.mp4"
    assert main(["draw", str(tracks), str(other), "--out", str(out)]) == 0
    assert "note: the tracks and 'b' were made from videos with different content" in capsys.readouterr().err


@pytest.mark.parametrize(
    "run",
    [
        lambda path, frame: FileDetector(FileConfig(), path)([frame]),
        lambda path, frame: FilePose(FileConfig(), path)([frame], FileDetector(FileConfig(), path)([])),
    ],
    ids=["detector", "pose"],
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_boxes_and_poses_of_another_size_are_an_error(
    tmp_path: Path, run: Callable[[Path, Frame], object], suffix: str
) -> None:
    path = written(tmp_path / f"t{suffix}", tracks_of(film(tmp_path / "a.mp4")))
    with pytest.raises(InputError, match="has 64 x 48 pixels, that of this run 32 x 24"):
        run(path, Frame(0, 0.0, np.zeros((24, 32, 3), np.uint8)))


@pytest.mark.skipif(not CASE.is_dir(), reason="the shared cases are not here")
def test_the_shared_case_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "d.mp4"
    assert main(["draw", str(CASE / "t4.json"), str(CASE / "four2.mp4"), "--out", str(out)]) == 3
    assert "320 x 240" in capsys.readouterr().err
    assert not out.exists()
