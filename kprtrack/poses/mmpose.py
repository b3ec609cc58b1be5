"""Top-down pose models of mmpose, run by mmpose itself; docs/mmpose.md describes its installation.

mmpose imports compiled operators (mmcv), a detector library (mmdet) and COCO's evaluation (xtcocotools) that
no top-down model needs. Stub modules replace those that are not installed while mmpose is imported.
"""

import contextlib
import importlib
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.datatypes import Detections, Frame, Poses, empty_poses
from kprtrack.core.errors import InputError, UserError, WeightsError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_SKELETON
from kprtrack.core.skeletons import SKELETONS
from kprtrack.core.tensors import validate_finite
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import PoseEstimator

# Module -> names of its stubs when it cannot be imported.
_STUBBED = {
    "mmcv._ext": ("mmcv._ext",),
    "mmdet": ("mmdet", "mmdet.utils"),
    "xtcocotools.mask": ("xtcocotools", "xtcocotools.mask", "xtcocotools.coco", "xtcocotools.cocoeval"),
}
_EARS = (KEYPOINTS.index("left_ear"), KEYPOINTS.index("right_ear"))


@dataclass(frozen=True)
class MmposeConfig:
    """The model's configuration file, which also defines crop, flip test and decoding."""

    # Of mmpose 1.x, top-down; required. A Python program, which mmpose executes: needs --trust-code.
    config_file: str | Path = ""

    def __post_init__(self) -> None:
        if not str(self.config_file):
            raise UserError(
                "mmpose needs its configuration file: --set pose.config_file=FILE (see docs/mmpose.md)."
            )


