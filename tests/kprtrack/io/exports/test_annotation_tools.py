"""CVAT, Label Studio, subtitles and Excel: documents by the rules of the tools, read with other libraries."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from support.export_cases import (
    FPS,
    FRAMES,
    HEIGHT,
    PRESENT,
    WIDTH,
    box_of,
    export,
    keypoints_of,
    tracks_of,
    without,
    without_times,
)

from kprtrack.core.errors import InputError, UserError
from kprtrack.io import ConvertOptions, convert, read_tracks

NAMES = {"cvat": "o.xml", "label-studio": "o.json"}


@pytest.mark.parametrize("format", NAMES)
def test_boxes_and_identities_come_back_from_annotation_tools(tmp_path: Path, format: str) -> None:
    file = read_tracks(export(tmp_path, NAMES[format], format)[0])
    assert {tracks.frame_number: tuple(tracks.ids) for tracks in file.frames} == {
        frame: ids for frame, ids in PRESENT.items() if ids
    }
    assert (file.header.video["width"], file.header.video["height"]) == (WIDTH, HEIGHT)
    for tracks in file.frames:
        for row, track_id in enumerate(tracks.ids.tolist()):
            np.testing.assert_allclose(tracks.boxes[row], box_of(track_id, tracks.frame_number), atol=0.011)


@pytest.mark.parametrize("format", NAMES)
def test_a_corrected_identity_keeps_its_poses(tmp_path: Path, format: str) -> None:
    (path,) = export(tmp_path, NAMES[format], format)
    corrected = path.read_text().replace('">7<', '">5<').replace('["7"]', '["5"]')
    path.write_text(corrected)
    convert(path, tmp_path / "c.csv", options=ConvertOptions(poses=tmp_path / "tracks.json"))
    frames = read_tracks(tmp_path / "c.csv").frames
    assert {each for tracks in frames for each in tracks.ids.tolist()} == {2, 5}
    for tracks in frames:
        for row, track_id in enumerate(tracks.ids.tolist()):
            truth = keypoints_of(7 if track_id == 5 else 2, tracks.frame_number)
            np.testing.assert_allclose(tracks.keypoints[row], truth, atol=0.006)


def edited_cvat(text: str) -> str:
    """Frame 6 of person 7 becomes person 9, the boxes of person 2 move, and a new track has no ID."""
    root = ElementTree.fromstring(text)
    for box in root.iter("box"):
        attribute = box.find("attribute")
        assert attribute is not None
        if (attribute.text, box.get("frame")) == ("7", "6"):
            attribute.text = "9"
        elif attribute.text == "2":
            shift = 300 if box.get("frame") == "4" else 10
            for side in ("xtl", "xbr"):
                box.set(side, str(float(box.get(side, "")) + shift))
    new = '<track id="2" label="person" source="manual"><box frame="4" keyframe="1" outside="0" occluded="0"'
    new += ' xtl="1" ytl="2" xbr="30" ybr="40"><attribute name="track_id"></attribute></box></track>'
    root.insert(2, ElementTree.fromstring(new))  # the second track
    return ElementTree.tostring(root, encoding="unicode")


def edited_label_studio(text: str) -> str:
    """The same."""
    (task,) = json.loads(text)
    first, second = task["annotations"][0]["result"]
    for keyframe in first["value"]["sequence"]:
        keyframe["x"] += (300 if keyframe["frame"] == 5 else 10) / WIDTH * 100
    sequence = second["value"]["sequence"]
    value = {**second["value"], "sequence": sequence[-1:]}
    merged = {**second, "id": "a1", "value": value, "meta": {"text": ["9"]}}
    second["value"]["sequence"] = sequence[:-1]
    box = {"x": 100 / WIDTH, "y": 200 / HEIGHT, "width": 2900 / WIDTH, "height": 3800 / HEIGHT}
    added = {**box, "frame": 5, "enabled": False, "rotation": 0, "time": 0.16}
    new = {**second, "id": "b2", "value": {**second["value"], "sequence": [added]}, "meta": {}}
    task["annotations"][0]["result"] += [merged, new]
    return json.dumps([task])


@pytest.mark.parametrize(("format", "edit"), [("cvat", edited_cvat), ("label-studio", edited_label_studio)])
def test_edits_come_back_with_poses_and_frames_without_people(
    tmp_path: Path, format: str, edit: Callable[[str], str]
) -> None:
    (path,) = export(tmp_path, NAMES[format], format)
    path.write_text(edit(path.read_text()))
    convert(path, tmp_path / "c.json", options=ConvertOptions(poses=tmp_path / "tracks.json"))
    frames = {tracks.frame_number: tracks for tracks in read_tracks(tmp_path / "c.json").frames}
    people = {number: sorted(tracks.ids.tolist()) for number, tracks in frames.items()}
    assert people == {0: [2, 7], 1: [2, 7], 2: [2, 7], 3: [], 4: [1, 2], 6: [2, 9]}
    for number, tracks in frames.items():
        assert tracks.time_s == pytest.approx(number / FPS)
        for row, track_id in enumerate(tracks.ids.tolist()):
            source = {1: None, 9: 7}.get(track_id, track_id)
            if source is None or (track_id == 2 and number == 4):  # moved away from its pose
                assert not tracks.keypoints[row].any()
                continue
            np.testing.assert_allclose(tracks.keypoints[row], keypoints_of(source, number), atol=0.006)
            moved = [10, 0, 10, 0] if track_id == 2 else [0, 0, 0, 0]
            np.testing.assert_allclose(tracks.boxes[row], box_of(source, number) + moved, atol=0.02)


@pytest.mark.parametrize(("format", "edit"), [("cvat", '">7<'), ("label-studio", '["7"]')])
def test_merged_people_who_are_in_one_frame_are_an_error_that_names_it(
    tmp_path: Path, format: str, edit: str
) -> None:
    (path,) = export(tmp_path, NAMES[format], format)
    path.write_text(path.read_text().replace(edit, edit.replace("7", "2")))
    with pytest.raises(InputError, match="track id 2 occurs twice in frame 0"):
        read_tracks(path)


@pytest.mark.parametrize("format", NAMES)
def test_a_result_without_people_is_written_and_read(tmp_path: Path, format: str) -> None:
    (path,) = export(tmp_path, NAMES[format], format, frames=[tracks_of(number, ()) for number in range(3)])
    assert read_tracks(path, format).frames == []
    convert(path, tmp_path / "c.json", format, options=ConvertOptions(poses=tmp_path / "tracks.json"))
    assert [len(tracks) for tracks in read_tracks(tmp_path / "c.json").frames] == [0, 0, 0]


@pytest.mark.parametrize("format", NAMES)
def test_a_stride_does_not_end_the_tracks(tmp_path: Path, format: str) -> None:
    frames = [tracks_of(number, (2,)) for number in (0, 2, 4)]
    text = export(tmp_path, NAMES[format], format, frames=frames)[0].read_text()
    assert text.count('outside="1"') + text.count('"enabled":false') == 1


# --- CVAT: docs.cvat.ai, "XML annotation format", version 1.1, interpolation


def test_cvat_tracks_end_with_a_box_that_is_outside(tmp_path: Path) -> None:
    root = ElementTree.parse(export(tmp_path, "o.xml")[0]).getroot()
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/mode") == "interpolation"
    assert root.findtext("meta/task/size") == "8"
    assert [track.get("id") for track in root.findall("track")] == ["0", "1"]
    second = root.findall("track")[1]
    assert second.get("label") == root.findtext("meta/task/labels/label/name") == "person"
    boxes = [
        (int(box.get("frame")), box.get("outside"), box.get("keyframe")) for box in second.findall("box")
    ]
    there = [(frame, "0", "1") for frame in (0, 1, 2, 6)]
    assert boxes == [*there[:3], (3, "1", "1"), there[3], (7, "1", "1")]
    first = second.find("box")
    assert first is not None
    assert [float(first.get(name)) for name in ("xtl", "ytl", "xbr", "ybr")] == pytest.approx(
        box_of(7, 0), abs=0.006
    )
    attribute = first.find("attribute")
    assert attribute is not None
    assert (attribute.get("name"), attribute.text) == ("track_id", "7")


DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><original_size><width>640</width><height>480</height>
</original_size></task></meta>
<track id="0" label="car">
 <box frame="0" xtl="1" ytl="2" xbr="3" ybr="4" outside="0" occluded="0" keyframe="1"/></track>
<track id="1" label="person" GROUP>
 <box frame="4" xtl="10" ytl="20" xbr="30.5" ybr="60" outside="0" occluded="0" keyframe="1">ATTRIBUTE</box>
 <box frame="5" xtl="11" ytl="20" xbr="31.5" ybr="60" outside="0" occluded="1" keyframe="0">ATTRIBUTE</box>
 <box frame="6" xtl="11" ytl="20" xbr="31.5" ybr="60" outside="1" occluded="1" keyframe="1">ATTRIBUTE</box>
</track></annotations>"""


