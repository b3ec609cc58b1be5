"""Sets of videos with labelled persons: where clips are cut, and whose embeddings are whose."""

from pathlib import Path

import numpy as np
import pytest
from support import paths
from support.tracks_cases import tracks_of

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Tracks, empty_poses
from kprtrack.identity import read_prototypes
from kprtrack.io import RunHeader, read_tracks

BOX = (10.0, 10.0, 60.0, 150.0)
BOXES = np.array([BOX], np.float32)


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


def frames_with(*present: tuple[int, range]) -> list[Tracks]:
    """100 frames; person and the frames in which they are."""
    return [
        tracks_of({person: BOX for person, frames in present if number in frames}, number=number)
        for number in range(100)
    ]


def test_a_clip_is_cut_where_a_person_leaves() -> None:
    from linking_sets.cut_at_exits import exits

    always = (1, range(100))
    assert exits(frames_with(always), 25) == []
    assert exits(frames_with(always, (2, range(40))), 25) == [40]
    assert exits(frames_with(always, (2, range(40)), (3, range(10, 70))), 25) == [40, 70]


def test_a_short_absence_is_no_exit_and_no_part_is_shorter_than_half_a_second() -> None:
    from linking_sets.cut_at_exits import exits

    absent = [frame for frame in frames_with((2, range(100))) if frame.frame_number not in range(40, 50)]
    assert exits(absent, 25) == []
    assert exits(frames_with((1, range(100)), (2, range(5)), (3, range(50)), (4, range(55))), 25) == [50]


def crops_of(embedding: np.ndarray, count: int) -> list[Observation]:
    """A person who fills each of some frames; embedding: [count, 2, D]."""
    return [
        Observation(
            number,
            float(number),
            Detections(BOXES, np.full(1, 0.9, np.float32)),
            empty_poses(1),
            Appearance(embedding[number : number + 1], np.ones((1, 2), bool), np.zeros(1, bool)),
        )
        for number in range(count)
    ]


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Eight people by two cameras, three crops each, of two parts with 16 numbers."""
    from linking_sets.writing import labelled, write_video

    random = np.random.default_rng(0)
    for person in range(8):
        centre = random.normal(size=(2, 16))
        for camera in range(2):
            found = centre + random.normal(0, 0.2, (2, 16)) + random.normal(0, 0.05, (3, 2, 16))
            found /= np.linalg.norm(found, axis=2, keepdims=True)
            seen = crops_of(found.astype(np.float32), 3)
            tracks, truth = (
                [labelled(one.frame_number, one.time_s, np.array([number]), BOXES) for one in seen]
                for number in (1, person + 1)
            )
            header = RunHeader({"fps": 1.0}, {"reid": {"name": "made"}})
            write_video(tmp_path / "crops", f"{person}_{camera}", header, seen, tracks, truth)
    return tmp_path / "crops"


def test_a_video_of_a_set_has_prototypes_and_a_ground_truth_with_person_ids(crops: Path) -> None:
    prototypes = read_prototypes(crops / "3_1.tracks.json")
    assert prototypes.track_ids.tolist() == [1] and len(prototypes.track_row) == 3
    assert prototypes.header["reid"] == {"name": "made"}
    assert {
        one for each in read_tracks(crops / "ground_truth/3_1.tracks.json").frames for one in each.ids
    } == {4}
    assert len({read_tracks(path).header.video["sha256"] for path in crops.glob("*.json")}) == 16


def test_statistics_are_the_variances_between_cameras_and_frames(crops: Path) -> None:
    from linking_sets.returning import Statistics

    videos = [read_prototypes(path) for path in sorted(crops.glob("*.tracks.json"))]
    statistics = Statistics.of(videos)
    means = np.concatenate([video.means.features for video in videos])
    between = [(difference**2).sum() / 2 for difference in means[::2] - means[1::2]]
    within = [one.embeddings.features.var(axis=0, ddof=1).sum() for one in videos]
    assert (statistics.video**2).sum() == pytest.approx(np.mean(between), rel=1e-4)
    assert (statistics.frame**2).sum() == pytest.approx(np.mean(within), rel=1e-4)
    assert (statistics.person**2).sum() > 5 * (statistics.video**2).sum()


def test_people_who_differ_clearly_are_linked_and_named(crops: Path) -> None:
    from measure_linking import enrolled_row, row

    cells = [cell.strip() for cell in row(crops).split("|")[1:-1]]
    assert cells[:7] == ["crops", "16", "100.0", "100.0", "0", "0", "- of 0"]
    # Three frames of a person in each of two videos: AssA 1/2 before, 1 after.
    assert cells[7:9] == ["70.7, 100.0", "50.0, 100.0"]
    assert enrolled_row(crops) == "| crops | 8 | 100.0 | 0.0 | 0.0 | - |"


@pytest.mark.slow
def test_simulated_people_return_in_other_videos(crops: Path, tmp_path: Path) -> None:
    from linking_sets.returning import write_returning

    assert write_returning(tmp_path / "set", crops, videos=3, people=4, returning=2, seed=5) == 3
    videos_of: list[int] = []
    for path in sorted((tmp_path / "set/ground_truth").glob("*.json")):
        persons = {one for each in read_tracks(path).frames for one in each.ids.tolist()}
        videos_of += persons
        assert len(read_prototypes(tmp_path / "set" / path.name)) >= len(persons)
    assert set(videos_of) == {1, 2, 3, 4}
    assert min(videos_of.count(1), videos_of.count(2)) >= 2
    assert videos_of.count(3) == videos_of.count(4) == 1
