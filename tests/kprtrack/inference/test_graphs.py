"""Graphs of the package compute what torch computes, with the weights of any file of the architecture."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support.contract_cases import demo_frames

from kprtrack.build import build_networks
from kprtrack.cli.demo import CLIP
from kprtrack.config import TrackConfig
from kprtrack.core.errors import WeightsError
from kprtrack.detectors.yolox import YoloxConfig, yolox_source
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.hub.catalog import CATALOGUE
from kprtrack.hub.store import find
from kprtrack.inference import conversions
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.graphs import GRAPHS, packaged_graph
from kprtrack.inference.network import open_network
from kprtrack.inference.source import NetworkSource
from kprtrack.io import read_tracks
from kprtrack.poses.small import small_pose_source
from kprtrack.reid_encoders.kpr import KprEncoderConfig, kpr_source
from kprtrack.run import track_video
from kprtrack.video.clip import Clip
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.weights import save

IN_PACKAGE = sorted(name for name, entry in CATALOGUE.items() if entry.in_package)
LARGEST_BYTES = 300_000  # of a graph without weights
MINI = KprConfig("mini_cnn", 64, 32, parts=5, fused_width=32, dimensions=8, prompt_groups="cck6")


def source_of(name: str) -> NetworkSource:
    entry = CATALOGUE[name]
    if entry.kind == "detector":
        return yolox_source(find(name).path, YoloxConfig("nano"))
    if entry.kind == "pose":
        return small_pose_source(find(name).path)[1]
    return kpr_source(KprEncoderConfig(), find(name).path)[1]


def differences(source: NetworkSource, inputs: list[np.ndarray], backend: str = "onnxruntime") -> list[float]:
    """Largest difference of each output from torch, relative to its largest value."""
    found = open_network(source, ComputeConfig(backend=backend)).run(*inputs)
    expected = open_network(source, ComputeConfig(backend="torch")).run(*inputs)
    assert [one.shape for one in found] == [one.shape for one in expected]
    return [
        float(np.abs(ours.astype(float) - theirs).max() / np.abs(theirs.astype(float)).max())
        for ours, theirs in zip(found, expected, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_PACKAGE)
def test_every_network_of_the_package_has_a_graph_that_computes_as_torch(name: str) -> None:
    source = source_of(name)
    assert packaged_graph(source.architecture) is not None, "run tools/export_graphs.py"
    three = [np.concatenate((one, one[:1, ::-1])) for one in source.example]
    assert max(differences(source, three)) < 1e-4


@pytest.mark.slow
def test_tracks_equal_those_of_torch(tmp_path: Path) -> None:
    found = []
    for backend in ("auto", "torch"):
        config = TrackConfig(device="cpu", backend=backend)
        track_video(Clip(CLIP, end_s=0.4), tmp_path / f"{backend}.json", config, quiet=True)
        found.append(read_tracks(tmp_path / f"{backend}.json").frames)
    assert len(found[0]) == len(found[1]) == 10
    for ours, theirs in zip(*found, strict=True):
        assert ours.ids.tolist() == theirs.ids.tolist()
        assert np.abs(ours.boxes - theirs.boxes).max(initial=0) < 0.05  # pixels


@pytest.mark.slow
def test_each_stage_equals_torch_on_the_clip_of_the_demo() -> None:
    ours, torchs = (
        build_networks(TrackConfig(device="cpu", backend=name, threads=1)) for name in ("auto", "torch")
    )
    frames = demo_frames()
    detections, expected = ours.detect(frames), torchs.detect(frames)
    for found, known in zip(detections, expected, strict=True):
        assert np.abs(found.boxes - known.boxes).max(initial=0) < 0.01  # pixels
        assert np.abs(found.scores - known.scores).max(initial=0) < 1e-4
    # The same boxes for both: a box that differs in its last bit makes a crop that differs by a grey level.
    poses, known_poses = (each.estimate_poses(frames, expected) for each in (ours, torchs))
    for pose, known_pose in zip(poses, known_poses, strict=True):
        assert np.abs(pose.keypoints - known_pose.keypoints).max(initial=0) < 0.05  # pixels
    embeddings, known = (each.embed(frames, expected, known_poses) for each in (ours, torchs))
    for one, other in zip(embeddings, known, strict=True):
        assert np.abs(one.features - other.features).max(initial=0) < 1e-4
        assert (one.visible == other.visible).all()


def test_the_detectors_graph_takes_canvases_of_any_size_and_openvino_computes_it() -> None:
    pytest.importorskip("openvino")
    canvases = [np.random.default_rng(0).integers(0, 256, (1, 64, 160, 3), np.uint8)]
    assert max(differences(source_of("small-detector"), canvases, "openvino")) < 1e-4


def test_other_weights_of_an_architecture_need_no_other_graph(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(Yolox("nano", 1).state_dict(), tmp_path / "w.safetensors")
    source = yolox_source(tmp_path / "w.safetensors", YoloxConfig("nano", preprocess="legacy"))
    opened = open_network(source, ComputeConfig())
    assert opened.backend.startswith("onnxruntime")
    assert max(differences(source, list(source.example))) < 1e-4


def test_graphs_hold_no_weights() -> None:
    assert all(file.stat().st_size < LARGEST_BYTES for file in GRAPHS.glob("*.onnx"))


def changed(folder: Path, name: str, change: str) -> Path:
    """A copy of weights of the package without one tensor, with one more, or with one of another shape."""
    with safe_open(find(name).path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = file.metadata()
    first = next(key for key, one in tensors.items() if one.ndim == 4)
    if change == "missing":
        del tensors[first]
    elif change == "unexpected":
        tensors["surplus.weight"] = torch.zeros(3)
    else:
        tensors[first] = torch.zeros(1, 2, 3, 3)
    save_file(tensors, folder / "changed.safetensors", header)
    return folder / "changed.safetensors"


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
@pytest.mark.parametrize("kind", ["pose", "reid"])
def test_weights_that_do_not_fit_are_the_same_error_with_and_without_torch(
    tmp_path: Path, kind: str, change: str
) -> None:
    path = changed(tmp_path, {"pose": "small-pose", "reid": "small-kpr"}[kind], change)
    source = small_pose_source(path)[1] if kind == "pose" else kpr_source(KprEncoderConfig(), path)[1]
    messages = []
    for backend in ("onnxruntime", "torch"):
        with pytest.raises(WeightsError) as error:
            open_network(source, ComputeConfig(backend=backend))
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.fixture
def mini_kpr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of an architecture without a graph, and a store of its own."""
    pytest.importorskip("onnx")
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    save(tmp_path / "w.safetensors", Kpr(MINI))
    return tmp_path / "w.safetensors"


