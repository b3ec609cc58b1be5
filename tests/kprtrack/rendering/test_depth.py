"""Videos of 10 bits keep them where nothing is drawn."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kprtrack.core.datatypes import Tracks
from kprtrack.io import RunHeader, TrackFile, open_writer, read_tracks
from kprtrack.rendering.video import draw_video
from kprtrack.video.colour import with_changes
from kprtrack.video.source import open_source

WIDTH, HEIGHT, FRAMES = 512, 96, 4
RAMP = np.linspace(100, 900, WIDTH).round().astype(np.uint16)  # more levels than 8 bits have

pytestmark = pytest.mark.skipif(
    "libx265" not in av.codecs_available, reason="PyAV was built without this encoder"
)


def filled(frame: av.VideoFrame, luma: np.ndarray) -> av.VideoFrame:
    for plane, values in zip(frame.planes, (luma, 512, 512), strict=True):
        np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width] = values
    return frame


def luma_of(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width].copy()


def ten_bits(path: Path) -> Path:
    """A ramp of grey, without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p10le"
        for number in range(FRAMES):
            frame = filled(av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le"), RAMP)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def tracked(folder: Path) -> TrackFile:
    """A person at the left edge of the first frames."""
    box, unknown = np.float32([[20, 10, 60, 90]]), np.full(1, np.nan, np.float32)
    keypoints = np.zeros((1, 17, 3), np.float32)
    one = Tracks(
        0,
        0.0,
        np.array([1]),
        box,
        np.float32([0.9]),
        keypoints,
        unknown,
        unknown,
        np.zeros((1, 0), bool),
        np.zeros(1, bool),
    )
    with open_writer(folder / "t.json", RunHeader({"width": WIDTH, "height": HEIGHT, "fps": 25.0})) as writer:
        for number in range(FRAMES):
            writer.write(replace(one, frame_number=number, time_s=number / 25))
    return read_tracks(folder / "t.json")


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_an_annotated_video_of_ten_bits_keeps_them(tmp_path: Path, name: str) -> None:
    source = ten_bits(tmp_path / "ten.mkv")
    draw_video(tracked(tmp_path), source, tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        frames = list(container.decode(video=0))
        assert (frames[0].format.name, container.streams.video[0].codec_context.name) == (
            "yuv420p10le",
            "hevc",
        )
    assert len(frames) == FRAMES
    for frame in frames:
        clear = luma_of(frame)[:, 200:].astype(int)  # away from the box and its label
        assert np.abs(clear - RAMP[200:]).mean() < 1.0
        assert len(np.unique(clear)) > 280  # with 8 bits they are about 110
        assert np.abs(luma_of(frame)[:, :70].astype(int) - RAMP[:70]).max() > 100  # the box


@pytest.mark.parametrize("name", ["a.avi", "a.webm"])
def test_other_formats_have_eight_bits(tmp_path: Path, name: str) -> None:
    draw_video(tracked(tmp_path), ten_bits(tmp_path / "ten.mkv"), tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        assert next(container.decode(video=0)).format.name == "yuv420p"


def test_only_changed_pixels_are_those_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    decoded = filled(av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le"), RAMP)
    drawn = filled(av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le"), np.uint16(64))
    changed = rng.random((HEIGHT, WIDTH)) < 0.2
    found = luma_of(with_changes(decoded, drawn, changed))
    assert np.array_equal(found, np.where(changed, 64, RAMP))
    assert np.array_equal(luma_of(decoded), np.tile(RAMP, (HEIGHT, 1)))  # later frames may refer to it


def test_frames_of_eight_bits_are_not_kept(tmp_path: Path) -> None:
    with open_source(ten_bits(tmp_path / "ten.mkv")) as video:
        assert all(frame.deep.format.name == "yuv420p10le" for frame in video)
    draw_video(tracked(tmp_path), tmp_path / "ten.mkv", tmp_path / "eight.avi")
    with open_source(tmp_path / "eight.avi") as video:
        assert all(frame.deep is None for frame in video)
