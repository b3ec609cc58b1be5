"""Generate, track, evaluate: the whole chain on the synthetic benchmark."""

from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import pytest
from support.synthetic_cases import SMOOTH

from eval.benchmarks.score_posetrack21 import score_posetrack21
from eval.benchmarks.score_tracks import score_tracks
from eval.datatypes import Evaluation
from eval.synthetic.benchmark import write_benchmark
from kprtrack.build import build_tracker
from kprtrack.config import ComponentConfig
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks
from kprtrack.detectors.file import FileConfig, FileDetector
from kprtrack.io import RunHeader, open_writer
from kprtrack.pipeline import Networks, observe, track
from kprtrack.poses.file import FilePose
from kprtrack.video.source import open_source

pytestmark = pytest.mark.slow  # the videos of the whole module are drawn first

# Head, trunk, thighs, shins, as rows of KEYPOINTS; each part is visible around its joints.
_PARTS = ((0, 1, 2), (5, 6, 11, 12), (11, 12, 13, 14), (13, 14, 15, 16))
_BINS = 6  # for each of red, green, blue
_STRANGER = 1_000_000
_PATCH = 0.03  # half the side of a patch, relative to the height of the box


def _colours(frame: Frame, box: np.ndarray, pose: np.ndarray, rows: tuple[int, ...]) -> np.ndarray | None:
    """Return a normalised colour histogram at and between the visible joints; None if few are visible."""
    points = pose[[row for row in rows if pose[row, 2] > 0.5], :2]
    if len(points) < 2:
        return None
    spots = np.concatenate((points, (points + points[[*range(1, len(points)), 0]]) / 2))
    reach = max(1, int((box[3] - box[1]) * _PATCH))
    height, width = frame.image.shape[:2]
    columns, lines = np.round(spots).astype(int).clip(reach, (width - reach - 1, height - reach - 1)).T
    around = np.arange(-reach, reach + 1)
    patches = frame.image[lines[:, None, None] + around[:, None], columns[:, None, None] + around]
    cells = patches.reshape(-1, 3) // (256 // _BINS + 1)
    histogram = np.bincount(cells.astype(int) @ (_BINS**2, _BINS, 1), minlength=_BINS**3).astype(np.float32)
    return np.sqrt(histogram / histogram.sum())


def _embed(frames: list[Frame], people: list[Detections], poses: list[Poses]) -> list[Appearance]:
    embeddings = []
    for frame, found, pose in zip(frames, people, poses, strict=True):
        features = np.zeros((len(found), len(_PARTS), _BINS**3), np.float32)
        visible = np.zeros(features.shape[:2], bool)
        for person in range(len(found)):
            for part, rows in enumerate(_PARTS):
                colours = _colours(frame, found.boxes[person], pose.keypoints[person], rows)
                if colours is not None:
                    features[person, part], visible[person, part] = colours, True
        embeddings.append(Appearance(features, visible, np.zeros(len(found), bool)))
    return embeddings


def _track(root: Path, name: str) -> list[Tracks]:
    """The tracker's tracks from true boxes and poses, without their identities."""
    ground_truth = root / "tracks" / f"{name}.json"
    networks = Networks(
        FileDetector(FileConfig(), ground_truth), FilePose(FileConfig(), ground_truth), _embed
    )
    with open_source(root / "images" / "val" / name, images_fps=SMOOTH.fps) as video:
        observations: list[Observation] = list(observe(video, networks))
    return list(track(observations, build_tracker(ComponentConfig("kpr"), fps=SMOOTH.fps)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth")
    write_benchmark(folder, SMOOTH)
    return folder


@pytest.fixture(scope="module")
def results(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the result files of the tracker: PoseTrack21's, and those of kprtrack in `own`."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "own").mkdir()
    for ground_truth in sorted((root / "posetrack_data" / "val").iterdir()):
        images = orjson.loads(ground_truth.read_bytes())["images"]
        tracks = _track(root, ground_truth.stem)
        with (
            open_writer(folder / ground_truth.name, RunHeader(), "posetrack21", images=images) as official,
            open_writer(folder / "own" / ground_truth.name, RunHeader()) as own,
        ):
            for frame in tracks:
                official.write(frame)
                own.write(frame)
    return folder


@pytest.fixture(scope="module")
def evaluation(root: Path, results: Path) -> Evaluation:
    return score_posetrack21(root, results, processes=1)


def _mean(evaluation: Evaluation, measure: str, name: str, joints: slice | None = None) -> float:
    values = np.asarray(evaluation.measures[measure].combined[name])
    return float((values if joints is None else values[:, joints]).mean())


def test_ids_hold_when_boxes_and_poses_are_true(evaluation: Evaluation) -> None:
    assert _mean(evaluation, "box_identity", "IDF1") > 0.95
    assert _mean(evaluation, "box_hota", "HOTA") > 0.95
    assert _mean(evaluation, "box_hota", "DetA") > 0.98


def test_limbs_score_near_their_ceiling(evaluation: Evaluation) -> None:
    # Joints 3 to 14 are shoulders to ankles, the same in COCO; neck and top of the head are estimated.
    assert _mean(evaluation, "keypoint_hota_fixed", "HOTA", slice(3, 15)) > 0.93
    assert _mean(evaluation, "keypoint_hota_fixed", "HOTA", slice(15, 16)) > 0.8


def test_our_own_files_score_the_same(root: Path, results: Path, evaluation: Evaluation) -> None:
    name = "005001_synth_val"
    own = score_tracks(root / "tracks" / f"{name}.json", results / "own" / f"{name}.json")
    official = evaluation.measures["box_identity"].sequences[name]["IDF1"]
    assert float(own.measures["box_identity"].combined["IDF1"]) == pytest.approx(float(official), abs=1e-6)


def _with_person_ids(root: Path, results: Path, target: Path) -> None:
    """Give each track the person of most of its boxes, as a gallery of known people would.

    A second track of the same person in a frame gets another identity.
    """
    for path in sorted(results.glob("*.json")):
        ground_truth = orjson.loads((root / "posetrack_data" / "val" / path.name).read_bytes())
        data = orjson.loads(path.read_bytes())
        person_at = {
            (a["image_id"], *np.round(a["bbox"])): a["person_id"] for a in ground_truth["annotations"]
        }
        votes: Counter[tuple[int, int]] = Counter()
        for entry in data["annotations"]:
            person = person_at.get((entry["image_id"], *np.round(entry["bbox"])))
            if person is not None:
                votes[entry["track_id"], person] += 1
        known: dict[int, int] = {}
        for (track_id, person), _ in votes.most_common():
            if track_id not in known and person not in known.values():
                known[track_id] = person
        for entry in data["annotations"]:
            entry["person_id"] = known.get(entry["track_id"], _STRANGER + entry["track_id"])
        (target / path.name).write_bytes(orjson.dumps(data))


def test_identities_across_videos_score_higher_than_ids_that_restart(
    root: Path, results: Path, evaluation: Evaluation, tmp_path: Path
) -> None:
    _with_person_ids(root, results, tmp_path)
    known = score_posetrack21(root, tmp_path, processes=1, only=frozenset({"cross_video_hota_fixed"}))
    anew = _mean(evaluation, "cross_video_hota_fixed", "HOTA", slice(15, 16))
    assert _mean(known, "cross_video_hota_fixed", "HOTA", slice(15, 16)) > 0.8 > anew + 0.05
