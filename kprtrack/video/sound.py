"""Copy the sound of a video file into the video that is made from it."""

import io
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet

# Encoder for sound that a container cannot hold, by muxer; its sampling rates and bits per second a channel.
_ENCODERS = {"webm": ("libopus", (48000,))}
_OTHERS = ("aac", (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350))
_BITS_A_CHANNEL = 96_000
_SEEK_FROM_S = 5.0  # earlier starts are reached by reading
_SEEK_MARGIN_S = 1.0  # packets of sound are stored up to about this far from the images of their time


@dataclass(frozen=True)
class SoundFile:
    """A file with sound, and the part of it that belongs to a video.

    Args:
        path: The file, as given to `av.open`.
        origin_s: Time stamp in the file, in seconds, of time 0 of its video.
        end_s: End of the part that is used, in seconds of the video; infinite: all.
    """

    path: str
    origin_s: float
    end_s: float = math.inf


class SoundCopy:
    """Copies the audio streams of a file to an open output, packet by packet, as they are.

    Codecs that the container cannot hold are encoded as AAC, in WebM as Opus. Times are counted like those of
    the video: from its first frame written.

    Args:
        sound: The file.
        container: The output, before anything is written; it gets one stream for each audio stream.

    Raises:
        av.FFmpegError: The file cannot be opened.
        OSError: The same.
    """

    def __init__(self, sound: SoundFile, container: OutputContainer) -> None:
        self._sound = sound
        self._input = av.open(str(sound.path), metadata_errors="replace")
        self._container = container
        self._copies: dict[int, _Stream] = {}
        self._encoded: list[str] = []
        self._failure: str | None = None
        for stream in self._input.streams.audio:
            if stream.codec_context is not None and stream.sample_rate:
                self._add(stream)
        self._packets: Iterator[Packet] | None = None
        self._waiting: Packet | None = None
        self._first_s = 0.0

    def __len__(self) -> int:
        """Number of audio streams."""
        return len(self._copies)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not copied as it is."""
        return (*self._encoded, *([self._failure] if self._failure else []))

    def begin(self, first_s: float) -> None:
        """Start at the time of the video's first frame written, in seconds of the source."""
        self._first_s = first_s
        if first_s > _SEEK_FROM_S:
            target_s = self._sound.origin_s + first_s - _SEEK_MARGIN_S
            with suppress(av.FFmpegError, OSError):  # a format without seeking is read from its start
                self._input.seek(int(target_s * av.time_base))
        self._packets = self._input.demux([self._input.streams[index] for index in self._copies])

    def write_until(self, time_s: float) -> None:
        """Write the packets that begin before a time, in seconds from the first frame written."""
        if self._packets is None:
            return
        last_s = min(time_s, self._sound.end_s - self._first_s)
        while (packet := self._next()) is not None:
            copy = self._copies[packet.stream.index]
            starts_s = self._starts_s(packet)
            if starts_s >= last_s - 1e-9:
                return
            self._waiting = None
            # Sound from before the video is part of the file, but not of a part that starts later.
            if self._first_s <= 0 or starts_s + _duration_s(packet) > 1e-9:
                copy.write(packet, self._sound.origin_s + self._first_s)

    def finish(self, end_s: float) -> None:
        """Write the packets up to a time and what the encoders hold; no call may follow but `close`."""
        self.write_until(end_s)
        if self._packets is not None:
            for copy in self._copies.values():
                copy.finish()

    def close(self) -> None:
        """Close the file that is read."""
        self._packets = None
        self._input.close()

    def _add(self, stream: AudioStream) -> None:
        muxer = self._container.format.name
        if _fits(muxer, stream):
            self._copies[stream.index] = _Copied(self._container, stream)
            return
        encoder, rates = _ENCODERS.get(muxer, _OTHERS)
        self._copies[stream.index] = _Encoded(self._container, stream, encoder, rates)
        name, codec = encoder.removeprefix("lib"), stream.codec_context.codec.name
        self._encoded.append(f"the sound is encoded as {name}: {muxer} cannot hold {codec}")

    def _next(self) -> Packet | None:
        """The packet to be written next; None: there is no more."""
        assert self._packets is not None
        while self._waiting is None:
            try:
                packet = next(self._packets, None)
            except (av.FFmpegError, OSError) as error:
                self._failure = f"the sound cannot be read to its end: {error}"
                packet = None
            if packet is None:
                return None
            if packet.size and packet.pts is not None:
                self._waiting = packet
        return self._waiting

    def _starts_s(self, packet: Packet) -> float:
        assert packet.pts is not None
        return float(packet.pts * packet.time_base) - self._sound.origin_s - self._first_s


def _fits(muxer: str, stream: AudioStream) -> bool:
    """Whether a container can hold the codec of a stream: tried, as formats have conditions of their own."""
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as container:
            container.add_stream_from_template(stream)
            container.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


class _Stream(Protocol):
    """One audio stream of the output."""

    def write(self, packet: Packet, shift_s: float) -> None:
        """Write a packet of the input, earlier by `shift_s`."""

    def finish(self) -> None:
        """Write what is held back."""


class _Copied:
    def __init__(self, container: OutputContainer, stream: AudioStream) -> None:
        self._container = container
        self._stream = container.add_stream_from_template(stream)
        self._filter: BitStreamFilterContext | None = None
        if stream.codec_context.name == "aac" and not stream.codec_context.extradata:
            # MPEG-TS repeats the settings of the codec in each packet, other containers store them once.
            self._filter = BitStreamFilterContext("aac_adtstoasc", stream)

    def write(self, packet: Packet, shift_s: float) -> None:
        shift = round(shift_s / packet.time_base)
        assert packet.pts is not None
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        for copied in self._filter.filter(packet) if self._filter else [packet]:
            copied.stream = self._stream
            self._container.mux(copied)

    def finish(self) -> None:
        pass


class _Encoded:
    def __init__(
        self, container: OutputContainer, stream: AudioStream, encoder: str, rates: tuple[int, ...]
    ) -> None:
        self._container = container
        rate = max((known for known in rates if known <= stream.sample_rate), default=min(rates))
        layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
        output = container.add_stream(encoder, rate=rate, layout=layout)
        assert isinstance(output, AudioStream)
        output.bit_rate = _BITS_A_CHANNEL * output.codec_context.layout.nb_channels
        output.codec_context.open()
        self._stream = output
        self._resampler = AudioResampler(output.format, layout, rate, output.codec_context.frame_size or None)

    def write(self, packet: Packet, shift_s: float) -> None:
        shift = round(shift_s / packet.time_base)
        with suppress(av.InvalidDataError):  # one damaged packet is a short silence
            for frame in packet.decode():
                assert isinstance(frame, av.AudioFrame)
                if frame.pts is not None:
                    frame.pts -= shift
                for piece in self._resampler.resample(frame):
                    self._container.mux(self._stream.encode(piece))

    def finish(self) -> None:
        for piece in self._resampler.resample(None):
            self._container.mux(self._stream.encode(piece))
        self._container.mux(self._stream.encode(None))


def _duration_s(packet: Packet) -> float:
    return float(packet.duration * packet.time_base) if packet.duration else 0.0
