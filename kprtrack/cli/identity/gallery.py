"""The subcommand `gallery`: persons of many videos in one file."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.options import ActionParser, Actions, Parser, add_action, add_actions, new_parser
from kprtrack.cli.output import log, print_line, print_text, table_text, write_json
from kprtrack.core.errors import UserError

if TYPE_CHECKING:
    from kprtrack.gallery import Correction, Gallery, Person, Sighting

_DESCRIPTION = """\
Persons of many videos in one file: names, notes, prototypes of their appearance, and where they were seen.
The file is an SQLite database; every command changes all that it names, or nothing."""
_COLUMNS = ("PERSON", "NAME", "VIDEOS", "TRACKS", "PROTOTYPES", "NOTES")
_TRACK_COLUMNS = ("VIDEO", "TRACK", "FROM", "TO", "PROTOTYPES", "SHA256")


def gallery_parser() -> Parser:
    """Make the parser of `gallery`."""
    parser = new_parser("gallery", _DESCRIPTION)
    actions = add_actions(parser, "ACTION", "what to do")
    add = _action(actions, "add", "add the tracks of results; a video that is there already is replaced")
    add.add_argument("results", nargs="+", metavar="RESULT", help="result file; corrected by its edits")
    add.add_argument(
        "--persons-from",
        action="append",
        default=[],
        metavar="FILE",
        help="linked result, with the person of each track; repeatable",
    )
    listed = _action(actions, "list", "list all persons")
    show = _action(actions, "show", "show where a person was seen")
    show.add_argument("person", metavar="PERSON", help="person ID or name")
    for each in (listed, show):
        each.add_argument("--json", metavar="FILE", help="write JSON; - prints it instead of the table")
    name = _action(actions, "name", "name a person")
    name.add_argument("person", metavar="PERSON", help="person ID or name")
    name.add_argument("name", metavar="NAME", help='name, which no other person has; "" removes it')
    note = _action(actions, "note", "write notes about a person")
    note.add_argument("person", metavar="PERSON", help="person ID or name")
    note.add_argument("notes", metavar="TEXT", help='replaces the notes; "" removes them')
    merge = _action(actions, "merge", "make two persons one, for ever")
    merge.add_argument("person", metavar="PERSON", help="the person who is left: ID or name")
    merge.add_argument("other", metavar="OTHER", help="the person who becomes that one")
    split = _action(actions, "split", "make some tracks of a person a new person, for ever")
    split.add_argument("person", metavar="PERSON", help="person ID or name")
    split.add_argument(
        "tracks", nargs="+", metavar="VIDEO:TRACK", help="file name of the video, or its sha256, and track ID"
    )
    remove = _action(actions, "remove", "remove persons with everything about them")
    remove.add_argument("persons", nargs="*", metavar="PERSON", help="person ID or name")
    remove.add_argument(
        "--video",
        action="append",
        default=[],
        metavar="NAME",
        help="all tracks of a video: its file name or sha256; repeatable",
    )
    for each in (merge, split):
        each.add_argument("--no-relink", action="store_true", help="leave all other persons as they are")
    for each in (merge, split, remove):
        each.add_argument("--yes", "-y", action="store_true", help="do it without a question")
        each.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    export = _action(actions, "export", "write all persons and where they were seen")
    export.add_argument("out", metavar="OUT", help="out.csv or out.json")
    return parser


def _action(actions: "Actions[ActionParser]", name: str, description: str) -> ActionParser:
    parser = add_action(actions, name, description)
    parser.add_argument("gallery", metavar="GALLERY", help="the file, such as people.kprdb")
    return parser


def run_gallery(options: argparse.Namespace) -> int:
    """Run one action and return the exit code."""
    from kprtrack.gallery import Gallery

    with Gallery.open(options.gallery, create=options.action == "add") as gallery:
        return _RUN[options.action](gallery, options)


def _add(gallery: "Gallery", options: argparse.Namespace) -> int:
    from kprtrack.identity.persons import video_key
    from kprtrack.identity.results import read_results
    from kprtrack.io import read_tracks

    results, lines = read_results(options.results), []
    headers = [read_tracks(path).header for path in options.persons_from]
    linked = {str(header.video.get("sha256")): header.persons for header in headers}
    with gallery.transaction():
        is_empty = gallery.next_id == 1
        for result in results:
            lines += [f"edit {missed}" for missed in result.missed]
            own = result.tracks.header.persons
            given = linked.get(video_key(result.prototypes), own if is_empty and not linked else None)
            if linked and given is None:
                raise UserError(
                    f"--persons-from has no result of the video of {result.path}. Link it with the others."
                )
            if own and not given:
                lines.append(f"note: to take the persons of {result.path}: --persons-from {result.path}")
            first_new = gallery.next_id
            known = set(result.prototypes.track_ids.tolist())
            persons = gallery.add(
                result.prototypes,
                {track: person for track, person in (given or {}).items() if track in known},
                result.tracks.frames,
            )
            names = result.tracks.header.names
            lines += [_added(result.path, persons, first_new), *_named(gallery, persons, names)]
    if not options.quiet:
        for line in lines:
            log(line)
    return 0


def _added(result: Path, persons: dict[int, int], first_new: int) -> str:
    found = set(persons.values())
    new = sum(person >= first_new for person in found)
    parts = (f"{new} new", f"{len(found) - new} known")
    return f"{result}: {_count(len(persons), 'track')}, {_count(len(found), 'person')} ({', '.join(parts)})"


def _named(gallery: "Gallery", persons: dict[int, int], names: "Mapping[int, str]") -> list[str]:
    """Give persons the names of their tracks, unless they or others have one; return notes."""
    notes = []
    for track, name in names.items():
        person = persons.get(track)
        other = gallery.named(name)
        if person is None or other == person:
            continue
        if other is not None:
            notes.append(f"note: track {track} is named {name}, and so is person {other}, not {person}")
        elif gallery.person(person).name is not None:
            notes.append(f"note: track {track} is named {name}, but person {person} has another name")
        else:
            gallery.name(person, name)
    return notes


def _list(gallery: "Gallery", options: argparse.Namespace) -> int:
    from kprtrack.gallery.export import persons_json

    persons = gallery.persons()
    if options.json:
        write_json(options.json, persons_json(persons))
    if options.json != "-":
        print_text(table_text([_COLUMNS, *map(_row, persons)]))
    return 0


def _row(person: "Person") -> tuple[str, ...]:
    videos = {sighting.sha256 for sighting in person.sightings}
    counts = (len(videos), len(person.sightings), person.prototypes)
    return (str(person.id), person.name or "-", *map(str, counts), person.notes)


def _show(gallery: "Gallery", options: argparse.Namespace) -> int:
    from kprtrack.gallery.export import persons_json

    person = gallery.person(chosen_person(gallery, options.person))
    if options.json:
        write_json(options.json, persons_json([person]))
    if options.json == "-":
        return 0
    print_line(_title(person))
    if person.notes:
        print_line(f"notes: {person.notes}")
    print_text(table_text([_TRACK_COLUMNS, *map(_track_row, person.sightings)]))
    return 0


def _track_row(sighting: "Sighting") -> tuple[str, ...]:
    from kprtrack.edits.grammar import clock_text

    first, last = (clock_text(time_s) for time_s in (sighting.first_s, sighting.last_s))
    count = str(sighting.prototypes)
    return sighting.video, str(sighting.track_id), first, last, count, sighting.sha256[:12]


def _name(gallery: "Gallery", options: argparse.Namespace) -> int:
    gallery.name(chosen_person(gallery, options.person), options.name or None)
    return 0


def _note(gallery: "Gallery", options: argparse.Namespace) -> int:
    gallery.note(chosen_person(gallery, options.person), options.notes)
    return 0


def _merge(gallery: "Gallery", options: argparse.Namespace) -> int:
    into, other = (chosen_person(gallery, text) for text in (options.person, options.other))
    return _correct(
        lambda preview: gallery.merge(into, other, preview=preview, relink=not options.no_relink),
        options,
        f"persons {into} and {other} become person {into}",
    )


def _split(gallery: "Gallery", options: argparse.Namespace) -> int:
    person = chosen_person(gallery, options.person)
    places = [_sighting(gallery, text).place for text in options.tracks]
    return _correct(
        lambda preview: gallery.split(person, places, preview=preview, relink=not options.no_relink),
        options,
        f"a new person gets {_count(len(set(places)), 'track')} of person {person}",
    )


def _correct(run: "Callable[[bool], Correction]", options: argparse.Namespace, title: str) -> int:
    """Show what changes, ask, and do it."""
    preview = run(True)
    print_line(title)
    for move in preview.moves:
        place = f"{move.sighting.video}:{move.sighting.track_id}"
        why = "" if move.probability == 1 else f" (linked again, probability {move.probability:.2f})"
        print_line(f"  {place}: person {move.before} becomes {move.after}{why}")
    for note in preview.notes:
        print_line(f"  {note}")
    if not _confirmed(options):
        return 0
    if (done := run(False)) != preview:
        log(f"another program has changed the gallery meanwhile: {_count(len(done.moves), 'track')} moved")
    return 0


def _remove(gallery: "Gallery", options: argparse.Namespace) -> int:
    persons = [gallery.person(chosen_person(gallery, text)) for text in options.persons]
    for person in persons:
        print_line(
            f"{_title(person)}: {_count(len(person.sightings), 'track')} and all prototypes are removed"
        )
    for video in options.video:
        print_line(f"all tracks of {video} and their prototypes are removed")
    if not persons and not options.video:
        raise UserError("Name what is removed: persons, or --video NAME.")
    if _confirmed(options):
        gallery.remove(*(person.id for person in persons), videos=options.video)
    return 0


def _confirmed(options: argparse.Namespace) -> bool:
    """Whether to do it: with --yes, or if the user says so in the terminal."""
    if options.dry_run:
        if not options.quiet:
            log("nothing is changed (--dry-run)")
        return False
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UserError("Nothing is changed, for there is no terminal to ask in. Add --yes to do it.")
    sys.stderr.write("Do it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    log("nothing is changed")
    return False


def _export(gallery: "Gallery", options: argparse.Namespace) -> int:
    from kprtrack.core.atomic_file import write_file
    from kprtrack.gallery.export import persons_csv, persons_json

    out = Path(options.out)
    formats = {".csv": persons_csv, ".json": persons_json}
    if out.suffix.lower() not in formats:
        raise UserError(
            f"{out}: a gallery is exported as .csv or .json. Give the file one of these suffixes."
        )
    persons = gallery.persons()
    write_file(out, formats[out.suffix.lower()](persons))
    if not options.quiet:
        log(f"{out}: {_count(len(persons), 'person')}")
    return 0


def chosen_person(gallery: "Gallery", text: str) -> int:
    """Return the ID of a person that is given by ID or name. Raises: UserError."""
    if text.isascii() and text.isdecimal():
        return gallery.person(int(text[:20])).id
    found = gallery.named(text)
    if found is None:
        raise UserError(f"There is no person named '{text:.100}'. `kprtrack gallery list` lists all of them.")
    return found


def _sighting(gallery: "Gallery", text: str) -> "Sighting":
    """The track of VIDEO:TRACK."""
    video, _, track = text.rpartition(":")
    if not video or not (track.isascii() and track.isdecimal() and len(track) <= 16):
        raise UserError(f"'{text:.100}' names no track. Write VIDEO:TRACK, such as match.mp4:12.")
    return gallery.sighting(video, int(track))


def _title(person: "Person") -> str:
    return f"person {person.id}" + (f", {person.name}" if person.name else "")


def _count(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


_RUN: "dict[str, Callable[[Gallery, argparse.Namespace], int]]" = {
    "add": _add,
    "list": _list,
    "show": _show,
    "name": _name,
    "note": _note,
    "merge": _merge,
    "split": _split,
    "remove": _remove,
    "export": _export,
}
