"""A small RTSP 1.0 server for tests: H.264 over RTP, interleaved in the connection (RFC 2326, 3550, 6184)."""

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av

from support.numbered import FPS, HEIGHT, WIDTH, numbered_image

CLOCK_HZ = 90_000
_SDP = f"""v=0
o=- 0 0 IN IP4 127.0.0.1
s=numbered
t=0 0
m=video 0 RTP/AVP 96
c=IN IP4 0.0.0.0
a=rtpmap:96 H264/{CLOCK_HZ}
a=fmtp:96 packetization-mode=1
a=control:track
"""


def h264_units(count: int) -> list[list[bytes]]:
    """The NAL units of numbered images 0 to count - 1, an image each, a key frame every twelve."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.time_base, codec.gop_size, codec.max_b_frames = Fraction(1, FPS), 12, 0
    codec.options = {"tune": "zerolatency", "x264-params": "sliced-threads=0:sync-lookahead=0"}
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
        frame.pts, frame.time_base = number, codec.time_base
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [
        [unit.rstrip(b"\0") for unit in bytes(packet).split(b"\0\0\1") if unit.rstrip(b"\0")]
        for packet in packets
    ]


class _Session(socketserver.StreamRequestHandler):
    """One client: answers its requests, plays once, then breaks off or stays silent."""

    def handle(self) -> None:
        images, stalls = self.server.plays.pop(0) if self.server.plays else ([], False)
        if not images:
            return
        while request := self.rfile.readline().decode().split():
            headers = dict(line.split(": ", 1) for line in iter(self._line, ""))
            extra, body = "Session: 1\r\n", ""
            if request[0] == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif request[0] == "DESCRIBE":
                extra, body = f"Content-Type: application/sdp\r\nContent-Length: {len(_SDP)}\r\n", _SDP
            elif request[0] == "SETUP":
                extra += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {headers['CSeq']}\r\n{extra}\r\n{body}"
            self.wfile.write(answer.encode())
            if request[0] == "PLAY":
                self._play(images)
                if stalls:
                    self.server.ended.wait()
                return

    def _line(self) -> str:
        return self.rfile.readline().decode().strip()

    def _play(self, images: list[list[bytes]]) -> None:
        sequence = 0
        for number, units in enumerate(images):
            for place, unit in enumerate(units):
                last = place == len(units) - 1
                header = struct.pack(
                    ">BBHII", 0x80, 96 | 128 * last, sequence, number * CLOCK_HZ // FPS, 0x4B5052
                )
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(header) + len(unit)) + header + unit)
                sequence += 1


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, plays: list[tuple[list[list[bytes]], bool]]) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.plays, self.ended = plays, threading.Event()


@contextmanager
def rtsp_server(*plays: tuple[int, bool]) -> Iterator[str]:
    """Serve one play for each connection in turn.

    Args:
        plays: Number of images, and whether the server stays silent after them instead of breaking off; no
            image: the connection is closed at once.

    Yields:
        The address.
    """
    units = h264_units(max(count for count, _ in plays))
    with _Server([(units[:count], stalls) for count, stalls in plays]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"rtsp://127.0.0.1:{server.server_address[1]}/live"
        finally:
            server.ended.set()
            server.shutdown()
