"""One video, start to end: frames in, result files out, whatever happens on the way."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kprtrack import __version__
from kprtrack.build import build_networks, build_tracker
from kprtrack.config import TrackConfig
from kprtrack.core.datatypes import Observation, Tracks
from kprtrack.core.errors import UserError
from kprtrack.core.progress import Progress
from kprtrack.core.signals import DeferredInterrupts
from kprtrack.hub.store import sha256_of
from kprtrack.io import (
    ObservationFile,
    RunHeader,
    TrackFile,
    TracksWriter,
    open_observations_writer,
    open_writer,
    validate_observations_output,
    validate_output,
)
from kprtrack.pipeline import Networks, Tracker, observe, track
from kprtrack.video.annotated import AnnotatedVideoWriter
from kprtrack.video.inputs import TruncatedVideo, VideoInfo
from kprtrack.video.source import Source, open_source


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

    out: Path  # the result; where only a drawn video was wanted, that
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
        self.prompted += int(seen.embeddings.prompted.sum())


def track_video(
    source: str | int | Path | Clip,
    out: str | Path | None,
    config: TrackConfig | None = None,
    *,
    video_out: str | Path | None = None,
    format: str | None = None,
    networks: Networks | None = None,
    quiet: bool = True,
) -> Summary:
    """Track everybody in `source`, write the tracks to `out` and, if asked, the drawn video to `video_out`.

    Either of the two files may be left out. An older file of that name is replaced when the run ends.
    networks: built once for several videos; else built from `config`.
    format: where the suffix of `out` leaves a choice, e.g. "coco" for .json.
    Ctrl-C and a damaged video end the run early with valid files of all frames so far and are told in
    `Summary.stopped`.
    Raises: UserError for wrong settings, InputError for a source that cannot be opened, WeightsError,
    OutputError (a full disk leaves valid files of the frames that fitted).
    """
    clip, config = _clip(source), config or TrackConfig()
    with ExitStack() as stack:
        # What can be refused without a network is refused before one is loaded.
        video = stack.enter_context(clip.open())
        tracker = build_tracker(config.tracker, video.info.fps / clip.stride)
        paths = [Path(path) for path in (out, video_out) if path]
        _validate_replacing(paths, clip, config)
        if out:
            validate_output(Path(out), format)
        drawn = (
            stack.enter_context(AnnotatedVideoWriter(Path(video_out), video.info, clip.stride))
            if video_out
            else None
        )
        networks = networks or build_networks(config)
        header = run_header(video.info, clip, config, networks)
        writer = stack.enter_context(open_writer(Path(out), header, format)) if out else None
        outputs = _Outputs(Summary(paths[0]), writer, drawn)
        _track_and_write(_with_progress(video, networks, config, drawn, quiet), tracker, outputs)
    return outputs.summary


def observe_video(
    source: str | int | Path | Clip,
    out: str | Path,
    config: TrackConfig | None = None,
    *,
    networks: Networks | None = None,
    quiet: bool = True,
) -> Summary:
    """Run the networks on `source` and write what they see to `out` (.npz). Otherwise as `track_video`."""
    clip, config, summary = _clip(source), config or TrackConfig(), Summary(Path(out))
    with ExitStack() as stack:
        video = stack.enter_context(clip.open())
        _validate_replacing([Path(out)], clip, config)
        validate_observations_output(Path(out))
        networks = networks or build_networks(config)
        header = run_header(video.info, clip, config, networks)
        writer = stack.enter_context(open_observations_writer(Path(out), header))
        with DeferredInterrupts() as interrupts:
            observations = interrupts.allow(_with_progress(video, networks, config, None, quiet))
            with _early_end(summary):
                for observation in _counted(observations, summary):
                    writer.write(observation)
            writer.close(summary.stopped is None, _reason(summary.stopped))
    return summary


def track_observations(
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
        _track_and_write(observations, tracker, _Outputs(summary, writer))
    return summary


def draw_file(tracks: TrackFile, source: str | int | Path, out: str | Path, *, quiet: bool = True) -> Summary:
    """Draw stored tracks on their video. Frames without a record stay as they are."""
    summary, clip = Summary(Path(out)), Clip(source)
    by_frame = {frame.frame_number: frame for frame in tracks.frames}
    _validate_replacing([Path(out)], clip, TrackConfig())
    with (
        clip.open() as video,
        AnnotatedVideoWriter(Path(out), video.info, clip.stride) as drawn,
        Progress(video.expected_frames, video.info.name, quiet) as progress,
        DeferredInterrupts() as interrupts,
        _early_end(summary),
    ):
        for frame in interrupts.allow(video):
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
    video["sha256"] = sha256_of(file, cache=False) if file.is_file() else None
    span = {"start_s": clip.start_s, "end_s": clip.end_s, "stride": clip.stride}
    return RunHeader(video, networks.metadata, {**asdict(config), **span, "kprtrack": __version__})


def _with_progress(
    video: Source, networks: Networks, config: TrackConfig, drawn: AnnotatedVideoWriter | None, quiet: bool
) -> Iterator[Observation]:
    """Observe every frame and show the progress."""
    frames = drawn.keep(video) if drawn else iter(video)
    with Progress(video.expected_frames, video.info.name, quiet) as progress:
        for observation in observe(frames, networks, config.frames_at_once):
            yield observation
            progress.advance()


def _counted(observations: Iterable[Observation], summary: Summary) -> Iterator[Observation]:
    for observation in observations:
        summary.count(observation)
        yield observation


@dataclass
class _Outputs:
    """Where tracks go."""

    summary: Summary
    writer: TracksWriter | None = None
    drawn: AnnotatedVideoWriter | None = None

    def write(self, tracks: Tracks) -> None:
        """Append the tracks of a frame."""
        self.summary.ids.update(tracks.ids.tolist())
        if self.writer:
            self.writer.write(tracks)
        if self.drawn:
            self.drawn.write(tracks)

    def close(self) -> None:
        """End the result file; it says whether all frames are there."""
        if self.writer:
            self.writer.close(self.summary.stopped is None, _reason(self.summary.stopped))


def _track_and_write(observations: Iterable[Observation], tracker: Tracker, outputs: _Outputs) -> None:
    """Track and write; all frames observed before an interrupt or an error are written, too."""
    with DeferredInterrupts() as interrupts:
        counted = _counted(interrupts.allow(observations), outputs.summary)
        with _early_end(outputs.summary):
            for tracks in track(counted, tracker):
                outputs.write(tracks)
        outputs.close()


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


def _validate_replacing(outs: list[Path], clip: Clip, config: TrackConfig) -> None:
    """Raises: UserError if a result would take the place of what it is made from."""
    inputs = [clip.source, config.detector.weights, config.pose.weights, config.reid.weights]
    files = [Path(str(name)).expanduser() for name in inputs if name is not None]
    for out in outs:
        if out.is_file() and any(file.is_file() and file.samefile(out) for file in files):
            raise UserError(f"{out} is read by this run: the result would replace it. Choose another name.")


def _reason(stopped: BaseException | None) -> str | None:
    if stopped is None:
        return None
    return "interrupted" if isinstance(stopped, KeyboardInterrupt) else str(stopped)


def _clip(source: str | int | Path | Clip) -> Clip:
    return source if isinstance(source, Clip) else Clip(source)
