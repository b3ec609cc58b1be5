"""Training of pose networks: labels, targets, loss, resuming, and errors."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import paths
from support.pose_cases import QUIET_AUGMENT, edit, tiny_config, write_figures

from kprtrack.core.errors import InputError, UserError, WeightsError
from kprtrack.core.signals import StopRequest
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS
from kprtrack.poses.decode import DECODERS
from kprtrack.poses.hrnet import HrnetConfig
from kprtrack.poses.lite_hrnet import LiteHrnet
from kprtrack.poses.shapes import LiteHrnetShape, SmallPoseShape
from kprtrack.poses.small_network import SmallPose, load_small_pose
from kprtrack.training.config import Source
from kprtrack.training.pose.config import PoseLabels, PoseSchedule, PoseTrainConfig
from kprtrack.training.pose.data import PoseExamples, labelled_people
from kprtrack.training.pose.loss import heatmap_loss
from kprtrack.training.pose.networks import new_network, weights_file
from kprtrack.training.pose.task import PoseTask
from kprtrack.training.run_folder import LATEST
from kprtrack.training.tasks import load_config, train
from reid.training.sampler import Draw

CONFIGS = paths.ROOT / "configs" / "pose"


def tiny(folder: Path, **changes: Any) -> PoseTrainConfig:
    """A tiny network on the figures in the folder."""
    return tiny_config(folder / "people.json", folder / "run", **changes)


def rows_of(run: Path) -> list[dict[str, float]]:
    timed = ("seconds", "images_per_s")
    rows = json.loads((run / "metrics.json").read_text())
    return [{name: value for name, value in row.items() if name not in timed} for row in rows]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Labels


def test_annotated_keypoints_have_weight_one(tmp_path):
    (person,) = labelled_people(Source(str(write_figures(tmp_path, 1))), "coco", PoseLabels())
    assert person.keypoints[:, 2].tolist() == [1] * 17


def test_a_teachers_confidence_is_the_weight_and_what_it_doubts_is_absent(tmp_path):
    path = edit(write_figures(tmp_path, 1), keypoint_scores=[0.9, 0.29, *[0.5] * 14, 0.0])
    (person,) = labelled_people(Source(str(path)), "coco", PoseLabels(least_confidence=0.3))
    assert person.keypoints[:, 2].tolist() == pytest.approx([0.9, -1, *[0.5] * 14, 0])


def test_people_with_few_keypoints_or_pixels_are_left_out(tmp_path):
    source = Source(str(write_figures(tmp_path, 2)))
    assert len(labelled_people(source, "coco", PoseLabels(least_keypoints=17))) == 2
    with pytest.raises(UserError, match=r"people\.json has no person with 18 or more keypoints"):
        labelled_people(source, "coco", PoseLabels(least_keypoints=18))
    with pytest.raises(UserError, match="500 pixels of height"):
        labelled_people(source, "coco", PoseLabels(least_height_px=500.0))


def test_posetracks_labels_lack_eyes_for_cocos_network_and_ears_for_its_own(tmp_path):
    path = write_figures(tmp_path, 1, keypoints=list(POSETRACK_KEYPOINTS))
    for skeleton, unknown in (("coco", [1, 2]), ("posetrack18", [3, 4])):
        (person,) = labelled_people(Source(str(path)), skeleton, PoseLabels())
        assert np.flatnonzero(person.keypoints[:, 2] == 0).tolist() == unknown


def test_cocos_labels_give_neck_and_head_to_posetracks_network(tmp_path):
    source = Source(str(write_figures(tmp_path, 1)))
    (coco,) = labelled_people(source, "coco", PoseLabels())
    (posetrack,) = labelled_people(source, "posetrack18", PoseLabels())
    bottom, top = posetrack.keypoints[1], posetrack.keypoints[2]
    shoulders = coco.keypoints[5:7, 1].mean()
    assert top[1] < coco.keypoints[KEYPOINTS.index("left_ear"), 1] < bottom[1] < shoulders
    assert bottom[2] == top[2] == 1


def test_a_doubted_ear_moves_no_head_of_posetracks_network(tmp_path):
    path = edit(write_figures(tmp_path, 1), keypoint_scores=[0.9, 0.9, 0.9, 0.1, *[0.9] * 13])
    labels = PoseLabels(least_confidence=0.3)
    (coco,) = labelled_people(Source(str(path)), "coco", labels)
    (posetrack,) = labelled_people(Source(str(path)), "posetrack18", labels)
    shoulders, ear = coco.keypoints[5:7, :2].mean(0), coco.keypoints[4, :2]
    np.testing.assert_allclose(posetrack.keypoints[2, :2], shoulders + 1.66 * (ear - shoulders), rtol=1e-4)


# Examples


def example(config: PoseTrainConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    people = labelled_people(config.data.train[0], config.layout().skeleton, config.labels)
    return PoseExamples(people, config)[Draw(0, epoch=0, batch=0, seed=(1, 0, 0))]


@pytest.mark.parametrize("decode", ["msra", "dark", "udp"])
def test_heatmaps_peak_where_the_drawn_joints_are(tmp_path, decode):
    write_figures(tmp_path, 1)
    still = QUIET_AUGMENT | {"flip": 0.0, "scale_share": 0.0}
    config = tiny(tmp_path, network="hrnet", hrnet={"decode": decode}, sigma=2.0, augment=still)
    crop, heatmaps, weights = example(config)
    points, _ = DECODERS[decode](heatmaps[None], 192, 256)
    x, y = np.rint(points[0, KEYPOINTS.index("left_ankle")]).astype(int)
    around = crop[y - 4 : y + 4, x - 4 : x + 4].reshape(-1, 3).astype(int)
    assert np.abs(around - (250, 120, 40)).sum(axis=1).min() < 30
    assert weights.tolist() == [1] * 17


def test_absent_keypoints_have_an_empty_map_of_their_own_weight(tmp_path):
    edit(write_figures(tmp_path, 1), keypoint_scores=[0.1, 0.0, *[0.6] * 15])
    config = tiny(tmp_path, labels={"least_confidence": 0.3, "absent_weight": 0.25}, augment={"flip": 0.0})
    _, heatmaps, weights = example(config)
    assert heatmaps[:2].max() == 0
    assert weights[:2].tolist() == [0.25, 0]
    assert np.isin(weights[2:], np.float32((0.6, 0.25))).all()


# Loss


def test_the_loss_is_zero_at_the_target_and_pi_sigma_squared_for_an_empty_map():
    distance = (torch.arange(64) - 32.0) ** 2
    target = torch.exp(-(distance[:, None] + distance) / 8)[None, None].repeat(2, 17, 1, 1)
    ones = torch.ones(2, 17)
    assert heatmap_loss(target, target, ones) == 0
    assert heatmap_loss(torch.zeros_like(target), target, ones) == pytest.approx(4 * np.pi, rel=1e-3)


def test_keypoints_without_weight_teach_nothing_but_count_in_the_mean():
    found = torch.ones(1, 2, 4, 4, requires_grad=True)
    loss = heatmap_loss(found, torch.zeros(1, 2, 4, 4), torch.tensor([[0.5, 0.0]]))
    loss.backward()
    assert loss == 16 * 0.5 / 2
    assert found.grad[0, 1].abs().max() == 0 < found.grad[0, 0].abs().min()


# Learning


@pytest.mark.slow
def test_a_tiny_network_learns_eight_figures(tmp_path):
    write_figures(tmp_path, 8)
    schedule = {"peak": 0.01, "epochs": 60, "warmup_epochs": 2.0}
    config = tiny(tmp_path, schedule=schedule, ema_decay=None, scoring={"every_epochs": 59})
    run = train(config, quiet=True)
    rows = rows_of(run)
    assert rows[-1]["loss"] < 0.3 * rows[0]["loss"]
    assert rows[-1]["pckh"] > 0.9
    assert rows[-1]["oks"] > 0.5
    assert {"pckh_eye", "pckh_wrist", "pckh_nose"} <= set(rows[-1])
    assert load_small_pose(run / LATEST).shape == config.small


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_every_batch_is_a_place_to_stop(tmp_path, monkeypatch, workers):
    write_figures(tmp_path, 8)
    settings = {"batch": 4, "computing": {"workers": workers, "device": "cpu"}, "augment": {"paste": 0.5}}
    whole = train(tiny(tmp_path, out=str(tmp_path / "whole"), **settings), quiet=True)
    config = tiny(tmp_path, out=str(tmp_path / "stopped"), **settings)
    monkeypatch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "asked", True) or self)
    stops = 0
    while True:
        try:
            stopped = train(config, quiet=True)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops == 4
    assert (stopped / LATEST).read_bytes() == (whole / LATEST).read_bytes()
    assert rows_of(stopped) == rows_of(whole)


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    write_figures(tmp_path, 8)
    train(tiny(tmp_path), quiet=True)
    with pytest.raises(UserError, match=r"sigma=1\.0, not 1\.5"):
        train(tiny(tmp_path, sigma=1.5), quiet=True)
    edit(tmp_path / "people.json", keypoint_scores=[0.5] * 17)
    with pytest.raises(UserError, match="training_set="):
        train(tiny(tmp_path), quiet=True)


def test_the_rate_warms_up_and_falls():
    cosine = PoseSchedule(peak=1.0, epochs=11, warmup_epochs=1.0, floor_share=0.1)
    assert [cosine.rate(at) for at in (0, 0.5, 1, 6, 11)] == pytest.approx([0.001, 0.5005, 1, 0.55, 0.1])
    short = PoseSchedule(peak=1.0, epochs=1, warmup_epochs=1.0, floor_share=0.1)
    assert [short.rate(at) for at in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx([0.001, 0.5005, 1, 0.55, 0.1])
    drops = PoseSchedule(peak=1.0, epochs=20, warmup_epochs=1.0, drops=(10.0, 15.0))
    assert [drops.rate(at) for at in (9.9, 10, 14.9, 15)] == pytest.approx([1, 0.1, 0.1, 0.01])


# Beginnings


def test_a_run_begins_with_the_weights_it_is_given(tmp_path):
    write_figures(tmp_path, 8)
    config = tiny(tmp_path)
    torch.manual_seed(7)
    (tmp_path / "start.safetensors").write_bytes(weights_file(SmallPose(config.small)))
    begun = new_network(tiny(tmp_path, init=str(tmp_path / "start.safetensors")))
    torch.manual_seed(7)
    torch.testing.assert_close(begun.state_dict(), SmallPose(config.small).state_dict())


@pytest.mark.slow
def test_the_network_of_the_package_is_fine_tuned_at_another_input_size(tmp_path):
    write_figures(tmp_path, 8)
    shape = LiteHrnetShape(64, 48)
    settings = {"network": "lite-hrnet", "lite_hrnet": vars(shape), "init": "small-pose", "batch": 4}
    config = tiny(tmp_path, **settings, schedule={"peak": 1e-5, "epochs": 1, "warmup_epochs": 0.0})
    start, tuned = new_network(config).state_dict(), load_small_pose(train(config, quiet=True) / LATEST)
    assert isinstance(tuned, LiteHrnet)
    assert tuned.shape == shape
    torch.testing.assert_close(tuned.state_dict(), start, rtol=0, atol=1e-3)
    assert any(not torch.equal(value, start[name]) for name, value in tuned.state_dict().items())
    with pytest.raises(WeightsError, match="holds a Lite-HRNet: set network=lite-hrnet"):
        new_network(tiny(tmp_path, init="small-pose"))


def test_a_start_of_another_shape_is_refused(tmp_path):
    write_figures(tmp_path, 8)
    (tmp_path / "start.safetensors").write_bytes(weights_file(SmallPose(SmallPoseShape())))
    with pytest.raises(WeightsError, match=r"no start.*holds.*neck_width=64"):
        PoseTask(tiny(tmp_path, init=str(tmp_path / "start.safetensors")))


def test_a_deeper_network_begins_as_the_shallower_one(tmp_path):
    write_figures(tmp_path, 8)
    shallow = tiny(tmp_path).small
    start = SmallPose(shallow).eval()
    with torch.no_grad():
        for parameter in start.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))
    (tmp_path / "start.safetensors").write_bytes(weights_file(start))
    blocks = tuple(count + 2 for count in shallow.stage_blocks)
    config = tiny(tmp_path, init=str(tmp_path / "start.safetensors"))
    deeper = new_network(replace(config, small=replace(shallow, stage_blocks=blocks))).eval()
    images = torch.rand(2, 3, shallow.input_height, shallow.input_width)
    torch.testing.assert_close(deeper(images), start(images))

    (tmp_path / "start.safetensors").write_bytes(weights_file(deeper))
    with pytest.raises(WeightsError, match="only grow"):
        new_network(config)


@pytest.mark.slow
def test_hrnet_begins_with_its_own_weights_or_with_a_classifiers_trunk(tmp_path):
    made = new_network(PoseTrainConfig(network="hrnet", hrnet=HrnetConfig(32), seed=5))
    (tmp_path / "pose.safetensors").write_bytes(weights_file(made))
    trunk = {
        name.removeprefix("backbone."): one for name, one in made.state_dict().items() if "head" not in name
    }
    torch.save(trunk | {"classifier.weight": torch.zeros(3)}, tmp_path / "imagenet.pth")
    torch.save(trunk | {"rest.weight": torch.zeros(3)}, tmp_path / "other.pth")
    for name in ("pose.safetensors", "imagenet.pth"):
        begun = new_network(PoseTrainConfig(network="hrnet", init=str(tmp_path / name)))
        key = "backbone.stage4.2.branches.0.3.conv2.weight"
        assert torch.equal(begun.state_dict()[key], made.state_dict()[key])
    with pytest.raises(WeightsError, match=r"no start for hrnet-w32.*rest\.weight"):
        new_network(PoseTrainConfig(network="hrnet", init=str(tmp_path / "other.pth")))


# Recipes and refusals


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.py")), ids=lambda file: file.stem)
def test_every_recipe_can_be_read_and_its_network_built(file):
    config = load_config(file, ["data.train=train.json", "out=run"])
    assert config.data.train == (Source("train.json"),)
    assert config.layout().skeleton == ("posetrack18" if "posetrack" in file.stem else "coco")


def test_a_training_without_pictures_is_refused():
    with pytest.raises(UserError, match=r"data\.train=FILE"):
        train(PoseTrainConfig(out="nowhere"))


def test_people_that_no_head_or_torso_measures_cannot_be_scored(tmp_path):
    write_figures(tmp_path, 8)
    wrists = np.zeros((17, 3))
    wrists[9:11] = (20, 20, 2)
    (tmp_path / "val").mkdir()
    path = edit(write_figures(tmp_path / "val", 1), keypoints=wrists.ravel().tolist())
    data = {"train": str(tmp_path / "people.json"), "val": str(path)}
    with pytest.raises(UserError, match=r"data\.val cannot be scored"):
        PoseTask(tiny(tmp_path, data=data))


def test_a_damaged_picture_is_named(tmp_path):
    write_figures(tmp_path, 8)
    (tmp_path / "3.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"3\.png"):
        train(tiny(tmp_path), quiet=True)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"batch": 1}, "batch is 1"),
        ({"sigma": 0.0}, "sigma is 0.0"),
        ({"schedule": {"epochs": 0}}, "epochs is 0"),
        ({"schedule": {"warmup_epochs": -1.0}}, "warmup_epochs is -1.0"),
        ({"network": "vitpose"}, "vitpose"),
        ({"small": {"input_width": 100}}, "input_width is 100"),
        ({"labels": {"least_konfidence": 0.3}}, "labels.least_confidence"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, wrong, words):
    with pytest.raises(UserError, match=words):
        tiny(tmp_path, **wrong)
