"""The subcommands that track videos: `track`, and its two halves `observe` and `follow`."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.options import (
    Parser,
    add_networks,
    add_out,
    add_settings,
    add_source,
    add_tracker,
    config_from,
    new_parser,
    required,
)
from kprtrack.cli.output import (
    INTERRUPTED,
    STANDARD_OUTPUT,
    completed,
    log,
    log_observations,
    log_tracks,
    print_config,
)
from kprtrack.cli.people import add_people, people_from
from kprtrack.cli.tracking.many import add_many, asks_for_many, expand_all, run_many
from kprtrack.config import TrackConfig
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.core.files.paths import expanded
from kprtrack.video.inputs import expand_sources, parse_time, short_name

if TYPE_CHECKING:
    from kprtrack.outputs import Summary
    from kprtrack.pipeline import Networks
    from kprtrack.video.clip import Clip

_RESULTS = ".json .jsonl .csv .parquet .txt (MOT), or - for JSON lines on standard output"
_SEVERAL = "with several videos a folder; an existing file is replaced when the run is complete"


def track_parser() -> Parser:
    """Make the parser of `track`."""
    parser = new_parser("track", "Track the people of videos and write their pose tracks.")
    add_source(parser)
    add_out(parser, f"output file (default: VIDEO.tracks.json in the current folder): {_RESULTS}; {_SEVERAL}")
    _add_format(parser)
    parser.add_argument(
        "--video",
        metavar="FILE",
        help="also write an annotated video: boxes, skeletons, track IDs, trails; without --out only this",
    )
    _add_resume(parser)
    _add_prototypes(parser)
    add_people(parser)
    add_networks(parser)
    add_tracker(parser)
    add_settings(parser)
    add_many(parser)
    return parser


def observe_parser() -> Parser:
    """Make the parser of `observe`."""
    parser = new_parser(
        "observe",
        "Run detector, pose estimator and ReID encoder; save the observations for `kprtrack follow`.",
    )
    add_source(parser)
    add_out(parser, f"output file, .npz; {_SEVERAL}")
    _add_resume(parser)
    add_networks(parser)
    add_settings(parser)
    return parser


def follow_parser() -> Parser:
    """Make the parser of `follow`."""
    parser = new_parser("follow", "Track people in stored observations; no network runs.")
    parser.add_argument("observations", metavar="OBS.npz", help="observations written by `kprtrack observe`")
    add_out(parser, f"output file: {_RESULTS}")
    _add_format(parser)
    _add_prototypes(parser)
    add_people(parser)
    add_tracker(parser)
    add_settings(parser)
    return parser


def _add_resume(parser: Parser) -> None:
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue a run that was stopped or killed, with the same result; a run without an earlier one"
        " stores what it needs to be continued",
    )


def _add_prototypes(parser: Parser) -> None:
    parser.add_argument(
        "--no-prototypes",
        action="store_true",
        help="write no NAME.tracks.safetensors beside the result: embeddings by which its people can be"
        " recognised in other videos",
    )


def _add_format(parser: Parser) -> None:
    parser.add_argument(
        "--format", metavar="NAME", help="format of --out, if not by its suffix: coco, posetrack21, mot ..."
    )


def run_track(options: argparse.Namespace) -> int:
    """Track each video and return the exit code."""
    from kprtrack.io import suffix_of
    from kprtrack.run import track_video

    config = config_from(options)
    if options.print_config:
        return print_config(config)
    many = asks_for_many(options)
    clips, people = _clips(options, expand_all if many else expand_sources), people_from(options)
    if many:
        return run_many(options, config, clips, people, suffix_of(options.format))
    none: Sequence[None] = [None] * len(clips)
    suffix = suffix_of(options.format)
    videos: Sequence[Path | None] = _outputs(options.video, clips, ".mp4") if options.video else none
    outs: Sequence[Path | None] = none
    if options.out:
        outs = _outputs(options.out, clips, suffix)
    elif not options.video:
        outs = _default_outputs(clips, suffix, quiet=options.quiet)
    # Standard output has no suffix, and only this format can be read while it grows.
    format = "jsonl" if options.out == STANDARD_OUTPUT and not options.format else options.format

    def track(i: int, networks: "Networks | None") -> "Summary":
        return track_video(
            clips[i],
            outs[i],
            config,
            video_out=videos[i],
            format=format,
            networks=networks,
            people=people,
            resume=options.resume,
            prototypes=not options.no_prototypes,
            quiet=options.quiet,
        )

    return _run_each(
        config, len(clips), track, lambda summary: log_tracks(summary, config, quiet=options.quiet)
    )


def run_observe(options: argparse.Namespace) -> int:
    """Write the observations of each video and return the exit code."""
    from kprtrack.run import observe_video

    config = config_from(options)
    if options.print_config:
        return print_config(config)
    clips = _clips(options)
    outs = _outputs(required(options.out, "output file", "--out obs.npz"), clips, ".npz")

    def observe(i: int, networks: "Networks | None") -> "Summary":
        return observe_video(
            clips[i], outs[i], config, networks=networks, resume=options.resume, quiet=options.quiet
        )

    return _run_each(
        config, len(clips), observe, lambda summary: log_observations(summary, config, quiet=options.quiet)
    )


def run_follow(options: argparse.Namespace) -> int:
    """Track stored observations and return the exit code."""
    from kprtrack.io import read_observations
    from kprtrack.run import track_observations

    config = config_from(options)
    if options.print_config:
        return print_config(config)
    out = _out_path(required(options.out, "output file", "--out tracks.json"))
    observations = read_observations(Path(options.observations))
    people = people_from(options)
    run = partial(
        track_observations,
        observations,
        out,
        config,
        format=options.format,
        people=people,
        prototypes=not options.no_prototypes,
    )
    summary, _ = completed(run)
    return log_tracks(summary, None, quiet=options.quiet)


def _run_each(
    config: TrackConfig,
    count: int,
    run: Callable[[int, "Networks | None"], "Summary"],
    log_result: Callable[["Summary"], int],
) -> int:
    """Run each video, also after one that cannot be read; return the first exit code that is not 0."""
    if count == 1:
        return log_result(completed(lambda: run(0, None))[0])
    from kprtrack.build import build_networks

    networks, codes = build_networks(config), []
    for i in range(count):
        try:
            summary, interrupted = completed(partial(run, i, networks))
            codes.append(log_result(summary))
            if interrupted and i + 1 < count:
                log(f"kprtrack: interrupted before video {i + 2} of {count}")
                return INTERRUPTED
        except InputError as error:
            log(f"kprtrack: {error}")
            codes.append(error.exit_code)
        if codes[-1] == INTERRUPTED:
            return INTERRUPTED
    failed = sum(code != 0 for code in codes)
    if failed:
        log(f"kprtrack: {failed} of {count} videos could not be read completely, see above")
    return next((code for code in codes if code), 0)


def _clips(
    options: argparse.Namespace, expand: Callable[[Sequence[str]], list[str]] = expand_sources
) -> list["Clip"]:
    from kprtrack.video.clip import Clip

    if not options.sources and not options.camera:
        raise UserError("Missing video: kprtrack VIDEO --out tracks.json.")
    start_s = parse_time(options.start) if options.start else None
    end_s = parse_time(options.end) if options.end else None
    sources: list[str | int] = [*expand(options.sources), *dict.fromkeys(options.camera)]
    return [
        Clip(
            source,
            start_s,
            end_s,
            options.stride,
            on_damage=options.on_damage,
            allow_playlists=options.allow_playlists,
            reconnect_s=options.reconnect,
        )
        for source in sources
    ]


def _outputs(target: str, clips: Sequence["Clip"], suffix: str) -> list[Path]:
    """One file per clip: `target` itself for one clip, else files in that folder named after the clips."""
    path = _out_path(target)
    if not (len(clips) > 1 or path.is_dir() or target.endswith(("/", "\\"))):
        return [path]
    if path.suffix and not path.is_dir():
        raise UserError(
            f"{len(clips)} videos need a folder for their results, e.g. {path.with_suffix('')}/, not a file."
        )
    names = _distinct_names(clips)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {path}: {error.strerror}. Choose another.") from error
    return [path / f"{name}{suffix}" for name in names]


def _default_outputs(clips: Sequence["Clip"], suffix: str, *, quiet: bool) -> list[Path]:
    """NAME.tracks.json in the current folder for each clip; logs the names."""
    files = [Path(f"{name}.tracks{suffix}") for name in _distinct_names(clips)]
    if not quiet:
        log(f"no --out: writing the tracks to {', '.join(map(str, files))} in the current folder")
    return files


def _distinct_names(clips: Sequence["Clip"]) -> list[str]:
    names = [short_name(clip.source) for clip in clips]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(
            f"Two videos are called '{twice}', so their results would overwrite each other. Run them"
            " separately."
        )
    return names


def _out_path(target: str) -> Path:
    return Path("/dev/stdout") if target == STANDARD_OUTPUT else expanded(target)
