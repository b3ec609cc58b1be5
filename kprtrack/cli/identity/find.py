"""The subcommand `find`: where a person is seen."""

import argparse
import json
import math
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kprtrack.cli.options import Parser, new_parser, validate_minimum
from kprtrack.cli.output import (
    STANDARD_OUTPUT,
    log,
    print_line,
    print_text,
    table_text,
    validate_reports,
    write_json,
)
from kprtrack.core.errors import UserError
from kprtrack.core.files.paths import real_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from kprtrack.core.appearance import Appearance
    from kprtrack.finding import Match, PersonPrompt
    from kprtrack.gallery import Gallery
    from kprtrack.identity.results import IdentifiedResult

_DESCRIPTION = """\
Find a person in tracked videos: the tracks that are most similar, nearest first. The person is shown by an
image (--image) or is one of a gallery (--person).

  kprtrack find results/*.json --image crop.jpg
  kprtrack find people.kprdb --image frame.png --click 640,310 --not-click 700,300
  kprtrack find people.kprdb --person 7 --in results/*.json

An image of several people needs a click, a box, a mask or keypoints: they say who is meant and prompt the
ReID encoder. Results need the files NAME.tracks.safetensors that `kprtrack VIDEO` writes beside them. The
time is that of the most similar prototype, the probability that the track is the person."""
_SHEETS = (".png", ".jpg", ".jpeg")
_SQLITE = b"SQLite format 3\0"
_COLUMNS = ("PERSON", "NAME", "VIDEO", "TRACK", "TIME", "DISTANCE", "PROBABILITY")


def find_parser() -> Parser:
    """Make the parser of `find`."""
    parser = new_parser("find", _DESCRIPTION)
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="a gallery, such as people.kprdb, or result files"
    )
    parser.add_argument("--image", metavar="FILE", help="an image of the person, a crop or a whole frame")
    parser.add_argument("--person", metavar="PERSON", help="a person of the gallery: ID or name")
    parser.add_argument(
        "--in",
        dest="results",
        nargs="+",
        default=[],
        metavar="RESULT",
        help="search in these results instead of the gallery",
    )
    parser.add_argument("--top", type=int, default=10, metavar="N", help="at most N tracks (default 10)")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - prints it instead of the table")
    parser.add_argument(
        "--contact-sheet", metavar="FILE", help="write an image of the tracks: out.png or out.jpg"
    )
    parser.add_argument(
        "--videos",
        nargs="+",
        default=[],
        metavar="PATH",
        help="videos or folders of them, for --contact-sheet (default: where the results were made from)",
    )
    group = parser.add_argument_group("who is meant (pixels of --image)")
    for option, what in (("--click", "a point on the person"), ("--not-click", "a point on another person")):
        group.add_argument(
            option, action="append", default=[], metavar="X,Y", help=f"{what}, as 640,310; repeatable"
        )
    group.add_argument("--box", metavar="X1,Y1,X2,Y2", help="box of the person")
    group.add_argument(
        "--mask",
        metavar="FILE",
        help="mask of the person: an image that is 0 elsewhere, or .json with run lengths of COCO (RLE)",
    )
    group.add_argument(
        "--not-mask",
        action="append",
        default=[],
        metavar="FILE",
        help="mask of another person; repeatable (default: poses of detected people)",
    )
    group.add_argument(
        "--keypoints", metavar="FILE", help="keypoints of the person and of others, as for KPR's datasets"
    )
    group = parser.add_argument_group("computing")
    group.add_argument(
        "--reid-weights", metavar="FILE", help="weights of the ReID encoder of the results, if not found"
    )
    group.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, mps")
    return parser


