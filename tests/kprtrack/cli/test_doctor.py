"""doctor reports what is missing, how to add it, and whether keypoint prompts can help."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from support import paths

from kprtrack.cli import doctor
from kprtrack.cli.doctor import Check
from kprtrack.cli.evaluation.prompt_quality import prompt_quality
from kprtrack.config import PRESETS, ComponentConfig, TrackConfig
from kprtrack.core.appearance import empty_appearance
from kprtrack.core.datatypes import Detections, Observation, Poses, Tracks

PYPROJECT = paths.ROOT / "pyproject.toml"

APART = [[0, 0, 10, 20], [50, 0, 60, 20]]
CROSSING = [[0, 0, 10, 20], [5, 0, 15, 20]]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path))
    return tmp_path / "models"


def observed(boxes: list[list[float]], joints: list[int], confidence: float = 0.9) -> Observation:
    """One frame; person i shows joints[i] joints."""
    keypoints = np.zeros((len(boxes), 17, 3), np.float32)
    for person, count in enumerate(joints):
        keypoints[person, :count, 2] = confidence
    detections = Detections(np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes), np.float32))
    return Observation(0, 0.0, detections, Poses(keypoints), empty_appearance(len(boxes)))


def as_tracks(observation: Observation) -> Tracks:
    count = len(observation)
    nothing = np.zeros(count, np.float32)
    return Tracks(
        frame_number=0,
        time_s=0.0,
        ids=np.arange(1, count + 1),
        boxes=observation.detections.boxes,
        scores=observation.detections.scores,
        keypoints=observation.poses.keypoints,
        distances=nothing,
        margins=nothing,
        visible=np.zeros((count, 0), bool),
        prompted=np.zeros(count, bool),
    )


def check(checks: list[Check], name: str) -> Check:
    return next(one for one in checks if one.name == name)


# --- prompts


def test_good_keypoints_on_crossing_people_let_prompts_help() -> None:
    quality = prompt_quality([observed(CROSSING, [17, 17])])
    assert quality.helps
    assert (quality.usable_share, quality.overlapped_share, quality.usable_overlapped_share) == (1, 1, 1)


def test_poor_keypoints_on_crossing_people_are_called_too_poor() -> None:
    quality = prompt_quality([observed(CROSSING, [2, 2])])
    assert not quality.helps
    assert "too poor" in quality.verdict


def test_only_the_keypoints_of_overlapping_people_decide() -> None:
    frames = [observed(APART, [17, 17])] * 9 + [observed(CROSSING, [0, 2])]
    quality = prompt_quality(frames)
    assert quality.usable_share == 0.9
    assert quality.usable_overlapped_share == 0
    assert "too poor" in quality.verdict


def test_people_who_never_overlap_have_little_use_for_prompts() -> None:
    quality = prompt_quality([observed(APART, [17, 17])])
    assert not quality.helps
    assert "change little" in quality.verdict


def test_three_joints_are_enough_and_confidence_must_exceed_the_limit() -> None:
    assert prompt_quality([observed(APART, [3, 2])]).usable_share == 0.5
    assert prompt_quality([observed(APART, [17, 17], confidence=0.25)]).usable_share == 0


def test_a_tenth_of_the_own_box_counts_as_overlap() -> None:
    small_before_large = [
        [0, 0, 100, 100],
        [0, 0, 9, 10],
    ]  # covers 0.9 % of the large one, itself wholly covered
    assert prompt_quality([observed(small_before_large, [17, 17])]).overlapped_share == 0.5


def test_tracks_are_assessed_like_observations() -> None:
    frame = observed(CROSSING, [17, 2])
    assert prompt_quality([as_tracks(frame)]) == prompt_quality([frame])


@pytest.mark.parametrize("frames", [[], [observed([], [])]])
def test_an_empty_video_gives_no_verdict(frames: list[Observation]) -> None:
    quality = prompt_quality(frames)
    assert quality.people == 0
    assert "cannot be assessed" in quality.verdict


def test_a_box_without_area_is_not_a_division_by_zero() -> None:
    assert prompt_quality([observed([[5, 5, 5, 5], [0, 0, 10, 10]], [17, 17])]).overlapped_share == 0


def test_a_global_encoder_cannot_be_prompted() -> None:
    found = doctor.prompts(ComponentConfig("hrnet-w32"), ComponentConfig("onnx"), weights_available=True)
    assert "without prompts" in found.detail
    assert found.advice.endswith("--reid small or --reid kpr")


def test_without_an_encoder_there_are_no_prompts() -> None:
    assert (
        "no ReID encoder"
        in doctor.prompts(ComponentConfig("file"), ComponentConfig("none"), weights_available=True).detail
    )


def test_disabled_prompts_are_reported() -> None:
    found = doctor.prompts(
        ComponentConfig("hrnet-w32"),
        ComponentConfig("kpr", options={"prompts": False}),
        weights_available=True,
    )
    assert "disabled" in found.detail


def test_prompts_need_both_weights() -> None:
    assert not doctor.prompts(
        ComponentConfig("hrnet-w32"), ComponentConfig("kpr"), weights_available=False
    ).ok


# --- report


def test_the_report_names_missing_weights_and_the_command_to_get_them() -> None:
    found = check(doctor.report(PRESETS["balanced"]), "detector")
    assert not found.ok
    assert "kprtrack models get yolox-m-coco" in found.advice


def test_weights_of_the_users_own_are_accepted(tmp_path: Path) -> None:
    own = tmp_path / "own.pth"
    own.write_bytes(b"weights")
    found = check(doctor.report(TrackConfig(detector=ComponentConfig("yolox-s", str(own)))), "detector")
    assert found.ok
    assert "your own file" in found.detail


def test_a_part_without_a_network_needs_no_weights() -> None:
    assert check(doctor.report(TrackConfig(reid=ComponentConfig("none"))), "reid").ok


def test_a_missing_file_of_boxes_is_a_problem() -> None:
    assert not check(
        doctor.report(TrackConfig(detector=ComponentConfig("file", "nowhere.json"))), "detector"
    ).ok


def test_a_missing_device_is_a_problem() -> None:
    found = check(doctor.report(TrackConfig(device="cuda:99")), "device")
    assert not found.ok
    assert "'cuda:99' is not available" in found.detail


def test_a_missing_extra_is_no_problem_and_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "torch", {"no-such-package-at-all": "1"})
    found = check(doctor.report(), "[torch]")
    assert found.ok
    assert found.advice == 'pip install "kprtrack[torch]"'


@pytest.mark.parametrize(
    ("package", "oldest", "detail"),
    [("no-such-package-at-all", "1", "missing"), ("numpy", "99.1", "older than 99.1")],
)
def test_a_missing_or_old_package_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, package: str, oldest: str, detail: str
) -> None:
    monkeypatch.setitem(doctor.REQUIRED, package, oldest)
    found = check(doctor.report(), package)
    assert not found.ok
    assert detail in found.detail
    assert found.advice == f'pip install "{package}>={oldest}"'


def test_a_folder_that_holds_one_published_model_is_reported(store: Path) -> None:
    store.mkdir()
    (store / "yolox_x_8x8_300e_coco_20211126_140254-1ef88d67.pth").write_bytes(b"")
    assert check(doctor.report(), "published models").detail == "yolox-x-coco-mmdet"


def test_the_report_leaves_no_trace(store: Path) -> None:
    doctor.report()
    assert not store.exists()


def test_the_lists_of_packages_agree_with_pyproject() -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]

    def pinned(lines: list[str]) -> dict[str, str]:
        return dict(line.split(">=") for line in lines if not line.startswith("kprtrack["))

    assert pinned(project["dependencies"]) == doctor.REQUIRED
    extras = {name: pinned(lines) for name, lines in project["optional-dependencies"].items()}
    assert {name: packages for name, packages in extras.items() if packages} == doctor.EXTRAS


def test_the_text_marks_problems_and_sums_them_up() -> None:
    text = doctor.format_report([Check("good", True, "1.0"), Check("bad", False, "gone", "fetch it")])
    assert text.splitlines() == ["ok  good  1.0", "!!  bad   gone", "          -> fetch it", "1 problem: bad"]


def test_the_text_without_problems_says_so() -> None:
    assert doctor.format_report([Check("good", True, "1.0")]).endswith("No problems found.")
