"""Who is held out, who may be the same person, and which images are queries."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from support.dataset_trees import write_pictures

from kprtrack.adaptation.people import (
    Split,
    choose_held_out,
    copy_people,
    possibly_the_same,
    write_sets,
)
from kprtrack.core.errors import InputError
from reid.datasets import open_dataset
from reid.evaluation.metrics import Embedded, Labels

TEN = {f"p{number}": "" for number in range(10)}


def embedded(identities: list[int], angles: list[float]) -> Embedded:
    """One crop each, an embedding on the unit circle."""
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)[:, None]
    numbers = np.array(identities)
    zeros = np.zeros_like(numbers)
    return Embedded(features, np.ones((len(numbers), 1), bool), Labels(numbers, zeros, zeros))


# Held-out people


def test_the_seed_alone_decides_who_is_held_out() -> None:
    drawn = choose_held_out(TEN, 0.3, 0)
    assert len(drawn) == 3
    assert choose_held_out(dict(reversed(TEN.items())), 0.3, 0) == drawn
    assert len({choose_held_out(TEN, 0.3, seed) for seed in range(10)}) > 5


@pytest.mark.parametrize(("share", "count"), [(0.01, 2), (0.5, 5), (0.99, 8)])
def test_both_sides_have_two_people_or_more(share: float, count: int) -> None:
    assert len(choose_held_out(TEN, share, 1)) == count


@pytest.mark.parametrize("seed", range(5))
def test_whole_videos_are_held_out(seed: int) -> None:
    people = {f"{video}{number}": video for video in "abcd" for number in range(5)}
    drawn = choose_held_out(people, 0.3, seed)
    videos = {people[name] for name in drawn}
    assert set(drawn) == {name for name, video in people.items() if video in videos}
    assert len(videos) == 2  # 5 of 20 people are fewer than 30 %


def test_a_video_of_more_than_half_of_the_people_is_trained_on() -> None:
    people = {**{f"a{number}": "a" for number in range(6)}, "b1": "b", "b2": "b", "b3": "b"}
    assert {choose_held_out(people, 0.3, seed) for seed in range(5)} == {("b1", "b2", "b3")}


def test_too_few_people_are_refused() -> None:
    with pytest.raises(InputError, match="There are 5 people"):
        choose_held_out({f"p{number}": "" for number in range(5)}, 0.3, 0)
    lonely = {**{f"a{number}": "a" for number in range(8)}, "b1": "b"}
    with pytest.raises(InputError, match="2 videos show too few people to hold one out"):
        choose_held_out(lonely, 0.3, 0)


# People who may be the same


def test_a_track_as_near_as_no_two_people_are_is_left_out() -> None:
    angles = [0.0, 0.8, 1.6, 2.4, 3.2, 0.05]
    pairs = set(combinations(range(5), 2))
    assert possibly_the_same(embedded([0, 0, 1, 2, 3, 4, 5], [0.0, *angles]), pairs) == {5: 0}


def test_people_seen_at_once_are_two_however_near() -> None:
    angles = [0.0, 0.8, 1.6, 2.4, 3.2, 0.05]
    pairs = set(combinations(range(6), 2))
    assert possibly_the_same(embedded(list(range(6)), angles), pairs) == {}


def test_a_track_far_from_all_others_stays() -> None:
    angles = [0.0, 0.8, 1.6, 2.4, 3.2, 4.4]
    assert possibly_the_same(embedded(list(range(6)), angles), set(combinations(range(5), 2))) == {}


def test_parts_that_are_not_visible_do_not_count() -> None:
    """The second part of track 5 would make it another person, but it is not visible."""
    found = embedded(list(range(6)), [0.0, 0.8, 1.6, 2.4, 3.2, 0.05])
    features = np.concatenate([found.features, np.full_like(found.features, 0.7)], axis=1)
    features[5, 1] = -9
    visible = np.ones((6, 2), bool)
    visible[5, 1] = False
    pairs = set(combinations(range(5), 2))
    assert possibly_the_same(Embedded(features, visible, found.labels), pairs) == {5: 0}


def test_footage_of_one_person_at_a_time_is_refused() -> None:
    with pytest.raises(InputError, match="Only 1 pairs of people are seen at once"):
        possibly_the_same(embedded([0, 1], [0.0, 1.0]), [(0, 1)])


# The folder of people


def test_images_are_copied_evenly_with_their_cameras(tmp_path: Path) -> None:
    names = [f"ann/{camera}/{row}.jpg" for camera in ("hall", "yard") for row in range(4)]
    write_pictures(tmp_path / "own", [*names, "bob/1.png"])
    copy_people(tmp_path / "own", tmp_path / "copy", 3)
    copied = sorted(
        path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*.*")
    )
    assert copied == ["ann/hall/0.jpg", "ann/yard/0.jpg", "ann/yard/3.jpg", "bob/1.png"]
    original = (tmp_path / "own" / "bob" / "1.png").read_bytes()
    assert (tmp_path / "copy" / "bob" / "1.png").read_bytes() == original
    assert not (tmp_path / "own" / "external_annotation").exists()


def test_names_that_begin_with_the_person_are_copied_into_folders(tmp_path: Path) -> None:
    write_pictures(tmp_path / "own", ("7_c1_a.jpg", "7_c2_a.jpg"))
    copy_people(tmp_path / "own", tmp_path / "copy", 3)
    assert [path.name for path in sorted((tmp_path / "copy" / "7").iterdir())] == ["7_c1_a.jpg", "7_c2_a.jpg"]


def test_held_out_people_are_searched_in_the_images_of_other_cameras(tmp_path: Path) -> None:
    names = [f"{who}/{camera}/{row}.jpg" for who in ("ann", "bob") for camera in ("c1", "c2") for row in "ab"]
    write_pictures(tmp_path, names)
    protocol = write_sets(tmp_path, Split(("bob",), ("ann",), {}))
    sets = json.loads((tmp_path / "sets.json").read_text())
    assert protocol == "default"
    assert sets["train"] == [f"bob/{camera}/{row}.jpg" for camera in ("c1", "c2") for row in "ab"]
    assert sets["query"] == ["ann/c1/a.jpg", "ann/c1/b.jpg"]
    assert sets["gallery"] == ["ann/c2/a.jpg", "ann/c2/b.jpg"]


def test_without_cameras_the_later_half_is_searched_in_the_earlier(tmp_path: Path) -> None:
    write_pictures(tmp_path, [f"{who}/{row}.jpg" for who in ("ann", "bob") for row in range(5)])
    assert write_sets(tmp_path, Split(("bob",), ("ann",), {})) == "mot_inter_intra_video"
    data = open_dataset("folder", tmp_path, {"sets": "sets.json"})
    assert [each.image.name for each in data.gallery] == ["0.jpg", "1.jpg"]
    assert [each.image.name for each in data.query] == ["2.jpg", "3.jpg", "4.jpg"]
    assert len(data.train) == 5
    assert not {each.identity for each in data.train} & {each.identity for each in data.query}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"train": [], "query": ["ann/9.jpg"], "gallery": []}, "names ann/9.jpg, which is no image"),
        ({"train": [], "query": []}, "must list images as 'gallery'"),
        (["ann/0.jpg"], "must list images as 'train'"),
        ({"train": [], "query": ["ann/0.jpg"], "gallery": []}, "no gallery images"),
    ],
)
def test_a_wrong_file_of_sets_is_refused(content: object, words: str, tmp_path: Path) -> None:
    write_pictures(tmp_path, ("ann/0.jpg", "bob/0.jpg"))
    (tmp_path / "sets.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        open_dataset("folder", tmp_path, {"sets": "sets.json"})
