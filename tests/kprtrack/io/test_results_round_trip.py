"""What each format keeps of tracks that were written and read back."""

import json
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.datatypes import FrameLosses, Interruption, Tracks
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.io import FORMATS, RunHeader, TrackFile, convert, open_writer, read_tracks

SUFFIX = {"kprtrack": ".json", "coco": ".json", "posetrack21": ".json", "mot": ".txt"}
HEADER = RunHeader(
    video={"path": "clip.mp4", "width": 640, "height": 480, "fps": 25.0},
    models={"detector": {"name": "yolox-s", "sha256": "ab12"}},
    config={"tracker": {"max_lost_s": 30.0}},
)


def make_tracks(frame: int, people: int, seed: int = 0) -> Tracks:
    random = np.random.default_rng(seed + frame)
    corners = random.uniform(10, 200, (people, 2))
    boxes = np.concatenate([corners, corners + random.uniform(20, 200, (people, 2))], axis=1)
    keypoints = np.concatenate(
        [random.uniform(10, 400, (people, 17, 2)), random.uniform(0.05, 1, (people, 17, 1))], axis=2
    )
    keypoints[:, 9] = 0  # an unknown wrist
    distances, margins = random.uniform(0, 1, (2, people)).astype(np.float32)
    distances[:1], margins[:1] = np.nan, np.nan
    return Tracks(
        frame_number=frame,
        time_s=frame / 25,
        ids=np.arange(1, people + 1) * 3,
        boxes=boxes.astype(np.float32),
        scores=random.uniform(0.3, 1, people).astype(np.float32),
        keypoints=keypoints.astype(np.float32),
        distances=distances,
        margins=margins,
        visible=random.uniform(size=(people, 6)) > 0.4,
        prompted=random.uniform(size=people) > 0.5,
    )


FRAMES = [make_tracks(0, 2), make_tracks(1, 0), make_tracks(2, 3), make_tracks(5, 1)]


def write(path: Path, format: str, frames: list[Tracks] = FRAMES, header: RunHeader = HEADER) -> None:
    with open_writer(path, header, format) as writer:
        for tracks in frames:
            writer.write(tracks)


def written(folder: Path, format: str) -> TrackFile:
    path = folder / f"000007_clip{SUFFIX.get(format, '.' + format)}"
    write(path, format)
    return read_tracks(path, format)


def with_people(frames: list[Tracks]) -> list[Tracks]:
    return [tracks for tracks in frames if len(tracks)]


@pytest.mark.parametrize("format", FORMATS)
def test_identities_boxes_and_scores_survive_every_format(tmp_path: Path, format: str) -> None:
    frames = with_people(written(tmp_path, format).frames)
    assert [tracks.frame_number for tracks in frames] == [0, 2, 5]
    for tracks, ground_truth in zip(frames, with_people(FRAMES), strict=True):
        np.testing.assert_array_equal(tracks.ids, ground_truth.ids)
        np.testing.assert_allclose(tracks.boxes, ground_truth.boxes, atol=0.0101)
        np.testing.assert_allclose(tracks.scores, ground_truth.scores, atol=0.6e-4)


@pytest.mark.parametrize("format", ["kprtrack", "jsonl", "csv", "parquet", "coco"])
def test_keypoints_survive_to_a_hundredth_of_a_pixel(tmp_path: Path, format: str) -> None:
    for tracks, ground_truth in zip(
        with_people(written(tmp_path, format).frames), with_people(FRAMES), strict=True
    ):
        np.testing.assert_allclose(tracks.keypoints[..., :2], ground_truth.keypoints[..., :2], atol=0.0051)
        np.testing.assert_allclose(tracks.keypoints[..., 2], ground_truth.keypoints[..., 2], atol=0.6e-4)


