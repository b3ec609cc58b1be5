"""Chunks of a video give the observations of a run in one piece, to the bit."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support import fake_run
from support.many_cases import BY_BATCH, CONFIG

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError
from kprtrack.io import read_observations, write_observations
from kprtrack.pipeline import Networks
from kprtrack.run import observe_video
from kprtrack.scale.chunks import UnsplitError, joined, observe_chunk, plan_chunks
from kprtrack.video.clip import Clip

FRAMES = 61


def _join(clip: Clip, split_s: float, folder: Path, networks: Networks) -> Path:
    """Observe all chunks, the last first, and join them; returns the file."""
    folder.mkdir(exist_ok=True)
    chunks = plan_chunks(clip, split_s, CONFIG.frames_at_once)
    assert len(chunks) > 2
    files = [folder / f"{chunk.index}.npz" for chunk in chunks]
    for chunk in reversed(chunks):
        observe_chunk(clip, chunk, files[chunk.index], CONFIG, networks, lambda: None)
    whole = folder / "whole.npz"
    observe_video(clip, whole, CONFIG, networks=networks)
    out = folder / "joined.npz"
    write_observations(out, read_observations(whole).header, joined(chunks, files, networks))
    return out


@pytest.mark.parametrize(
    "span", [{}, {"stride": 3}, {"start_s": 1.25}, {"start_s": 0.7, "end_s": 5.05, "stride": 2}], ids=str
)
def test_joined_chunks_are_the_file_of_one_process(tmp_path: Path, span: dict[str, float]) -> None:
    """The scores depend on the place of a frame in its batch, so that the batches must be the same, too."""
    video = fake_run.make_video(tmp_path / "walk.mp4", FRAMES)
    clip = replace(Clip(video), **span)  # type: ignore[arg-type]
    out = _join(clip, 1.2, tmp_path / "out", BY_BATCH)
    assert out.read_bytes() == (tmp_path / "out" / "whole.npz").read_bytes()


def test_a_varying_frame_rate_does_not_move_the_chunks(tmp_path: Path) -> None:
    video = tmp_path / "varying.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 5
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = 4 * number + 30 * max(number - 40, 0), Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    out = _join(Clip(video), 1.6, tmp_path / "out", BY_BATCH)
    assert out.read_bytes() == (tmp_path / "out" / "whole.npz").read_bytes()


def test_a_short_video_is_not_split(tmp_path: Path) -> None:
    video = fake_run.make_video(tmp_path / "walk.mp4", 12)
    assert plan_chunks(Clip(video), 1.2, 4) == ()
    assert [chunk.start for chunk in plan_chunks(Clip(video), 0.4, 4)] == [0, 4, 8]


def test_networks_that_are_not_repeatable_are_found_in_the_overlap(tmp_path: Path) -> None:
    calls = 0

    def detect(batch: list[Frame]) -> list[Detections]:
        nonlocal calls
        calls += 1
        return [Detections(found.boxes + 0.01 * calls, found.scores) for found in fake_run.detect(batch)]

    video = fake_run.make_video(tmp_path / "walk.mp4", FRAMES)
    with pytest.raises(UnsplitError, match=r"^frame \d+ differs after a seek$"):
        _join(Clip(video), 1.2, tmp_path / "out", replace(BY_BATCH, detect=detect))


def test_chunks_of_other_weights_are_rejected(tmp_path: Path) -> None:
    video = fake_run.make_video(tmp_path / "walk.mp4", 12)
    chunks = plan_chunks(Clip(video), 0.6, 4)
    files = [tmp_path / f"{chunk.index}.npz" for chunk in chunks]
    for chunk, file in zip(chunks, files, strict=True):
        observe_chunk(Clip(video), chunk, file, CONFIG, BY_BATCH, lambda: None)
    other = replace(BY_BATCH, metadata={"detector": {"name": "another"}})
    with pytest.raises(UserError, match=r"^Chunk 0 was observed with other weights"):
        list(joined(chunks, files, other))


def test_a_cut_video_is_not_split(tmp_path: Path) -> None:
    video = fake_run.make_video(tmp_path / "walk.mkv", FRAMES)
    video.write_bytes(video.read_bytes()[:-1500])
    chunk = plan_chunks(Clip(video), 1.2, 4)[-1]
    with pytest.raises(UnsplitError):
        observe_chunk(Clip(video), chunk, tmp_path / "c.npz", CONFIG, BY_BATCH, lambda: None)
