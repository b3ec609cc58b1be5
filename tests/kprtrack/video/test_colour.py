"""High dynamic range becomes what a BT.709 screen shows; luminances and codes are those of the standards."""

from fractions import Fraction

import av
import numpy as np
import pytest

from kprtrack.video.colour import ColourTags, RgbConverter, pq_luminance, pq_signal, tone_mapped
from kprtrack.video.source import open_source
from kprtrack.video.writer import VideoWriter

PQ, HLG = 16, 18
# ITU-R BT.2408: luminance and signals in PQ and HLG of reference levels, there in whole percent.
REFERENCE_WHITE = 203.0
BT2408 = {"grey card 18 %": (26.0, 0.38, 0.38), "white 100 %": (203.0, 0.58, 0.75)}
# BT.2087: linear BT.2020 of the primaries of BT.709.
BT709_RED_IN_BT2020 = np.array([0.6274, 0.0691, 0.0164])


def expected(luminance):
    """A grey on a display of gamma 2.4 (BT.1886) whose white is the reference white."""
    return 255 * (luminance / REFERENCE_WHITE) ** (1 / 2.4)


def make_video(path, signals, transfer, *, codec="libx265"):
    """One frame of 64x48 pixels with this signal [3] R G B everywhere, stored as BT.2020 with 10 bits."""
    red, green, blue = signals
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    planes = [64 + 876 * luma, 512 + 896 * (blue - luma) / 1.8814, 512 + 896 * (red - luma) / 1.4746]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=10, options={"crf": "0", "x265-params": "lossless=1:log-level=0"}
        )
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = (
            9,
            9,
            transfer,
            1,
        )
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        for plane, value in zip(frame.planes, planes, strict=True):
            plane.update(np.full(plane.buffer_size // 2, round(value), np.uint16).tobytes())
        for number in range(3):
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_again(source, out):
    """Read a video and write it with its tags; returns the file written."""
    with open_source(source) as video, VideoWriter(out, 64, 48, 10, colour=video.colour) as writer:
        for frame in video:
            writer.write(frame.image, frame.time_s)
    return out


def patch(path):
    """The mean colour of the first frame, and its spread."""
    with open_source(path) as video:
        image = next(iter(video)).image
    assert np.ptp(image.reshape(-1, 3), axis=0).max() <= 1
    return image.reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize(
    ("signal", "luminance"), [(0.0, 0), (0.5081, 100), (0.5807, 203), (0.7518, 1000), (1, 10_000)]
)
def test_pq_signals_have_the_luminances_of_the_standard(signal, luminance):
    assert pq_luminance(np.array(signal)) == pytest.approx(luminance, rel=2e-3)
    assert pq_signal(np.array(luminance)) == pytest.approx(signal, abs=2e-4)


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("level", [0, 1])
def test_reference_levels_have_the_signals_of_bt2408(transfer, level):
    """A grey card stays in proportion to the white, which is compressed in favour of what is brighter."""
    luminance, *signals = list(BT2408.values())[level]
    codes = np.full((1, 1, 3), round(65535 * signals[transfer == HLG]), np.uint16)
    frame = av.VideoFrame.from_ndarray(codes, format="rgb48le")
    grey = RgbConverter(transfer)(frame)[0, 0]
    assert np.ptp(grey) <= 1
    if level == 0:
        assert grey[0] == pytest.approx(expected(luminance), abs=4)  # the signals are rounded to 1 %
    else:
        assert 0.75 * 255 < grey[0] < 0.95 * 255


@pytest.mark.parametrize("luminance", [1, 10, 50, 85])
def test_a_dark_grey_patch_of_a_pq_video_keeps_its_luminance(tmp_path, luminance):
    signal = float(pq_signal(np.array(luminance)))
    colour = patch(make_video(tmp_path / "v.mp4", [signal] * 3, PQ))
    np.testing.assert_allclose(colour, expected(luminance), atol=1.5)


@pytest.mark.parametrize(("signal", "luminance"), [(0.30, None), (0.38, 26.0)])
def test_a_dark_grey_patch_of_an_hlg_video_keeps_its_luminance(tmp_path, signal, luminance):
    luminance = 1000 * (signal**2 / 3) ** 1.2  # BT.2100: inverse OETF below 1/2, OOTF of a 1000 cd/m² display
    colour = patch(make_video(tmp_path / "v.mp4", [signal] * 3, HLG))
    np.testing.assert_allclose(colour, expected(luminance), atol=1.5)


def test_the_peak_is_white_and_brightness_rises_up_to_it():
    luminances = np.geomspace(0.01, 1000, 500)
    mapped = tone_mapped(luminances, 1000)
    assert (np.diff(mapped) > 0).all()
    assert mapped[-1] == pytest.approx(203, rel=1e-3)
    assert (mapped <= luminances * 1.001).all()
    below = luminances < 88
    np.testing.assert_allclose(mapped[below], luminances[below], rtol=1e-3)


def test_a_pq_video_of_low_peak_is_not_compressed():
    np.testing.assert_allclose(tone_mapped(np.array([1.0, 100, 200]), 203), [1, 100, 200], rtol=1e-6)


def test_the_red_of_bt709_comes_out_as_pure_red(tmp_path):
    signals = pq_signal(50 * BT709_RED_IN_BT2020)
    red, green, blue = patch(make_video(tmp_path / "v.mp4", signals, PQ))
    assert red == pytest.approx(expected(50), abs=2)
    assert max(green, blue) < 25  # 10 bits of PQ; 25 is 0.4 % of the light of white


def test_what_is_made_from_a_pq_video_is_tagged_as_bt709(tmp_path):
    made = make_video(tmp_path / "v.mp4", [float(pq_signal(np.array(50.0)))] * 3, PQ)
    write_again(made, tmp_path / "o.mp4")
    with av.open(str(tmp_path / "o.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.pix_fmt == "yuv420p"
        luma = np.frombuffer(next(container.decode(video=0)).planes[0], np.uint8)[0]
    assert luma == pytest.approx(16 + 219 * expected(50) / 255, abs=2)  # 8 bits, converted twice


@pytest.mark.parametrize("tags", [(1, 1, 1), (6, 6, 6), None])
def test_colours_stay_as_they_are_stored(tmp_path, tags):
    """A copy of a copy has the colours of the first one, also for players that know only the tags."""
    colour = np.array([200, 60, 30])
    path = tmp_path / "0.mp4"
    image = np.broadcast_to(colour, (48, 64, 3)).astype(np.uint8)
    with VideoWriter(path, 64, 48, 10, colour=ColourTags(*tags) if tags else None) as writer:
        writer.write(image, 0)
    for number in (1, 2):
        path = write_again(path, tmp_path / f"{number}.mp4")
    stored = []
    for name in ("0.mp4", "2.mp4"):
        with av.open(str(tmp_path / name)) as container:
            frame = next(container.decode(video=0))
            stored.append([int(np.frombuffer(plane, np.uint8)[0]) for plane in frame.planes])
            context = container.streams.video[0].codec_context
            assert (context.colorspace, context.color_primaries, context.color_trc) == (tags or (2, 2, 2))
    np.testing.assert_allclose(stored[1], stored[0], atol=3)
    np.testing.assert_allclose(patch(path), colour, atol=5)
