"""The annotated video: readable, true in time, and never half there under its own name."""

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from kprtrack.core.errors import OutputError, UserError
from kprtrack.video.source import open_source
from kprtrack.video.writer import VideoWriter

FULL_DISK = """
import resource, sys
import numpy as np
from kprtrack.video.writer import VideoWriter
from kprtrack.core.errors import OutputError

resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
random = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], 160, 120, 10.0) as video:
        for i in range(200):
            video.write(random.integers(0, 255, (120, 160, 3), dtype=np.uint8), i / 10)
except OutputError as error:
    print(error)
"""


def grey(level, width=64, height=48):
    return np.full((height, width, 3), level, np.uint8)


def write_video(path, times_s, *, width=64, height=48, fps=10.0):
    with VideoWriter(path, width, height, fps) as video:
        for i, time_s in enumerate(times_s):
            video.write(grey((20 + 10 * i) % 250, width, height), time_s)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".webm", ".MP4"])
def test_what_was_written_is_read_back(tmp_path, suffix):
    source = open_source(write_video(tmp_path / f"out{suffix}", np.arange(12) / 10))
    frames = list(source)
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(12) / 10, atol=1e-3)
    np.testing.assert_allclose([frame.image.mean() for frame in frames], 20 + 10 * np.arange(12), atol=4)
    assert source.info.duration_s == pytest.approx(1.2, abs=0.02)


def test_mp4_holds_h264_in_the_layout_every_player_shows(tmp_path):
    with av.open(str(write_video(tmp_path / "out.mp4", [0, 0.1]))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_variable_frame_rate_is_kept(tmp_path, suffix):
    times_s = np.array([3.0, 3.04, 3.5, 3.51, 5.0, 5.033])
    frames = list(open_source(write_video(tmp_path / f"out{suffix}", times_s)))
    np.testing.assert_allclose([frame.time_s for frame in frames], times_s - 3, atol=1e-3)


def test_avi_moves_frames_to_its_constant_rate(tmp_path):
    frames = list(open_source(write_video(tmp_path / "out.avi", [0, 0.11, 0.19, 0.2, 0.42])))
    assert len(frames) == 5
    assert frames[-1].time_s == pytest.approx(0.4, abs=0.11)


def test_ntsc_times_stay_exact(tmp_path):
    times_s = np.arange(60) * 1001 / 30000
    frames = list(open_source(write_video(tmp_path / "out.mp4", times_s, fps=30000 / 1001)))
    np.testing.assert_allclose([frame.time_s for frame in frames], times_s, atol=2e-5)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_odd_sizes_grow_by_one_repeated_row_and_column(tmp_path, suffix):
    [first, *_] = open_source(write_video(tmp_path / f"out{suffix}", [0, 0.1], width=65, height=47))
    assert first.image.shape == (48, 66, 3)
    np.testing.assert_allclose(first.image[47, 65], 20, atol=4)


def test_oblong_pixels_are_passed_on(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", 64, 48, 10.0, sample_aspect_ratio=Fraction(16, 11)) as video:
        video.write(grey(9), 0)
    assert open_source(tmp_path / "out.mp4").info.sample_aspect_ratio == Fraction(16, 11)


def test_the_name_appears_only_when_the_video_is_complete(tmp_path):
    path = tmp_path / "out.mp4"
    video = VideoWriter(path, 64, 48, 10.0)
    video.write(grey(1), 0)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4.part"]
    video.close()
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_closing_twice_is_harmless(tmp_path):
    video = VideoWriter(tmp_path / "out.mp4", 64, 48, 10.0)
    video.write(grey(1), 0)
    video.close()
    video.close()
    assert len(list(open_source(tmp_path / "out.mp4"))) == 1


def test_nothing_is_left_where_no_frame_came(tmp_path):
    VideoWriter(tmp_path / "out.mp4", 64, 48, 10.0).close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_run_leaves_a_valid_video(tmp_path, interruption):
    with pytest.raises(interruption), VideoWriter(tmp_path / "out.mp4", 64, 48, 10.0) as video:
        for i in range(7):
            video.write(grey(i), i / 10)
        raise interruption
    assert len(list(open_source(tmp_path / "out.mp4"))) == 7


def test_an_older_video_stays_until_the_new_one_is_complete(tmp_path):
    path = write_video(tmp_path / "out.mp4", [0, 0.1, 0.2])
    video = VideoWriter(path, 64, 48, 10.0)
    video.write(grey(1), 0)
    assert len(list(open_source(path))) == 3
    video.close()
    assert len(list(open_source(path))) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are a thing of POSIX")
def test_a_full_disk_keeps_the_frames_so_far(tmp_path):
    path = tmp_path / "out.mp4"
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    with av.open(str(path)) as container:
        frames = sum(packet.size > 0 and not packet.is_corrupt for packet in container.demux(video=0))
    assert frames >= 10
    message = f"could not be written completely: file too large. The first {frames} of"
    assert message in run.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_an_unknown_suffix_is_rejected_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"\.mp4, \.mov, \.mkv, \.avi, \.webm, not '\.gif'"):
        VideoWriter(tmp_path / "out.gif", 64, 48, 10.0)


@pytest.mark.parametrize("name", ["absent/out.mp4", "folder.mp4", "file.txt/out.mp4"])
def test_an_unwritable_path_is_rejected_before_any_frame(tmp_path, name):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file.txt").touch()
    with pytest.raises(OutputError, match="Cannot write"):
        VideoWriter(tmp_path / name, 64, 48, 10.0)


def test_a_frame_of_another_size_is_rejected(tmp_path):
    with (
        VideoWriter(tmp_path / "out.mp4", 64, 48, 10.0) as video,
        pytest.raises(ValueError, match="has shape"),
    ):
        video.write(grey(1, width=32), 0)
