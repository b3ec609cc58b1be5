"""The command line: `kprtrack VIDEO --out FILE` and its verbs. Parse here, then one call each.

Nothing heavy is imported before a command is known, so that help is instant.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence

from kprtrack import __version__
from kprtrack.cli.data_parsers import DATA_SUBCOMMANDS
from kprtrack.cli.demo_parsers import DEMO_SUBCOMMANDS
from kprtrack.cli.eval_parsers import EVALUATION_SUBCOMMANDS
from kprtrack.cli.options import (
    ActionParser,
    Parser,
    add_networks,
    add_out,
    add_settings,
    add_source,
    add_tracker,
    new_parser,
)
from kprtrack.cli.reid_parsers import REID_SUBCOMMANDS
from kprtrack.cli.summary import INTERRUPTED, say
from kprtrack.cli.train_parsers import TRAINING_SUBCOMMANDS
from kprtrack.core.errors import UserError

BUG = 1

OVERVIEW = """\
Track every person's pose through video and keep identities through occlusion.

  kprtrack VIDEO ... --out tracks.json         track (the default command)
  kprtrack VIDEO --out t.json --video o.mp4    and draw the result

commands:
  demo      track a clip that comes with the package, score it, show the result
  track     video in, pose tracks out (`kprtrack track --help` lists all options)
  observe   run the networks only: VIDEO --out obs.npz
  follow    run the tracker only: obs.npz --out tracks.json
  draw      draw a result file on its video
  convert   rewrite a result file in another format
  models    the model store: list, get NAME, import FILE, check, where
  doctor    what is installed, what is missing, whether prompts can help
  eval      score tracks (posetrack21, mot, tracks) or an encoder (reid)
  bench     track a whole benchmark, score it, compare with and without prompts
  tune      search tracker settings on observations
  train     train the encoder: train CONFIG key=value ...
  data      data sets of people: check, build, keypoints, part-labels
  compare   how alike the encoder finds a handful of crops, as a picture

