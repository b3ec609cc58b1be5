"""The subcommand `compare`: plot the similarities that the ReID encoder finds between person crops."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.evaluation.eval_reid import assignments, configure_compute, device_config
from kprtrack.cli.options import Parser, add_computing, add_encoder, new_parser, required
from kprtrack.cli.output import log, validate_reports, write_json
from kprtrack.config import ComponentConfig
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.paths import expanded

if TYPE_CHECKING:
    import numpy as np

    from reid.crop import Crop


def compare_parser() -> Parser:
    """Make the parser of `compare`."""
    parser = new_parser("compare", "Plot how similar the ReID encoder finds a few person crops.")
    parser.add_argument("images", nargs="*", metavar="CROP.jpg", help="two or more images of one person each")
    add_encoder(parser, any_kind=False)
    group = parser.add_argument_group("keypoint prompts (none: the encoder runs without)")
    group.add_argument(
        "--keypoints",
        nargs="+",
        metavar="FILE",
        help="json files, one for each crop in the same order; or folders with CROP.json",
    )
    group.add_argument(
        "--pose",
        metavar="NAME",
        help="estimate the keypoints: small, hrnet-w32, hrnet-w48, rtmpose, heatmap, mmpose",
    )
    group.add_argument("--pose-weights", metavar="FILE")
    parser.add_argument("--out", "-o", metavar="FILE", help="output file of the plot, .png")
    parser.add_argument("--json", metavar="FILE", help="all similarities; - for standard output")
    add_computing(parser, reads_crops=False)
    return parser


def run_compare(options: argparse.Namespace) -> int:
    """Compare the crops and return the exit code."""
    images = [expanded(image) for image in options.images]
    out = _validate_options(images, options)
    import numpy as np

    from kprtrack.core.atomic_file import write_file
    from kprtrack.inference.compile import autocast
    from kprtrack.reid_encoders.crops import known_vectors, open_kpr
    from reid.evaluation.report.crop_overlay import take_portraits
    from reid.evaluation.report.similarity_plot import draw_similarities, validate_too_many
    from reid.evaluation.similarity import compare_crops, similarity_json

    validate_too_many(len(images))
    vectors, compute = known_vectors(options.vectors), configure_compute(options)
    crops = _prompted_crops(images, options)
    kpr = open_kpr(options.weights, assignments(options.set, "image_height=384"), compute)
    with autocast(compute):
        overlays = take_portraits(kpr.model, crops, prompts=kpr.prompts)
        similarities = compare_crops(kpr.model, crops, prompts=kpr.prompts, vectors=vectors)
    if not np.isfinite(similarities.values).all():
        raise UserError(f"The encoder {kpr.name} gives numbers that are not finite. Take other weights.")
    names = _short_names(images)
    write_file(out, draw_similarities(similarities, overlays, names, title=f"Similarities by {kpr.name}"))
    prompted = [overlay.prompted for overlay in overlays]
    if options.json:
        write_json(options.json, similarity_json(similarities, names, prompted, encoder=kpr.name))
    if not options.quiet:
        bare = [name for name, has_prompt in zip(names, prompted, strict=True) if not has_prompt]
        if bare:
            log(f"compared without a prompt, because they have no keypoints: {', '.join(bare)}")
        log(f"{out}: {len(images)} crops, {sum(prompted)} prompted by their keypoints")
    return 0


def _validate_options(images: Sequence[Path], options: argparse.Namespace) -> Path:
    """Check the options before anything is loaded; returns the output file."""
    if len(images) < 2:
        raise UserError(
            f"{len(images)} images cannot be compared. Name two or more: kprtrack compare A.jpg B.jpg."
        )
    if options.keypoints and options.pose:
        raise UserError("Keypoints come from --keypoints or from --pose, not from both.")
    out = expanded(required(options.out, "output file", "--out matrix.png"))
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: the plot is a PNG file. Name it {out.with_suffix('.png')}.")
    validate_reports(options, outputs=[out])
    return out


def _prompted_crops(images: Sequence[Path], options: argparse.Namespace) -> "list[Crop]":
    """The images with their skeletons, the person of the crop first; unknown keypoints are zero."""
    from reid.crop import Crop
    from reid.datasets import ReidSample
    from reid.datasets.crops import read_crop, read_image

    if options.pose:
        pixels = [read_image(path) for path in images]
        skeletons = _estimate_poses(pixels, options)
        return [Crop(image, skeleton, None) for image, skeleton in zip(pixels, skeletons, strict=True)]
    files = _keypoint_files(images, [expanded(one) for one in options.keypoints or ()])
    return [read_crop(ReidSample(path, 0, 0, file), None) for path, file in zip(images, files, strict=True)]


def _estimate_poses(images: "Sequence[np.ndarray]", options: argparse.Namespace) -> "list[np.ndarray]":
    """[1, 17, 3] for each image: the skeleton of the person that fills it."""
    import numpy as np

    from kprtrack.build import FILE, build_pose_estimator, compute_config
    from kprtrack.core.datatypes import Detections, Frame

    config = replace(device_config(options), pose=ComponentConfig(options.pose, options.pose_weights))
    if options.pose == FILE:
        raise UserError("--pose file reads keypoints of videos. For crops use --keypoints FILE ....")
    compute = compute_config(config)
    estimate = build_pose_estimator(config.pose, compute)
    frames = [Frame(number, 0.0, image) for number, image in enumerate(images)]
    sizes = [image.shape[1::-1] for image in images]
    boxes = [np.array([[0, 0, *size]], np.float32) for size in sizes]
    found = estimate(frames, [Detections(box, np.ones(1, np.float32)) for box in boxes])
    return [poses.skeleton.to_prompts(poses.keypoints) for poses in found]


def _keypoint_files(images: Sequence[Path], places: Sequence[Path]) -> list[Path | None]:
    """The keypoint file of each image; None where a folder has none.

    Raises:
        InputError: A file or folder does not exist.
        UserError: There are not as many files as images.
    """
    for place in places:
        if not place.exists():
            raise InputError(f"There is no {place}. Check --keypoints.")
    if not all(place.is_dir() for place in places):
        if len(places) != len(images) or any(place.is_dir() for place in places):
            raise UserError(
                f"--keypoints names {len(places)} files for {len(images)} images. Name one for each, in "
                "the same order, or only folders."
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
    """File names, with their folders if two are the same."""
    names = [image.name for image in images]
    return names if len(set(names)) == len(names) else [str(image) for image in images]
