"""The subcommand `kinematics`: joint angles, velocities and clean trajectories of tracked people."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.edit import add_edits, edited
from kprtrack.cli.evaluation.eval_reid import assignments
from kprtrack.cli.options import Parser, add_out, new_parser, required
from kprtrack.cli.output import log
from kprtrack.cli.people import add_people, people_from
from kprtrack.core.errors import UserError
from kprtrack.core.extras import require

if TYPE_CHECKING:
    from kprtrack.kinematics import Calibration, KinematicsConfig, PersonKinematics

FILTERS = ("butterworth", "one-euro", "kalman", "savitzky-golay", "none")
_FLOOR = "--floor 100,700,1200,690,1000,400,300,405=0,0,5,0,5,8,0,8"


def kinematics_parser() -> Parser:
    """Make the parser of `kinematics`."""
    parser = new_parser(
        "kinematics",
        "Compute joint and segment angles, velocities and clean trajectories of tracked people.\n"
        "docs/reference/kinematics.md 1 defines every column.",
    )
    parser.add_argument("tracks", metavar="TRACKS", help="a result file with poses, of any format")
    add_out(parser, "output file, .csv: a row for each person and frame")
    parser.add_argument("--trc", metavar="FILE", help="also write the trajectories as TRC, a file per person")
    parser.add_argument("--plots", metavar="DIR", help="also draw angles and positions of each person as PNG")
    parser.add_argument(
        "--fps",
        type=float,
        metavar="N",
        help="frames per second, as of slow motion (default: times of TRACKS)",
    )
    group = parser.add_argument_group("cleaning")
    group.add_argument("--filter", metavar="NAME", help=f"{', '.join(FILTERS)} (default: butterworth)")
    group.add_argument("--cutoff", type=float, metavar="HZ", help="cut-off of the filter (default 6)")
    group.add_argument(
        "--max-gap", type=float, metavar="SECONDS", help="longest gap that is filled (default 0.2; 0: none)"
    )
    group.add_argument(
        "--min-confidence", type=float, metavar="N", help="remove keypoints below this (default 0.3)"
    )
    group.add_argument("--swaps", metavar="NAME", help="left and right exchanged: fix (default), mark, off")
    group.add_argument(
        "--facing", metavar="NAME", help="direction that people face: auto (default), right, left, front"
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting of kprtrack.kinematics.KinematicsConfig: order=2, window_s=0.5; repeatable",
    )
    group = parser.add_argument_group("metres (default: pixels)")
    group.add_argument("--metres-per-pixel", type=float, metavar="N", help="one scale for all people")
    group.add_argument(
        "--height",
        action="append",
        default=[],
        metavar="ID=METRES",
        help="height of a person: 3=1.82; repeatable. People without one get the scale of the first",
    )
    group.add_argument(
        "--floor",
        metavar="PIXELS=METRES",
        help="four or more points of the floor, x,y,x,y,...=X,Y,X,Y,...: places on it and heights above it",
    )
    add_people(parser, "--person")
    add_edits(parser)
    return parser


def run_kinematics(options: argparse.Namespace) -> int:
    """Write the files and return the exit code."""
    out = Path(required(options.out, "output file", "--out kinematics.csv"))
    if out.suffix.lower() != ".csv":
        raise UserError(f"--out {out}: the table is CSV. Name it {out.with_suffix('.csv')}.")
    trc = Path(options.trc) if options.trc else None
    if trc is not None and trc.suffix.lower() != ".trc":
        raise UserError(f"--trc {trc}: name it {trc.with_suffix('.trc')}.")
    require("kprtrack kinematics", "scipy")
    if options.plots:
        require("--plots", "matplotlib")
    from kprtrack.io import read_tracks
    from kprtrack.kinematics import compute_kinematics, draw_plots, write_csv, write_trc

    source = Path(options.tracks)
    if source.exists() and out.exists() and source.samefile(out):
        raise UserError(f"--out {out} is the result file itself. Choose another name.")
    config, calibration = _config(options), _calibration(options)
    tracks = edited(read_tracks(source), options)
    found = compute_kinematics(
        tracks, config, calibration, people=people_from(options), fps=options.fps, source=source
    )
    write_csv(found, out)
    files = [] if trc is None else write_trc(found, trc)
    if options.plots:
        files += draw_plots(found, Path(options.plots))
    if not options.quiet:
        for line in _summary(found, calibration, config):
            log(line)
        log(f"written: {', '.join(map(str, [out, *files[:4]]))}{', ...' if len(files) > 4 else ''}")
    return 0


def _config(options: argparse.Namespace) -> "KinematicsConfig":
    from kprtrack.core.settings import configure
    from kprtrack.kinematics import KinematicsConfig

    given = {
        "filter": options.filter,
        "cutoff_hz": options.cutoff,
        "max_gap_s": options.max_gap,
        "min_confidence": options.min_confidence,
        "swaps": options.swaps,
        "facing": options.facing,
    }
    values = {name: value for name, value in given.items() if value is not None}
    return configure(KinematicsConfig, values | assignments(options.set, "order=2"))


def _calibration(options: argparse.Namespace) -> "Calibration":
    from kprtrack.kinematics import Calibration

    pixels, metres = _floor(options.floor) if options.floor is not None else ((), ())
    return Calibration(options.metres_per_pixel, _heights(options.height), pixels, metres)


def _heights(texts: list[str]) -> dict[int, float]:
    """The heights of --height 3=1.82. Raises: UserError."""
    heights = {}
    for text in texts:
        person, _, height = text.partition("=")
        try:
            heights[int(person)] = float(height)
        except ValueError:
            raise UserError(f"--height {text}: give track ID and metres, such as --height 3=1.82.") from None
    return heights


def _floor(text: str) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
    """The points of --floor in pixels and metres. Raises: UserError."""
    pixels, equals, metres = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return _points(pixels), _points(metres)
    except ValueError:
        raise UserError(
            f"--floor {text}: give points in pixels and the same in metres, such as {_FLOOR}."
        ) from None


def _points(text: str) -> tuple[tuple[float, float], ...]:
    numbers = [float(part) for part in text.split(",")]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _summary(
    found: "list[PersonKinematics]", calibration: "Calibration", config: "KinematicsConfig"
) -> list[str]:
    """What was changed in each person, and whose scale is another's."""
    lines = []
    for person in found:
        clean = person.clean
        swapped = max((int(frames.sum()) for frames in clean.swapped.values()), default=0)
        fate = "exchanged" if config.swaps == "fix" else "seem exchanged"
        lines.append(
            f"person {person.track_id}: {len(person.times)} frames, {int(clean.removed.sum())} outliers"
            f" removed, {int(clean.filled.sum())} keypoints filled, left and right {fate} in {swapped} frames"
        )
    others = [person.track_id for person in found if person.track_id not in calibration.heights_m]
    if calibration.heights_m and others:
        lines.append(
            f"note: people {', '.join(map(str, others))} have the scale of person"
            f" {next(iter(calibration.heights_m))}, right at the same distance from the camera alone"
        )
    return lines
