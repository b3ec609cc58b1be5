"""The job of the film guide: all people of a scene blurred but one, with sound, by the commands it prints."""

import re
import shlex
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support import sound_cases
from support.paths import ROOT

from kprtrack.cli.demo import CLIP
from kprtrack.cli.main import main
from kprtrack.io import read_tracks
from kprtrack.video.source import open_source

FRAMES, FPS = 8, 25


def scene(path: Path) -> Path:
    """The beginning of the demo clip, in which people walk, with a tone of 440 Hz."""
    with open_source(CLIP) as clip:
        images = [frame.image for frame, _ in zip(clip, range(FRAMES), strict=False)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "16"})
        video.height, video.width, video.pix_fmt = *images[0].shape[:2], "yuv420p"
        audio = container.add_stream("aac", rate=sound_cases.RATE, layout="stereo")
        for image in images:
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        times = np.arange(FRAMES * sound_cases.RATE // FPS) / sound_cases.RATE
        wave = np.stack([0.5 * np.sin(2 * np.pi * 440 * times)] * 2).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = sound_cases.RATE, 0, Fraction(1, sound_cases.RATE)
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))
    return path


def job() -> list[list[str]]:
    """The commands of the section."""
    text = (ROOT / "docs" / "guides" / "film.md").read_text("utf-8")
    section = text.partition("## Blur all people but one")[2].partition("\n## ")[0]
    return [shlex.split(line)[1:] for line in re.findall(r"^kprtrack .*$", section, flags=re.MULTILINE)]


@pytest.mark.slow
def test_all_people_but_one_are_blurred_with_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scene(tmp_path / "video.mp4")
    commands = job()
    assert len(commands) <= 3
    for words in commands:
        assert main([*words, "--quiet"]) == 0
    assert sound_cases.packets(tmp_path / "blurred.mp4") == sound_cases.packets(tmp_path / "video.mp4")
    assert sound_cases.packets(tmp_path / "check.mp4") == sound_cases.packets(tmp_path / "video.mp4")
    with open_source("video.mp4") as source, open_source("blurred.mp4") as result:
        pairs = [(one.image.astype(int), two.image) for one, two in zip(source, result, strict=True)]
    assert len(pairs) == FRAMES
    found: dict[bool, list[float]] = {True: [], False: []}
    for tracks, (image, blurred) in zip(read_tracks("scene.json").frames, pairs, strict=True):
        for person in tracks:
            x, y, confidence = person.keypoints[0]  # the nose
            if confidence > 0.5:
                part = slice(max(int(y) - 6, 0), int(y) + 7), slice(max(int(x) - 6, 0), int(x) + 7)
                found[person.track_id == 2].append(float(np.abs(image[part] - blurred[part]).mean()))
    assert len(found[True]) >= FRAMES // 2 and len(found[False]) >= FRAMES
    assert max(found[True]) < 6 < 12 < min(found[False])  # of 255; the first is the loss of the encoder
