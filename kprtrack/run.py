"""Runs on one video: from its frames to result files, which are valid even after an interrupt or an error."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from kprtrack import __version__
from kprtrack.build import build_networks, build_tracker
from kprtrack.config import TrackConfig
from kprtrack.core.datatypes import Observation, Tracks
from kprtrack.core.errors import UserError
from kprtrack.core.files.paths import expanded, validate_replacing
from kprtrack.core.progress import Progress
from kprtrack.core.skeleton import COCO_SKELETON
from kprtrack.hub.store import sha256_of
from kprtrack.identity import PrototypeCollector
from kprtrack.io import (
    ObservationFile,
    RunHeader,
    TrackFile,
    open_observations_writer,
    open_writer,
    validate_observations_output,
    validate_output,
)
from kprtrack.outputs import (
    Outputs,
    Summary,
    finished_summary,
    observed_summary,
    store,
    track_and_write,
)
from kprtrack.pipeline import Networks, observe
from kprtrack.rendering.annotated import AnnotatedVideoWriter
from kprtrack.rendering.video import draw_video
from kprtrack.resume import (
    StoredRun,
    finished_observations,
    finished_tracks,
    resumed,
    validate_resumable,
)
from kprtrack.selection import EVERYONE, PeopleSelection
from kprtrack.video.clip import Clip
from kprtrack.video.inputs import VideoInfo
from kprtrack.video.source import Source


# One argument for each option of the command line.
def track_video(  # noqa: PLR0913
    source: str | int | Path | Clip,
    out: str | Path | None,
    config: TrackConfig | None = None,
    *,
    video_out: str | Path | None = None,
    format: str | None = None,
    networks: Networks | None = None,
    people: PeopleSelection = EVERYONE,
    resume: bool = False,
    prototypes: bool = True,
    quiet: bool = True,
    on_frame: Callable[[], None] | None = None,
) -> Summary:
    """Track the people of a video and write result file and annotated video.

    An existing file is replaced when the run is complete. Ctrl-C and a damaged video end the run early with
    valid files of all frames so far, see `Summary.stopped`. They are called NAME.partial if there is an
    older file.

    Args:
        source: Video file, folder or pattern of images, camera number, URL, "-" (standard input) or `Clip`.
        out: The result file; None: none.
        config: The configuration; None: the defaults.
        video_out: The annotated video; None: none.
        format: Format of `out` where the suffix leaves a choice, e.g. "coco" for .json.
        networks: Networks to use for several videos; None: they are built from `config`.
        people: Who is written. Everyone is tracked; the choice is made at the end, until then the tracks are
            held in memory, and the annotated video is made by reading the source again.
        resume: Store the observations beside the result until it is complete, and continue an earlier run
            that was stopped or killed; the result is that of a run without a stop.
        prototypes: Write NAME.tracks.safetensors beside the result: embeddings by which its people can be
            recognised in other videos.
        quiet: Show no progress.
        on_frame: Called after every frame.

    Returns:
        Counts, IDs and whether the run ended early.

    Raises:
        UserError: A wrong setting.
        InputError: The source cannot be opened.
        WeightsError: Weights are missing or do not fit.
        OutputError: A file cannot be written; after a full disk it holds the frames that fit.
        KeyboardInterrupt: Ctrl-C while a network was loaded, or so late that the result is complete.

    Examples:
        >>> summary = track_video("video.mp4", "tracks.json", networks=networks)
        >>> summary.frames, summary.ids
        (12, {1, 2})
    """
    clip, config = source if isinstance(source, Clip) else Clip(source), config or TrackConfig()
    paths = [Path(path) for path in (out, video_out) if path]
    if resume:
        validate_resumable(clip.source, paths[0])
    with ExitStack() as stack:
        # Everything that needs no network is validated before one is loaded.
        video = stack.enter_context(clip.open())
        if video_out and people.selective and not clip.repeatable:
            raise UserError(
                "An annotated video of chosen people reads the video twice, which a camera or stream does not"
                " allow. Leave out the annotated video, or record the stream first."
            )
        tracker = build_tracker(config.tracker, video.info.fps / clip.stride)
        validate_replacing(paths, _inputs(clip, config))
        if out:
            validate_output(Path(out), format)
        annotated = None
        if video_out and not people.selective:
            annotated = stack.enter_context(AnnotatedVideoWriter(Path(video_out), video, clip.stride))
        networks = networks or build_networks(config)
        header = run_header(video.info, clip, config, networks, people)
        finished = finished_tracks(paths[0], format, header) if resume and out and not video_out else None
        if finished is not None:
            return finished_summary(paths[0], finished)
        collector = PrototypeCollector(prototypes_header(header)) if out and prototypes else None
        if collector:
            header = replace(header, identity_confidence=collector.confidence)  # known at the end of the run
        writer = stack.enter_context(open_writer(Path(out), header, format)) if out else None
        stored = None
        if resume:
            stored = stack.enter_context(StoredRun(paths[0], header, config.frames_at_once))
        summary = Summary(paths[0], resumed=stored.frames if stored else 0)
        frames = annotated.keep(video) if annotated else video
        # A GPU computes whole batches faster than frame by frame what the tracker wants.
        device = networks.metadata.get("compute", {}).get("device", "cpu")
        asked = tracker if device == "cpu" else None
        run = partial(observe, networks=networks, batch_size=config.frames_at_once, tracker=asked)
        observations = stored.resume(frames, run) if stored else run(frames)
        outputs = Outputs(summary, writer, annotated, stored, people, collector)
        track_and_write(
            _with_progress(observations, video, quiet, on_frame),
            tracker,
            outputs,
            losses=lambda: video.losses,
        )
        if video.sound_problem and annotated:
            summary.notes += (video.sound_problem,)
    if video_out and people.selective:
        _draw_chosen(outputs.chosen, header, clip, Path(video_out), summary, quiet=quiet)
    return summary


def observe_video(
    source: str | int | Path | Clip,
    out: str | Path,
    config: TrackConfig | None = None,
    *,
    networks: Networks | None = None,
    resume: bool = False,
    quiet: bool = True,
    on_frame: Callable[[], None] | None = None,
) -> Summary:
    """Run the networks on a video and store the observations.

    Args:
        source: As in `track_video`.
        out: The file to write (.npz).
        config: The configuration; None: the defaults.
        networks: As in `track_video`.
        resume: Continue an earlier run that was stopped or killed.
        quiet: Show no progress.
        on_frame: Called after every frame.

    Returns:
        Counts and whether the run ended early.

    Raises:
        UserError: As `track_video`, and so are InputError, WeightsError and OutputError.

    Examples:
        >>> observe_video("video.mp4", "observations.npz", networks=networks).frames
        12
    """
    clip, config = source if isinstance(source, Clip) else Clip(source), config or TrackConfig()
    if resume:
        validate_resumable(clip.source, Path(out))
    summary = Summary(Path(out))
    with ExitStack() as stack:
        video = stack.enter_context(clip.open())
        validate_replacing([Path(out)], _inputs(clip, config))
        validate_observations_output(Path(out))
        networks = networks or build_networks(config)
        header = run_header(video.info, clip, config, networks)
        finished = finished_observations(Path(out), header) if resume else None
        if finished is not None:
            return observed_summary(finished)
        writer = stack.enter_context(
            open_observations_writer(Path(out), header, resume=resume, multiple_of=config.frames_at_once)
        )
        summary.resumed = writer.resumed
        run = partial(observe, networks=networks, batch_size=config.frames_at_once)
        observations = _with_progress(resumed(writer.earlier(), video, run), video, quiet, on_frame)
        store(observations, writer, summary, losses=lambda: video.losses)
    return summary


def track_observations(
    observations: ObservationFile,
    out: str | Path,
    config: TrackConfig | None = None,
    *,
    format: str | None = None,
    people: PeopleSelection = EVERYONE,
    prototypes: bool = True,
) -> Summary:
    """Track the people of stored observations; no network runs.

    Args:
        observations: What `observe_video` stored.
        out: The result file.
        config: Its tracker is used; None: the default.
        format: Format of `out` where the suffix leaves a choice.
        people: Who is written, as in `track_video`.
        prototypes: As in `track_video`.

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
    tracker, summary = build_tracker(config.tracker, observations.per_second), Summary(Path(out))
    settings = {**header.config, "tracker": asdict(config.tracker)}
    if people.selective:
        settings["people"] = people.to_json()
    header = replace(header, config=settings)
    collector = PrototypeCollector(prototypes_header(header)) if prototypes else None
    if collector:
        header = replace(header, identity_confidence=collector.confidence)
    with open_writer(Path(out), header, format) as writer:
        track_and_write(
            observations,
            tracker,
            Outputs(summary, writer, people=people, collector=collector),
            losses=lambda: observations.header.losses,
            complete=observations.complete,
        )
    return summary


