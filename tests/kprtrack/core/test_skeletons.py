"""Sets of keypoints: names, mirror images and OKS constants as published, and OKS with each of them."""

import json

import numpy as np
import pytest
from support import paths

from kprtrack.core.geometry import oks
from kprtrack.core.skeleton import COCO_SKELETON, KEYPOINTS, POSETRACK_SKELETON, Skeleton
from kprtrack.core.skeletons import BY_COUNT, SKELETONS, skeleton_among

PUBLISHED = json.loads((paths.GOLDEN / "keypoint_sets.json").read_text())
ALL = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
# COCO's 17 among the landmarks of MediaPipe, by its documentation.
COCO_IN_BLAZEPOSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)


def people(skeleton: Skeleton, count: int, seed: int) -> np.ndarray:
    """[N, K, 3] float64: people some pixels apart; a fifth of the keypoints is unknown."""
    rng = np.random.default_rng(seed)
    points = 50 + 12 * rng.normal(size=(count, len(skeleton), 3))
    points[..., 2] = (rng.random((count, len(skeleton))) > 0.2) * 0.9
    return points


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_mirror_images_and_oks_constants_are_the_published_ones(name: str) -> None:
    skeleton, published = SKELETONS[name], PUBLISHED[name]
    assert list(skeleton.names) == published["names"]
    assert list(skeleton.flip) == published["flip"]
    assert list(skeleton.sigmas) == published["sigmas"]


def test_every_set_but_blazepose_has_published_oks_constants() -> None:
    assert SKELETONS.keys() - PUBLISHED.keys() == {"blazepose33"}


def test_blazepose_takes_the_constants_of_coco_by_name_and_of_the_nearest_keypoint() -> None:
    blazepose = SKELETONS["blazepose33"]
    sigma = dict(zip(blazepose.names, blazepose.sigmas, strict=True))
    coco = dict(zip(KEYPOINTS, COCO_SKELETON.sigmas, strict=True))
    assert all(sigma[name] == value for name, value in coco.items())
    like = {"right_eye_outer": "right_eye", "mouth_left": "nose", "left_thumb": "left_wrist"}
    like |= {"right_index": "right_wrist", "left_foot_index": "left_ankle", "right_heel": "right_ankle"}
    assert {name: sigma[name] for name in like} == {name: coco[near] for name, near in like.items()}


@ALL
def test_a_mirrored_name_has_the_other_side_and_mirroring_twice_changes_nothing(skeleton: Skeleton) -> None:
    flip = np.array(skeleton.flip)
    assert (flip[flip] == np.arange(len(skeleton))).all()
    for name, row in zip(skeleton.names, skeleton.flip, strict=True):
        if "left" in name:
            assert skeleton.names[row] == name.replace("left", "right")


@ALL
def test_limbs_are_pairs_of_different_keypoints_once_each_and_mirrored_on_the_other_side(
    skeleton: Skeleton,
) -> None:
    limbs = {frozenset(edge) for edge in skeleton.edges}
    assert len(limbs) == len(skeleton.edges)
    assert all(len(limb) == 2 and max(limb) < len(skeleton) for limb in limbs)
    assert {frozenset(skeleton.flip[row] for row in limb) for limb in limbs} == limbs


def test_coco_keypoints_are_selected_by_name() -> None:
    for skeleton in SKELETONS.values():
        numbered = np.arange(len(skeleton))[:, None] + np.ones((1, len(skeleton), 3))
        expected = [skeleton.names.index(name) + 1 if name in skeleton.names else 0 for name in KEYPOINTS]
        assert skeleton.to_coco(numbered)[0, :, 0].tolist() == expected
    assert SKELETONS["blazepose33"].coco_rows == COCO_IN_BLAZEPOSE
    own = np.ones((1, 17, 3))
    assert COCO_SKELETON.to_coco(own) is own


def test_prompts_have_coco_keypoints_and_posetrack_joints_in_their_own_rows() -> None:
    points = people(POSETRACK_SKELETON, 2, seed=1)
    assert POSETRACK_SKELETON.to_prompts(points) is points
    halpe = people(SKELETONS["halpe26"], 2, seed=1)
    np.testing.assert_array_equal(SKELETONS["halpe26"].to_prompts(halpe), halpe[:, :17])


@ALL
def test_oks_of_a_set_is_that_of_its_definition(skeleton: Skeleton) -> None:
    a, b = people(skeleton, 3, seed=2), people(skeleton, 4, seed=3)
    areas = np.array([900.0, 1600.0, 2500.0])
    expected = np.zeros((3, 4))
    for i, j in np.ndindex(3, 4):
        terms = [
            np.exp(-np.sum((p[:2] - q[:2]) ** 2) / (2 * areas[i] * (2 * sigma) ** 2))
            for p, q, sigma in zip(a[i], b[j], skeleton.sigmas, strict=True)
            if min(p[2], q[2]) > 0.3
        ]
        expected[i, j] = np.mean(terms)
    np.testing.assert_allclose(oks(a, b, areas, 0.3, skeleton), expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["halpe26", "wholebody133"])
def test_oks_of_a_set_is_that_of_pycocotools_with_its_constants(name: str) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    skeleton, area = SKELETONS[name], 1600.0
    truth, found = people(skeleton, 3, seed=4), people(skeleton, 4, seed=5)
    truth[..., 2], found[..., 2] = 2, 1  # COCO counts every keypoint of the ground truth
    dataset, results = coco.COCO(), coco.COCO()
    for file, points in ((dataset, truth), (results, found)):
        file.dataset = {
            "images": [{"id": 1}],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [
                {
                    **{"id": row + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": area},
                    **{"bbox": [0, 0, 40, 40], "num_keypoints": len(skeleton), "score": 1 - row / 10},
                    "keypoints": person.ravel().tolist(),
                }
                for row, person in enumerate(points)
            ],
        }
        file.createIndex()
    evaluation = cocoeval.COCOeval(dataset, results, "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(skeleton.sigmas)
    evaluation.params.imgIds, evaluation.params.catIds = [1], [1]
    evaluation._prepare()
    expected = evaluation.computeOks(1, 1).T  # rows: truth, columns: found, best score first
    np.testing.assert_allclose(
        oks(truth, found, np.full(3, area), 0, skeleton), expected, rtol=2e-4, atol=1e-6
    )


def test_the_number_of_keypoints_determines_the_set_and_17_are_cocos() -> None:
    assert {count: skeleton.name for count, skeleton in BY_COUNT.items()} == {
        **{17: "coco17", 26: "halpe26"},
        **{33: "blazepose33", 133: "wholebody133"},
    }


@ALL
def test_a_set_is_found_among_names_in_any_order(skeleton: Skeleton) -> None:
    assert skeleton_among([*reversed(skeleton.names), "tail"]) == skeleton
    assert skeleton_among(skeleton.names[1:]) in (None, COCO_SKELETON)


def test_a_set_whose_names_and_constants_differ_in_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        Skeleton("two", ("a", "b"), (), (0, 1), (0.1,))
