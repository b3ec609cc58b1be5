"""Which names are cameras, files, animations or playlists, and names that are hard to print or to open."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import fake_cli
from support.numbered import make_numbered, number_of, numbered_image
from support.paths import SHARED

from kprtrack.core.errors import InputError, printable
from kprtrack.video.inputs import expand_sources, is_camera, short_name
from kprtrack.video.source import open_source

HARD_NAMES = ["~.mp4", "~unknown.mp4", "-dash.mp4", "\x1b[31mred.mp4", "two\nlines.mp4", "%d.mp4", "a|b.mp4"]


def kprtrack(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(fake_cli.command("--quiet", *words), cwd=folder, capture_output=True, check=False)


# --- names of digits


@pytest.mark.parametrize("name", ["0001/", "./0001", "0001"])
def test_a_folder_named_by_digits_is_no_camera(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "0001"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(numbered_image(number)).save(folder / f"{number}.png")
    [source] = expand_sources([name])
    assert [number_of(frame.image) for frame in open_source(source)] == [0, 1, 2]
    assert short_name(source) == "0001"


def test_digits_that_name_no_path_are_a_camera_and_an_integer_always_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_camera("7")
    (tmp_path / "7").mkdir()
    assert not is_camera("7")
    assert is_camera(7)
    assert short_name(7) == "camera7"
    assert not is_camera("./8")


# --- animations


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_an_image_of_several_frames_is_a_video(tmp_path, suffix):
    images = [Image.fromarray(numbered_image(number)) for number in range(12)]
    durations = {} if suffix == ".tiff" else {"duration": [100] * 6 + [200] * 6}
    lossless = {"lossless": True} if suffix == ".webp" else {}
    path = tmp_path / f"a{suffix}"
    images[0].save(path, save_all=True, append_images=images[1:], **durations, **lossless)
    source = open_source(path, images_fps=10)
    frames = list(source)
    assert [frame.number for frame in frames] == [number_of(frame.image) for frame in frames]
    assert source.info.frames == len(frames) == 12
    late = 0.8 if suffix == ".tiff" else 1.0
    assert frames[8].time_s == pytest.approx(late)
    part = open_source(path, images_fps=10, start_s=0.2, end_s=0.5, stride=2)
    assert [frame.number for frame in part] == [2, 4]


def test_an_animation_in_a_folder_of_images_is_rejected(tmp_path):
    images = [Image.fromarray(numbered_image(number)) for number in range(3)]
    images[0].save(tmp_path / "0.png")
    images[0].save(tmp_path / "1.png", save_all=True, append_images=images[1:])
    with pytest.raises(InputError, match=r"1\.png' has several images"):
        list(open_source(tmp_path))


def test_an_image_of_too_many_pixels_is_rejected_before_it_is_decoded(tmp_path):
    for suffix in (".png", ".tiff"):
        Image.new("1", (20000, 10000)).save(tmp_path / f"big{suffix}")
        with pytest.raises(InputError, match="is too large"):
            open_source(tmp_path / f"big{suffix}")


def test_a_video_of_too_many_pixels_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("kprtrack.video.container.MOST_PIXELS", 192 * 128 - 1)
    with pytest.raises(InputError, match="192x128 pixels; at most 24575 are read"):
        open_source(make_numbered(tmp_path / "v.mp4", 3))


# --- playlists


@pytest.fixture
def playlists(tmp_path):
    make_numbered(tmp_path / "secret.ts", 12)
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.48,\nsecret.ts\n#EXT-X-ENDLIST\n"
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    for name, text in {
        "a.ffconcat": "ffconcat version 1.0\nfile secret.ts\n",
        "b.mp4": "ffconcat version 1.0\nfile secret.ts\n",
        "c.m3u8": hls,
        "d.mp4": hls,
        "e.sdp": sdp,
        "f.mpd": '<?xml version="1.0"?><MPD></MPD>',
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", ["a.ffconcat", "b.mp4", "c.m3u8", "d.mp4", "e.sdp", "f.mpd"])
def test_a_local_playlist_opens_no_other_file(playlists, name):
    with pytest.raises(InputError, match=r"is a playlist.*--allow-playlists") as caught:
        open_source(playlists / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.ffconcat", "b.mp4", "c.m3u8"])
def test_a_playlist_is_read_if_it_is_allowed(playlists, name):
    source = open_source(playlists / name, allow_playlists=True)
    assert [number_of(frame.image) for frame in source] == list(range(12))


@pytest.mark.parametrize(
    "prefix", ["concat:{}", "subfile,,start,0,end,0,,:{}", "crypto:{}", "file:{}", "file://{}", "lavfi://{}"]
)
def test_protocols_that_lead_to_other_files_are_rejected(tmp_path, prefix):
    path = make_numbered(tmp_path / "v.ts", 3)
    with pytest.raises(InputError, match=r"does not exist|not supported"):
        open_source(prefix.format(path))


# --- hard names


@pytest.mark.parametrize("name", HARD_NAMES)
def test_files_with_unusual_names_are_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make_numbered(tmp_path / "v.mp4", 3).rename(tmp_path / name)
    [source] = expand_sources([name])
    assert sum(1 for _ in open_source(source)) == 3
    (tmp_path / name).unlink()
    with pytest.raises(InputError):
        open_source(name)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have Unicode names only")
def test_the_command_line_takes_and_prints_unusual_names(tmp_path):
    path = make_numbered(tmp_path / "v.mp4", 3)
    for name in (b"-dash.mp4", b"\xff\x1b[2J.mp4"):
        target = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 - not a text
        os.link(path, target)
        run = kprtrack(tmp_path, "--out", "t.json", "--", os.fsdecode(name))
        assert run.returncode == 0, run.stderr
        assert json.loads((tmp_path / "t.json").read_bytes())["complete"]
        (tmp_path / os.fsdecode(name)).unlink()
        missing = kprtrack(tmp_path, "--out", "t.json", "--", os.fsdecode(name))
        assert missing.returncode == 3
        assert b"does not exist" in missing.stderr or b"matches the pattern" in missing.stderr
        assert b"\x1b" not in missing.stderr


def test_control_characters_and_invalid_bytes_are_written_as_escapes():
    assert printable("clip \u00e9\u4e2d.mp4") == "clip \u00e9\u4e2d.mp4"
    assert printable("\x1b]0;x\x07\udcff\u202e\n") == r"\x1b]0;x\x07\udcff\u202e\n"
    assert printable("a\nb\t\r", keep="\n\t") == "a\nb\t\\r"


def test_metadata_that_is_not_utf_8_and_no_duration_do_not_matter(tmp_path):
    path = make_numbered(tmp_path / "v.mkv", 12)
    data = path.read_bytes()
    duration = data.index(b"00:00:00.4")
    data = data[:duration] + b"\xff\xfe:zz:" + data[duration + 6 :]
    path.write_bytes(data)
    source = open_source(path)
    assert sum(1 for _ in source) == 12


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_the_animation_of_a_bug_report_is_read():
    frames = list(open_source(SHARED / "cases" / "animated-image-one-frame" / "anim60.webp"))
    assert len(frames) == 60
    assert not np.array_equal(frames[0].image, frames[59].image)
