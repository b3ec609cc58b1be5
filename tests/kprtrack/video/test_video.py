"""Frames, times and errors of every kind of source; the videos are made here."""

import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import wave
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support import paths

from kprtrack.core.errors import InputError, UserError
from kprtrack.video.inputs import TruncatedVideo, expand_sources, parse_time
from kprtrack.video.source import open_source

SHARED = paths.SHARED
FPS = 10
REAL_VIDEOS = {  # frames, frames per second, last time
    "intel_one_by_one": (1394, 10.0, 139.3),
    "mmaction2_basketball": (300, 29.97, 299 * 1001 / 30000),
    "mmaction2_demo_skeleton": (72, 28.052, None),
    "mmpose_demo": (5, 5.0, 0.8),
    "mmpose_pt18_test": (5, 30.0, 4 / 30),
    "mmtracking_demo": (8, 3.0, 7 / 3),
    "rknn_people_walking": (314, 29.97, 313 * 1001 / 30000),
}


def make_video(path, count=40, *, size=(64, 48), times_ms=None, options=None, shape=None):
    """A video whose frame i is grey i * 5 with noise in its lower half."""
    codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = 10
        if times_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        if shape:
            stream.codec_context.sample_aspect_ratio = shape
        for i in range(count):
            image = np.full((size[1], size[0], 3), i * 5, np.uint8)
            noise = np.random.default_rng(i).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
            image[size[1] // 2 :] = noise[size[1] // 2 :]
            packed_frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            packed_frame.pts = times_ms[i] if times_ms else i
            packed_frame.time_base = Fraction(1, 1000) if times_ms else Fraction(1, FPS)
            container.mux(stream.encode(packed_frame))
        container.mux(stream.encode(None))
    return path


def make_quarters(path, matrix=None):
    """Red and green above blue and white, 64x32, with a display matrix (a, b, c, d) in the header."""
    image = np.zeros((32, 64, 3), np.uint8)
    image[:16, :32], image[:16, 32:], image[16:, :32], image[16:, 32:] = (
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    if matrix:
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 4 + 40
        a, b, c, d = (round(value * 65536) for value in matrix)
        data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
    return path


def make_images(folder, names, size=(20, 10)):
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), i * 10 % 250, np.uint8))
    return folder


def cut(path, share=0.5):
    data = path.read_bytes()
    damaged = path.with_stem(path.stem + "_cut")
    damaged.write_bytes(data[: int(len(data) * share)])
    return damaged


def read_until_error(source):
    frames = []
    with pytest.raises(InputError) as caught:
        for frame in source:
            frames.append(frame)
    return frames, caught.value


def colours_at_corners(image):
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    height, width = image.shape[:2]
    corners = [(4, 4), (4, width - 5), (height - 5, 4), (height - 5, width - 5)]
    return [names[tuple((image[corner] > 127).astype(int).tolist())] for corner in corners]


# --- video files


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".webm", ".ts"])
def test_every_frame_comes_once_with_its_number_and_time(tmp_path, suffix):
    source = open_source(make_video(tmp_path / f"clip{suffix}"))
    frames = list(source)
    assert [frame.number for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(40) / FPS, atol=1e-6)
    brightness = [frame.image[4:20].mean() for frame in frames]
    np.testing.assert_allclose(brightness, np.arange(40) * 5, atol=6)


def test_info_describes_the_video(tmp_path):
    info = open_source(make_video(tmp_path / "my clip.mp4")).info
    assert (info.name, info.width, info.height, info.fps, info.frames) == ("my clip", 64, 48, 10.0, 40)
    assert info.duration_s == pytest.approx(4.0)
    assert not info.live


def test_a_file_can_be_read_twice(tmp_path):
    source = open_source(make_video(tmp_path / "clip.mp4", 12))
    assert [f.number for f in source] == [f.number for f in source] == list(range(12))


def test_colours_are_red_green_blue(tmp_path):
    [first, *_] = open_source(make_quarters(tmp_path / "q.mp4"))
    assert colours_at_corners(first.image) == ["red", "green", "blue", "white"]


