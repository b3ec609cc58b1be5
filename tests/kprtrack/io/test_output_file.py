"""Results keep older files, never follow links, and end quietly where the reader of a pipe leaves."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from support import fake_cli, fake_run

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import OutputError
from kprtrack.io import RunHeader, open_writer, read_tracks
from kprtrack.io.journal import JournalWriter
from kprtrack.io.output_file import OutputFile
from kprtrack.pipeline import track
from kprtrack.trackers.bytetrack import ByteTrack, ByteTrackConfig
from kprtrack.video.writer import VideoWriter

FORMATS = {"t.json": None, "t.jsonl": None, "t.csv": None, "t.txt": None, "c.json": "coco", "t.parquet": None}


def some_tracks(frames: int = 3) -> list[Tracks]:
    batch = list(fake_run.frames(frames))
    from kprtrack.pipeline import observe

    return list(track(observe(batch, fake_run.NETWORKS), ByteTrack(ByteTrackConfig(), 10)))


@pytest.mark.parametrize(("name", "format"), FORMATS.items())
def test_an_incomplete_result_lies_beside_an_older_one(tmp_path: Path, name: str, format: str | None) -> None:
    path, partial = tmp_path / name, tmp_path / f"{name}.partial"
    path.write_bytes(b"precious")
    with pytest.raises(RuntimeError), open_writer(path, RunHeader(), format) as writer:
        for tracks in some_tracks():
            writer.write(tracks)
        raise RuntimeError
    assert path.read_bytes() == b"precious"
    assert writer.saved == partial
    assert len(read_tracks(partial, format).frames) == 3
    assert sorted(tmp_path.iterdir()) == [path, partial]


@pytest.mark.parametrize(("name", "format"), FORMATS.items())
def test_a_complete_result_replaces_an_older_one(tmp_path: Path, name: str, format: str | None) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    with open_writer(path, RunHeader(), format) as writer:
        for tracks in some_tracks():
            writer.write(tracks)
    assert writer.saved == path and list(tmp_path.iterdir()) == [path]
    assert len(read_tracks(path, format).frames) == 3


def test_an_incomplete_video_lies_beside_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "d.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(RuntimeError), VideoWriter(path, 64, 48, 10) as video:
        video.write(next(fake_run.frames(1)).image, 0.0)
        raise RuntimeError
    assert path.read_bytes() == b"precious"
    assert video.saved == tmp_path / "d.mp4.partial"


def test_frames_that_cannot_be_rendered_stay_in_the_part_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"

    def full(target: Path) -> OutputFile:
        raise OSError(28, "No space left on device")

    writer = JournalWriter(path, RunHeader(), "coco", full)  # type: ignore[arg-type]
    for tracks in some_tracks():
        writer.write(tracks)
    with pytest.raises(OutputError) as caught:
        writer.close()
    part = tmp_path / "t.csv.part"
    assert str(caught.value) == (
        f"Cannot write {path}: No space left on device. Free some space, or choose another disk. Its 3 frames"
        f" are in {part}; then run: kprtrack recover {part}"
    )
    assert part.exists() and not path.exists()


@pytest.mark.skipif(os.name == "nt", reason="needs links")
@pytest.mark.parametrize("name", ["t.json", "t.csv", "c.json", "d.mp4"])
def test_a_part_file_that_is_a_link_is_never_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / f"{name}.part").symlink_to(victim)
    with pytest.raises(OutputError, match=r"\.part is needed for it, but is a link"):
        if name.endswith("mp4"):
            VideoWriter(tmp_path / name, 64, 48, 10)
        else:
            open_writer(tmp_path / name, RunHeader(), "coco" if name == "c.json" else None)
    assert victim.read_bytes() == b"precious"


@pytest.mark.skipif(os.name == "nt", reason="needs pipes")
@pytest.mark.parametrize("name", ["pipe.json", "pipe.csv", "pipe.mp4"])
def test_a_pipe_is_rejected_alike_by_all_that_need_a_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    for path in (tmp_path / name, Path("/dev/stdout")):
        with pytest.raises(OutputError, match="device or pipe, and this format needs a file"):
            if name.endswith("mp4") and path.suffix:
                VideoWriter(path, 64, 48, 10)
            else:
                open_writer(path, RunHeader(), "kprtrack")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_a_link_to_a_video_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "d.mp4"
    link.symlink_to(tmp_path / "disk" / "real.mp4")
    with VideoWriter(link, 64, 48, 10) as video:
        video.write(next(fake_run.frames(1)).image, 0.0)
    assert link.is_symlink() and (tmp_path / "disk" / "real.mp4").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_a_stream_ends_quietly_and_keeps_what_a_file_has(tmp_path: Path) -> None:
    video = fake_run.make_video(tmp_path / "walk.mp4", 300)
    env = {**os.environ, "KPRTRACK_HOME": str(tmp_path / "home")}

    def shell(words: str) -> subprocess.CompletedProcess[str]:
        command = f"set -o pipefail; {shlex.join(fake_cli.command(video, '--out', '-', '--quiet'))} {words}"
        return subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, env=env, cwd=tmp_path, check=False
        )

    closed = shell("| head -n 2")
    assert (closed.returncode, closed.stderr, closed.stdout.count("\n")) == (0, "", 2)
    (tmp_path / "all.jsonl").write_text("before\n")
    assert shell(">> all.jsonl").returncode == 0
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert lines[0] == "before" and len(lines) == 1 + 1 + 300 + 1
