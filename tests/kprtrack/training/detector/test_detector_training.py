"""A detector trains, resumes bit-identically, and its file is read by the tracker."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support import paths
from support.detector_cases import draw_plots, person, tiny_config, write_annotations
from support.frames import frames_of
from support.training_processes import start

from kprtrack.cli.main import main
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.signals import StopRequest
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.inference.devices import ComputeConfig
from kprtrack.training.detector.config import DetectorOptimiser
from kprtrack.training.detector.task import DetectorTask, new_optimiser
from kprtrack.training.ema import Ema
from kprtrack.training.sampler import SourceBatches
from kprtrack.training.tasks import load_config, train
from reid.training.sampler import EpochSampler

CONFIGS = sorted((paths.ROOT / "configs" / "detector").glob("*.py"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many as the worker has: the bits depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_plots(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def whole(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    torch.set_num_threads(1)
    return train(tiny_config(drawn, tmp_path_factory.mktemp("whole") / "run"), quiet=True)


def assert_same_run(a: Path, b: Path) -> None:
    for name in ("weights.safetensors", "best.safetensors"):
        one, two = (load_file(folder / name) for folder in (a, b))
        assert all(torch.equal(one[key], two[key]) for key in one)
    rows = [json.loads((folder / "metrics.json").read_text()) for folder in (a, b)]
    for row in (*rows[0], *rows[1]):
        del row["seconds"], row["images_per_s"]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_bits(drawn: Path, whole: Path, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    state = killed / "state.safetensors"
    training = start("detector", drawn, killed, wait_after=6, computing__save_every_batches=1)
    training.wait_for_checkpoint(state)
    time.sleep(random.SystemRandom().uniform(0, 0.4))
    training.kill()
    # What a kill in the middle of writing leaves behind.
    (killed / "state.safetensors.part").write_bytes(state.read_bytes()[:1000])
    train(tiny_config(drawn, killed, computing__workers=1), quiet=True)
    assert_same_run(whole, killed)


@pytest.mark.slow
def test_every_batch_is_a_place_to_stop(
    drawn: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Everybody asks to stop, from the first batch on.
    monkeypatch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "asked", True) or self)
    stops = 0
    while True:
        try:
            train(tiny_config(drawn, tmp_path / "stopped"))
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 6
    assert "Run the same command to resume." in capsys.readouterr().err
    assert_same_run(whole, tmp_path / "stopped")


@pytest.mark.slow
def test_a_batch_that_is_shown_again_and_again_is_learnt(drawn: Path) -> None:
    changes = {"optimiser__name": "adamw", "augment__mosaic": 0.0, "input_range_px": None}
    task = DetectorTask(tiny_config(drawn, None, **changes))
    batch = task.collate([task.examples[draw] for draw in next(iter(task.sampler))])
    task.optimiser.param_groups[0]["lr"] = task.optimiser.param_groups[1]["lr"] = 5e-3
    losses = []
    for _ in range(25):
        loss, _ = task.train_step(batch)
        task.optimiser.zero_grad()
        loss.backward()
        task.optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_what_is_learnt_is_logged(whole: Path) -> None:
    rows = json.loads((whole / "metrics.json").read_text())
    assert {"iou", "obj", "cls", "l1", "learning_rate"} < set(rows[0])
    assert rows[0]["l1"] == 0 < rows[-1]["l1"]
    assert "ap50" not in rows[0] and {"ap50", "false_people"} < set(rows[-1])


def test_the_tracker_reads_what_was_trained_on_the_canvas_it_was_trained_for(whole: Path) -> None:
    detect = YoloxDetector(YoloxConfig("nano", min_score=0.0), whole / "weights.safetensors", ComputeConfig())
    (found,) = detect(frames_of([np.zeros((50, 60, 3), np.uint8)]))
    assert 0 < len(found) <= 84  # cells of 64 x 64, not of 416 x 416


def test_a_training_begins_with_given_weights_and_needs_them_once(
    drawn: Path, whole: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "given.safetensors"
    weights.write_bytes((whole / "weights.safetensors").read_bytes())
    task = DetectorTask(tiny_config(drawn, tmp_path / "run", init=str(weights)))
    given = load_file(weights)
    assert all(torch.equal(value, given[name]) for name, value in task.network.state_dict().items())


def test_other_settings_in_the_same_folder_are_refused(drawn: Path, whole: Path) -> None:
    with pytest.raises(UserError, match=r"holds a run with augment.mosaic=0.5, not 0.2\. "):
        train(tiny_config(drawn, whole, augment__mosaic=0.2), quiet=True)
    assert train(tiny_config(drawn, whole, computing__workers=3), quiet=True) == whole


def test_weight_decay_acts_on_convolutions_alone() -> None:
    network = Yolox("nano", 1)
    for name in ("sgd", "adamw"):
        decaying, others = new_optimiser(network, DetectorOptimiser(name=name, weight_decay=0.1)).param_groups
        assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
        assert all(parameter.ndim == 4 for parameter in decaying["params"])
        assert len(decaying["params"]) + len(others["params"]) == len(list(network.parameters()))


@pytest.mark.slow
def test_frozen_parts_stay_while_the_others_learn(drawn: Path, tmp_path: Path) -> None:
    config = tiny_config(drawn, tmp_path / "run", freeze_norms=True, freeze_stem=True, ema_ramp=2)
    before = DetectorTask(config).network.state_dict()
    after = load_file(train(config, quiet=True) / "weights.safetensors")
    kept = [name for name, value in before.items() if torch.equal(value, after[name])]
    frozen = [name for name in before if "running_" in name or name.startswith("backbone.backbone.stem.")]
    assert set(frozen) <= set(kept)
    changed = [name for name in before if name.endswith("conv.weight") and name not in frozen]
    assert not set(changed) & set(kept)


def test_the_average_moves_towards_the_network() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = Ema(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(1.0)
    average.update(network)
    kept = 0.5 * (1 - np.exp(-1 / 2000))
    assert average.mean.weight.tolist() == pytest.approx([kept * 1 + (1 - kept) * 3] * 2)
    assert average.mean.running_mean.tolist() == pytest.approx([1 - kept] * 2)


def test_an_epoch_shows_each_source_as_often_as_its_share_says() -> None:
    sampler = EpochSampler(SourceBatches([10, 4], [0.5, 2.0], batch_size=1, seed=3))
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        epochs.append([draw.row for batch in sampler for draw in batch])
    for rows in epochs:
        assert sorted(row for row in rows if row >= 10) == [10, 10, 11, 11, 12, 12, 13, 13]
        assert len({row for row in rows if row < 10}) == 5
    assert epochs[0] != epochs[1]
    sampler.set_epoch(1, first_batch=9)
    assert [batch[0].row for batch in sampler] == epochs[1][9:]


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_recipe_can_be_read_and_written_again(file: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(["train", str(file), "data.train=a.json", "--print-config"]) == 0
    (tmp_path / "again.py").write_text(capsys.readouterr().out)
    words = ["data.train=a.json"]
    assert load_config(tmp_path / "again.py") == load_config(file, words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["augment.mosaik=1"], "Did you mean 'augment.mosaic'?"),
        (["data.train=[{'anotations':'a.json'}]"], "Did you mean 'data.train.annotations'?"),
        (["input_px=100"], "must be multiples of 32"),
        (["schedule.epochs=3"], "Set epochs to their sum or more."),
        (["out=run"], "No training data. Set data.train=FILE"),
        (["data.train=nowhere.json", "out=run"], "Cannot read nowhere.json"),
        (["task=pose"], "Unknown value for task 'pose'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(CONFIGS[-1]), *words]) != 0
    assert message in capsys.readouterr().err


def test_pictures_of_another_size_than_annotated_stop_the_training(drawn: Path, tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "1.png", "width": 60, "height": 45}]
    wrong = write_annotations(drawn.with_name("wrong.json"), images, [person(1, 1, (0, 0, 9, 9))])
    with pytest.raises(InputError, match="but 60 x 45 in its annotations") as caught:
        train(tiny_config(wrong, tmp_path / "run", batch=1, computing__workers=1), quiet=True)
    assert "Traceback" not in str(caught.value)


def test_a_loss_that_is_no_number_ends_the_run_in_words(drawn: Path, tmp_path: Path) -> None:
    config = tiny_config(drawn, tmp_path / "run", schedule__warmup_epochs=0)
    object.__setattr__(config.schedule, "rate_per_image", 1e30)  # beyond what a config may have
    with pytest.raises(
        UserError, match=r"The loss is (nan|inf) in epoch 1, batch \d; .* a lower learning rate"
    ):
        train(config, quiet=True)
