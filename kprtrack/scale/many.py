"""Track many videos with several workers: what is missing is done, what fails fails alone."""

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from kprtrack import __version__
from kprtrack.build import build_networks, weights_of
from kprtrack.config import ROLES, TrackConfig
from kprtrack.core.atomic_file import exclusive
from kprtrack.core.errors import OutputError, UserError, printable
from kprtrack.inference.devices import usable_cores
from kprtrack.io.header import plain
from kprtrack.pipeline import Networks
from kprtrack.scale.manifest import Manifest, Record
from kprtrack.scale.pool import Answer, Pool
from kprtrack.scale.progress import RunProgress
from kprtrack.scale.session import ray_session
from kprtrack.scale.storage import SCRATCH, Folder, LocalFolder, open_folder, version_of
from kprtrack.scale.tasks import Chunk, ManySettings, Outcome, Task, Video
from kprtrack.scale.worker import NewWorker, chunk_file, chunk_folder
from kprtrack.video.clip import Clip

LOGS = "logs"
_LOCK = "run.lock"
_KILLED = "it has ended its worker {} times, as a crash of a decoder or a lack of memory does"


@dataclass
class ManySummary:
    """What became of the videos of a run.

    Args:
        records: One for each video, in order; also those that an earlier call has done.
        earlier: Number of videos that an earlier call has done.
        frames: Number of frames that this call has observed.
        seconds: Duration of this call, with the start of the workers.
        working_s: Duration from the start of the first worker.
        problem: Why the manifest could not be written; None: it was.
        interrupted: Whether Ctrl-C has ended the call.
    """

    records: list[Record] = field(default_factory=list)
    earlier: int = 0
    frames: int = 0
    seconds: float = 0.0
    working_s: float = 0.0
    problem: str | None = None
    interrupted: bool = False

    @property
    def failed(self) -> list[Record]:
        """The videos without a result."""
        return [record for record in self.records if not record.done]