@pytest.mark.parametrize("format", ["kprtrack", "jsonl", "csv", "parquet"])
def test_the_reasons_for_an_identity_survive_our_own_formats(tmp_path: Path, format: str) -> None:
    for tracks, ground_truth in zip(
        with_people(written(tmp_path, format).frames), with_people(FRAMES), strict=True
    ):
        np.testing.assert_allclose(tracks.distances, ground_truth.distances, atol=0.6e-4)
        np.testing.assert_allclose(tracks.margins, ground_truth.margins, atol=0.6e-4)
        np.testing.assert_array_equal(tracks.visible, ground_truth.visible)
        np.testing.assert_array_equal(tracks.prompted, ground_truth.prompted)


@pytest.mark.parametrize("format", ["kprtrack", "jsonl", "coco", "posetrack21"])
def test_frames_without_people_survive_where_the_format_has_frames(tmp_path: Path, format: str) -> None:
    assert [tracks.frame_number for tracks in written(tmp_path, format).frames] == [0, 1, 2, 5]


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "mot"])
def test_times_survive_every_format_but_mot(tmp_path: Path, format: str) -> None:
    times = [tracks.time_s for tracks in with_people(written(tmp_path, format).frames)]
    assert times == pytest.approx([0, 0.08, 0.2])


def test_mot_loses_times_and_keypoints(tmp_path: Path) -> None:
    frame = written(tmp_path, "mot").frames[0]
    assert np.isnan(frame.time_s)
    assert not frame.keypoints.any()


@pytest.mark.parametrize("format", ["kprtrack", "jsonl", "parquet", "coco", "posetrack21"])
def test_formats_with_a_header_keep_it(tmp_path: Path, format: str) -> None:
    assert written(tmp_path, format).header == HEADER


@pytest.mark.parametrize("format", ["kprtrack", "jsonl", "parquet", "coco", "posetrack21"])
def test_damaged_and_dropped_frames_are_kept_by_formats_with_a_header(tmp_path: Path, format: str) -> None:
    path, copy = (tmp_path / f"{name}{SUFFIX.get(format, '.' + format)}" for name in "ab")
    losses = FrameLosses((1, 2, 7), 4, (Interruption(3, 1.5), Interruption(7, 0.04)))
    with open_writer(path, HEADER, format) as writer:
        writer.write(FRAMES[0])
        writer.close(complete=False, losses=losses)
    assert read_tracks(path, format).header.losses == losses
    convert(path, copy, format, format)
    assert read_tracks(copy, format).header.losses == losses


