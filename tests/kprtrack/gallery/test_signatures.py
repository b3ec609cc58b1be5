"""The index of a large gallery: what it finds, compared with all pairs; removals, additions and damage."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from support.gallery_cases import DIMENSIONS, PARTS, video_prototypes

from kprtrack.core.appearance import Appearance, part_distance
from kprtrack.core.errors import InputError
from kprtrack.gallery import Gallery, search, signatures

PERSONS, VIDEOS = 60, 40


def small(patch: pytest.MonkeyPatch) -> None:
    """Let galleries of a few thousand prototypes have an index."""
    patch.setattr(signatures, "EXACT_UP_TO", 1000)
    patch.setattr(signatures, "MOST_UNSIGNED", 300)
    patch.setattr(signatures, "_LENGTH", 24)
    patch.setattr(signatures, "_COARSE", 20)
    patch.setattr(search, "_RERANKED", 100)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of 60 people with 7200 prototypes."""
    path = tmp_path_factory.mktemp("gallery") / "people.kprdb"
    with pytest.MonkeyPatch.context() as patch, Gallery.open(path, create=True) as gallery:
        small(patch)
        with gallery.transaction():
            for video in range(VIDEOS):
                tracks = {person: person for person in range(1, PERSONS + 1)}
                gallery.add(video_prototypes(f"{video}.mp4", tracks, seed=video))
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small(monkeypatch)
    return shutil.copy(made, tmp_path / "people.kprdb")


def stored(path: Path) -> tuple[np.ndarray, Appearance]:
    """IDs and embeddings of all prototypes, as sqlite3 reads them."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT id, visible, embedding FROM prototype ORDER BY id").fetchall()
    database.close()
    features = np.array([np.frombuffer(blob, "<f2") for _, _, blob in rows], np.float32)
    visible = np.array([[bits >> part & 1 for part in range(PARTS)] for _, bits, _ in rows], bool)
    features = features.reshape(-1, PARTS, DIMENSIONS)
    return np.array([row[0] for row in rows]), Appearance(features, visible, np.zeros(len(rows), bool))


def query_like(everyone: Appearance, row: int, invisible: tuple[int, ...]) -> Appearance:
    features, visible = everyone.features[[row]].copy(), np.ones((1, PARTS), bool)
    visible[:, list(invisible)] = False
    return Appearance(features, visible & everyone.visible[[row]], np.zeros(1, bool))


def recall(path: Path, count: int = 10) -> float:
    """Share of the nearest prototypes that searches find, with all and with few parts visible."""
    ids, everyone = stored(path)
    found, wanted = 0, 0
    with Gallery.open(path) as gallery:
        for row in range(0, len(ids), 397):
            for invisible in ((), (1,), (1, 2)):
                query = query_like(everyone, row, invisible)
                exact = np.sort(part_distance(query, everyone)[0])[:count]
                hits = gallery.search(query, count)
                assert len(hits) == count
                assert [hit.distance for hit in hits] == sorted(hit.distance for hit in hits)
                found += sum(hit.distance <= exact[-1] + 1e-6 for hit in hits)
                wanted += count
    return found / wanted


def signed_ids(path: Path) -> list[int]:
    """The prototypes that are in the index."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT prototypes FROM block").fetchall()
    database.close()
    return sorted(np.concatenate([np.frombuffer(row, "<i8") for (row,) in rows]).tolist())


def test_the_index_finds_what_a_comparison_with_all_finds(path: Path) -> None:
    ids, _ = stored(path)
    found = signed_ids(path)
    assert len(set(found)) == len(found) and set(found) <= set(ids.tolist())
    assert len(ids) - len(found) <= 300
    assert recall(path) >= 0.99


def test_what_is_added_later_is_found_at_once_and_signed_in_the_end(path: Path) -> None:
    before = len(signed_ids(path))
    with Gallery.open(path) as gallery:
        for number in range(6):
            gallery.add(video_prototypes(f"new{number}.mp4", {900 + number: 900 + number}, each=60))
            new = gallery.prototypes_of(gallery.persons()[-1].id)[0]
            (nearest,) = gallery.search(new[np.array([0])], 1)
            assert (nearest.video, nearest.distance < 1e-3) == (f"new{number}.mp4", True)
    assert len(signed_ids(path)) > before
    assert recall(path) >= 0.99


def test_what_is_removed_is_not_in_the_index(path: Path) -> None:
    with Gallery.open(path) as gallery:
        person = gallery.persons()[700]
        gone = gallery.prototypes_of(person.id)[0]
        gallery.remove(person.id)
        gallery.add(video_prototypes("3.mp4", {1: 1}))
        assert all(hit.person_id != person.id for hit in gallery.search(gone, 500))
    assert set(signed_ids(path)) <= set(stored(path)[0].tolist())
    assert recall(path) >= 0.99


def test_a_gallery_that_becomes_small_has_no_index(path: Path) -> None:
    with Gallery.open(path) as gallery, gallery.transaction():
        for video in range(38):
            gallery.add(video_prototypes(f"{video}.mp4", {1: 1}))
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM block").fetchone() == (0,)
    database.close()
    assert recall(path) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE block SET signatures = x'00'",
        "UPDATE block SET prototypes = x'0000000000000000'",
        "UPDATE block SET visible = x''",
        "UPDATE search_space SET basis = x''",
        "UPDATE search_space SET basis = zeroblob(96 * 3)",
        "UPDATE search_space SET generation = -1",
    ],
)
def test_a_damaged_index_is_one_line(path: Path, statement: str) -> None:
    _, everyone = stored(path)
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
    with Gallery.open(path) as gallery, pytest.raises(InputError, match="is damaged"):
        gallery.search(query_like(everyone, 0, ()), 5)
