"""The first seconds of the demo clip, for tests of the demo with networks."""

import gzip
import json
from pathlib import Path

import av
import pytest

from kprtrack.cli import demo


def shorten_demo(folder: Path, frames: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let `kprtrack demo` run on the beginning of its clip, the very same pixels.

    Args:
        folder: Where the shorter clip and its ground truth are written.
        frames: Least number of frames; the clip is cut at a keyframe.
        monkeypatch: Of the test.

    Returns:
        The number of frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clip, ground_truth = folder / demo.CLIP.name, folder / demo.GROUND_TRUTH.name
    count = _copy_packets(demo.CLIP, clip, frames)
    document = json.loads(gzip.decompress(demo.GROUND_TRUTH.read_bytes()))
    document["frames"] = document["frames"][:count]
    document["video"]["frames"] = count
    ground_truth.write_bytes(gzip.compress(json.dumps(document).encode()))
    monkeypatch.setattr(demo, "CLIP", clip)
    monkeypatch.setattr(demo, "GROUND_TRUTH", ground_truth)
    monkeypatch.setattr(demo, "IMAGE_FRAME", count - 1)
    return count


def _copy_packets(source: Path, target: Path, frames: int) -> int:
    """Copy a video up to the first keyframe after a number of frames; the number of frames copied."""
    count = 0
    with av.open(str(source)) as whole, av.open(str(target), "w") as part:
        stream = whole.streams.video[0]
        copied = part.add_stream_from_template(stream)
        for packet in whole.demux(stream):
            if packet.dts is None or (packet.is_keyframe and count >= frames):
                break
            packet.stream = copied
            part.mux(packet)
            count += 1
    return count
