"""Colours of a video: its tags, and the conversion of high dynamic range (PQ, HLG) for BT.709 screens.

Sources: SMPTE ST 2084 (PQ), ITU-R BT.2100-2 (PQ, HLG, OOTF), BT.2390-11 section 5.4.1 (tone mapping),
BT.2087-0 (BT.2020 to BT.709), BT.2408-7 (reference white of 203 cd/m²), BT.1886 (display of gamma 2.4).
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace

WHITE = 203.0  # cd/m² of reference white, which becomes the white of the result
DEFAULT_PEAK = (
    1000.0  # cd/m² of the brightest pixel, where a PQ video does not state it; of HLG by definition
)
_MOST = 10_000.0  # cd/m², PQ
_GAMMA = 2.4
_HLG_GAMMA = 1.2  # for a display of 1000 cd/m²
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_PQ, _HLG = 16, 18  # transfer functions in H.273
_FULL_RANGE = 2  # 0 to 255, H.273
_CODES = 65_536  # of a channel with 16 bits


class ColourTags(NamedTuple):
    """How the colours of a video are stored, in the numbers of ITU-T H.273."""

    matrix: int
    primaries: int
    transfer: int


BT709 = ColourTags(1, 1, 1)
# Matrix of H.273 -> matrix of the conversion; videos with any other one, or none, are written without tags.
MATRICES = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 9: Colorspace.BT2020}


@dataclass(frozen=True)
class RgbConverter:
    """Converts decoded frames to RGB with 8 bits, [H, W, 3] uint8.

    High dynamic range is mapped to BT.709: up to about 90 cd/m² luminances stay in proportion, with reference
    white (203 cd/m²) as full white; brighter ones are compressed, so that the peak becomes full white.

    Args:
        transfer: The transfer function of the frames, by its number in ITU-T H.273.
        peak: Luminance of the brightest pixels, cd/m²; used with PQ.
    """

    transfer: int
    peak: float = DEFAULT_PEAK

    @property
    def is_hdr(self) -> bool:
        """Whether the frames have a high dynamic range."""
        return self.transfer in (_PQ, _HLG)

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """Return the image of a frame."""
        if not self.is_hdr:
            return frame.to_ndarray(format="rgb24")
        wide = frame.reformat(format="rgb48le", src_colorspace=Colorspace.BT2020)
        codes = wide.to_ndarray(format="rgb48le")  # [H, W, 3] uint16
        return _pq_to_sdr(codes, self.peak) if self.transfer == _PQ else _hlg_to_sdr(codes)


def has_depth(context: VideoCodecContext, frame: VideoFrame) -> bool:
    """Whether a video has more than 8 bits that a writer can keep: YUV, 16 to 235, not tone-mapped."""
    bits, limited = frame.format.components[0].bits, int(context.color_range) != _FULL_RANGE
    return bits > 8 and limited and "yuv" in frame.format.name and int(context.color_trc) not in (_PQ, _HLG)


def with_changes(decoded: VideoFrame, drawn: VideoFrame, changed: np.ndarray) -> VideoFrame:
    """Make a frame with the depth of a decoded one, and with what was drawn on it.

    Args:
        decoded: The frame of more than 8 bits.
        drawn: The frame with something drawn on it, of even size, with colour for 2 x 2 pixels.
        changed: [H, W] bool, the pixels of `drawn` that differ from the decoded frame in 8 bits.

    Returns:
        `drawn`, in which all other pixels are those of `decoded`.
    """
    kept = decoded.reformat(format=drawn.format.name)
    height, width = changed.shape
    quarters = changed.reshape(height // 2, 2, width // 2, 2).any(axis=(1, 3))
    for mask, own, other in zip((changed, quarters, quarters), drawn.planes, kept.planes, strict=True):
        target, source = (
            np.frombuffer(memoryview(each), np.uint16).reshape(each.height, -1)[:, : each.width]
            for each in (own, other)
        )
        target[~mask] = source[~mask]
    return drawn


def converter_of(context: VideoCodecContext, frame: VideoFrame) -> RgbConverter:
    """Return the converter for a video, by its decoder and its first frame."""
    return RgbConverter(int(context.color_trc), _stated_peak(frame))


def tags_of(context: VideoCodecContext) -> ColourTags | None:
    """Return the tags that a video made from this one gets, by its decoder; None: none."""
    if int(context.color_trc) in (_PQ, _HLG):
        return BT709
    matrix = int(context.colorspace)
    if matrix not in MATRICES:
        return None
    return ColourTags(matrix, int(context.color_primaries), int(context.color_trc))


def pq_luminance(signal: np.ndarray) -> np.ndarray:
    """Return the luminance in cd/m² of a PQ signal in [0, 1] (ST 2084, equation 4.1)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.power(np.clip(signal, 0, 1), 1 / m2)
    return _MOST * np.power(np.maximum(root - c1, 0) / (c2 - c3 * root), 1 / m1)


