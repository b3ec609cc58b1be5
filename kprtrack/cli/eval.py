"""What eval, bench and tune do, once their options are parsed."""

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.commands import STANDARD_OUTPUT, config_of, print_config, print_text
from kprtrack.core.errors import InputError, UserError

if TYPE_CHECKING:
    from eval.datatypes import Evaluation

_WIDTH = 100  # characters, where no terminal says otherwise
_CLEAR = "\r\x1b[K"  # a terminal's line


def run(verb: str, options: argparse.Namespace) -> int:
    """Run one verb; returns the exit code. Raises: UserError and its kinds."""
    return _ACTIONS[verb](options)


def _eval(options: argparse.Namespace) -> int:
    if options.action == "reid":
        from kprtrack.cli import reid as commands_reid

        return commands_reid.run("eval", options)
    ground_truth = _needed(options.ground_truth, "the truth is: --ground-truth")
    results = _needed(options.results, "the tracks are: --results")
    _validate_missing(ground_truth, results, folders=options.action == "posetrack21")
    _validate_reports(options, ground_truth, results)
    evaluation = _SCORERS[options.action](ground_truth, results, options)

    from eval.report.html import evaluation_html
    from eval.report.json import evaluation_json
    from eval.report.text import report

    _deliver(
        options,
        evaluation,
        text=lambda: report(evaluation, width=_width(), per_sequence=options.per_sequence or None),
        json=lambda: evaluation_json(evaluation),
        html=lambda pictures: evaluation_html(evaluation, pictures),
    )
    return 0


def _posetrack21(ground_truth: Path, results: Path, options: argparse.Namespace) -> "Evaluation":
    from eval.benchmarks.score_posetrack21 import score_posetrack21

    boxes = Path(options.box_results) if options.box_results else None
    if boxes:
        _validate_missing(boxes, folders=True)
    _validate_below_one(options.processes, "--processes")
    return score_posetrack21(
        ground_truth,
        results,
        split=options.split,
        box_results=boxes,
        processes=options.processes,
        on_sequence=_show_sequence(options),
    )


def _mot(ground_truth: Path, results: Path, options: argparse.Namespace) -> "Evaluation":
    from eval.benchmarks.score_mot import score_mot

    return score_mot(ground_truth, results, on_sequence=_show_sequence(options))


def _tracks(ground_truth: Path, results: Path, options: argparse.Namespace) -> "Evaluation":
    from eval.benchmarks.score_tracks import score_tracks

    return score_tracks(ground_truth, results, on_sequence=_show_sequence(options))


_SCORERS: dict[str, Callable[[Path, Path, argparse.Namespace], "Evaluation"]] = {
    "posetrack21": _posetrack21,
    "mot": _mot,
    "tracks": _tracks,
}


def _bench(options: argparse.Namespace) -> int:
    config = config_of(options)
    if options.print_config:
        return print_config(config)
    out = _needed(options.out, "everything goes: --out")
    _validate_below_one(options.processes, "--processes")
    _validate_reports(options)
    from eval.bench.ablations import DEFAULT, rows_of
    from eval.bench.run import MIN_JOINT_SCORE, run_bench

    ablate = tuple(filter(None, map(str.strip, options.ablate.split(","))))
    rows_of(config, ablate)  # a wrong name is told before anything is drawn
    score = options.min_joint_score
    evaluations = run_bench(
        _synthetic(out, options) if options.action == "synthetic" else _root(options),
        out,
        config,
        split=options.split,
        ablate=ablate,
        processes=options.processes or 1,
        quiet=options.quiet,
        min_joint_score=MIN_JOINT_SCORE if score is None else score,
    )
    rows = {name if name == DEFAULT else f"without {name}": one for name, one in evaluations.items()}
    from eval.report.html import comparison_html
    from eval.report.json import comparison_json
    from eval.report.text import comparison

    _deliver(
        options,
        next(iter(evaluations.values())),
        text=lambda: comparison(rows, width=_width()),
        json=lambda: comparison_json(evaluations),
        html=lambda pictures: comparison_html(rows, pictures),
    )
    return 0


