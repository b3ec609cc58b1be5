"""Videos whose frames show their number as ten bits, so that a test reads which frame it got."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

FPS = 25
WIDTH, HEIGHT, BITS = 192, 128, 10
_CELL = WIDTH // 12


def numbered_image(number: int) -> np.ndarray:
    """[H, W, 3] uint8: white and black cells of the bits on a texture that moves."""
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT + 64, WIDTH + 64, 3), dtype=np.uint8)
    at = number % 64
    image = cv2.GaussianBlur(noise, (9, 9), 0)[at : at + HEIGHT, at : at + WIDTH].copy()
    top = (HEIGHT - _CELL) // 2
    for bit in range(BITS):
        left = _CELL + bit * _CELL
        image[top : top + _CELL, left : left + _CELL] = 255 * (number >> bit & 1)
    return image


def number_of(image: np.ndarray) -> int:
    """The number that an image shows."""
    row = image[HEIGHT // 2]
    cells = (row[_CELL + bit * _CELL + _CELL // 2] for bit in range(BITS))
    return sum(int(cell.mean() > 128) << bit for bit, cell in enumerate(cells))


def make_numbered(
    path: Path,
    count: int = 60,
    codec: str = "libx264",
    *,
    options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    b_frames: int | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write frames 0 to count - 1 with a key frame at least every 12 frames."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=FPS, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.codec_context.gop_size = 12
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def overwrite(path: Path, at: int, data: bytes) -> Path:
    """Replace bytes of a file."""
    contents = bytearray(path.read_bytes())
    contents[at : at + len(data)] = data
    path.write_bytes(contents)
    return path


def packets(path: Path) -> list[tuple[int, int, bool]]:
    """Position, size and whether it is a key frame, of each video packet in decoding order."""
    with av.open(str(path)) as container:
        found = list(container.demux(video=0))
        return [(packet.pos or 0, packet.size, packet.is_keyframe) for packet in found if packet.size]
