"""`kprtrack.Tracker`: the same tracks as a run over the whole video, from detections of any library."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kprtrack
from kprtrack import (
    Appearance,
    ComponentConfig,
    Detections,
    Frame,
    Networks,
    Poses,
    TrackConfig,
    Tracker,
    UserError,
    build_tracker,
    observe,
    track,
)
from kprtrack.online import tracker as online

FPS, FRAMES = 10.0, 60
IMAGE = np.zeros((240, 320, 3), np.uint8)
ALONE = TrackConfig(reid="none")
SELECTIVE = TrackConfig(tracker=ComponentConfig("kpr", options={"reid_interval_s": 0.5}))


def boxes_at(frame: int) -> np.ndarray:
    """Two people who cross each other, and a third from frame 20 to 40 who comes back at 50."""
    boxes = [[10 + 4 * frame, 40, 50 + 4 * frame, 160], [250 - 4 * frame, 42, 290 - 4 * frame, 165]]
    if 20 <= frame < 40 or frame >= 50:
        boxes.append([100 + frame, 60, 140 + frame, 200])
    return np.array(boxes, np.float32)


def scores_at(frame: int) -> np.ndarray:
    return np.linspace(0.95, 0.85, len(boxes_at(frame)), dtype=np.float32)


def keypoints_at(frame: int) -> np.ndarray:
    boxes, place = boxes_at(frame), np.linspace(0.1, 0.9, 17)[None, :, None]
    points = boxes[:, None, :2] + place * (boxes[:, None, 2:] - boxes[:, None, :2])
    return np.concatenate([points, np.full((len(boxes), 17, 1), 0.8)], axis=2).astype(np.float32)


def embeddings_at(frame: int) -> np.ndarray:
    noise = np.random.default_rng(frame).normal(0, 0.02, (3, 8))
    return (np.eye(3, 8) + noise)[: len(boxes_at(frame))].astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows_of(found: Detections, frame: int) -> list[int]:
    return [int(np.flatnonzero((boxes_at(frame) == box).all(axis=1))[0]) for box in found.boxes]


def whole_run(config: TrackConfig) -> list[kprtrack.Tracks]:
    """The tracks that the pipeline gives for the whole video."""

    def embed(frames: list[Frame], found: list[Detections], poses: list[Poses]) -> list[Appearance]:
        features = unit(embeddings_at(frames[0].number))[rows_of(found[0], frames[0].number)][:, None]
        return [Appearance(features, np.ones((len(features), 1), bool), np.zeros(len(features), bool))]

    networks = Networks(
        lambda frames: [Detections(boxes_at(frame.number), scores_at(frame.number)) for frame in frames],
        lambda frames, found: [Poses(keypoints_at(frames[0].number)[rows_of(found[0], frames[0].number)])],
        embed,
    )
    tracker = build_tracker(config.tracker, FPS)
    frames = (Frame(number, number / FPS, IMAGE) for number in range(FRAMES))
    return list(track(observe(frames, networks, 1, tracker), tracker))


@pytest.mark.parametrize("config", [TrackConfig(), SELECTIVE, TrackConfig(tracker="bytetrack")])
def test_final_tracks_are_those_of_a_run_over_the_video(config: TrackConfig) -> None:
    tracker, final = Tracker(config, fps=FPS), []
    for frame in range(FRAMES):
        tracks = tracker.update(
            None, boxes_at(frame), scores_at(frame), keypoints_at(frame), embeddings=embeddings_at(frame)
        )
        assert (tracks.frame_number, tracks.time_s) == (frame, frame / FPS)
        np.testing.assert_array_equal(tracks.boxes, boxes_at(frame)[tracks.rows])
        final += tracks.finalized
    final += tracker.finish()
    wanted = whole_run(config)
    assert [tracks.frame_number for tracks in final] == list(range(FRAMES))
    for ours, theirs in zip(final, wanted, strict=True):
        np.testing.assert_array_equal(ours.ids, theirs.ids)
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)
        np.testing.assert_array_equal(ours.keypoints, theirs.keypoints)
        np.testing.assert_allclose(ours.distances, theirs.distances, atol=1e-6)


def test_corrections_are_the_frames_whose_tracks_have_changed() -> None:
    tracker, returned, corrected = Tracker(fps=FPS), {}, {}
    for frame in range(FRAMES):
        tracks = tracker.update(
            IMAGE, boxes_at(frame), scores_at(frame), keypoints_at(frame), embeddings=embeddings_at(frame)
        )
        returned[frame] = tracks.ids.tolist()
        for earlier in tracks.corrections:
            assert earlier.frame_number < frame
            corrected[earlier.frame_number] = earlier.ids.tolist()
    wanted = {tracks.frame_number: tracks.ids.tolist() for tracks in whole_run(TrackConfig())}
    known = [number for number in range(FRAMES) if number <= FRAMES - 1 - FPS * 2]
    assert corrected == {number: wanted[number] for number in known if wanted[number] != returned[number]}
    assert 20 in corrected  # the third person is confirmed some frames after coming in


# --- networks load when they are needed


class Loaded:
    """Stands for the networks; notes which are built and what they get."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.built: list[str] = []
        self.images: list[np.ndarray] = []
        for role in ("detector", "pose", "reid"):
            monkeypatch.setitem(online._BUILDERS, role, self._builder(role))

    def _builder(self, role: str) -> Any:
        def build(component: object, compute: object) -> Any:
            self.built.append(role)
            return getattr(self, role)

        return build

    def detector(self, frames: list[Frame]) -> list[Detections]:
        self.images.append(frames[0].image)
        return [Detections(boxes_at(frames[0].number), scores_at(frames[0].number))]

    def pose(self, frames: list[Frame], found: list[Detections]) -> list[Poses]:
        self.images.append(frames[0].image)
        return [Poses(keypoints_at(frames[0].number))]

    def reid(self, frames: list[Frame], found: list[Detections], poses: list[Poses]) -> list[Appearance]:
        self.images.append(frames[0].image)
        count = len(found[0])
        return [
            Appearance(np.ones((count, 1, 1), np.float32), np.ones((count, 1), bool), np.zeros(count, bool))
        ]