def test_a_raw_stream_without_time_stamps_is_timed_by_its_rate(tmp_path):
    frames = list(open_source(make_video(tmp_path / "clip.h264", 20)))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(20) / FPS)


def test_odd_sizes_are_read(tmp_path):
    make_video(tmp_path / "clip.webm", 4, size=(33, 21))
    assert next(iter(open_source(tmp_path / "clip.webm"))).image.shape == (21, 33, 3)


TIMES_MS = [0, 40, 80, 500, 540, 1000, 1010, 1500, 2500, 2540, 2600, 3000, 3033, 3066, 4000]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_frame_rate_keeps_its_times(tmp_path, suffix):
    frames = list(open_source(make_video(tmp_path / f"v{suffix}", len(TIMES_MS), times_ms=TIMES_MS)))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array(TIMES_MS) / 1000, atol=1e-3)


def test_times_begin_at_zero_where_the_container_begins_later(tmp_path):
    times = [5000 + 100 * i for i in range(10)]
    frames = list(open_source(make_video(tmp_path / "late.mkv", 10, times_ms=times)))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(10) / 10, atol=1e-3)


# --- start, end, stride


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm", ".ts", ".h264"])
@pytest.mark.parametrize("start_s", [0.05, 1.0, 1.05, 2.9, 3.9])
def test_a_late_start_gives_the_same_frames_as_reading_from_the_front(tmp_path, suffix, start_s):
    path = make_video(tmp_path / f"clip{suffix}")
    wanted = [frame for frame in open_source(path) if frame.time_s >= start_s - 1e-6]
    found = list(open_source(path, start_s=start_s))
    assert [frame.number for frame in found] == [frame.number for frame in wanted]
    np.testing.assert_allclose([f.time_s for f in found], [f.time_s for f in wanted])
    assert all(np.array_equal(a.image, b.image) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frame_numbers_after_a_seek_are_exact_with_a_variable_rate(tmp_path, suffix):
    path = make_video(tmp_path / f"v{suffix}", len(TIMES_MS), times_ms=TIMES_MS)
    assert [frame.number for frame in open_source(path, start_s=2.55)] == [10, 11, 12, 13, 14]


def test_the_end_is_left_out(tmp_path):
    frames = open_source(make_video(tmp_path / "clip.mp4"), start_s=1, end_s=1.5)
    assert [frame.number for frame in frames] == [10, 11, 12, 13, 14]


def test_a_stride_begins_at_the_start_and_keeps_numbers(tmp_path):
    source = open_source(make_video(tmp_path / "clip.mp4"), start_s=1.1, stride=9)
    assert [frame.number for frame in source] == [11, 20, 29, 38]
    assert source.expected_frames == 4


@pytest.mark.parametrize(
    "span", [{"start_s": 2, "end_s": 1}, {"start_s": 1, "end_s": 1}, {"stride": 0}, {"start_s": -1}]
)
def test_an_empty_span_is_rejected(tmp_path, span):
    with pytest.raises(UserError):
        open_source(make_video(tmp_path / "clip.mp4", 5), **span)


def test_a_start_beyond_the_end_reports_the_duration(tmp_path):
    with pytest.raises(InputError, match=r"4\.00 s long"):
        open_source(make_video(tmp_path / "clip.mp4"), start_s=60)
    with pytest.raises(
        InputError, match="no frame at or after 60 s"
    ):  # a raw stream does not know its length
        list(open_source(make_video(tmp_path / "clip.h264"), start_s=60))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12.5", 12.5), ("0", 0), ("1:02", 62), ("90:00", 5400), ("1:02:03.5", 3723.5), (" 7 ", 7), (".5", 0.5)],
)
def test_times_are_seconds_or_clock_times(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "-3", "1:75", "1:60:00", "abc", "1:2:3:4", "nan", "inf", "1e3", "12s"])
def test_anything_else_is_no_time(text):
    with pytest.raises(UserError, match="is not a time"):
        parse_time(text)


# --- shape of the frame