@pytest.mark.parametrize(
    ("group", "attribute", "track_id"),
    [
        ("", "", 2),
        ('group_id="9"', "", 9),
        ('group_id="9"', '<attribute name="track_id">14</attribute>', 14),
        ("", '<attribute name="gender">male</attribute>', 2),
    ],
)
def test_cvat_identities_are_attributes_groups_or_numbers_of_tracks(
    tmp_path: Path, group: str, attribute: str, track_id: int
) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(DOCUMENT.replace("GROUP", group).replace("ATTRIBUTE", attribute))
    frames = read_tracks(path).frames
    assert [(tracks.frame_number, tracks.ids.tolist()) for tracks in frames] == [
        (4, [track_id]),
        (5, [track_id]),
    ]
    np.testing.assert_allclose(frames[1].boxes, [[11, 20, 31.5, 60]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("<track", "<trick"), "not valid XML"),
        (('xtl="10"', 'xtl="ten"'), 'track 1, frame 4: a corner of the box is not a number .xtl="ten"'),
        (('frame="4"', 'frame="-4"'), "track 1: frame '-4' is no frame number"),
        (('label="person"', 'label="bus"'), "none of the categories is called person|category"),
        (("<annotations>", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotations>"), "defines entities of its own"),
        (("annotations>", "dataset>"), "its first element is 'dataset'"),
    ],
)
def test_wrong_cvat_files_are_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(DOCUMENT.replace("GROUP", "").replace("ATTRIBUTE", "").replace(*change))
    with pytest.raises(InputError, match=message):
        read_tracks(path)


def test_cvat_for_images_says_which_export_to_take(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text('<annotations><image id="0" name="a.png" width="6" height="4"/></annotations>')
    with pytest.raises(InputError, match=r"Export the task as 'CVAT for video 1\.1'"):
        read_tracks(path)


# --- Label Studio: labelstud.io, tag VideoRectangle; frames count from 1, boxes are percent


def region(sequence: list[dict[str, object]], frames: int = 10) -> list[object]:
    value = {"framesCount": frames, "duration": 1, "sequence": sequence, "labels": ["Person"]}
    result = {"id": "ab12", "type": "videorectangle", "value": value, "from_name": "box", "to_name": "video"}
    return [{"id": 1, "annotations": [{"id": 1, "result": [result]}], "data": {"width": 200, "height": 100}}]


def keyframe(frame: int, x: float, *, enabled: bool = True) -> dict[str, object]:
    return {
        "frame": frame,
        "x": x,
        "y": 10,
        "width": 20,
        "height": 50,
        "rotation": 0,
        "enabled": enabled,
        "time": 0,
    }


def read_region(folder: Path, sequence: list[dict[str, object]]) -> dict[int, list[float]]:
    path = folder / "task.json"
    path.write_text(json.dumps(region(sequence)))
    return {tracks.frame_number: tracks.boxes[0].tolist() for tracks in read_tracks(path).frames}


def test_boxes_between_keyframes_are_interpolated(tmp_path: Path) -> None:
    boxes = read_region(tmp_path, [keyframe(2, 0), keyframe(4, 10), keyframe(5, 20, enabled=False)])
    assert list(boxes) == [1, 2, 3, 4]
    assert boxes == {
        1: pytest.approx([0, 10, 40, 60]),
        2: pytest.approx([10, 10, 50, 60]),
        3: pytest.approx([20, 10, 60, 60]),
        4: pytest.approx([40, 10, 80, 60]),
    }


def test_a_region_that_is_not_ended_lasts_to_the_end_of_the_video(tmp_path: Path) -> None:
    assert list(read_region(tmp_path, [keyframe(8, 0)])) == [7, 8, 9]


def test_a_gap_of_a_region_has_no_boxes(tmp_path: Path) -> None:
    sequence = [keyframe(1, 0), keyframe(2, 0, enabled=False), keyframe(6, 5), keyframe(7, 5, enabled=False)]
    assert list(read_region(tmp_path, sequence)) == [0, 1, 5, 6]


def test_label_studios_own_library_interpolates_alike(tmp_path: Path) -> None:
    module = "label_studio_sdk._extensions.label_studio_tools.postprocessing.video"
    video = pytest.importorskip(module)
    sequence = [keyframe(2, 0), keyframe(5, 30), keyframe(7, 8, enabled=False)]
    (theirs,) = video.extract_key_frames(region(sequence)[0]["annotations"][0]["result"])  # type: ignore[index]
    found = {each["frame"] - 1: each["x"] * 2 for each in theirs["value"]["sequence"]}
    boxes = read_region(tmp_path, sequence)
    assert list(boxes) == sorted(found)
    assert [box[0] for box in boxes.values()] == pytest.approx([found[frame] for frame in boxes])


def test_label_studio_regions_are_percent_with_a_keyframe_in_every_frame(tmp_path: Path) -> None:
    (task,) = json.loads(export(tmp_path, "o.json", "label-studio")[0].read_text())
    first, second = task["annotations"][0]["result"]
    assert (first["type"], first["id"], second["meta"]["text"]) == ("videorectangle", "person2", ["7"])
    assert task["data"]["video"] == "clip.mp4"
    value = second["value"]
    assert (value["framesCount"], value["duration"]) == (8, pytest.approx(8 / FPS))
    assert [(each["frame"], each["enabled"]) for each in value["sequence"]] == [
        (1, True),
        (2, True),
        (3, False),
        (7, False),
    ]
    box = box_of(7, 1)
    percent = np.array([box[0] / WIDTH, box[1] / HEIGHT, 180 / WIDTH, 95.5 / HEIGHT]) * 100
    found = [value["sequence"][1][name] for name in ("x", "y", "width", "height")]
    assert found == pytest.approx(percent, abs=1e-3)
    assert value["sequence"][1]["time"] == pytest.approx(1 / FPS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"rotation": 0', '"rotation": 12'), "rotated by 12; upright boxes are read"),
        (('"frame": 8', '"frame": 0'), "frame 0 must be a whole number from 1 on"),
        (('"x": 0', '"x": "left"'), "\"x\" must be a number, not 'left'"),
        (('"width": 200', '"hue": 200'), '"data": "width" must be a number, not None'),
        (('"result"', '"results"'), 'no annotation with a "result"'),
    ],
)
def test_wrong_label_studio_files_are_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "task.json"
    path.write_text(json.dumps(region([keyframe(8, 0)])).replace(*change))
    with pytest.raises(InputError, match=message):
        read_tracks(path)


def test_label_studio_needs_the_size_of_the_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"size of the images of .* is not known, and Label Studio needs it"):
        export(tmp_path, "o.json", "label-studio", header=without("width"))


