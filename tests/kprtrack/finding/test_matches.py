"""Ranked tracks: against a plain loop over all prototypes; and tracks seen at once, which are two people."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from support.finding_cases import COLOURS, coloured, write_coloured

from kprtrack.core.appearance import Appearance
from kprtrack.finding import find_in_gallery, find_in_results
from kprtrack.gallery import Gallery
from kprtrack.identity.calibration import DistanceCalibration
from kprtrack.identity.persons import video_key
from kprtrack.identity.results import IdentifiedResult, read_results
from kprtrack.io import RunHeader

VIDEOS = (
    coloured("a.mp4", {1: 1, 2: 2, 7: 3}, ((1, 2),)),
    coloured("b.mp4", {3: 2, 4: 4, 5: 5}, ((3, 4), (4, 5)), seed=5),
)


def query(person: int, *visible: bool) -> Appearance:
    colour = np.add(COLOURS[person], (9, 4, 2))
    features = np.tile(colour / np.linalg.norm(colour), (1, 3, 1)).astype(np.float32)
    return Appearance(features, np.array([visible or (True, True, True)]), np.ones(1, bool))


def brute_force(asked: Appearance) -> list[tuple[float, str, int, int]]:
    """Distance, video, track and frame of the nearest prototype of each track, by equation 2 of KPR."""
    rows = []
    for video in VIDEOS:
        best: dict[int, tuple[float, int]] = {}
        for row in range(len(video.frames)):
            parts = [
                1 - float(asked.features[0, part] @ video.embeddings.features[row, part])
                for part in range(3)
                if asked.visible[0, part] and video.embeddings.visible[row, part]
            ]
            if parts:
                track = int(video.track_ids[video.track_row[row]])
                here = (sum(parts) / len(parts), int(video.frames[row]))
                best[track] = min(best.get(track, here), here)
        rows += [(away, video_key(video), track, frame) for track, (away, frame) in best.items()]
    return sorted(rows)


@pytest.fixture
def results(tmp_path: Path) -> list[IdentifiedResult]:
    names = {1: "Anna"}, {}
    persons = {1: 11, 2: 12}, {3: 12}
    paths = [
        write_coloured(
            tmp_path / f"{row}.json",
            video,
            RunHeader(video=video.header["video"], names=names[row], persons=persons[row]),
        )
        for row, video in enumerate(VIDEOS)
    ]
    return read_results(paths)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    gallery = Gallery.open(tmp_path / "people.kprdb", create=True)
    gallery.add(VIDEOS[0])
    gallery.add(VIDEOS[1], {3: 2})  # the green person, who is track 2 of the first video
    return gallery


@pytest.mark.parametrize("asked", [query(1), query(2), query(4), query(5, False, True, False)])
def test_results_and_gallery_rank_as_a_plain_loop_does(
    asked: Appearance, results: list[IdentifiedResult], gallery: Gallery
) -> None:
    expected = brute_force(asked)
    for found in (find_in_results(asked, results, 99), find_in_gallery(asked, gallery, 99)):
        assert [(match.sha256, match.track_id, match.frame) for match in found] == [
            row[1:] for row in expected
        ]
        assert [match.distance for match in found] == pytest.approx([row[0] for row in expected], abs=1e-5)


def test_the_same_person_of_both_videos_comes_first(
    results: list[IdentifiedResult], gallery: Gallery
) -> None:
    for found in (find_in_results(query(2), results, 2), find_in_gallery(query(2), gallery, 2)):
        assert {(match.video, match.track_id) for match in found} == {("a.mp4", 2), ("b.mp4", 3)}
    assert [match.person_id for match in find_in_results(query(2), results, 2)] == [12, 12]
    assert [match.person_id for match in find_in_gallery(query(2), gallery, 2)] == [2, 2]
    first = find_in_results(query(1), results, 1)[0]
    assert (first.name, first.person_id, first.time_s) == ("Anna", 11, first.frame / 10)
    assert first.box == (100, 0, 150, 150)


def test_the_probability_of_a_track_falls_by_those_seen_at_once_with_it(
    results: list[IdentifiedResult],
) -> None:
    asked = query(4)
    found = {match.track_id: match for match in find_in_results(asked, results, 99)}
    apart = {match.track_id: match for match in find_in_results(asked, results[1:], 99)}
    assert found[4].probability > 0.9
    assert found[4].probability < apart[4].probability  # more people, whom it could be
    alone = DistanceCalibration(0.45).probability(np.array([found[3].distance]))
    assert found[3].probability < 0.01 * alone[0]  # track 4, seen at once, is the person
    assert all(0 <= match.probability <= 1 for match in found.values())
    for pair in ((1, 2), (3, 4), (4, 5)):  # seen at once
        assert sum(found[track].probability for track in pair) <= 1


def test_tracks_of_one_person_support_each_other(results: list[IdentifiedResult]) -> None:
    near = {match.place: match for match in find_in_results(query(2), results, 99)}
    first, second = (near[video_key(video), track] for video, track in zip(VIDEOS, (2, 3), strict=True))
    assert min(first.probability, second.probability) > 0.95
    exact = results[0].prototypes.embeddings[results[0].prototypes.of(2)[:1]]  # no other is as near
    of_exact = {match.place: match for match in find_in_results(exact, results, 99)}
    assert of_exact[first.place].distance < 1e-5
    assert of_exact[second.place].probability > 0.95


def test_own_tracks_of_a_person_are_left_out_and_exclude_those_seen_at_once(gallery: Gallery) -> None:
    means = gallery.known()
    asked = means.means[means.ids == 2]
    found = find_in_gallery(asked, gallery, 99, without=2)
    assert {match.person_id for match in found} == {1, 3, 4, 5}
    chances = {match.track_id: match.probability for match in found}
    assert chances[1] == chances[4] == 0  # seen at once with tracks of the person
    assert chances[7] > 0


def test_at_most_so_many_tracks_even_if_one_has_many_prototypes(tmp_path: Path) -> None:
    many = coloured("c.mp4", dict.fromkeys(range(1, 41), 1) | {50: 2}, seed=3)
    with Gallery.open(tmp_path / "c.kprdb", create=True) as gallery:
        gallery.add(many, dict.fromkeys(range(1, 41), 1))
        found = find_in_gallery(query(1), gallery, 1, without=1)
    assert [match.track_id for match in found] == [50]


def test_a_part_that_is_visible_in_none_gives_no_match(results: list[IdentifiedResult]) -> None:
    assert find_in_results(query(1, False, False, False), results, 9) == []


def test_videos_are_told_apart_by_their_sha256(results: list[IdentifiedResult]) -> None:
    found = find_in_results(query(1), results, 99)
    expected = {hashlib.sha256(name.encode()).hexdigest() for name in ("a.mp4", "b.mp4")}
    assert {match.sha256 for match in found} == expected
