"""What a result was made from and how, as rows of a table."""

from collections.abc import Iterator, Mapping

import numpy as np

from kprtrack.identity.persons import LINK_PROBABILITY
from kprtrack.io.header import plain
from kprtrack.io.same_video import video_size
from kprtrack.report.results import ReportedResult, duration_text

Metadata = list[tuple[str, str]]
_HASH = 16  # digits of a sha256 that are shown
_LONGEST = 300  # characters of a value
_MOST_SETTINGS = 200
_DAMAGED = 20  # frame numbers that are listed


def metadata_of(result: ReportedResult) -> Metadata:
    """Return name and value of what is known about the video, the result and the networks.

    Args:
        result: A result.
    """
    return [*_video(result), *_tracking(result), *_losses(result), *_networks(result)]


def settings_of(result: ReportedResult) -> Metadata:
    """Return all settings of the run, by their names with dots."""
    config = {key: value for key, value in result.tracks.header.config.items() if key != LINK_PROBABILITY}
    return list(_flat(plain(config)))[:_MOST_SETTINGS]


def _video(result: ReportedResult) -> Iterator[tuple[str, str]]:
    video, size = result.tracks.header.video, video_size(result.tracks.header.video)
    yield "video", result.name
    if size is not None:
        yield "size", f"{size[0]} x {size[1]} pixels"
    if result.tracks.header.fps is not None:
        yield "frame rate", f"{result.tracks.header.fps:.4g} frames/s"
    duration = video.get("duration_s")
    if isinstance(duration, int | float) and np.isfinite(duration):
        yield "duration", duration_text(float(duration))
    if video.get("sha256"):
        yield "SHA-256 of the video", f"{_short(video['sha256'], _HASH)}"


def _tracking(result: ReportedResult) -> Iterator[tuple[str, str]]:
    frames, state = result.tracks.frames, result.state
    yield "result", result.path.name
    total = result.tracks.header.video.get("frames")
    of = f" of {total} in the video" if isinstance(total, int) and total != len(frames) else ""
    yield "tracked frames", f"{len(frames)}{of}"
    if len(frames):
        yield "from", f"{result.moment_text(result.starts[0])} to {result.moment_text(result.starts[-1])}"
    if result.tracks.complete is not None:
        yield "complete", "yes" if result.tracks.complete else "no, the run was interrupted"
    counts = np.bincount(state.frame, minlength=len(frames))
    if len(counts):
        yield "people in a frame", f"{counts.mean():.1f} on average, at most {counts.max()}"
    yield "boxes", str(len(state.ids))
    yield (
        "keypoints",
        f"{len(result.tracks.header.skeleton)} of a person ({result.tracks.header.skeleton.name})",
    )
    version = result.tracks.header.config.get("kprtrack")
    if version:
        yield "tracked with", f"kprtrack {_short(version)}"


def _losses(result: ReportedResult) -> Iterator[tuple[str, str]]:
    losses = result.tracks.header.losses
    if losses.damaged_frames:
        numbers = ", ".join(map(str, losses.damaged_frames[:_DAMAGED]))
        more = " ..." if len(losses.damaged_frames) > _DAMAGED else ""
        yield "damaged frames", f"{len(losses.damaged_frames)}: {numbers}{more}"
    if losses.dropped_frames:
        yield "dropped frames", str(losses.dropped_frames)
    if losses.interruptions:
        seconds = sum(one.seconds for one in losses.interruptions)
        yield "interruptions", f"{len(losses.interruptions)}, {duration_text(seconds)} in all"


def _networks(result: ReportedResult) -> Iterator[tuple[str, str]]:
    for role, model in result.tracks.header.models.items():
        if not isinstance(model, Mapping):
            continue
        values = [
            _short(model[key])
            for key in ("weights", "file", "backend", "device", "precision")
            if model.get(key)
        ]
        if model.get("sha256"):
            values.append(f"SHA-256 {_short(model['sha256'], _HASH)}")
        name = _short(model["name"]) if model.get("name") else ""
        yield _short(role), ", ".join(filter(None, [name, *dict.fromkeys(values)]))


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from _flat(entry, f"{name}.{key}" if name else str(key))
    elif value not in (None, {}, []):
        yield _short(name), _short(value)


def _short(value: object, longest: int = _LONGEST) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
