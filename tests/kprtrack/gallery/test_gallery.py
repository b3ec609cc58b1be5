"""The gallery: persons, names, corrections and constraints; sqlite3 reads what is stored."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.gallery_cases import person_embedding, sha, video_prototypes

from kprtrack.core.errors import InputError, UserError
from kprtrack.gallery import Gallery, relinking
from kprtrack.identity.persons import Constraints


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.kprdb"


def persons_of(gallery: Gallery) -> dict[int, list[tuple[str, int]]]:
    return {
        person.id: [(sighting.video, sighting.track_id) for sighting in person.sightings]
        for person in gallery.persons()
    }


def test_every_track_becomes_a_person_with_where_it_was_seen(path: Path) -> None:
    prototypes = video_prototypes("a.mp4", {4: 1, 7: 2})
    with Gallery.open(path, create=True) as gallery:
        assert gallery.add(prototypes) == {4: 1, 7: 2}
        first, second = gallery.persons()
        assert (first.id, first.name, first.notes, first.prototypes) == (1, None, "", 3)
        (sighting,) = second.sightings
        assert (sighting.video, sighting.place) == ("a.mp4", (sha("a.mp4"), 7))
        assert (sighting.first_s, sighting.last_s) == (7.0, 7.2)
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT frame, embedding FROM prototype ORDER BY id").fetchall()
    stored = np.array([np.frombuffer(blob, "<f2") for _, blob in rows]).reshape(6, 3, 8)
    expected = prototypes.embeddings
    assert [frame for frame, _ in rows] == prototypes.frames.tolist()
    assert np.array_equal(stored, expected.features * expected.visible[:, :, None])


def test_what_was_added_is_read_back_and_means_are_weighted(path: Path) -> None:
    a, b = video_prototypes("a.mp4", {1: 1}), video_prototypes("b.mp4", {1: 2, 2: 3}, together=[(1, 2)])
    b = replace(b, weights=np.array([9, 5]))
    with Gallery.open(path, create=True) as gallery:
        gallery.add(a)
        gallery.add(b, {1: 1})
        known, videos = gallery.known(), gallery.videos()
    assert known.ids.tolist() == [1, 2] and known.weights.tolist() == [12, 5] and known.next_id == 3
    mean = 3 * a.means.features[0] + 9 * b.means.features[0]
    np.testing.assert_allclose(
        known.means.features[0], mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-3
    )
    for made, read in zip((a, b), videos, strict=True):
        assert read.header == made.header
        for name in ("track_ids", "first_s", "last_frame", "weights", "track_row", "frames", "together"):
            assert np.array_equal(getattr(made, name), getattr(read, name)), name
        assert np.array_equal(read.boxes, made.boxes)
        assert np.array_equal(
            read.embeddings.features, made.embeddings.features * made.embeddings.visible[:, :, None]
        )


def test_persons_found_by_linking_are_taken_over(path: Path) -> None:
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1, 2: 2}))
        assert gallery.add(video_prototypes("b.mp4", {1: 2, 2: 9, 3: 8}), {1: 2, 2: 5}) == {1: 2, 2: 5, 3: 6}
        assert persons_of(gallery)[2] == [("a.mp4", 2), ("b.mp4", 1)]
        with pytest.raises(UserError, match="no track 9"):
            gallery.add(video_prototypes("c.mp4", {1: 1}), {9: 1})
        with pytest.raises(UserError, match="There is no person 3"):
            gallery.add(video_prototypes("c.mp4", {1: 1}), {1: 3})
        with pytest.raises(UserError, match=r"Tracks 1 and 2 of c.mp4 are seen at once"):
            gallery.add(video_prototypes("c.mp4", {1: 1, 2: 2}, together=[(1, 2)]), {1: 1, 2: 1})
        assert len(gallery.videos()) == 2


def test_ids_are_never_used_again(path: Path) -> None:
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1, 2: 2}))
        gallery.remove(2)
        assert gallery.known().next_id == 3
    with Gallery.open(path) as gallery:
        assert gallery.add(video_prototypes("b.mp4", {1: 1})) == {1: 3}
        gallery.merge(1, 3)
        assert gallery.add(video_prototypes("c.mp4", {1: 1, 2: 4}), {1: 3}) == {1: 1, 2: 4}
        with pytest.raises(UserError, match="Person 3 was merged into person 1"):
            gallery.person(3)
        with pytest.raises(UserError, match="There is no person 2"):
            gallery.name(2, "Anna")


def test_the_same_video_again_is_replaced_and_tracks_keep_their_persons(path: Path) -> None:
    before = video_prototypes("a.mp4", {1: 1, 2: 2, 3: 3})
    with Gallery.open(path, create=True) as gallery:
        gallery.add(before)
        gallery.name(1, "Anna")
        # Tracked again: the track at the boxes of 2 is 5 now, there is no 3, and 9 is new.
        order = video_prototypes("a.mp4", {1: 1, 5: 2, 9: 4})
        at = order.track_row == 1
        frames, boxes = order.frames.copy(), order.boxes.copy()
        frames[at], boxes[at] = before.frames[before.track_row == 1], before.boxes[before.track_row == 1]
        again = replace(order, frames=frames, boxes=boxes)
        assert gallery.add(again) == {1: 1, 5: 2, 9: 4}
        assert persons_of(gallery) == {1: [("a.mp4", 1)], 2: [("a.mp4", 5)], 4: [("a.mp4", 9)]}
        assert sum(person.prototypes for person in gallery.persons()) == 9
        assert gallery.add(again) == {1: 1, 5: 2, 9: 4}
        assert len(gallery.videos()) == 1


def test_names_are_those_of_edit_and_of_one_person(path: Path) -> None:
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1, 2: 2}))
        gallery.name(1, "Keeper")
        gallery.note(2, "number 9")
        assert [(person.name, person.notes) for person in gallery.persons()] == [
            ("Keeper", ""),
            (None, "number 9"),
        ]
        with pytest.raises(UserError, match="Person 1 is named Keeper"):
            gallery.name(2, "Keeper")
        for name in ("", " Anna", "a\nb", "x" * 101):
            with pytest.raises(UserError, match="a name has 1 to 100"):
                gallery.name(2, name)
        with pytest.raises(UserError, match="one line"):
            gallery.note(2, "a\nb")
        gallery.name(1, "Keeper")
        gallery.name(1, None)
        gallery.name(2, "Keeper")


def test_a_merge_is_a_must_link_for_ever(path: Path) -> None:
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1, 2: 2}, together=[(1, 2)]))
        gallery.add(video_prototypes("b.mp4", {1: 1, 2: 3}))
        gallery.name(3, "Anna")
        before = persons_of(gallery)
        preview = gallery.merge(1, 3, preview=True)
        assert persons_of(gallery) == before and gallery.constraints().must == ()
        assert gallery.merge(1, 3) == preview
        (move,) = preview.moves
        assert (move.sighting.place, move.before, move.after) == ((sha("b.mp4"), 1), 3, 1)
        assert preview.notes == ("person 1 is named Anna",)
        assert persons_of(gallery)[1] == [("a.mp4", 1), ("b.mp4", 1)]
        pair = ((sha("a.mp4"), 1), (sha("b.mp4"), 1))
        assert gallery.constraints().must == (pair,)
        assert gallery.constraints().persons == {pair[0]: 1, pair[1]: 1}
        with pytest.raises(UserError, match=r"seen at once in a.mp4"):
            gallery.merge(2, 1)
        with pytest.raises(UserError, match=r"are one person by a merge"):
            gallery.add(video_prototypes("b.mp4", {1: 1, 2: 3}), {1: 4})
        # Removed from the result and tracked again later: the decision is still there.
        gallery.add(video_prototypes("b.mp4", {2: 3}))
        assert gallery.constraints().must == ()
        assert gallery.add(video_prototypes("b.mp4", {1: 1, 2: 3}))[1] == 1
        assert gallery.constraints().must == (pair,)


def test_a_split_is_a_cannot_link_and_replaces_a_merge(path: Path) -> None:
    a, b, c = ((sha(f"{name}.mp4"), 1) for name in "abc")
    with Gallery.open(path, create=True) as gallery:
        for name in "abc":
            gallery.add(video_prototypes(f"{name}.mp4", {1: 1}), {1: 1})
        gallery.add(video_prototypes("d.mp4", {1: 1}))
        gallery.merge(1, 2)
        correction = gallery.split(1, [b, (sha("d.mp4"), 1)])
        assert correction.person_id == 3 and {move.after for move in correction.moves} == {3}
        found = gallery.constraints()
        assert found.must == ((a, c), (b, (sha("d.mp4"), 1)))
        assert set(map(frozenset, found.cannot)) == {
            frozenset({one, other}) for one in (a, c) for other in (b, (sha("d.mp4"), 1))
        }
        with pytest.raises(UserError, match="are one person by a merge"):  # b and d; and not a and b
            gallery.add(video_prototypes("b.mp4", {1: 1}), {1: 1})
        gallery.merge(1, 3)  # a later decision counts
        assert gallery.constraints().cannot == ()
        assert len(gallery.constraints().must) == 3
        for places in ([], [a, b, c, (sha("d.mp4"), 1)]):
            with pytest.raises(UserError, match="Choose some of the 4 tracks"):
                gallery.split(1, places)
        with pytest.raises(UserError, match="has no track 5"):
            gallery.split(1, [(a[0], 5)])


def test_removing_leaves_nothing_of_a_person(path: Path) -> None:
    prototypes = video_prototypes("secret.mp4", {1: 1})
    blob = (prototypes.embeddings.features * prototypes.embeddings.visible[:, :, None]).astype("<f2")
    with Gallery.open(path, create=True) as gallery:
        gallery.add(prototypes)
        gallery.add(video_prototypes("b.mp4", {1: 5}))
        gallery.name(1, "Rumpelstilzchen")
        gallery.merge(1, 2)
        gallery.split(1, [(sha("b.mp4"), 1)])
        assert b"Rumpelstilzchen" in path.read_bytes() + Path(f"{path}-wal").read_bytes()
        gallery.remove(1)
        assert persons_of(gallery) == {3: [("b.mp4", 1)]}
        left = b"".join(file.read_bytes() for file in path.parent.glob("people*"))
        assert b"Rumpelstilzchen" not in left and b"secret.mp4" not in left
        assert all(row.tobytes() not in left for row in blob)
        assert gallery.constraints() == Constraints()


def test_embeddings_of_another_encoder_are_one_line(path: Path) -> None:
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1}))
        other = video_prototypes("b.mp4", {1: 1}, reid={"name": "osnet", "sha256": "cd" * 32})
        with pytest.raises(
            UserError, match=r"by the ReID encoder osnet \(sha256 cdcdcdcdcdcd\), those of the"
        ):
            gallery.add(other)
        assert len(gallery.persons()) == 1


def test_tracks_are_found_by_video_name_or_sha256(path: Path) -> None:
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1, 2: 2}))
        gallery.add(video_prototypes("a.mp4", {1: 1}, sha256="12" * 32))
        assert gallery.sighting("a.mp4", 2).track_id == 2
        assert gallery.sighting("121212", 1).sha256 == "12" * 32
        with pytest.raises(UserError, match=r"2 videos are named a.mp4"):
            gallery.sighting("a.mp4", 1)
        for video in ("b.mp4", "*", "????????", "1212*["):
            with pytest.raises(UserError, match="has no video"):
                gallery.sighting(video, 1)


def test_a_gallery_that_is_missing_is_not_made_by_accident(path: Path) -> None:
    with pytest.raises(InputError, match="There is no gallery"):
        Gallery.open(path)
    assert not path.exists()


def test_prototypes_of_a_person(path: Path) -> None:
    made = video_prototypes("a.mp4", {1: 1, 2: 2})
    with Gallery.open(path, create=True) as gallery:
        gallery.add(made)
        appearance, places = gallery.prototypes_of(2)
    assert np.array_equal(appearance.visible, made.embeddings.visible[3:])
    assert [(place.frame, place.box[0], place.quality) for place in places] == [
        (frame, 200.0, 0.5) for frame in (20, 21, 22)
    ]
    assert np.abs(appearance.features[:, 0] @ person_embedding(2)[0] - 1).max() < 0.2


def test_a_merge_links_persons_again_about_whom_nothing_is_decided(path: Path) -> None:
    """Person 2 of a.mp4 changes clothes: the track in c.mp4 is alike the one in b.mp4 only."""
    with Gallery.open(path, create=True) as gallery:
        for name, tracks in {
            "a.mp4": {1: 1, 2: 2},
            "b.mp4": {1: 9},
            "c.mp4": {1: 9, 2: 5},
            "d.mp4": {1: 6, 2: 7},
        }.items():
            together = [(1, 2)] if len(tracks) == 2 else []
            gallery.add(video_prototypes(name, tracks, together=together))
        gallery.name(4, "Anna")  # named by the user, so left alone
        assert len(gallery.merge(2, 3, preview=True).moves) == 1
        gallery.name(4, None)
        preview = gallery.merge(2, 3, preview=True)
        assert [(move.sighting.video, move.before, move.after) for move in preview.moves] == [
            ("b.mp4", 3, 2),
            ("c.mp4", 4, 2),
        ]
        assert preview.moves[0].probability == 1 and 0.7 <= preview.moves[1].probability < 1
        alone = gallery.merge(2, 3, preview=True, relink=False)
        assert alone.moves == preview.moves[:1]
        assert gallery.merge(2, 3) == preview
        assert persons_of(gallery)[2] == [("a.mp4", 2), ("b.mp4", 1), ("c.mp4", 1)]
        with pytest.raises(UserError, match="Person 4 was merged into person 2"):
            gallery.person(4)
        # Linking is no decision: it can be changed by linking again.
        assert len(gallery.constraints().must) == 1


def test_linking_again_never_joins_tracks_seen_at_once(path: Path) -> None:
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 9, 2: 9}, together=[(1, 2)]))
        gallery.add(video_prototypes("b.mp4", {1: 9}))
        correction = gallery.merge(1, 3)
        assert [move.sighting.video for move in correction.moves] == ["b.mp4"]
        assert persons_of(gallery)[2] == [("a.mp4", 2)]


def test_a_very_large_gallery_is_not_linked_again_by_a_correction(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relinking, "MOST_SIGHTINGS", 2)
    with Gallery.open(path, create=True) as gallery:
        for name in ("a.mp4", "b.mp4", "c.mp4"):
            gallery.add(video_prototypes(name, {1: 1}))
        correction = gallery.merge(1, 2)
        assert len(correction.moves) == 1 and "`kprtrack link`" in correction.notes[0]


def test_a_removed_video_takes_its_decisions_and_unnamed_persons_along(path: Path) -> None:
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1, 2: 2, 3: 3}))
        gallery.add(video_prototypes("b.mp4", {1: 1, 2: 4}), {1: 1})
        gallery.name(2, "Anna")
        gallery.split(1, [(sha("b.mp4"), 1)])
        gallery.remove(videos=["a.mp4"])
        assert persons_of(gallery) == {2: [], 4: [("b.mp4", 2)], 5: [("b.mp4", 1)]}
        assert gallery.constraints() == Constraints() and len(gallery.videos()) == 1
        assert gallery.add(video_prototypes("a.mp4", {1: 1})) == {1: 6}
        with pytest.raises(UserError, match="has no video"):
            gallery.remove(6, videos=["c.mp4"])
        assert 6 in persons_of(gallery)
    left = b"".join(file.read_bytes() for file in path.parent.glob("people*"))
    assert b"a.mp4" in left  # added again
    with Gallery.open(path) as gallery:
        gallery.remove(videos=["a.mp4"])
    assert b"a.mp4" not in path.read_bytes()