class MmposePose(PoseEstimator):
    """Estimates the keypoints of every detected person."""

    def __init__(self, config: MmposeConfig, weights: Path, compute: ComputeConfig) -> None:
        """Build the model that an mmpose configuration describes, with the tensors of a weights file.

        Args:
            config: Names the configuration file.
            weights: A checkpoint.
            compute: Device, precision and batch size, and trust in the configuration, which is executed.

        Raises:
            UserError: The configuration is not trusted, mmpose is missing or the model has other keypoints.
            InputError: The configuration cannot be read.
            WeightsError: The weights are not for this model.
        """
        config_file = Path(config.config_file)
        if not config_file.is_file():
            raise InputError(f"No mmpose configuration at {config_file}.")
        if not compute.trust_code:
            raise UserError(
                f"{config_file} is a configuration of mmpose, a program that mmpose executes."
                " Add --trust-code if you trust it, or use --pose hrnet-w32, which reads mmpose's weights."
            )
        import_mmpose()
        from mmengine.config import Config
        from mmengine.dataset import Compose
        from mmengine.registry import init_default_scope

        try:
            settings = Config.fromfile(config_file)
        except (Exception, SystemExit) as error:  # mmengine passes on whatever the program in the file raises
            raise InputError(f"mmengine cannot read {config_file}: {error}") from error
        init_default_scope("mmpose")
        self._dataset = _dataset_description(settings, config_file)  # mmpose's description of the keypoints
        self._model = _build(settings, weights).to(compute.device).eval()
        # mmpose's own test transforms: box -> crop
        self._pipeline = Compose(settings.test_dataloader.dataset.pipeline)
        self._compute = compute
        names = _keypoint_names(self._dataset)
        self.skeleton = next(each for each in SKELETONS.values() if each.names == names)

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Poses of each frame, row i for box i, pixels of that frame."""
        images = [frame.image for frame in frames]
        owners = np.repeat(np.arange(len(images)), [len(found) for found in detections])
        if len(owners) == 0:
            return [empty_poses(0, self.skeleton) for _ in images]
        boxes = np.concatenate([found.boxes for found in detections])
        batch = self._compute.batch
        keypoints = np.concatenate(
            [
                self._estimate(images, owners[start : start + batch], boxes[start : start + batch])
                for start in range(0, len(owners), batch)
            ]
        )
        return [Poses(keypoints[owners == number], self.skeleton) for number in range(len(images))]

    def _estimate(self, images: list[np.ndarray], owners: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """[N, K, 3] for one batch of people."""
        import torch
        from mmengine.dataset import pseudo_collate

        from kprtrack.inference.compile import autocast

        bgr = {owner: np.ascontiguousarray(images[owner][..., ::-1]) for owner in np.unique(owners)}
        crops = [
            self._pipeline(
                {"img": bgr[owner], "bbox": box[None], "bbox_score": np.ones(1, np.float32), **self._dataset}
            )
            for owner, box in zip(owners, np.asarray(boxes, np.float32), strict=True)
        ]
        with torch.inference_mode(), autocast(self._compute):
            found = [sample.pred_instances for sample in self._model.test_step(pseudo_collate(crops))]
        points = np.concatenate([one.keypoints for one in found])
        scores = np.concatenate([one.keypoint_scores for one in found])
        keypoints = np.dstack((points, np.clip(scores, 0, 1))).astype(np.float32)
        if self.skeleton == POSETRACK_SKELETON:
            keypoints[:, _EARS, 2] = 0
        return keypoints


def import_mmpose() -> None:
    """Import mmpose and register its modules. Raises: UserError that says how to install it."""
    with _stub_modules(), warnings.catch_warnings():
        # mmpose and mmcv warn about their own deprecations, which users cannot fix.
        warnings.simplefilter("ignore")
        try:
            importlib.import_module("mmpose")
            for part in ("models", "datasets"):
                importlib.import_module(f"mmpose.{part}")
        except (ImportError, AssertionError) as error:
            raise UserError(
                f"mmpose cannot be imported ({error}). Install it with: "
                'pip install "kprtrack[mmpose]" && pip install --no-deps mmpose==1.3.2'
            ) from error


def _build(settings: Any, weights: Path) -> Any:
    import torch
    from mmpose.models import build_pose_estimator

    tensors = read_checkpoint(weights).tensors
    if "backbone" in settings.model:
        settings.model.backbone.init_cfg = None  # all tensors come from the file; download nothing
    try:
        model = build_pose_estimator(settings.model)
    except KeyError as error:  # a part of mmpretrain or mmdet that the registry does not know
        raise UserError(f"mmpose cannot build this model: {error.args[0]}") from error
    try:
        report = model.load_state_dict(
            {name: torch.from_numpy(one) for name, one in tensors.items()}, strict=False
        )
    except RuntimeError as error:  # a tensor of another size
        raise WeightsError(f"{weights} is not for this mmpose model: {error}") from error
    missing = [name for name in report.missing_keys if not name.startswith("data_preprocessor.")]
    unexpected = report.unexpected_keys
    if missing or unexpected:
        raise WeightsError(
            f"{weights} is not for this mmpose model: {len(missing)} tensors are missing, {len(unexpected)} "
            f"are unexpected (first: {(missing + unexpected)[0]})."
        )
    validate_finite(tensors, model.state_dict(), weights)
    return model


def _dataset_description(settings: Any, config_file: Path) -> dict[str, Any]:
    """Read the names and mirror pairs of the keypoints. Raises: UserError if they are unknown."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    from mmpose.registry import DATASETS

    if "test_dataloader" not in settings:
        raise InputError(
            f"{config_file} has no test_dataloader; use a complete top-down configuration of mmpose."
        )
    dataset = settings.test_dataloader.dataset
    # The keypoints are described in the configuration or by the dataset class.
    metainfo = dataset.get("metainfo") or DATASETS.get(dataset.type).METAINFO
    with warnings.catch_warnings():
        # mmpose warns when it uses its own copy of a file given relative to its source folder.
        warnings.simplefilter("ignore", UserWarning)
        description = parse_pose_metainfo(dict(metainfo))
    names = _keypoint_names(description)
    if names not in [skeleton.names for skeleton in SKELETONS.values()]:
        raise UserError(
            f"{config_file} has {len(names)} keypoints, {', '.join(names)}; known sets are"
            f" {', '.join(SKELETONS)}."
        )
    return description


def _keypoint_names(description: dict[str, Any]) -> tuple[str, ...]:
    names = description["keypoint_id2name"]
    return tuple(names[row] for row in range(len(names)))


@contextlib.contextmanager
def _stub_modules() -> Iterator[None]:
    """Replace the modules that cannot be imported by stubs, within the context only."""
    absent = [name for probe, names in _STUBBED.items() if not _importable(probe) for name in names]
    before = {name: sys.modules.get(name) for name in absent}
    for name in absent:
        sys.modules[name] = _Stub(name)
    try:
        yield
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def _importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    # ValueError: compiled for another numpy. AssertionError: mmdet rejects this version of mmcv.
    except (ImportError, ValueError, AssertionError):
        return False
    return True


class _Stub(ModuleType):
    """A module in which every public name is a class that cannot be instantiated."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, loader=None)

    def __getattr__(self, attribute: str) -> type:
        if attribute.startswith("__"):
            raise AttributeError(attribute)

        def reject(*_arguments: object, **_options: object) -> None:
            raise UserError(
                f"This mmpose model needs {self.__name__}.{attribute}: install {self.__name__.split('.')[0]}."
            )

        return type(attribute, (), {"__new__": reject})