def run_find(options: argparse.Namespace) -> int:
    """Find the person and return the exit code."""
    from kprtrack.finding import find_in_gallery, find_in_results
    from kprtrack.identity.results import LINKS_FILE, read_results

    validate_minimum(options.top, "--top")
    _validate_outputs(options)
    if (options.image is None) == (options.person is None):
        raise UserError("Say who is searched for: --image FILE or --person ID, one of them.")
    prompt = _prompt(options)
    with ExitStack() as stack:
        gallery = _gallery(options.sources, stack)
        _validate_sources(options, gallery)
        named = options.results if gallery else options.sources
        results = read_results([path for path in named if Path(path).name != LINKS_FILE] or named)
        own, shown = None, None
        if gallery and options.person is not None:
            own, query = _of_person(options, gallery, results)
        else:
            query, *shown = _of_image(options, prompt, _header_of(options, gallery, results))
        if results:
            matches = find_in_results(query, results, options.top)
        else:
            assert gallery is not None
            matches = find_in_gallery(query, gallery, options.top, without=own)
        _print(matches, options)
        if options.contact_sheet:
            _write_sheet(options, matches, results or gallery, shown)
    return 0


def _validate_outputs(options: argparse.Namespace) -> None:
    from eval.report.output import validate_file

    inputs = [Path(path) for path in (*options.sources, *options.results, options.image) if path]
    validate_reports(options, inputs=inputs)
    if options.contact_sheet is None:
        if options.videos:
            raise UserError("--videos is for --contact-sheet. Add it, or leave --videos out.")
        return
    out = Path(options.contact_sheet)
    if out.suffix.lower() not in _SHEETS:
        raise UserError(f"--contact-sheet {out}: give the file the suffix .png or .jpg.")
    validate_file(out, "--contact-sheet")
    if real_path(out) in map(real_path, inputs):
        raise UserError(f"--contact-sheet {out} is an input. Choose another file.")


def _validate_sources(options: argparse.Namespace, gallery: "Gallery | None") -> None:
    if gallery is None and options.results:
        raise UserError("--in is for a gallery. Name these results beside the others.")
    if gallery is None and options.person is not None:
        raise UserError(f"--person {options.person:.100} needs a gallery, such as people.kprdb.")


def _header_of(
    options: argparse.Namespace, gallery: "Gallery | None", results: "list[IdentifiedResult]"
) -> "Mapping[str, Any]":
    """The header of a video that is searched."""
    if results:
        return results[0].prototypes.header
    videos = gallery.videos(prototypes=False) if gallery else []
    if not videos:
        raise UserError(f"{options.sources[0]} is empty. Add results: `kprtrack gallery add`.")
    return videos[0].header


def _prompt(options: argparse.Namespace) -> "PersonPrompt":
    from kprtrack.finding import PersonPrompt
    from reid.datasets.keypoint_files import read_keypoints
    from reid.prompts import read_mask

    given = options.click or options.not_click or options.box or options.mask or options.not_mask
    if options.image is None and (given or options.keypoints):
        raise UserError("Clicks, a box, masks and keypoints are for --image. Leave them out.")
    box = None
    if options.box is not None:
        x1, y1, x2, y2 = _numbers("--box", options.box, 4, "100,20,180,240")
        box = (x1, y1, x2, y2)
    return PersonPrompt(
        [_click("--click", text) for text in options.click],
        [_click("--not-click", text) for text in options.not_click],
        box,
        read_mask(options.mask) if options.mask else None,
        [read_mask(path) for path in options.not_mask],
        read_keypoints(Path(options.keypoints)) if options.keypoints else None,
    )


def _click(option: str, text: str) -> tuple[float, float]:
    x, y = _numbers(option, text, 2, "640,310")
    return x, y


