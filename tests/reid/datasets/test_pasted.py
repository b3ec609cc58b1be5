"""Test sets in which another person stands in front."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
import pytest
from support.train_cases import drawn_data

from kprtrack.core.errors import InputError, OutputError, UserError
from reid.datasets import ReidData, ReidSample, open_dataset
from reid.datasets.crops import read_crop, read_image
from reid.datasets.keypoint_files import keypoints_json
from reid.datasets.pasted import PastedSets, _cut, _with_person, write_pasted
from reid.evaluation.embed import labels_of
from reid.evaluation.metrics import Embedded, evaluate

PEOPLE = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReidData:
    """Four people by two cameras, one for the queries, with files of keypoints and masks."""
    folder = tmp_path_factory.mktemp("drawn")
    drawn = drawn_data(folder, people=4 * PEOPLE)
    held = [_with_file(each) for each in (*drawn.query, *drawn.gallery)]
    held.sort(key=lambda each: each.image)
    query, gallery = (tuple(each for each in held if each.camera == camera) for camera in (0, 1))
    return ReidData("drawn", (), query, gallery, "default")


def _with_file(sample: ReidSample) -> ReidSample:
    assert isinstance(sample.keypoints, np.ndarray)
    path = sample.image.with_suffix(".json")
    path.write_bytes(keypoints_json(sample.keypoints))
    return replace(sample, keypoints=path)


def written(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def opened(folder: Path) -> ReidData:
    return open_dataset("folder", folder, {"masks": None})


def track_of_detection(sample: ReidSample) -> np.ndarray:
    """Where the drawn person is, [h, w] bool."""
    assert sample.masks is not None
    found = cv2.imread(str(sample.masks), cv2.IMREAD_GRAYSCALE)
    assert found is not None
    return found > 0


def described(samples: Sequence[ReidSample]) -> Embedded:
    """Features that every pixel and keypoint decides."""
    crops = [read_crop(each, None) for each in samples]
    numbers = [crc32(crop.image.tobytes() + crop.keypoints.tobytes()) for crop in crops]
    found = np.stack([np.random.default_rng(each).normal(size=(1, 4)) for each in numbers]).astype(np.float32)
    return Embedded(found, np.ones(found.shape[:2], bool), labels_of(samples))


def test_every_query_shows_somebody_else_and_keeps_its_person(data: ReidData, tmp_path: Path) -> None:
    assert write_pasted(data, tmp_path / "out", seed=0) == len(data.query) + len(data.gallery)

    made = opened(tmp_path / "out")
    assert len(made.query) == len(data.query)
    for before, after in zip(data.query, made.query, strict=True):
        plain, crop = read_crop(before, None), read_crop(after, None)
        assert (after.identity, after.camera) == (before.identity - data.query[0].identity, before.camera)
        assert len(crop.keypoints) == 2
        kept = crop.keypoints[0, :, 2] > 0
        assert kept.sum() * 2 >= len(kept)
        np.testing.assert_allclose(crop.keypoints[0, kept], plain.keypoints[0, kept], atol=0.01)
        assert (crop.keypoints[1, :, 2] > 0).sum() >= 5


def test_the_person_asked_for_stays_visible_but_not_whole(data: ReidData, tmp_path: Path) -> None:
    write_pasted(data, tmp_path / "out", seed=0)

    for before, after in zip(data.query, opened(tmp_path / "out").query, strict=True):
        same = (read_image(before.image) == read_image(after.image)).all(axis=2)
        # Edges are soft: at most a few pixels around the one in front change, too.
        assert 0.3 <= same[track_of_detection(before)].mean() <= 0.8


def test_the_one_in_front_is_another_person(data: ReidData, tmp_path: Path) -> None:
    pair = {data.query[0].identity, data.query[-1].identity}
    two = replace(data, query=tuple(each for each in data.query if each.identity in pair))
    write_pasted(two, tmp_path / "out", seed=0)

    for before, after in zip(two.query, opened(tmp_path / "out").query, strict=True):
        crop, other = read_crop(after, None), next(e for e in two.query if e.identity != before.identity)
        colours = np.unique(read_image(other.image)[track_of_detection(other)], axis=0)
        x, y = crop.keypoints[1][crop.keypoints[1, :, 2] > 0, :2].astype(int).T
        nearest = np.abs(crop.image[y, x][:, None].astype(int) - colours).max(axis=2).min(axis=1)
        assert np.median(nearest) <= 2


def test_the_gallery_is_copied_byte_for_byte(data: ReidData, tmp_path: Path) -> None:
    write_pasted(data, tmp_path / "out", seed=0)

    for before, after in zip(data.gallery, opened(tmp_path / "out").gallery, strict=True):
        assert after.image.read_bytes() == before.image.read_bytes()
        assert isinstance(before.keypoints, Path)
        assert isinstance(after.keypoints, Path)
        assert after.keypoints.read_bytes() == before.keypoints.read_bytes()


@pytest.mark.parametrize(("which", "count"), [("query", 1), ("gallery", 1), ("both", 2), ("none", 0)])
def test_the_sets_in_which_is_pasted_can_be_chosen(
    data: ReidData, tmp_path: Path, which: PastedSets, count: int
) -> None:
    write_pasted(data, tmp_path / "out", seed=0, which=which)

    made = opened(tmp_path / "out")
    ambiguous = [len(read_crop(each, None).keypoints) == 2 for each in made.samples]
    assert sum(ambiguous) == count * len(data.query)


@pytest.mark.parametrize("protocol", ["default", "mot_inter_intra_video"])
def test_without_pasting_the_scores_are_those_of_the_data_set(
    data: ReidData, tmp_path: Path, protocol: str
) -> None:
    # Each set holds both cameras, so that the protocols differ.
    samples = sorted(data.samples, key=lambda each: each.image)
    halves = (tuple(each for row, each in enumerate(samples) if row % 4 // 2 == half) for half in (0, 1))
    mixed = ReidData("mixed", (), *halves, protocol)
    write_pasted(mixed, tmp_path / "out", seed=0, which="none")
    made = opened(tmp_path / "out")

    own, found = (
        evaluate(described(each.query), described(each.gallery), protocol=each.protocol)
        for each in (mixed, made)
    )
    assert made.protocol == protocol
    assert found.map == own.map < 1
    assert np.array_equal(found.cmc, own.cmc)


def test_a_seed_decides_every_byte(data: ReidData, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_pasted(data, tmp_path / name, seed=seed)

    a, b, c = (written(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert a != c


def test_work_that_was_broken_off_goes_on(data: ReidData, tmp_path: Path) -> None:
    out, heard = tmp_path / "out", []
    write_pasted(data, out, seed=0)
    before = written(out)
    lost = opened(out).query[2].image
    lost.unlink()
    kept = opened(out).query[0].image
    kept.write_bytes(b"mine")

    assert write_pasted(data, out, seed=0, on_crop=lambda *progress: heard.append(progress)) == 1

    assert heard == [(1, 1)]
    assert lost.read_bytes() == before[str(lost.relative_to(out))]
    assert kept.read_bytes() == b"mine"


def test_a_folder_of_other_settings_or_things_is_left_alone(data: ReidData, tmp_path: Path) -> None:
    write_pasted(data, tmp_path / "out", seed=0)
    with pytest.raises(OutputError, match="pasted crops with seed=0, not 1"):
        write_pasted(data, tmp_path / "out", seed=1)
    with pytest.raises(OutputError, match="with crops="):
        write_pasted(replace(data, query=data.query[1:]), tmp_path / "out", seed=0)

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"holds thesis\.tex"):
        write_pasted(data, tmp_path / "thesis", seed=0)
    assert len(written(tmp_path / "thesis")) == 1


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (lambda each: replace(each, masks=None), UserError, "data part-labels"),
        (lambda each: replace(each, masks=Path("gone.png")), InputError, r"gone\.png.*data part-labels"),
        (lambda each: replace(each, keypoints=None), UserError, "data keypoints"),
    ],
    ids=["no masks", "missing masks", "no keypoints"],
)
def test_what_is_missing_is_told_before_anything_is_written(
    data: ReidData,
    tmp_path: Path,
    change: Callable[[ReidSample], ReidSample],
    kind: type[UserError],
    says: str,
) -> None:
    lacking = replace(data, query=(*data.query[:-1], change(data.query[-1])))

    with pytest.raises(kind, match=says):
        write_pasted(lacking, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_made_is_told(data: ReidData, tmp_path: Path) -> None:
    alone = tuple(each for each in data.query if each.identity == data.query[0].identity)
    with pytest.raises(UserError, match="a single person"):
        write_pasted(replace(data, query=alone), tmp_path / "out", seed=0)
    with pytest.raises(UserError, match="mot_intra_video"):
        write_pasted(replace(data, protocol="mot_intra_video"), tmp_path / "out", seed=0)


def test_a_crop_whose_masks_show_nobody_is_named(data: ReidData, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.zeros((64, 32), np.uint8))
    lacking = replace(data, query=(replace(data.query[0], masks=empty), *data.query[1:]))

    with pytest.raises(InputError, match=rf"{data.query[0].image.name} so that both .*empty\.png"):
        write_pasted(lacking, tmp_path / "out", seed=0)


def test_a_damaged_height_takes_no_memory(data: ReidData) -> None:
    """A JPEG may claim 65,344 rows; a person made as high would take gigabytes."""
    other = _with_person(data.query[0])
    assert _cut(other, other.image.shape[0]) is not None
    assert _cut(other, 65_344) is None