def _draw_chosen(
    frames: list[Tracks], header: RunHeader, clip: Clip, out: Path, summary: Summary, *, quiet: bool
) -> None:
    """Write the annotated video of chosen people; after an early end of the run there is none."""
    if summary.stopped is not None:
        summary.notes += (f"{out} is not written, because the run ended early",)
        return
    drawn = draw_video(TrackFile(header, frames, True), clip, out, quiet=quiet)
    summary.notes += drawn.notes
    summary.stopped = drawn.stopped


def run_header(
    info: VideoInfo, clip: Clip, config: TrackConfig, networks: Networks, people: PeopleSelection = EVERYONE
) -> RunHeader:
    """Describe a run: the video with its sha256, the models with theirs, all settings, and the keypoints."""
    video: dict[str, object] = {**asdict(info), "time_base": str(info.time_base)}
    if info.sample_aspect_ratio is not None:
        video["sample_aspect_ratio"] = str(info.sample_aspect_ratio)
    video["sha256"] = _sha256(clip)
    settings = {**asdict(config), "start_s": clip.start_s, "end_s": clip.end_s, "stride": clip.stride}
    if people.selective:
        settings["people"] = people.to_json()
    settings["kprtrack"] = __version__
    return RunHeader(video, networks.metadata, settings, networks.skeleton or COCO_SKELETON)


def prototypes_header(header: RunHeader) -> dict[str, object]:
    """Return the header of the prototypes of a run."""
    return {
        "video": header.video,
        "reid": header.models.get("reid", {}),
        "skeleton": header.skeleton.name,
        "kprtrack": __version__,
    }


def _sha256(clip: Clip) -> str | None:
    file = expanded(str(clip.source))
    return sha256_of(file, cache=False) if file.is_file() else None


def _with_progress(
    observations: Iterable[Observation], video: Source, quiet: bool, on_frame: Callable[[], None] | None
) -> Iterator[Observation]:
    with Progress(video.expected_frames, video.info.name, quiet) as progress:
        for observation in observations:
            yield observation
            progress.advance()
            if on_frame is not None:
                on_frame()


def _inputs(clip: Clip, config: TrackConfig) -> list[object]:
    """What a run reads; None and what is no file are left out by `validate_replacing`."""
    return [clip.source, config.detector.weights, config.pose.weights, config.reid.weights]