@pytest.mark.parametrize(
    ("config", "given", "built"),
    [
        (TrackConfig(), (), ["detector", "pose", "reid"]),
        (TrackConfig(), ("boxes",), ["pose", "reid"]),
        (TrackConfig(), ("boxes", "keypoints"), ["reid"]),
        (TrackConfig(), ("boxes", "embeddings"), ["pose"]),
        (TrackConfig(), ("boxes", "keypoints", "embeddings"), []),
        (ALONE, ("boxes",), ["pose"]),
        (ALONE, ("boxes", "keypoints"), []),
    ],
)
def test_only_the_networks_that_are_needed_load_and_once(
    monkeypatch: pytest.MonkeyPatch, config: TrackConfig, given: tuple[str, ...], built: list[str]
) -> None:
    loaded, tracker = Loaded(monkeypatch), Tracker(config, fps=FPS)
    assert loaded.built == []
    for frame in range(3):
        values = {
            "boxes": boxes_at(frame),
            "keypoints": keypoints_at(frame),
            "embeddings": embeddings_at(frame),
        }
        tracks = tracker.update(IMAGE, **{name: values[name] for name in given})
        assert len(tracks) == 2
    assert loaded.built == built


def test_no_pose_estimator_loads_without_poses(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, tracker = Loaded(monkeypatch), Tracker(ALONE, poses=False)
    assert not tracker.update(boxes=boxes_at(0)).keypoints.any()
    assert loaded.built == []


def test_bgr_images_reach_the_networks_as_rgb(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    for bgr, wanted in ((False, image), (True, image[..., ::-1])):
        loaded = Loaded(monkeypatch)
        Tracker(fps=FPS, bgr=bgr).update(image)
        assert all(np.array_equal(each, wanted) for each in loaded.images)


# --- detections of other libraries


def updated(*people: Any, **more: Any) -> kprtrack.LiveTracks:
    return Tracker(ALONE, poses=False).update(None, *people, **more)


def test_supervision_detections_come_back_with_masks_data_and_tracker_ids() -> None:
    sv = pytest.importorskip("supervision")
    masks = np.zeros((3, 24, 32), bool)
    masks[2, 5:9] = True
    detections = sv.Detections(
        xyxy=np.array([[10, 20, 60, 180], [5, 5, 25, 25], [100, 20, 160, 190]], np.float32),
        confidence=np.array([0.9, 0.8, 0.95], np.float32),
        class_id=np.array([0, 16, 0]),
        mask=masks,
        data={"class_name": np.array(["person", "dog", "person"]), "weight": np.array([1, 2, 3])},
    )
    tracks = updated(detections)
    found = tracks.to_supervision()
    assert sorted(found.tracker_id.tolist()) == [1, 2]
    assert set(found.data["class_name"]) == {"person"}
    by_weight = {int(weight): row for row, weight in enumerate(found.data["weight"])}
    assert set(by_weight) == {1, 3}
    assert found.mask[by_weight[3]].any()
    np.testing.assert_array_equal(found.xyxy[by_weight[3]], [100, 20, 160, 190])
    assert detections.tracker_id is None  # what was given is unchanged
    assert sorted(tracks.rows.tolist()) == [0, 2]  # among all that were given


def test_frames_with_other_classes_of_coco_alone_have_no_people() -> None:
    sv = pytest.importorskip("supervision")

    def tracked(*names: str) -> int:
        boxes = np.array([[100 * row, 20, 100 * row + 50, 180] for row in range(len(names))], np.float32)
        return len(updated(sv.Detections(xyxy=boxes, data={"class_name": np.array(names)})))

    assert tracked("dog", "sports ball") == 0
    assert tracked("dog", "Person") == 1
    assert tracked("player", "goalkeeper") == 2  # of a detector of other classes


def test_embeddings_belong_to_all_boxes_that_were_given() -> None:
    sv = pytest.importorskip("supervision")
    detections = sv.Detections(
        xyxy=boxes_at(20),
        confidence=scores_at(20),
        data={"class_name": np.array(["person", "dog", "person"])},
    )
    tracker = Tracker(ALONE, poses=False, fps=FPS)
    for _ in range(2):
        tracks = tracker.update(None, detections, embeddings=np.eye(3, 8), keypoints=keypoints_at(20))
    np.testing.assert_array_equal(tracks.keypoints, keypoints_at(20)[tracks.rows])
    assert tracks.distances == pytest.approx([0, 0], abs=1e-6)


def test_tracks_become_supervision_detections() -> None:
    sv = pytest.importorskip("supervision")
    tracks = updated(boxes_at(20), scores_at(20), keypoints_at(20))
    found = tracks.to_supervision()
    assert isinstance(found, sv.Detections)
    np.testing.assert_array_equal(found.xyxy, tracks.boxes)
    np.testing.assert_array_equal(found.tracker_id, tracks.ids)
    np.testing.assert_array_equal(found[1:].data["keypoints"], tracks.keypoints[1:])
    assert len(updated(np.zeros((0, 4))).to_supervision()) == 0


def test_supervision_keypoints_are_people_and_poses() -> None:
    sv = pytest.importorskip("supervision")
    points = keypoints_at(0)
    given = sv.KeyPoints(xy=points[..., :2], keypoint_confidence=points[..., 2])
    tracks = updated(given)
    np.testing.assert_allclose(tracks.keypoints, points[tracks.rows])
    np.testing.assert_allclose(tracks.boxes[:, :2], points[tracks.rows][..., :2].min(axis=1))
    named = sv.KeyPoints(
        xy=points[..., :2],
        keypoint_confidence=points[..., 2],
        data={"class_name": np.array(["dog", "person"])},
    )
    np.testing.assert_allclose(updated(named).keypoints, points[1:])
    beside = updated(boxes_at(0), scores_at(0), given)
    np.testing.assert_allclose(beside.boxes, boxes_at(0)[beside.rows])
    np.testing.assert_allclose(beside.keypoints, points[beside.rows])


class Tensor:
    """What torch's tensors have in common with this: `detach` and `cpu`."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> np.ndarray:
        return self.values


def ultralytics_result(classes: list[int], *, poses: bool = False) -> Any:
    """A result with the attributes that ultralytics documents for `Results`."""
    boxes = SimpleNamespace(
        xyxy=Tensor(boxes_at(20)), conf=Tensor(scores_at(20)), cls=Tensor(np.array(classes, np.float32))
    )
    points = SimpleNamespace(data=Tensor(keypoints_at(20))) if poses else None
    return SimpleNamespace(boxes=boxes, keypoints=points, names={0: "person", 16: "dog"}, orig_img=IMAGE)


def test_people_of_ultralytics_results_are_tracked() -> None:
    tracks = updated(ultralytics_result([0, 16, 0], poses=True))
    assert sorted(tracks.rows.tolist()) == [0, 2]
    np.testing.assert_array_equal(tracks.boxes, boxes_at(20)[tracks.rows])
    np.testing.assert_array_equal(tracks.keypoints, keypoints_at(20)[tracks.rows])
    assert len(updated(ultralytics_result([16, 16, 16]))) == 0
    assert not updated(ultralytics_result([0, 0, 0])).keypoints.any()


def test_keypoints_without_confidence_are_certain_unless_they_are_zero() -> None:
    points = keypoints_at(0)[..., :2].copy()
    points[0, 3] = 0
    tracks = updated(boxes_at(0), scores_at(0), points)
    confidence = tracks.keypoints[..., 2][np.argsort(tracks.rows)]
    assert confidence[0, 3] == 0
    assert confidence.sum() == 2 * 17 - 1


# --- wrong input is one line, and the frame is not counted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"boxes": [[1, 2, 3]]}, r"boxes must have the shape \[N, 4\], not \[1, 3\]"),
        ({"boxes": [[30, 2, 3, 9]]}, r"boxes are x1 y1 x2 y2, with x2 >= x1"),
        ({"boxes": [[1, 2, 3, np.nan]]}, "not finite"),
        ({"boxes": "people"}, "boxes must be arrays, supervision.Detections"),
        ({"boxes": [[1, 2, 3, 9], [1, 2, 3]]}, "boxes must be numbers, in rows of one length"),
        ({"boxes": [[1, 2, 3, None]]}, "boxes must be numbers, not an array of object"),
        ({"boxes": [[1, 2, 3, 9, 0.5]]}, r"\[1, 5\]\. Give boxes\[:, :4\] and the scores apart"),
        ({"boxes": [[0, 0, 1e38, 9]]}, "beyond any image"),
        (
            {"boxes": [SimpleNamespace(boxes=None)]},
            r"a list of 1 results\. Give that of this frame: results\[0\]",
        ),
        ({"boxes": [[1, 2, 3, 9]], "scores": [0.5, 0.5]}, "There are 1 boxes, but 2 scores"),
        ({"boxes": [[1, 2, 3, 9]], "scores": [1.5]}, "Score 0 is 1.5: scores are between 0 and 1"),
        (
            {"boxes": [[1, 2, 3, 9]], "keypoints": np.zeros((1, 13, 4))},
            r"the shape \[N, K, 3\], x y confidence, K up to 1000",
        ),
        ({"boxes": [[1, 2, 3, 9]], "keypoints": np.zeros((2, 17, 3))}, "but 2 keypoints"),
        ({"boxes": [[1, 2, 3, 9]], "embeddings": np.zeros((2, 8))}, r"\[1, D\] or \[1, P, D\]"),
        ({"scores": [0.5]}, "belong to boxes"),
        ({}, r"An image is needed for the detector \(give boxes\)"),
        ({"boxes": [[1, 2, 3, 9]], "keypoints": np.full((1, 17, 3), -1.0)}, "Confidences are 0 or more"),
        ({"boxes": [[1, 2, 3, 9]], "embeddings": np.full((1, 8), np.nan)}, "Write unknown ones as zeros"),
        ({"boxes": [[1, 2, 3, 9]], "time_s": "1.5"}, "time_s must be a number, not '1.5'"),
        ({"boxes": [[1, 2, 3, 9]], "time_s": np.nan}, "time_s is nan, which is not later"),
        ({"boxes": [[1, 2, 3, 9]], "time_s": 1.8e9}, r"any start but 1970, such as time\.monotonic\(\)"),
        ({"boxes": [[1, 2, 3, 9]], "time_s": 0.0}, "time_s is 0, which is not later than"),
    ],
)
def test_wrong_input_is_one_line_and_no_frame(arguments: dict[str, Any], message: str) -> None:
    tracker = Tracker(ALONE, poses=False)
    tracker.update(boxes=boxes_at(0), time_s=0.0)
    with pytest.raises(UserError, match=message) as caught:
        tracker.update(**arguments)
    assert "\n" not in str(caught.value)
    tracks = tracker.update(boxes=boxes_at(1), time_s=0.1)
    assert (tracks.frame_number, len(tracks)) == (1, 2)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (IMAGE[..., 0], r"not \[240, 320\] uint8\. Make three channels of a grey image"),
        (np.zeros((4, 5, 4), np.uint8), r"Leave its fourth channel out: image\[\.\.\., :3\]"),
        (IMAGE.astype(np.float32), r"not \[240, 320, 3\] float32\. Scale its pixels to 0 to 255"),
        (IMAGE.transpose(2, 0, 1), r"Move its channels to the end: image\.transpose\(1, 2, 0\)"),
        (IMAGE[:0], r"not \[0, 320, 3\] uint8"),
        ("frame.jpg", "not str"),
    ],
)
def test_wrong_images_say_how_to_convert_them(image: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Tracker(ALONE, poses=False).update(image, boxes_at(0))


def test_settings_that_are_no_configuration_are_one_line() -> None:
    with pytest.raises(UserError, match="config must be a TrackConfig, not 'kpr'"):
        Tracker("kpr")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="fps must be a number, not '25'"):
        Tracker(fps="25")  # type: ignore[arg-type]


# --- unknown values


def test_keypoints_that_are_not_finite_are_unknown() -> None:
    points = keypoints_at(0)
    points[0, 3, 0], points[1, 4] = np.nan, np.inf
    for given in (points, points[..., :2]):
        tracks = updated(boxes_at(0), scores_at(0), given)
        found = tracks.keypoints[np.argsort(tracks.rows)]
        assert not found[0, 3].any()
        assert not found[1, 4].any()
        assert np.count_nonzero(found[..., 2]) == 2 * 17 - 2


def test_boxes_without_an_area_are_left_out_and_rows_count_all_boxes() -> None:
    boxes = np.array([[5, 5, 5, 5], [10, 20, 60, 180], [9, 30, 40, 30], [100, 20, 150, 190]])
    tracks = updated(boxes)
    assert sorted(tracks.rows.tolist()) == [1, 3]
    np.testing.assert_array_equal(tracks.boxes, boxes[tracks.rows])


def test_embeddings_may_be_unknown_in_some_frames_but_have_one_shape() -> None:
    tracker, unknown = Tracker(ALONE, poses=False, fps=FPS), (3, 4, 7)
    for frame in range(10):
        given = None if frame in unknown else embeddings_at(frame)
        tracks = tracker.update(None, boxes_at(frame), scores_at(frame), embeddings=given)
        assert sorted(tracks.ids.tolist()) == [1, 2]
        assert np.isnan(tracks.distances).all() == (frame in (0, *unknown))
    tracker.update(None, [], embeddings=[])
    with pytest.raises(UserError, match="have 1 parts of 5 numbers, those before 1 of 8"):
        tracker.update(None, boxes_at(11), embeddings=np.ones((2, 5)))
    late = Tracker(ALONE, poses=False)
    late.update(None, boxes_at(0))
    with pytest.raises(UserError, match="The frames before had no embeddings"):
        late.update(None, boxes_at(1), embeddings=embeddings_at(1))


def test_an_image_is_needed_for_networks_alone() -> None:
    with pytest.raises(UserError, match=r'ReID encoder \(give embeddings, or TrackConfig\(reid="none"\)\)'):
        Tracker().update(boxes=boxes_at(0), keypoints=keypoints_at(0))
    with pytest.raises(UserError, match="fps must be a number above 0, not 0"):
        Tracker(fps=0)


# --- records and data frames


def test_iteration_yields_a_record_for_each_person() -> None:
    tracks = updated(boxes_at(0), scores_at(0), keypoints_at(0))
    people = list(tracks)
    assert [person.track_id for person in people] == tracks.ids.tolist()
    np.testing.assert_array_equal(people[1].box, tracks.boxes[1])
    np.testing.assert_array_equal(people[1].keypoints, tracks.keypoints[1])
    assert people[1].score == pytest.approx(float(tracks.scores[1]))


def test_data_frames_have_the_values_of_the_csv_file(tmp_path: Any) -> None:
    pandas = pytest.importorskip("pandas")
    tracker = Tracker(ALONE, poses=False, fps=FPS)
    frames = [
        tracker.update(boxes=boxes_at(n), scores=scores_at(n), keypoints=keypoints_at(n)) for n in range(4)
    ]
    with kprtrack.open_writer(tmp_path / "t.csv", kprtrack.RunHeader()) as writer:
        for tracks in frames:
            writer.write(tracks)
    wanted = pandas.read_csv(tmp_path / "t.csv", keep_default_na=False, na_values=[""])
    ours = kprtrack.read_tracks(tmp_path / "t.csv").to_dataframe()
    assert ours.columns.tolist() == wanted.columns.tolist()
    drop = ["visible_parts", "distance", "margin"]  # empty columns, which pandas reads as numbers
    pandas.testing.assert_frame_equal(ours.drop(columns=drop), wanted.drop(columns=drop), check_dtype=False)
    assert frames[0].to_dataframe().track_id.tolist() == frames[0].ids.tolist()


def test_polars_data_frames_have_the_same_columns() -> None:
    polars = pytest.importorskip("polars")
    frame = updated(boxes_at(0), scores_at(0)).to_dataframe("polars")
    assert isinstance(frame, polars.DataFrame)
    assert frame["track_id"].to_list() == [1, 2]


def test_an_unknown_or_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    tracks = updated(boxes_at(0))
    with pytest.raises(UserError, match=r"Unknown library of data frames 'panda'\. Did you mean 'pandas'"):
        tracks.to_dataframe("panda")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="Install it with: pip install pandas"):
        tracks.to_dataframe()
