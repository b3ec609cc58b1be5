"""KPR as ReID encoder: batches over frames, prompts, options."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.frames import frames_of

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Poses, empty_detections, empty_poses
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.skeletons import SKELETONS
from kprtrack.inference.devices import ComputeConfig
from kprtrack.reid_encoders.kpr import KprEncoder, KprEncoderConfig
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.prompts import make_prompts
from reid.model.weights import save

MINI = KprConfig(
    backbone="swin_mini", height=64, width=32, parts=5, prompt_groups="cck6", fused_width=32, dimensions=8
)


def model() -> Kpr:
    """A small encoder whose prompts matter."""
    torch.manual_seed(1)
    made = Kpr(MINI)
    torch.nn.init.normal_(made.prompt_tokens.conv.weight)
    torch.nn.init.normal_(made.part_classifier.classifier.weight)
    return made.eval()


def scene() -> tuple[list[Frame], list[Detections], list[Poses]]:
    """Three frames with 3, 0 and 2 people; the boxes of the first frame overlap."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (120, 160, 3), dtype=np.uint8) for _ in range(3)]
    boxes = [
        np.array([[10, 10, 60, 110], [40, 10, 90, 110], [100, 5, 150, 115]], np.float32),
        np.zeros((0, 4), np.float32),
        np.array([[0, 0, 40, 90], [80, 20, 130, 119]], np.float32),
    ]
    people = [Detections(found, np.ones(len(found), np.float32)) for found in boxes]
    poses = []
    for found in boxes:
        low, high = found[:, None, :2], found[:, None, 2:]
        points = low + rng.uniform(size=(len(found), 17, 2)) * (high - low)
        poses.append(Poses(np.concatenate((points, np.ones((len(found), 17, 1))), axis=2).astype(np.float32)))
    return frames_of(images), people, poses


def embeddings(batch: int = 16, **options: object) -> list[Appearance]:
    return KprEncoder(KprEncoderConfig(**options), model(), ComputeConfig(batch=batch))(*scene())


def test_rows_are_the_boxes_of_each_frame() -> None:
    found = embeddings()
    assert [one.features.shape for one in found] == [(3, 6, 8), (0, 6, 8), (2, 6, 8)]
    assert [one.visible.shape for one in found] == [(3, 6), (0, 6), (2, 6)]
    assert all(one.prompted.all() and one.visible[:, 0].all() for one in found)
    assert all(one.features.dtype == np.float32 for one in found)


@pytest.mark.parametrize("name", ["halpe26", "blazepose33", "wholebody133"])
def test_prompts_are_cocos_keypoints_of_a_larger_set(name: str) -> None:
    skeleton, (frames, people, poses) = SKELETONS[name], scene()
    larger = []
    for one in poses:
        points = np.full((len(one), len(skeleton), 3), 1, np.float32)  # others would draw other prompts
        points[:, list(skeleton.coco_rows)] = one.keypoints
        larger.append(Poses(points, skeleton))
    encoder = KprEncoder(KprEncoderConfig(), model(), ComputeConfig(batch=16))
    for found, wanted in zip(encoder(frames, people, larger), embeddings(), strict=True):
        np.testing.assert_array_equal(found.features, wanted.features)


def test_features_have_unit_length() -> None:
    for one in embeddings():
        assert np.linalg.norm(one.features, axis=2) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_batch_size_does_not_change_the_embeddings(batch: int) -> None:
    for ours, theirs in zip(embeddings(batch), embeddings(), strict=True):
        assert np.abs(ours.features - theirs.features).max(initial=0) < 1e-5
        assert (ours.visible == theirs.visible).all()


def test_embeddings_equal_those_of_the_model_with_prompts_of_the_same_frame() -> None:
    images, people, poses = scene()
    encoder = model()
    prompts = make_prompts(images[0].image, people[0].boxes, poses[0].keypoints, MINI.prompts())
    with torch.inference_mode():
        features, visible = encoder.embed(torch.from_numpy(prompts.crops), torch.from_numpy(prompts.heatmaps))
    assert np.abs(embeddings()[0].features - features.numpy()).max() < 1e-5
    assert (embeddings()[0].visible == visible.numpy()).all()


def test_without_prompts_nobody_is_prompted() -> None:
    off = embeddings(prompts=False)
    assert not any(one.prompted.any() for one in off)
    assert np.abs(off[0].features - embeddings()[0].features).max() > 1e-3
    images, people, poses = scene()
    with torch.inference_mode():
        crops = make_prompts(images[0].image, people[0].boxes, poses[0].keypoints, MINI.prompts()).crops
        assert np.abs(off[0].features - model().embed(torch.from_numpy(crops))[0].numpy()).max() < 1e-5


def test_negative_prompts_affect_overlapping_people_only() -> None:
    first = np.abs(embeddings(negatives=False)[0].features - embeddings()[0].features).max(axis=(1, 2))
    assert (first[:2] > 1e-4).all()
    assert first[2] < 1e-5


