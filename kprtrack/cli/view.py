"""The subcommand `view`: a result with its video in the viewer Rerun."""

import argparse
from pathlib import Path

from kprtrack.cli.edit import add_edits, edited
from kprtrack.cli.options import Parser, new_parser
from kprtrack.cli.output import log
from kprtrack.cli.people import add_people, people_from


def view_parser() -> Parser:
    """Make the parser of `view`."""
    parser = new_parser(
        "view",
        "Show a result with its video in the viewer Rerun (extra `rerun`): boxes, skeletons, presence of"
        " people and distances of embeddings.",
    )
    parser.add_argument("tracks", metavar="TRACKS", help="a result file of any format")
    parser.add_argument("source", metavar="VIDEO", help="the video the tracks were made from")
    parser.add_argument(
        "--save",
        metavar="FILE",
        help="write this .rrd file instead of opening the viewer; `rerun FILE` opens it",
    )
    parser.add_argument(
        "--observations",
        metavar="FILE",
        help="observations of the video (.npz): also show how far each embedding is from those of the same"
        " person and from the nearest other person",
    )
    add_people(parser)
    add_edits(parser)
    return parser


def run_view(options: argparse.Namespace) -> int:
    """Show or save the result and return the exit code."""
    from dataclasses import replace

    from kprtrack.io import read_observations, read_tracks
    from kprtrack.rendering.viewer import view_video
    from kprtrack.selection import select_people

    tracks = edited(read_tracks(Path(options.tracks)), options)
    frames = select_people(tracks.frames, people_from(options), fps=tracks.header.fps, source=options.tracks)
    observations = read_observations(options.observations) if options.observations else None
    viewed = view_video(
        replace(tracks, frames=frames),
        options.source,
        save=options.save,
        observations=observations,
        quiet=options.quiet,
    )
    if not options.quiet:
        log(f"{options.save or 'Rerun'}: {viewed.frames} frames, {viewed.people} people")
        for note in viewed.notes:
            log(f"note: {note}")
    return 0
