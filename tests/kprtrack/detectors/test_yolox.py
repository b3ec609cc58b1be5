import gzip
import json

import numpy as np
import pytest
import torch
from support.frames import frames_of
from support.yolox_cases import FIXTURES, GOLDEN, SHARED, filled_network, pattern_image
from torch import nn
from torchvision.ops import batched_nms, nms

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.detectors.suppression import decode_boxes, non_maximum_suppression, suppress
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_network import Yolox, decode
from kprtrack.inference.devices import ComputeConfig

WEIGHTS = SHARED / "real" / "weights" / "yolox_nano_torch_from_onnx.pth"
VIDEO = SHARED / "real" / "videos" / "rknn_people_walking.mp4"
CACHE = SHARED / "real" / "cache" / "rknn_people_walking.json.gz"

needs_fixtures = pytest.mark.skipif(not FIXTURES.exists(), reason="needs ../shared")
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason="needs ../shared/real")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def network():
    return filled_network("nano")


def detector(network: nn.Module, compute: ComputeConfig | None = None, **options) -> YoloxDetector:
    chosen = {"size": "nano", "input_width": 128, "min_score": 0.1} | options
    return YoloxDetector(YoloxConfig(**chosen), network, compute or ComputeConfig())


def same(a, b, tolerance_px=0.05) -> bool:
    return len(a) == len(b) and bool(np.allclose(a.boxes, b.boxes, atol=tolerance_px))


def boxes_in(rows: list[list[float]]) -> np.ndarray:
    """Decoded cells from rows of centre x, centre y, width, height, object, class probabilities."""
    return np.array(rows, np.float32)


# --- which boxes remain


def golden_cells() -> tuple[np.ndarray, dict]:
    """The decoded cells of a image, and the published code's results."""
    golden = np.load(GOLDEN / "yolox_outputs.npz")
    cells = golden["nms_cells"]  # [A, 7] box, object, best probability, its class
    classes = np.zeros((len(cells), 80), np.float32)
    classes[np.arange(len(cells)), cells[:, 6].astype(int)] = cells[:, 5]
    return np.concatenate((cells[:, :5], classes), axis=1), golden


