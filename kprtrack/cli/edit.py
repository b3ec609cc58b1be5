"""The subcommand `edit`: corrections of a result, kept in a file beside it; and the option --edits."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.options import Parser, add_out, new_parser
from kprtrack.cli.output import log, print_line
from kprtrack.core.errors import UserError

if TYPE_CHECKING:
    from kprtrack.edits import EditedTracks, Edits
    from kprtrack.io import TrackFile

_DESCRIPTION = """\
Correct the tracks of a result. The result is never changed: edits are added to the file NAME.edits.jsonl
beside it, and --out writes the corrected tracks. Without EDIT, the edits are listed.

  "7 = 3"  "7 = 3 from 0:41"  "7 = 3 from 0:41 to 0:50"   track 7 is person 3, for good or in that time
  "swap 2 5 at 1:02"                                      tracks 2 and 5 are exchanged from then on
  "split 4 at 0:30"                                       track 4 is another person from then on
  "delete 9"  "delete 9 from 0:10 to 0:12"                track 9 is no person
  "name 3 Anna"                                           the name of person 3
  "undo"  "undo 2"                                        the last edit, or edit 2, no longer counts

Times are 0:41, 41s, 1:02.5 or frame 120. Track IDs are those after the edits before. Edits are bound to
boxes and times: --edits applies them to another result of the same video, too."""


def edit_parser() -> Parser:
    """Make the parser of `edit`."""
    parser = new_parser("edit", _DESCRIPTION)
    parser.add_argument("tracks", metavar="TRACKS", help="a result file of any format")
    parser.add_argument("texts", nargs="*", metavar="EDIT", help="an edit, in quotes")
    add_out(parser, "write the corrected tracks; the suffix selects the format")
    parser.add_argument("--format", metavar="NAME", help="format of --out, if not by its suffix")
    parser.add_argument(
        "--edits", metavar="FILE", help="file of the edits (default: NAME.edits.jsonl beside TRACKS)"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")
    return parser


def run_edit(options: argparse.Namespace) -> int:
    """Add edits to the file, list them or write the corrected tracks, and return the exit code."""
    from kprtrack.edits import Edits, edits_path
    from kprtrack.io import read_tracks, write_tracks

    source = Path(options.tracks)
    path = Path(options.edits) if options.edits else edits_path(source)
    out = None if options.out is None else Path(options.out)
    if options.format and out is None:
        raise UserError("--format is the format of --out. Add --out FILE, or leave it out.")
    for file in (source, path):
        if out is not None and out.resolve() == file.resolve():
            raise UserError(f"--out {out}: it is an input. Choose another file.")
    tracks = read_tracks(source)
    if not path.exists() and not options.texts and not options.edits and out is None:
        print_line(f"There are no edits of {source}. `kprtrack edit --help` shows how to write them.")
        return 0
    before = Edits(path) if options.texts and not path.exists() else Edits.read(path)
    after = before
    if options.texts:
        add = before.preview if options.dry_run else before.append
        after = add(tracks, *options.texts)
    edited = after.apply(tracks)
    _print(before, after, edited, options)
    if out is not None and not options.dry_run:
        written = write_tracks(edited.tracks, out, options.format)
        if not options.quiet:
            log(f"written: {', '.join(map(str, written))}")
    return 0


def add_edits(parser: argparse.ArgumentParser) -> None:
    """Add --edits."""
    group = parser.add_argument_group("corrections")
    group.add_argument(
        "--edits", metavar="FILE", help="apply the edits of `kprtrack edit` first: NAME.edits.jsonl"
    )


def edited(tracks: "TrackFile", options: argparse.Namespace) -> "TrackFile":
    """Return the tracks with the edits of --edits; edits that do not apply are logged."""
    if not options.edits:
        return tracks
    from kprtrack.edits import Edits

    edits = Edits.read(Path(options.edits))
    result = edits.apply(tracks)
    if edits.torn:
        log(_torn(edits))
    missed = [each for each in result.report if each.status == "does not apply"]
    for each in missed:
        log(f"edit {each}")
    if not options.quiet:
        log(f"{edits.path}: {len(result.report) - len(missed)} of {len(result.report)} edits apply")
    return result.tracks


def _print(before: "Edits", after: "Edits", edited: "EditedTracks", options: argparse.Namespace) -> None:
    """Print what each new edit changes, or all edits, and always those that do not apply."""
    if before.torn:
        log(_torn(before))
    if options.dry_run and not options.quiet:
        log("nothing is written (--dry-run)")
    results = {each.edit.number: each for each in edited.report}
    known = {edit.number for edit in before.edits} if options.texts else set()
    for edit in after.edits:
        result = results.get(edit.number)
        if result is None:
            if edit.number not in before.undone or not options.texts:
                print_line(f"{edit.number}  {edit.text}: undone")
        elif result.status == "does not apply" or edit.number not in known:
            print_line(str(result))


def _torn(edits: "Edits") -> str:
    return (
        f"note: the last line of {edits.path} is unfinished, as a killed program leaves it, and is left out"
    )
