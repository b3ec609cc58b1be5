"""The subcommand `link`: the same person ID for the same person in several videos."""

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.options import Parser, new_parser
from kprtrack.cli.output import log, print_line
from kprtrack.core.errors import UserError

if TYPE_CHECKING:
    from kprtrack.identity.linking import Links
    from kprtrack.identity.results import IdentifiedResult

_DESCRIPTION = """\
Give the same person the same ID in several videos. Each result is written to the folder --out with a
person ID for every track, and links.json there lists all links with their probabilities. The results need
the files NAME.tracks.safetensors that `kprtrack VIDEO` writes beside them; corrections of `kprtrack edit`
are applied first. No network runs.

With --gallery, people are also linked to the persons of a gallery, get their names, and are added to it.
What you decide there by `kprtrack gallery merge` and `split` holds for every later run.

A link is made if it is more probable than --min-probability; a track without one is a new person."""


def link_parser() -> Parser:
    """Make the parser of `link`."""
    from kprtrack.identity.linking import MIN_PROBABILITY

    parser = new_parser("link", _DESCRIPTION)
    parser.add_argument("results", nargs="+", metavar="RESULT", help="result files, one for each video")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the linked results")
    parser.add_argument("--gallery", metavar="FILE", help="persons known already, such as people.kprdb")
    parser.add_argument(
        "--min-probability",
        type=float,
        default=MIN_PROBABILITY,
        metavar="P",
        help="of a link, above 0 and at most 1 (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the persons, and write nothing")
    return parser


def run_link(options: argparse.Namespace) -> int:
    """Link the results, write them, and return the exit code."""
    from kprtrack.gallery import Gallery
    from kprtrack.identity.linking import link
    from kprtrack.identity.results import linked_paths, read_results, write_linked

    if not 0 < options.min_probability <= 1:
        raise UserError(f"--min-probability {options.min_probability}: give a number above 0 and at most 1.")
    results, out = read_results(options.results), Path(options.out)
    linked_paths(results, out)
    for missed in (line for result in results for line in result.missed):
        log(f"edit {missed}")
    new = options.gallery and not Path(options.gallery).exists()
    if new and options.dry_run:
        raise UserError(f"There is no gallery {options.gallery}. Leave out --gallery, or --dry-run.")
    with (
        Gallery.open(options.gallery, create=True) if options.gallery else nullcontext() as gallery,
        # No other program adds persons meanwhile.
        gallery.transaction() if gallery and not options.dry_run else nullcontext(),
    ):
        known = gallery.known() if gallery else None
        links = link(
            [result.prototypes for result in results],
            known,
            gallery.constraints() if gallery else None,
            min_probability=options.min_probability,
        )
        names = dict(known.names) if known else {}
        _print_persons(results, links, names)
        if options.dry_run:
            return 0
        if gallery:
            for result, persons in zip(results, links.persons, strict=True):
                gallery.add(result.prototypes, persons, result.tracks.frames)
        written = write_linked(results, links, names, out)
    if not options.quiet:
        log(f"written: {', '.join(map(str, written))} and {out / 'links.json'}")
        if options.gallery:
            log(f"{'new gallery' if new else 'updated'}: {options.gallery}")
    return 0


def _print_persons(results: "list[IdentifiedResult]", links: "Links", names: dict[int, str]) -> None:
    """Print who was seen where; persons of one video without a name are only counted."""
    from kprtrack.edits.grammar import clock_text
    from kprtrack.identity.persons import probability_text

    places: dict[int, list[str]] = {}
    videos: dict[int, set[int]] = {}
    for number, result in enumerate(results):
        prototypes = result.prototypes
        spans = zip(prototypes.track_ids.tolist(), prototypes.first_s, prototypes.last_s, strict=True)
        for track_id, first_s, last_s in spans:
            person, probability = links.persons[number][track_id], links.probability[number][track_id]
            sure = "" if probability == 1 else f", probability {probability_text(probability)}"
            times = f"{clock_text(round(first_s, 1))} to {clock_text(round(last_s, 1))}"
            places.setdefault(person, []).append(f"{result.video} track {track_id} ({times}{sure})")
            videos.setdefault(person, set()).add(number)
    shown = [person for person in sorted(places) if len(places[person]) > 1 or person in names]
    for person in shown:
        name = f" {names[person]}" if person in names else ""
        print_line(f"person {person}{name}: {'; '.join(places[person])}")
    several = sum(len(each) > 1 for each in videos.values())
    tracks = sum(len(result.prototypes) for result in results)
    print_line(
        f"{tracks} tracks of {len(results)} videos are {len(places)} persons,"
        f" {several} of them in several videos"
    )
