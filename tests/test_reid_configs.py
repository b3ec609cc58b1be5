"""Every training config can be read, and its encoder and losses can be built."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support import paths

from kprtrack.core.errors import InputError, UserError
from kprtrack.training.tasks import load_config, settings_text
from reid.datasets import DATASETS
from reid.model.kpr import Kpr
from reid.training.config import ReidTrainConfig, with_settings
from reid.training.losses import kpr_loss

FOLDER = paths.ROOT / "configs" / "reid"
FILES = sorted(FOLDER.glob("*.py"))
PUBLISHED = [
    f"{start}_{name}"
    for start in ("imagenet", "solider")
    for name in ("market1501", "occluded_duke", "occluded_posetrack", "occluded_reid", "partial_reid")
]


def read_config(name: str) -> ReidTrainConfig:
    return load_config(FOLDER / f"{name}.py")


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_recipe_builds_an_encoder_whose_loss_can_be_learned_from(file: Path) -> None:
    config = load_config(file, ["sampler.identities=2", "sampler.crops_each=2"])
    assert config.data.name in DATASETS and (config.test is None or config.test.name in DATASETS)
    with torch.device("meta"):
        Kpr(config.shape(751, 6))  # of the true size, without its memory
    tiny = replace(config.shape(3, 6), backbone="mini_cnn", height=64, width=32, fused_width=16, dimensions=8)
    model = Kpr(tiny)
    output = model(torch.rand(4, 3, 64, 32), torch.rand(4, tiny.prompts().channels, 64, 32))
    labels = torch.zeros(4, 16, 8, dtype=torch.long)
    kpr_loss(output, torch.tensor([0, 0, 1, 1]), labels, config.loss).total.backward()
    assert model.image_tokens.first.conv.weight.grad.any()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_written_recipe_says_the_same_again(file: Path, tmp_path: Path) -> None:
    config = load_config(file)
    (tmp_path / "again.py").write_text(settings_text(config))
    assert load_config(tmp_path / "again.py") == config


def test_the_published_recipes_are_those_of_the_official_table() -> None:
    # Height, K, prompt groups, learning rate, frozen epochs, occlusions (docs/reference/kpr.md 4.2).
    found = {
        name: (
            config.model.height,
            config.shape(9, 1).parts,
            config.model.prompt_groups,
            config.schedule.peak,
            config.frozen_prompt_epochs,
            config.augment.occlusion.probability,
        )
        for name in PUBLISHED
        for config in [read_config(name)]
    }
    assert found == {
        "imagenet_market1501": (384, 5, "cck6", 0.008, 0, 0.05),
        "imagenet_occluded_duke": (256, 8, "cck8", 0.008, 0, 0.2),
        "imagenet_occluded_posetrack": (256, 8, "cck8", 0.008, 0, 0.2),
        "imagenet_occluded_reid": (256, 5, "cck6", 0.008, 0, 0.05),
        "imagenet_partial_reid": (256, 5, "cck6", 0.008, 0, 0.05),
        "solider_market1501": (384, 5, "cck6", 2e-4, 20, 0.2),
        "solider_occluded_duke": (384, 8, "cck8", 2e-4, 10, 0.2),
        "solider_occluded_posetrack": (384, 8, "cck8", 2e-4, 20, 0.2),
        "solider_occluded_reid": (384, 5, "cck6", 2e-4, 20, 0.2),
        "solider_partial_reid": (384, 5, "cck6", 2e-4, 20, 0.2),
    }


def test_each_ablation_adds_one_thing() -> None:
    rows = {
        config.model.fusion
        + "".join("+-"[i] for i in range(2) if (p.positives, p.negatives)[i])
        + ("o" if config.augment.occlusion.probability else "")
        + config.scoring.vectors[0]
        for config in (load_config(file) for file in FOLDER.glob("ablation_*.py"))
        for p in [config.prompts]
    }
    assert rows == {"lastw", "lastf", "multif", "multi+f", "multi+-f", "last+-of", "multiof"}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("schedul.epochs=3", "Unknown setting 'schedul'. Did you mean 'schedule'?"),
        ("augment.occlusion.probabilty=1", "Did you mean 'augment.occlusion.probability'?"),
        ("loss.identity.whole=big", "loss.identity.whole must be a number, not 'big'."),
        ("model.identities=4", "model.identities is determined by the dataset"),
        ("part_groups=nine", "Unknown part groups 'nine'"),
        ("schedule=3", "schedule must be a dict of settings, not 3."),
        ("precision=fp8", "Unknown value for precision 'fp8'."),
        ("epochs", "is not of the form key=value"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(word: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(FOLDER / "cuhk03_small.py", [word])
    assert message in str(caught.value)


def test_a_recipe_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match=r"No config file at .* reid/cuhk03_small"):
        load_config(FOLDER / "nothing.py")


def test_words_that_only_fit_together_are_taken_together() -> None:
    words = ["schedule.epochs=2", "schedule.warmup_epochs=1"]
    assert load_config(FOLDER / "cuhk03_small.py", words).schedule.epochs == 2


def test_options_of_a_data_set_are_added_and_go_with_it() -> None:
    config = with_settings(read_config("imagenet_occluded_duke"), {"data": {"options": {"masks": None}}})
    assert config.data.options == {"only_posed": True, "masks": None}
    assert with_settings(config, {"data": {"name": "market1501"}}).data.options == {}


@pytest.mark.parametrize("task", [{"a": 1}, [], 3, None, "poses"])
def test_a_task_that_is_none_is_an_error(task: object, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"task = {task!r}")
    with pytest.raises(UserError, match="Unknown task"):
        load_config(tmp_path / "a.py")