def sorted_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of boxes by score; the published code has equal scores of several classes in no certain order."""
    return rows[np.lexsort((*rows[:, ::-1].T, -rows[:, 4] * rows[:, 5]))]


def test_suppression_across_classes_equals_the_published_code():
    cells, golden = golden_cells()
    np.testing.assert_array_equal(suppress(cells, 0.3, 0.45), golden["nms_agnostic"])


def test_suppression_per_class_equals_the_published_code():
    cells, golden = golden_cells()
    rows = suppress(cells, 0.1, 0.65, per_class=True)
    assert len(rows) == 1353
    known = golden["nms_per_class"]
    least = known[-1, 4] * known[-1, 5]  # whose equals may be cut off
    better = [each[each[:, 4] * each[:, 5] > least] for each in (rows, known)]
    np.testing.assert_array_equal(sorted_rows(better[0]), sorted_rows(better[1]))


@needs_fixtures
@pytest.mark.parametrize("size", ["nano", "tiny", "s"])
def test_suppression_keeps_all_boxes_of_the_published_code(size):
    golden = np.load(FIXTURES / f"yolox_{size}.npz")
    cells = np.concatenate((golden["decoded_boxes"], golden["raw"][:, 4:]), axis=1)
    agnostic, per_class = golden["det_conf0.3_nms0.45_agnostic"], golden["det_conf0.1_nms0.65_perclass"]
    np.testing.assert_array_equal(suppress(cells, 0.3, 0.45), agnostic)
    np.testing.assert_array_equal(
        sorted_rows(suppress(cells, 0.1, 0.65, per_class=True)), sorted_rows(per_class)
    )


def test_the_lower_scored_of_two_overlapping_boxes_is_suppressed():
    cells = boxes_in([[50, 50, 20, 40, 0.5, 0.9], [51, 50, 20, 40, 0.9, 0.9], [90, 50, 20, 40, 0.6, 0.9]])
    assert suppress(cells, 0.1, 0.65)[:, 0].tolist() == [41, 80]


def test_voting_moves_a_box_to_the_weighted_mean_of_those_that_overlap_it():
    # centre x, centre y, width, height, objectness, class; the second overlaps the first by 9 / 11
    cells = boxes_in([[50.0, 50, 20, 40, 0.8, 1], [52, 50, 20, 40, 0.4, 1], [90, 50, 20, 40, 0.5, 1]])
    found = suppress(cells, 0.1, 0.65, voting_iou=0.75)[:, :4]
    shift = 2 * (0.4 * 9 / 11) / (0.8 + 0.4 * 9 / 11)
    expected = [[40 + shift, 30, 60 + shift, 70], [80, 30, 100, 70]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert suppress(cells, 0.1, 0.65, voting_iou=0.9)[0, 0] == 40
    unscored = cells * np.float32([1, 1, 1, 1, 0, 1])
    assert np.isfinite(suppress(unscored, 0, 0.65, voting_iou=0.75)).all()


def test_overlapping_boxes_of_two_classes_are_kept_per_class():
    cells = boxes_in([[50, 50, 20, 40, 0.5, 0.9, 0.0], [51, 50, 20, 40, 0.9, 0.0, 0.9]])
    assert len(suppress(cells, 0.1, 0.65, per_class=True)) == 2
    assert len(suppress(cells, 0.1, 0.65)) == 1


@pytest.mark.parametrize("per_class", [False, True])
def test_suppression_keeps_the_rows_of_torchvision(per_class):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (400, 2)).astype(np.float32)
    boxes = np.concatenate((corners, corners + rng.uniform(5, 60, (400, 2)).astype(np.float32)), axis=1)
    scores = rng.integers(0, 50, 400).astype(np.float32) / 50  # many equal ones
    categories = rng.integers(0, 3, 400)
    tensors = [torch.from_numpy(one) for one in (boxes, scores, categories)]
    expected = batched_nms(*tensors, 0.5) if per_class else nms(*tensors[:2], 0.5)
    found = non_maximum_suppression(boxes, scores, 0.5, categories if per_class else None)
    assert len(found) > 20
    if per_class:  # torchvision sorts equal scores of several classes as it likes
        assert set(found) == set(expected.tolist())
    else:
        assert found.tolist() == expected.tolist()


def test_boxes_are_decoded_as_in_training():
    raw = np.random.default_rng(0).normal(0, 2, (2, 84 + 21, 6)).astype(np.float32)
    raw = raw[:, : 8 * 8 + 4 * 4 + 2 * 2]
    np.testing.assert_allclose(
        decode_boxes(raw, 64, 64), decode(torch.from_numpy(raw), 64, 64).numpy(), rtol=1e-6
    )


# --- the configuration


def test_the_default_canvas_is_the_published_square():
    assert YoloxConfig(size="nano").canvas_hw == (416, 416)
    assert YoloxConfig(size="x").canvas_hw == (640, 640)
    assert YoloxConfig(input_width=832).canvas_hw == (832, 832)
    assert YoloxConfig(input_height=480, input_width=832).canvas_hw == (480, 832)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_height": 400}, r"input_height is 400, but must be a multiple of 32\. Nearest: 384"),
        ({"input_width": 0}, "Nearest: 32"),
        ({"size": "smal"}, "Unknown YOLOX size 'smal'"),
        ({"padding": "trim"}, "Did you mean 'trimmed'"),
        ({"preprocess": "bytetrack"}, "Known: legacy, megvii"),
        ({"min_score": 1.5}, "min_score is 1.5"),
        ({"nms_iou": -0.1}, "nms_iou is -0.1"),
    ],
)
def test_an_invalid_option_is_an_error_with_advice(options, message):
    with pytest.raises(UserError, match=message):
        YoloxConfig(**options)


# --- the detector


def test_images_of_different_sizes_in_a_batch_have_their_own_detections(network):
    images = [
        pattern_image(h, w, i) for i, (h, w) in enumerate([(72, 128), (128, 72), (72, 128), (200, 200)])
    ]
    alone = [detector(network)(frames_of([image]))[0] for image in images]
    together = detector(network, ComputeConfig(batch=2))(frames_of(images))
    assert all(len(people) for people in together)
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))


def test_detections_are_sorted_by_score_in_pixels_of_the_image(network):
    image = pattern_image(128, 128, 0)
    small = detector(network)(frames_of([image]))[0]
    large = detector(network)(frames_of([np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)]))[0]
    assert (np.diff(small.scores) <= 0).all()
    assert small.boxes.dtype == small.scores.dtype == np.float32
    assert large.boxes.max() == pytest.approx(2 * small.boxes.max(), rel=0.1)


def test_boxes_are_not_clipped_to_the_image(network):
    boxes = detector(network)(frames_of([pattern_image(128, 128, 0)]))[0].boxes
    assert boxes.min() < 0 or boxes.max() > 128


def test_an_image_without_people_has_no_detections(network):
    people = detector(network, min_score=1.0)(frames_of([pattern_image(72, 128, 0)]))[0]
    assert len(people) == 0
    assert people.boxes.shape == (0, 4)
    assert detector(network)(frames_of([])) == []


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 20, 3)])
def test_an_empty_image_is_an_error(shape, network):
    with pytest.raises(UserError, match="expected uint8"):
        detector(network)(frames_of([np.zeros(shape, np.uint8)]))


def test_an_image_of_floats_is_an_error(network):
    with pytest.raises(UserError, match="float32"):
        detector(network)(frames_of([np.zeros((20, 20, 3), np.float32)]))


def test_an_image_of_one_pixel_is_accepted(network):
    assert len(detector(network)(frames_of([np.zeros((1, 1, 3), np.uint8)]))) == 1


def test_only_the_first_of_several_classes_is_detected(network):
    person = Yolox("nano", 1)
    rows = {k: v[:1] if "cls_preds" in k else v for k, v in network.state_dict().items()}
    person.load_state_dict(rows)
    image = pattern_image(72, 128, 0)
    people = detector(person)(frames_of([image]))[0]
    assert len(people)
    assert same(people, detector(network)(frames_of([image]))[0])


def test_building_a_detector_leaves_the_network_trainable(network):
    detector(network, ComputeConfig(precision="bf16"))
    assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert {p.dtype for p in network.parameters()} == {torch.float32}


class Broken(Yolox):
    """Detects a person of infinite or no size in every cell."""

    def __init__(self, raw_size: float) -> None:
        super().__init__("nano", 1)
        self.raw_size = raw_size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raw = torch.ones(len(images), 336, 6)
        raw[..., 2:4] = self.raw_size
        return raw


@pytest.mark.filterwarnings("error")
# 86 to 88.7: its exponential is a float32, but not so times the stride, or as an area; 20: 10^9 pixels.
@pytest.mark.parametrize("raw_size", [1000.0, -1000.0, float("nan"), 88.5, 86.0, 50.0, 20.0])
def test_boxes_without_a_valid_size_are_dropped(raw_size):
    assert len(detector(Broken(raw_size), padding="full")(frames_of([pattern_image(128, 128, 0)]))[0]) == 0


def test_legacy_preprocessing_changes_the_detections(network):
    image = pattern_image(72, 128, 0)
    assert not same(
        detector(network, preprocess="legacy")(frames_of([image]))[0],
        detector(network)(frames_of([image]))[0],
    )


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_gives_similar_boxes(precision, network):
    image = pattern_image(128, 128, 0)
    half = detector(network, ComputeConfig(precision=precision))(frames_of([image]))[0]
    single = detector(network)(frames_of([image]))[0]
    assert len(single) > 10
    assert abs(len(half) - len(single)) <= 0.1 * len(single)
    assert abs(half.scores[:10] - single.scores[:10]).max() < 0.05


def test_missing_weights_are_an_error_that_names_them(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.pth"):
        YoloxDetector(YoloxConfig(size="nano"), tmp_path / "none.pth", ComputeConfig())


# --- real weights


def first_frames(count: int) -> list[np.ndarray]:
    import av

    with av.open(str(VIDEO)) as container:
        return [
            f.to_ndarray(format="rgb24")
            for f, _ in zip(container.decode(video=0), range(count), strict=False)
        ]


@pytest.mark.slow
@pytest.mark.weights
@needs_weights
def test_real_weights_give_the_stored_detections():
    numbers = (0, 5, 60, 120)
    frames = first_frames(121)
    known = json.loads(gzip.decompress(CACHE.read_bytes()))["frames"]
    config = YoloxConfig(size="nano", input_height=480, input_width=832, padding="full")
    found = YoloxDetector(config, WEIGHTS, ComputeConfig(batch=4))(
        frames_of([frames[number] for number in numbers])
    )
    for number, people in zip(numbers, found, strict=True):
        boxes, scores = np.array(known[number]["boxes"]), np.array(known[number]["scores"])
        assert people.boxes.shape == boxes.shape
        # The stored boxes are clipped to the image and rounded to 0.1 pixel, the scores to 0.001.
        inside = people.boxes.clip(0, (1280, 720, 1280, 720))
        assert np.abs(inside - boxes).max() <= 0.051
        assert np.abs(people.scores - scores).max() <= 0.00051


@pytest.mark.weights
@needs_weights
def test_trimming_the_padding_keeps_people_with_high_scores():
    frames = first_frames(4)
    full = YoloxDetector(YoloxConfig(size="nano", padding="full"), WEIGHTS, ComputeConfig())(
        frames_of(frames)
    )
    trimmed = YoloxDetector(YoloxConfig(size="nano"), WEIGHTS, ComputeConfig())(frames_of(frames))
    for a, b in zip(full, trimmed, strict=True):
        clear = a.boxes[a.scores > 0.5]
        nearest = np.abs(clear[:, None] - b.boxes[None]).max(axis=2).min(axis=1)
        assert len(clear) > 3
        assert nearest.max() < 12  # of 1280 pixels


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_gpu_gives_the_same_detections(precision, network):
    image = pattern_image(128, 128, 0)
    # TensorFloat-32, cuDNN's default for fp32, alone moves scores by 3e-3.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        there = detector(network, ComputeConfig(device="cuda", precision=precision))(frames_of([image]))[0]
    here = detector(network)(frames_of([image]))[0]
    assert len(here) > 10
    assert abs(len(there) - len(here)) <= 0.1 * len(here)
    assert np.abs(there.scores[:10] - here.scores[:10]).max() < (1e-3 if precision == "fp32" else 0.05)
