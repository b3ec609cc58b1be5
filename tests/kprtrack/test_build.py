"""Building components: names, weights, devices, and errors before anything is loaded."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kprtrack.build import (
    DEFAULT_WEIGHTS,
    NO_REID,
    build_networks,
    build_reid_encoder,
    build_tracker,
    weights_of,
)
from kprtrack.config import DEFAULT_PRESET, PRESETS, ComponentConfig, TrackConfig
from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import InputError, UserError, WeightsError
from kprtrack.detectors import DETECTORS
from kprtrack.detectors.yolox import YoloxConfig
from kprtrack.hub.catalog import CATALOGUE
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import Detector
from kprtrack.trackers.bytetrack import ByteTrack
from kprtrack.trackers.kpr import KprTracker


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))


def given_file(tmp_path: Path, bbox: list[float] | None = None) -> str:
    """A COCO result with one person in frame 0."""
    person = {
        "image_id": 0,
        "category_id": 1,
        "bbox": bbox or [1, 2, 3, 4],
        "score": 0.9,
        "keypoints": [5, 6, 0.5] * 17,
    }
    path = tmp_path / "given.json"
    path.write_text(json.dumps([person]))
    return str(path)


def given(tmp_path: Path, **change: object) -> TrackConfig:
    """A pipeline that needs no weights."""
    file = given_file(tmp_path)
    return TrackConfig(
        ComponentConfig("file", file),
        ComponentConfig("file", file),
        ComponentConfig("none"),
        **{"device": "cpu", **change},
    )  # type: ignore[arg-type]


def test_default_weights_are_all_in_the_catalog() -> None:
    assert {name for names in DEFAULT_WEIGHTS.values() for name in names.values()} <= set(CATALOGUE)


def test_python_and_command_line_have_the_same_defaults() -> None:
    assert TrackConfig() == PRESETS[DEFAULT_PRESET]


@pytest.mark.parametrize("preset", PRESETS)
def test_small_lies_in_the_package_and_the_other_presets_are_published(preset: str) -> None:
    config = PRESETS[preset]
    for role in ("detector", "pose", "reid"):
        part = getattr(config, role)
        if part.name == NO_REID:
            continue
        assert CATALOGUE[part.weights or DEFAULT_WEIGHTS[role][part.name]].in_package == (preset == "small")


def test_boxes_and_keypoints_from_a_file_need_no_network(tmp_path: Path) -> None:
    networks = build_networks(given(tmp_path))
    batch = [Frame(number, 0.0, np.zeros((8, 8, 3), np.uint8)) for number in (0, 1)]
    people = networks.detect(batch)
    poses = networks.estimate_poses(batch, people)
    embeddings = networks.embed(batch, people, poses)
    assert [len(found) for found in people] == [1, 0]
    assert people[0].boxes.tolist() == [[1, 2, 4, 6]]
    assert poses[0].keypoints[0, 0].tolist() == [5, 6, 0.5]
    assert [len(one) for one in embeddings] == [1, 0]


@pytest.mark.parametrize(
    ("role", "name", "hint"),
    [
        ("detector", "yolox-nan", "Unknown detector 'yolox-nan'. Did you mean 'yolox-nano'?"),
        ("pose", "hrnet-w23", "Unknown pose estimator 'hrnet-w23'. Did you mean 'hrnet-w32'?"),
        ("reid", "kp", "Unknown ReID encoder 'kp'. Did you mean 'kpr'?"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_name(role: str, name: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        build_networks(TrackConfig(**{role: ComponentConfig(name)}))  # type: ignore[arg-type]
    assert str(caught.value).startswith(hint)


def test_an_unknown_tracker_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"Unknown tracker 'bytetrac'. Did you mean 'bytetrack'\?"):
        build_tracker(ComponentConfig("bytetrac"), 25.0)


def test_trackers_are_built_with_their_options() -> None:
    assert isinstance(
        build_tracker(ComponentConfig("bytetrack", None, {"track_thresh": 0.4}), 25.0), ByteTrack
    )
    tracker = build_tracker(ComponentConfig("kpr", None, {"momentum": 0.5}), 25.0)
    assert isinstance(tracker, KprTracker) and tracker.config.momentum == 0.5


def test_the_error_for_missing_weights_names_the_download_command() -> None:
    with pytest.raises(WeightsError, match="kprtrack models get yolox-m-coco"):
        build_networks(PRESETS["balanced"])


def test_missing_weights_of_the_last_component_are_an_error_before_the_first_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d.pth").write_bytes(b"damaged")
    config = TrackConfig(
        ComponentConfig("yolox-s", str(tmp_path / "d.pth")),
        ComponentConfig("file", given_file(tmp_path)),
        ComponentConfig("kpr", "kpr-multi"),
    )
    with pytest.raises(WeightsError, match="kpr-multi"):
        build_networks(config)


@pytest.mark.parametrize(
    ("role", "name"), [("reid", "onnx"), ("pose", "heatmap"), ("detector", "ultralytics")]
)
def test_a_component_without_default_weights_needs_a_file(role: str, name: str) -> None:
    with pytest.raises(UserError, match=f"--{role}-weights FILE"):
        weights_of(role, ComponentConfig(name))


@pytest.mark.parametrize("role", ["detector", "pose"])
def test_file_without_a_file_is_an_error(role: str) -> None:
    with pytest.raises(UserError, match=f"--{role} file needs a file: name one with --{role}-weights FILE"):
        weights_of(role, ComponentConfig("file"))


def test_an_onnx_network_in_place_of_a_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "osnet.onnx").write_bytes(b"x")
    with pytest.raises(WeightsError, match="--reid onnx"):
        build_reid_encoder(ComponentConfig("kpr", str(tmp_path / "osnet.onnx")), ComputeConfig())


def test_boxes_of_nan_are_an_error(tmp_path: Path) -> None:
    file = given_file(tmp_path, [1, 2, float("nan"), 4])
    with pytest.raises(InputError, match=r"given\.json"):
        build_networks(
            TrackConfig(
                ComponentConfig("file", file),
                ComponentConfig("file", file),
                ComponentConfig("none"),
                device="cpu",
            )
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "gpu"}, "Unknown device 'gpu'"),
        ({"device": "cpu:3"}, "only CUDA devices are numbered; write --device cpu."),
        ({"device": "cuda:99"}, "--device cuda:99: "),
        ({"device": "cuda:x"}, "--device cuda:x: "),
        ({"precision": "fp61"}, "Unknown precision 'fp61'. Did you mean 'fp16'?"),
        ({"batch": 0}, "batch must be at least 1, not 0."),
        ({"frames_at_once": 0}, "frames_at_once must be at least 1, not 0."),
        ({"threads": 0}, "threads must be at least 1, not 0."),
    ],
)
def test_an_impossible_compute_setting_is_an_error(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        build_networks(given(tmp_path, **change))
    assert message in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_missing_gpu_is_an_error_without_fallback(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"this machine has no such device that torch can use. It has: cpu"):
        build_networks(given(tmp_path, device="cuda"))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_full_memory_is_an_error_that_says_what_to_make_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Full(Detector):
        def __init__(self, *_: object) -> None:
            pass

        def __call__(self, frames: object) -> list[Detections]:
            raise error

    monkeypatch.setitem(DETECTORS, "yolox-s", (Full, YoloxConfig))
    (tmp_path / "w.pth").write_bytes(b"x")
    file = given_file(tmp_path)
    config = TrackConfig(
        ComponentConfig("yolox-s", str(tmp_path / "w.pth")),
        ComponentConfig("file", file),
        ComponentConfig("none"),
        device="cpu",
    )
    networks = build_networks(config)
    with pytest.raises(UserError, match=r"Make --batch \(now 8\)"):
        networks.detect([])


def test_the_metadata_names_the_file_of_each_component(tmp_path: Path) -> None:
    metadata = build_networks(given(tmp_path)).metadata
    assert metadata["detector"]["file"] == "given.json"
    assert metadata["reid"] == {"name": "none"}
    assert metadata["compute"] == {"device": "cpu", "precision": "fp32"}