@pytest.mark.parametrize(
    "wrong",
    [
        *('"damaged_frames":5', '"damaged_frames":["a"]', '"damaged_frames":[-1]', '"dropped_frames":[]'),
        *('"interruptions":5', '"interruptions":[[3,1.5]]', '"interruptions":[{"frame":-1,"seconds":1}]'),
        *('"interruptions":[{"frame":1,"seconds":1e99}]', '"interruptions":[{"frame":1}]'),
    ],
)
def test_losses_of_another_type_are_rejected(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "t.json"
    write(path, "kprtrack")
    path.write_text(path.read_text().replace('"complete"', wrong + ',"complete"'))
    with pytest.raises(InputError, match="must be a"):
        read_tracks(path)


@pytest.mark.parametrize(
    ("format", "complete"), [(name, None if name in ("csv", "mot") else False) for name in FORMATS]
)
def test_an_interrupted_run_leaves_a_valid_file_marked_as_incomplete(
    tmp_path: Path, format: str, complete: bool
) -> None:
    path = tmp_path / f"t{SUFFIX.get(format, '.' + format)}"
    with pytest.raises(KeyboardInterrupt), open_writer(path, HEADER, format) as writer:
        writer.write(FRAMES[0])
        writer.write(FRAMES[2])
        raise KeyboardInterrupt
    file = read_tracks(path, format)
    assert [tracks.frame_number for tracks in file.frames] == [0, 2]
    assert file.complete is complete
    assert sorted(tmp_path.iterdir()) == [path]


def test_an_aborted_run_without_a_frame_leaves_the_old_result_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    write(path, "kprtrack")
    before = path.read_bytes()
    open_writer(path, HEADER).close(complete=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_every_format_converts_into_every_other(tmp_path: Path, source: str, target: str) -> None:
    first = tmp_path / f"a{SUFFIX.get(source, '.' + source)}"
    second = tmp_path / f"b{SUFFIX.get(target, '.' + target)}"
    write(first, source)
    convert(first, second, source, target)
    ids = [tracks.ids.tolist() for tracks in with_people(read_tracks(second, target).frames)]
    assert ids == [[3, 6], [3, 6, 9], [3]]


def test_converting_twice_changes_nothing_more(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "kprtrack")
    convert(tmp_path / "a.json", tmp_path / "b.jsonl")
    convert(tmp_path / "b.jsonl", tmp_path / "c.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "c.json").read_bytes()


def test_a_file_is_not_converted_into_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "kprtrack")
    with pytest.raises(UserError, match="same file"):
        convert(tmp_path / "a.json", tmp_path / "a.json", target_format="coco")


def test_json_has_no_nan_and_one_frame_a_line(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "kprtrack")
    text = (tmp_path / "a.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert len([line for line in text.splitlines() if line.startswith('{"frame":')]) == 4


def test_json_sums_up_every_identity(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "kprtrack")
    tracks = json.loads((tmp_path / "a.json").read_text())["tracks"]
    expected = {"id": 3, "first_frame": 0, "last_frame": 5, "first_time": 0.0, "last_time": 0.2, "frames": 3}
    assert tracks[0] == expected
    assert [(track["id"], track["frames"]) for track in tracks] == [(3, 3), (6, 2), (9, 1)]


def test_a_setting_without_end_becomes_text_in_json(tmp_path: Path) -> None:
    header = RunHeader(config={"max_lost_s": float("inf"), "weights": Path("a/b")})
    write(tmp_path / "a.json", "kprtrack", header=header)
    assert read_tracks(tmp_path / "a.json").header.config == {
        "max_lost_s": "inf",
        "weights": str(Path("a/b")),
    }


def test_every_line_of_jsonl_can_be_read_during_the_run(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "a.jsonl", HEADER)
    for count, tracks in enumerate(FRAMES, 1):
        writer.write(tracks)
        file = read_tracks(tmp_path / "a.jsonl")
        assert (len(file.frames), file.complete) == (count, False)
    writer.close()
    assert read_tracks(tmp_path / "a.jsonl").complete is True


def test_a_torn_last_line_of_a_killed_jsonl_run_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "jsonl")
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:100])
    file = read_tracks(tmp_path / "a.jsonl")
    assert (len(file.frames), file.complete) == (2, False)


def test_mot_counts_frames_from_one(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "mot")
    cells = (tmp_path / "a.txt").read_text().splitlines()[0].split(",")
    assert cells[:2] == ["1", "3"]
    assert cells[7:] == ["-1", "-1", "-1"]


@pytest.mark.slow
def test_a_parquet_file_of_several_groups_keeps_all_frames(tmp_path: Path) -> None:
    frames = [make_tracks(number, 1) for number in range(4100)]  # two groups of 2000 and a rest
    write(tmp_path / "a.parquet", "parquet", frames)
    assert [tracks.frame_number for tracks in read_tracks(tmp_path / "a.parquet").frames] == list(range(4100))


def test_an_unknown_suffix_names_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Did you mean '\.jsonl?'"):
        open_writer(tmp_path / "a.jsn", HEADER)


def test_an_unknown_format_names_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'posetrack21'"):
        open_writer(tmp_path / "a.json", HEADER, "posetrack")


def test_a_frame_out_of_order_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="comes after"), open_writer(tmp_path / "a.json", HEADER) as writer:
        writer.write(FRAMES[2])
        writer.write(FRAMES[0])


def test_the_parent_of_a_result_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        open_writer(tmp_path / "file" / "a.json", HEADER)