def opened(path: Path) -> list[np.ndarray]:
    source = kpr_source(KprEncoderConfig(), path)[1]
    network = open_network(source, ComputeConfig())
    assert network.backend.startswith("onnxruntime")
    return network.run(*source.example)


def kept(path: Path) -> list[Path]:
    return list((path.parent / "home" / "converted").glob("*.onnx"))


def test_a_network_without_graph_is_converted_once(mini_kpr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(mini_kpr)
    (file,) = kept(mini_kpr)

    def not_again(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr("kprtrack.inference.compile.converted", not_again)
    for ours, theirs in zip(opened(mini_kpr), first, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert kept(mini_kpr) == [file]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_conversion_is_made_anew(mini_kpr: Path, damage: str) -> None:
    first = opened(mini_kpr)
    (file,) = kept(mini_kpr)
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes({"cut": content[:-500], "changed": content, "empty": b""}[damage])
    for ours, theirs in zip(opened(mini_kpr), first, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_weights_and_other_settings_have_conversions_of_their_own(mini_kpr: Path) -> None:
    keys = {conversions.key_of(mini_kpr, {"network": "kpr", "parts": parts}) for parts in (5, 8)}
    torch.manual_seed(1)
    save(mini_kpr, Kpr(MINI))
    keys.add(conversions.key_of(mini_kpr, {"network": "kpr", "parts": 5}))
    assert len(keys) == 3


def test_a_store_that_cannot_be_written_is_no_error(mini_kpr: Path) -> None:
    (mini_kpr.parent / "home").write_text("a file in place of the folder")
    assert opened(mini_kpr)


def test_the_tensors_of_a_graph_are_those_of_the_network() -> None:
    graph = packaged_graph(source_of("small-detector").architecture)
    assert graph is not None
    expected = {k: tuple(v.shape) for k, v in Yolox("nano", 1).state_dict().items() if "num_batches" not in k}
    assert dict(graph.shapes) == expected
    assert json.loads(json.dumps(sorted(graph.unused))) == []
