"""The line of progress, against a calculation by hand."""

import io

from kprtrack.scale.progress import RunProgress


def test_a_line_every_five_seconds_with_the_time_left_by_bytes() -> None:
    now, stream = [100.0], io.StringIO()
    progress = RunProgress(3, 1000, stream=stream, clock=lambda: now[0])
    progress.show(0)
    now[0] = 110.0
    progress.show(0)
    now[0] = 120.0  # the first worker is ready
    progress.show(1)
    progress.advance(40)
    progress.video_done(250, failed=False)
    now[0] = 130.0
    progress.show(2)
    progress.video_done(250, failed=True)
    now[0] = 132.0  # too early for a line
    progress.show(2)
    now[0] = 140.0
    progress.show(2)
    assert stream.getvalue().splitlines() == [
        "the workers start",
        "0/3 videos, 0 frames, 0.0 frames/s, 1 worker",
        "1/3 videos, 40 frames, 4.0 frames/s, 30 s left, 2 workers",
        "2/3 videos, 1 failed, 40 frames, 2.0 frames/s, 20 s left, 2 workers",
    ]
    assert progress.working_s == 20


def test_quiet_shows_nothing() -> None:
    stream = io.StringIO()
    progress = RunProgress(1, 0, True, stream=stream, clock=lambda: 1e9)
    progress.show(1)
    progress.clear()
    assert not stream.getvalue()
