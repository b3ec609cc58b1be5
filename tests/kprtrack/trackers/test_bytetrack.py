"""ByteTrack against the official program's output, and its rules one by one."""

import gzip
import json

import numpy as np
import pytest
from support import paths

from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Detections, Observation, Poses, Tracks, empty_poses
from kprtrack.core.errors import UserError
from kprtrack.trackers.bytetrack import ByteTrack, ByteTrackConfig

GOLDEN = paths.GOLDEN / "bytetrack_synth150.json.gz"
SHARED = paths.SHARED / "fixtures" / "eval" / "bytetrack"
SYNTHETIC_RUNS = ("default", "buffer10_fps30", "fps10", "mot20", "low_thresh")
REAL = {
    "TUD-Campus": SYNTHETIC_RUNS,
    "TUD-Stadtmitte": ("default", "low_thresh"),
    "ETH-Sunnyday": ("default", "low_thresh"),
}
WALL = (100, 100, 140, 200)  # a person who does not move
FAR = (500, 100, 540, 200)


def observe(number: int, rows: np.ndarray, dtype: type = np.float64) -> Observation:
    """rows: [N, 5] x1 y1 x2 y2 score."""
    rows = np.asarray(rows, dtype).reshape(-1, 5)
    found = Detections(rows[:, :4], rows[:, 4])
    return Observation(number, number / 30, found, empty_poses(len(rows)), empty_appearance(len(rows)))


def person(box: tuple[int, int, int, int], score: float = 0.9) -> tuple[float, ...]:
    return (*box, score)


def follow(frames: list[list[tuple[float, ...]]], tracker: ByteTrack | None = None) -> list[Tracks]:
    tracker = tracker or ByteTrack(ByteTrackConfig(), 30)
    return [tracker.update(observe(number, np.array(rows))) for number, rows in enumerate(frames)]


def ids(frames: list[list[tuple[float, ...]]], tracker: ByteTrack | None = None) -> list[list[int]]:
    return [tracks.ids.tolist() for tracks in follow(frames, tracker)]


def official_tracker(settings: dict) -> ByteTrack:
    config = ByteTrackConfig(
        track_thresh=settings["track_thresh"],
        match_thresh=settings["match_thresh"],
        max_lost_s=settings["track_buffer"] / 30,
        fuse_score=not settings["mot20"],
    )
    return ByteTrack(config, settings["frame_rate"])


def check_equals_official(recording: dict, run: str) -> None:
    """IDs and their order are exact, filtered boxes within 1e-6 pixels, on every frame."""
    tracker = official_tracker(recording["runs"][run]["args"])
    frames = zip(recording["detections_xyxy_score"], recording["runs"][run]["frames"], strict=True)
    for number, (detections, frame) in enumerate(frames):
        tracks = tracker.update(observe(number, np.array(detections)))
        official = np.array(frame["out"]).reshape(-1, 6)
        corners = np.concatenate((official[:, 1:3], official[:, 1:3] + official[:, 3:5]), 1)
        assert tracks.ids.tolist() == official[:, 0].tolist(), f"frame {number}"
        np.testing.assert_allclose(
            tracker.kalman_boxes, corners, rtol=0, atol=1e-6, err_msg=f"frame {number}"
        )
        assert tracks.scores.tolist() == official[:, 5].tolist()


@pytest.fixture(scope="module")
def synthetic() -> dict:
    return json.loads(gzip.decompress(GOLDEN.read_bytes()))


@pytest.mark.parametrize("run", SYNTHETIC_RUNS)
def test_150_synthetic_frames_equal_the_official_program(synthetic: dict, run: str) -> None:
    check_equals_official(synthetic, run)


@pytest.mark.skipif(not SHARED.exists(), reason="the recordings of real sequences are not here")
@pytest.mark.parametrize(("name", "run"), [(name, run) for name, runs in REAL.items() for run in runs])
def test_real_sequences_equal_the_official_program(name: str, run: str) -> None:
    check_equals_official(json.loads((SHARED / f"{name}.json").read_text()), run)


def test_float32_detections_give_the_same_identities(synthetic: dict) -> None:
    tracker = ByteTrack(ByteTrackConfig(), 30)
    for number, rows in enumerate(synthetic["detections_xyxy_score"]):
        tracks = tracker.update(observe(number, np.array(rows), np.float32))
        official = synthetic["runs"]["default"]["frames"][number]["out"]
        assert tracks.ids.tolist() == [row[0] for row in official]


