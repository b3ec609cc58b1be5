"""Cameras and live streams that break off and come back; servers and cameras are made here."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from support import fake_run
from support.numbered import make_numbered, number_of, numbered_image
from support.rtsp import rtsp_server

from kprtrack.core.errors import UserError
from kprtrack.io import read_tracks
from kprtrack.run import track_video
from kprtrack.video import live
from kprtrack.video.clip import Clip
from kprtrack.video.inputs import TruncatedVideo
from kprtrack.video.source import open_source

SLOW_S = 0.002  # between two images of a camera


class Clock:
    """Stands for the module `time`: time that passes only while a source waits to connect again."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of live sources, which do not really wait."""
    clock = Clock()

    class Waiting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            clock.now_s += timeout or 0.0
            return self.is_set()

    monkeypatch.setattr(live, "time", clock)
    monkeypatch.setattr(live, "threading", SimpleNamespace(Event=Waiting))
    return clock


@contextmanager
def stream_server(answers: list[bytes | None]) -> Iterator[str]:
    """Serve one answer per connection, without a length, then close it; None: an error."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers.pop(0) if answers else None
            if answer is None:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/live.ts"
        server.shutdown()


def read_to_the_end(source):
    frames = []
    with pytest.raises(TruncatedVideo) as caught:
        for frame in source:
            frames.append(frame)
    return frames, str(caught.value)


@pytest.mark.usefixtures("clock")
def test_a_stream_that_breaks_off_continues_with_a_gap_in_time(tmp_path, caplog):
    recording = make_numbered(tmp_path / "a.ts", 40).read_bytes()
    later = make_numbered(tmp_path / "b.ts", 30).read_bytes()
    with stream_server([recording, None, later]) as url:
        source = open_source(url, reconnect_s=3)
        frames, error = read_to_the_end(source)
    assert source.info.live
    received = len(frames) + source.losses.dropped_frames
    assert received == 70
    numbers, times = [frame.number for frame in frames], [frame.time_s for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 69
    assert all(a < b for a, b in pairwise(times))
    after = next(frame for frame in frames if frame.number >= 40)
    before = [frame for frame in frames if frame.number < 40][-1]
    # It waits 0.5 s, is answered by an error, and waits 1 s.
    between = (after.number - before.number - 1) / 25
    assert after.time_s - before.time_s - between == pytest.approx(1.5, abs=1e-6)
    assert number_of(after.image) == after.number - 40
    assert "nothing was received for 3 s" in error
    assert "connecting again" in caplog.text


@pytest.mark.usefixtures("clock")
def test_an_rtsp_server_that_dies_and_comes_back(tmp_path, caplog):
    """A whole run: the result has the frames of both connections, and the gap in their times."""
    with rtsp_server((40, False), (0, False), (30, False)) as url:
        summary = track_video(Clip(url, reconnect_s=4), tmp_path / "tracks.json", networks=fake_run.NO_PEOPLE)
    read = read_tracks(tmp_path / "tracks.json")
    frames, dropped = list(read.frames), summary.losses.dropped_frames
    assert read.header.losses == summary.losses
    assert [one.frame for one in summary.losses.interruptions] == [40]
    assert summary.losses.interruptions[0].seconds == pytest.approx(1.5, abs=1e-6)
    assert len(frames) + dropped == 70
    assert frames[-1].frame_number == 69
    before, after = next(pair for pair in pairwise(frames) if pair[1].frame_number >= 40)
    # It waits 0.5 s, is turned away, and waits 1 s.
    between = (after.frame_number - before.frame_number - 1) / 25
    assert after.time_s - before.time_s - between == pytest.approx(1.5, abs=1e-6)
    assert "ended; connecting again in 0.5 s" in caplog.text
    assert "sent nothing that FFmpeg can read as a video; connecting again in 1 s" in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("clock")
def test_an_rtsp_server_that_falls_silent_is_named_and_connected_again(caplog):
    with rtsp_server((40, True), (30, False)) as url:
        frames, error = read_to_the_end(open_source(url, reconnect_s=2, timeout_s=2))
    assert [number_of(frame.image) for frame in frames if frame.number == 69] == [29]
    assert "could be read up to frame 40 only: nothing was received for 2 s; connecting again" in caplog.text
    assert "nothing was received for 2 s (--reconnect)" in error


def test_a_stream_is_not_tried_again_if_that_is_not_wanted(tmp_path):
    recording = make_numbered(tmp_path / "a.ts", 30).read_bytes()
    with stream_server([recording, recording]) as url:
        frames, _ = read_to_the_end(open_source(url, reconnect_s=0))
    assert frames[-1].number == 29
    with pytest.raises(UserError, match="must be 0 or more"):
        open_source(url, reconnect_s=-1)


@pytest.mark.usefixtures("clock")
def test_a_stream_that_comes_back_with_another_size_ends(tmp_path):
    first = make_numbered(tmp_path / "a.ts", 30).read_bytes()
    other = tmp_path / "b.ts"
    other.write_bytes(first)
    writer = cv2.VideoWriter(str(tmp_path / "b.mkv"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(10):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    with stream_server([first, (tmp_path / "b.mkv").read_bytes()]) as url:
        _, error = read_to_the_end(open_source(url, reconnect_s=5))
    assert "another image size, 64x48" in error


class Cameras:
    """Stands in for cv2.VideoCapture: each opening gives the next number of images."""

    def __init__(self, *images: int) -> None:
        self.images = list(images)
        self.opened = 0

    def __call__(self, number: int) -> "Cameras":
        self.opened += 1
        self.left = self.images.pop(0) if self.images else 0
        return self

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(SLOW_S)
        self.left -= 1
        return (True, numbered_image(self.left)) if self.left >= 0 else (False, None)

    def get(self, _: int) -> float:
        return 25.0

    def release(self) -> None:
        pass


@pytest.mark.usefixtures("clock")
def test_a_camera_that_was_unplugged_is_tried_again(monkeypatch):
    cameras = Cameras(5, 0, 7)
    monkeypatch.setattr(cv2, "VideoCapture", cameras)
    source = open_source(0, reconnect_s=2)
    frames, error = read_to_the_end(source)
    # The first image of each connection is used to find the size.
    assert len(frames) + source.losses.dropped_frames == 4 + 6
    assert frames[-1].number == 9
    assert cameras.opened >= 3
    assert max(b.time_s - a.time_s for a, b in pairwise(frames)) > 0.4
    assert "nothing was received for 2 s" in error


def test_closing_a_source_that_waits_for_its_camera_ends_the_thread(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Cameras(3))
    with open_source(0, reconnect_s=60) as source:
        frames = iter(source)
        next(frames)
        time.sleep(0.2)
    assert not [thread for thread in threading.enumerate() if thread.name == "kprtrack-decoder"]
