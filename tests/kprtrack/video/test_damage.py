"""Damaged videos: every readable frame keeps its number, and the visibly wrong ones are named."""

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from support import fake_cli
from support.numbered import make_numbered, number_of, numbered_image, overwrite, packets
from support.paths import SHARED

from kprtrack.core.errors import InputError, UserError
from kprtrack.video.inputs import TruncatedVideo
from kprtrack.video.source import Source, open_source

SOUND = {  # suffix of a file without damage -> encoder and its settings
    "b.mp4": ("libx264", {}),
    "open.mp4": ("libx264", {"options": {"x264-params": "open-gop=1:bframes=3"}}),
    "b.ts": ("libx264", {}),
    "b.mkv": ("libx264", {}),
    "b.avi": ("libx264", {}),
    "b.flv": ("libx264", {}),
    "h.mp4": ("libx265", {"options": {"x265-params": "log-level=none"}}),
    "h.ts": ("libx265", {"options": {"x265-params": "log-level=none"}}),
    "m.mp4": ("mpeg4", {"b_frames": 2}),
    "m.avi": ("mpeg4", {"b_frames": 2}),
    "m.mpg": ("mpeg2video", {"b_frames": 2}),
    "m.vob": ("mpeg2video", {"b_frames": 2}),
    "m.ts": ("mpeg2video", {"b_frames": 2}),
    "j.avi": ("mjpeg", {"pixel_format": "yuvj420p"}),
    "j.mjpeg": ("mjpeg", {"pixel_format": "yuvj420p"}),
    "v.webm": ("libvpx-vp9", {"options": {"deadline": "realtime", "cpu-used": "8"}}),
    "live.webm": (
        "libvpx-vp9",
        {"options": {"deadline": "realtime", "cpu-used": "8"}, "container_options": {"live": "1"}},
    ),
    "a.mp4": ("libsvtav1", {"options": {"preset": "12", "crf": "20"}}),
    "f.mkv": ("ffv1", {}),
    "g.gif": ("gif", {"pixel_format": "rgb8"}),
    "g.mov": ("png", {"pixel_format": "rgb24"}),
}


def read(source: Source) -> dict[int, np.ndarray]:
    return {frame.number: frame.image for frame in source}


def visibly_wrong(frames: dict[int, np.ndarray], sound: dict[int, np.ndarray]) -> set[int]:
    """The frames with a block of 8 x 8 pixels that differs by more than a tenth of the range."""
    wrong = set()
    for number, image in frames.items():
        difference = np.abs(image.astype(int) - sound[number]).mean(axis=2)
        height, width = difference.shape
        blocks = difference.reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3))
        if blocks.max() > 25:
            wrong.add(number)
    return wrong


def encoders() -> set[str]:
    return set(av.codec.codecs_available)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND)
def test_a_video_without_damage_has_no_damaged_frames(tmp_path, name):
    codec, settings = SOUND[name]
    if codec not in encoders():
        pytest.skip(f"this FFmpeg has no {codec}")
    source = open_source(make_numbered(tmp_path / name, codec=codec, **settings))
    frames = list(source)
    assert [frame.number for frame in frames] == [number_of(frame.image) for frame in frames]
    assert len(frames) == 60
    assert not source.losses


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_real_videos_have_no_damaged_frames():
    for path in sorted((SHARED / "real" / "videos").glob("*.mp4")):
        source = open_source(path)
        assert sum(1 for _ in source)
        assert not source.losses, path.name


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_every_visibly_wrong_frame_of_a_damaged_h264_file_is_named(tmp_path, seed):
    random = np.random.default_rng(seed)
    path = make_numbered(tmp_path / ("v.mp4" if seed % 2 else "v.mkv"))
    sound = read(open_source(path))
    position, size, _ = packets(path)[random.integers(5, 50)]
    at = position + 16 + int(random.integers(0, max(size - 60, 1)))
    overwrite(path, at, random.bytes(min(40, size - 10)) if seed % 4 else bytes(min(200, size - 10)))
    source = open_source(path)
    frames = read(source)
    damaged = set(source.losses.damaged_frames)
    assert visibly_wrong(frames, sound) <= damaged
    assert set(range(60)) - frames.keys() <= damaged
    assert all(number_of(image) == number for number, image in frames.items() if number not in damaged)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_reading_continues_with_the_right_numbers_after_a_packet_that_cannot_be_decoded(tmp_path, suffix):
    path = make_numbered(tmp_path / f"v{suffix}", options={"x264-params": "bframes=2:aud=0"})
    sound = read(open_source(path))
    position, size, _ = packets(path)[30]
    begin = position + {".mp4": 0, ".mkv": 16, ".ts": 184}[suffix]
    overwrite(path, begin, b"\x55" * min(size - 20, 150))
    source = open_source(path)
    frames = read(source)
    assert source.losses.damaged_frames
    assert set(range(60)) - set(source.losses.damaged_frames) <= frames.keys()
    first, last = source.losses.damaged_frames[0], source.losses.damaged_frames[-1]
    assert last - first < 30
    assert visibly_wrong(frames, sound) <= set(source.losses.damaged_frames)
    assert number_of(frames[59]) == 59
    late = open_source(path, start_s=(last + 1) / 25)
    assert [frame.number for frame in late] == list(range(last + 1, 60))
    assert not late.losses


