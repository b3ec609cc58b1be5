"""Random additions, merges, splits and removals: what must hold after each of them."""

import random
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from support.gallery_cases import video_prototypes

from kprtrack.core.errors import UserError
from kprtrack.gallery import Gallery
from kprtrack.identity.persons import TrackPlace


def persons_of(gallery: Gallery) -> dict[TrackPlace, int]:
    return {sighting.place: person.id for person in gallery.persons() for sighting in person.sightings}


def add(gallery: Gallery, chance: random.Random) -> None:
    """A video, or another result of it; it is added twice, which must change nothing."""
    tracks = {track: chance.randrange(5) for track in chance.sample(range(1, 6), chance.randrange(1, 5))}
    together = [pair for pair in combinations(sorted(tracks), 2) if chance.random() < 0.2]
    prototypes = video_prototypes(f"{chance.randrange(6)}.mp4", tracks, together=together)
    persons = None
    if chance.random() < 0.3 and gallery.persons():
        persons = {track: chance.choice(gallery.persons()).id for track in tracks if chance.random() < 0.5}
    added = gallery.add(prototypes, persons)
    after = persons_of(gallery)
    assert gallery.add(prototypes) == added and persons_of(gallery) == after
    assert set(added) == set(tracks)


def merge(gallery: Gallery, chance: random.Random) -> None:
    if len(gallery.persons()) < 2:
        return
    kept, gone = chance.sample(gallery.persons(), 2)
    before = persons_of(gallery)
    preview = gallery.merge(kept.id, gone.id, preview=True)
    assert persons_of(gallery) == before
    assert gallery.merge(kept.id, gone.id) == preview
    after = persons_of(gallery)
    assert all(after[sighting.place] == kept.id for sighting in gone.sightings)
    moved = {move.sighting.place: move.after for move in preview.moves}
    assert after == {**before, **moved}


def split(gallery: Gallery, chance: random.Random) -> None:
    several = [person for person in gallery.persons() if len(person.sightings) > 1]
    if not several:
        return
    person = chance.choice(several)
    places = [sighting.place for sighting in person.sightings]
    chosen = chance.sample(places, chance.randrange(1, len(places)))
    new = gallery.split(person.id, chosen).person_id
    after = persons_of(gallery)
    assert all(after[place] == (new if place in chosen else person.id) for place in places)


def remove(gallery: Gallery, chance: random.Random) -> None:
    if chance.random() < 0.5:
        gallery.remove(videos=[f"{chance.randrange(6)}.mp4"])
    elif gallery.persons():
        gallery.remove(chance.choice(gallery.persons()).id)


ACTIONS: list[Callable[[Gallery, random.Random], None]] = [add, add, add, merge, merge, split, split, remove]


@pytest.mark.parametrize("seed", range(4))
def test_what_must_hold_holds_after_every_change(tmp_path: Path, seed: int) -> None:
    chance, used = random.Random(seed), set()
    with Gallery.open(tmp_path / "people.kprdb", create=True) as gallery:
        for _ in range(25):
            before = persons_of(gallery)
            try:
                chance.choice(ACTIONS)(gallery, chance)
            except UserError:
                assert persons_of(gallery) == before
            after, decided = persons_of(gallery), gallery.constraints()
            assert all(after[one] == after[other] for one, other in decided.must)
            assert all(after[one] != after[other] for one, other in decided.cannot)
            assert all(after[place] == person for place, person in decided.persons.items())
            for video in gallery.videos():
                sha256 = video.header["video"]["sha256"]
                for one, other in video.together.tolist():
                    pair = {(sha256, one), (sha256, other)}
                    assert len({after[place] for place in pair}) == 2 or pair <= set(decided.persons)
            ids = {person.id for person in gallery.persons()}
            assert all(number > max(used, default=0) for number in ids - used)  # never used again
            used |= ids
            assert gallery.next_id > max(used, default=0)