def test_output_boxes_are_those_of_the_detector(synthetic: dict) -> None:
    tracker = ByteTrack(ByteTrackConfig(), 30)
    for number, rows in enumerate(synthetic["detections_xyxy_score"]):
        tracks = tracker.update(observe(number, np.array(rows)))
        given = {tuple(row) for row in rows}
        assert {(*box, score) for box, score in zip(tracks.boxes, tracks.scores, strict=True)} <= given


@pytest.mark.parametrize(("max_lost_frames", "last_gap"), [(30, 32), (5, 7), (1, 3), (0, 3)])
def test_a_lost_track_is_matched_up_to_two_frames_late(max_lost_frames: int, last_gap: int) -> None:
    def after(gap: int) -> list[int]:
        tracker = ByteTrack(ByteTrackConfig(max_lost_s=max_lost_frames / 30), 30)
        seen = [person(WALL)]
        return ids([seen, seen, *[[]] * (gap - 1), seen, seen], tracker)[-1]

    assert after(last_gap) == [1]
    assert after(last_gap + 1) == [2]


def test_a_track_matched_on_the_extra_frame_is_removed_when_next_unmatched() -> None:
    def after(gap: int) -> list[int]:
        seen = [person(WALL)]
        tracker = ByteTrack(ByteTrackConfig(max_lost_s=5 / 30), 30)
        return ids([seen, seen, *[[]] * (gap - 1), seen, seen, [], seen, seen], tracker)[-1]

    assert after(6) == [1]
    assert after(7) == [2]


@pytest.mark.parametrize(
    ("fps", "max_lost_s", "last_gap"),
    [(30, 1, 32), (15, 1, 17), (29.97, 1, 31), (100, 0.29, 31)],  # 100 × 0.29 is 28.999999999999996
)
def test_max_lost_s_is_counted_in_frames_of_the_source(fps: float, max_lost_s: float, last_gap: int) -> None:
    seen = [person(WALL)]
    for gap, expected in ((last_gap, [1]), (last_gap + 1, [2])):
        frames = [seen, seen, *[[]] * (gap - 1), seen, seen]
        assert ids(frames, ByteTrack(ByteTrackConfig(max_lost_s=max_lost_s), fps))[-1] == expected


# The box is 41 × 101 inclusive pixels, so a shift of d has IoU (41 - d) / (41 + d).


def shifted(d: int, score: float = 0.9) -> tuple[float, ...]:
    left, top, right, bottom = WALL
    return person((left + d, top, right + d, bottom), score)


@pytest.mark.parametrize(("shift", "expected"), [(26, [1]), (27, [])])  # IoU 0.224 and 0.206, times 0.9
def test_first_stage_needs_overlap_times_score_above_a_fifth(shift: int, expected: list[int]) -> None:
    assert ids([[shifted(0)], [shifted(shift)]])[-1] == expected


@pytest.mark.parametrize(("shift", "expected"), [(13, [1]), (14, [])])  # IoU 0.519 and 0.491
def test_second_stage_needs_an_overlap_above_a_half(shift: int, expected: list[int]) -> None:
    assert ids([[shifted(0)], [shifted(shift, 0.3)]])[-1] == expected


@pytest.mark.parametrize(("shift", "expected"), [(20, [1]), (21, [])])  # IoU 0.344 and 0.323, times 0.9
def test_third_stage_needs_overlap_times_score_above_three_tenths(shift: int, expected: list[int]) -> None:
    assert ids([[], [shifted(0)], [shifted(shift)]])[-1] == expected


@pytest.mark.parametrize(
    ("born", "nearest", "expected"),
    [
        (10, 2, [[2], [2]]),  # visible for 10 frames, the lost one for 8: the lost one is removed
        (12, 2, [[], [1]]),  # 8 frames each: the lost one stays and is matched in the next frame
        (13, 2, [[], [1]]),
        (13, 4, [[2], [2]]),  # IoU 0.80, below the 0.85 of a duplicate
    ],
)
def test_of_two_duplicate_tracks_the_older_stays(born: int, nearest: int, expected: list[list[int]]) -> None:
    # A person stands until frame 8; a walker, 10 pixels a frame, is nearest to that place in frame 20.
    frames: list[list[tuple[float, ...]]] = [[] for _ in range(22)]
    for number in range(9):
        frames[number].append(shifted(0))
    for number in range(born, 22):
        frames[number].append(shifted(nearest + 10 * (20 - number)))
    assert ids(frames)[20:] == expected


