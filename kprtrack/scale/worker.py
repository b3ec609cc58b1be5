"""What a worker does with a task: the same functions as in a single process, on files of its own.

A task writes into a scratch folder. Its files get their final names when they are complete, the result last;
so there is one result of each video, however often a task was tried.
"""

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic

from kprtrack.build import build_networks
from kprtrack.config import TrackConfig
from kprtrack.core.atomic_file import reason
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.identity.prototypes_file import prototypes_path
from kprtrack.io import read_observations, write_observations
from kprtrack.outputs import Summary
from kprtrack.pipeline import Networks
from kprtrack.run import observe_video, run_header, track_observations, track_video
from kprtrack.scale.chunks import UnsplitError, joined, observe_chunk, plan_chunks
from kprtrack.scale.storage import SCRATCH, Folder, fetch_video, is_remote, open_folder
from kprtrack.scale.tasks import Chunk, ManySettings, Outcome, Task, Video
from kprtrack.video.clip import Clip

OnFrames = Callable[[int], None]
BUG = 1  # exit code of an unexpected error


@dataclass(frozen=True)
class NewWorker:
    """Makes a worker, which loads the networks.

    Args:
        settings: Of the run.
        threads: CPU threads of the networks; what is stored in the results are those of `settings`.
        build: Makes the networks; a function that other processes can import.
    """

    settings: ManySettings
    threads: int
    build: Callable[[TrackConfig], Networks] = build_networks

    def __call__(self, number: int) -> "Callable[[Task, OnFrames], Outcome]":
        """Return the worker.

        Raises:
            UserError: The folder of the run is not on this machine, or the networks cannot be loaded.
        """
        folder = self.settings.folder
        if folder is not None:
            try:
                os.chdir(folder)
            except OSError as error:
                where = os.uname().nodename if hasattr(os, "uname") else "this machine"
                raise UserError(
                    f"{where} cannot open the folder {folder}: {error.strerror}. All machines need it, for"
                    " example by a shared disk."
                ) from error
        networks = self.build(replace(self.settings.config, threads=self.threads))
        return _Tasks(self.settings, networks, open_folder(self.settings.out))


@dataclass(frozen=True)
class _Tasks:
    settings: ManySettings
    networks: Networks
    folder: Folder

    def __call__(self, task: Task, on_frames: OnFrames) -> Outcome:
        """Do a task; an error becomes its outcome."""
        started_s, shown = monotonic(), str(task.video.clip.source)
        outcome = Outcome()
        on_frame = partial(on_frames, 1)
        try:
            with self.folder.scratch() as scratch:
                try:
                    outcome = self._do(task, scratch, on_frame)
                except UnsplitError as error:
                    outcome = Outcome(unsplit=_named(error, scratch, shown, self.settings.out))
                except UserError as error:
                    text = _named(error, scratch, shown, self.settings.out)
                    if isinstance(error, OutputError) and isinstance(error.__cause__, OSError):
                        # Nothing of an unfinished result is kept, other than in a single process.
                        target = f"{self.settings.out.rstrip('/')}/{task.video.result}"
                        text = f"Cannot write {target}: {reason(error.__cause__)}"
                    outcome = Outcome(error=text, exit_code=error.exit_code)
        except UserError as error:
            outcome = Outcome(error=str(error), exit_code=error.exit_code)
        except Exception as error:
            text = f"this is a bug: {type(error).__name__}: {error}. See its log."
            outcome = Outcome(error=text, exit_code=BUG, details=traceback.format_exc())
        return replace(outcome, seconds=monotonic() - started_s)

    def _do(self, task: Task, scratch: Path, on_frame: Callable[[], None]) -> Outcome:
        video, config = task.video, self.settings.config
        clip = _local(video.clip, scratch)
        if task.kind == "observe":
            (chunk,) = task.chunks
            file = scratch / "chunk.npz"
            frames = observe_chunk(clip, chunk, file, config, self.networks, on_frame)
            self.folder.publish(file, chunk_file(video, chunk))
            return Outcome(frames=frames)
        if task.kind == "track" and self.settings.split_s is not None:
            chunks = plan_chunks(clip, self.settings.split_s, config.frames_at_once)
            if chunks:
                return Outcome(chunks=chunks)
        # The result is called as in a single process: some formats store the name.
        result = scratch / video.result
        if task.kind == "track":
            summary = track_video(
                clip,
                result,
                config,
                format=self.settings.format,
                networks=self.networks,
                people=self.settings.people,
                prototypes=self.settings.prototypes,
                on_frame=on_frame,
            )
        else:
            observations = scratch / "observations.npz"
            if task.kind == "join":
                self._join(task, clip, observations, scratch)
            else:
                observe_video(clip, observations, config, networks=self.networks, on_frame=on_frame)
            summary = track_observations(
                read_observations(observations),
                result,
                config,
                format=self.settings.format,
                people=self.settings.people,
                prototypes=self.settings.prototypes,
            )
        if isinstance(summary.stopped, KeyboardInterrupt):
            raise UserError("the worker was interrupted")
        if not result.exists():
            raise InputError(summary.note or f"{video.result} has no frame")
        self._publish(result, video)
        return _outcome(summary)

    def _join(self, task: Task, clip: Clip, out: Path, scratch: Path) -> None:
        """Write the observations of all chunks into one file, as `observe_video` writes it."""
        files = [self.folder.fetch(chunk_file(task.video, chunk), scratch) for chunk in task.chunks]
        with clip.open() as source:
            header = run_header(source.info, clip, self.settings.config, self.networks)
        write_observations(out, header, joined(task.chunks, files, self.networks))

    def _publish(self, result: Path, video: Video) -> None:
        prototypes = prototypes_path(result)
        if prototypes.exists():
            self.folder.publish(prototypes, prototypes.name)
        self.folder.publish(result, video.result)


def chunk_file(video: Video, chunk: Chunk) -> str:
    """Return the name of the observations of a chunk in the folder of the results."""
    return f"{chunk_folder(video)}/{chunk.index:05}.npz"


def chunk_folder(video: Video) -> str:
    """Return the folder of the chunks of a video in the folder of the results."""
    return f"{SCRATCH}/{video.name}"


def _local(clip: Clip, scratch: Path) -> Clip:
    """The clip itself, or of a copy of the video on this machine."""
    if not is_remote(clip.source):
        return clip
    return replace(clip, source=fetch_video(str(clip.source), scratch), path=str(clip.source))


def _outcome(summary: Summary) -> Outcome:
    damage, code = None, 0
    if not summary.complete:
        damage, code = summary.note, InputError.exit_code
    return Outcome(summary.frames, len(summary.ids), damage=damage, exit_code=code)


def _named(error: UserError, scratch: Path, source: str, out: str) -> str:
    """The message with the names that the user knows in place of those of the scratch folder."""
    text = str(error)
    if is_remote(source):
        text = text.replace(str(scratch / source.rpartition("/")[2]), source)
    return text.replace(f"{scratch}/", f"{out.rstrip('/')}/")