def test_reading_stops_before_the_damage_if_asked_to(tmp_path):
    path = make_numbered(tmp_path / "v.mp4")
    position, size, _ = packets(path)[30]
    overwrite(path, position, b"\x55" * size)
    numbers = []
    with pytest.raises(TruncatedVideo, match="the frames after it are damaged"):
        for frame in open_source(path, on_damage="stop"):
            assert number_of(frame.image) == frame.number
            numbers.append(frame.number)
    assert numbers == list(range(len(numbers)))
    assert 20 <= len(numbers) <= 30
    with pytest.raises(UserError, match="'skip' or 'stop'"):
        open_source(path, on_damage="ignore")


def test_damage_outside_the_span_is_not_reported(tmp_path):
    path = make_numbered(tmp_path / "v.mp4")
    position, size, _ = packets(path)[30]
    overwrite(path, position, b"\x55" * size)
    source = open_source(path, end_s=0.4)
    assert [frame.number for frame in source] == list(range(10))
    assert not source.losses


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_zeros_inside_a_coded_image_are_damage_even_if_they_decode(tmp_path, suffix):
    path = make_numbered(tmp_path / f"v{suffix}", options={"x264-params": "slices=4"})
    position, size, key = packets(path)[12]
    assert key
    overwrite(path, position + size // 2, bytes(64))
    source = open_source(path)
    assert sum(1 for _ in source)
    assert 12 in source.losses.damaged_frames


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("name", "codec", "settings"),
    [
        ("v.gif", "gif", {"pixel_format": "rgb8"}),
        ("v.mjpeg", "mjpeg", {"pixel_format": "yuvj420p"}),
        ("v.mkv", "libx264", {}),
        ("v.webm", "libvpx-vp9", {"options": {"deadline": "realtime", "cpu-used": "8"}}),
        ("v.mp4", "libx264", {"container_options": {"movflags": "+faststart"}}),
    ],
)
def test_a_cut_file_is_reported_wherever_it_is_cut(tmp_path, name, codec, settings, share):
    path = cut(make_numbered(tmp_path / name, 40, codec, **settings), share)
    source, numbers = open_source(path), []
    error = None
    try:
        for frame in source:
            numbers.append(frame.number)
    except InputError as stop:
        error = stop
    assert error or source.losses
    assert numbers == list(range(len(numbers)))
    assert 40 * share - 8 <= len(numbers) <= 40


def test_a_transport_stream_cut_inside_a_packet_is_reported(tmp_path):
    path = make_numbered(tmp_path / "v.ts")
    path.write_bytes(path.read_bytes()[: 200 * 188 + 100])
    with pytest.raises(TruncatedVideo, match="its last packet has 100 of 188 bytes"):
        list(open_source(path))


def test_lost_transport_packets_are_reported(tmp_path):
    path = make_numbered(tmp_path / "v.ts")
    data = path.read_bytes()
    at = len(data) // 2 // 188 * 188
    path.write_bytes(data[:at] + data[at + 5 * 188 :])
    source = open_source(path)
    assert sum(1 for _ in source) >= 50
    assert source.losses.damaged_frames


def position_of(path: Path, number: int) -> tuple[int, int]:
    """Position and size of a packet."""
    position, size, _ = packets(path)[number]
    return position, size


def in_hevc(path: Path) -> None:
    """A coded image that is called supplemental information: decoders skip it without a word."""
    overwrite(path, position_of(path, 30)[0] + 4, b"\x4e")


def in_matroska(path: Path) -> None:
    """A block of a track that does not exist."""
    overwrite(path, position_of(path, 30)[0], b"\x85")