def test_tracks_are_confirmed_at_once_in_the_first_frame_and_later_by_a_second_match() -> None:
    first, second = person(WALL), person(FAR)
    assert ids([[first], [first, second], [first, second]]) == [[1], [1], [1, 2]]


def test_an_unconfirmed_track_uses_up_an_id() -> None:
    stays, ghost, late = person(WALL), person(FAR), person((800, 100, 840, 200))
    assert ids([[stays], [stays, ghost], [stays], [stays, late], [stays, late]])[-1] == [1, 3]


def test_a_low_score_continues_a_track_but_starts_none() -> None:
    strong, weak = person(WALL), person(WALL, 0.3)
    assert ids([[strong], [weak], [weak]]) == [[1], [1], [1]]
    assert ids([[weak], [weak], [weak]]) == [[], [], []]


@pytest.mark.parametrize("score", [0.6, 0.1, 0.05])
def test_a_score_equal_to_a_threshold_or_below_the_lowest_is_no_detection(score: float) -> None:
    assert ids([[person(WALL)], [person(WALL, score)]]) == [[1], []]


@pytest.mark.parametrize(("score", "expected"), [(0.71, [1]), (0.69, [])])
def test_a_new_track_needs_a_score_a_tenth_above_the_threshold(score: float, expected: list[int]) -> None:
    assert ids([[person(WALL, score)]]) == [expected]


def test_a_lost_track_is_matched_only_by_a_high_score() -> None:
    strong, weak = [person(WALL)], [person(WALL, 0.3)]
    assert ids([strong, strong, [], weak, strong]) == [[1], [1], [], [], [1]]


def test_every_tracker_counts_from_one() -> None:
    frames = [[person(WALL), person(FAR)]]
    assert ids(frames) == ids(frames) == [[1, 2]]


def test_empty_frames_give_empty_tracks() -> None:
    tracks = follow([[], []])[-1]
    assert len(tracks) == 0
    assert tracks.keypoints.shape == (0, 17, 3)


def test_boxes_without_area_are_ignored() -> None:
    flat, reversed_box = (100, 100, 140, 100), (640, 200, 600, 100)
    assert ids([[person(flat), person(WALL), person(reversed_box)]] * 2) == [[1], [1]]


def test_poses_and_visibilities_are_those_of_the_detection() -> None:
    rows = np.array([person(FAR, 0.05), person(FAR), person(WALL)], np.float32)
    keypoints = np.arange(3 * 17 * 3, dtype=np.float32).reshape(3, 17, 3)
    visible = np.array([[True, True], [True, False], [False, True]])
    embeddings = Appearance(np.zeros((3, 2, 4), np.float32), visible, np.array([True, True, False]))
    seen = Observation(7, 0.25, Detections(rows[:, :4], rows[:, 4]), Poses(keypoints), embeddings)
    tracks = ByteTrack(ByteTrackConfig(), 30).update(seen)
    assert (tracks.frame_number, tracks.time_s) == (7, 0.25)
    assert (tracks.keypoints == keypoints[1:]).all()
    assert (tracks.boxes == rows[1:, :4]).all()
    assert tracks.visible.tolist() == [[True, False], [False, True]]
    assert tracks.prompted.tolist() == [True, False]
    assert np.isnan(tracks.distances).all()
    assert np.isnan(tracks.margins).all()


def test_tracks_handed_out_do_not_change_later() -> None:
    tracker = ByteTrack(ByteTrackConfig(), 30)
    first = tracker.update(observe(0, np.array([person(WALL), person(FAR)])))
    tracker.update(observe(1, np.array([person(FAR)])))
    assert first.ids.tolist() == [1, 2]
    assert tracker.finalize(first) is first


@pytest.mark.parametrize(
    "settings", [{"track_thresh": 1.2}, {"match_thresh": -0.1}, {"max_lost_s": -1}, {"max_lost_s": np.nan}]
)
def test_impossible_settings_are_errors(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(settings))} is"):
        ByteTrackConfig(**settings)


@pytest.mark.parametrize("fps", [0, -30, np.inf, np.nan])
def test_an_impossible_frame_rate_is_an_error(fps: float) -> None:
    with pytest.raises(UserError, match="frame rate"):
        ByteTrack(ByteTrackConfig(), fps)
