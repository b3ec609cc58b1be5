"""COCO-like files as CocoVID tools, CVAT, VIA and pandas write them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import paths

from kprtrack.cli.main import main
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS
from kprtrack.io import Selection, read_people, read_tracks

CASES = paths.SHARED / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
# Keypoint row k of person p is at x = 100 p + k.
JOINTS = [number for row in range(17) for number in (100.0 + row, 50.0 + row, 2)]


def write(folder: Path, annotations: list[dict[str, Any]], images: int | list[Any] = 2, **more: Any) -> Path:
    listed = [{"id": number + 1} for number in range(images)] if isinstance(images, int) else images
    path = folder / "a.json"
    path.write_text(json.dumps({"images": listed, "annotations": annotations, **more}))
    return path


def person(image: int, **changes: Any) -> dict[str, Any]:
    return {"image_id": image, "track_id": 1, "bbox": [10, 20, 30, 40]} | changes


def ids_of(path: Path) -> list[list[int]]:
    return [frame.ids.tolist() for frame in read_tracks(path).frames]


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        ([{"track_id": 4}, {"track_id": 5}], [4, 5]),
        ([{"track_id": 4.0}, {"track_id": 5.0}], [4, 5]),
        ([{"attributes": {"track_id": 0}}, {"attributes": {"track_id": 3, "occluded": True}}], [1, 4]),
        ([{"instance_id": 7}, {"instance_id": 9}], [7, 9]),
        # A column counts as a whole: other numbers are no track IDs of the file.
        ([{"track_id": 4, "instance_id": 8}, {"track_id": 5, "instance_id": 4}], [4, 5]),
        ([{"track_id": -1, "instance_id": 8}, {"track_id": None, "instance_id": 4}], [8, 4]),
    ],
)
def test_track_ids_are_found_where_programs_store_them(
    tmp_path: Path, keys: list[dict[str, Any]], ids: list[int]
) -> None:
    people = [{"image_id": 1, "bbox": [10 * row, 0, 5, 5]} | each for row, each in enumerate(keys)]
    frame = read_tracks(write(tmp_path, people)).frames[0]
    assert frame.ids.tolist() == ids


@pytest.mark.parametrize(
    "value", [2**53, 2**53 + 1, 2**63, 2**70, 2.0**53, -2, -1.5, 1.5, "1", True, [1]], ids=repr
)
def test_track_ids_that_are_not_exact_in_every_format_are_an_error(tmp_path: Path, value: object) -> None:
    with pytest.raises(InputError, match=r"annotation 0.* must be a non-negative integer below"):
        read_tracks(write(tmp_path, [person(1, track_id=value)]))


@pytest.mark.parametrize("suffix", ["csv", "json", "txt", "jsonl"])
def test_the_largest_track_id_is_exact_in_every_format(tmp_path: Path, suffix: str) -> None:
    source, target = write(tmp_path, [person(1, track_id=2**53 - 2)], 1), tmp_path / f"o.{suffix}"
    assert main(["convert", str(source), str(target)]) == 0
    assert ids_of(target) == [[2**53 - 2]]


@pytest.mark.parametrize("keypoints", [{}, {"keypoints": None}, {"keypoints": [], "num_keypoints": 0}])
def test_people_without_keypoints_have_unknown_ones(tmp_path: Path, keypoints: dict[str, Any]) -> None:
    people = [person(1, **keypoints), person(2, keypoints=JOINTS)]
    frames = read_tracks(write(tmp_path, people)).frames
    assert not frames[0].keypoints.any() and frames[1].keypoints[..., 2].all()


@pytest.mark.parametrize(
    ("images", "eye_x"),
    [
        ([{"id": 1, "frame_id": 0, "video_id": 1}], 101.0),  # CocoVID without names: COCO's order
        ([{"id": 10_000_010_000, "frame_id": 10_000_010_000}], 0.0),  # PoseTrack's: row 1 is the neck
    ],
)
def test_keypoints_without_names_are_in_cocos_order_but_for_posetracks_images(
    tmp_path: Path, images: list[Any], eye_x: float
) -> None:
    people = [person(images[0]["id"], keypoints=JOINTS)]
    path = write(tmp_path, people, images, categories=[{"id": 1, "name": "person"}])
    eye = read_tracks(path).frames[0].keypoints[0, KEYPOINTS.index("left_eye")]
    assert eye[0] == eye_x and eye[2] == (eye_x > 0)


def test_names_in_the_category_decide_the_order_of_cocovid_too(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "person", "keypoints": list(POSETRACK_KEYPOINTS)}]
    images = [{"id": 1, "frame_id": 0, "video_id": 1}]
    path = write(tmp_path, [person(1, keypoints=JOINTS)], images, categories=categories)
    assert read_tracks(path).frames[0].keypoints[0, 1, 2] == 0


def test_frame_ids_of_cocovid_are_the_frame_numbers_in_any_order(tmp_path: Path) -> None:
    images = [{"id": row + 1, "frame_id": frame, "video_id": 3} for row, frame in enumerate((10, 0, 5))]
    people = [person(row + 1, track_id=row + 1) for row in range(3)]
    frames = read_tracks(write(tmp_path, people, images)).frames
    assert [(frame.frame_number, frame.ids.tolist()) for frame in frames] == [(0, [2]), (5, [3]), (10, [1])]


def two_videos(folder: Path, key: str = "video_id") -> Path:
    """Video 1 ("a") has track 1 in frames 0 and 1, video 2 ("b") track 2 in frames 0 and 1."""
    images = [
        {"id": 2 * video + frame, key: video, "frame_id": frame} for video in (1, 2) for frame in (0, 1)
    ]
    people = [person(image["id"], track_id=image[key]) for image in images]
    names = {"videos": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]} if key == "video_id" else {}
    return write(folder, people, images, **names)


@pytest.mark.parametrize(("key", "names"), [("video_id", "a, b"), ("vid_id", "1, 2")])
def test_several_videos_are_an_error_that_names_them(tmp_path: Path, key: str, names: str) -> None:
    with pytest.raises(InputError, match=f"several videos: {names}. Choose one with sequence=NAME"):
        read_tracks(two_videos(tmp_path, key))


@pytest.mark.parametrize(("sequence", "ids"), [("a", [[1], [1]]), ("B", [[2], [2]]), ("2", [[2], [2]])])
def test_one_of_several_videos_is_read(tmp_path: Path, sequence: str, ids: list[list[int]]) -> None:
    tracks = read_tracks(two_videos(tmp_path), select=Selection(sequence=sequence))
    assert [frame.frame_number for frame in tracks.frames] == [0, 1]
    assert [frame.ids.tolist() for frame in tracks.frames] == ids


@pytest.mark.parametrize(
    ("images", "more", "message"),
    [
        ([{"id": 1, "video_id": 1}, {"id": 2}], {}, "image 1: video_id None must be the number of a video"),
        ([{"id": 1}], {"videos": [{"id": 1}, {"id": 2}]}, "2 videos, but its images have no video_id"),
        ([{"id": 1, "frame_id": 0}, {"id": 2, "frame_id": 0}], {}, "image 1: frame_id 0 is repeated"),
        ([{"id": 1, "frame": 0}, {"id": 2, "frame": 1.5}], {}, "image 1: frame 1.5 must be a whole number"),
        ([{"id": 1, "frame": 2**53}], {}, "frame 9007199254740992 must be a whole number"),
        ([{"id": 1, "time": float("inf")}], {}, "image 0, time: inf is not a number of seconds"),
        ([{"id": 1, "width": 12.5, "height": 9}], {}, "image 0: width is 12.5, no number of pixels"),
        ([{"id": 1, "width": 10**12, "height": 9}], {}, "width is 1000000000000, no number of pixels"),
        ([{"id": 1.5}], {}, "its id 1.5 must be a whole number or text"),
    ],
)
def test_wrong_images_are_an_error(
    tmp_path: Path, images: list[Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_people(write(tmp_path, [], images, **more))


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ({"width": 320, "height": 240}, (320, 240)),
        ({"width": 320.0, "height": 240.0}, (320, 240)),
        ({"width": -1, "height": -1}, None),  # VIA without the images
        ({"width": None}, None),
        ({}, None),
    ],
)
def test_the_size_of_all_images_is_the_size_of_the_video(
    tmp_path: Path, sides: dict[str, Any], size: tuple[int, int] | None
) -> None:
    video = read_people(write(tmp_path, [], [{"id": 1.0} | sides, {"id": 2} | sides])).header.video
    assert (video.get("width"), video.get("height")) == (size or (None, None))


def test_a_choice_for_a_format_without_categories_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1,7,10,20,30,40\n")
    with pytest.raises(UserError, match="neither categories nor videos to choose"):
        read_tracks(tmp_path / "a.txt", select=Selection("player"))


def test_categories_and_videos_are_chosen_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    categories = [{"id": 1, "name": "ball"}, {"id": 2, "name": "player"}]
    people = [person(1, category_id=1), person(1, category_id=2, track_id=5)]
    source, target = str(write(tmp_path, people, 1, categories=categories)), tmp_path / "o.csv"
    assert main(["convert", source, str(target)]) == 3
    assert "called person: ball, player. Choose one with --category NAME." in capsys.readouterr().err
    assert main(["convert", source, str(target), "--category", "player"]) == 0
    assert ids_of(target) == [[5]]
    assert main(["eval", "tracks", source, str(target), "--category", "player", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["box_hota"]["HOTA"] == 1


@needs_cases
@pytest.mark.parametrize(
    ("name", "first_ids", "joints"),
    [
        ("coco-category-names/catped", [1, 2], 17),
        ("cocovid-taken-for-posetrack/nonames", [1, 2], 17),
        ("cocovid-taken-for-posetrack/nonames_frameid", [1, 2], 17),
        ("cvat-track-id-in-attributes/cvat_attr", [1, 2], 17),
        ("empty-keypoints-list/emptykp", [1, 2], 0),
        ("float-ids/float_track", [1, 2], 17),
    ],
)
def test_the_shared_cases_are_read(name: str, first_ids: list[int], joints: int) -> None:
    frames = read_tracks(CASES / f"{name}.json").frames
    assert [frame.frame_number for frame in frames] == [0, 1, 2, 3]
    assert frames[0].ids.tolist() == first_ids
    assert np.count_nonzero(frames[0].keypoints[0, :, 2]) == joints


@needs_cases
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coco-category-names/bike_as_person", "bicycle, pedestrian"),
        ("two-videos-in-one-coco/twovid", "a, b"),
    ],
)
def test_the_shared_cases_that_are_ambiguous_are_errors(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_tracks(CASES / f"{name}.json")
