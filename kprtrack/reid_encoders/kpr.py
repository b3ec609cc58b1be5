"""KPR as a ReID encoder: keypoints become prompts, the network gives one embedding for each body part."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError
from kprtrack.core.geometry import oks
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.graphs import Graph
from kprtrack.inference.network import open_network
from kprtrack.inference.source import NetworkSource, example_numbers
from kprtrack.pipeline import ReidEncoder
from reid.model.config import KprConfig
from reid.model.prompts import Prompts, make_prompts
from reid.model.stored import InputSpec, StoredKpr, read_kpr, validate_kpr

if TYPE_CHECKING:
    from torch import nn

    from reid.model.kpr import Kpr

DUPLICATE_OKS = 0.85  # object keypoint similarity of duplicate detections; two people stay below it
Triple = tuple[float, float, float]
Described = Literal["foreground+parts", "parts", "foreground"]


@dataclass(frozen=True)
class KprEncoderConfig:
    """Prompts, compared embeddings, and what the checkpoint does not store."""

    prompts: bool = True  # positive prompts: the keypoints of the person
    negatives: bool = True  # negative prompts: keypoints of other people inside the box
    min_confidence: float = 0.3  # keypoints above it are drawn, in [0, 1]; 0.3 was used in training
    # Embeddings to compare: "foreground+parts" is the published distance, "parts" equation 2 of the paper,
    # "foreground" one embedding of the whole person.
    vectors: Described = "foreground+parts"
    # What published checkpoints do not store; None: from the file, its name or the catalogue.
    image_height: int | None = None  # pixels of the crop
    image_width: int | None = None
    mean: Triple | None = None  # of RGB in [0, 1]
    std: Triple | None = None
    semantic_weight: float | None = None  # SOLIDER only
    # Expected properties of the weights; None: any.
    parts: int | None = None
    prompt_groups: str | None = None  # in kprtrack.core.skeleton.PROMPT_GROUPS

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise UserError(f"min_confidence must lie in [0, 1], not {self.min_confidence}.")
        if self.vectors not in get_args(Described):
            raise UserError(f"vectors must be one of {', '.join(get_args(Described))}, not '{self.vectors}'.")


class KprEncoder(ReidEncoder):
    """Embeds every part of a person with KPR, prompted by keypoints (Somers et al., ECCV 2024)."""

    takes_prompts = True

    def __init__(self, config: KprEncoderConfig, weights: "Path | Kpr", compute: ComputeConfig) -> None:
        """Load weights of this project (.safetensors) or a published checkpoint (.pth.tar); or copy a model.

        Args:
            config: Prompts and compared vectors, and what a published checkpoint does not store.
            weights: A checkpoint, or a model.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The weights are missing, damaged or for another network.
            UserError: An option contradicts them or is missing.
        """
        self._config, source = kpr_source(config, weights)
        self._vectors = config.vectors
        self._prompts = replace(
            self._config.prompts(),
            positives=config.prompts,
            negatives=config.negatives,
            min_confidence=config.min_confidence,
        )
        self._network = open_network(source, compute)
        self.backend = self._network.backend
        self._compute = compute

    def __call__(
        self, frames: list[Frame], detections: list[Detections], poses: list[Poses]
    ) -> list[Appearance]:
        """Embed the person in each box; the people of all frames share batches.

        Poses beyond the boxes of a frame serve as negative prompts only.
        A person without a keypoint above `min_confidence` is embedded without prompt. Weights trained with
        camera embeddings run without them, as in the published demo (docs/reference/kpr.md 1.5).

        Returns:
            Embeddings of each frame, row i for box i: features [N, P, D] of unit length.
        """
        images = [frame.image for frame in frames]
        prompts = [pose.skeleton.to_prompts(pose.keypoints) for pose in poses]
        counts = [len(found) for found in detections]
        waiting: list[Callable[[], list[np.ndarray]]] = []
        prompted = []
        for drawn in self._batches(images, detections, prompts, counts):
            # A GPU computes while the next prompts are drawn.
            waiting.append(self._network.launch(drawn.crops, drawn.heatmaps))
            prompted.append(drawn.prompted)
        if not waiting:
            return [self._empty() for _ in images]
        found = [wait() for wait in waiting]
        features, visible = (np.concatenate(each)[:, self._compared()] for each in zip(*found, strict=True))
        ends = np.cumsum(counts)[:-1]
        return [
            Appearance(*arrays)
            for arrays in zip(
                np.split(features, ends),
                np.split(visible, ends),
                np.split(np.concatenate(prompted), ends),
                strict=True,
            )
        ]

    def _batches(
        self,
        images: list[np.ndarray],
        detections: list[Detections],
        keypoints: list[np.ndarray],
        counts: list[int],
    ) -> Iterator[Prompts]:
        """Draw the prompts of at most compute.batch people at a time, of any frames."""
        frames = np.repeat(np.arange(len(images)), counts)
        rows = np.concatenate([np.arange(count) for count in counts]) if counts else np.zeros(0, int)
        for start in range(0, len(rows), self._compute.batch):
            chunk = slice(start, start + self._compute.batch)
            drawn = [
                make_prompts(
                    images[frame],
                    detections[frame].boxes,
                    keypoints[frame],
                    self._prompts,
                    rows[chunk][frames[chunk] == frame],
                    _duplicates(detections[frame].boxes, keypoints[frame], self._prompts.min_confidence),
                )
                for frame in np.unique(frames[chunk])
            ]
            if len(drawn) == 1:
                yield drawn[0]  # no copy
                continue
            yield Prompts(
                np.concatenate([one.crops for one in drawn]),
                np.concatenate([one.heatmaps for one in drawn]),
                np.concatenate([one.prompted for one in drawn]),
            )

    def _compared(self) -> slice:
        """Which of the embeddings of the network are compared: the foreground, the parts, or all."""
        rows = {"foreground+parts": slice(None), "parts": slice(1, None), "foreground": slice(1)}
        return rows[self._vectors]

    def _empty(self) -> Appearance:
        count = len(range(self._config.parts + 1)[self._compared()])
        return empty_appearance(0, count, self._config.dimensions)


def _duplicates(boxes: np.ndarray, keypoints: np.ndarray, min_confidence: float) -> np.ndarray:
    """Find duplicate detections of a person by their equal poses, [N, M] bool; M poses for N boxes."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return oks(keypoints[: len(boxes)], keypoints, areas, min_confidence) > DUPLICATE_OKS