TURNS = {  # matrix a b c d -> degrees clockwise, mirrored, colours of the corners
    (0, 1, -1, 0): (90, False, ["blue", "red", "white", "green"]),
    (-1, 0, 0, -1): (180, False, ["white", "blue", "green", "red"]),
    (0, -1, 1, 0): (270, False, ["green", "white", "red", "blue"]),
    (-1, 0, 0, 1): (0, True, ["green", "red", "white", "blue"]),
    (0, 1, 1, 0): (270, True, ["red", "blue", "green", "white"]),
}


@pytest.mark.parametrize("matrix", TURNS)
def test_images_are_turned_upright_by_the_display_matrix(tmp_path, matrix):
    rotation, mirrored, corners = TURNS[matrix]
    source = open_source(make_quarters(tmp_path / "turned.mp4", matrix))
    [first, *_] = source
    assert colours_at_corners(first.image) == corners
    assert (source.info.rotation, source.info.mirrored) == (rotation, mirrored)
    assert first.image.shape[:2] == (source.info.height, source.info.width)


def test_a_rotation_by_another_angle_is_rejected(tmp_path):
    with pytest.raises(InputError, match="no multiple of 90 degrees"):
        open_source(make_quarters(tmp_path / "slanted.mp4", (0.8, 0.6, -0.6, 0.8)))


def test_oblong_pixels_are_reported_but_not_stretched(tmp_path):
    source = open_source(make_video(tmp_path / "pal.mp4", 5, shape=Fraction(16, 11)))
    assert source.info.sample_aspect_ratio == Fraction(16, 11)
    assert next(iter(source)).image.shape == (48, 64, 3)


def test_a_change_of_size_ends_the_video_with_an_error(tmp_path):
    small, large = make_video(tmp_path / "a.h264", 10), make_video(tmp_path / "b.h264", 10, size=(96, 64))
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    frames, error = read_until_error(open_source(joined))
    assert isinstance(error, TruncatedVideo)
    assert len(frames) == error.frames_read == 10
    assert "96x64" in str(error)


# --- damage


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm"])
def test_a_truncated_video_yields_its_frames_and_then_an_error(tmp_path, suffix):
    options = {"movflags": "+faststart"} if suffix == ".mp4" else {}
    source = open_source(cut(make_video(tmp_path / f"clip{suffix}", options=options)))
    frames, error = read_until_error(source)
    assert isinstance(error, TruncatedVideo)
    assert 14 <= len(frames) <= 22
    assert (error.frames_read, error.frames_expected) == (len(frames), 40)
    assert f"{len(frames)} of 40" in str(error)


def test_a_hole_in_the_middle_ends_the_video_if_damage_is_to_stop_it(tmp_path):
    path = make_video(tmp_path / "clip.mp4")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8000] = bytes(8000)
    path.write_bytes(data)
    frames, error = read_until_error(open_source(path, on_damage="stop"))
    assert isinstance(error, TruncatedVideo)
    assert [frame.number for frame in frames] == list(range(error.frames_read))
    assert 10 <= len(frames) < 40


def test_a_cut_after_the_wanted_end_does_not_matter(tmp_path):
    path = cut(make_video(tmp_path / "clip.mp4", options={"movflags": "+faststart"}))
    assert len(list(open_source(path, end_s=1))) == 10