# --- SRT and Excel


def test_pyav_reads_the_subtitles_of_each_span(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(export(tmp_path, "o.srt")[0])) as file:
        spans = [
            (float(packet.pts * packet.time_base), float(packet.duration * packet.time_base), bytes(packet))
            for packet in file.demux()
            if packet.size
        ]
    assert spans == [
        (0.0, pytest.approx(0.12), b"Person 2, Person 7"),
        (pytest.approx(0.16), pytest.approx(0.08), b"Person 2"),
        (pytest.approx(0.24), pytest.approx(0.04), b"Person 2, Person 7"),
    ]


def test_subtitles_need_times_or_a_rate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"frame rate .* is not known, and SRT needs it"):
        export(tmp_path, "o.srt", frames=without_times(), header=without("fps"))
    text = export(
        tmp_path, "o.srt", frames=without_times(), header=without("fps"), options=ConvertOptions(fps=50)
    )[0].read_text()
    assert text.startswith("1\n00:00:00,000 --> 00:00:00,060\nPerson 2, Person 7\n")


@pytest.mark.slow
def test_pandas_reads_the_sheets_of_the_workbook(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    (path,) = export(tmp_path, "o.xlsx")
    sheets = pandas.read_excel(path, sheet_name=None)
    table, people = sheets["tracks"], sheets["people"]
    assert len(table) == sum(map(len, PRESENT.values()))
    assert people.to_dict("list") == {
        "id": [2, 7],
        "first_frame": [0, 0],
        "last_frame": [6, 6],
        "first_time": [0, 0],
        "last_time": [pytest.approx(6 / FPS)] * 2,
        "frames": [5, 4],
    }
    row = table[(table.frame == 4) & (table.track_id == 2)].iloc[0]
    assert row["left_knee_x"] == pytest.approx(keypoints_of(2, 4)[13, 0])
    assert row["x"] == pytest.approx(box_of(2, 4)[0])


def test_the_workbook_is_read_back_whole(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    frames = read_tracks(export(tmp_path, "o.xlsx")[0]).frames
    wanted = [tracks for tracks in FRAMES if len(tracks)]
    for tracks, truth in zip(frames, wanted, strict=True):
        assert (tracks.frame_number, tracks.ids.tolist()) == (truth.frame_number, truth.ids.tolist())
        np.testing.assert_allclose(tracks.boxes, truth.boxes, atol=0.011)
        np.testing.assert_allclose(tracks.keypoints, truth.keypoints, atol=0.006)
