"""The summary of track IDs at the end of a result file, compared with lists kept frame by frame."""

from collections import defaultdict

import numpy as np
import pytest

from kprtrack.core.datatypes import Tracks
from kprtrack.io.text_writer import FrameLog


def frame(number: int, ids: list[int]) -> Tracks:
    count = len(ids)
    unknown = np.zeros(count, np.float32)
    return Tracks(
        frame_number=number,
        time_s=number / 7,
        ids=np.array(ids, np.int64),
        boxes=np.zeros((count, 4), np.float32),
        scores=unknown,
        keypoints=np.zeros((count, 17, 3), np.float32),
        distances=unknown,
        margins=unknown,
        visible=np.zeros((count, 0), bool),
        prompted=np.zeros(count, bool),
    )


@pytest.mark.parametrize("seed", range(10))
def test_summary_counts_every_track_over_the_frames_kept(seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = [
        (2 * row + 3, (random.permutation(6)[: random.integers(0, 6)] + 1).tolist())
        for row in range(random.integers(0, 25))
    ]
    log = FrameLog()
    for number, ids in frames:
        log.add(frame(number, ids))
    assert (len(log), log.people) == (len(frames), sum(len(ids) for _, ids in frames))
    for kept in range(len(frames) + 1):
        numbers = defaultdict(list)
        for number, ids in frames[:kept]:
            for track_id in ids:
                numbers[track_id].append(number)
        assert log.summary(kept) == [
            {
                "id": track_id,
                "first_frame": seen[0],
                "last_frame": seen[-1],
                "first_time": round(seen[0] / 7, 6),
                "last_time": round(seen[-1] / 7, 6),
                "frames": len(seen),
            }
            for track_id, seen in sorted(numbers.items())
        ]
