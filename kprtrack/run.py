"""One video, start to end: frames in, result files out, whatever happens on the way."""

import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kprtrack.build import build_networks, build_tracker
from kprtrack.config import TrackConfig
from kprtrack.datatypes import Frame, Observation, Tracks
from kprtrack.models import sha256_of
from kprtrack.pipeline import Networks, Settling, observe
from kprtrack.progress import Progress
from kprtrack.results import (
    ObservationFile,
    RunHeader,
    TrackFile,
    TracksWriter,
    open_observations_writer,
    open_writer,
)
from kprtrack.sources import TruncatedVideo, VideoInfo
from kprtrack.trackers import Tracker
from kprtrack.video import Source, open_source
from reid.errors import OutputError


@dataclass(frozen=True)
class Clip:
    """Which frames of which source."""

    source: str | int | Path
    start_s: float | None = None
    end_s: float | None = None
    stride: int = 1

    def open(self) -> Source:
        """The source, ready to be read. Raises: InputError, UserError."""
        return open_source(self.source, start_s=self.start_s, end_s=self.end_s, stride=self.stride)


@dataclass
class Summary:
    """What a run did; `stopped` is what ended it before the video did."""

    out: Path
    frames: int = 0
    sightings: int = 0  # detections over all frames
    prompted: int = 0  # of them, those whose own keypoints prompted the encoder
    ids: set[int] = field(default_factory=set)
    seconds: float = 0.0
    stopped: BaseException | None = None

    def count(self, seen: Observation) -> None:
        """Add one frame."""
        self.frames += 1
        self.sightings += len(seen)
        self.prompted += int(seen.looks.prompted.sum())


def track_video(
    source: str | int | Path | Clip,
    out: str | Path,
    config: TrackConfig | None = None,
    *,
    video_out: str | Path | None = None,
    format: str | None = None,
    networks: Networks | None = None,
    quiet: bool = True,
) -> Summary:
    """Track everybody in `source`, write the tracks to `out` and, if asked, the drawn video to `video_out`.

    networks: built once for several videos; else built from `config`.
    format: where the suffix of `out` leaves a choice, e.g. "coco" for .json.
    Ctrl-C and a damaged video end the run early with valid files of all frames so far and are told in
    `Summary.stopped`.
    Raises: UserError for wrong settings, InputError for a source that cannot be opened, WeightsError, OutputError
    (a full disk leaves valid files of the frames that fitted).
    """
    clip, config = _clip(source), config or TrackConfig()
    with ExitStack() as stack:
        # What can be refused without a network is refused before one is loaded.
        video = clip.open()
        tracker = build_tracker(config.tracker, video.info.fps / clip.stride)
        drawn = stack.enter_context(_Drawn(Path(video_out), video.info, clip)) if video_out else None
        networks = networks or build_networks(config)
        writer = stack.enter_context(
            open_writer(Path(out), run_header(video.info, clip, config, networks), format)
        )
        summary = Summary(Path(out))
        seen = _watched(video, networks, config, summary, drawn, quiet)
        _follow(seen, tracker, writer, drawn, summary)
    return summary


def observe_video(
    source: str | int | Path | Clip,
    out: str | Path,
    config: TrackConfig | None = None,
    *,
    networks: Networks | None = None,
    quiet: bool = True,
) -> Summary:
    """Run the networks on `source` and write what they see to `out` (.npz). Otherwise as `track_video`."""
    clip, config = _clip(source), config or TrackConfig()
    video = clip.open()
    networks = networks or build_networks(config)
    with open_observations_writer(Path(out), run_header(video.info, clip, config, networks)) as writer:
        summary = Summary(Path(out))
        with _early_end(summary):
            for seen in _watched(video, networks, config, summary, None, quiet):
                with _uninterrupted():
                    writer.write(seen)
        writer.close(summary.stopped is None, _reason(summary.stopped))
    return summary


def follow_file(
    observations: ObservationFile,
    out: str | Path,
    config: TrackConfig | None = None,
    *,
    format: str | None = None,
) -> Summary:
    """Track everybody in stored observations; no network runs. Otherwise as `track_video`."""
    config, header = config or TrackConfig(), observations.header
    fps = float(str(header.video.get("fps", 0.0))) / float(str(header.config.get("stride", 1)))
    tracker, summary = build_tracker(config.tracker, fps), Summary(Path(out))
    settings = {**header.config, "tracker": asdict(config.tracker)}
    header = RunHeader(header.video, header.models, settings, header.skeleton)
    with open_writer(Path(out), header, format) as writer:
        _follow(_counted(observations, summary), tracker, writer, None, summary)
    return summary


