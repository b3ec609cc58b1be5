"""The subcommands that process result files: `draw` and `convert`."""

import argparse
import re
from pathlib import Path

from kprtrack.cli.edit import add_edits, edited
from kprtrack.cli.options import Parser, add_out, add_selection, new_parser, required, selection
from kprtrack.cli.output import completed, log, log_summary
from kprtrack.cli.people import add_people, people_from
from kprtrack.core.errors import UserError
from kprtrack.video.inputs import parse_time


def draw_parser() -> Parser:
    """Make the parser of `draw`."""
    parser = new_parser(
        "draw", "Write an annotated, blurred or cropped video from a result file and its video."
    )
    parser.add_argument("tracks", metavar="TRACKS", help="a result file of any format")
    parser.add_argument("source", metavar="VIDEO", help="the video the tracks were made from")
    add_out(parser, "output file: .mp4 .mov .mkv .webm .avi; the sound of the video stays")
    parser.add_argument("--start", metavar="TIME", help="start at this time: seconds or hh:mm:ss")
    parser.add_argument("--end", metavar="TIME", help="stop at this time: seconds or hh:mm:ss")
    group = parser.add_argument_group("what is shown (default: boxes, skeletons, track IDs, trails)")
    group.add_argument(
        "--blur",
        choices=("face", "body"),
        help="make the chosen people unrecognisable for good, without drawing anything; where an identity is"
        " uncertain, the person is blurred",
    )
    group.add_argument("--follow", type=int, metavar="ID", help="a smooth crop that follows this person")
    group.add_argument("--mosaic", action="store_true", help="one tile for each person")
    group.add_argument(
        "--size",
        metavar="WxH",
        help="size of the crop (default 3:4, by the person) or of the mosaic (default: as the video)",
    )
    add_people(parser, "--of")
    add_edits(parser)
    return parser


def run_draw(options: argparse.Namespace) -> int:
    """Write the annotated video and return the exit code."""
    from kprtrack.io import read_tracks
    from kprtrack.rendering.options import RenderOptions
    from kprtrack.rendering.video import draw_video
    from kprtrack.video.clip import Clip

    out = Path(required(options.out, "output file", "--out annotated.mp4"))
    shown = RenderOptions(
        people_from(options), options.blur, options.follow, options.mosaic, _size(options.size)
    )
    start_s = parse_time(options.start) if options.start else None
    clip = Clip(options.source, start_s, parse_time(options.end) if options.end else None)
    tracks = edited(read_tracks(Path(options.tracks)), options)
    summary, _ = completed(lambda: draw_video(tracks, clip, out, options=shown, quiet=options.quiet))
    return log_summary(summary, "", *(f"note: {note}" for note in summary.notes), quiet=options.quiet)


def _size(text: str | None) -> tuple[int, int] | None:
    """Width and height of "640x480". Raises: UserError."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text.strip(), re.ASCII)
    if match is None:
        raise UserError(f"--size {text}: give width and height in pixels, such as --size 540x960.")
    return int(match[1]), int(match[2])


def convert_parser() -> Parser:
    """Make the parser of `convert`."""
    parser = new_parser(
        "convert", "Convert a result file to another format; docs/formats.md lists what each format keeps."
    )
    parser.add_argument("source", metavar="IN", help="a result file")
    parser.add_argument("target", metavar="OUT", help="output file; its suffix selects the format")
    parser.add_argument(
        "--from", dest="source_format", metavar="NAME", help="format of IN, if not by its suffix"
    )
    parser.add_argument(
        "--to",
        dest="target_format",
        metavar="NAME",
        help="format of OUT, if not by its suffix: coco, posetrack21, dlc, openpose, label-studio ...",
    )
    parser.add_argument(
        "--poses",
        metavar="FILE",
        help="take the keypoints from this result: for boxes corrected in an annotation tool, the one before",
    )
    parser.add_argument("--fps", type=float, metavar="N", help="frames per second, if IN does not say it")
    parser.add_argument(
        "--metres-per-pixel",
        type=float,
        metavar="N",
        help="scale of trc and c3d (default: pixels)",
    )
    images = parser.add_argument_group("with --to coco")
    images.add_argument("--images", metavar="DIR", help="write the frames that OUT names into this folder")
    images.add_argument("--video", metavar="FILE", help="their video (default: the one that IN names)")
    add_people(parser)
    add_edits(parser)
    add_selection(parser)
    return parser


def run_convert(options: argparse.Namespace) -> int:
    """Convert the file and return the exit code."""
    from kprtrack.io import ConvertOptions, convert, read_tracks

    if options.images and options.target_format != "coco":
        raise UserError("--images writes the frames that a COCO file names. Add --to coco.")
    if options.video and not options.images:
        raise UserError("--video is for --images DIR. Add it, or leave out --video.")
    target = Path(options.target)
    written = convert(
        Path(options.source),
        target,
        options.source_format,
        options.target_format,
        select=selection(options),
        options=ConvertOptions(
            people=people_from(options),
            poses=Path(options.poses) if options.poses else None,
            fps=options.fps,
            metres_per_pixel=options.metres_per_pixel,
            edit=lambda tracks: edited(tracks, options),
        ),
    )
    if written != [target] and not options.quiet:
        log(f"{len(written)} files, one for each person: {written[0]} to {written[-1].name}")
    if options.images:
        from kprtrack.io.exports.frame_images import write_frame_images

        folder = Path(options.images)
        count = write_frame_images(read_tracks(target), folder, options.video, quiet=options.quiet)
        if not options.quiet:
            log(f"{folder}: {count} images")
    return 0