def in_flash(path: Path) -> None:
    """A tag of an unknown kind, which demuxers leave out."""
    overwrite(path, position_of(path, 30)[0], b"\x19")


def in_transport_stream(path: Path) -> None:
    """A frame without its start code; the counters of the packets are right."""
    position, _ = position_of(path, 30)
    data = path.read_bytes()
    overwrite(path, data.index(b"\0\0\1\xe0", position), b"\0\0\0\0")


def in_counters(path: Path) -> None:
    """All packets of a frame are missing."""
    begin, end = position_of(path, 30)[0], position_of(path, 31)[0]
    data = path.read_bytes()
    path.write_bytes(data[:begin] + data[end:])


LOST = {"h.mp4": in_hevc, "b.mkv": in_matroska, "b.flv": in_flash, "b.ts": in_transport_stream}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage"), [*LOST.items(), ("b.ts", in_counters)])
def test_a_frame_that_vanishes_without_a_message_is_reported_and_keeps_its_number(tmp_path, name, damage):
    codec, settings = SOUND[name]
    if codec not in encoders():
        pytest.skip(f"this FFmpeg has no {codec}")
    path = make_numbered(tmp_path / name, codec=codec, **settings)
    damage(path)
    source = open_source(path)
    frames = read(source)
    damaged = set(source.losses.damaged_frames)
    assert set(range(60)) - frames.keys() <= damaged
    assert damaged
    assert all(number_of(image) == number for number, image in frames.items() if number not in damaged)


def test_zeros_inside_a_frame_of_a_transport_stream_are_damage(tmp_path):
    path = make_numbered(tmp_path / "v.ts", options={"x264-params": "slices=4"})
    position, _, key = packets(path)[12]
    assert key
    overwrite(path, position + 188 + 20, bytes(64))
    source = open_source(path)
    assert sum(1 for _ in source)
    assert 12 in source.losses.damaged_frames


@pytest.fixture
def joined(tmp_path):
    """Two recordings, frames 0 to 119, each with time stamps from its own beginning."""
    first = make_numbered(tmp_path / "all.ts", 60).read_bytes()
    with av.open(str(tmp_path / "second.ts"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        first_image = numbered_image(60)
        stream.width, stream.height, stream.pix_fmt = first_image.shape[1], first_image.shape[0], "yuv420p"
        for number in range(60, 120):
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path = tmp_path / "joined.ts"
    path.write_bytes(first + (tmp_path / "second.ts").read_bytes())
    return path


@pytest.mark.parametrize("start", [0, 10, 34, 59, 60, 61, 75, 119])
def test_joined_recordings_are_read_from_any_start(joined, start):
    source = open_source(joined, start_s=start / 25)
    frames = list(source)
    assert [frame.number for frame in frames] == list(range(start, 120))
    assert [number_of(frame.image) for frame in frames] == list(range(start, 120))
    assert source.info.duration_s == pytest.approx(4.8)
    assert not source.losses


def test_a_video_trimmed_by_an_edit_list_states_the_frames_that_are_shown(tmp_path):
    path = make_numbered(tmp_path / "v.mp4", container_options={"movie_timescale": "1000"})
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    begin = int.from_bytes(data[at + 4 : at + 8], "big")
    time_base = av.open(str(path)).streams.video[0].time_base
    data[at : at + 4] = (1880).to_bytes(4, "big")
    data[at + 4 : at + 8] = (begin + round(0.52 / time_base)).to_bytes(4, "big")
    path.write_bytes(data)
    source = open_source(path)
    assert source.info.frames == sum(1 for _ in source) == 47


@pytest.mark.parametrize("name", ["edit-list-frame-count/edit.mp4", "one-bad-packet-ends-all/bitrot.mp4"])
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_cases_of_bug_reports(name):
    source = open_source(SHARED / "cases" / name)
    count = sum(1 for _ in source)
    missing = 1 if "bitrot" in name else 0
    assert source.info.frames == count + missing
    assert bool(source.losses) == bool(missing)


def test_the_command_line_names_the_damaged_frames_and_exits_with_3(tmp_path):
    path = make_numbered(tmp_path / "v.mp4")
    position, size, _ = packets(path)[30]
    overwrite(path, position, b"\x55" * size)
    command = fake_cli.command(path.name, "--out", "t.json")
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 3, run.stderr
    [line] = [line for line in run.stderr.splitlines() if "damaged" in line]
    assert "t.json holds" in line
    text = (tmp_path / "t.json").read_text()
    assert '"damaged_frames":[' in text
    assert '"complete":false' in text