def test_a_film_trimmed_by_an_edit_list_is_not_called_truncated(tmp_path):
    path = make_video(tmp_path / "trimmed.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    length, begin = struct.unpack(">Ii", data[at : at + 8])
    data[at : at + 8] = struct.pack(">Ii", length // 2, begin + 10240)  # 2 s from 1 s on, as phones trim
    path.write_bytes(data)
    frames = list(open_source(path))
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert frames[0].image[4:20].mean() == pytest.approx(10 * 5, abs=6)
    assert frames[-1].time_s == pytest.approx(1.9, abs=0.11)
    late = list(open_source(path, start_s=1.2))
    assert [frame.number for frame in late] == [frame.number for frame in frames if frame.time_s > 1.19]


def make_sound(path):
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    return path


def make_empty_track(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path


def written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: written(d / "empty.mp4", b""), r"empty \(0 bytes\)"),
        (lambda d: written(d / "text.mp4", b"Dear diary, today nothing happened.\n" * 20), "not a video"),
        (lambda d: cut(make_video(d / "noindex.mp4")), "not a video that FFmpeg can read, or was truncated"),
        (lambda d: make_sound(d / "sound.mp4"), "no video stream, only: audio"),
        (lambda d: make_empty_track(d / "blank.mkv"), "not a video that FFmpeg can read"),
        (lambda d: d / "absent.mp4", "does not exist"),
        (lambda d: written(d / "broken.png", b"\x89PNG\r\n\x1a\n broken"), "broken.png' cannot be read"),
    ],
)
def test_what_cannot_be_read_is_rejected_in_one_line(tmp_path, make, message):
    with pytest.raises(InputError, match=message) as caught:
        open_source(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_brings_the_nearest_name(tmp_path):
    make_video(tmp_path / "people_walking.mp4", 3)
    with pytest.raises(InputError, match=r"Did you mean '.*people_walking\.mp4'"):
        open_source(tmp_path / "people_waking.mp4")


@pytest.mark.skipif(
    os.name == "nt" or getattr(os, "geteuid", lambda: 1)() == 0, reason="root may read everything"
)
def test_a_forbidden_file_is_rejected(tmp_path):
    path = make_video(tmp_path / "secret.mp4", 3)
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        open_source(path)


# --- the decoding thread


def decoders():
    return [thread for thread in threading.enumerate() if thread.name == "kprtrack-decoder"]


def test_stopping_early_stops_the_decoder(tmp_path):
    frames = iter(open_source(make_video(tmp_path / "clip.mp4")))
    next(frames)
    assert len(decoders()) == 1
    frames.close()
    assert not decoders()


def test_an_error_of_the_consumer_stops_the_decoder(tmp_path):
    with pytest.raises(ZeroDivisionError):
        for frame in open_source(make_video(tmp_path / "clip.mp4")):
            frame.number / 0
    assert not decoders()


def test_leaving_a_with_block_stops_the_decoder_even_if_frames_are_still_held(tmp_path):
    with open_source(make_video(tmp_path / "clip.mp4")) as source:
        frames = iter(source)
        next(frames)
    assert not decoders()
    frames.close()


def test_a_closed_file_can_be_read_again(tmp_path):
    with open_source(make_video(tmp_path / "clip.mp4", 5)) as source:
        pass
    assert len(list(source)) == 5


def test_the_decoder_runs_only_a_few_frames_ahead(tmp_path):
    source = open_source(make_images(tmp_path / "seq", [f"{i:03}.png" for i in range(60)]))
    frames = iter(source)
    next(frames)
    for path in sorted((tmp_path / "seq").iterdir())[20:]:
        path.unlink()  # whatever has not been read within the queue's length is gone
    read = 1
    with pytest.raises(InputError, match=r"020\.png"):
        for _ in frames:
            read += 1
    assert read == 20


# --- images


def test_a_folder_of_images_is_in_natural_order(tmp_path):
    folder = make_images(tmp_path / "seq", ["f10.png", "f9.jpg", "f1.bmp", "f2.tif", "f11.webp"])
    (folder / "notes.txt").write_text("not a frame")
    source = open_source(folder)
    assert [round(float(frame.image.mean())) for frame in source] == [20, 30, 10, 0, 40]
    assert (source.info.name, source.info.width, source.info.height) == ("seq", 20, 10)
    assert (source.info.fps, source.info.frames) == (25.0, 5)


def test_images_are_timed_by_the_given_rate(tmp_path):
    folder = make_images(tmp_path / "seq", [f"{i}.png" for i in range(12)])
    frames = list(open_source(folder, images_fps=4, start_s=1, end_s=2.5, stride=2))
    assert [(frame.number, frame.time_s) for frame in frames] == [(4, 1.0), (6, 1.5), (8, 2.0)]


def test_images_are_rgb_whatever_the_file_holds(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 4), 40000, np.uint16))
    cv2.imwrite(str(tmp_path / "clear.png"), np.full((4, 4, 4), (10, 20, 200, 99), np.uint8))
    assert next(iter(open_source(tmp_path / "deep.png"))).image[0, 0].tolist() == [156] * 3
    assert next(iter(open_source(tmp_path / "clear.png"))).image[0, 0].tolist() == [200, 20, 10]


