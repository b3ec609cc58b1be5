"""What each verb of the command line does, once its options are parsed."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.config import PARTS, PRESETS, Part, TrackConfig, load_config, merge, override
from kprtrack.sources import expand_sources, parse_time, short_name
from reid.errors import InputError, UserError, unknown_name

if TYPE_CHECKING:
    from kprtrack.models import ModelRow
    from kprtrack.run import Clip, Summary

INTERRUPTED = 130


def run(verb: str, options: argparse.Namespace) -> int:
    """Run one verb; returns the exit code. Raises: UserError and its kinds."""
    return _ACTIONS[verb](options)


def _track(options: argparse.Namespace) -> int:
    from kprtrack.build import build_networks
    from kprtrack.run import track_video

    config = _config(options)
    if options.print_config:
        return _print_config(config)
    if options.out is None and options.video is None:
        raise UserError(
            "Say where the tracks go: --out tracks.json (.jsonl .csv .parquet .txt), or --video out.mp4."
        )
    clips = _clips(options)
    outs = _outputs(options.out, clips, ".json") if options.out else [None] * len(clips)
    drawn: list[Path | None] = [*_outputs(options.video, clips, ".mp4")] if options.video else [None] * len(clips)
    networks = build_networks(config) if len(clips) > 1 else None
    code = 0
    for i, clip in enumerate(clips):
        summary = track_video(
            clip,
            outs[i],
            config,
            video_out=drawn[i],
            format=options.format,
            networks=networks,
            quiet=options.quiet,
        )
        code = code or _tell(summary, options.quiet, prompts=config.reid.name == "kpr")
        if code == INTERRUPTED:
            break
    return code


def _observe(options: argparse.Namespace) -> int:
    from kprtrack.build import build_networks
    from kprtrack.run import observe_video

    config = _config(options)
    if options.print_config:
        return _print_config(config)
    clips = _clips(options)
    outs = _outputs(_needed(options.out, "obs.npz"), clips, ".npz")
    networks = build_networks(config) if len(clips) > 1 else None
    code = 0
    for clip, out in zip(clips, outs, strict=True):
        summary = observe_video(clip, out, config, networks=networks, quiet=options.quiet)
        code = code or _tell(summary, options.quiet, prompts=config.reid.name == "kpr")
        if code == INTERRUPTED:
            break
    return code


def _follow(options: argparse.Namespace) -> int:
    from kprtrack.results import read_observations
    from kprtrack.run import follow_file

    config = _config(options)
    if options.print_config:
        return _print_config(config)
    out = Path(_needed(options.out, "tracks.json"))
    summary = follow_file(read_observations(Path(options.observations)), out, config, format=options.format)
    return _tell(summary, options.quiet, prompts=False)


def _draw(options: argparse.Namespace) -> int:
    from kprtrack.results import read_tracks
    from kprtrack.run import draw_file

    out = Path(_needed(options.out, "drawn.mp4"))
    summary = draw_file(read_tracks(Path(options.tracks)), options.source, out, quiet=options.quiet)
    return _tell(summary, options.quiet, prompts=False)


def _convert(options: argparse.Namespace) -> int:
    from kprtrack.results import convert

    convert(Path(options.source), Path(options.target), options.source_format, options.target_format)
    return 0


def _models(options: argparse.Namespace) -> int:
    from kprtrack import models

    if options.action == "where":
        _print(str(models.where()))
    elif options.action == "list":
        _print(_table([_MODEL_COLUMNS, *map(_model_row, models.list_models())]))
    elif options.action == "get":
        file = models.get(options.name, progress=None if options.quiet else _show_bytes)
        _print(f"{file.path}\nsha256 {file.sha256} ({file.trust})")
    else:
        file = models.import_file(Path(options.file), options.name)
        _print(f"{file.path}\nsha256 {file.sha256} ({file.trust})")
    return 0


_MODEL_COLUMNS = ("NAME", "HERE", "FOR", "SIZE", "SCORE (its authors')", "LICENCE")


def _model_row(row: "ModelRow") -> tuple[str, ...]:
    size = f"{row.size_bytes / 1e6:.0f} MB" if row.size_bytes else "?"
    here = "yes" if row.installed else "no" if row.downloadable else "no (by browser)"
    return row.name, here, row.architecture, size, row.score, row.licence


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _doctor(options: argparse.Namespace) -> int:
    from kprtrack.doctor import format_report, prompt_quality, report

    _print(format_report(report(_config(options))))
    if options.observations:
        from kprtrack.results import read_observations

        _print(str(prompt_quality(read_observations(Path(options.observations)))))
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "track": _track,
    "observe": _observe,
    "follow": _follow,
    "draw": _draw,
    "convert": _convert,
    "models": _models,
    "doctor": _doctor,
}


def _config(options: argparse.Namespace) -> TrackConfig:
    """Preset, then config file, then single options, then --set: the later wins."""
    preset = getattr(options, "preset", None) or "balanced"
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    config = PRESETS[preset]
    if options.config:
        config = load_config(options.config, config)
    for role in PARTS:
        name, weights = getattr(options, role, None), getattr(options, f"{role}_weights", None)
        if name:
            config = merge(config, {role: {"name": name}})
        if weights:
            part: Part = getattr(config, role)
            config = merge(config, {role: {"name": part.name, "weights": weights}})
    named = ("device", "precision", "batch", "threads")
    given = {key: getattr(options, key, None) for key in named}
    config = merge(config, {key: value for key, value in given.items() if value is not None})
    return override(config, options.set)


def _print_config(config: TrackConfig) -> int:
    _print(json.dumps(asdict(config), indent=2))
    return 0


def _clips(options: argparse.Namespace) -> list["Clip"]:
    from kprtrack.run import Clip

    start_s = parse_time(options.start) if options.start else None
    end_s = parse_time(options.end) if options.end else None
    return [Clip(source, start_s, end_s, options.stride) for source in expand_sources(options.sources)]


def _outputs(target: str, clips: list["Clip"], suffix: str) -> list[Path]:
    """One file a clip: `target` itself for one clip, files named after the clips in the folder `target` for more."""
    path = Path(target).expanduser()
    if not (len(clips) > 1 or path.is_dir() or target.endswith(("/", "\\"))):
        return [path]
    if path.suffix and not path.is_dir():
        raise UserError(
            f"{len(clips)} videos need a folder for their results, e.g. {path.with_suffix('')}/, not a file."
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {path}: {error.strerror}.") from error
    names = [short_name(str(clip.source)) for clip in clips]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(
            f"Two videos are called '{twice}': their results would overwrite each other. Run them apart."
        )
    return [path / f"{name}{suffix}" for name in names]


def _needed(out: str | None, example: str) -> str:
    if out is None:
        raise UserError(f"Say where the result goes: --out {example}.")
    return out


def _tell(summary: "Summary", quiet: bool, prompts: bool) -> int:
    """Say what was done; the exit code."""
    stopped = summary.stopped
    if not quiet:
        speed = summary.frames / summary.seconds if summary.seconds else 0.0
        _say(f"{summary.out}: {summary.frames} frames, {len(summary.ids)} people, {speed:.1f} frames/s")
        if prompts and summary.sightings:
            share = summary.prompted / summary.sightings
            _say(f"{share:.0%} of {summary.sightings} detections were prompted by their keypoints")
        if not summary.sightings and stopped is None:
            _say("nobody was seen in any frame")
    if stopped is None:
        return 0
    if isinstance(stopped, KeyboardInterrupt):
        _say(f"kprtrack: interrupted; {summary.out} holds the frames so far")
        return INTERRUPTED
    _say(f"kprtrack: {stopped} {summary.out} holds the frames before.")
    return InputError.exit_code


def _show_bytes(done: int, total: int | None) -> None:
    share = f" of {total / 1e6:.0f}" if total else ""
    sys.stderr.write(f"\r{done / 1e6:.0f}{share} MB")


def _print(text: str) -> None:
    sys.stdout.write(text.rstrip() + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
