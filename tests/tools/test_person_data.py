"""The data of detector and pose training: labels fit the pasted people, and no source is on both sides."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import orjson
import pytest
from support import paths

from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import FLIP, KEYPOINTS

PICTURES = 20


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


def skeleton(box):
    """[17, 3] joints in two columns down the box, all sure."""
    left, top, right, bottom = box
    rows = np.linspace(0.05, 0.95, len(KEYPOINTS))
    side = np.where(np.arange(len(KEYPOINTS)) % 2, 0.6, 0.4)
    return np.stack((left + side * (right - left), top + rows * (bottom - top), np.full(17, 0.9)), 1)


class FakeTeachers:
    """A teacher without detections; joints are placed relative to the box."""

    def people(self, image, canvas_px):
        return np.zeros((0, 5), np.float32)

    def unlabelled(self, image, labelled, canvas_px):
        return []

    def label(self, image, boxes):
        from person_data.labels import person_from_teacher

        return [person_from_teacher(box, skeleton(box)) for box in boxes]


def cutout(height=120, width=40):
    """A white person on nothing."""
    from person_data.cutouts import Cutout

    keypoints = skeleton((0, 0, width, height))
    keypoints[:, 2] = 2
    image, alpha = np.full((height, width, 3), 255, np.uint8), np.ones((height, width), np.float32)
    return Cutout(image, alpha, keypoints.astype(np.float32), np.full(17, 0.9, np.float32), float(height))


def composed(seed):
    """Picture and people of white people and black things on black."""
    from person_data.composites import compose

    return compose(np.random.default_rng(seed), [cutout()], [np.zeros((60, 80, 3), np.uint8)])


def outside(image, people):
    """[H, W] bool: what no box covers, nor a little around it."""
    free = np.ones(image.shape[:2], bool)
    for each in people:
        left, top, right, bottom = each.box.astype(int)
        free[max(top - 8, 0) : bottom + 8, max(left - 8, 0) : right + 8] = False
    return free


@pytest.mark.parametrize("seed", range(8))
def test_boxes_enclose_the_visible_parts_of_pasted_people(seed):
    image, people = composed(seed)
    smooth = cv2.GaussianBlur(image, (0, 0), 2).max(axis=2)
    assert (smooth[outside(image, people)] < 60).all()


@pytest.mark.parametrize("seed", range(8))
def test_boxes_contain_visible_people(seed):
    image, people = composed(seed)
    for each in people:
        left, top, right, bottom = each.box.astype(int)
        assert 0 <= left < right <= image.shape[1]
        assert 0 <= top < bottom <= image.shape[0]
        if not each.ignore:
            assert image[top:bottom, left:right].max() > 60


def test_joints_move_and_grow_with_the_person():
    expected = skeleton((0, 0, 1, 1))[:, :2]
    whole = 0
    for seed in range(30):
        for each in composed(seed)[1]:
            size = each.box[2:] - each.box[:2]
            if (each.keypoints[:, 2] == 2).all() and abs(size[1] / size[0] - 3) < 0.02:
                places = (each.keypoints[:, :2] - each.box[:2]) / size
                mirrored = np.stack((1 - expected[list(FLIP), 0], expected[list(FLIP), 1]), 1)
                nearest = min(np.abs(places - way).max() for way in (expected, mirrored))
                assert nearest < 0.03
                whole += 1
    assert whole > 5


def test_occluded_joints_are_hidden_and_joints_outside_unknown():
    states = {
        float(state) for seed in range(20) for each in composed(seed)[1] for state in each.keypoints[:, 2]
    }
    assert states == {0.0, 1.0, 2.0}


def test_a_mirrored_person_has_left_and_right_exchanged():
    from person_data.cutouts import mirrored

    cut = cutout()
    twice = mirrored(mirrored(cut))
    np.testing.assert_allclose(twice.keypoints, cut.keypoints, atol=1e-4)
    shoulders = [KEYPOINTS.index(f"{side}_shoulder") for side in ("left", "right")]
    assert mirrored(cut).keypoints[shoulders[0], 1] == cut.keypoints[shoulders[1], 1]


def test_the_same_seed_composes_the_same_image():
    one, other = composed(3), composed(3)
    assert (one[0] == other[0]).all()
    assert len(one[1]) == len(other[1])


STANDING = {  # x, y of the right half of a person in front view
    "eye": (-5, 28), "ear": (-9, 30), "shoulder": (-24, 60), "elbow": (-32, 100), "wrist": (-34, 138),
    "hip": (-14, 130), "knee": (-16, 180), "ankle": (-17, 230),
}  # fmt: skip
DANCING = STANDING | {"elbow": (-60, 50), "wrist": (-70, 12), "knee": (-45, 160), "ankle": (-80, 190)}


def joints_of(half):
    """[17, 2] of both halves about x = 100."""
    sides = {"left": -1, "right": 1}
    places = {
        f"{side}_{name}": (sign * x + 100, y) for side, sign in sides.items() for name, (x, y) in half.items()
    }
    return np.array([places.get(name, (100, 34)) for name in KEYPOINTS], float)


def with_derived(points):
    """[20, 2] joints, neck, pelvis and top of the head."""
    middles = [points[pair].mean(axis=0) for pair in ([5, 6], [11, 12])]
    return np.concatenate((points, middles, [[100, 10]]))


def test_the_limbs_of_a_reposed_person_lie_at_its_joints():
    from person_data.cutouts import Cutout
    from person_data.puppets import _scale, _with_derived, posed

    points = joints_of(STANDING)
    image, alpha = np.zeros((250, 200, 3), np.uint8), np.zeros((250, 200), np.float32)
    alpha[10:245, 55:145] = 1
    colours = np.stack([np.arange(17) * 12 + 50, 250 - np.arange(17) * 12, np.full(17, 128)], 1)
    for point, colour in zip(points, colours, strict=True):
        cv2.circle(image, point.astype(int), 6, colour.tolist(), -1)
    keypoints = np.float32(np.column_stack((points, np.full(17, 2))))
    cut = Cutout(image, alpha, keypoints, np.full(17, 0.9, np.float32), 235.0)
    own = _with_derived(cut)
    pose = with_derived(joints_of(DANCING))
    for seed in range(4):
        found = posed(cut, own, pose, _scale(own, pose), np.random.default_rng(seed))
        known = [row for row in range(5, 17) if found.keypoints[row, 2] > 0]
        assert len(known) >= 10
        for row in known:
            column, line = found.keypoints[row, :2].round().astype(int)
            np.testing.assert_allclose(found.image[line, column], colours[row], atol=8)
            assert found.alpha[line, column] > 0.9
        limbs = [0, *range(5, 17)]
        spread = [np.ptp(each[limbs], axis=0) for each in (found.keypoints[:, :2], pose[:17])]
        np.testing.assert_allclose(spread[0][0] / spread[0][1], spread[1][0] / spread[1][1], rtol=0.05)


def test_poses_seen_from_the_other_side_do_not_fit_a_person():
    from person_data.puppets import _scale

    own, pose = with_derived(joints_of(STANDING)), joints_of(DANCING)
    assert _scale(own, with_derived(pose)) is not None
    assert _scale(own, with_derived(pose[list(FLIP)])) is None


def oval():
    """[140, 90] uint8, 1 where a person 120 pixels tall is."""
    return cv2.ellipse(np.zeros((140, 90), np.uint8), (45, 70), (19, 60), 0, 0, 360, 1, -1)


@pytest.fixture
def context(tmp_path):
    """Make images in the layout of the real ones, each with a person in its own colour."""
    from person_data.reading import SourceContext

    rng = np.random.default_rng(0)
    (tmp_path / "detect").mkdir()
    (tmp_path / "parsing").mkdir()
    names = [f"{number:04d}" for number in range(PICTURES)]
    with zipfile.ZipFile(tmp_path / "parsing/ccp_half.zip", "w") as ccp:
        for name in names:
            image, mask = rng.integers(0, 60, (140, 90, 3), np.uint8), oval() * 7
            image[mask > 0] = rng.integers(90, 255, 3)
            add(ccp, f"ccp_half/img/{name}.jpg", image)
            add(ccp, f"ccp_half/mask/{name}.png", mask)
    with zipfile.ZipFile(tmp_path / "detect/pennfudan.zip", "w") as pennfudan:
        add(pennfudan, "pennfudan/img/one.jpg", np.full((140, 90, 3), 30, np.uint8))
        add(pennfudan, "pennfudan/mask/one.png", oval())
        box = 'Bounding box for object 1 "P" (Xmin, Ymin) - (Xmax, Ymax) : (26, 11) - (65, 130)\n'
        pennfudan.writestr("pennfudan/ann/one.txt", box)
    with zipfile.ZipFile(tmp_path / "detect/imagenet_samples.zip", "w") as places:
        for name in names:
            add(places, f"imagenet_samples/n{name}_thing.jpg", rng.integers(0, 255, (40, 60, 3), np.uint8))
    return SourceContext(tmp_path, FakeTeachers(), 0)


def add(archive, name, image):
    archive.writestr(name, cv2.imencode(Path(name).suffix, image)[1].tobytes())


def test_people_of_held_out_images_are_cut_out_for_validation_only(context):
    from person_data.cutouts import cutouts
    from person_data.single import ccp

    sides = {
        side: {each.image.tobytes() for each in cutouts(context, held_out=side)} for side in (False, True)
    }
    assert sum(each.held_out for each in ccp(context)) == 3
    assert len(sides[True]) == 3 + 1  # all of Penn-Fudan is held out
    assert len(sides[False]) == PICTURES - 3
    assert not sides[True] & sides[False]


def photographs_of(folder, name, origins, boxes=None):
    """Write an archive of one image of each origin, and the annotated boxes."""
    (folder / "people").mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"people/{name}.zip", "w") as archive:
        for origin in origins:
            add(archive, f"{origin}_00001.jpg", np.full((100, 90, 3), 80, np.uint8))
    labels = {f"{origin}_00001.jpg": {"boxes": boxes} for origin in origins if boxes}
    (folder / "people/labels_people.json").write_bytes(orjson.dumps(labels))


def test_images_of_whole_held_out_sources_are_in_no_training_list(context, tmp_path):
    from make_person_data import REAL
    from person_data.writing import LISTS, write_lists, write_source

    photographs_of(tmp_path, "no_people", ("bsds", "dlib"))  # dlib is in honest_split.json
    out = tmp_path / "out"
    names = ("ccp", "pennfudan", "no_people")
    entries = [entry for name in names for entry in write_source(out, name, REAL[name](context), {"seed": 0})]
    write_lists(out, entries, {})
    lists = {name: orjson.loads((out / f"{name}.json").read_bytes())["images"] for name in LISTS}
    files = {name: {image["file_name"] for image in images} for name, images in lists.items()}
    assert files["honest"] == files["pose_honest"] == {"pennfudan/one.jpg"}
    assert files["background_honest"] == {"no_people/dlib_00001.jpg"}
    assert "no_people/bsds_00001.jpg" in files["train"]
    for name in ("honest", "pose_honest", "background_honest"):
        assert not files[name] & (files["train"] | files["pose_train"])


def test_every_origin_of_photographs_is_on_one_side_only():
    from person_data.split import is_honest

    assert is_honest("photographs", "tfpose_00012")
    assert not is_honest("photographs", "bsds_00012")
    assert is_honest("videos", "mmpose_demo_00012")
    assert not is_honest("videos", "mmpose_demo_two_00012")
    assert is_honest("mot17", "MOT17-13-FRCNN_000001")
    assert not is_honest("mot17", "MOT17-02-FRCNN_000001")


def test_annotated_boxes_replace_those_of_the_teacher(context, monkeypatch):
    from person_data.labels import ignored, person_from_teacher
    from person_data.photographs import photographs

    found, region, missed = [10, 10, 40, 90], [50, 10, 80, 60], [50, 62, 80, 98]
    moved, tiny = [12, 10, 42, 90], [1, 1, 4, 9]
    photographs_of(context.real, "people", ("bsds",), boxes=[moved, region, missed, tiny])
    people = [person_from_teacher(np.float32(found), skeleton(found), 0.6), ignored(np.float32(region), 0.1)]
    monkeypatch.setattr(context.teachers, "label_all", lambda *_: list(people), raising=False)
    (image,) = photographs(context)
    kept = [each for each in image.people if each.box.any()]
    assert sorted(each.box.tolist() for each in kept) == [moved, region, missed]
    assert {(each.score, each.ignore) for each in kept} == {(1.0, False)}


def test_detections_of_four_views_are_merged_by_score():
    from person_data.teachers import merged

    views = [[[0, 0, 10, 20, 0.8]], [[1, 0, 11, 20, 0.4]], [[50, 0, 60, 20, 0.6]], np.zeros((0, 5))]
    found = merged([np.float32(each).reshape(-1, 5) for each in views])
    # (0.8 x 0 + 0.4 x 1) / 1.2; the score is the sum over the better two of four views, divided by two.
    np.testing.assert_allclose(found, [[1 / 3, 0, 31 / 3, 20, 0.6], [50, 0, 60, 20, 0.3]], atol=1e-5)


def test_cut_out_people_are_written_with_their_edges(context, tmp_path):
    from person_data.cutouts import write_cutouts
    from person_data.single import masked_pennfudan

    assert write_cutouts(tmp_path / "out", masked_pennfudan(context), held_out=True) == 1
    assert write_cutouts(tmp_path / "none", masked_pennfudan(context), held_out=False) == 0
    with np.load(tmp_path / "out/0000.npz") as cut:
        assert (
            cut["image"].shape[:2] == cut["alpha"].shape == (126, 46)
        )  # the box 40 x 120, and 3 px around it
        assert (cut["alpha"][63, 23], cut["alpha"][0, 0]) == (1, 0)


def test_penn_fudans_box_is_its_masks_extent(context):
    from person_data.single import pennfudan

    (image,) = pennfudan(context)
    assert image.people[0].box.tolist() == [25, 10, 65, 130]


def test_people_missed_by_the_teacher_are_ignored(context, monkeypatch):
    from person_data.labels import person_from_teacher
    from person_data.street import sports

    whole, away = (10, 10, 50, 90), (60, 10, 85, 40)
    joints = [[x, y, 1] for x, y in ((12, 12), (48, 88), (30, 50))]
    told = {"joint_order": ["neck", "head_top", "left_hip"], "coco17_index": [None, None, 11]}
    (context.real / "pose").mkdir()
    (context.real / "pose/lspet_crops.json").write_bytes(
        orjson.dumps(told | {"images": [["one.jpg", joints]]})
    )
    with zipfile.ZipFile(context.real / "pose/lspet_crops.zip", "w") as crops:
        add(crops, "lspet_crops/one.jpg", np.zeros((100, 90, 3), np.uint8))
    for boxes, ignored in (([whole], 0), ([away], 1), ([], 1)):
        people = [person_from_teacher(np.float32(box), skeleton(box), 0.8) for box in boxes]
        monkeypatch.setattr(
            context.teachers, "label_all", lambda *_, found=people: list(found), raising=False
        )
        (image,) = sports(context)
        assert len(image.people) == len(boxes) + ignored
        assert [each.box.tolist() for each in image.people if each.ignore] == [[12, 12, 48, 88]] * ignored


def test_no_image_is_in_two_lists_of_a_kind(context, tmp_path):
    from make_person_data import REAL
    from person_data.composites import composites
    from person_data.writing import write_lists, write_source

    out = tmp_path / "out"
    entries = [
        entry
        for name in ("ccp", "backgrounds")
        for entry in write_source(out, name, REAL[name](context), {"seed": 0})
    ]
    entries += write_source(out, "composites", composites(context, 4, held_out=True), {"seed": 0})
    summary = write_lists(out, entries, {})
    lists = {path.stem: orjson.loads(path.read_bytes()) for path in out.glob("*_*.json")}
    lists |= {name: orjson.loads((out / f"{name}.json").read_bytes()) for name in ("train", "val")}
    files = {name: {image["file_name"] for image in each["images"]} for name, each in lists.items()}
    assert not files["train"] & (files["val"] | files["background_val"])
    assert not files["pose_train"] & files["pose_val"]
    assert len(files["val"]) == 3 + 4
    assert len(files["background_val"]) == 3
    assert summary["lists"]["train"]["by_source"]["backgrounds"]["people"] == 0
    assert all((out / "images" / name).exists() for each in files.values() for name in each)


def test_a_finished_source_is_not_made_again(context, tmp_path):
    from person_data.single import ccp
    from person_data.writing import write_source

    first = write_source(tmp_path / "out", "ccp", ccp(context), {"seed": 0})
    assert write_source(tmp_path / "out", "ccp", iter(()), {"seed": 0}) == first
    assert write_source(tmp_path / "out", "ccp", iter(()), {"seed": 1}) == []


def test_large_images_are_shrunk_with_their_labels_and_tiny_people_ignored():
    from person_data.labels import ImageRecord, fitted, person

    keypoints = np.tile(np.float32([300, 300, 2]), (17, 1))
    people = (person(np.float32([100, 200, 500, 600]), keypoints), person(np.float32([0, 0, 8, 12])))
    image = fitted(ImageRecord("a", np.zeros((640, 1280, 3), np.uint8), people, "true", False))
    assert image.image.shape == (320, 640, 3)
    assert image.people[0].box.tolist() == [50, 100, 250, 300]
    assert image.people[0].keypoints[0].tolist() == [150, 150, 2]
    assert [each.ignore for each in image.people] == [False, True]


def test_a_missing_source_is_named(tmp_path):
    from person_data.reading import SourceContext
    from person_data.single import ccp

    with pytest.raises(InputError, match="--without ccp"):
        next(ccp(SourceContext(tmp_path, FakeTeachers(), 0)))


def test_a_teacher_is_asked_once(tmp_path, monkeypatch):
    from person_data import teachers

    (tmp_path / "weights").mkdir()
    for name in (teachers.YOLOX, teachers.TINYPOSE):
        (tmp_path / name).touch()
    asked = []

    def open_pose(weights, *, threads):
        def place(images, boxes):
            asked.append([len(each) for each in boxes])
            return [np.float32([skeleton(box) for box in each]) for each in boxes]

        return place

    monkeypatch.setattr(teachers, "open_pose", open_pose)
    both = np.float32([[0, 0, 20, 60], [10, 0, 40, 60]])
    image = np.zeros((64, 64, 3), np.uint8)
    first = teachers.Teachers(tmp_path, tmp_path / "cache").label(image, both[:1])
    again = teachers.Teachers(tmp_path, tmp_path / "cache").label(image, both)
    assert asked == [[1], [1]]
    np.testing.assert_array_equal(first[0].keypoints, again[0].keypoints)
