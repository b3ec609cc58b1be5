"""Results to be edited: people in lanes of their own, and what a tracker makes of them."""

from collections.abc import Sequence

import numpy as np

from kprtrack.core.appearance import empty_appearance
from kprtrack.core.datatypes import Detections, Observation, empty_poses
from kprtrack.io import RunHeader, TrackFile
from kprtrack.pipeline import track
from kprtrack.trackers.bytetrack import ByteTrack, ByteTrackConfig
from support.tracks_cases import tracks_of

FPS = 10.0
LANE_PX = 150  # a person's box is 100 high
FRAMES = 120
# Lane -> frames without a detection. With a short memory the tracker starts a new track after each gap.
GAPS = {0: range(40, 47), 1: range(50, 57), 2: range(60, 67), 3: range(40, 55), 4: range(60, 75)}
FALSE_LANE, LANES = 8, 9  # what is in lane 8 is no person, and has a low score


def box_in_lane(lane: int, frame: int) -> list[float]:
    """A person who walks to the right, 2 pixels a frame."""
    left = 20.0 + 2 * frame
    return [left, LANE_PX * lane + 10.0, left + 40, LANE_PX * lane + 110.0]


def result(people: Sequence[Sequence[int]], *, fps: float | None = FPS) -> TrackFile:
    """The IDs of each frame; person N is in lane N."""
    frames = [
        tracks_of(
            {track_id: box_in_lane(track_id, number) for track_id in ids}, number=number, time_s=number / FPS
        )
        for number, ids in enumerate(people)
    ]
    return TrackFile(RunHeader(video={} if fps is None else {"fps": fps}), frames, True)


def tracked(config: ByteTrackConfig, *, noise_px: float = 0.0) -> TrackFile:
    """What ByteTrack makes of the lanes; noise_px: of the edges of the boxes."""
    random = np.random.default_rng(5)
    observations = []
    for number in range(FRAMES):
        lanes = [lane for lane in range(LANES) if number not in GAPS.get(lane, ())]
        boxes = np.float32([box_in_lane(lane, number) for lane in lanes])
        boxes += random.uniform(-noise_px, noise_px, boxes.shape).astype(np.float32)
        scores = np.float32([0.75 if lane == FALSE_LANE else 0.9 for lane in lanes])
        count = len(lanes)
        observations.append(
            Observation(
                number,
                number / FPS,
                Detections(boxes, scores),
                empty_poses(count),
                empty_appearance(count),
            )
        )
    frames = list(track(observations, ByteTrack(config, fps=FPS)))
    return TrackFile(RunHeader(video={"fps": FPS}), frames, True)


def ids_in_lane(file: TrackFile, lane: int, frames: range = range(FRAMES)) -> list[int]:
    """The track IDs in a lane, each once, in order of time."""
    found: dict[int, None] = {}
    for tracks in file.frames:
        if tracks.frame_number in frames:
            middles = (tracks.boxes[:, 1] + tracks.boxes[:, 3]) / 2
            for row in np.flatnonzero((middles // LANE_PX).astype(int) == lane):
                found[int(tracks.ids[row])] = None
    return list(found)
