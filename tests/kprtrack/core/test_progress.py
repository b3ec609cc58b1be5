"""Progress is shown as plain lines, as a bar on a terminal, or not at all."""

import io
import subprocess
import sys
import time

import pytest

from kprtrack.core.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Advances by a step at each frame, not at each reading."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def run(frames, total, *, seconds_a_frame, stream=None, quiet=False):
    stream, clock = stream or io.StringIO(), Clock()
    with Progress(total, "clip.mp4", quiet=quiet, stream=stream, clock=clock) as progress:
        for _ in range(frames):
            clock.now_s += seconds_a_frame
            progress.advance()
    return stream.getvalue()


def test_a_line_every_five_seconds_says_how_long_it_will_take():
    assert run(60, 300, seconds_a_frame=0.25).splitlines() == [
        "clip.mp4: 21/300 frames, 4.0 frames/s, 1:10 min left",
        "clip.mp4: 41/300 frames, 4.0 frames/s, 1:05 min left",
        "clip.mp4: 60/300 frames, 4.0 frames/s, 1:00 min left",
    ]


def test_the_first_forecast_leaves_the_warm_up_out():
    stream, clock = io.StringIO(), Clock()
    with Progress(80, "clip.mp4", stream=stream, clock=clock) as progress:
        for batch_s in (60.0, 4.0, 4.0):  # the networks are loaded and compiled in the first batch
            clock.now_s += batch_s
            for _ in range(8):
                progress.advance()
    assert stream.getvalue().splitlines()[0] == "clip.mp4: 17/80 frames, 2.0 frames/s, 32 s left"


def test_the_bar_leaves_the_warm_up_out():
    stream, bars = Terminal(), []
    with Progress(8, "clip.mp4", stream=stream) as progress:
        time.sleep(0.3)
        progress.advance(4)
        bars.append(stream.getvalue().rpartition("\r")[2])
        progress.advance(4)
    assert "4/8 [00:00<?" in bars[0] and "8/8" in stream.getvalue()


@pytest.mark.parametrize(
    ("total", "left"),
    [(41, "5 s"), (21 + 4 * 59, "59 s"), (21 + 4 * 60, "1:00 min"), (21 + 4 * 3723, "1:02:03 h")],
)
def test_the_time_left_is_written_for_people(total, left):
    line = run(21, total, seconds_a_frame=0.25).splitlines()[0]
    assert line.endswith(f"frames/s, {left} left")


def test_an_unknown_total_has_no_time_left():
    assert run(20, None, seconds_a_frame=0.25) == "clip.mp4: 20 frames, 4.0 frames/s\n"


def test_a_short_run_ends_with_one_line():
    assert run(3, 3, seconds_a_frame=0.5) == "clip.mp4: 3/3 frames, 2.0 frames/s\n"


def test_more_frames_than_stated_do_no_harm():
    assert run(3, 2, seconds_a_frame=0.5) == "clip.mp4: 3/2 frames, 2.0 frames/s\n"


def test_several_frames_advance_at_once():
    stream = io.StringIO()
    with Progress(8, "clip.mp4", stream=stream, clock=Clock()) as progress:
        progress.advance(8)
    assert stream.getvalue().startswith("clip.mp4: 8/8 frames")


def test_a_terminal_shows_a_bar():
    shown = run(10, 10, seconds_a_frame=0.0, stream=Terminal())
    assert "clip.mp4" in shown
    assert "10/10" in shown
    assert "\r" in shown


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_quiet_is_silent(stream):
    assert run(50, 50, seconds_a_frame=1, stream=stream, quiet=True) == ""


def test_an_exception_still_ends_the_line():
    stream, clock = io.StringIO(), Clock()
    with pytest.raises(KeyboardInterrupt), Progress(9, "clip.mp4", stream=stream, clock=clock) as progress:
        clock.now_s += 1
        progress.advance()
        raise KeyboardInterrupt
    assert stream.getvalue() == "clip.mp4: 1/9 frames, 1.0 frames/s, 8 s left\n"


def test_tqdm_is_loaded_only_for_a_bar():
    code = "import sys, kprtrack.core.progress; assert not {'tqdm', 'av', 'cv2', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