def test_a_damaged_image_is_named(tmp_path):
    folder = make_images(tmp_path / "seq", [f"{i}.jpg" for i in range(5)], size=(100, 80))
    written(folder / "3.jpg", (folder / "3.jpg").read_bytes()[:500])
    frames, error = read_until_error(open_source(folder))
    assert len(frames) == 3
    assert "3.jpg" in str(error)


def test_images_of_two_sizes_are_no_video(tmp_path):
    folder = make_images(tmp_path / "seq", ["0.png", "1.png", "2.png"])
    make_images(folder, ["1.png"], size=(30, 10))
    frames, error = read_until_error(open_source(folder))
    assert isinstance(error, TruncatedVideo)
    assert len(frames) == 1
    assert "1.png' is 30x10" in str(error)


# --- expanding what was named


def test_a_folder_of_videos_gives_each_video(tmp_path):
    for name in ("b10.mp4", "b9.MKV", "._b9.mkv", "readme.txt"):
        (tmp_path / name).touch()
    assert [Path(p).name for p in expand_sources([str(tmp_path)])] == ["b9.MKV", "b10.mp4"]


def test_a_folder_and_a_pattern_of_images_are_one_source(tmp_path):
    make_images(tmp_path, ["1.png", "2.png", "10.png"])
    pattern = str(tmp_path / "1*.png")
    assert expand_sources([str(tmp_path)]) == [str(tmp_path)]
    assert expand_sources([pattern]) == [pattern]
    assert [round(float(f.image.mean())) for f in open_source(pattern)] == [0, 20]


def test_patterns_give_videos_and_folders_once_in_order(tmp_path):
    for name in ("v2.mp4", "v10.mp4", "v1.txt"):
        (tmp_path / name).touch()
    make_images(tmp_path / "seq", ["1.png"])
    found = expand_sources([str(tmp_path / "v10.mp4"), str(tmp_path / "*")])
    assert [Path(p).name for p in found] == ["v10.mp4", "v2.mp4", "seq"]


def test_hidden_files_and_folders_are_no_videos_and_no_frames(tmp_path):
    make_images(tmp_path / "seq", ["1.png", "2.png"])
    for hidden in ("__MACOSX", "seq/.ipynb_checkpoints", "seq/@eaDir"):
        make_images(tmp_path / hidden, ["1.png"])
    for hidden in ("._1.png", "Thumbs.db"):
        (tmp_path / "seq" / hidden).touch()
    assert len(list(open_source(tmp_path / "seq"))) == 2
    assert len(list(open_source(str(tmp_path / "**" / "*.png")))) == 2
    found = expand_sources([str(tmp_path / "*")])
    assert [Path(p).name for p in found] == ["seq"]


def test_a_name_with_brackets_is_a_file_if_there_is_one(tmp_path):
    path = tmp_path / "clip[1].mp4"
    path.touch()
    assert expand_sources([str(path)]) == [str(path)]


def test_cameras_streams_and_standard_input_pass_through():
    names = ["0", "rtsp://10.0.0.3/live", "https://example.org/a.mp4?token=*", "-"]
    assert expand_sources(names) == names


def test_videos_and_images_in_one_folder_ask_for_a_choice(tmp_path):
    make_images(tmp_path, ["1.png"])
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(InputError, match=r"both 1 videos and 1 images.*\*\.mp4' or '.*\*\.png"):
        expand_sources([str(tmp_path)])


def test_several_single_images_ask_for_their_folder(tmp_path):
    make_images(tmp_path, ["1.png", "2.png"])
    with pytest.raises(UserError, match="2 images were named one by one"):
        expand_sources([str(tmp_path / "1.png"), str(tmp_path / "2.png")])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing*.mp4", "Nothing matches"),
        ("clop.mp4", "Did you mean '.*clip.mp4'"),
        ("empty", "has no videos and no images"),
    ],
)
def test_names_without_anything_behind_them_are_rejected(tmp_path, name, message):
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        expand_sources([str(tmp_path / name)])