def test_poses_beyond_the_boxes_are_negative_prompts() -> None:
    """Two of the overlapping people, in any order, are embedded as if all were."""
    images, people, poses = scene()
    embed = KprEncoder(KprEncoderConfig(), model(), ComputeConfig())
    (everyone,) = embed(images[:1], people[:1], poses[:1])
    for rows, others in (([0], [1, 2]), ([1], [2, 0]), ([2, 0], [1])):
        some = Detections(people[0].boxes[rows], people[0].scores[rows])
        (found,) = embed(images[:1], [some], [Poses(poses[0].keypoints[rows + others])])
        assert np.abs(found.features - everyone.features[rows]).max() < 1e-5


def test_keypoints_of_low_confidence_prompt_nobody() -> None:
    images, people, poses = scene()
    poses[0].keypoints[1, :, 2] = 0.4
    embed = KprEncoder(KprEncoderConfig(min_confidence=0.5), model(), ComputeConfig())
    assert embed(images, people, poses)[0].prompted.tolist() == [True, False, True]


def test_unprompted_people_of_a_mixed_batch_are_embedded_without_prompts() -> None:
    images, people, poses = scene()
    poses[0].keypoints[1] = 0
    mixed = KprEncoder(KprEncoderConfig(), model(), ComputeConfig())(images, people, poses)[0]
    assert np.abs(mixed.features[1] - embeddings(prompts=False)[0].features[1]).max() < 1e-5


def test_parts_have_no_foreground_embedding() -> None:
    assert np.allclose(embeddings(vectors="parts")[0].features, embeddings()[0].features[:, 1:], atol=1e-6)


def test_the_foreground_is_one_embedding_per_person() -> None:
    for one, whole in zip(embeddings(vectors="foreground"), embeddings(), strict=True):
        assert one.features.shape == (len(whole), 1, 8)
        assert (one.features == whole.features[:, :1]).all() and one.visible.all()


def test_frames_without_people_have_no_embeddings() -> None:
    images = scene()[0]
    embed = KprEncoder(KprEncoderConfig(), model(), ComputeConfig())
    found = embed(images, [empty_detections()] * 3, [empty_poses()] * 3)
    assert [one.features.shape for one in found] == [(0, 6, 8)] * 3
    assert embed([], [], []) == []


def test_half_precision_gives_similar_embeddings() -> None:
    embed = KprEncoder(KprEncoderConfig(), model(), ComputeConfig(precision="bf16"))
    for half, whole in zip(embed(*scene()), embeddings(), strict=True):
        assert half.features.dtype == np.float32
        if len(half):
            assert (half.features * whole.features).sum(axis=2).min() > 0.98


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_gpu_gives_the_embeddings_of_the_cpu(precision: str) -> None:
    embed = KprEncoder(KprEncoderConfig(), model(), ComputeConfig("cuda", precision))
    for gpu, cpu in zip(embed(*scene()), embeddings(), strict=True):
        if len(gpu):
            least = 0.9999 if precision == "fp32" else 0.98
            assert (gpu.features * cpu.features).sum(axis=2).min() > least


def test_an_encoder_is_built_from_a_file(tmp_path: Path) -> None:
    save(tmp_path / "w.safetensors", model())
    options = KprEncoderConfig(parts=5, prompt_groups="cck6", image_height=64, image_width=32)
    found = KprEncoder(options, tmp_path / "w.safetensors", ComputeConfig(backend="torch"))(*scene())
    assert np.abs(found[0].features - embeddings()[0].features).max() < 1e-6


def test_options_that_contradict_the_weights_are_errors(tmp_path: Path) -> None:
    save(tmp_path / "w.safetensors", model())
    with pytest.raises(UserError, match="has parts = 5, not 8"):
        KprEncoder(KprEncoderConfig(parts=8), tmp_path / "w.safetensors", ComputeConfig())
    with pytest.raises(WeightsError, match="No weights at"):
        KprEncoder(KprEncoderConfig(), tmp_path / "none.safetensors", ComputeConfig())


@pytest.mark.parametrize("options", [{"min_confidence": 1.5}, {"vectors": "all"}])
def test_invalid_options_are_errors(options: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"min_confidence|vectors"):
        KprEncoderConfig(**options)


def test_a_duplicate_detection_is_not_a_negative_prompt_of_its_person() -> None:
    images, people, poses = scene()
    boxes, keypoints = people[0].boxes[:1], poses[0].keypoints[:1]
    twice = Detections(np.repeat(boxes, 2, 0), np.ones(2, np.float32))
    embed = KprEncoder(KprEncoderConfig(), model(), ComputeConfig())
    alone = embed(images[:1], [Detections(boxes, np.ones(1, np.float32))], [Poses(keypoints)])[0]
    nudged = np.concatenate([keypoints, keypoints + np.float32([0.2, 0.2, 0])])
    doubled = embed(images[:1], [twice], [Poses(nudged)])[0]
    np.testing.assert_allclose(doubled.features[0], alone.features[0], atol=1e-5)
    moved = np.concatenate([keypoints, keypoints + np.float32([20, 0, 0])])
    beside = embed(images[:1], [twice], [Poses(moved)])[0]
    assert np.abs(beside.features[0] - alone.features[0]).max() > 1e-3
