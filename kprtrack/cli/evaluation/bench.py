"""The subcommands `bench`, which tracks a whole benchmark, and `tune`, which searches tracker settings."""

import argparse
from pathlib import Path

from kprtrack.cli.evaluation.eval import (
    add_benchmark_options,
    add_processes,
    add_reports,
    benchmark_options,
    table_width,
    write_plots,
)
from kprtrack.cli.options import (
    Parser,
    add_action,
    add_actions,
    add_networks,
    add_settings,
    add_tracker,
    config_from,
    new_parser,
    required,
    validate_exists,
    validate_minimum,
)
from kprtrack.cli.output import print_config, print_text, status_line, validate_reports, write_scores
from kprtrack.core.files.paths import expanded

ABLATIONS = "prompts,negatives,motion,parts"


def bench_parser() -> Parser:
    """Make the parser of `bench`."""
    parser = new_parser("bench", "Track a whole benchmark, write official result files, score them.")
    actions = add_actions(parser, "WHAT", "the benchmark")
    from eval.benchmarks.table import BENCHMARKS

    for name, benchmark in BENCHMARKS.items():
        if benchmark.prepare is None:
            continue
        each = add_action(actions, name, benchmark.bench_description)
        add_benchmark_options(each, benchmark.bench_options)
        each.add_argument("--out", "-o", metavar="DIR", help="output folder; interrupted runs resume there")
        each.add_argument(
            "--ablate",
            default="",
            metavar="LIST",
            help=f"more rows, each without one component: {ABLATIONS}, or all",
        )
        each.add_argument(
            "--min-joint-score",
            type=float,
            metavar="SCORE",
            help="omit joints below this score from result files (0.3); keypoint HOTA counts every joint",
        )
        add_processes(each, "1, each loads its own networks")
        add_reports(each)
        add_networks(each)
        add_tracker(each)
        add_settings(each)
    return parser


def tune_parser() -> Parser:
    """Make the parser of `tune`."""
    parser = new_parser("tune", "Search tracker settings on stored observations; no network runs.")
    parser.add_argument("observations", metavar="OBS_DIR", help="folder with files of `kprtrack observe`")
    parser.add_argument(
        "--ground-truth", metavar="PATH", help="folder of PoseTrack21, or of track files of the same names"
    )
    parser.add_argument("--trials", type=int, default=100, metavar="N", help="settings to try (default 100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the search (default 0)")
    parser.add_argument(
        "--metric", default="box_hota", metavar="NAME", help="box_hota (default), keypoint_hota or idf1"
    )
    add_processes(parser, "1")
    parser.add_argument("--out", "-o", metavar="FILE", help="file for the best settings: .json, for --config")
    add_tracker(parser)
    add_settings(parser)
    return parser


def run_bench(options: argparse.Namespace) -> int:
    """Track and score the benchmark and return the exit code."""
    config = config_from(options)
    if options.print_config:
        return print_config(config)
    out = expanded(required(options.out, "output folder", "--out DIR"))
    validate_minimum(options.processes, "--processes")
    validate_reports(options)
    from eval.bench.ablations import DEFAULT, rows_of
    from eval.bench.run import MIN_JOINT_SCORE, run_bench

    ablate = tuple(filter(None, map(str.strip, options.ablate.split(","))))
    rows_of(config, ablate)  # reports a wrong name before any video is rendered
    from eval.benchmarks.table import BENCHMARKS

    benchmark = BENCHMARKS[options.action]
    assert benchmark.prepare is not None  # the parser has no action without
    values = benchmark_options(options, benchmark.bench_options)
    split = str(values.pop("split", "val"))
    root = benchmark.prepare(out, **values, on_sequence=status_line(options))
    score = options.min_joint_score
    evaluations = run_bench(
        root,
        out,
        config,
        split=split,
        ablate=ablate,
        processes=options.processes or 1,
        quiet=options.quiet,
        min_joint_score=MIN_JOINT_SCORE if score is None else score,
    )
    rows = {name if name == DEFAULT else f"without {name}": one for name, one in evaluations.items()}
    from eval.report.html import comparison_html
    from eval.report.json import comparison_json
    from eval.report.text import comparison

    write_scores(options, lambda: comparison(rows, width=table_width()), lambda: comparison_json(evaluations))
    write_plots(options, next(iter(evaluations.values())), lambda plots: comparison_html(rows, plots))
    return 0


def run_tune(options: argparse.Namespace) -> int:
    """Search settings and return the exit code."""
    config = config_from(options)
    if options.print_config:
        return print_config(config)
    observations = Path(options.observations)
    ground_truth = expanded(required(options.ground_truth, "ground truth", "--ground-truth PATH"))
    out = expanded(required(options.out, "output file", "--out FILE.json"))
    validate_exists([observations], folders=True)
    validate_exists([ground_truth])
    validate_minimum(options.processes, "--processes")
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
