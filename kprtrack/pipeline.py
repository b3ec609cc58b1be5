"""From frames to tracks: the page to read first.

Networks have no memory and trackers run no network, so the way is straight and in two halves:
observe (torch, batched over frames and people) and follow (numpy, milliseconds).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks
from kprtrack.core.errors import InputError
from kprtrack.trackers import Tracker


@dataclass(frozen=True)
class Networks:
    """The three networks of KPRTrack. Each takes the frames of a batch and answers one item a frame."""

    detect: Callable[[list[Frame]], list[Detections]]
    estimate_poses: Callable[[list[Frame], list[Detections]], list[Poses]]
    embed: Callable[[list[Frame], list[Detections], list[Poses]], list[Appearance]]
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)  # by role: name, file, sha256, options


def observe(frames: Iterable[Frame], networks: Networks, batch_size: int = 8) -> Iterator[Observation]:
    """What the networks see in each frame, in order. `batch_size` frames are looked at together."""
    for batch in _batches(frames, batch_size):
        detections = networks.detect(batch)
        poses = networks.estimate_poses(batch, detections)
        embeddings = networks.embed(batch, detections, poses)
        for frame, people, pose, look in zip(batch, detections, poses, embeddings, strict=True):
            yield Observation(frame.number, frame.time_s, people, pose, look)


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    try:
        for frame in frames:
            batch.append(frame)
            if len(batch) == size:
                yield batch
                batch = []
    except InputError:  # the frames before the damage are good
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def track(observations: Iterable[Observation], tracker: Tracker) -> Iterator[Tracks]:
    """Who is who in each frame, in order.

    A tracker that recognises a returning person only after a second look corrects the frames of that second
    too: tracks come out `tracker.output_delay_s` seconds late and are final.
    """
    settling = DelayedOutput(tracker)
    for seen in observations:
        yield from settling.add(tracker.update(seen))
    yield from settling.rest()


class DelayedOutput:
    """Holds tracks back until their identities are final."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._held: deque[Tracks] = deque()

    def add(self, tracks: Tracks) -> Iterator[Tracks]:
        """Take the tracks of the newest frame; the frames that have become final."""
        self._held.append(tracks)
        while self._held[0].time_s <= tracks.time_s - self._tracker.output_delay_s:
            yield self._tracker.finalize(self._held.popleft())
            if not self._held:
                return

    def rest(self) -> Iterator[Tracks]:
        """The frames still held, when no more will come."""
        while self._held:
            yield self._tracker.finalize(self._held.popleft())
