"""Distillation from another encoder: loss, file of features, resuming, several processes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file
from support.train_cases import drawn_data, metrics, tiny_config
from support.training_processes import start, train_in_two

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.signals import StopRequest
from kprtrack.training.run_folder import STATE
from kprtrack.training.tasks import train_reid
from reid.datasets import ReidData
from reid.model import weights
from reid.model.config import KprConfig
from reid.model.kpr import Kpr, KprOutput
from reid.training.distillation import DistilConfig, Distillation, load_features, name_of, save_features
from reid.training.losses import HeadWeights

DIMENSIONS = 6
NOTHING_ELSE: dict[str, Any] = {
    "loss__identity": {"whole": 0, "foreground": 0, "joined": 0},
    "loss__triplet": {"parts": 0},
    "loss__part_prediction": 0,
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Other numbers of threads give other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data(tmp_path: Path) -> ReidData:
    return drawn_data(tmp_path / "drawn")


def teach(folder: Path, data: ReidData, *, seed: int = 0, name: str = "teacher") -> dict[str, Any]:
    """The settings of a training with a teacher who says the same of all crops of a person."""
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(1 + max(each.identity for each in data.train), DIMENSIONS))
    features = np.stack([people[each.identity] for each in data.train])
    path, root = folder / f"{name}.safetensors", folder / "drawn"
    save_features(path, [name_of(each, root) for each in data.train], features)
    return {"data__root": str(root), "distil__teacher": str(path)}


def described() -> tuple[KprConfig, KprOutput]:
    """Embeddings of four crops by a small encoder."""
    torch.manual_seed(0)
    config = KprConfig("mini_cnn", height=64, width=32, fused_width=16, dimensions=8, identities=3)
    with torch.inference_mode():
        return config, Kpr(config).eval()(torch.randn(4, 3, 64, 32), None)


def trained_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All trained tensors of a run, those of the teacher projection included."""
    return {name: each for name, each in load_file(folder / STATE).items() if name.startswith("network.")}


def rows(folder: Path) -> list[dict[str, float]]:
    return metrics(json.loads((folder / "metrics.json").read_text()))


def assert_same_run(a: Path, b: Path) -> None:
    one, two = trained_tensors(a), trained_tensors(b)
    assert any("translate" in name for name in one)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert rows(a) == rows(b)


@pytest.mark.parametrize(
    ("name", "compared"),
    [("whole", "necks"), ("foreground", "necks"), ("joined", "reduced"), ("parts", "reduced")],
)
def test_the_loss_is_zero_where_the_translation_is_what_the_teacher_says(name: str, compared: str) -> None:
    config, output = described()
    only = HeadWeights(**{"whole": 0, "foreground": 0, "joined": 0, "parts": 0} | {name: 2})
    distillation = Distillation(config, DistilConfig(weights=only), DIMENSIONS)
    layer = distillation.translate[name]
    if name == "parts":  # which all are to say the same
        torch.nn.init.zeros_(layer.weight)
    with torch.inference_mode():
        said = layer(getattr(getattr(output, compared), name)).reshape(4, -1, DIMENSIONS)[:, 0]
        zero, terms = distillation(output, F.normalize(said, dim=1))
        most, _ = distillation(output, -F.normalize(said, dim=1))

    assert zero.item() == pytest.approx(0, abs=1e-6)
    assert most.item() == pytest.approx(2 * 2)
    assert list(terms) == [f"distil/{name}"]


@pytest.mark.slow
def test_a_teacher_alone_is_followed(tmp_path: Path, data: ReidData) -> None:
    plain = {"augment__erase_probability": 0, "augment__occlusion__probability": 0, "scoring__at_end": False}
    changes = NOTHING_ELSE | plain | {"schedule": {"epochs": 12, "peak": 0.01}, "optimiser__name": "adamw"}
    train_reid(tiny_config(tmp_path / "run", **changes, **teach(tmp_path, data)), data, quiet=True)

    cosines = [1 - row["distil/foreground"] for row in rows(tmp_path / "run")]
    assert np.mean(cosines[-3:]) > cosines[0] + 0.3


def test_the_weights_that_are_kept_know_nothing_of_the_teacher(tmp_path: Path, data: ReidData) -> None:
    folder = train_reid(tiny_config(tmp_path / "run", **teach(tmp_path, data)), data, quiet=True)

    kept = weights.load(folder / "weights.safetensors").state_dict()
    assert not any("translate" in name for name in kept)


def test_features_come_back_in_the_order_of_the_samples(tmp_path: Path, data: ReidData) -> None:
    path, root = tmp_path / "f.safetensors", tmp_path / "drawn"
    features = np.random.default_rng(0).normal(size=(len(data.train), DIMENSIONS)).astype(np.float32)
    save_features(path, [name_of(each, root) for each in data.train], features)

    found = load_features(path, data.train[::-1], root)

    centred = features[::-1] - features.mean(axis=0)
    np.testing.assert_allclose(found, centred / np.linalg.norm(centred, axis=1, keepdims=True), atol=1e-6)


