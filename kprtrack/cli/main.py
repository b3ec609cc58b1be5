"""The command line: `kprtrack VIDEO --out FILE` and its subcommands.

Heavy packages are imported only by the subcommand that needs them, so that help is instant.
"""

import argparse
import glob
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from kprtrack import __version__
from kprtrack.cli.adapt import adapt_parser, run_adapt
from kprtrack.cli.data import data_parser, run_data
from kprtrack.cli.demo import demo_parser, run_demo
from kprtrack.cli.doctor import doctor_parser, run_doctor
from kprtrack.cli.draw import convert_parser, draw_parser, run_convert, run_draw
from kprtrack.cli.edit import edit_parser, run_edit
from kprtrack.cli.evaluation.bench import bench_parser, run_bench, run_tune, tune_parser
from kprtrack.cli.evaluation.compare import compare_parser, run_compare
from kprtrack.cli.evaluation.eval import eval_parser, run_eval
from kprtrack.cli.identity.find import find_parser, run_find
from kprtrack.cli.identity.gallery import gallery_parser, run_gallery
from kprtrack.cli.identity.link import link_parser, run_link
from kprtrack.cli.identity.report import report_parser, run_report
from kprtrack.cli.identity.review import review_parser, run_review
from kprtrack.cli.identity.why import run_why, why_parser
from kprtrack.cli.kinematics import kinematics_parser, run_kinematics
from kprtrack.cli.models import models_parser, run_models
from kprtrack.cli.options import Parser
from kprtrack.cli.output import INTERRUPTED, log
from kprtrack.cli.recover import recover_parser, run_recover
from kprtrack.cli.tracking.track import (
    follow_parser,
    observe_parser,
    run_follow,
    run_observe,
    run_track,
    track_parser,
)
from kprtrack.cli.train import run_train, train_parser
from kprtrack.cli.view import run_view, view_parser
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.extras import EXTRA_OF, missing_extra
from kprtrack.core.files.paths import expanded
from kprtrack.core.signals import interrupt_on_stop_signals
from kprtrack.video.inputs import is_camera

BUG = 1  # exit code of an unexpected error

OVERVIEW = """\
Track every person's pose through video and keep identities through occlusion.

  kprtrack VIDEO ... --out tracks.json                      track (the default subcommand)
  kprtrack VIDEO --out tracks.json --video annotated.mp4    also write an annotated video

subcommands:
  demo        track and score a clip that is part of the package
  track       track the people of videos (`kprtrack track --help` lists all options)
  observe     run the networks only: VIDEO --out obs.npz
  follow      run the tracker only: obs.npz --out tracks.json
  draw        write an annotated, blurred or cropped video from a result file
  view        show a result with its video in the viewer Rerun
  edit        correct tracks: merge, swap, split, delete, name people; undo
  review      look at tracks in the browser and correct them
  report      write a page: who was there when, images of each person, moments to check
  link        the same person IDs in the results of several videos
  gallery     persons of many videos: names, where they were seen, merge, split
  find        where a person is seen: by an image with clicks, a box or a mask, or a person of a gallery
  why         why a track has its ID: confidence, re-identifications, whom else it could have been
  convert     convert a result file to another format
  kinematics  joint angles, velocities and metres of tracked people
  recover     finish the file that a killed run has left: FILE.part
  models      model weights: list, get NAME, import FILE, export NAME, check, where
  doctor      check the installation and whether prompts can help
  eval        score tracks (posetrack21, mot, tracks) or a ReID encoder (reid)
  bench       track a whole benchmark, score it, compare ablations
  tune        search tracker settings on stored observations
  train       train a ReID encoder, a detector or a pose estimator
  adapt       train the ReID encoder in the package on own footage
  data        ReID datasets: check, build, crops, keypoints, part-labels, features, paste
  compare     plot how similar the ReID encoder finds a few person crops

exit codes:
  0 success   1 bug   2 wrong option or value   3 unreadable or damaged input
  4 missing or wrong weights   5 output cannot be written   130 interrupted, output valid up to there
"""

