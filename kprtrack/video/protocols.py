"""What FFmpeg may open for a source: its own protocol, and no format that names other files."""

import os
from pathlib import Path

import av

from kprtrack.core.errors import InputError
from kprtrack.video.inputs import STANDARD_INPUT, without_secrets

# FFmpeg's demuxers of files that name other files or addresses.
_PLAYLISTS = frozenset({"concat", "concatf", "dash", "hls", "imf", "sdp", "webm_dash_manifest"})
_PLAYLIST_SUFFIXES = frozenset({".m3u8", ".m3u", ".ffconcat", ".concat", ".sdp", ".mpd", ".pls"})
_PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat version", b"v=0", b"<MPD", b"<AssetMap", b"<CompositionPlaylist")
_WEB = "http,https,tcp,tls,crypto,httpproxy"
# Scheme of an address -> the protocols it may use, and so may what it refers to: never local files.
_PROTOCOLS = {
    "http": _WEB,
    "https": _WEB,
    "rtsp": f"rtsp,rtp,srtp,udp,{_WEB}",
    "rtsps": f"rtsps,rtsp,rtp,srtp,udp,{_WEB}",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,rtmp,tls,tcp",
    "rtp": "rtp,srtp,udp",
    "srt": "srt,udp",
    "tcp": "tcp",
    "udp": "udp",
}
_WITH_PLAYLISTS = f"file,rtp,srtp,udp,data,{_WEB}"


def address_and_options(source: str, *, allow_playlists: bool) -> tuple[str, dict[str, str]]:
    """Return what to hand to FFmpeg.

    Args:
        source: A file, a URL or "-".
        allow_playlists: Whether a file may be a playlist.

    Raises:
        InputError: FFmpeg would read the address in another way than as a video.
    """
    options = {"format_whitelist": ",".join(sorted(_formats() - _PLAYLISTS))}
    if source == STANDARD_INPUT:
        return "pipe:0", options | {"protocol_whitelist": "pipe"}
    if "://" not in source:
        # With its protocol, a name such as "concat:a|b" is only a name.
        address = f"file:{source}"
        if allow_playlists:
            return address, {"protocol_whitelist": _WITH_PLAYLISTS, "safe": "0", "allowed_extensions": "ALL"}
        return address, options | {"protocol_whitelist": "file"}
    scheme = source.partition("://")[0].lower()
    if scheme not in _PROTOCOLS:
        raise InputError(
            f"'{without_secrets(source)}' begins with '{scheme}://', which is not supported. Give a file, or"
            f" an address that begins with one of: {', '.join(_PROTOCOLS)}."
        )
    options = {"protocol_whitelist": _PROTOCOLS[scheme]}
    if scheme in ("rtsp", "rtsps"):
        # Over TCP: a camera's UDP packets get lost behind most firewalls, and every loss corrupts the image.
        options["rtsp_transport"] = "tcp"
    return scheme + source[len(scheme) :], options  # FFmpeg knows schemes in small letters only


def is_playlist(source: str) -> bool:
    """Whether a file looks like one that names other files."""
    path = Path(source)
    if path.suffix.lower() in _PLAYLIST_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            begin = file.read(2000)
    except OSError:
        return False
    begin = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    if begin.startswith(b"<?xml"):
        return any(start in begin for start in _PLAYLIST_STARTS if start.startswith(b"<"))
    return begin.startswith(_PLAYLIST_STARTS)


def can_be_encoded(source: str) -> bool:
    """Whether the name is valid UTF-8, in which FFmpeg takes names."""
    try:
        os.fspath(source).encode()
    except UnicodeEncodeError:
        return False
    return True


def _formats() -> set[str]:
    return set(av.formats_available)
