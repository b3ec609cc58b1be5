"""Runs on one video: from its frames to result files, which are valid even after an interrupt or an error."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from kprtrack import __version__
from kprtrack.build import build_networks, build_tracker
from kprtrack.config import TrackConfig
from kprtrack.core.datatypes import NO_LOSSES, FrameLosses, Observation, Tracks
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
from kprtrack.video.clip import Clip
from kprtrack.video.inputs import TruncatedVideo, VideoInfo
from kprtrack.video.source import Source


@dataclass
class Summary:
    """What a run did.

    Args:
        out: The result file, or the annotated video if only that was written.
        frames: Number of frames.
        sightings: Number of detections in all frames.
        prompted: Number of detections whose own keypoints prompted the encoder.
        ids: IDs of all tracks.
        seconds: Duration of the run.
        stopped: What ended the run before the video did: KeyboardInterrupt or InputError.
        losses: Frames that are damaged, and frames of a live source that were dropped.

    Examples:
        >>> summary = track_video("video.mp4", "tracks.json", networks=networks)
        >>> summary.frames, summary.sightings, summary.ids, summary.stopped
        (12, 24, {1, 2}, None)
    """

    out: Path
    frames: int = 0
    sightings: int = 0
    prompted: int = 0
    ids: set[int] = field(default_factory=set)
    seconds: float = 0.0
    stopped: BaseException | None = None
    losses: FrameLosses = NO_LOSSES

    @property
    def complete(self) -> bool:
        """Whether all frames of the video are there and none is damaged."""
        return self.stopped is None and not self.losses.damaged_frames

    @property
    def note(self) -> str | None:
        """Why the run is not complete."""
        if isinstance(self.stopped, KeyboardInterrupt):
            return "interrupted"
        if self.stopped is not None:
            return str(self.stopped)
        return None if self.complete else f"{len(self.losses.damaged_frames)} frames are damaged"

    def count(self, observation: Observation) -> None:
        """Add one frame."""
        self.frames += 1
        self.sightings += len(observation)
        self.prompted += int(observation.embeddings.prompted.sum())


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
    """Track the people of a video and write result file and annotated video.

    An existing file is replaced when the run ends. Ctrl-C and a damaged video end the run early with valid
    files of all frames so far, see `Summary.stopped`.

    Args:
        source: Video file, folder or pattern of images, camera number, URL, "-" (standard input) or `Clip`.
        out: The result file; None: none.
        config: The configuration; None: the defaults.
        video_out: The annotated video; None: none.
        format: Format of `out` where the suffix leaves a choice, e.g. "coco" for .json.
        networks: Networks to use for several videos; None: they are built from `config`.
        quiet: Show no progress.

    Returns:
        Counts, IDs and whether the run ended early.

    Raises:
        UserError: A wrong setting.
        InputError: The source cannot be opened.
        WeightsError: Weights are missing or do not fit.
        OutputError: A file cannot be written; after a full disk it holds the frames that fit.

    Examples:
        >>> summary = track_video("video.mp4", "tracks.json", networks=networks)
        >>> summary.frames, summary.ids
        (12, {1, 2})
    """
    clip, config = source if isinstance(source, Clip) else Clip(source), config or TrackConfig()
    with ExitStack() as stack:
        # Everything that needs no network is validated before one is loaded.
        video = stack.enter_context(clip.open())
        tracker = build_tracker(config.tracker, video.info.fps / clip.stride)
        paths = [Path(path) for path in (out, video_out) if path]
        _validate_replacing(paths, clip, config)
        if out:
            validate_output(Path(out), format)
        annotated = None
        if video_out:
            annotated = stack.enter_context(AnnotatedVideoWriter(Path(video_out), video.info, clip.stride))
        networks = networks or build_networks(config)
        header = run_header(video.info, clip, config, networks)
        writer = stack.enter_context(open_writer(Path(out), header, format)) if out else None
        outputs = _Outputs(Summary(paths[0]), writer, annotated)
        frames = annotated.keep(video) if annotated else video
        observations = observe(frames, networks, config.frames_at_once)
        _track_and_write(
            _with_progress(observations, video, quiet), tracker, outputs, losses=lambda: video.losses
        )
    return outputs.summary


def observe_video(
    source: str | int | Path | Clip,
    out: str | Path,
    config: TrackConfig | None = None,
    *,
    networks: Networks | None = None,
    quiet: bool = True,
) -> Summary:
    """Run the networks on a video and store the observations.

    Args:
        source: As in `track_video`.
        out: The file to write (.npz).
        config: The configuration; None: the defaults.
        networks: As in `track_video`.
        quiet: Show no progress.

    Returns:
        Counts and whether the run ended early.

    Raises:
        UserError: As `track_video`, and so are InputError, WeightsError and OutputError.

    Examples:
        >>> observe_video("video.mp4", "observations.npz", networks=networks).frames
        12
    """
    clip, config = source if isinstance(source, Clip) else Clip(source), config or TrackConfig()
    summary = Summary(Path(out))
    with ExitStack() as stack:
        video = stack.enter_context(clip.open())
        _validate_replacing([Path(out)], clip, config)
        validate_observations_output(Path(out))
        networks = networks or build_networks(config)
        header = run_header(video.info, clip, config, networks)
        writer = stack.enter_context(open_observations_writer(Path(out), header))
        with DeferredInterrupts() as interrupts:
            observations = _with_progress(observe(video, networks, config.frames_at_once), video, quiet)
            with _early_end(summary):
                for observation in _counted(interrupts.allow(observations), summary):
                    writer.write(observation)
            summary.losses = video.losses
            writer.close(summary.complete, summary.note, summary.losses)
    return summary


def track_observations(
    observations: ObservationFile,
    out: str | Path,
    config: TrackConfig | None = None,
    *,
    format: str | None = None,
) -> Summary:
    """Track the people of stored observations; no network runs.

    Args:
        observations: What `observe_video` stored.
        out: The result file.
        config: Its tracker is used; None: the default.
        format: Format of `out` where the suffix leaves a choice.

    Returns:
        Counts, IDs and whether the run ended early.

    Raises:
        UserError: As `track_video`, and so are InputError and OutputError.

    Examples:
        >>> observations = read_observations("observations.npz")
        >>> track_observations(observations, "tracks.json", TrackConfig(tracker="bytetrack")).ids
        {1, 2}
    """
    config, header = config or TrackConfig(), observations.header
    fps = float(str(header.video.get("fps", 0.0))) / float(str(header.config.get("stride", 1)))
    tracker, summary = build_tracker(config.tracker, fps), Summary(Path(out))
    settings = {**header.config, "tracker": asdict(config.tracker)}
    header = replace(header, config=settings)
    with open_writer(Path(out), header, format) as writer:
        losses = header.losses
        _track_and_write(observations, tracker, _Outputs(summary, writer), losses=lambda: losses)
    return summary


def draw_video(
    tracks: TrackFile, source: str | int | Path, out: str | Path, *, quiet: bool = True
) -> Summary:
    """Draw stored tracks on their video; frames without tracks are copied.

    Args:
        tracks: What `read_tracks` returned.
        source: The video.
        out: The annotated video.
        quiet: Show no progress.

    Returns:
        Counts and whether the run ended early.

    Raises:
        UserError: As `track_video`, and so are InputError and OutputError.

    Examples:
        >>> draw_video(read_tracks("tracks.json"), "video.mp4", "annotated.mp4").frames
        12
    """
    summary, clip = Summary(Path(out)), Clip(source)
    by_frame = {frame.frame_number: frame for frame in tracks.frames}
    _validate_replacing([Path(out)], clip, TrackConfig())
    with (
        clip.open() as video,
        AnnotatedVideoWriter(Path(out), video.info, clip.stride) as annotated,
        Progress(video.expected_frames, video.info.name, quiet) as progress,
        DeferredInterrupts() as interrupts,
        _early_end(summary),
    ):
        for frame in interrupts.allow(video):
            annotated.draw(frame, by_frame.get(frame.number))
            summary.frames += 1
            progress.advance()
    summary.losses = video.losses
    return summary


def run_header(info: VideoInfo, clip: Clip, config: TrackConfig, networks: Networks) -> RunHeader:
    """Describe a run: the video with its sha256, the models with theirs, and all settings."""
    video: dict[str, object] = {**asdict(info), "time_base": str(info.time_base)}
    if info.sample_aspect_ratio is not None:
        video["sample_aspect_ratio"] = str(info.sample_aspect_ratio)
    file = Path(str(clip.source))
    video["sha256"] = sha256_of(file, cache=False) if file.is_file() else None
    span = {"start_s": clip.start_s, "end_s": clip.end_s, "stride": clip.stride}
    return RunHeader(video, networks.metadata, {**asdict(config), **span, "kprtrack": __version__})


def _with_progress(observations: Iterable[Observation], video: Source, quiet: bool) -> Iterator[Observation]:
    with Progress(video.expected_frames, video.info.name, quiet) as progress:
        for observation in observations:
            yield observation
            progress.advance()


def _counted(observations: Iterable[Observation], summary: Summary) -> Iterator[Observation]:
    for observation in observations:
        summary.count(observation)
        yield observation


@dataclass
class _Outputs:
    """The files that tracks are written to."""

    summary: Summary
    writer: TracksWriter | None = None
    annotated: AnnotatedVideoWriter | None = None

    def write(self, tracks: Tracks) -> None:
        """Append the tracks of a frame."""
        self.summary.ids.update(tracks.ids.tolist())
        if self.writer:
            self.writer.write(tracks)
        if self.annotated:
            self.annotated.write(tracks)

    def close(self) -> None:
        """End the result file, which stores whether all frames are there."""
        if self.writer:
            self.writer.close(self.summary.complete, self.summary.note, self.summary.losses)


def _track_and_write(
    observations: Iterable[Observation],
    tracker: Tracker,
    outputs: _Outputs,
    *,
    losses: Callable[[], FrameLosses],
) -> None:
    """Track and write; all frames observed before an interrupt or an error are written, too.

    `losses` returns the damaged and dropped frames and is called after the last observation.
    """
    with DeferredInterrupts() as interrupts:
        counted = _counted(interrupts.allow(observations), outputs.summary)
        with _early_end(outputs.summary):
            for tracks in track(counted, tracker):
                outputs.write(tracks)
        outputs.summary.losses = losses()
        outputs.close()


@contextmanager
def _early_end(summary: Summary) -> Iterator[None]:
    """End the block after Ctrl-C or a damaged video, and note in `summary` why."""
    started_s = time.monotonic()
    try:
        yield
    except (KeyboardInterrupt, TruncatedVideo) as stop:
        summary.stopped = stop
    finally:
        summary.seconds = time.monotonic() - started_s


def _validate_replacing(outs: list[Path], clip: Clip, config: TrackConfig) -> None:
    """Raise UserError if a result would replace a file that the run reads."""
    inputs = [clip.source, config.detector.weights, config.pose.weights, config.reid.weights]
    files = [Path(str(name)).expanduser() for name in inputs if name is not None]
    for out in outs:
        if out.is_file() and any(file.is_file() and file.samefile(out) for file in files):
            raise UserError(f"{out} is read by this run: the result would replace it. Choose another name.")
