"""The tracker on a whole benchmark: observe, follow, write official result files, score, compare.

Tracks are scored as they come: nothing is filtered afterwards but doubtful joints (TrackLab also drops short
tracks and people with few joints; docs/reference/tracking_and_evaluation.md 5).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from eval.bench.ablations import Row, rows_of
from eval.bench.cache import FPS, BenchVideo, Builder, Observer, bench_videos, network_key, with_content
from eval.benchmarks.from_tracks import MIN_JOINT_SCORE, without_doubtful_joints
from eval.benchmarks.score_posetrack21 import score_posetrack21
from eval.datatypes import Evaluation
from eval.report.output import validate_folder, write_whole
from eval.workers import Tell, Worker, Workers, cores
from kprtrack import __version__
from kprtrack.build import build_networks, build_tracker
from kprtrack.cli.summary import say
from kprtrack.config import TrackConfig
from kprtrack.core.errors import OutputError, UserError
from kprtrack.core.progress import Progress
from kprtrack.io import ObservationFile, RunHeader, open_writer
from kprtrack.io.header import compact_json, plain
from kprtrack.pipeline import Networks, track

OBSERVATIONS, POSES, BOXES, SETTINGS = "observations", "pose", "mot", "settings.json"


# One argument for every question that the command line asks.
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
    """Scores of the tracker on PoseTrack21's layout at `root`, "default" first, then a row per ablation.

    Into `out` go observations/KEY/SEQUENCE.npz (kept: networks run only for what is not there yet, in this
    run or another one after an interruption) and for each row pose/, mot/ and settings.json, which is written
    last. Videos are taken to have 25 frames per second. Parts that are `given` name a folder with a file for
    each sequence. processes: how many work side by side, each with networks of its own; of several CUDA
    devices each takes the next. min_joint_score: joints below it are left out of the result files.
    build: makes the networks of a row; for several processes a function of a module.
    Raises: InputError for missing images or ground truth, WeightsError, UserError for wrong settings,
    OutputError.
    """
    rows = rows_of(config, tuple(ablate))
    # All that can be refused is refused before hours of work.
    if not 0 <= min_joint_score <= 1:
        raise UserError(f"min_joint_score must lie in [0, 1], not {min_joint_score}.")
    keys = {row.name: network_key(row.config) for row in rows}
    for row in rows:
        build_tracker(row.config.tracker, FPS)
    videos = bench_videos(root, split)
    _make_folders(out, rows, keys)
    if not quiet:
        say(f"{len(videos)} videos of {split}, {FPS:g} frames per second assumed")
    with Workers(_Bench(out, processes, min_joint_score, build), processes) as workers:
        for row in rows:
            (out / row.name / SETTINGS).unlink(missing_ok=True)
            with Progress(sum(len(video.images) for video in videos), row.name, quiet) as progress:
                jobs = [(row, video) for video in videos]
                videos = list(workers.run(jobs, progress.advance))
            _write_settings(out / row.name / SETTINGS, row, root, split, keys[row.name], min_joint_score)
    if not quiet:
        say(f"observations: {out / OBSERVATIONS} ({_megabytes(out / OBSERVATIONS):.0f} MB)")
    return {
        row.name: score_posetrack21(
            root, out / row.name / POSES, split=split, box_results=out / row.name / BOXES
        )
        for row in rows
    }


@dataclass(frozen=True)
class _Bench:
    """Makes what tracks one video after the other in one process."""

    out: Path
    processes: int
    min_joint_score: float
    build: Builder

    def __call__(self, number: int) -> Worker[tuple[Row, BenchVideo], BenchVideo]:
        def build(config: TrackConfig) -> Networks:
            return self.build(_own_share(config, number, self.processes))

        observers: dict[str, Observer] = {}

        def track(job: tuple[Row, BenchVideo], tell: Tell) -> BenchVideo:
            row, video = job
            if row.name not in observers:
                observers.clear()  # and with the last row's networks, the memory they took
                observers[row.name] = Observer(row, self.out / OBSERVATIONS, build)
            video = with_content(video, row.config)
            self._follow(row, video, observers[row.name].see(video, tell))
            return video

        return track

    def _follow(self, row: Row, video: BenchVideo, seen: ObservationFile) -> None:
        """Write a video's result files."""
        tracker, folder = row.config.tracker, self.out / row.name
        settings = {"tracker": asdict(tracker), "min_joint_score": self.min_joint_score}
        header = RunHeader(seen.header.video, seen.header.models, {**seen.header.config, **settings})
        pose_file, box_file = folder / POSES / f"{video.name}.json", folder / BOXES / f"{video.name}.txt"
        with (
            open_writer(pose_file, header, "posetrack21", images=video.images) as poses,
            open_writer(box_file, header, "mot") as boxes,
        ):
            for tracks in track(seen, build_tracker(tracker, FPS)):
                poses.write(without_doubtful_joints(tracks, self.min_joint_score))
                boxes.write(tracks)


def _own_share(config: TrackConfig, number: int, processes: int) -> TrackConfig:
    """`config` with the device and the threads of one of several processes."""
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
    """What made the row's files, once all of them are there."""
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
    write_whole(path, compact_json(plain(settings)) + b"\n")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*.npz")) / 1e6
