"""A video whose frames show their numbers, at an irregular rate, its tracks, and a server of both."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from kprtrack.io import RunHeader, TrackFile, write_tracks
from support.numbered import HEIGHT, WIDTH, numbered_image
from support.paths import ROOT
from support.tracks_cases import tracks_of

FRAMES = 48
TICKS = [4 * number + 3 * (number // 5) for number in range(FRAMES)]  # hundredths of a second


def make_video(path: Path) -> Path:
    """Write a video with a variable frame rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = 12
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for number, tick in enumerate(TICKS):
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_result(path: Path) -> TrackFile:
    """Write tracks: person 1 becomes 3 after a gap, person 2 stays, with a skeleton."""
    frames = []
    for number, tick in enumerate(TICKS):
        people = {2: (120, 20, 150, 110)}
        if number < 20 or number >= 26:
            people[1 if number < 20 else 3] = (40 + number / 4, 20, 70 + number / 4, 110)
        points = np.full((len(people), 17, 3), 0.9, np.float32)
        points[:, :, :2] = [[[130, 20 + 5 * row] for row in range(17)]] * len(people)
        frames.append(tracks_of(people, number=number, time_s=tick / 100, keypoints=points))
    tracks = TrackFile(RunHeader(video={"width": WIDTH, "height": HEIGHT, "fps": 21.9}), frames, True)
    write_tracks(tracks, path)
    return tracks


def serve(folder: Path, port: int = 0) -> tuple[subprocess.Popen[str], str]:
    """Start `kprtrack review` for tracks.json and video.mp4 of a folder; the process and its address."""
    command = [sys.executable, "-m", "kprtrack", "review", "tracks.json", "video.mp4", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*command, "--quiet", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()
