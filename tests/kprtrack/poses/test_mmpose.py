"""mmpose against our HRNet. Runs where docs/mmpose.md was followed; elsewhere almost all is skipped."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support import paths
from support.frames import frames_of
from support.hrnet_formula import network_weights, pattern_image

from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import InputError, UserError, WeightsError
from kprtrack.inference.devices import ComputeConfig
from kprtrack.poses.hrnet import HrnetConfig, HrnetPose
from kprtrack.poses.hrnet_network import Hrnet
from kprtrack.poses.mmpose import MmposeConfig, MmposePose, import_mmpose

GOLDEN = np.load(paths.GOLDEN / "hrnet_network.npz")
INSTALLED = importlib.util.find_spec("mmpose") is not None
TRUSTED = ComputeConfig(trust_code=True)  # of the configurations, which are programs
needs_mmpose = pytest.mark.skipif(not INSTALLED, reason="needs mmpose")
CONFIG_FILES = {
    "msra": "coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py",
    "dark": "coco/td-hm_hrnet-w32_dark-8xb64-210e_coco-256x192.py",
    "udp": "coco/td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192.py",
    "posetrack18": "posetrack18/td-hm_hrnet-w32_8xb64-20e_posetrack18-256x192.py",
    "vit": "coco/td-hm_ViTPose-small_8xb64-210e_coco-256x192.py",
    "mpii": "mpii/td-hm_hrnet-w32_8xb64-210e_mpii-256x256.py",
}


def config(name: str) -> MmposeConfig:
    import mmpose

    folder = Path(mmpose.__file__).parent / ".mim" / "configs" / "body_2d_keypoint" / "topdown_heatmap"
    return MmposeConfig(folder / CONFIG_FILES[name])


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Formula weights named as mmpose 0.x names them."""
    import_mmpose()
    tensors = network_weights(Hrnet(32))
    tensors = {
        name.replace("head.", "keypoint_head.", 1) if name.startswith("head.") else name: one
        for name, one in tensors.items()
    }
    path = tmp_path_factory.mktemp("mmpose") / "w32.pth"
    torch.save({"meta": {}, "state_dict": tensors}, path)
    return path


def people(count: int = 3) -> Detections:
    return Detections(GOLDEN["boxes"][:count], np.ones(count, np.float32))


def sample_image() -> np.ndarray:
    return pattern_image(311, 273, seed=21)[..., ::-1]


@pytest.mark.skipif(INSTALLED, reason="needs mmpose to be absent")
def test_the_error_for_absent_mmpose_says_how_to_install_it():
    with pytest.raises(UserError, match=r"pip install --no-deps mmpose==1\.3\.2"):
        import_mmpose()


def test_stub_modules_are_removed_after_the_import():
    before = {name for name in ("mmcv._ext", "mmdet", "mmdet.utils", "xtcocotools") if name in sys.modules}
    try:
        import_mmpose()
    except UserError:
        assert not INSTALLED
    left = {name for name in ("mmcv._ext", "mmdet", "mmdet.utils") if name in sys.modules} - before
    assert all(importlib.util.find_spec(name.split(".")[0]) for name in left)


@needs_mmpose
@pytest.mark.parametrize("decode", ["msra", "dark", "udp"])
def test_our_hrnet_gives_the_keypoints_of_mmpose(weights, decode):
    theirs = MmposePose(config(decode), weights, ComputeConfig(batch=2, trust_code=True))(
        frames_of([sample_image()]), [people()]
    )[0].keypoints
    ours = HrnetPose(HrnetConfig(decode=decode), weights, ComputeConfig(batch=2))(
        frames_of([sample_image()]), [people()]
    )[0].keypoints
    off_px = np.abs(theirs - ours)[..., :2].max(axis=-1)
    # The last step of dark and udp is ill-conditioned on maps of random weights: a few keypoints run away.
    assert (off_px < 0.05).mean() >= (1 if decode == "msra" else 0.95)
    np.testing.assert_allclose(theirs[..., 2], ours[..., 2], atol=2e-4)


@needs_mmpose
def test_posetrack_models_have_no_ears(weights):
    theirs = MmposePose(config("posetrack18"), weights, TRUSTED)(frames_of([sample_image()]), [people()])[
        0
    ].keypoints
    ours = HrnetPose(HrnetConfig(skeleton="posetrack18"), weights, ComputeConfig())(
        frames_of([sample_image()]), [people()]
    )[0].keypoints
    assert (theirs[:, 3:5, 2] == 0).all()
    off_px = np.abs(theirs - ours)[..., :2].max(axis=-1)
    assert (off_px < 0.05).mean() >= 0.95
    np.testing.assert_allclose(theirs[..., 2], ours[..., 2], atol=2e-4)


@needs_mmpose
def test_frames_without_people_have_no_poses(weights):
    estimate = MmposePose(config("msra"), weights, ComputeConfig(batch=2, trust_code=True))
    detections = [people(0), people(2), people(0), people(1)]
    assert [len(poses) for poses in estimate(frames_of([sample_image()] * 4), detections)] == [0, 2, 0, 1]


@needs_mmpose
@pytest.mark.parametrize("name", ["blocks.0.weight", "backbone.conv1.weight"])
def test_weights_of_another_model_are_an_error(tmp_path, name):
    path = tmp_path / "other.pth"
    torch.save({name: torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="is not for this mmpose model"):
        MmposePose(config("msra"), path, TRUSTED)


@needs_mmpose
def test_a_model_with_other_keypoints_is_an_error(weights):
    with pytest.raises(UserError, match="has the keypoints right_ankle"):
        MmposePose(config("mpii"), weights, TRUSTED)


@needs_mmpose
@pytest.mark.skipif(
    importlib.util.find_spec("mmpretrain") is not None, reason="needs mmpretrain to be absent"
)
def test_a_module_that_is_not_installed_is_an_error_that_names_it(weights):
    with pytest.raises(UserError, match=r"mmpretrain\.VisionTransformer"):
        MmposePose(config("vit"), weights, TRUSTED)


def test_a_missing_option_config_file_is_an_error():
    with pytest.raises(UserError, match=r"--set pose\.config_file=FILE"):
        MmposeConfig()


def test_a_missing_configuration_is_an_error(tmp_path):
    with pytest.raises(InputError, match="No mmpose configuration at"):
        MmposePose(MmposeConfig(tmp_path / "none.py"), tmp_path / "w.pth", TRUSTED)


def test_a_configuration_is_executed_only_if_it_is_trusted(tmp_path):
    (tmp_path / "evil.py").write_text(f"__import__('os').mkdir({str(tmp_path / 'mark')!r})")
    with pytest.raises(UserError, match=r"a program that mmpose executes.*Add --trust-code"):
        MmposePose(MmposeConfig(tmp_path / "evil.py"), tmp_path / "w.pth", ComputeConfig())
    assert not (tmp_path / "mark").exists()