def kpr_source(config: KprEncoderConfig, weights: "Path | Kpr") -> tuple[KprConfig, NetworkSource]:
    """Describe KPR for `open_network`.

    Args:
        config: What the file does not store, and what it must agree with.
        weights: A .safetensors file of this project or a published .pth.tar; or a model, left unchanged.

    Returns:
        Its architecture; and the network from crops [N, 3, H, W] and prompts [N, C, H, W] to embeddings
        [N, parts + 1, D] of unit length, the foreground first, and their visibility [N, parts + 1].

    Raises:
        WeightsError: The file is missing, damaged or for another network.
        UserError: An option contradicts the weights or is missing.
    """
    if not isinstance(weights, Path):
        model = weights
        return model.config, _source(model.config, lambda: _embeddings_of(model))
    path, stored = weights, read_stored_kpr(config, weights)

    def network() -> "nn.Module":
        from reid.model.weights import from_stored

        return _embeddings_of(from_stored(stored, path))

    def tensors(graph: Graph) -> Mapping[str, np.ndarray]:
        used = {name: each for name, each in stored.tensors.items() if name not in graph.unused}
        validate_kpr(StoredKpr(stored.config, used), graph.shapes, path)
        return used

    architecture = kpr_architecture(stored.config)
    source = _source(stored.config, network)
    return stored.config, replace(source, path=path, architecture=architecture, tensors=tensors)


def read_stored_kpr(config: KprEncoderConfig, weights: Path) -> StoredKpr:
    """Read a file of weights of KPR.

    Args:
        config: What the file does not store, and what it must agree with.
        weights: A .safetensors file of this project or a published .pth.tar.

    Returns:
        Architecture and tensors.

    Raises:
        WeightsError: The file is missing, damaged or for another network.
        UserError: An option contradicts it or is missing.
    """
    spec = InputSpec(config.image_height, config.image_width, config.mean, config.std, config.semantic_weight)
    stored = read_kpr(weights, spec)
    for name in ("parts", "prompt_groups"):
        expected, found = getattr(config, name), getattr(stored.config, name)
        if expected is not None and expected != found:
            raise UserError(f"{weights} has {name} = {found}, not {expected}. Leave the option out.")
    return stored


def kpr_architecture(config: KprConfig) -> dict[str, Any]:
    """All that the computation of embeddings depends on beside the weights."""
    elsewhere = ("identities", "cameras", "mean", "std", "drop_path")
    return {"network": "kpr", **{key: each for key, each in asdict(config).items() if key not in elsewhere}}


def _embeddings_of(model: "Kpr") -> "nn.Module":
    from reid.model.part_vectors import PartVectors

    return PartVectors(model)


def _source(config: KprConfig, network: Callable[[], "nn.Module"]) -> NetworkSource:
    shape = config.prompts()
    example = [example_numbers(2, channels, shape.height, shape.width) for channels in (3, shape.channels)]
    return NetworkSource(network, example, inputs=("crops", "prompts"), outputs=("embeddings", "visible"))
