"""The weights in the package match the catalogue, have a model card and fit their networks."""

import hashlib
import re
from pathlib import Path

import pytest

from kprtrack.hub.cache import PACKAGE_WEIGHTS
from kprtrack.hub.catalog import CATALOGUE
from kprtrack.hub.entry import ModelEntry

OURS = [entry for entry in CATALOGUE.values() if entry.in_package]
TRAINED = [
    pytest.param(
        entry,
        id=entry.name,
        marks=pytest.mark.skipif(entry.sha256 is None, reason="the catalogue has no sha256 of it yet"),
    )
    for entry in OURS
]
LARGEST_BYTES = 22_000_000  # in all; the wheel must stay below 25 MB


def file_of(entry: ModelEntry) -> Path:
    return PACKAGE_WEIGHTS / entry.file_name


def card_of(entry: ModelEntry) -> str:
    return file_of(entry).with_suffix(".md").read_text("utf-8")


def test_the_folder_contains_the_weights_of_the_catalogue_and_their_cards_only() -> None:
    known = {entry.file_name for entry in OURS if entry.sha256}
    known |= {Path(entry.file_name).with_suffix(".md").name for entry in OURS}
    assert {file.name for file in PACKAGE_WEIGHTS.iterdir()} == known


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: entry.name)
def test_a_model_card_has_the_required_sections(entry: ModelEntry) -> None:
    card = card_of(entry)
    assert card.startswith(f"# {entry.name}\n")
    licence = "research use only" if entry.licence.startswith("research only") else entry.licence
    assert f"**{licence}**" in card and entry.file_name in card
    headings = re.findall(r"^## (.*)$", card, flags=re.MULTILINE)
    assert headings == ["Data", "Training", "Scores", "Limitations", "Retraining"]


@pytest.mark.parametrize("entry", TRAINED)
def test_a_model_card_has_no_placeholder(entry: ModelEntry) -> None:
    assert "@@" not in card_of(entry)
    assert entry.score != "see its card"


@pytest.mark.parametrize("entry", TRAINED)
def test_a_file_has_the_hash_and_size_of_the_catalogue(entry: ModelEntry) -> None:
    content = file_of(entry).read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry.sha256, entry.size_bytes)


@pytest.mark.parametrize("entry", TRAINED)
def test_tensors_are_stored_in_half_precision(entry: ModelEntry) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(file_of(entry)).values()
    assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {torch.float16}
    assert all(tensor.numel() == 1 for tensor in tensors if not tensor.is_floating_point())  # counters


@pytest.mark.parametrize("entry", TRAINED)
def test_weights_fit_their_networks(
    entry: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kprtrack import build
    from kprtrack.config import ComponentConfig
    from kprtrack.inference.devices import ComputeConfig

    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path))
    part = ComponentConfig(entry.architecture, weights=entry.name)
    file = build.weights_of(entry.kind, part)
    assert file is not None and file.entry == entry
    builders = {
        "detector": build.build_detector,
        "pose": build.build_pose_estimator,
        "reid": build.build_reid_encoder,
    }
    builders[entry.kind](part, ComputeConfig("cpu", "fp32", 16))


def test_the_preset_small_takes_its_weights_from_the_package() -> None:
    from kprtrack import build
    from kprtrack.config import PRESETS

    for role in ("detector", "pose", "reid"):
        file = build.weights_of(role, getattr(PRESETS["small"], role))
        assert file is not None and file.entry in OURS


def test_all_weights_fit_into_the_wheel() -> None:
    assert sum(file.stat().st_size for file in PACKAGE_WEIGHTS.iterdir()) < LARGEST_BYTES
