"""Videos with a sound, made in the test, and what PyAV reads of them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48_000


def make_video(
    path: Path,
    codec: str = "aac",
    *,
    seconds: float = 2.0,
    fps: int = 10,
    video_codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    first_s: float = 0.0,
    sounds: int = 1,
) -> Path:
    """A video that is bright and loud in the second half of each second, dark and silent in the first.

    Args:
        first_s: Time stamp of the first image; the sound starts at 0.
    """
    width, height = size
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=fps)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = [container.add_stream(codec, rate=RATE, layout="stereo") for _ in range(sounds)]
        tick = Fraction(1, fps) if path.suffix == ".avi" else Fraction(1, 1000)  # AVI has a constant rate
        video.codec_context.time_base = tick
        for number in range(round(seconds * fps)):
            image = np.full((height, width, 3), 200 if loud(number / fps) else 40, np.uint8)
            image[:, : width // 2] = np.linspace(0, 255, height, dtype=np.uint8)[:, None, None]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round((first_s + number / fps) / tick), tick
            container.mux(video.encode(frame))
        times = np.arange(round(RATE * (seconds + first_s))) / RATE
        wave = np.where(loud(times - first_s), 0.5 * np.sin(2 * np.pi * 440 * times), 0).astype(np.float32)
        for stream in audio:
            for start in range(0, len(wave), RATE // 10):
                piece = np.ascontiguousarray(np.stack([wave[start : start + RATE // 10]] * 2))
                sound = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
                sound.sample_rate, sound.pts, sound.time_base = RATE, start, Fraction(1, RATE)
                container.mux(stream.encode(sound))
            container.mux(stream.encode(None))
        container.mux(video.encode(None))
    return path


def loud(times_s):
    """Whether the second half of each second has come: the images are bright, the sound is audible."""
    times_s = np.asarray(times_s)
    return (times_s >= 0) & (times_s % 1 >= 0.5 - 1e-9)


def packets(path: Path, index: int = 0) -> list[bytes]:
    """The packets of an audio stream as they are stored."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=index) if packet.size]


def codecs(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.codec_context.name for stream in container.streams.audio]


def onsets(path: Path) -> tuple[list[float], list[float]]:
    """When images become bright and when the sound becomes audible, in seconds from the first image."""
    with av.open(str(path)) as container:
        fps = container.streams.video[0].average_rate
        avi = container.format.name == "avi"  # stores no times; FFmpeg's guess is late by the decoder's delay
        images = [
            (float(number / fps) if avi else frame.time, frame.to_ndarray(format="gray")[:, -8:].mean())
            for number, frame in enumerate(container.decode(video=0))
        ]
    with av.open(str(path)) as container:
        heard: list[tuple[float, float]] = []
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().astype(np.float64)
            if not frame.format.is_planar:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            level = np.abs(samples[0]) / (32768 if samples.max(initial=0) > 2 else 1)
            for start in range(0, len(level), 240):
                heard.append((frame.time + start / frame.sample_rate, level[start : start + 240].max()))
    origin = images[0][0]
    return _rises(images, 120, origin), _rises(heard, 0.2, origin)


def _rises(values: list[tuple[float, float]], least: float, origin: float) -> list[float]:
    found, low = [], True
    for time_s, value in values:
        if low and value > least:
            found.append(time_s - origin)
        if value > least:
            low, quiet_from = False, time_s
        elif not low and time_s - quiet_from > 0.1:
            low = True
    return found
