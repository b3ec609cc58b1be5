"""Networks without weights for many videos: they depend on their batch, fail or end their process."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kprtrack.config import TrackConfig
from kprtrack.core.datatypes import Detections, Frame
from kprtrack.pipeline import Networks
from kprtrack.scale import ManySettings, Video, track_many
from kprtrack.video.clip import Clip
from support import fake_run

CONFIG = TrackConfig(frames_at_once=4)
ENDS_WORKER_ONCE = "ends a worker once"  # a file of this name in the present folder: the next frame does it


def detect_by_batch(batch: list[Frame]) -> list[Detections]:
    """The score of a person depends on the place of the frame in its batch and on the size of the batch."""
    return [
        Detections(found.boxes, found.scores - 0.01 * place - 0.001 * len(batch))
        for place, found in enumerate(fake_run.detect(batch))
    ]


BY_BATCH = replace(fake_run.NETWORKS, detect=detect_by_batch)


def build(config: TrackConfig) -> Networks:
    """Networks that end their process once if a file asks for it."""

    def detect(batch: list[Frame]) -> list[Detections]:
        try:
            Path(ENDS_WORKER_ONCE).unlink()
        except FileNotFoundError:
            return detect_by_batch(batch)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    return replace(BY_BATCH, detect=detect)


def build_deadly(config: TrackConfig) -> Networks:
    """Networks that end their process at videos of 15 frames per second, and fail at those of 20."""

    def detect(batch: list[Frame]) -> list[Detections]:
        if len(batch) > 1 and round(1 / (batch[1].time_s - batch[0].time_s)) == 15:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(batch) > 1 and round(1 / (batch[1].time_s - batch[0].time_s)) == 20:
            raise ZeroDivisionError("made by a test")
        return detect_by_batch(batch)

    return replace(BY_BATCH, detect=detect)


def videos_of(names: list[str]) -> list[Video]:
    """The videos of files in the present folder."""
    return [Video(Path(name).stem, Clip(name), f"{Path(name).stem}.json") for name in names]


def run(
    names: list[str], out: str = "many", split_s: float | None = None, build: Callable[..., Networks] = build
) -> object:
    """Track videos of the present folder with two workers."""
    address = os.environ.get("RAY_ADDRESS")
    settings = ManySettings(out, CONFIG, split_s=split_s)
    return track_many(videos_of(names), settings, 2, address=address, build=build)


if __name__ == "__main__":
    run(sys.argv[1:])
