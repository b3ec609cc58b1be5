"""Our own result files scored against each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.benchmarks.score_tracks import score_tracks
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import COCO_SKELETON, POSETRACK_SKELETON, Skeleton
from kprtrack.core.skeletons import SKELETONS
from kprtrack.io import RunHeader, open_writer

BOXES = {1: (10, 10, 40, 90), 2: (60, 10, 100, 95)}  # two people who stand still
VIDEO = {"width": 640, "height": 480, "frames": 3, "sha256": "a" * 64}
WITH_POSES = ["box_hota", "box_clear", "box_identity", "oks_hota", "oks_clear", "oks_identity"]


def frame(number: int, *ids: int, pose_shift: float | None = 0) -> Tracks:
    """The people 1 and 2 under these ids; without keypoints if pose_shift is None."""
    boxes = np.array(list(BOXES.values())[: len(ids)], np.float32).reshape(-1, 4)
    keypoints = np.zeros((len(ids), 17, 3), np.float32)
    if pose_shift is not None:
        steps = np.linspace(0, 1, 17)[:, None]
        keypoints[:, :, :2] = (
            boxes[:, None, :2] + steps * (boxes[:, None, 2:] - boxes[:, None, :2]) + pose_shift
        )
        keypoints[:, :, 2] = 0.5
    nothing = np.full(len(ids), np.nan, np.float32)
    return Tracks(
        number,
        number / 10,
        np.array(ids, np.int64),
        boxes,
        np.ones(len(ids), np.float32),
        keypoints,
        nothing,
        nothing,
        np.zeros((len(ids), 0), bool),
        np.zeros(len(ids), bool),
    )


def file(
    path: Path,
    *frames: Tracks,
    video: dict[str, object] = VIDEO,
    skeleton: Skeleton = COCO_SKELETON,
    complete: bool = True,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(path, RunHeader(video, skeleton=skeleton)) as writer:
        for one in frames:
            writer.write(one)
        writer.close(complete=complete)
    return path


def three(*, swapped: bool = False, pose_shift: float | None = 0) -> list[Tracks]:
    """Three frames of both people; swapped: the ids are the other way round in the last."""
    last = (2, 1) if swapped else (1, 2)
    return [frame(n, *ids, pose_shift=pose_shift) for n, ids in enumerate(((1, 2), (1, 2), last))]


def test_a_file_against_itself_is_perfect_in_boxes_and_poses(tmp_path: Path) -> None:
    path = file(tmp_path / "a.json", *three())
    scored = score_tracks(path, path)
    assert list(scored.measures) == WITH_POSES
    for what in ("box", "oks"):
        assert np.mean(scored.measures[f"{what}_hota"].combined["HOTA"]) == pytest.approx(1)
        assert scored.measures[f"{what}_clear"].combined["MOTA"] == 1
        assert scored.measures[f"{what}_identity"].combined["IDF1"] == 1
    assert scored.timelines["a"].track_ids.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert scored.notes == ()


@pytest.mark.parametrize("name", ["halpe26", "blazepose33", "wholebody133"])
def test_tracks_of_a_larger_set_of_keypoints_are_scored_by_cocos(tmp_path: Path, name: str) -> None:
    skeleton = SKELETONS[name]
    ground_truth = file(tmp_path / "gt.json", *three())
    larger = []
    for one in three():
        points = np.full((len(one), len(skeleton), 3), 5, np.float32)  # others than COCO's are far away
        points[:, list(skeleton.coco_rows)] = one.keypoints
        larger.append(replace(one, keypoints=points, skeleton=skeleton))
    tracks = file(tmp_path / "tracks.json", *larger, skeleton=skeleton)
    for a, b in ((ground_truth, tracks), (tracks, ground_truth), (tracks, tracks)):
        scored = score_tracks(a, b)
        assert np.mean(scored.measures["oks_hota"].combined["HOTA"]) == pytest.approx(1)
        assert scored.measures["oks_identity"].combined["IDF1"] == 1


def test_swapped_ids_are_switches_in_boxes_and_poses(tmp_path: Path) -> None:
    ground_truth, tracks = (
        file(tmp_path / "a.json", *three()),
        file(tmp_path / "b.jsonl", *three(swapped=True)),
    )
    measures = score_tracks(ground_truth, tracks).measures
    assert measures["box_clear"].combined["IDSW"] == measures["oks_clear"].combined["IDSW"] == 2


def test_wrong_poses_in_correct_boxes_lower_only_pose_scores(tmp_path: Path) -> None:
    ground_truth = file(tmp_path / "a.json", *three())
    measures = score_tracks(ground_truth, file(tmp_path / "b.json", *three(pose_shift=50))).measures
    assert np.mean(measures["box_hota"].combined["HOTA"]) == pytest.approx(1)
    assert np.mean(measures["oks_hota"].combined["HOTA"]) < 0.1


def test_files_without_keypoints_are_scored_by_boxes_and_say_so(tmp_path: Path) -> None:
    ground_truth, tracks = file(tmp_path / "a.json", *three()), file(tmp_path / "b.txt", *three())
    scored = score_tracks(ground_truth, tracks)
    assert list(scored.measures) == WITH_POSES[:3]
    assert scored.measures["box_clear"].combined["MOTA"] == 1
    assert "Poses are not scored" in scored.notes[0]


def test_posetracks_neck_and_head_are_not_held_against_coco_eyes(tmp_path: Path) -> None:
    poses = three()
    for one in poses:
        one.keypoints[:, 1:3, :2] += 500
    ground_truth = file(tmp_path / "a.json", *three())
    tracks = file(tmp_path / "b.json", *poses, skeleton=POSETRACK_SKELETON)
    both = score_tracks(tracks, ground_truth).measures["oks_hota"].combined
    assert np.mean(both["HOTA"]) == pytest.approx(1)


def test_frames_are_paired_by_number(tmp_path: Path) -> None:
    ground_truth = file(tmp_path / "a.json", frame(4, 1), frame(6, 1))
    tracks = file(tmp_path / "b.json", frame(4, 1), frame(5, 1), frame(6, 1))
    scored = score_tracks(ground_truth, tracks)
    clear = scored.measures["box_clear"].combined
    assert (clear["CLR_TP"], clear["CLR_FP"], clear["CLR_Frames"]) == (2, 1, 3)
    assert scored.notes == (
        "b.json has 1 boxes in frames that a.json lacks; they count as false positives. "
        "Was it made with another stride, or from another part of the video?",
    )


def test_an_empty_file_has_no_people(tmp_path: Path) -> None:
    ground_truth, tracks = file(tmp_path / "a.json", *three()), file(tmp_path / "b.json")
    assert score_tracks(ground_truth, tracks).measures["box_clear"].combined["CLR_FN"] == 6
    assert score_tracks(tracks, tracks).measures["box_clear"].combined["CLR_FN"] == 0


def test_folders_are_paired_by_name_whatever_the_format(tmp_path: Path) -> None:
    for name, suffix in (("one", "json"), ("two", "csv")):
        file(tmp_path / "truth" / f"{name}.json", *three())
        file(tmp_path / "tracks" / f"{name}.{suffix}", *three(swapped=name == "two"))
    (tmp_path / "tracks" / "film.mp4").write_bytes(b"")
    done: list[str] = []
    scored = score_tracks(tmp_path / "truth", tmp_path / "tracks", on_sequence=done.append)
    assert done == ["one", "two"]
    clear = scored.measures["box_clear"]
    assert [clear.sequences[name]["IDSW"] for name in done] == [0, 2]
    assert clear.combined["CLR_TP"] == 12


# Two files that may not fit


def test_another_image_size_is_rejected(tmp_path: Path) -> None:
    ground_truth = file(tmp_path / "a.json", *three())
    tracks = file(tmp_path / "b.json", *three(), video=VIDEO | {"width": 1280})
    with pytest.raises(InputError, match=r"a\.json has 640 x 480 pixels, .*b\.json 1280 x 480"):
        score_tracks(ground_truth, tracks)


@pytest.mark.parametrize(
    ("key", "value", "what"), [("sha256", "b" * 64, "content"), ("frames", 9, "number of frames")]
)
def test_another_video_is_noted(key: str, value: object, what: str, tmp_path: Path) -> None:
    ground_truth = file(tmp_path / "a.json", *three())
    tracks = file(tmp_path / "b.json", *three(), video=VIDEO | {key: value})
    (note,) = score_tracks(ground_truth, tracks).notes
    assert note.startswith(f"a.json and b.json were made from videos with different {what}")


def test_ground_truth_without_people_is_noted(tmp_path: Path) -> None:
    ground_truth = file(tmp_path / "a.json", *(frame(number) for number in range(3)))
    notes = score_tracks(ground_truth, file(tmp_path / "b.json", *three())).notes
    assert any("a.json has no people" in note for note in notes)


def test_an_incomplete_run_is_noted(tmp_path: Path) -> None:
    ground_truth = file(tmp_path / "a.json", *three())
    tracks = file(tmp_path / "b.json", frame(0, 1, 2), complete=False)
    (note,) = score_tracks(ground_truth, tracks).notes
    assert note.startswith("b.json is incomplete")


def test_a_missing_file_of_a_folder_is_named_with_the_one_it_may_be(tmp_path: Path) -> None:
    file(tmp_path / "truth" / "street_1.json", *three())
    file(tmp_path / "tracks" / "street1.json", *three())
    with pytest.raises(
        InputError, match=r"no result for the sequence 'street_1'\. Did you mean 'street1\.json'"
    ):
        score_tracks(tmp_path / "truth", tmp_path / "tracks")


def test_two_files_of_one_name_are_rejected(tmp_path: Path) -> None:
    for suffix in ("json", "csv"):
        file(tmp_path / "truth" / f"a.{suffix}", *three())
    with pytest.raises(InputError, match=r"a\.csv and .*a\.json have the same name"):
        score_tracks(tmp_path / "truth", tmp_path / "truth")


def test_folder_with_file_and_missing_or_empty_folders_are_rejected(tmp_path: Path) -> None:
    path = file(tmp_path / "a" / "a.json", *three())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="Give two files or two folders"):
        score_tracks(tmp_path / "a", path)
    with pytest.raises(InputError, match="There is no file or folder"):
        score_tracks(path, tmp_path / "b.json")
    with pytest.raises(InputError, match="has no result files"):
        score_tracks(tmp_path / "empty", tmp_path / "empty")


def test_a_repeated_id_in_a_frame_is_rejected_with_its_place(tmp_path: Path) -> None:
    ground_truth = file(tmp_path / "a.json", *three())
    tracks = file(tmp_path / "b.json", frame(0, 1, 2))
    tracks.write_text(tracks.read_text().replace('"track_id":2', '"track_id":1'))
    with pytest.raises(InputError, match=r"b\.json, frame 0, person 1: track id 1 occurs twice"):
        score_tracks(ground_truth, tracks)
