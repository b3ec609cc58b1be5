"""Track a whole benchmark, write official result files and score them.

Tracks are not filtered before scoring, except for joints of low confidence. TrackLab also removes short
tracks and people with few joints (docs/reference/tracking_and_evaluation.md 5).
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from eval.bench.ablations import Row, rows_of
from eval.bench.cache import FPS, BenchVideo, Builder, Observer, bench_videos, network_key, with_content_hash
from eval.benchmarks.from_tracks import MIN_JOINT_SCORE, without_low_score_joints
from eval.benchmarks.score_posetrack21 import score_posetrack21
from eval.datatypes import Evaluation
from eval.report.output import validate_folder
from eval.workers import OnProgress, Worker, Workers, cores
from kprtrack import __version__
from kprtrack.build import build_networks, build_tracker
from kprtrack.config import TrackConfig
from kprtrack.core.atomic_file import exclusive, write_file
from kprtrack.core.errors import OutputError, UserError, printable
from kprtrack.core.progress import Progress
from kprtrack.io import ObservationFile, open_writer
from kprtrack.io.header import compact_json, plain
from kprtrack.pipeline import Networks, track

OBSERVATIONS, POSES, BOXES, SETTINGS = "observations", "pose", "mot", "settings.json"
LOCK = ".lock"


# One argument for each option of the command line.
def run_bench(  # noqa: PLR0913
    root: Path,
    out: Path,
    config: TrackConfig,
    *,
    split: str = "val",
    ablate: tuple[str, ...] = (),
    processes: int = 1,
    quiet: bool = True,
    min_joint_score: float = MIN_JOINT_SCORE,
    build: Builder = build_networks,
) -> dict[str, Evaluation]:
    """Track a benchmark in PoseTrack21's layout and score the tracks.

    Written to `out`: observations/KEY/SEQUENCE.npz, and for each row pose/, mot/ and, last, settings.json.
    Observations are kept: networks run only for videos without stored observations, so an interrupted run
    resumes. Videos are assumed to have 25 frames per second.

    Args:
        root: Folder with images/, posetrack_data/ and, for its own boxes, posetrack_mot/.
        out: Folder of all results.
        config: Networks, tracker and settings. The weights of a `file` detector or pose estimator are a
            folder with one file for each sequence.
        split: Folder name below posetrack_data.
        ablate: Names of `eval.bench.ablations.ABLATIONS`, one more row each.
        processes: Number of worker processes, each with its own networks and, where there are several CUDA
            devices, the next device.
        quiet: Print no progress.
        min_joint_score: Joints below this confidence, 0 to 1, are left out of the result files.
        build: Makes the networks of a row; for several processes a module-level function.

    Returns:
        The scores by row: "default" first, then one row for each ablation.

    Raises:
        InputError: Images or ground truth are missing.
        UserError: Invalid settings.
        WeightsError: Weights are missing or unsuitable.
        OutputError: `out` cannot be written, or another process is writing into it.
    """
    rows = rows_of(config, tuple(ablate))
    # Check everything that can be checked before hours of work.
    if not 0 <= min_joint_score <= 1:
        raise UserError(f"min_joint_score must lie in [0, 1], not {min_joint_score}.")
    keys = {row.name: network_key(row.config) for row in rows}
    for row in rows:
        build_tracker(row.config.tracker, FPS)
    videos = bench_videos(root, split)
    _make_folders(out, rows, keys)
    if not quiet:
        _log(f"{len(videos)} videos of {split}, {FPS:g} frames per second assumed")
    busy = OutputError(f"Another process is writing into {out}. Wait until it has finished.")
    with (
        exclusive(out / LOCK, busy),
        Workers(_Bench(out, processes, min_joint_score, build), processes) as workers,
    ):
        for row in rows:
            (out / row.name / SETTINGS).unlink(missing_ok=True)
            with Progress(sum(len(video.images) for video in videos), row.name, quiet) as progress:
                jobs = [(row, video) for video in videos]
                videos = list(workers.run(jobs, progress.advance))
            _write_settings(out / row.name / SETTINGS, row, root, split, keys[row.name], min_joint_score)
    if not quiet:
        _log(f"observations: {out / OBSERVATIONS} ({_megabytes(out / OBSERVATIONS):.0f} MB)")
    return {
        row.name: score_posetrack21(
            root, out / row.name / POSES, split=split, box_results=out / row.name / BOXES
        )
        for row in rows
    }


@dataclass(frozen=True)
class _Bench:
    """Makes the worker of one process, which tracks one video after another."""

    out: Path
    processes: int
    min_joint_score: float
    build: Builder

    def __call__(self, number: int) -> Worker[tuple[Row, BenchVideo], BenchVideo]:
        def build(config: TrackConfig) -> Networks:
            return self.build(_process_config(config, number, self.processes))

        observers: dict[str, Observer] = {}

        def track(job: tuple[Row, BenchVideo], on_progress: OnProgress) -> BenchVideo:
            row, video = job
            if row.name not in observers:
                observers.clear()  # frees the memory of the previous row's networks
                observers[row.name] = Observer(row, self.out / OBSERVATIONS, build)
            video = with_content_hash(video, row.config)
            self._write_tracks(row, video, observers[row.name].observe(video, on_progress))
            return video

        return track

    def _write_tracks(self, row: Row, video: BenchVideo, observations: ObservationFile) -> None:
        """Track a video and write its result files."""
        tracker, folder = row.config.tracker, self.out / row.name
        settings = {"tracker": asdict(tracker), "min_joint_score": self.min_joint_score}
        header = replace(observations.header, config={**observations.header.config, **settings})
        pose_file, box_file = folder / POSES / f"{video.name}.json", folder / BOXES / f"{video.name}.txt"
        with (
            open_writer(pose_file, header, "posetrack21", images=video.images) as poses,
            open_writer(box_file, header, "mot") as boxes,
        ):
            for tracks in track(observations, build_tracker(tracker, FPS)):
                poses.write(without_low_score_joints(tracks, self.min_joint_score))
                boxes.write(tracks)


def _process_config(config: TrackConfig, number: int, processes: int) -> TrackConfig:
    """Return `config` with the device and the number of threads of one of several processes."""
    if processes == 1:
        return config
    threads = config.threads or max(cores() // processes, 1)
    device = config.device
    if device in ("auto", "cuda"):
        import torch

        count = torch.cuda.device_count()
        device = f"cuda:{number % count}" if count else device
    return replace(config, threads=threads, device=device)


def _make_folders(out: Path, rows: list[Row], keys: Mapping[str, str]) -> None:
    folders = [out / OBSERVATIONS / key for key in keys.values()]
    folders += [out / row.name / kind for row in rows for kind in (POSES, BOXES)]
    for folder in folders:
        validate_folder(folder, "--out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot make {folder}: {error.strerror}. Choose another --out.") from error


def _write_settings(path: Path, row: Row, root: Path, split: str, key: str, min_joint_score: float) -> None:
    """Write the settings of a row after all of its files."""
    settings = {
        "kprtrack": __version__,
        "row": row.name,
        "root": str(root),
        "split": split,
        "fps": FPS,
        "min_joint_score": min_joint_score,
        "observations": key,
        "config": asdict(row.config),
    }
    write_file(path, compact_json(plain(settings)) + b"\n")


def _log(text: str) -> None:
    sys.stderr.write(printable(text) + "\n")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*.npz")) / 1e6