def pq_signal(luminance: np.ndarray) -> np.ndarray:
    """Return the PQ signal in [0, 1] of a luminance in cd/m² (ST 2084, equation 5.2)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.power(np.clip(luminance, 0, _MOST) / _MOST, m1)
    return np.power((c1 + c2 * root) / (1 + c3 * root), m2)


def tone_mapped(luminance: np.ndarray, peak: float) -> np.ndarray:
    """Return the luminance on a display with a white of 203 cd/m² (EETF of BT.2390), in cd/m².

    Args:
        luminance: In cd/m².
        peak: The brightest luminance of the video, which becomes 203.
    """
    if peak <= WHITE:
        return np.minimum(luminance, WHITE)
    source = float(pq_signal(np.array(peak)))
    most = float(pq_signal(np.array(WHITE))) / source
    knee = 1.5 * most - 0.5
    signal = np.minimum(pq_signal(luminance) / source, 1)
    t = np.maximum(signal - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    )
    return pq_luminance(np.where(signal < knee, signal, spline) * source)


def _pq_to_sdr(codes: np.ndarray, peak: float) -> np.ndarray:
    luminances = pq_luminance(np.arange(_CODES) / (_CODES - 1))
    # The brightest channel is tone-mapped and the others in proportion, which keeps the hue.
    gains = (tone_mapped(luminances, peak) / np.maximum(luminances, 1e-6)).astype(np.float32)
    linear = luminances.astype(np.float32)[codes] * gains[codes.max(axis=2)][..., None]
    return _encoded(linear)


def _hlg_to_sdr(codes: np.ndarray) -> np.ndarray:
    signals = np.arange(_CODES) / (_CODES - 1)
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    scenes = np.where(signals <= 0.5, signals**2 / 3, (np.exp((signals - c) / a) + b) / 12)
    scene = scenes.astype(np.float32)[codes]
    luma = np.maximum(scene @ _BT2020_LUMA, 1e-9)
    linear = scene * (DEFAULT_PEAK * luma ** (_HLG_GAMMA - 1))[..., None]
    known = np.geomspace(1e-3, 4 * DEFAULT_PEAK, 4096)
    gains = tone_mapped(known, DEFAULT_PEAK) / known
    brightest = linear.max(axis=2)
    return _encoded(linear * np.interp(brightest, known, gains).astype(np.float32)[..., None])


def _encoded(linear: np.ndarray) -> np.ndarray:
    """From BT.2020 in cd/m² to an image for a BT.709 display, [H, W, 3] uint8."""
    bt709 = cv2.transform(linear / np.float32(WHITE), _BT2020_TO_BT709)
    image: np.ndarray = np.clip(bt709, 0, 1) ** np.float32(1 / _GAMMA)
    return np.rint(255 * image).astype(np.uint8)


def _stated_peak(frame: VideoFrame) -> float:
    """The brightest pixel by the metadata of a frame, in cd/m²."""
    content = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    if content is not None and len(content) >= 4 and (brightest := int(np.frombuffer(content, "=u4", 1)[0])):
        return float(np.clip(brightest, WHITE, _MOST))
    mastering = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    if mastering is not None and len(mastering) >= 88:
        # AVMasteringDisplayMetadata: ten fractions, the last of which is the highest luminance, two flags.
        numbers = np.frombuffer(mastering, "=i4", 22)
        if numbers[21] and numbers[19]:
            return float(np.clip(numbers[18] / numbers[19], WHITE, _MOST))
    return DEFAULT_PEAK


def _side_data(frame: VideoFrame, name: str) -> bytes | None:
    try:
        found = frame.side_data.get(name)
    except ValueError:  # as for the display matrix
        return None
    return None if found is None else bytes(memoryview(found))  # type: ignore[arg-type]
