"""TRC and C3D, read back with pandas and ezc3d: axes, units, rate, labels, gaps, one file for each person."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.export_cases import (
    FPS,
    FRAMES,
    HEADER,
    HEIGHT,
    LEFT_KNEE,
    UNKNOWN,
    export,
    keypoints_of,
    tracks_of,
    without,
    without_times,
)

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_SKELETON
from kprtrack.io import ConvertOptions
from kprtrack.selection import PeopleSelection

# As the marker sets of Pose2Sim for COCO's 17 keypoints call them.
MARKERS = (
    "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist"
    " LHip RHip LKnee RKnee LAnkle RAnkle"
)
ROWS = [0, 1, 2, 3, 4, 5, 6]  # frames of person 2; it is not in 3 and 5


def wanted(track_id: int, frame: int, height: int = HEIGHT) -> np.ndarray:
    """[17, 3] x right, y up from the lower edge, z 0; NaN if unknown."""
    points = keypoints_of(track_id, frame)
    there = points[:, 2] > 0
    xyz = np.stack([points[:, 0], height - points[:, 1], np.zeros(17)], axis=1)
    return np.where(there[:, None], xyz, np.nan)


class Trc:
    """A TRC file, read by pandas alone."""

    def __init__(self, path: Path) -> None:
        pandas = pytest.importorskip("pandas")
        lines = path.read_text().split("\n")
        self.first = lines[0].split("\t")
        self.header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
        self.markers = [cell for cell in lines[3].split("\t")[2:] if cell]
        self.axes = lines[4].split("\t")
        table = pandas.read_csv(path, sep="\t", skiprows=5, header=None, skip_blank_lines=True)
        self.frames, self.times = table[0].tolist(), table[1].to_numpy()
        self.points = table.iloc[:, 2:].to_numpy(float).reshape(len(table), -1, 3)


def test_trc_has_a_file_for_each_person(tmp_path: Path) -> None:
    assert [path.name for path in export(tmp_path, "out.trc")] == ["out_person2.trc", "out_person7.trc"]


def test_trc_of_one_person_has_the_name_that_was_asked_for(tmp_path: Path) -> None:
    paths = export(tmp_path, "out.trc", options=ConvertOptions(PeopleSelection(only=(7,))))
    assert paths == [tmp_path / "out.trc"]
    assert Trc(paths[0]).frames == ROWS


def test_trc_header_names_rate_markers_and_units(tmp_path: Path) -> None:
    file = Trc(export(tmp_path, "out.trc")[0])
    assert file.first == ["PathFileType", "4", "(X/Y/Z)", "out_person2.trc"]
    assert file.header == {
        "DataRate": "25",
        "CameraRate": "25",
        "NumFrames": "7",
        "NumMarkers": "17",
        "Units": "px",
        "OrigDataRate": "25",
        "OrigDataStartFrame": "0",
        "OrigNumFrames": "7",
    }
    assert file.markers == MARKERS.split()
    assert file.axes[2:8] == ["X1", "Y1", "Z1", "X2", "Y2", "Z2"]


def test_trc_has_y_up_from_the_lower_edge_and_empty_cells_in_gaps(tmp_path: Path) -> None:
    for path, person in zip(export(tmp_path, "out.trc"), (2, 7), strict=True):
        file = Trc(path)
        assert file.frames == ROWS
        np.testing.assert_allclose(file.times, np.array(ROWS) / FPS, atol=1e-6)
        for row, frame in enumerate(ROWS):
            here = any(tracks.frame_number == frame and person in tracks.ids for tracks in FRAMES)
            truth = wanted(person, frame) if here else np.full((17, 3), np.nan)
            np.testing.assert_allclose(file.points[row], truth, atol=0.006)
    assert np.isnan(file.points[0, UNKNOWN]).all()


def test_trc_is_in_metres_where_a_scale_is_given(tmp_path: Path) -> None:
    paths = export(tmp_path, "out.trc", options=ConvertOptions(metres_per_pixel=0.01))
    file = Trc(paths[0])
    assert file.header["Units"] == "m"
    np.testing.assert_allclose(file.points[0], wanted(2, 0) / 100, atol=1e-4)


def test_without_the_image_height_y_is_negative_below_the_upper_edge(tmp_path: Path) -> None:
    file = Trc(export(tmp_path, "out.trc", header=without("height"))[0])
    np.testing.assert_allclose(file.points[0], wanted(2, 0, height=0), atol=0.006)


def test_a_stride_divides_the_rate_and_leaves_no_gaps(tmp_path: Path) -> None:
    frames = [tracks_of(number, (2,)) for number in (4, 6, 8, 12)]
    file = Trc(export(tmp_path, "out.trc", frames=frames)[0])
    assert file.frames == [4, 6, 8, 10, 12]
    assert file.header["DataRate"] == "12.5"
    assert file.header["OrigDataStartFrame"] == "4"
    np.testing.assert_allclose(file.times, np.array([4, 6, 8, 10, 12]) / FPS, atol=1e-6)
    assert np.isnan(file.points[3]).all()
    assert not np.isnan(file.points[2]).any()


def test_times_of_the_video_stay_where_the_frame_rate_varies(tmp_path: Path) -> None:
    frames = [replace(tracks_of(number, (2,)), time_s=number**2 / 10) for number in range(4)]
    np.testing.assert_allclose(Trc(export(tmp_path, "out.trc", frames=frames)[0]).times, [0, 0.1, 0.4, 0.9])
    with pytest.raises(UserError, match=r"varies: frame 1 is at 0\.100 s"):
        pytest.importorskip("ezc3d")
        export(tmp_path, "out.c3d", frames=frames)


def test_posetrack_markers_have_neck_and_head(tmp_path: Path) -> None:
    header = replace(HEADER, skeleton=POSETRACK_SKELETON)
    assert Trc(export(tmp_path, "out.trc", header=header)[0]).markers[:3] == ["Nose", "Neck", "Head"]


@pytest.mark.parametrize("name", ["out.trc", "out.c3d"])
def test_without_keypoints_people_or_rate_the_error_says_so(tmp_path: Path, name: str) -> None:
    if name == "out.c3d":
        pytest.importorskip("ezc3d")
    empty: list[Tracks] = [tracks_of(number, ()) for number in range(3)]
    boxes = [replace(tracks, keypoints=np.zeros_like(tracks.keypoints)) for tracks in FRAMES]
    with pytest.raises(InputError, match="has no people: there is nothing to export"):
        export(tmp_path, name, frames=empty)
    with pytest.raises(InputError, match="has no keypoints, which"):
        export(tmp_path, name, frames=boxes)
    with pytest.raises(UserError, match=r"frame rate of .*tracks.json is not known.* --fps 25"):
        export(tmp_path, name, frames=without_times(), header=without("fps"))
    assert not list(tmp_path.glob(f"*{Path(name).suffix}"))


def test_a_chosen_rate_numbers_frames_without_times(tmp_path: Path) -> None:
    options = ConvertOptions(fps=50)
    file = Trc(export(tmp_path, "out.trc", frames=without_times(), header=without("fps"), options=options)[0])
    np.testing.assert_allclose(file.times, np.array(ROWS) / 50, atol=1e-6)


# --- C3D


def read_c3d(path: Path):
    return pytest.importorskip("ezc3d").c3d(str(path))


def test_c3d_read_by_ezc3d_has_axes_units_rate_labels_and_gaps(tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    for path, person in zip(export(tmp_path, "out.c3d"), (2, 7), strict=True):
        file = read_c3d(path)
        point = file["parameters"]["POINT"]
        assert point["RATE"]["value"].tolist() == [FPS]
        assert point["UNITS"]["value"] == ["px"]
        assert point["LABELS"]["value"] == MARKERS.split()
        assert (point["X_SCREEN"]["value"], point["Y_SCREEN"]["value"]) == (["+X"], ["+Y"])
        points = file["data"]["points"][:3].transpose(2, 1, 0)
        for row, frame in enumerate(ROWS):
            here = any(tracks.frame_number == frame and person in tracks.ids for tracks in FRAMES)
            truth = wanted(person, frame) if here else np.full((17, 3), np.nan)
            np.testing.assert_allclose(points[row], truth, atol=0.006)
        residuals = file["data"]["meta_points"]["residuals"][0]
        np.testing.assert_array_equal(residuals < 0, np.isnan(points[..., 0]).T)


def test_c3d_is_in_millimetres_where_a_scale_is_given(tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    file = read_c3d(export(tmp_path, "out.c3d", options=ConvertOptions(metres_per_pixel=0.01))[0])
    assert file["parameters"]["POINT"]["UNITS"]["value"] == ["mm"]
    np.testing.assert_allclose(
        file["data"]["points"][:2, LEFT_KNEE, 0], wanted(2, 0)[LEFT_KNEE, :2] * 10, rtol=1e-4
    )


@pytest.mark.filterwarnings("ignore:No analog data")
def test_c3d_read_by_a_second_library_has_the_same_points(tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    c3d = pytest.importorskip("c3d")
    with export(tmp_path, "out.c3d")[0].open("rb") as file:
        reader = c3d.Reader(file)
        labels = [label.strip() for label in reader.point_labels]
        frames = [points for _, points, _ in reader.read_frames()]
    assert labels == MARKERS.split()
    assert reader.point_rate == FPS
    np.testing.assert_allclose(frames[0][:, :3], wanted(2, 0), atol=0.006)
    assert (frames[3][:, 3] == -1).all()  # no person in frame 3


def test_markers_are_those_of_the_skeleton() -> None:
    assert len(MARKERS.split()) == len(KEYPOINTS)