def track_many(
    videos: Sequence[Video],
    settings: ManySettings,
    workers: int,
    *,
    address: str | None = None,
    build: Callable[[TrackConfig], Networks] = build_networks,
    quiet: bool = True,
) -> ManySummary:
    """Track videos with several workers; each has a process and networks of its own.

    Every result equals that of `track_video`. Videos that are split (`ManySettings.split_s`) have the result
    of `observe_video` and `track_observations`. A call continues what an earlier one with the same settings
    and the same folder has left; results are done again if the video or the settings have changed.

    Args:
        videos: Their names must differ.
        settings: What they have in common.
        workers: Number of workers, at least 1.
        address: HOST:PORT of a running Ray cluster or "auto"; None: Ray runs on this machine for this call.
        build: Makes the networks of a worker; a function that other processes can import.
        quiet: Show no progress.

    Returns:
        What became of each video.

    Raises:
        UserError: A wrong setting, no cluster, or networks that cannot be loaded.
        WeightsError: Weights are missing or do not fit.
        OutputError: The folder cannot be written, or another run writes into it.
    """
    if workers < 1:
        raise UserError(f"--workers is {workers}. Give 1 or more.")
    settings = replace(settings, folder=settings.folder or Path.cwd())
    started_s = time.monotonic()
    with ExitStack() as stack:
        # Finds all weights before anything is started.
        settings_key = settings_hash(settings, [video.clip for video in videos])
        folder = open_folder(settings.out)
        if isinstance(folder, LocalFolder):
            busy = OutputError(f"Another run writes into {settings.out}. Wait until it has finished.")
            stack.enter_context(exclusive(folder.path / _LOCK, busy))
        else:
            folder.write(_LOCK, b"")  # shows at once that results can be written
        run = _Run(videos, folder, Manifest(folder, settings_key), quiet)
        if run.waiting:
            config = settings.config
            cores = usable_cores() or os.cpu_count() or 1
            local = max(cores // workers, 1)
            threads = config.threads or (local if address is None else 1)
            ray = stack.enter_context(ray_session(workers * threads, address))
            gpus = _gpu_share(ray, config.device, workers)
            worker = NewWorker(settings, threads, build)
            pool: Pool[Task, Outcome] = Pool(ray, worker, workers, threads, gpus)
            stack.callback(pool.close)
            run.work(pool)
        summary = run.summary()
    summary.seconds = time.monotonic() - started_s
    return summary


def settings_hash(settings: ManySettings, clips: Sequence[Clip]) -> str:
    """Return what differs where results could differ: settings, weights, version and spans of the videos.

    Raises:
        WeightsError: Weights are missing.
    """
    config = settings.config
    weights = [weights_of(role, getattr(config, role)) for role in ROLES if role != "tracker"]
    values = {
        "kprtrack": __version__,
        "config": asdict(config),
        "weights": [None if file is None else file.sha256 or str(file.path) for file in weights],
        "format": settings.format,
        "people": settings.people.to_json() if settings.people.selective else None,
        "prototypes": settings.prototypes,
        "split_s": settings.split_s,
        "clips": sorted({repr(replace(clip, source="", path=None)) for clip in clips}),
    }
    return hashlib.sha256(json.dumps(plain(values), sort_keys=True).encode()).hexdigest()[:16]


def _gpu_share(ray: object, device: str, workers: int) -> float:
    """The share of a GPU that a worker gets; 0 where there is none or one is named by its number."""
    if device not in ("auto", "cuda"):
        return 0.0
    gpus = float(ray.cluster_resources().get("GPU", 0))  # type: ignore[attr-defined]
    return min(1.0, int(gpus / workers * 1000) / 1000)


class _Run:
    """The tasks of a run, and what their answers lead to."""

    def __init__(self, videos: Sequence[Video], folder: Folder, manifest: Manifest, quiet: bool) -> None:
        self._videos, self._folder, self._manifest = videos, folder, manifest
        self._records: dict[str, Record] = {}
        self._chunks: dict[str, tuple[Chunk, ...]] = {}
        self._open: dict[str, int] = {}  # chunks that are not observed yet, by video
        self._tries: dict[str, int] = {}  # of the task that needed most, by video
        self._seconds: dict[str, float] = {}  # of all tasks, by video
        self._earlier = self._frames = 0
        self._sources = {video.name: version_of(video.clip.source) for video in videos}
        self._interrupted = False
        present = folder.names()
        self.waiting: deque[Task] = deque()
        for video in videos:
            record = self._manifest.find(video.name, self._version(video))
            if record is not None and record.done and record.result in present:
                self._records[video.name] = record
                self._earlier += 1
            else:
                self.waiting.append(Task("track", video))
        if isinstance(folder, LocalFolder):  # what killed workers have left
            for left in (folder.path / SCRATCH).glob("unfinished-*"):
                folder.remove(f"{SCRATCH}/{left.name}")
        total = sum(self._sources[task.video.name][1] for task in self.waiting)
        self._progress = RunProgress(len(self.waiting), total, quiet)

    def work(self, pool: Pool[Task, Outcome]) -> None:
        """Do all tasks; Ctrl-C ends them."""
        try:
            for answer in pool.run(self.waiting, self._progress.advance, self._progress.show):
                self._take(answer)
        except KeyboardInterrupt:
            self._interrupted = True
        finally:
            self._progress.clear()
            self._manifest.flush()
        if not self._interrupted and not self._open:  # the chunks of a failed video are kept
            self._folder.remove(SCRATCH)

    def summary(self) -> ManySummary:
        """Return what became of all videos."""
        missing = [video for video in self._videos if video.name not in self._records]
        for video in missing:
            self._records[video.name] = self._record(video, "failed", Outcome(error="interrupted"))
        problem = self._manifest.problem
        return ManySummary(
            [self._records[video.name] for video in self._videos],
            self._earlier,
            self._frames,
            working_s=self._progress.working_s,
            problem=None if problem is None else str(problem),
            interrupted=self._interrupted,
        )

    def _take(self, answer: Answer[Task, Outcome]) -> None:
        task, video = answer.job, answer.job.video
        killed = Outcome(error=_KILLED.format(answer.tries), exit_code=1)
        outcome = answer.result or killed
        self._tries[video.name] = max(self._tries.get(video.name, 0), answer.tries)
        self._seconds[video.name] = self._seconds.get(video.name, 0.0) + outcome.seconds
        self._frames += 0 if task.kind == "join" else outcome.frames
        self._log(task, outcome, answer.tries)
        if outcome.unsplit is not None:
            self._unsplit(task)
        elif outcome.error is not None:
            self._finish(video, outcome)
        elif outcome.chunks:
            self._split(video, outcome.chunks)
        elif task.kind == "observe":
            (chunk,) = task.chunks
            self._manifest.add(
                replace(self._record(video, "done", outcome, chunk.index), seconds=round(outcome.seconds, 3))
            )
            self._observed(video)
        else:
            self._finish(video, outcome)

    def _split(self, video: Video, chunks: tuple[Chunk, ...]) -> None:
        """Add a task for each chunk that no earlier call has observed."""
        self._chunks[video.name] = chunks
        missing = []
        for chunk in chunks:
            record = self._manifest.find(video.name, self._version(video), chunk.index)
            if record is None or not record.done or not self._has(chunk_file(video, chunk)):
                missing.append(chunk)
        self._open[video.name] = len(missing) + 1
        self.waiting.extendleft(Task("observe", video, (chunk,)) for chunk in reversed(missing))
        self._observed(video)

    def _has(self, name: str) -> bool:
        if isinstance(self._folder, LocalFolder):
            return (self._folder.path / name).is_file()
        return self._folder.read(name) is not None

    def _observed(self, video: Video) -> None:
        if video.name in self._records or video.name not in self._open:
            return  # another chunk has failed, or cannot be joined
        self._open[video.name] -= 1
        if not self._open[video.name]:
            self.waiting.appendleft(Task("join", video, self._chunks[video.name]))

    def _unsplit(self, task: Task) -> None:
        """Observe a video in one piece; its other chunks no longer count."""
        name = task.video.name
        if self._open.pop(name, None) is None:
            return  # another chunk has led here already
        self._drop(name)
        self.waiting.appendleft(Task("whole", task.video))

    def _drop(self, name: str) -> None:
        """Take away the tasks of a video that have not begun."""
        others = [task for task in self.waiting if task.video.name != name]
        self.waiting.clear()
        self.waiting.extend(others)

    def _finish(self, video: Video, outcome: Outcome) -> None:
        if video.name in self._records:
            return
        record = self._record(video, "failed" if outcome.error else "done", outcome)
        self._records[video.name] = record
        self._manifest.add(record)
        self._progress.video_done(self._sources[video.name][1], failed=not record.done)
        if not record.done:
            self._drop(video.name)
            return
        self._open.pop(video.name, None)
        if video.name in self._chunks:
            self._folder.remove(chunk_folder(video))

    def _record(self, video: Video, state: str, outcome: Outcome, chunk: int | None = None) -> Record:
        return Record(
            video.name,
            chunk,
            state,
            self._version(video),
            self._manifest.settings,
            video.result,
            self._tries.get(video.name, 0),
            outcome.frames,
            outcome.people,
            round(self._seconds.get(video.name, 0.0), 3),
            outcome.error or outcome.damage,
            outcome.exit_code,
        )

    def _version(self, video: Video) -> str | None:
        return self._sources[video.name][0]

    def _log(self, task: Task, outcome: Outcome, tries: int) -> None:
        """Add a line to the log of the video; a log that cannot be written is no failure of the video."""
        numbers = ", ".join(f"chunk {chunk.index}" for chunk in task.chunks) if task.kind == "observe" else ""
        what = " ".join(filter(None, (task.kind, numbers)))
        end = outcome.error or outcome.damage or outcome.unsplit or "done"
        counted = f"{outcome.frames} frames, {outcome.seconds:.1f} s, try {tries}"
        lines = [f"{time.strftime('%Y-%m-%d %H:%M:%S')} {what}: {counted}: {printable(end)}"]
        if outcome.chunks:
            lines.append(f"  split into {len(outcome.chunks)} chunks")
        if outcome.details:
            lines += [f"  {line}" for line in outcome.details.splitlines()]
        try:
            self._folder.append(
                f"{LOGS}/{task.video.name}.log", "".join(f"{line}\n" for line in lines).encode()
            )
        except UserError as error:
            self._manifest.problem = self._manifest.problem or OutputError(str(error))
