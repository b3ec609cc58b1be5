"""Make a video from a result and its video: annotated, blurred, cropped or as a mosaic."""

from contextlib import ExitStack
from pathlib import Path

from kprtrack.build import build_detector
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.files.paths import expanded, validate_replacing
from kprtrack.core.progress import Progress
from kprtrack.hub.store import sha256_of
from kprtrack.inference.devices import ComputeConfig
from kprtrack.io import TrackFile
from kprtrack.io.same_video import difference_notes, validate_size
from kprtrack.outputs import Summary, deferred_interrupts, early_end
from kprtrack.pipeline import Detector
from kprtrack.rendering.options import ANNOTATED, RenderOptions
from kprtrack.rendering.renderer import Renderer
from kprtrack.video.clip import Clip
from kprtrack.video.inputs import VideoInfo
from kprtrack.video.writer import VideoWriter

LEAST_SCORE = 0.05  # of a detection without a track that is blurred


def draw_video(
    tracks: TrackFile,
    source: str | int | Path | Clip,
    out: str | Path,
    *,
    options: RenderOptions = ANNOTATED,
    detect: Detector | None = None,
    quiet: bool = True,
) -> Summary:
    """Make a video from stored tracks; every frame of the source stays, and so does its sound.

    Args:
        tracks: What `read_tracks` returned.
        source: The video, or a `Clip` of it.
        out: The file to write.
        options: Boxes, skeletons and IDs, blur, a crop that follows a person, or a mosaic.
        detect: Finds the people that have no track, for blur; None: the package's own detector.
        quiet: Show no progress.

    Returns:
        Counts, whether the run ended early, and notes: the tracks seem to be of another video, sound that is
        not copied as it is, uncertain identities that are blurred.

    Raises:
        InputError: As `track_video`, or the tracks were made from a video of another size.
        UserError: As `track_video`, and so is OutputError; or a chosen person is not in the tracks.

    Examples:
        >>> draw_video(read_tracks("tracks.json"), "video.mp4", "annotated.mp4").frames
        12
    """
    clip, summary = source if isinstance(source, Clip) else Clip(source), Summary(Path(out))
    validate_replacing([Path(out)], [clip.source])
    with ExitStack() as stack:
        video = stack.enter_context(clip.open())
        info = video.info
        notes = notes_on_video(tracks, info, clip.source)
        if options.blur is not None and detect is None:
            small = ComponentConfig(TrackConfig().detector.name, options={"min_score": LEAST_SCORE})
            detect = build_detector(small, ComputeConfig())
        renderer = Renderer(tracks, info, options, detect)
        writer = VideoWriter(
            Path(out),
            *renderer.size,
            info.fps / clip.stride,
            sample_aspect_ratio=info.sample_aspect_ratio,
            sound=video.sound,
            colour=video.colour,
            deep=video.deep and renderer.size == (info.width, info.height),
        )
        stack.enter_context(writer)
        progress = stack.enter_context(Progress(video.expected_frames, info.name, quiet))
        interrupts = stack.enter_context(deferred_interrupts(summary))
        with early_end(summary):
            for frame, image in renderer.render(interrupts.allow(video)):
                writer.write(image, frame.time_s, frame)
                summary.frames += 1
                progress.advance()
        summary.losses = video.losses
        writer.close(summary.stopped is None)
        summary.set_out(writer.saved)
        sound = [video.sound_problem] if video.sound_problem else []
        summary.notes = (*notes, *renderer.notes, *writer.notes, *sound)
    return summary


def notes_on_video(tracks: TrackFile, info: VideoInfo, source: str | int | Path) -> tuple[str, ...]:
    """Return signs that tracks are of another video, one line each.

    Args:
        tracks: The tracks.
        info: Of the video.
        source: The video.

    Raises:
        InputError: The tracks are of a video of another size.
    """
    made_from, name = tracks.header.video, f"'{info.name}'"
    validate_size(made_from, "the tracks", (info.width, info.height), name)
    file = expanded(str(source))
    known = made_from.get("sha256") is not None and file.is_file()
    sha256 = sha256_of(file, cache=False) if known else None
    notes = difference_notes(made_from, {"frames": info.frames, "sha256": sha256}, f"the tracks and {name}")
    last = max((frame.frame_number for frame in tracks.frames), default=-1)
    if info.frames is None or last < info.frames:
        return notes
    return *notes, f"the tracks end with frame {last}, but {name} has {info.frames} frames."
