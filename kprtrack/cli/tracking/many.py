"""`kprtrack VIDEOS... --workers N`: the options, the check of them, and the report."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from kprtrack.cli.options import Parser, required
from kprtrack.cli.output import INTERRUPTED, STANDARD_OUTPUT, log, table_text, write_json
from kprtrack.config import TrackConfig
from kprtrack.core.errors import OutputError, UserError
from kprtrack.video.inputs import STANDARD_INPUT, expand_sources, is_camera, parse_time, short_name

if TYPE_CHECKING:
    from kprtrack.scale.manifest import Record
    from kprtrack.scale.many import ManySummary
    from kprtrack.selection import PeopleSelection
    from kprtrack.video.clip import Clip

_MOST_ROWS = 40  # of the table; of more videos it has only those with a problem


def add_many(parser: Parser) -> None:
    """Add --workers, --ray, --split and --json."""
    group = parser.add_argument_group(
        "many videos (needs the extra ray); --out is a folder or s3://, gs://, az://"
    )
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="so many processes, each with its own networks; a second call with the same --out does what is"
        " missing",
    )
    group.add_argument(
        "--ray",
        metavar="HOST:PORT",
        help="workers on the machines of this running Ray cluster; auto: of this one",
    )
    group.add_argument(
        "--split",
        metavar="TIME",
        help="observe longer videos in chunks of this length; the result is that of `observe` and `follow`",
    )
    group.add_argument("--json", metavar="FILE", help="write what became of each video; -: standard output")


def asks_for_many(options: argparse.Namespace) -> bool:
    """Whether --workers or --ray is given. Raises: UserError if an option needs them."""
    if options.workers is not None or options.ray is not None:
        return True
    for option in ("split", "json"):
        if getattr(options, option) is not None:
            raise UserError(f"--{option} needs --workers N.")
    return False


def expand_all(names: Sequence[str]) -> list[str]:
    """Resolve what is named to single videos, those in object stores as well."""
    from kprtrack.scale.storage import expand_remote, is_remote

    found: list[str] = []
    for name in names:
        found += expand_remote(name) if is_remote(name) else expand_sources([name])
    return list(dict.fromkeys(found))


def run_many(
    options: argparse.Namespace,
    config: TrackConfig,
    clips: Sequence["Clip"],
    people: "PeopleSelection",
    suffix: str,
) -> int:
    """Track the videos and return the exit code."""
    from kprtrack.scale import ManySettings, Video, track_many

    out = required(options.out, "folder of the results", "--out results/")
    if options.video:
        raise UserError("--video does not go with --workers. Use: kprtrack draw VIDEO RESULT --out FILE.")
    for clip in clips:
        if str(clip.source) == STANDARD_INPUT:
            raise UserError("Standard input does not go with --workers. Give a file.")
        if is_camera(clip.source):
            raise UserError(f"Camera {clip.source} does not go with --workers. Give files.")
    if out == STANDARD_OUTPUT or (out.endswith(suffix) and "://" not in out):
        raise UserError(f"--out is '{out}'. With --workers give a folder, e.g. results/.")
    settings = ManySettings(
        out,
        config,
        options.format,
        people,
        not options.no_prototypes,
        parse_time(options.split) if options.split else None,
    )
    if settings.split_s == 0:
        raise UserError("--split is 0. Give the length of a chunk, such as 10:00.")
    names = _names(clips)
    videos = [Video(name, clip, f"{name}{suffix}") for name, clip in zip(names, clips, strict=True)]
    workers = 1 if options.workers is None else options.workers
    summary = track_many(videos, settings, workers, address=options.ray, quiet=options.quiet)
    if options.json:
        write_json(options.json, _document(summary, out))
    return _report(summary, out, quiet=options.quiet)


def _names(clips: Sequence["Clip"]) -> list[str]:
    from kprtrack.scale.storage import is_remote

    names: list[str] = []
    for clip in clips:
        source = str(clip.source)
        names.append(short_name(source.rpartition("/")[2]) if is_remote(source) else short_name(clip.source))
    seen: dict[str, object] = {}
    for name, clip in zip(names, clips, strict=True):
        if name in seen:
            raise UserError(
                f"'{seen[name]}' and '{clip.source}' would have the same result {name}. Run them with"
                " different --out folders."
            )
        seen[name] = clip.source
    return names


def _report(summary: "ManySummary", out: str, *, quiet: bool) -> int:
    """Log failures, the table and the total; return the exit code."""
    for record in summary.records:
        if record.reason and not (summary.interrupted and record.reason == "interrupted"):
            log(f"kprtrack: {record.video}: {record.reason}")
    if not quiet:
        log_table(summary)
    done = sum(record.done for record in summary.records)
    if summary.interrupted:
        log(
            f"kprtrack: interrupted; {done} of {len(summary.records)} videos are done. The same command does"
            " the others."
        )
        return INTERRUPTED
    if not quiet:
        speed = summary.frames / summary.working_s if summary.working_s else 0.0
        earlier = f" ({summary.earlier} by an earlier run)" if summary.earlier else ""
        of = f"{done} of {len(summary.records)} videos done{earlier}"
        log(f"{out}: {of}, {summary.frames} frames, {speed:.1f} frames/s")
    if summary.problem is not None:
        log(f"kprtrack: {summary.problem} A second call repeats what could not be noted.")
    code = next((record.exit_code for record in summary.records if record.exit_code), 0)
    return code or (OutputError.exit_code if summary.problem else 0)


def log_table(summary: "ManySummary") -> None:
    """Log one row for each video; for very many only those with a problem."""
    records = summary.records
    if len(records) > _MOST_ROWS:
        records = [record for record in records if record.reason][:_MOST_ROWS]
    if not records:
        return
    rows = [("video", "state", "frames", "people", "seconds", "tries"), *map(_row, records)]
    for line in table_text(rows).splitlines():
        log(line)


def _row(record: "Record") -> tuple[str, ...]:
    state = "damaged" if record.done and record.reason else record.state
    numbers = (record.frames, record.people, f"{record.seconds:.1f}", record.tries)
    return record.video, state, *map(str, numbers)


def _document(summary: "ManySummary", out: str) -> bytes:
    videos = [asdict(record) for record in summary.records]
    document = {
        "out": out,
        "videos": len(videos),
        "done": sum(record.done for record in summary.records),
        "failed": len(summary.failed),
        "earlier": summary.earlier,
        "frames": summary.frames,
        "seconds": round(summary.seconds, 3),
        "working_seconds": round(summary.working_s, 3),
        "interrupted": summary.interrupted,
        "results": videos,
    }
    return json.dumps(document, indent=1).encode() + b"\n"
