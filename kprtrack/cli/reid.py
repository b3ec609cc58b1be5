"""What eval reid and compare do, once their options are parsed."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kprtrack.cli.commands import STANDARD_OUTPUT, print_text
from kprtrack.cli.summary import say
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import InputError, UserError, unknown_name
from kprtrack.core.settings import assigned

if TYPE_CHECKING:
    import numpy as np

    from kprtrack.inference.devices import ComputeConfig
    from kprtrack.reid_encoders.crops import CropEncoder, OnCrops
    from reid.crop import Crop
    from reid.datasets import ReidData
    from reid.evaluation.protocols import ReidScores, ScoreConfig

_CLEAR = "\r\x1b[K"  # a terminal's line
_BY_RULE = ("worst", "random")


def run(verb: str, options: argparse.Namespace) -> int:
    """Run `eval reid` or `compare`; returns the exit code. Raises: UserError and its kinds."""
    return {"eval": _eval_reid, "compare": _compare}[verb](options)


def assignments(given: Sequence[str], example: str) -> dict[str, Any]:
    """KEY=VALUE ... as a dict. Raises: UserError that shows the example."""
    return dict(assigned(one, example) for one in given)


def needed(value: str | None, where: str) -> str:
    """The value of an option. Raises: UserError that says where to give it."""
    if not value:
        raise UserError(f"Say where {where}.")
    return value


def encoder_of(options: argparse.Namespace) -> "CropEncoder":
    """The encoder of crops that the options name. Raises: UserError, WeightsError."""
    weights = needed(options.weights, "the weights are: --weights FILE")
    if options.workers < 0:
        raise UserError(f"--workers is {options.workers}. Give 0 or more.")
    from kprtrack.reid_encoders.crops import open_encoder

    return open_encoder(
        options.reid,
        weights,
        assignments(options.set, "image_height=384"),
        _compute_config(options),
        vectors=options.vectors,
        workers=options.workers,
    )


def validate_reports(options: argparse.Namespace, *outputs: Path) -> None:
    """All that can be known about the files to be written is known before the work starts."""
    from eval.report.output import validate_file, validate_folder

    for out in outputs:
        validate_file(out, "--out")
    json = getattr(options, "json", None)
    if json and json != STANDARD_OUTPUT:
        path = Path(json)
        validate_file(path, "--json")
        if path.resolve() in [out.resolve() for out in outputs]:
            raise UserError(f"--json {path} is the file of --out, too. Choose another.")
    if getattr(options, "plots", None):
        validate_folder(Path(options.plots), "--plots")


def _eval_reid(options: argparse.Namespace) -> int:
    config = _score_config(options)
    root = Path(needed(options.root, "the data set is: --root DIR")).expanduser()
    validate_reports(options)
    from reid.datasets import open_dataset
    from reid.evaluation.protocols import score
    from reid.evaluation.report.text import score_json, score_report

    data = open_dataset(options.dataset, root, assignments(options.option, "keypoints=none"))
    encoder = encoder_of(options)
    on_crops = _show_crops(options, len(data.query) + len(data.gallery))
    scores = score(data, lambda samples: encoder.encode(samples, on_crops), config)
    if not options.quiet and sys.stderr.isatty():
        sys.stderr.write(_CLEAR)
    if options.json == STANDARD_OUTPUT:
        sys.stdout.write(score_json(scores, encoder.name).decode())
    elif not options.quiet:
        print_text(score_report(scores, encoder.name))
    if options.json and options.json != STANDARD_OUTPUT:
        _write(Path(options.json), score_json(scores, encoder.name))
    if options.plots:
        _write_pictures(Path(options.plots), scores, data, encoder, config)
    return 0


def _score_config(options: argparse.Namespace) -> "ScoreConfig":
    from reid.evaluation.protocols import RankingChoice, ScoreConfig
    from reid.evaluation.rerank import Reranking

    prompts = options.prompts or ("both" if options.reid == "kpr" else "off")
    if prompts not in ("on", "off", "both"):
        raise unknown_name("choice of prompts", prompts, ("on", "off", "both"))
    if options.negatives not in ("on", "off"):
        raise unknown_name("choice of negatives", options.negatives, ("on", "off"))
    if options.reid != "kpr" and (prompts != "off" or options.robustness):
        raise UserError(f"--reid {options.reid} takes no prompts: leave --prompts and --robustness out.")
    if options.ranking is not None and not options.plots:
        raise UserError("Say where the rankings go: --plots DIR.")
    if options.columns < 1:
        raise UserError(f"--columns is {options.columns}. Give 1 or more.")
    names = () if options.queries[0] in _BY_RULE and len(options.queries) == 1 else tuple(options.queries)
    how = "worst" if names else options.queries[0]
    if options.ranking is not None and options.ranking < 1:
        raise UserError(f"--ranking is {options.ranking}. Give 1 or more.")
    wanted = options.ranking is not None or (names and options.plots)
    return ScoreConfig(
        prompts=prompts,  # type: ignore[arg-type]
        negatives=options.negatives == "on",
        protocol=options.protocol,
        reranking=Reranking() if options.rerank else None,
        occlusion=options.occlusion,
        robustness=options.robustness,
        seed=options.seed,
        ranking=RankingChoice(options.ranking or len(names), how, names, options.columns, options.seed)
        if wanted
        else None,
    )


def _write_pictures(
    folder: Path, scores: "ReidScores", data: "ReidData", encoder: "CropEncoder", config: "ScoreConfig"
) -> None:
    from reid.evaluation.protocols import shown_samples
    from reid.evaluation.report.crop_overlay import feature_names
    from reid.evaluation.report.plots import draw_score_plots
    from reid.evaluation.report.ranking_plot import Caption, draw_ranking

    for name, png in draw_score_plots(scores).items():
        _write(folder / f"{name}.png", png)
    queries, gallery = shown_samples(data.query, config), shown_samples(data.gallery, config)
    names = feature_names(scores.first[0].features.shape[1], encoder.parts)
    for ranking in scores.rankings:
        samples = [queries[ranking.query], *(gallery[row] for row in ranking.gallery.tolist())]
        captions = [Caption(str(one.identity), str(one.camera), one.image.name) for one in samples]
        query, *others = zip(encoder.take_portraits(samples), captions, strict=True)
        png = draw_ranking(ranking, query, others, names=names)
        _write(folder / f"ranking_{ranking.query:05}_{samples[0].image.stem}.png", png)


def _compare(options: argparse.Namespace) -> int:
    images = [Path(image).expanduser() for image in options.images]
    if len(images) < 2:
        raise UserError(
            f"{len(images)} pictures cannot be compared. Name two or more: kprtrack compare A.jpg B.jpg."
        )
    if options.keypoints and options.pose:
        raise UserError("Keypoints come from --keypoints or from --pose, not from both.")
    weights = needed(options.weights, "the weights are: --weights FILE")
    out = Path(needed(options.out, "the picture goes: --out matrix.png")).expanduser()
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: the picture is a PNG file. Name it {out.with_suffix('.png')}.")
    validate_reports(options, out)
    from kprtrack.reid_encoders.crops import at_precision, known_vectors, open_kpr
    from reid.evaluation.report.crop_overlay import take_portraits
    from reid.evaluation.report.similarity_plot import draw_similarities, validate_too_many
    from reid.evaluation.similarity import compare_crops, similarity_json

    validate_too_many(len(images))
    vectors, compute = known_vectors(options.vectors), _compute_config(options)
    crops = _prompted_crops(images, options)
    kpr = open_kpr(weights, assignments(options.set, "image_height=384"), compute)
    with at_precision(compute):
        portraits = take_portraits(kpr.model, crops, prompts=kpr.prompts)
        similarities = compare_crops(kpr.model, crops, prompts=kpr.prompts, vectors=vectors)
    names = _short_names(images)
    picture = draw_similarities(similarities, portraits, names, title=f"How alike {kpr.name} finds them")
    _write(out, picture)
    prompted = [portrait.prompted for portrait in portraits]
    document = similarity_json(similarities, names, prompted, encoder=kpr.name)
    if options.json == STANDARD_OUTPUT:
        sys.stdout.write(document.decode())
    elif options.json:
        _write(Path(options.json), document)
    if not options.quiet:
        bare = [name for name, seen in zip(names, prompted, strict=True) if not seen]
        if bare:
            say(f"compared without a prompt, for want of keypoints: {', '.join(bare)}")
        say(f"{out}: {len(images)} crops, {sum(prompted)} prompted by their keypoints")
    return 0


def _prompted_crops(images: Sequence[Path], options: argparse.Namespace) -> "list[Crop]":
    """The pictures with their skeletons, the person first; zeros where nothing is known."""
    from reid.crop import Crop
    from reid.datasets import ReidSample
    from reid.datasets.crops import read_crop, read_image

    if options.pose:
        pictures = [read_image(path) for path in images]
        skeletons = _estimated(pictures, options)
        return [Crop(picture, own, None) for picture, own in zip(pictures, skeletons, strict=True)]
    files = _keypoint_files(images, [Path(one).expanduser() for one in options.keypoints or ()])
    return [read_crop(ReidSample(path, 0, 0, file), None) for path, file in zip(images, files, strict=True)]


def _estimated(pictures: "Sequence[np.ndarray]", options: argparse.Namespace) -> "list[np.ndarray]":
    """The skeleton of whoever fills each picture, [1, 17, 3] each."""
    import numpy as np

    from kprtrack.build import FILE, check_names, compute_config, open_pose_estimator, weights_of
    from kprtrack.core.datatypes import Detections, Frame

    config = replace(_track_config(options), pose=ComponentConfig(options.pose, options.pose_weights))
    if options.pose == FILE:
        raise UserError("--pose file reads keypoints of videos. For crops use --keypoints FILE ....")
    check_names(config)
    estimate = open_pose_estimator(config.pose, weights_of("pose", config.pose), compute_config(config))
    frames = [Frame(number, 0.0, picture) for number, picture in enumerate(pictures)]
    sizes = [picture.shape[1::-1] for picture in pictures]
    boxes = [np.array([[0, 0, *size]], np.float32) for size in sizes]
    found = estimate(frames, [Detections(box, np.ones(1, np.float32)) for box in boxes])
    return [poses.keypoints for poses in found]


def _keypoint_files(images: Sequence[Path], places: Sequence[Path]) -> list[Path | None]:
    """The keypoint file of each picture; None where a folder has none.

    Raises: InputError for a place that is not there, UserError for another number of files than of pictures.
    """
    for place in places:
        if not place.exists():
            raise InputError(f"There is no {place}. Check --keypoints.")
    if not all(place.is_dir() for place in places):
        if len(places) != len(images) or any(place.is_dir() for place in places):
            raise UserError(
                f"--keypoints names {len(places)} files for {len(images)} pictures. Name one for each, in "
                "the same order, or folders alone."
            )
        return [*places]
    found = []
    for image in images:
        names = (f"{image.stem}.json", f"{image.name}_keypoints.json", f"{image.name}.predictions.json")
        choices = [place / name for place in places for name in names if (place / name).is_file()]
        if len(choices) > 1:
            raise UserError(f"{image} has two keypoint files, {choices[0]} and {choices[1]}. Name the files.")
        found.append(choices[0] if choices else None)
    return found


def _short_names(images: Sequence[Path]) -> list[str]:
    """File names, with their folders where two are the same."""
    names = [image.name for image in images]
    return names if len(set(names)) == len(names) else [str(image) for image in images]


def _track_config(options: argparse.Namespace) -> TrackConfig:
    return TrackConfig(
        device=options.device, precision=options.precision, batch=options.batch, threads=options.threads
    )


def _compute_config(options: argparse.Namespace) -> "ComputeConfig":
    from kprtrack.build import compute_config

    return compute_config(_track_config(options))


def _write(path: Path, data: bytes) -> None:
    from kprtrack.core.atomic_file import write_whole

    write_whole(path, data)


def _show_crops(options: argparse.Namespace, each_pass: int) -> "OnCrops":
    """On a terminal how many crops the encoder has seen, in a line that is written over."""
    if options.quiet or not sys.stderr.isatty():
        return lambda more: None
    seen = 0

    def show(more: int) -> None:
        nonlocal seen
        seen += more
        number, done = divmod(seen - 1, each_pass)
        sys.stderr.write(f"{_CLEAR}pass {number + 1}: {done + 1} of {each_pass} crops\r")
        sys.stderr.flush()

    return show