# Name -> what makes the parser, what runs the subcommand and returns the exit code.
SUBCOMMANDS: dict[str, tuple[Callable[[], Parser], Callable[[argparse.Namespace], int]]] = {
    "track": (track_parser, run_track),
    "observe": (observe_parser, run_observe),
    "follow": (follow_parser, run_follow),
    "draw": (draw_parser, run_draw),
    "view": (view_parser, run_view),
    "edit": (edit_parser, run_edit),
    "review": (review_parser, run_review),
    "report": (report_parser, run_report),
    "link": (link_parser, run_link),
    "gallery": (gallery_parser, run_gallery),
    "find": (find_parser, run_find),
    "why": (why_parser, run_why),
    "convert": (convert_parser, run_convert),
    "kinematics": (kinematics_parser, run_kinematics),
    "recover": (recover_parser, run_recover),
    "models": (models_parser, run_models),
    "doctor": (doctor_parser, run_doctor),
    "eval": (eval_parser, run_eval),
    "bench": (bench_parser, run_bench),
    "tune": (tune_parser, run_tune),
    "compare": (compare_parser, run_compare),
    "data": (data_parser, run_data),
    "demo": (demo_parser, run_demo),
    "train": (train_parser, run_train),
    "adapt": (adapt_parser, run_adapt),
}
DEFAULT_SUBCOMMAND = "track"
# Subcommands that need an extra, beside that of the package that is found missing first.
EXTRA_OF_SUBCOMMAND = {
    "adapt": "train",
    "bench": "eval",
    "compare": "eval",
    "eval": "eval",
    "kinematics": "kinematics",
    "train": "train",
    "tune": "eval",
}
# argparse cannot mix options and positional arguments of parsers that have actions.
WITH_ACTIONS = ("models", "eval", "bench", "data", "gallery")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after `kprtrack`; by default those of the process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    command = words[0] if words and words[0] in SUBCOMMANDS else ""
    # Idle OpenMP threads that spin slow down the decoding thread; set before torch starts them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's idle threads spin, too
    if not debug:  # what Pillow finds odd in an image that it reads, or that is an error anyway
        warnings.filterwarnings("ignore", module=r"PIL\.")
    interrupt_on_stop_signals()
    try:
        code = _run(words)
        sys.stdout.flush()  # so that a closed pipe raises here and not when Python exits
        return code
    except UserError as error:
        if debug:
            raise
        log(f"kprtrack: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        log("kprtrack: interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has exited, as in `kprtrack models list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        if (missing := _missing_extra(error, command)) is not None:
            log(f"kprtrack: {missing}")
            return missing.exit_code
        log(f"kprtrack: this is a bug: {type(error).__name__}: {error}. Run again with --debug to see where.")
        return BUG


def _missing_extra(error: Exception, command: str) -> UserError | None:
    """Say how to install the package whose import has failed; None for any other error."""
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package not in EXTRA_OF:
        return None
    return missing_extra(f"kprtrack {command}".strip(), [package], EXTRA_OF_SUBCOMMAND.get(command))


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(OVERVIEW)
        return 0
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"kprtrack {__version__}\n")
        return 0
    if words[0] in SUBCOMMANDS:
        name = words.pop(0)
    elif _may_be_source(words[0]):
        name = DEFAULT_SUBCOMMAND
    else:
        raise unknown_name("subcommand", words[0], SUBCOMMANDS)
    make_parser, run = SUBCOMMANDS[name]
    parser = make_parser()
    words = _paths_after_dashes(words)
    # Intermixed: a video may also follow an option.
    return run(parser.parse_args(words) if name in WITH_ACTIONS else parser.parse_intermixed_args(words))


def _paths_after_dashes(words: list[str]) -> list[str]:
    """Remove "--", after which every word is a path: -a.mp4 becomes ./-a.mp4, which is no option."""
    if "--" not in words:
        return words
    at = words.index("--")
    paths = [f"./{word}" if word.startswith("-") and word != "-" else word for word in words[at + 1 :]]
    return words[:at] + paths


def _may_be_source(word: str) -> bool:
    """Whether the first word may name a video or be an option, rather than a misspelt subcommand."""
    path = expanded(word)
    looks_like_path = bool(path.suffix) or len(path.parts) > 1 or "://" in word or glob.has_magic(word)
    return word.startswith("-") or looks_like_path or is_camera(word) or path.exists()


if __name__ == "__main__":
    sys.exit(main())
