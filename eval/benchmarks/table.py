"""The table of benchmarks that `kprtrack eval NAME` and `kprtrack bench NAME` offer.

A new benchmark is one module with a scoring function, and one entry of BENCHMARKS. Entries import their
module when they are called, so that the help of the command line is fast.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.datatypes import Evaluation


@dataclass(frozen=True)
class Option:
    """An option of one benchmark, passed on as a keyword argument.

    Attributes:
        name: Name of the keyword argument; `box_results` becomes `--box-results`.
        type: int, str or Path; a Path must be an existing folder.
        metavar: Name of the value in the help.
        help: Help text.
        default: Value if the option is not given.
        required: What is missing if the option is not given, for the error; None if it is optional.
    """

    name: str
    type: Callable[[str], object]
    metavar: str
    help: str
    default: object = None
    required: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        description: Help text of `kprtrack eval NAME`.
        score: Scores tracks: (ground truth, results, on_sequence=..., **options) -> Evaluation; None if
            `kprtrack eval` does not offer the benchmark.
        ground_truth: Metavar and help text of the ground truth.
        results: Metavar and help text of the results.
        options: Further options of `kprtrack eval NAME`.
        positional: Ground truth and results are given without --ground-truth and --results.
        folders: Ground truth and results must be folders.
        bench_description: Help text of `kprtrack bench NAME`.
        prepare: Finds or makes the videos: (output folder, on_sequence=..., **options) -> root in the layout
            of PoseTrack21; None if `kprtrack bench` does not offer the benchmark.
        bench_options: Further options of `kprtrack bench NAME`; `split` is passed to `run_bench`, not to
            `prepare`.
    """

    description: str = ""
    score: "Callable[..., Evaluation] | None" = None
    ground_truth: tuple[str, str] = ("PATH", "")
    results: tuple[str, str] = ("PATH", "")
    options: tuple[Option, ...] = ()
    positional: bool = False
    folders: bool = False
    bench_description: str = ""
    prepare: Callable[..., Path] | None = None
    bench_options: tuple[Option, ...] = ()


def _score_posetrack21(ground_truth: Path, results: Path, **options: object) -> "Evaluation":
    from eval.benchmarks.score_posetrack21 import score_posetrack21

    return score_posetrack21(ground_truth, results, **options)  # type: ignore[arg-type]


def _score_mot(ground_truth: Path, results: Path, **options: object) -> "Evaluation":
    from eval.benchmarks.score_mot import score_mot

    return score_mot(ground_truth, results, **options)  # type: ignore[arg-type]


def _score_tracks(ground_truth: Path, results: Path, **options: object) -> "Evaluation":
    from eval.benchmarks.score_tracks import score_tracks

    return score_tracks(ground_truth, results, **options)  # type: ignore[arg-type]


def _score_linked(ground_truth: Path, results: Path, **options: object) -> "Evaluation":
    from eval.benchmarks.score_linked import score_linked

    return score_linked(ground_truth, results, **options)  # type: ignore[arg-type]


def _posetrack21_root(out: Path, *, root: Path, on_sequence: Callable[[str], None] | None) -> Path:
    """Return the root; the videos are read where they are."""
    return root


def _write_synthetic(out: Path, *, on_sequence: Callable[[str], None] | None, **settings: int | None) -> Path:
    """Render the synthetic benchmark below `out`, or complete it; None keeps the default of a setting."""
    from eval.synthetic.benchmark import SyntheticConfig, write_benchmark

    known = {name: value for name, value in settings.items() if value is not None}
    config = SyntheticConfig(**known)  # type: ignore[arg-type]
    write_benchmark(out / "benchmark", config, on_sequence=on_sequence)
    return out / "benchmark"


_SPLIT = Option("split", str, "NAME", "val (default) or train", default="val")

BENCHMARKS: dict[str, Benchmark] = {
    "posetrack21": Benchmark(
        description="PoseTrack21: keypoint and box HOTA, MOTA, IDF1, AP, identities across videos",
        score=_score_posetrack21,
        ground_truth=("ROOT", "folder with posetrack_data/ and posetrack_mot/"),
        results=("DIR", "folder with a pose .json for each sequence"),
        options=(
            _SPLIT,
            Option(
                "box_results",
                Path,
                "DIR",
                "folder with a MOT .txt for each sequence (default: the boxes of --results)",
            ),
            Option("processes", int, "N", "parallel processes (default: all CPU cores)"),
        ),
        folders=True,
        bench_description="PoseTrack21, from its images",
        prepare=_posetrack21_root,
        bench_options=(
            Option(
                "root",
                Path,
                "DIR",
                "folder with images/ and posetrack_data/",
                required="folder of the benchmark",
            ),
            _SPLIT,
        ),
    ),
    "mot": Benchmark(
        description="MOTChallenge: box HOTA, MOTA, IDF1",
        score=_score_mot,
        ground_truth=("DIR", "folder of NAME/gt/gt.txt or NAME.txt, or one such file"),
        results=("DIR", "folder with NAME.txt for each sequence, or one file"),
    ),
    "tracks": Benchmark(
        description="result files of `kprtrack`: box and pose HOTA, MOTA, IDF1",
        score=_score_tracks,
        ground_truth=("GROUND_TRUTH.json", "ground truth tracks, or a folder of them"),
        results=("TRACKS.json", "tracks to score, or a folder with the same file names"),
        options=(
            Option("category", str, "NAME", "category of people, in COCO-like files of several"),
            Option("sequence", str, "NAME", "the video to read, in CocoVID files of several"),
        ),
        positional=True,
    ),
    "linked": Benchmark(
        description="persons across videos: HOTA and IDF1 before and after `kprtrack link`, links, names",
        score=_score_linked,
        ground_truth=(
            "GROUND_TRUTH",
            "folder with a file for each video, linked, or with person IDs as track IDs",
        ),
        results=("LINKED", "folder with the linked results of the same names"),
        positional=True,
        folders=True,
    ),
    "synthetic": Benchmark(
        bench_description="animated people: renders videos with ground truth, then tracks",
        prepare=_write_synthetic,
        bench_options=(
            Option("sequences", int, "N", "number of videos"),
            Option("frames", int, "N", "frames of each video"),
            Option("people", int, "N", "people in each video"),
            Option("width", int, "N", "width of the videos in pixels"),
            Option("height", int, "N", "height of the videos in pixels"),
            Option("seed", int, "N", "another seed gives other videos"),
        ),
    ),
}
