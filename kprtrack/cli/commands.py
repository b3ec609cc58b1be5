"""What each verb of the command line does, once its options are parsed."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.summary import INTERRUPTED, say, tell, tell_observations, tell_tracks
from kprtrack.config import (
    DEFAULT_PRESET,
    PARTS,
    PRESETS,
    ComponentConfig,
    TrackConfig,
    load_config,
    merge,
    override,
)
from kprtrack.core.errors import InputError, OutputError, UserError, WeightsError, unknown_name
from kprtrack.video.inputs import expand_sources, parse_time, short_name

if TYPE_CHECKING:
    from kprtrack.hub.store import ModelRow
    from kprtrack.pipeline import Networks
    from kprtrack.run import Clip, Summary

STANDARD_OUTPUT = "-"


def run(verb: str, options: argparse.Namespace) -> int:
    """Run one verb; returns the exit code. Raises: UserError and its kinds."""
    return _ACTIONS[verb](options)


def _track(options: argparse.Namespace) -> int:
    from kprtrack.io import suffix_of
    from kprtrack.run import track_video

    config = config_of(options)
    if options.print_config:
        return print_config(config)
    if not options.out and not options.video:
        raise UserError(
            "Say where the tracks go: --out tracks.json (.jsonl .csv .parquet .txt), or --video out.mp4."
        )
    clips = _clips(options)
    nowhere: list[Path | None] = [None] * len(clips)
    outs = [*_outputs(options.out, clips, suffix_of(options.format))] if options.out else nowhere
    drawn = [*_outputs(options.video, clips, ".mp4")] if options.video else nowhere
    # Standard output holds no suffix, and only this format can be read before its end.
    format = "jsonl" if options.out == STANDARD_OUTPUT and not options.format else options.format

    def track(i: int, networks: "Networks | None") -> "Summary":
        return track_video(
            clips[i],
            outs[i],
            config,
            video_out=drawn[i],
            format=format,
            networks=networks,
            quiet=options.quiet,
        )

    return _one_by_one(
        config, len(clips), track, tell=lambda summary: tell_tracks(summary, config, quiet=options.quiet)
    )


def _observe(options: argparse.Namespace) -> int:
    from kprtrack.run import observe_video

    config = config_of(options)
    if options.print_config:
        return print_config(config)
    clips = _clips(options)
    outs = _outputs(_needed(options.out, "obs.npz"), clips, ".npz")

    def look(i: int, networks: "Networks | None") -> "Summary":
        return observe_video(clips[i], outs[i], config, networks=networks, quiet=options.quiet)

    return _one_by_one(
        config, len(clips), look, tell=lambda summary: tell_observations(summary, config, quiet=options.quiet)
    )


def _one_by_one(
    config: TrackConfig,
    count: int,
    run: Callable[[int, "Networks | None"], "Summary"],
    tell: Callable[["Summary"], int],
) -> int:
    """Run each video; one that cannot be read does not keep the others waiting. The first bad exit code."""
    if count == 1:
        return tell(run(0, None))
    from kprtrack.build import build_networks

    networks, codes = build_networks(config), []
    for i in range(count):
        try:
            codes.append(tell(run(i, networks)))
        except InputError as error:
            say(f"kprtrack: {error}")
            codes.append(error.exit_code)
        if codes[-1] == INTERRUPTED:
            return INTERRUPTED
    failed = sum(code != 0 for code in codes)
    if failed:
        say(f"kprtrack: {failed} of {count} videos could not be read to their end, see above")
    return next((code for code in codes if code), 0)


def _follow(options: argparse.Namespace) -> int:
    from kprtrack.io import read_observations
    from kprtrack.run import track_observations

    config = config_of(options)
    if options.print_config:
        return print_config(config)
    out = _out_path(_needed(options.out, "tracks.json"))
    summary = track_observations(
        read_observations(Path(options.observations)), out, config, format=options.format
    )
    return tell_tracks(summary, None, quiet=options.quiet)


def _draw(options: argparse.Namespace) -> int:
    from kprtrack.io import read_tracks
    from kprtrack.run import draw_file

    out = Path(_needed(options.out, "drawn.mp4"))
    summary = draw_file(read_tracks(Path(options.tracks)), options.source, out, quiet=options.quiet)
    return tell(summary, quiet=options.quiet)


def _convert(options: argparse.Namespace) -> int:
    from kprtrack.io import convert

    convert(Path(options.source), Path(options.target), options.source_format, options.target_format)
    return 0


def _models(options: argparse.Namespace) -> int:
    from kprtrack.hub import store as models

    if options.action == "where":
        print_text(str(models.where()))
    elif options.action == "list":
        print_text(_table([_MODEL_COLUMNS, *map(_model_row, models.list_models())]))
    elif options.action == "check":
        return _check_models(models.list_models())
    elif options.action == "get":
        file = models.get(options.name, progress=None if options.quiet else _show_bytes)
        print_text(f"{file.path}\nsha256 {file.sha256} ({file.trust})")
    else:
        file = models.import_file(Path(options.file), options.name)
        print_text(f"{file.path}\nsha256 {file.sha256} ({file.trust})")
    return 0


_MODEL_COLUMNS = ("NAME", "HERE", "FOR", "SIZE", "SCORE (its authors')", "LICENCE")


def _model_row(row: "ModelRow") -> tuple[str, ...]:
    size = f"{row.size_bytes / 1e6:.0f} MB" if row.size_bytes else "?"
    here = "yes" if row.installed else "no" if row.downloadable else "no (by browser)"
    if row.in_package:
        here = "in the package" if row.installed else "no (in a release)"
    return row.name, here, row.architecture, size, row.score, row.licence


def _check_models(rows: list["ModelRow"]) -> int:
    """Say of every model that is here or should be whether it is whole; the exit code."""
    from kprtrack.hub import store as models

    code = 0
    for row in rows:
        if not (row.installed or row.in_package):
            continue
        try:
            print_text(f"ok  {row.name}  {models.check(row.name).trust}")
        except WeightsError as error:
            print_text(f"!!  {row.name}  {error}")
            code = error.exit_code
    return code


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _doctor(options: argparse.Namespace) -> int:
    from kprtrack.cli.doctor import format_report, prompt_quality, report

    print_text(format_report(report(config_of(options))))
    if options.observations:
        from kprtrack.io import read_observations

        print_text(prompt_quality(read_observations(Path(options.observations))).verdict)
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


def config_of(options: argparse.Namespace) -> TrackConfig:
    """Preset, then config file, then single options, then --set: the later wins."""
    preset = getattr(options, "preset", None) or DEFAULT_PRESET
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
            part: ComponentConfig = getattr(config, role)
            config = merge(config, {role: {"name": part.name, "weights": weights}})
    named = ("device", "precision", "backend", "batch", "threads")
    given = {key: getattr(options, key, None) for key in named}
    config = merge(config, {key: value for key, value in given.items() if value is not None})
    return override(config, options.set)


def print_config(config: TrackConfig) -> int:
    """Print the settings in force; the exit code."""
    print_text(json.dumps(asdict(config), indent=2))
    return 0


def _clips(options: argparse.Namespace) -> list["Clip"]:
    from kprtrack.run import Clip

    if not options.sources:
        raise UserError("Say which video: kprtrack VIDEO --out tracks.json.")
    start_s = parse_time(options.start) if options.start else None
    end_s = parse_time(options.end) if options.end else None
    return [Clip(source, start_s, end_s, options.stride) for source in expand_sources(options.sources)]


def _outputs(target: str, clips: list["Clip"], suffix: str) -> list[Path]:
    """One file a clip: `target` itself for one clip; for more, files named after the clips in that folder."""
    path = _out_path(target)
    if not (len(clips) > 1 or path.is_dir() or target.endswith(("/", "\\"))):
        return [path]
    if path.suffix and not path.is_dir():
        raise UserError(
            f"{len(clips)} videos need a folder for their results, e.g. {path.with_suffix('')}/, not a file."
        )
    names = [short_name(str(clip.source)) for clip in clips]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(
            f"Two videos are called '{twice}': their results would overwrite each other. Run them apart."
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {path}: {error.strerror}. Choose another.") from error
    return [path / f"{name}{suffix}" for name in names]


def _out_path(target: str) -> Path:
    return Path("/dev/stdout") if target == STANDARD_OUTPUT else Path(target).expanduser()


def _needed(out: str | None, example: str) -> str:
    if not out:
        raise UserError(f"Say where the result goes: --out {example}.")
    return out


def _show_bytes(done: int, total: int | None) -> None:
    share = f" of {total / 1e6:.0f}" if total else ""
    sys.stderr.write(f"\r{done / 1e6:.0f}{share} MB")


def print_text(text: str) -> None:
    """Write to standard output, ending in one line break."""
    sys.stdout.write(text.rstrip() + "\n")
