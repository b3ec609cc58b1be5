"""CSV and TRC read back by the standard library, plots by Pillow, and the examples of docstrings."""

import csv
import doctest
import inspect
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from support.kinematics_cases import Errors, Walker, track_file, walk, write_tracks

pytest.importorskip("scipy")

import kprtrack
from kprtrack import kinematics
from kprtrack.core.errors import OutputError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.kinematics import Calibration, compute_kinematics, draw_plots, write_csv, write_trc

FLOOR = Calibration(
    floor_px=((100, 1000), (1800, 1000), (1500, 700), (400, 700)), floor_m=((0, 0), (5, 0), (5, 6), (0, 6))
)
SPOILED = Errors(gaps={"left_knee": range(30, 33)}, jumps={"left_ankle": (60,)}, swaps=tuple(range(40, 46)))


@pytest.fixture(scope="module")
def people():
    times = np.arange(100) / 50
    poses = {3: SPOILED.apply(Walker().points(times)), 7: Errors().apply(Walker(-1).points(times))}
    poses[7][:10] = 0
    return compute_kinematics(track_file(poses, times), calibration=Calibration(heights_m={3: 1.8}))


class Table:
    """A CSV file, read by the standard library; the rows of one person, or all."""

    def __init__(self, path: Path, person: int | None = None) -> None:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.names = list(rows[0])
        self.rows = [row for row in rows if person is None or row["track_id"] == str(person)]

    def texts(self, name: str) -> list[str]:
        return [row[name] for row in self.rows]

    def numbers(self, name: str) -> np.ndarray:
        return np.array([float(text or "nan") for text in self.texts(name)])


def test_csv_has_a_row_for_each_person_and_frame(people, tmp_path: Path) -> None:
    path = tmp_path / "k.csv"
    write_csv(people, path)
    assert Table(path).texts("track_id") == ["3"] * 100 + ["7"] * 90
    first, second = Table(path, 3), Table(path, 7)
    assert_allclose(first.numbers("frame"), np.arange(100))
    assert_allclose(second.numbers("frame"), np.arange(10, 100))
    assert_allclose(second.numbers("time"), np.arange(10, 100) / 50)
    assert set(first.texts("facing")) == {"right"} and set(second.texts("facing")) == {"left"}
    assert first.texts("swapped") == ["legs" if 40 <= row < 46 else "" for row in range(100)]
    assert first.texts("filled")[30] == "left_knee" and first.texts("outliers")[60] == "left_ankle"
    assert first.texts("filled")[60] == "left_ankle"


def test_csv_columns_are_the_numbers_of_the_result(people, tmp_path: Path) -> None:
    write_csv(people, tmp_path / "k.csv")
    table, person = Table(tmp_path / "k.csv", 3), people[0]
    for column, angle in enumerate(person.angles):
        assert_allclose(table.numbers(f"{angle.name}_deg"), person.degrees[:, column], atol=0.006)
        rates = person.angular_velocities[:, column]
        assert_allclose(table.numbers(f"{angle.name}_deg_s"), rates, atol=0.006)
    for column, name in enumerate(KEYPOINTS):
        assert_allclose(table.numbers(f"{name}_y_m"), person.points[:, column, 1], atol=6e-5)
        assert_allclose(table.numbers(f"{name}_vx_m_s"), person.velocities[:, column, 0], atol=6e-5)
    assert table.numbers("hips_speed_m_s").mean() == pytest.approx(1.3, rel=0.03)  # the walker's speed
    assert not [name for name in table.names if "_px" in name]


def test_csv_in_pixels_and_on_a_floor_says_so_in_its_columns(tmp_path: Path) -> None:
    file, _ = walk(seconds=1.0)
    write_csv(compute_kinematics(file), tmp_path / "px.csv")
    write_csv(compute_kinematics(file, calibration=FLOOR), tmp_path / "floor.csv")
    pixels, floor = (Table(tmp_path / name).names for name in ("px.csv", "floor.csv"))
    assert {"left_knee_x_px", "left_knee_vy_px_s", "hips_speed_px_s"} <= set(pixels)
    assert {"left_knee_z_m", "left_knee_vz_m_s", "floor_x_m", "floor_y_m", "floor_speed_m_s"} <= set(floor)
    assert not set(floor) & {"left_knee_x_px", "left_knee_x"}


