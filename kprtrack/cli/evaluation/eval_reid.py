"""The action `eval reid`: score a ReID encoder on a dataset. Also opens encoders for other subcommands."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kprtrack.cli.options import (
    ActionParser,
    Actions,
    add_action,
    add_computing,
    add_dataset,
    add_encoder,
    required,
    validate_minimum,
)
from kprtrack.cli.output import status_line, validate_reports, write_scores
from kprtrack.config import TrackConfig
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.files.paths import expanded
from kprtrack.core.settings import assigned

if TYPE_CHECKING:
    from kprtrack.inference.devices import ComputeConfig
    from kprtrack.reid_encoders.crops import CropEncoder, OnCrops
    from reid.datasets import ReidData
    from reid.evaluation.protocols import ReidScores, ScoreConfig

_QUERY_RULES = ("worst", "random")  # of --queries; anything else is a file name


def add_eval_reid(actions: "Actions[ActionParser]") -> None:
    """Add the action `reid` to the parser of `eval`."""
    parser = add_action(actions, "reid", "a ReID encoder on a dataset: mAP and CMC, with and without prompts")
    add_dataset(parser)
    add_encoder(parser, any_kind=True)
    group = parser.add_argument_group("protocol")
    group.add_argument(
        "--protocol",
        metavar="NAME",
        help="ranking protocol of the dataset: default, mot_inter_intra_video ...",
    )
    group.add_argument("--prompts", metavar="HOW", help="both (default), on, off")
    group.add_argument(
        "--negatives",
        default="on",
        metavar="HOW",
        help="keypoints of other people as negative prompts: on (default), off",
    )
    group.add_argument(
        "--rerank", action="store_true", help="also score after k-reciprocal re-ranking; keeps all distances"
    )
    group.add_argument("--occlusion", action="store_true", help="also score by occlusion of the queries")
    group.add_argument(
        "--robustness", action="store_true", help="also score with 20 to 100 %% of the keypoints removed"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    _add_reports(parser)
    add_computing(parser, reads_crops=True)


def _add_reports(parser: ActionParser) -> None:
    group = parser.add_argument_group("reports, in addition to the table on standard output")
    group.add_argument(
        "--ranking",
        type=int,
        metavar="N",
        help="plot the rankings of N queries into --plots (with --prompts off: of the unprompted encoder)",
    )
    group.add_argument(
        "--queries",
        nargs="+",
        default=["worst"],
        metavar="WHICH",
        help="queries of --ranking: worst (default), random, or file names",
    )
    group.add_argument(
        "--columns", type=int, default=10, metavar="N", help="gallery images in a ranking (default 10)"
    )
    group.add_argument("--json", metavar="FILE", help="all scores; - prints them instead of the table")
    group.add_argument("--plots", metavar="DIR", help="write the plots as .png")


def run_eval_reid(options: argparse.Namespace) -> int:
    """Score the encoder and return the exit code."""
    config = _score_config(options)
    root = expanded(required(options.root, "folder of the dataset", "--root DIR"))
    validate_reports(options)
    from reid.datasets import open_dataset
    from reid.evaluation.protocols import score
    from reid.evaluation.report.text import score_json, score_report

    data = open_dataset(options.dataset, root, assignments(options.option, "keypoints=none"))
    encoder = open_encoder(options)
    on_crops = _show_crops(options, len(data.query) + len(data.gallery))
    scores = score(data, lambda samples: encoder.encode(samples, on_crops), config)
    write_scores(
        options, lambda: score_report(scores, encoder.name), lambda: score_json(scores, encoder.name)
    )
    if options.plots:
        _write_plots(Path(options.plots), scores, data, encoder, config)
    return 0


def assignments(words: Sequence[str], example: str) -> dict[str, Any]:
    """Parse KEY=VALUE words into a dict. Raises: UserError that shows the example."""
    return dict(assigned(word, example) for word in words)


def open_encoder(options: argparse.Namespace) -> "CropEncoder":
    """Open the encoder that the options name. Raises: UserError, WeightsError."""
    if options.reid == "onnx":
        required(options.weights, "weights", "--weights FILE.onnx")
    validate_minimum(options.workers, "--workers", 0)
    from kprtrack.reid_encoders.crops import open_encoder

    return open_encoder(
        options.reid,
        options.weights,
        assignments(options.set, "image_height=384"),
        configure_compute(options),
        vectors=options.vectors,
        workers=options.workers,
    )


def device_config(options: argparse.Namespace) -> TrackConfig:
    """Return a configuration with the device options and defaults for everything else."""
    return TrackConfig(
        device=options.device, precision=options.precision, batch=options.batch, threads=options.threads
    )


def configure_compute(options: argparse.Namespace) -> "ComputeConfig":
    """Resolve the device options and set the number of CPU threads of torch."""
    from kprtrack.build import compute_config
    from kprtrack.inference.compile import configure_threads

    compute = compute_config(device_config(options))
    configure_threads(compute)
    return compute


def _score_config(options: argparse.Namespace) -> "ScoreConfig":
    from kprtrack.build import takes_prompts
    from reid.evaluation.protocols import RankingChoice, ScoreConfig
    from reid.evaluation.rerank import Reranking

    prompts = options.prompts or ("both" if takes_prompts(options.reid) else "off")
    _validate_protocol(options, prompts, takes_prompts(options.reid))
    names = () if options.queries[0] in _QUERY_RULES and len(options.queries) == 1 else tuple(options.queries)
    how = "worst" if names else options.queries[0]
    wanted = options.ranking is not None or (names and options.plots)
    ranking = RankingChoice(options.ranking or len(names), how, names, options.columns, options.seed)
    return ScoreConfig(
        prompts=prompts,  # type: ignore[arg-type]
        negatives=options.negatives == "on",
        protocol=options.protocol,
        reranking=Reranking() if options.rerank else None,
        occlusion=options.occlusion,
        robustness=options.robustness,
        seed=options.seed,
        ranking=ranking if wanted else None,
    )


def _validate_protocol(options: argparse.Namespace, prompts: str, promptable: bool) -> None:
    if prompts not in ("on", "off", "both"):
        raise unknown_name("value of --prompts", prompts, ("on", "off", "both"))
    if options.negatives not in ("on", "off"):
        raise unknown_name("value of --negatives", options.negatives, ("on", "off"))
    if not promptable and (prompts != "off" or options.robustness):
        raise UserError(f"--reid {options.reid} takes no prompts: remove --prompts and --robustness.")
    if options.ranking is not None and not options.plots:
        raise UserError("--ranking needs a folder for the plots: add --plots DIR.")
    validate_minimum(options.columns, "--columns")
    validate_minimum(options.ranking, "--ranking")


def _write_plots(
    folder: Path, scores: "ReidScores", data: "ReidData", encoder: "CropEncoder", config: "ScoreConfig"
) -> None:
    from kprtrack.core.atomic_file import write_file
    from reid.evaluation.protocols import shown_samples
    from reid.evaluation.report.crop_overlay import feature_names
    from reid.evaluation.report.plots import draw_score_plots
    from reid.evaluation.report.ranking_plot import Caption, draw_ranking

    for name, png in draw_score_plots(scores).items():
        write_file(folder / f"{name}.png", png)
    queries, gallery = shown_samples(data.query, config), shown_samples(data.gallery, config)
    names = feature_names(scores.first[0].features.shape[1], encoder.parts)
    for ranking in scores.rankings:
        samples = [queries[ranking.query], *(gallery[row] for row in ranking.gallery.tolist())]
        captions = [Caption(str(one.identity), str(one.camera), one.image.name) for one in samples]
        query, *others = zip(encoder.take_portraits(samples), captions, strict=True)
        png = draw_ranking(ranking, query, others, names=names)
        write_file(folder / f"ranking_{ranking.query:05}_{samples[0].image.stem}.png", png)


def _show_crops(options: argparse.Namespace, each_pass: int) -> "OnCrops":
    """Count the encoded crops on a terminal."""
    show = status_line(options)
    if show is None:
        return lambda more: None
    count = 0

    def on_crops(more: int) -> None:
        nonlocal count
        count += more
        number, done = divmod(count - 1, each_pass)
        show(f"pass {number + 1}: {done + 1} of {each_pass} crops")

    return on_crops