def _numbers(option: str, text: str, count: int, example: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UserError(f"{option} {text:.100}: give pixels of the image, such as {option} {example}.")
    return numbers


def _gallery(sources: list[str], stack: ExitStack) -> "Gallery | None":
    """The gallery, if the sources are one."""
    from kprtrack.gallery import Gallery

    galleries = [source for source in sources if _is_gallery(Path(source))]
    if not galleries:
        return None
    if len(sources) > 1:
        raise UserError("Name one gallery or several results. To search results for a person of it: --in.")
    return stack.enter_context(Gallery.open(galleries[0]))


def _is_gallery(path: Path) -> bool:
    """By the name or the first bytes; what is missing or unreadable is reported by those who read it."""
    if path.suffix.lower() == ".kprdb":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _of_image(
    options: argparse.Namespace, prompt: "PersonPrompt", header: "Mapping[str, Any]"
) -> "tuple[Appearance, np.ndarray, np.ndarray]":
    """Embed the person of --image by the encoder of the videos; return also the image and the box."""
    from kprtrack.build import build_detector, build_pose_estimator, build_reid_encoder, compute_config
    from kprtrack.config import TrackConfig
    from kprtrack.core.files.images import read_rgb
    from kprtrack.finding import PeopleInImage, embed_person, encoder_of, find_person

    encoder = encoder_of(header["reid"], options.reid_weights)
    image = read_rgb(Path(options.image))
    compute = compute_config(TrackConfig(reid=encoder.component, device=options.device, batch=1))
    people = PeopleInImage(
        image,
        lambda: build_detector("small", compute),
        (lambda: build_pose_estimator("small-accurate", compute)) if encoder.prompted else None,
    )
    person = find_person(people, prompt)
    query = embed_person(image, person, build_reid_encoder(encoder.component, compute))
    if not options.quiet:
        x1, y1, x2, y2 = person.box.round().astype(int).tolist()
        log(f"the person of {options.image} has the box {x1},{y1},{x2},{y2}")
        if encoder.prompted and person.by == "nothing":
            log("note: no keypoint of the person was found; the embedding has no prompt")
    return query, image, person.box


def _of_person(
    options: argparse.Namespace, gallery: "Gallery", results: "list[IdentifiedResult]"
) -> "tuple[int, Appearance]":
    """ID and mean embedding of a person of the gallery."""
    from kprtrack.cli.identity.gallery import chosen_person
    from kprtrack.finding import validate_same_encoder

    person, known = chosen_person(gallery, options.person), gallery.known()
    if results:
        ours, theirs = _header_of(options, gallery, []), results[0].prototypes.header
        validate_same_encoder(ours["reid"], theirs["reid"])
    return person, known.means[known.ids == person]


def _write_sheet(
    options: argparse.Namespace,
    matches: "list[Match]",
    source: "list[IdentifiedResult] | Gallery | None",
    query: "list[np.ndarray] | None",
) -> None:
    from kprtrack.core.atomic_file import write_file
    from kprtrack.core.files.images import encode_rgb
    from kprtrack.finding.sheet import find_videos, match_sheet, places_in_gallery, places_in_results
    from kprtrack.identity.persons import video_key

    assert source is not None
    if isinstance(source, list):
        places, videos = places_in_results(source), [result.prototypes for result in source]
    else:
        places, videos = places_in_gallery(source), source.videos(prototypes=False)
    found = find_videos(
        {video_key(video): video.header for video in videos}, [Path(path) for path in options.videos]
    )
    sheet = match_sheet(matches, found, places, (query[0], query[1]) if query else None)
    write_file(Path(options.contact_sheet), encode_rgb(sheet, Path(options.contact_sheet).suffix))
    if not options.quiet:
        missing = {match.video for match in matches if found[match.sha256].path is None}
        for name in sorted(missing):
            log(f"note: the video {name} was not found; its tracks have no images")
        log(f"written: {options.contact_sheet}")


def _print(matches: "list[Match]", options: argparse.Namespace) -> None:
    if options.json:
        document = {"matches": [asdict(match) for match in matches]}
        write_json(options.json, json.dumps(document, indent=1).encode() + b"\n")
    if options.json == STANDARD_OUTPUT:
        return
    if not matches:
        print_line("no track has a body part that is visible in both")
        return
    print_text(table_text([_COLUMNS, *map(_row, matches)]))


def _row(match: "Match") -> tuple[str, ...]:
    from kprtrack.edits.grammar import clock_text

    return (
        "-" if match.person_id is None else str(match.person_id),
        match.name or "-",
        match.video,
        str(match.track_id),
        clock_text(round(match.time_s, 1)),
        f"{match.distance:.3f}",
        f"{match.probability:.2f}",
    )