def read_trc(path: Path) -> tuple[dict[str, str], list[str], np.ndarray, np.ndarray]:
    """Header, markers, times and [T, M, 3] of a TRC file, as its format is described by OpenSim."""
    lines = path.read_text().split("\n")
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    markers = [cell for cell in lines[3].split("\t")[2:] if cell]
    cells = [[float(cell or "nan") for cell in line.split("\t")] for line in lines[6:] if line]
    values = np.array(cells)
    return header, markers, values[:, 1], values[:, 2:].reshape(len(values), -1, 3)


def test_trc_holds_the_clean_trajectories_in_metres_y_up(people, tmp_path: Path) -> None:
    paths = write_trc(people, tmp_path / "a.trc")
    assert [path.name for path in paths] == ["a_person3.trc", "a_person7.trc"]
    header, markers, times, points = read_trc(paths[0])
    assert (header["Units"], header["DataRate"], header["NumFrames"]) == ("m", "50", "100")
    assert markers[13] == "LKnee"
    assert_allclose(times, np.arange(100) / 50, atol=1e-6)
    assert_allclose(points[..., :2], people[0].points, atol=1e-6)
    assert (points[..., 2] == 0).all()
    assert points[:, markers.index("LAnkle"), 1].max() < points[:, markers.index("Nose"), 1].min()


def test_trc_on_a_floor_has_the_axes_of_opensim(tmp_path: Path) -> None:
    file, _ = walk(seconds=1.0)
    people = compute_kinematics(file, calibration=FLOOR)
    paths = write_trc(people, tmp_path / "a.trc")
    assert paths == [tmp_path / "a.trc"]
    points = read_trc(paths[0])[3]
    floor_x, floor_y, up = np.moveaxis(people[0].points, 2, 0)
    assert_allclose(points, np.stack([floor_x, up, -floor_y], axis=2), atol=1e-6)


def test_unknown_numbers_are_empty_cells(tmp_path: Path) -> None:
    times = np.arange(60) / 50
    keypoints = Errors(gaps={"left_ankle": range(20, 45)}).apply(Walker().points(times))
    people = compute_kinematics(track_file({1: keypoints}, times))
    write_csv(people, tmp_path / "k.csv")
    row = Table(tmp_path / "k.csv").rows[30]
    assert row["left_ankle_x_px"] == row["left_knee_deg"] == row["left_knee_deg_s"] == ""
    assert row["right_knee_deg"] != ""
    write_trc(people, tmp_path / "k.trc")
    assert np.isnan(read_trc(tmp_path / "k.trc")[3][30, KEYPOINTS.index("left_ankle")]).all()


def test_a_stride_is_in_the_rate_of_trc(tmp_path: Path) -> None:
    file, _ = walk(seconds=2.0)
    every_second = type(file)(file.header, file.frames[::2], True)
    header, _, times, _ = read_trc(write_trc(compute_kinematics(every_second), tmp_path / "a.trc")[0])
    assert header["DataRate"] == "25"
    assert_allclose(times, np.arange(50) / 25, atol=1e-6)


@pytest.mark.slow
def test_plots_are_images_of_each_person(people, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files = draw_plots(people[:1], tmp_path / "new" / "plots")
    assert [file.name for file in files] == [
        f"person3_{kind}.png" for kind in ("joints", "segments", "motion")
    ]
    for file in files:
        with Image.open(file) as image:
            assert image.format == "PNG" and image.width > 600


@pytest.mark.parametrize("write", [write_csv, write_trc])
def test_a_folder_that_does_not_exist_is_one_line(write, people, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Cannot write|no folder|no such folder"):
        write(people, tmp_path / "missing" / ("k.csv" if write is write_csv else "k.trc"))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "draw_plots" else ())
        for name in kinematics.__all__
        if callable(getattr(kinematics, name))
    ],
)
def test_examples_of_public_names_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    times = np.arange(20) / 50
    keypoints = Errors().apply(Walker().points(times))
    write_tracks(tmp_path, track_file({1: keypoints, 2: keypoints}, times))
    text = inspect.getdoc(getattr(kinematics, name)) or ""
    names = {each: getattr(kinematics, each) for each in kinematics.__all__}
    names |= {"read_tracks": kprtrack.read_tracks, "Path": Path}
    report: list[str] = []
    doctest.DocTestRunner().run(
        doctest.DocTestParser().get_doctest(text, names, name, None, 0), out=report.append
    )
    assert not report, "".join(report)


def test_the_example_of_the_package_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tracks(tmp_path, walk(seconds=0.5)[0])
    report: list[str] = []
    test = doctest.DocTestParser().get_doctest(
        kinematics.__doc__ or "", {"read_tracks": kprtrack.read_tracks}, "kinematics", None, 0
    )
    doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)
