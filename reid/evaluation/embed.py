"""Embed the crops of a dataset."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from kprtrack.core.errors import InputError, UserError
from reid.datasets import ReidSample
from reid.datasets.crops import read_crop
from reid.evaluation.metrics import Embedded, Labels
from reid.model.config import Vectors
from reid.model.kpr import Kpr
from reid.model.prompts import PromptConfig
from reid.training.augment import Example, plain_example, stack
from reid.training.workers import init_worker, worker_count


def embed_samples(
    model: Kpr,
    samples: Sequence[ReidSample],
    *,
    prompts: PromptConfig | None = None,
    vectors: Vectors = "foreground+parts",
    batch: int = 64,
    workers: int = 0,
    on_batch: Callable[[int], None] = lambda done: None,
) -> Embedded:
    """Compute embeddings and visibility of all samples; the mode of the model is restored.

    Args:
        prompts: None, as the model was trained; otherwise which prompts it gets.
        on_batch: Called with the number of crops just embedded.

    Raises:
        InputError: A crop cannot be read or is from a camera unknown to the model.
    """
    if not samples:
        raise UserError("There are no crops to embed.")
    _validate_unknown_cameras(model, samples)
    device = next(model.parameters()).device
    loader = DataLoader(
        PlainExamples(samples, prompts or model.config.prompts()),
        batch_size=batch,
        num_workers=worker_count(workers),
        collate_fn=stack,
        worker_init_fn=init_worker,
    )
    cameras = torch.tensor([each.camera for each in samples])
    features, visible, done, mode = [], [], 0, model.training
    model.eval()
    with torch.inference_mode():
        for shown in loader:
            images, heatmaps = shown.image.to(device), shown.heatmaps.to(device)
            seen_by = cameras[done : done + len(images)].to(device)
            found, in_sight = model.embed(images, heatmaps, seen_by, vectors=vectors)
            features.append(found.float().cpu().numpy())
            visible.append(in_sight.cpu().numpy())
            done += len(images)
            on_batch(len(images))
    model.train(mode)
    return Embedded(np.concatenate(features), np.concatenate(visible), labels_of(samples))


def labels_of(samples: Sequence[ReidSample]) -> Labels:
    """Identities and cameras of the samples."""
    return Labels(
        np.array([each.identity for each in samples]),
        np.array([each.camera for each in samples]),
        np.array([each.video for each in samples]),
    )


class PlainExamples(Dataset[Example]):
    """Crops as they are, without masks."""

    def __init__(self, samples: Sequence[ReidSample], prompts: PromptConfig) -> None:
        self._samples, self._prompts = samples, prompts

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, row: int) -> Example:
        return plain_example(read_crop(self._samples[row], None), self._prompts)


def _validate_unknown_cameras(model: Kpr, samples: Sequence[ReidSample]) -> None:
    known = model.config.cameras
    for each in samples if known else ():
        if not 0 <= each.camera < known:
            raise InputError(
                f"{each.image} is from camera {each.camera}, but the encoder was trained with cameras 0 to "
                f"{known - 1}. Train with camera_embedding=false for other cameras."
            )