def draw_file(tracks: TrackFile, source: str | int | Path, out: str | Path, *, quiet: bool = True) -> Summary:
    """Draw stored tracks on their video. Frames without a record stay as they are."""
    video, summary = open_source(source), Summary(Path(out))
    by_frame = {frame.frame_number: frame for frame in tracks.frames}
    with (
        _Drawn(Path(out), video.info, Clip(source)) as drawn,
        Progress(video.expected_frames, video.info.name, quiet) as progress,
        _early_end(summary),
    ):
        for frame in video:
            with _uninterrupted():
                drawn.draw(frame, by_frame.get(frame.number))
            summary.frames += 1
            progress.advance()
    return summary


def run_header(info: VideoInfo, clip: Clip, config: TrackConfig, networks: Networks) -> RunHeader:
    """What the result says of its origin: the video with its hash, the models with theirs, every setting."""
    video: dict[str, Any] = {**asdict(info), "time_base": str(info.time_base)}
    if info.sample_aspect_ratio is not None:
        video["sample_aspect_ratio"] = str(info.sample_aspect_ratio)
    file = Path(str(clip.source))
    video["sha256"] = sha256_of(file) if file.is_file() else None
    span = {"start_s": clip.start_s, "end_s": clip.end_s, "stride": clip.stride}
    return RunHeader(video, networks.facts, {**asdict(config), **span})


class _Drawn:
    """The drawn video; keeps the frames whose tracks are not final yet."""

    def __init__(self, path: Path, info: VideoInfo, clip: Clip) -> None:
        from kprtrack.draw import Trails
        from kprtrack.video_writer import VideoWriter

        self._writer = VideoWriter(
            path,
            info.width,
            info.height,
            info.fps / clip.stride,
            sample_aspect_ratio=info.sample_aspect_ratio,
        )
        self._trails = Trails()
        self._kept: deque[Frame] = deque()

    def __enter__(self) -> "_Drawn":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def keep(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Pass the frames on and remember them until `write`."""
        for frame in frames:
            self._kept.append(frame)
            yield frame

    def write(self, tracks: Tracks) -> None:
        """Draw the tracks on the oldest frame kept, which is theirs."""
        self.draw(self._kept.popleft(), tracks)

    def draw(self, frame: Frame, tracks: Tracks | None) -> None:
        """Append the frame, with its tracks if there are any."""
        from kprtrack.draw import draw_tracks

        image = frame.image
        if tracks is not None:
            self._trails.add(tracks)
            image = draw_tracks(image, tracks, self._trails)
        self._writer.write(image, frame.time_s)


def _watched(
    video: Source,
    networks: Networks,
    config: TrackConfig,
    summary: Summary,
    drawn: _Drawn | None,
    quiet: bool,
) -> Iterator[Observation]:
    """What the networks see, counted and with progress shown."""
    frames = drawn.keep(video) if drawn else iter(video)
    with Progress(video.expected_frames, video.info.name, quiet) as progress:
        for seen in _counted(observe(frames, networks, config.frames_at_once), summary):
            yield seen
            progress.advance()


def _counted(observations: Iterable[Observation], summary: Summary) -> Iterator[Observation]:
    for seen in observations:
        summary.count(seen)
        yield seen


def _follow(
    observations: Iterable[Observation],
    tracker: Tracker,
    writer: TracksWriter,
    drawn: _Drawn | None,
    summary: Summary,
) -> None:
    """Track and write; what was observed before an error is written, too."""

    def write(tracks: Tracks) -> None:
        summary.ids.update(tracks.ids.tolist())
        with _uninterrupted():
            writer.write(tracks)
            if drawn:
                drawn.write(tracks)

    def write_rest() -> None:
        for tracks in settling.rest():
            write(tracks)

    settling = Settling(tracker)
    try:
        with _early_end(summary):
            for seen in observations:
                for tracks in settling.add(tracker.update(seen)):
                    write(tracks)
    except OutputError:  # the writer has closed itself
        raise
    except BaseException:
        write_rest()
        raise
    write_rest()
    writer.close(summary.stopped is None, _reason(summary.stopped))


@contextmanager
def _early_end(summary: Summary) -> Iterator[None]:
    """Ctrl-C and a damaged video end the block, not the program."""
    started_s = time.monotonic()
    try:
        yield
    except (KeyboardInterrupt, TruncatedVideo) as stop:
        summary.stopped = stop
    finally:
        summary.seconds = time.monotonic() - started_s


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is done, so that no record is torn."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    usual = {
        number: signal.signal(number, lambda n, _: waiting.append(n))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt


def _reason(stopped: BaseException | None) -> str | None:
    if stopped is None:
        return None
    return "interrupted" if isinstance(stopped, KeyboardInterrupt) else str(stopped)


def _clip(source: str | int | Path | Clip) -> Clip:
    return source if isinstance(source, Clip) else Clip(source)