def _root(options: argparse.Namespace) -> Path:
    root = _needed(options.root, "the benchmark is: --root")
    _validate_missing(root, folders=True)
    return root


def _synthetic(out: Path, options: argparse.Namespace) -> Path:
    """Draw the benchmark; its folder."""
    from eval.synthetic.benchmark import SyntheticConfig, write_benchmark

    names = ("sequences", "frames", "people", "width", "height", "seed")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    write_benchmark(out / "benchmark", SyntheticConfig(**given), on_sequence=_show_sequence(options))
    return out / "benchmark"


def _tune(options: argparse.Namespace) -> int:
    config = config_of(options)
    if options.print_config:
        return print_config(config)
    observations = Path(options.observations)
    ground_truth = _needed(options.ground_truth, "the truth is: --ground-truth")
    out = _needed(options.out, "the best settings go: --out")
    _validate_missing(observations, folders=True)
    _validate_missing(ground_truth)
    _validate_below_one(options.processes, "--processes")
    from eval.tune.search import run_tune

    result = run_tune(
        observations,
        ground_truth,
        config,
        trials=options.trials,
        seed=options.seed,
        metric=options.metric,
        out=out,
        quiet=options.quiet,
        processes=options.processes or 1,
    )
    if not options.quiet:
        print_text(result.table)
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {"eval": _eval, "bench": _bench, "tune": _tune}


def _needed(value: str | None, where: str) -> Path:
    if not value:
        raise UserError(f"Say where {where} PATH.")
    return Path(value).expanduser()


def _validate_missing(*paths: Path, folders: bool = False) -> None:
    for path in paths:
        if not path.exists():
            raise InputError(f"There is no {path}. Check the path.")
        if folders and not path.is_dir():
            raise InputError(f"{path} is a file. Name the folder that holds it.")


def _validate_below_one(number: int | None, option: str) -> None:
    if number is not None and number < 1:
        raise UserError(f"{option} is {number}. Give 1 or more.")


def _validate_reports(options: argparse.Namespace, *inputs: Path) -> None:
    """All that can be known about the reports' places is known before the work starts."""
    from eval.report.output import validate_file, validate_folder

    taken = {path.resolve(): "is an input" for path in inputs}
    for option in ("json", "html"):
        value = getattr(options, option)
        if not value or (option == "json" and value == STANDARD_OUTPUT):
            continue
        path = Path(value)
        validate_file(path, f"--{option}")
        if path.resolve() in taken:
            raise UserError(f"--{option} {path} {taken[path.resolve()]}. Choose another file.")
        taken[path.resolve()] = f"is the file of --{option}, too"
    if options.plots:
        validate_folder(Path(options.plots), "--plots")


def _deliver(
    options: argparse.Namespace,
    pictured: "Evaluation",
    *,
    text: Callable[[], str],
    json: Callable[[], bytes],
    html: Callable[[Mapping[str, bytes]], bytes],
) -> None:
    """Print the table, then write the reports asked for."""
    from eval.report.output import make_folder, write_whole

    if not options.quiet and sys.stderr.isatty():
        sys.stderr.write(_CLEAR)
    if options.json == STANDARD_OUTPUT:
        sys.stdout.write(json().decode())
    elif not options.quiet:
        print_text(text())
    if options.json and options.json != STANDARD_OUTPUT:
        write_whole(Path(options.json), json())
    if not (options.html or options.plots):
        return
    from eval.report.plots import draw_plots

    pictures = draw_plots(pictured)
    if options.html:
        write_whole(Path(options.html), html(pictures))
    if options.plots:
        make_folder(Path(options.plots))
        for name, png in pictures.items():
            write_whole(Path(options.plots) / f"{name}.png", png)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH


def _show_sequence(options: argparse.Namespace) -> Callable[[str], None] | None:
    """On a terminal the name of the sequence at work, in a line that is written over."""
    if options.quiet or not sys.stderr.isatty():
        return None

    def show(name: str) -> None:
        sys.stderr.write(f"{_CLEAR}{name[:60]}\r")
        sys.stderr.flush()

    return show