def test_a_missing_folder_brings_the_nearest_folder(tmp_path):
    (tmp_path / "videos").mkdir()
    with pytest.raises(InputError, match=r"Did you mean '.*videos'"):
        expand_sources([str(tmp_path / "vidoes" / "clip.mp4")])


# --- cameras and URLs


class FakeCapture:
    """Stands in for a camera that gives five images, blue in OpenCV's order, and then fails."""

    def __init__(self, number):
        self.left = 5 if number == 0 else 0
        self.released = False

    def read(self):
        self.left -= 1
        return (True, np.full((6, 8, 3), (255, 0, 0), np.uint8)) if self.left >= 0 else (False, None)

    def get(self, _):
        return 0.0

    def release(self):
        self.released = True


@pytest.mark.parametrize("name", [0, "0"])
def test_a_camera_gives_rgb_frames_until_it_stops(monkeypatch, name):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    source = open_source(name, reconnect_s=0)
    frames, error = read_until_error(source)
    assert isinstance(error, TruncatedVideo)
    assert (source.info.name, source.info.live, source.info.frames) == ("camera0", True, None)
    assert frames[0].image[0, 0].tolist() == [0, 0, 255]
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))


def test_a_slow_consumer_of_a_camera_misses_frames_and_gets_the_newest(monkeypatch):
    capture = FakeCapture(0)
    capture.left = 200
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: capture)
    source = open_source(0, reconnect_s=0)
    frames = iter(source)
    numbers = [next(frames).number]
    deadline_s = time.monotonic() + 600
    while capture.left >= 0 and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert capture.left < 0
    with pytest.raises(TruncatedVideo):
        numbers.extend(frame.number for frame in frames)
    assert len(numbers) < 20
    assert numbers[-1] == 198
    assert len(numbers) + source.losses.dropped_frames == 199
    assert capture.released


def test_standard_input_is_a_source(tmp_path):
    code = "from kprtrack import open_source; print([f.number for f in open_source('-', start_s=0.5)])"
    with make_video(tmp_path / "clip.mkv", 8).open("rb") as film:
        run = subprocess.run(
            [sys.executable, "-c", code], stdin=film, capture_output=True, text=True, check=True
        )
    assert run.stdout == "[5, 6, 7]\n"


def test_a_missing_camera_is_named(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with pytest.raises(InputError, match="Camera 7 sends no image"):
        open_source(7)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_video_is_read_over_http_once_and_its_secrets_are_not_shown(tmp_path):
    make_video(tmp_path / "clip.mp4", 12)
    handler = partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_source(f"http://anna:pw@127.0.0.1:{server.server_port}/clip.mp4?token=abc", start_s=0.5)
        assert [frame.number for frame in source] == list(range(5, 12))
        with pytest.raises(InputError, match="only once"):
            list(source)
        server.shutdown()
    assert not source.info.live
    assert source.info.path == f"http://127.0.0.1:{server.server_port}/clip.mp4"
    assert source.info.name == f"127.0.0.1_{server.server_port}_clip.mp4"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_camera_that_sends_nothing_is_an_error_after_the_timeout(scheme):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://anna:pw@127.0.0.1:{server.getsockname()[1]}/live"
        with pytest.raises(InputError, match=r"did not respond within 0\.5 s") as caught:
            open_source(url, timeout_s=0.5)
    assert "pw" not in str(caught.value)


def test_a_refused_connection_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(InputError, match="connection refused"):
        open_source(f"http://127.0.0.1:{port}/live")


# --- real footage


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
@pytest.mark.parametrize("name", REAL_VIDEOS)
def test_real_videos_are_read_completely(name):
    count, fps, last_s = REAL_VIDEOS[name]
    source = open_source(SHARED / "real" / "videos" / f"{name}.mp4")
    read_frames = [(frame.number, frame.time_s) for frame in source]
    assert [number for number, _ in read_frames] == list(range(count))
    assert source.info.fps == pytest.approx(fps, abs=1e-3)
    assert last_s is None or read_frames[-1][1] == pytest.approx(last_s, abs=1e-3)
    assert all(a < b for (_, a), (_, b) in pairwise(read_frames))
