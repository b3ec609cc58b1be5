"""The subcommand `eval`: score tracks, or with the action `reid` an encoder."""

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.evaluation.eval_reid import add_eval_reid, run_eval_reid
from kprtrack.cli.options import (
    Parser,
    add_action,
    add_actions,
    new_parser,
    required,
    validate_exists,
    validate_minimum,
)
from kprtrack.cli.output import status_line, validate_reports, write_scores
from kprtrack.core.files.paths import expanded

if TYPE_CHECKING:
    from eval.benchmarks.table import Option
    from eval.datatypes import Evaluation

_WIDTH = 100  # characters of a table, if the output is no terminal


def eval_parser() -> Parser:
    """Make the parser of `eval`."""
    parser = new_parser(
        "eval", "Score tracks against ground truth; docs/evaluation.md explains every number."
    )
    actions = add_actions(parser, "WHAT", "benchmark or format of the files")
    from eval.benchmarks.table import BENCHMARKS

    for name, benchmark in BENCHMARKS.items():
        if benchmark.score is None:
            continue
        action = add_action(actions, name, benchmark.description)
        dash = "" if benchmark.positional else "--"
        for argument, (metavar, text) in (
            ("ground_truth", benchmark.ground_truth),
            ("results", benchmark.results),
        ):
            option = argument if benchmark.positional else argument.replace("_", "-")
            action.add_argument(f"{dash}{option}", metavar=metavar, help=text)
        add_benchmark_options(action, benchmark.options)
        add_reports(action)
        action.add_argument(
            "--per-sequence", action="store_true", help="always print a row for every sequence"
        )
    add_eval_reid(actions)
    return parser


def add_benchmark_options(parser: Parser, options: "Sequence[Option]") -> None:
    """Add the options of a benchmark, see `eval.benchmarks.table`."""
    for option in options:
        flag = f"--{option.name.replace('_', '-')}"
        kind = str if option.type is Path else option.type
        parser.add_argument(flag, type=kind, metavar=option.metavar, default=option.default, help=option.help)


def benchmark_options(options: argparse.Namespace, known: "Sequence[Option]") -> dict[str, object]:
    """Return the values of the options of a benchmark.

    Args:
        options: The parsed command line.
        known: The options of the benchmark.

    Returns:
        Keyword arguments.

    Raises:
        UserError: A required option is missing, or a number is below 1.
        InputError: A folder does not exist.
    """
    values: dict[str, object] = {}
    for option in known:
        value = getattr(options, option.name)
        flag = f"--{option.name.replace('_', '-')}"
        if option.required:
            required(value, option.required, f"{flag} {option.metavar}")
        if option.type is Path and value:
            value = expanded(value)
            validate_exists([value], folders=True)
        if option.name == "processes":
            validate_minimum(value, flag)
        values[option.name] = value or None if option.type is Path else value
    return values


def add_reports(parser: Parser) -> None:
    """Add --json, --html and --plots."""
    group = parser.add_argument_group("reports, in addition to the table on standard output")
    group.add_argument("--json", metavar="FILE", help="all scores; - prints them instead of the table")
    group.add_argument("--html", metavar="FILE", help="one page with tables, explanations and plots")
    group.add_argument("--plots", metavar="DIR", help="write the plots as .png")


def add_processes(parser: Parser, default: str) -> None:
    """Add --processes."""
    parser.add_argument("--processes", type=int, metavar="N", help=f"parallel processes (default: {default})")


def run_eval(options: argparse.Namespace) -> int:
    """Score the files and return the exit code."""
    if options.action == "reid":
        return run_eval_reid(options)
    ground_truth = expanded(required(options.ground_truth, "ground truth", "--ground-truth PATH"))
    results = expanded(required(options.results, "tracks to score", "--results PATH"))
    from eval.benchmarks.table import BENCHMARKS

    benchmark = BENCHMARKS[options.action]
    assert benchmark.score is not None  # the parser has no action without
    validate_exists([ground_truth, results], folders=benchmark.folders)
    validate_reports(options, inputs=[ground_truth, results])
    values = benchmark_options(options, benchmark.options)
    evaluation = benchmark.score(ground_truth, results, **values, on_sequence=status_line(options))

    from eval.report.html import evaluation_html
    from eval.report.json import evaluation_json
    from eval.report.text import report

    write_scores(
        options,
        lambda: report(evaluation, width=table_width(), per_sequence=options.per_sequence or None),
        lambda: evaluation_json(evaluation),
    )
    write_plots(options, evaluation, lambda plots: evaluation_html(evaluation, plots))
    return 0


def table_width() -> int:
    """Return the width of printed tables in characters."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH


def write_plots(
    options: argparse.Namespace, evaluation: "Evaluation", html: Callable[[Mapping[str, bytes]], bytes]
) -> None:
    """Write what --html and --plots ask for.

    Args:
        options: With `html` and `plots`.
        evaluation: What to plot.
        html: Makes the page from the plots, PNG by name.
    """
    if not (options.html or options.plots):
        return
    from eval.report.output import make_folder
    from eval.report.plots import draw_plots
    from kprtrack.core.atomic_file import write_file

    plots = draw_plots(evaluation)
    if options.html:
        write_file(Path(options.html), html(plots))
    if options.plots:
        make_folder(Path(options.plots))
        for name, png in plots.items():
            write_file(Path(options.plots) / f"{name}.png", png)