def test_a_picture_that_the_teacher_has_not_seen_is_named(tmp_path: Path, data: ReidData) -> None:
    path, root = tmp_path / "f.safetensors", tmp_path / "drawn"
    save_features(path, [name_of(each, root) for each in data.train[1:]], np.ones((len(data.train) - 1, 2)))

    with pytest.raises(InputError, match=r"f\.safetensors lacks 1 of 24 training crops, first 00_0\.png"):
        train_reid(
            tiny_config(tmp_path / "run", data__root=str(root), distil__teacher=str(path)), data, quiet=True
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "missing, damaged"),
        (b"", "missing, damaged"),
        (b"\x08\0\0\0\0\0\0\0{broken", "missing, damaged"),
        ({"other": np.ones((1, 2), np.float32)}, "no file of features"),
    ],
    ids=["missing", "empty", "damaged", "of something else"],
)
def test_what_is_no_file_of_features_is_told(tmp_path: Path, data: ReidData, content: Any, says: str) -> None:
    path = tmp_path / "f.safetensors"
    if isinstance(content, dict):
        save_file(content, path)
    elif content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=rf"f\.safetensors .*{says}"):
        load_features(path, data.train, tmp_path / "drawn")


@pytest.mark.parametrize("wrong", ["flat", "other number", "not finite"])
def test_features_that_cannot_be_learnt_from_are_told(tmp_path: Path, data: ReidData, wrong: str) -> None:
    path, root, count = tmp_path / "f.safetensors", tmp_path / "drawn", len(data.train)
    features = {
        "flat": np.ones(count),
        "other number": np.ones((count + 1, 3)),
        "not finite": np.where(np.arange(count)[:, None] == 1, np.nan, np.ones((count, 3))),
    }[wrong]
    save_features(path, [name_of(each, root) for each in data.train], features)

    says = r"first that of 00_1\.png" if wrong == "not finite" else f"for {count} crops"
    with pytest.raises(InputError, match=rf"f\.safetensors.*{says}"):
        load_features(path, data.train, root)


def test_another_teacher_does_not_go_on_with_a_run(tmp_path: Path, data: ReidData) -> None:
    train_reid(tiny_config(tmp_path / "run", **teach(tmp_path, data)), data, quiet=True)

    with pytest.raises(UserError, match="training_set="):
        train_reid(tiny_config(tmp_path / "run", **teach(tmp_path, data, seed=1)), data, quiet=True)
    with pytest.raises(UserError, match="training_set="):
        train_reid(tiny_config(tmp_path / "run"), data, quiet=True)
    # The same teacher under another name does.
    train_reid(tiny_config(tmp_path / "run", **teach(tmp_path, data, name="moved")), data, quiet=True)


@pytest.mark.slow
def test_every_batch_is_a_place_to_stop(
    tmp_path: Path, data: ReidData, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = teach(tmp_path, data) | {"optimiser__name": "adamw", "schedule": {"epochs": 2, "peak": 0.01}}
    train_reid(tiny_config(tmp_path / "whole", **settings), data, quiet=True)
    # Somebody asks to stop, from the first batch on.
    monkeypatch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "asked", True) or self)
    stops, finished = 0, False
    while not finished:
        try:
            train_reid(tiny_config(tmp_path / "stopped", **settings), data, quiet=True)
            finished = True
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 4
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.slow
def test_killed_it_ends_with_the_same_bits(tmp_path: Path, data: ReidData) -> None:
    settings = teach(tmp_path, data) | {
        "schedule__epochs": 6,
        "scoring__every_epochs": 2,
        "frozen_prompt_epochs": 1,
        "computing__save_every_batches": 1,
    }
    train_reid(tiny_config(tmp_path / "whole", **settings), data, quiet=True)
    training = start("reid", tmp_path / "drawn", tmp_path / "killed", wait_after=3, **settings)
    training.wait_for_batches()
    training.kill()
    train_reid(tiny_config(tmp_path / "killed", **settings), data, quiet=True)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
def test_two_processes_give_the_same_as_one(tmp_path: Path, data: ReidData) -> None:
    changes = teach(tmp_path, data) | {"schedule": {"epochs": 2, "peak": 0.001}}
    assert start("reid", tmp_path / "drawn", tmp_path / "one", double=True, **changes).wait() == 0
    train_in_two("reid", tmp_path / "drawn", tmp_path / "two", double=True, **changes)

    one, two = trained_tensors(tmp_path / "one"), trained_tensors(tmp_path / "two")
    for name, tensor in one.items():
        np.testing.assert_allclose(two[name], tensor, rtol=1e-9, atol=1e-10, err_msg=name)
    for own, theirs in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        assert theirs == pytest.approx(own, rel=1e-6)  # the log keeps float32
