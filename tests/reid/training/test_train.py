"""Training: results, files and errors."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.train_cases import drawn_data, tiny_config

from kprtrack.core.errors import InputError, OutputError, UserError, WeightsError
from kprtrack.training.tasks import load_config, train_reid
from reid.datasets import ReidData
from reid.model import weights
from reid.model.initial_weights import begin_with
from reid.model.kpr import Kpr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReidData:
    return drawn_data(tmp_path_factory.mktemp("drawn"))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return weights.load(folder / "weights.safetensors").state_dict()


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_the_loss_falls_and_people_are_found_again(data: ReidData, tmp_path: Path) -> None:
    config = tiny_config(
        tmp_path,
        schedule={"epochs": 25, "peak": 0.01},
        optimiser__name="adamw",
        augment={"erase_probability": 0.0, "occlusion": {"probability": 0.1}},
    )
    rows = json.loads((train_reid(config, data, quiet=True) / "metrics.json").read_text())
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1]["accuracy/part_prediction"] > rows[0]["accuracy/part_prediction"]
    assert rows[-1]["map"] > 0.5


@pytest.mark.slow
def test_a_run_folder_tells_all_about_the_run(data: ReidData, tmp_path: Path) -> None:
    config = tiny_config(tmp_path / "run", scoring__every_epochs=1)
    folder = train_reid(config, data, quiet=True)
    assert load_config(folder / "config.py") == config
    assert json.loads((folder / "config.json").read_text())["schedule"]["epochs"] == 2
    assert json.loads((folder / "run.json").read_text())["torch"] == torch.__version__
    rows = json.loads((folder / "metrics.json").read_text())
    with (folder / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in table] == rows
    assert {"epoch", "learning_rate", "loss", "map", "rank1"} <= set(rows[0])
    assert (
        weights.load(folder / "best.safetensors").config
        == weights.load(folder / "weights.safetensors").config
    )
    assert not list(folder.glob("*.part"))


@pytest.mark.slow
def test_training_depends_on_the_seed_and_not_on_the_number_of_workers(
    data: ReidData, tmp_path: Path
) -> None:
    folders = [
        train_reid(tiny_config(tmp_path / str(number), schedule__epochs=1, **changes), data, quiet=True)
        for number, changes in enumerate(({}, {"computing__workers": 2}, {"seed": 2}))
    ]
    first, with_workers, other_seed = map(tensors, folders)
    assert equal(first, with_workers)
    assert not equal(first, other_seed)


@pytest.mark.slow
def test_frozen_prompts_stay_as_they_began(data: ReidData, tmp_path: Path) -> None:
    frozen = tensors(train_reid(tiny_config(tmp_path / "a", frozen_prompt_epochs=2), data, quiet=True))
    thawed = tensors(train_reid(tiny_config(tmp_path / "b", frozen_prompt_epochs=1), data, quiet=True))
    assert not frozen["prompt_tokens.conv.weight"].any()
    assert thawed["prompt_tokens.conv.weight"].any()
    assert frozen["image_tokens.first.conv.weight"].any()


def test_the_global_baseline_learns_and_compares_one_vector(data: ReidData, tmp_path: Path) -> None:
    config = tiny_config(
        tmp_path,
        loss={
            "identity": {"whole": 1, "foreground": 0, "joined": 0},
            "triplet": {"whole": 1, "parts": 0},
            "part_prediction": 0,
        },
        augment__occlusion__probability=0,
        scoring__vectors="whole",
        model__fusion="last",
    )
    unmasked = replace(data, train=tuple(replace(each, masks=None) for each in data.train))
    folder = train_reid(config, unmasked, quiet=True)
    row = json.loads((folder / "metrics.json").read_text())[-1]
    assert {name for name in row if "/" in name} == {
        *("identity/whole", "accuracy/whole", "triplet/whole", "mined/whole")
    }
    model = weights.load(folder / "weights.safetensors")
    features, visible = model.embed(torch.zeros(2, 3, 64, 32), vectors="whole")
    assert features.shape == (2, 1, 8) and visible.all()


def test_bf16_trains_on_a_processor(data: ReidData, tmp_path: Path) -> None:
    folder = train_reid(tiny_config(tmp_path, precision="bf16", schedule__epochs=1), data, quiet=True)
    assert all(each.isfinite().all() for each in tensors(folder).values())


@pytest.mark.slow
def test_weights_of_another_training_are_taken_but_for_its_people(data: ReidData, tmp_path: Path) -> None:
    first = weights.load(train_reid(tiny_config(tmp_path / "a"), data, quiet=True) / "weights.safetensors")
    model = Kpr(replace(first.config, identities=9))
    begin_with(model, str(tmp_path / "a" / "weights.safetensors"))
    mine, theirs = model.state_dict(), first.state_dict()
    different = {name for name in mine if not torch.equal(mine[name], theirs[name])}
    assert different and all(name.endswith("classifier.weight") and "identity" in name for name in different)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sampler__identities": 7}, UserError, "has 6 identities, a batch needs 7"),
        ({"precision": "fp16"}, UserError, "precision=fp16 needs a GPU"),
        ({"init": "/nowhere/x.pth"}, WeightsError, "No weights at /nowhere/x.pth"),
        ({"init": "imagenet"}, UserError, "no ImageNet weights of the backbone mini_cnn"),
        ({"schedule__peak": 1e30}, UserError, "schedule.peak is 1e+30. Set it to 0 or more, at most 100."),
        ({"out": None}, UserError, "out=FOLDER"),
        ({"out": "/dev/null/run"}, OutputError, "Cannot make the folder /dev/null/run"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(
    data: ReidData, tmp_path: Path, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        train_reid(tiny_config(tmp_path, **changes), data, quiet=True)
    assert message in str(caught.value)


def test_missing_masks_are_told_before_anything_is_trained(data: ReidData, tmp_path: Path) -> None:
    lost = replace(data.train[3], masks=tmp_path / "lost.png")
    holed = replace(data, train=(*data.train[:3], lost, *data.train[4:]))
    with pytest.raises(InputError, match=r"1 of 24 training crops lack .* first .*lost.png"):
        train_reid(tiny_config(tmp_path / "run"), holed, quiet=True)
    none = replace(data, train=tuple(replace(each, masks=None) for each in data.train))
    with pytest.raises(InputError, match=r"24 of 24 .* first none for .*00_0.png"):
        train_reid(tiny_config(tmp_path / "run"), none, quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_set_that_shows_everybody_once_has_nothing_to_compare(data: ReidData, tmp_path: Path) -> None:
    first = {each.identity: each for each in reversed(data.train)}
    once = replace(data, train=tuple(first.values()))
    with pytest.raises(UserError, match="Each of the 6 training identities has one crop"):
        train_reid(tiny_config(tmp_path / "run"), once, quiet=True)
    # Identities can be learned all the same.
    settings = {"loss__triplet": {"parts": 0.0}, "schedule__epochs": 1}
    train_reid(tiny_config(tmp_path / "run", **settings), once, quiet=True)


def test_weights_of_another_network_are_refused_by_tensor(data: ReidData, tmp_path: Path) -> None:
    path = (
        train_reid(tiny_config(tmp_path / "a", schedule__epochs=1), data, quiet=True) / "weights.safetensors"
    )
    with pytest.raises(WeightsError, match=r"for another encoder .* first fusion.conv.weight"):
        train_reid(tiny_config(tmp_path / "b", init=str(path), model__fused_width=8), data, quiet=True)


def test_a_data_set_without_queries_is_refused_unless_no_scores_are_asked_for(
    data: ReidData, tmp_path: Path
) -> None:
    only_train = replace(data, query=())
    with pytest.raises(UserError, match="no query and gallery"):
        train_reid(tiny_config(tmp_path), only_train, quiet=True)
    train_reid(tiny_config(tmp_path, scoring__at_end=False, schedule__epochs=1), only_train, quiet=True)


@pytest.mark.slow
def test_a_line_is_told_for_each_epoch(data: ReidData, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train_reid(tiny_config(tmp_path), data)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "validation", "epoch 2/2"]
    assert "left" in lines[0] and "map" in lines[1] and "rank1" in lines[1]
