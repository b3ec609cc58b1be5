"""CSV of other programs and countries: pandas writes it, or it is in the form that a program documents."""

from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.errors import InputError
from kprtrack.io import read_tracks

BOXES = [[10.5, 20.25, 40.5, 80.75], [100.0, 20.0, 130.0, 81.5]]
ROWS = {"frame": [0, 3], "track_id": [7, 9], "x": [10.5, 100.0], "y": [20.25, 20.0], "width": [30.0, 30.0]}
TABLE = ROWS | {"height": [60.5, 61.5], "score": [0.75, 1.0]}
CORNERS = {"x2": [40.5, 130.0], "y2": [80.75, 81.5]}


def table(columns: dict[str, list[float]], separator: str = ",", decimal: str = ".") -> str:
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return "\n".join(separator.join(str(cell).replace(".", decimal) for cell in row) for row in rows) + "\n"


def renamed(names: dict[str, str]) -> dict[str, list[float]]:
    return {names.get(name, name): values for name, values in TABLE.items()}


def check(folder: Path, text: str, scores: tuple[float, float] = (0.75, 1.0)) -> None:
    (folder / "t.csv").write_text(text)
    frames = read_tracks(folder / "t.csv").frames
    assert [(tracks.frame_number, tracks.ids.tolist()) for tracks in frames] == [(0, [7]), (3, [9])]
    np.testing.assert_allclose(np.concatenate([tracks.boxes for tracks in frames]), BOXES)
    np.testing.assert_allclose(np.concatenate([tracks.scores for tracks in frames]), scores)


@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ",")]
)
def test_separators_and_decimal_commas_are_read(tmp_path: Path, separator: str, decimal: str) -> None:
    check(tmp_path, table(TABLE, separator, decimal))


def test_pandas_european_tables_are_read(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    check(tmp_path, pandas.DataFrame(TABLE).to_csv(sep=";", decimal=",", index=False))


@pytest.mark.parametrize(
    "names",
    [
        {
            "x": "bb_left",
            "y": "bb_top",
            "width": "bb_width",
            "height": "bb_height",
            "track_id": "id",
            "score": "conf",
        },
        {"frame": "Frame Number", "track_id": "Person_ID", "x": "Left", "y": "Top", "score": "Confidence"},
        {"frame": "frame_idx", "track_id": "object_id", "x": "bbox_x", "width": "bbox_w", "height": "bbox_h"},
    ],
)
def test_names_of_other_programs_are_read(tmp_path: Path, names: dict[str, str]) -> None:
    check(tmp_path, table(renamed(names)))


def test_corners_take_the_place_of_sizes(tmp_path: Path) -> None:
    columns = {name: values for name, values in TABLE.items() if name not in ("width", "height")} | CORNERS
    check(tmp_path, table(columns))


def test_supervisions_csv_sink_is_read(tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision")
    with sv.CSVSink(str(tmp_path / "sink.csv")) as sink:
        for frame, box, number in ((0, BOXES[0], 7), (3, BOXES[1], 9)):
            people = sv.Detections(
                np.array([box]),
                confidence=np.array([0.5]),
                class_id=np.array([0]),
                tracker_id=np.array([number]),
            )
            sink.append(people, {"frame_index": frame})
    check(tmp_path, (tmp_path / "sink.csv").read_text(), scores=(0.5, 0.5))


def test_our_own_names_come_first(tmp_path: Path) -> None:
    check(tmp_path, table(TABLE | {"id": [1, 1], "left": [0, 0], "x2": [5, 5]}))


def test_a_decimal_comma_in_a_table_of_commas_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("frame,x,y,width,height\n0,1,5,2,3,4\n")
    with pytest.raises(InputError, match="line 2: 6 cells, but there are 5 columns"):
        read_tracks(tmp_path / "t.csv")
