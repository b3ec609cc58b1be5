"""Invalid result files, and the messages about them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.errors import InputError
from kprtrack.io import read_tracks


def person(**changes: object) -> dict[str, object]:
    return {"track_id": 1, "bbox": [10, 20, 30, 40], "score": 0.9, "keypoints": [5.0] * 51} | changes


def document(*people: dict[str, object], **changes: object) -> dict[str, object]:
    frames = [{"frame": 4, "time": 0.2, "people": list(people)}]
    return {"format": "kprtrack", "version": 1, "frames": frames, "complete": True} | changes


def nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value


def read_json(folder: Path, data: object) -> None:
    (folder / "t.json").write_text(json.dumps(data))
    read_tracks(folder / "t.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            document(person(bbox=[float("nan"), 0, 1, 1])),
            "frame 4, person 0: a box that is missing or not finite",
        ),
        (document(person(), person(track_id=2, bbox=None)), "frame 4, person 1: a box that is missing"),
        (document(person(bbox=[1, 2, -3, 4])), "frame 4, person 0: a negative width or height .*1 2 -3 4"),
        (document(person(bbox=[1, 2, 3])), '"bbox" has 3 numbers, expected 4'),
        (document(person(bbox=[1, 2, 3, "4"])), "frame 4, person 0: '4' is not a number"),
        (document(person(bbox="here")), '"bbox" must be a list of 4 numbers'),
        (document(person(), person()), "frame 4, person 1: track id 1 occurs twice in frame 4"),
        (document(person(track_id=0)), "no track id"),
        (document(person(track_id="one")), '"track_id" must be a whole number'),
        (document(person(keypoints=[1.0] * 45)), r'"keypoints" has 45 numbers \(15 keypoints\), expected 51'),
        (document(person(keypoints=[float("inf")] * 51)), "a keypoint that is not finite"),
        (document(person(score=float("inf"))), "a score or distance that is not finite"),
        (document(person(reid={"visible_parts": [-1]})), '"visible_parts" must be a list of part numbers'),
        (document(person(reid=[1])), '"reid" must be an object'),
        (document(version=9), "version 9 of the kprtrack format.*Update"),
        (document(frames=None), 'no list "frames"'),
        (document(frames=[{"time": 1}]), 'it needs "frame"'),
        (document(frames=[{"frame": 10**400}]), 'it needs "frame"'),
        (document(frames=[{"frame": 1, "parts": 10**12}]), '"parts" must be a number up to'),
        (document(person(bbox=[10**400, 1, 1, 1])), "a number of 401 digits"),
        (document(person(bbox=[1e300, 1, 1, 1])), "a box that is missing or not finite"),
        (document(frames=[{"frame": 1}, {"frame": 1}]), "frame 1 comes after frame 1"),
        (document(skeleton={"names": ["nose"] * 15}), "skeleton of 15 keypoints"),
        (document(skeleton={"names": ["nose"] * 17}), "keypoint 1 is called 'nose', but .* 'left_eye'"),
        (document(config=nested(200)), "header is nested more than 32 deep"),
        (document(video={"path": nested(40)}), "header is nested more than 32 deep"),
        (document(person(score=37.2)), "frame 4, person 0: a score outside 0 to 1"),
        (document(person(score=-1)), "a score outside 0 to 1"),
        (document(person(keypoints=[1, 1, -0.5] * 17)), "a keypoint with a negative score"),
        ([{"image_id": 3, "bbox": [1, 2, 3, 4], "score": 37.2, "track_id": 1}], "a score outside 0 to 1"),
        (
            {
                "images": [{"id": 10000010001}],
                "annotations": [{"image_id": 10000010001, "bbox": [1, 2, 3, 4], "score": -1, "track_id": 1}],
            },
            "annotation 0: a score outside 0 to 1",
        ),
        ({"hello": 1}, "no result file"),
        (["text"], '"annotations" must be a list of objects'),
        (
            {"images": [{"id": 1}], "annotations": [{"image_id": 2}]},
            "annotation 0 .*image_id 2 is not one of the 1 images",
        ),
        ({"images": [{"id": 1}, {"id": 1}], "annotations": []}, "image 1: id 1 is repeated"),
        ([{"image_id": 10000010003, "bbox": [1, 2, 3, 4]}], "is no frame number"),
        ([{"image_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}], "annotation 0: no track id"),
    ],
)
def test_json_that_cannot_be_tracks_is_rejected(tmp_path: Path, data: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_json(tmp_path, data)
    assert str(tmp_path / "t.json") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.json", "", "is empty"),
        ("t.json", '{"format": "kprtrack",\n', "line 2, column 1: this is not valid JSON"),
        ("t.json", "[" * 100_000, "not valid JSON|nested too deeply"),
        ("t.jsonl", "", "is empty"),
        ("t.jsonl", '{"frame": 0}\n', 'it lacks "format"'),
        ("t.jsonl", '{"format": "kprtrack", "version": 1}\nnonsense\n{}\n', "line 2: this is not valid JSON"),
        ("t.csv", "", "is empty"),
        ("t.csv", "frame,x,y\n0,1,2\n", "has no column width, height"),
        ("t.csv", "frame,track_id,x,y,width,height\n0,1,2,3,4\n", "line 2: 5 cells, but there are 6"),
        ("t.csv", "frame,track_id,x,y,width,height\n0,1,2,3,four,5\n", "line 2, column width: 'four' is not"),
        (
            "t.csv",
            "frame,track_id,x,y,width,height\n0,1,2,3,4,5\n0,1,2,3,4,5\n",
            "line 3: track id 1 occurs twice",
        ),
        (
            "t.csv",
            "frame,track_id,x,y,width,height\n-1,1,2,3,4,5\n",
            "line 2: frame -1 must be a whole",
        ),
        (
            "t.csv",
            "frame,track_id,x,y,width,height\n0,1,2,3,nan,5\n",
            "line 2: a box that is missing or not finite",
        ),
        (
            "t.csv",
            "frame,track_id,x,y,width,height,visible_parts\n0,1,2,3,4,5,a\n",
            "visible_parts must hold part numbers",
        ),
        ("t.csv", "frame,track_id,x,y,width,height,parts\n0,1,2,3,4,5,1e12\n", "part numbers"),
        (
            "t.csv",
            "frame,track_id,x,y,width,height\n0,1.5,2,3,4,5\n",
            "line 2: track_id 1.5 must be a whole number",
        ),
        ("t.txt", "1,1,10,20,30\n", "line 1 has 5 columns"),
        ("t.txt", "1,1,10,20,30,40,1\n\n2,1,10,20,30,40\n", "line 3 has 6 columns, line 1 has 7"),
        ("t.txt", "1,1,10,20,30,40\n1,2,10,x,30,40\n", "line 2: 'x' is not a number"),
        ("t.txt", "1,1,10,20,30,40\n0,1,10,20,30,40\n", "line 2: frame 0, but frames count from 1"),
        ("t.txt", "1,1.5,10,20,30,40\n", "line 1: frame 1 and id 1.5 must be whole"),
        ("t.txt", "2,1,10,20,30,40\n1,1,10,20,-30,40\n", "line 2: a negative width"),
        ("t.txt", "1,1,10,20,30,nan\n", "line 1: a box that is missing or not finite"),
        ("t.txt", "1,7,1,2,3,4\n1,7,1,2,3,4\n", "line 2: track id 7 occurs twice in frame 0"),
        ("t.txt", "1,7,1,2,3,4,0.5\n1,8,1,2,3,4,37.2\n", "line 2: a score outside 0 to 1"),
        ("t.txt", "1,7,1,2,3,4,-0.5\n", "line 1: a score outside 0 to 1"),
        ("t.csv", "frame,track_id,x,y,width,height,score\n0,1,2,3,4,5,1.01\n", "line 2: a score outside"),
        ("t.txt", "1,-1,1,2,3,4\n", "no track id .*--detector file"),
        ("t.parquet", "not parquet", "Cannot read"),
        ("t.json.part", "{}", "unfinished file"),
    ],
)
def test_text_that_cannot_be_tracks_is_rejected(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_tracks(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir])
def test_a_missing_file_or_a_folder_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "t.json")
    with pytest.raises(InputError, match=r"t\.json"):
        read_tracks(tmp_path / "t.json")


def test_random_bytes_are_rejected_by_every_reader(tmp_path: Path) -> None:
    for suffix in (".json", ".jsonl", ".csv", ".txt", ".parquet"):
        path = tmp_path / f"t{suffix}"
        path.write_bytes(bytes(range(256)) * 4)
        with pytest.raises(InputError):
            read_tracks(path)


def test_an_empty_mot_file_has_no_people(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("")
    assert read_tracks(tmp_path / "t.txt").frames == []


def test_a_mot_score_of_minus_one_is_unknown_as_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("1,7,1,2,3,4,-1,-1,-1,-1\n1,8,1,2,3,4,0.25,-1,-1,-1\n")
    (tracks,) = read_tracks(tmp_path / "t.txt").frames
    assert tracks.scores.tolist() == [1.0, 0.25]


@pytest.mark.slow
def test_a_parquet_file_that_unpacks_to_far_more_is_rejected(tmp_path: Path) -> None:
    """20 million rows of zeros pack to less than a megabyte."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    column = pyarrow.array(np.zeros(1_000_000, np.float32))
    table = pyarrow.table({name: column for name in ("frame", "track_id", "x", "y", "width", "height")})
    path = tmp_path / "t.parquet"
    with parquet.ParquetWriter(path, table.schema) as writer:
        for _ in range(20):
            writer.write_table(table)
    assert path.stat().st_size < 2_000_000
    with pytest.raises(InputError, match="unpacks to 960,000,000 bytes"):
        read_tracks(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x": ["a", "b"]}, "column x holds string"),
        ({"x": [[1.0], [2.0]]}, "column x holds list"),
        ({"visible_parts": ["0 1", "9" * 6000]}, "a cell of visible_parts has 6000 characters"),
    ],
)
def test_parquet_columns_of_other_types_are_rejected(
    tmp_path: Path, values: dict[str, list[object]], message: str
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {name: [1.0, 2.0] for name in ("frame", "track_id", "x", "y", "width", "height")} | values
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=message):
        read_tracks(tmp_path / "t.parquet")


def test_parquet_metadata_that_is_no_json_is_rejected(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {name: [1.0] for name in ("frame", "track_id", "x", "y", "width", "height")}
    table = pyarrow.table(columns).replace_schema_metadata({"kprtrack": "{"})
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match="is no JSON"):
        read_tracks(tmp_path / "t.parquet")
