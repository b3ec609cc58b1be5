"""The sound of a video stays: the same packets, in step with the images; PyAV is the judge."""

import av
import numpy as np
import pytest
from support import fake_run, sound_cases

from kprtrack.io import read_tracks
from kprtrack.rendering.video import draw_video
from kprtrack.run import track_video
from kprtrack.video.clip import Clip
from kprtrack.video.source import open_source
from kprtrack.video.writer import VideoWriter

FPS = 10


def copy(source, out, start_s=None, end_s=None):
    """Copy a clip; returns the notes of the writer."""
    with open_source(source, start_s, end_s) as video:
        info = video.info
        with VideoWriter(out, info.width, info.height, info.fps, sound=video.sound) as writer:
            for frame in video:
                writer.write(frame.image, frame.time_s)
        return writer.notes


def assert_in_step(path, count):
    images, sounds = sound_cases.onsets(path)
    assert len(images) == len(sounds) == count
    np.testing.assert_allclose(sounds, images, atol=1 / FPS)


@pytest.mark.parametrize(
    ("codec", "source", "out"),
    [
        ("aac", ".mp4", ".mp4"),
        ("aac", ".mp4", ".mkv"),
        ("aac", ".mkv", ".mov"),
        ("libmp3lame", ".mp4", ".avi"),
        ("ac3", ".mkv", ".mp4"),
        ("pcm_s16le", ".mov", ".mov"),
        ("pcm_s24le", ".mkv", ".mkv"),
        ("libopus", ".mkv", ".webm"),
        ("flac", ".mkv", ".mp4"),
        ("libmp3lame", ".avi", ".mp4"),
    ],
)
def test_the_packets_are_copied(tmp_path, codec, source, out):
    made = sound_cases.make_video(tmp_path / f"in{source}", codec)
    path = tmp_path / f"out{out}"
    assert copy(made, path) == ()
    stored, given = sound_cases.packets(path), sound_cases.packets(made)
    assert stored == given or (codec == "pcm_s16le" and b"".join(stored) == b"".join(given))
    assert_in_step(path, 2)


@pytest.mark.parametrize("out", [".mp4", ".mkv"])
def test_packets_of_mpeg_ts_lose_only_their_headers(tmp_path, out):
    """In MPEG-TS every packet of AAC begins with 7 bytes of settings (ADTS)."""
    made = sound_cases.make_video(tmp_path / "in.ts")
    path = tmp_path / f"out{out}"
    assert copy(made, path) == ()
    assert sound_cases.packets(path) == [packet[7:] for packet in sound_cases.packets(made)]
    assert_in_step(path, 2)


@pytest.mark.parametrize(
    ("codec", "source", "out", "encoded"),
    [
        ("aac", ".mp4", ".webm", "opus"),
        ("libopus", ".mkv", ".mov", "aac"),
        ("libopus", ".mkv", ".avi", "aac"),
    ],
)
def test_what_a_format_cannot_hold_is_encoded_and_said(tmp_path, codec, source, out, encoded):
    made = sound_cases.make_video(tmp_path / f"in{source}", codec)
    (note,) = copy(made, tmp_path / f"out{out}")
    assert f"the sound is encoded as {encoded}" in note
    assert sound_cases.codecs(tmp_path / f"out{out}") == [encoded]
    assert_in_step(tmp_path / f"out{out}", 2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("start_s", "end_s", "count"), [(0.3, None, 3), (1.2, 2.4, 1), (0.55, 2.05, 2)])
def test_a_part_of_a_video_has_its_part_of_the_sound(tmp_path, suffix, start_s, end_s, count):
    made = sound_cases.make_video(tmp_path / "in.mp4", seconds=3)
    path = tmp_path / f"out{suffix}"
    copy(made, path, start_s, end_s)
    images, sounds = sound_cases.onsets(path)
    assert len(images) == count
    np.testing.assert_allclose(sounds, images, atol=1 / FPS)
    stored = sound_cases.packets(path)
    assert len(stored) < len(sound_cases.packets(made))
    assert set(stored) <= set(sound_cases.packets(made))


@pytest.mark.slow
def test_a_late_part_of_a_long_video_is_found_by_seeking(tmp_path):
    made = sound_cases.make_video(tmp_path / "in.mp4", seconds=12)
    copy(made, tmp_path / "out.mp4", 9.2, 11.7)
    assert_in_step(tmp_path / "out.mp4", 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_that_starts_before_the_images_stays_in_step(tmp_path, suffix):
    made = sound_cases.make_video(tmp_path / f"in{suffix}", first_s=0.4)
    copy(made, tmp_path / f"out{suffix}")
    assert_in_step(tmp_path / f"out{suffix}", 2)
    assert sound_cases.packets(tmp_path / f"out{suffix}") == sound_cases.packets(made)


def test_all_sounds_are_copied(tmp_path):
    made = sound_cases.make_video(tmp_path / "in.mkv", sounds=3)
    copy(made, tmp_path / "out.mp4")
    for index in range(3):
        assert sound_cases.packets(tmp_path / "out.mp4", index) == sound_cases.packets(made, index)


def test_a_silent_video_stays_silent(tmp_path):
    made = fake_run.make_video(tmp_path / "in.mp4")
    assert copy(made, tmp_path / "out.mp4") == ()
    assert sound_cases.codecs(tmp_path / "out.mp4") == []


def test_annotated_videos_of_track_and_draw_have_the_sound(tmp_path):
    made = sound_cases.make_video(tmp_path / "in.mp4")
    out = tmp_path / "t.json"
    track_video(made, out, video_out=tmp_path / "a.mp4", networks=fake_run.NETWORKS)
    draw_video(read_tracks(out), made, tmp_path / "b.mkv")
    clip = Clip(made, 0.4, 1.4)
    track_video(clip, tmp_path / "u.json", video_out=tmp_path / "c.mp4", networks=fake_run.NETWORKS)
    assert sound_cases.packets(tmp_path / "a.mp4") == sound_cases.packets(made)
    assert sound_cases.packets(tmp_path / "b.mkv") == sound_cases.packets(made)
    assert 45 <= len(sound_cases.packets(tmp_path / "c.mp4")) <= 50  # 1.0 s of packets of 1/47 s


def test_the_time_stamps_of_copied_sound_are_exact(tmp_path):
    made = sound_cases.make_video(tmp_path / "in.mp4")
    copy(made, tmp_path / "out.mp4")
    times = []
    for path in (made, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            stamped = [(p.stream.type, float(p.pts * p.time_base)) for p in container.demux() if p.size]
        first = min(time_s for kind, time_s in stamped if kind == "video")
        times.append([time_s - first for kind, time_s in stamped if kind == "audio"])
    np.testing.assert_allclose(times[1], times[0], atol=1e-3)