exit codes:
  0 done   1 a bug   2 wrong option or value   3 unreadable or damaged input
  4 weights missing or wrong   5 output not writable   130 interrupted, output valid up to there
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    # Idle OpenMP threads that spin steal time from the decoding thread; set before torch starts them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's idle threads spin, too
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _run(words)
        sys.stdout.flush()  # a reader who has left is noticed here, not when Python ends
        return code
    except UserError as error:
        if debug:
            raise
        say(f"kprtrack: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("kprtrack: interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left, as `kprtrack models list | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        say(f"kprtrack: this is a bug: {type(error).__name__}: {error}. Run again with --debug to see where.")
        return BUG


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(OVERVIEW)
        return 0
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"kprtrack {__version__}\n")
        return 0
    verb = words.pop(0) if words[0] in SUBCOMMANDS else "track"
    parser = SUBCOMMANDS[verb]()
    # Intermixed: a video may stand after an option, too. Parsers with commands of their own cannot do it.
    actions = verb in ("models", "eval", "bench", "data")
    options = parser.parse_args(words) if actions else parser.parse_intermixed_args(words)
    return _runner(verb)(verb, options)


def _runner(verb: str) -> Callable[[str, argparse.Namespace], int]:
    """What runs the verb, imported only now."""
    if verb in EVALUATION_SUBCOMMANDS:
        from kprtrack.cli.eval import run
    elif verb in REID_SUBCOMMANDS:
        from kprtrack.cli.reid import run
    elif verb in DATA_SUBCOMMANDS:
        from kprtrack.cli.data import run
    elif verb in DEMO_SUBCOMMANDS:
        from kprtrack.cli.demo import run
    elif verb in TRAINING_SUBCOMMANDS:
        from kprtrack.cli.train import run
    else:
        from kprtrack.cli.commands import run
    return run


RESULTS = ".json .jsonl .csv .parquet .txt (MOT), or - for JSON lines on standard output"
SEVERAL = "with several videos a folder; an older file is replaced when the run ends"


def _track() -> Parser:
    parser = new_parser("track", "Video in, pose tracks out.")
    add_source(parser)
    add_out(parser, f"where the tracks go: {RESULTS}; {SEVERAL}")
    parser.add_argument(
        "--format", metavar="NAME", help="instead of the suffix's own: coco, posetrack21, mot ..."
    )
    parser.add_argument(
        "--video", metavar="FILE", help="write the video with boxes, skeletons, ids and trails drawn"
    )
    add_networks(parser)
    add_tracker(parser)
    add_settings(parser)
    return parser


def _observe() -> Parser:
    parser = new_parser(
        "observe", "Run detector, pose estimator and encoder; keep what they see for `kprtrack follow`."
    )
    add_source(parser)
    add_out(parser, f"where the observations go: .npz; {SEVERAL}")
    add_networks(parser)
    add_settings(parser)
    return parser


def _follow() -> Parser:
    parser = new_parser("follow", "Track people in observations; no network runs.")
    parser.add_argument("observations", metavar="OBS.npz", help="what `kprtrack observe` wrote")
    add_out(parser, f"where the tracks go: {RESULTS}")
    parser.add_argument(
        "--format", metavar="NAME", help="instead of the suffix's own: coco, posetrack21, mot ..."
    )
    add_tracker(parser)
    add_settings(parser)
    return parser


def _draw() -> Parser:
    parser = new_parser("draw", "Draw a result file on its video.")
    parser.add_argument("tracks", metavar="TRACKS", help="a result file of any format")
    parser.add_argument("source", metavar="VIDEO", help="the video it was made from")
    add_out(parser, "where the drawn video goes: .mp4 .mkv .webm .avi")
    return parser


def _convert() -> Parser:
    parser = new_parser(
        "convert", "Rewrite a result file in another format; docs/formats.md says what each one keeps."
    )
    parser.add_argument("source", metavar="IN", help="a result file")
    parser.add_argument("target", metavar="OUT", help="a file; its suffix says the format")
    parser.add_argument(
        "--from", dest="source_format", metavar="NAME", help="format of IN if the suffix is unclear"
    )
    parser.add_argument(
        "--to", dest="target_format", metavar="NAME", help="format of OUT: kprtrack, coco, posetrack21 …"
    )
    return parser


def _models() -> Parser:
    parser = new_parser("models", "The model store.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=ActionParser)
    actions.add_parser(
        "list", help="every published model: what it is for, size, licence, whether it is here"
    )
    get = actions.add_parser("get", help="download and verify one model")
    get.add_argument("name", metavar="NAME")
    get.add_argument(
        "--quiet", "-q", action="store_true", default=argparse.SUPPRESS, help="print errors only"
    )
    take = actions.add_parser("import", help="take a file you downloaded yourself into the store")
    take.add_argument("file", metavar="FILE")
    take.add_argument("--name", metavar="NAME", help="which model it is, if its hash is not known")
    actions.add_parser("check", help="read every model that is here and compare its sha256")
    actions.add_parser("where", help="the folder of the store")
    return parser


def _doctor() -> Parser:
    parser = new_parser("doctor", "What is installed, what is missing, and whether prompts can help.")
    parser.add_argument(
        "observations", nargs="?", metavar="OBS.npz", help="also judge the keypoints seen there"
    )
    add_networks(parser)
    add_settings(parser)
    return parser


SUBCOMMANDS: dict[str, Callable[[], Parser]] = {
    "track": _track,
    "observe": _observe,
    "follow": _follow,
    "draw": _draw,
    "convert": _convert,
    "models": _models,
    "doctor": _doctor,
    **EVALUATION_SUBCOMMANDS,
    **REID_SUBCOMMANDS,
    **DATA_SUBCOMMANDS,
    **DEMO_SUBCOMMANDS,
    **TRAINING_SUBCOMMANDS,
}


def _interrupt(number: int, frame: object) -> None:
    """A request to stop ends a run like Ctrl-C does: with a valid file."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
