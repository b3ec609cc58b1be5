"""Evidence of re-identifications: scenes whose distances are known, and the IDs of tracks in the end."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.scenes import (
    Actor,
    Film,
    film,
    first_visible,
    random_embeddings,
    run_tracker,
    similar_embedding,
    track_ids,
    walk,
)

from kprtrack.core.errors import InputError
from kprtrack.identity import PrototypeCollector, TrackPrototypes, evidence, read_prototypes, write_prototypes
from kprtrack.identity.evidence import EvidenceLog, evidence_of, evidence_to_json
from kprtrack.pipeline import track
from kprtrack.trackers.kpr import KprTracker
from kprtrack.trackers.reidentification import Reidentification

EMBEDDINGS = random_embeddings(20)
UNSEEN = (True, True, True, False, True)  # the fourth part


def scene(later_s: float = 8.0) -> Film:
    """Person 1 leaves at 3 s and comes back at `later_s` without one part, at distance 0.1; others stay."""
    comes_back = similar_embedding(EMBEDDINGS[0], 0.1)
    actors = [
        Actor(EMBEDDINGS[0], walk(100, end_s=3)),
        Actor(similar_embedding(EMBEDDINGS[0], 0.5, seed=3), walk(300, end_s=3)),
        Actor(comes_back, walk(700, start_s=later_s), visible=UNSEEN),
        Actor(EMBEDDINGS[9], walk(1200)),
        Actor(EMBEDDINGS[8], walk(1500)),
    ]
    return film(actors, later_s + 4, noise=0)


def prototypes_of(one: Film) -> TrackPrototypes:
    collector = PrototypeCollector({"video": {}, "reid": {}})
    tracker = KprTracker()
    for tracks in track(collector.observed(one.frames), tracker):
        collector.evidence.add(tracker.take_evidence())
        collector.add(tracks)
    return collector.result(complete=True)


def cosine_distances(a: np.ndarray, b: np.ndarray) -> list[float]:
    return [1 - float(np.dot(x, y)) for x, y in zip(a.astype(float), b.astype(float), strict=True)]


def test_a_return_leaves_a_record_of_parts_times_and_others() -> None:
    one = scene()
    assert track_ids(one)[2] == [1] * 40
    (record,) = evidence_of(prototypes_of(one).header)
    assert (record.track_id, record.new_id) == (1, 5)
    assert (record.lost_s, record.seen_s) == (2.9, 8.0)
    assert one.frames[record.frame].time_s == record.time_s and 8 < record.time_s <= 8 + 0.2 + 1.5
    assert list(record.box) == [700, 100, 760, 260]
    expected = cosine_distances(EMBEDDINGS[0], similar_embedding(EMBEDDINGS[0], 0.1))
    assert record.parts[3] is None
    for part in (0, 1, 2, 4):
        assert record.parts[part] == pytest.approx(expected[part], abs=1e-4)
    assert record.distance == pytest.approx(np.mean([expected[part] for part in (0, 1, 2, 4)]), abs=1e-4)
    other = cosine_distances(
        similar_embedding(EMBEDDINGS[0], 0.5, seed=3), similar_embedding(EMBEDDINGS[0], 0.1)
    )
    ((number, distance),) = record.other_lost
    assert number == 2
    assert distance == pytest.approx(np.mean([other[part] for part in (0, 1, 2, 4)]), abs=1e-4)
    assert record.margin == pytest.approx(distance - record.distance, abs=1e-4)
    assert record.distance <= record.limit and record.margin >= record.least_margin
    assert not record.other_new


def test_a_return_from_the_gallery_leaves_the_same_record() -> None:
    """Tracks that were lost more than `recent_s` ago are kept elsewhere; 4.5 s are not in the store."""
    soon, late = (evidence_of(prototypes_of(scene(later_s)).header)[0] for later_s in (4.5, 20.0))
    assert soon.parts == pytest.approx(late.parts, abs=1e-4, nan_ok=True) and soon.margin == pytest.approx(
        late.margin, abs=1e-4
    )


def test_another_new_track_is_named_by_the_id_that_it_gets_in_the_end() -> None:
    """Two people leave and come back at once."""
    actors = [
        Actor(
            EMBEDDINGS[one], first_visible(walk(100 + 300 * one, end_s=3), walk(700 + 200 * one, start_s=8))
        )
        for one in range(2)
    ] + [Actor(EMBEDDINGS[9], walk(1500)), Actor(EMBEDDINGS[8], walk(1800))]
    one = film(actors, 12, noise=0)
    records = evidence_of(prototypes_of(one).header)
    assert {record.track_id for record in records} == {1, 2}
    for record in records:
        other = 3 - record.track_id
        assert [number for number, _ in record.other_lost] == [other]
        assert [number for number, _ in record.other_new] == [other]


def test_nothing_is_recorded_where_no_one_returns() -> None:
    tracker = KprTracker()
    list(track(film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], walk(600))], 6).frames, tracker))
    assert tracker.take_evidence() == []


def test_evidence_is_taken_once() -> None:
    tracker = KprTracker()
    list(track(scene().frames, tracker))
    assert len(tracker.take_evidence()) == 1 and tracker.take_evidence() == []


RECORD = Reidentification(
    1, 5, 0.1, 0.2, 0.3, 0.05, ((2, 0.4),), (), 90, 9.0, 3.0, 8.8, (1, 2, 3, 4), (0.1, None)
)


def test_a_log_keeps_the_smallest_margins_of_a_long_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_RECORDS", 10)
    log, margins = EvidenceLog(), np.random.default_rng(3).permutation(500).tolist()
    for number, margin in enumerate(margins):
        log.add([replace(RECORD, new_id=10 + number, margin=float(margin), frame=number)])
    kept = log.records({1})
    assert [record.frame for record in kept] == sorted(margins.index(margin) for margin in range(10))


def test_evidence_comes_back_from_a_file(tmp_path: Path) -> None:
    made = prototypes_of(scene())
    records = [RECORD, replace(RECORD, margin=math.inf)]
    write_prototypes(
        replace(made, header={**made.header, "evidence": evidence_to_json(records)}),
        tmp_path / "a.tracks.safetensors",
    )
    assert evidence_of(read_prototypes(tmp_path / "a.json").header) == records


@pytest.mark.parametrize(
    "change",
    [
        {"track_id": 0},
        {"track_id": "1"},
        {"frame": -1},
        {"distance": None},
        {"distance": 1e300},
        {"box": [1, 2, 3]},
        {"parts": 3},
        {"parts": ["torso"]},
        {"other_lost": [[1]]},
        {"other_lost": [[1, None]]},
        {"extra": 1},
    ],
    ids=str,
)
def test_damaged_evidence_is_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    made = prototypes_of(scene())
    (record,) = evidence_to_json([RECORD])
    path = tmp_path / "a.tracks.safetensors"
    write_prototypes(replace(made, header={**made.header, "evidence": [record | change]}), path)
    with pytest.raises(InputError, match="damaged") as error:
        read_prototypes(path)
    assert "\n" not in str(error.value)


def test_evidence_follows_corrections() -> None:
    """A merge gives another ID; a split at the return makes it no re-identification any more."""
    one = scene()
    made, frames = prototypes_of(one), run_tracker(one)
    merged = [replace(tracks, ids=np.where(tracks.ids == 1, 11, tracks.ids)) for tracks in frames]
    (record,) = evidence_of(made.relabelled(merged).header)
    assert record.track_id == 11 and [number for number, _ in record.other_lost] == [2]
    split = [
        replace(tracks, ids=np.where((tracks.ids == 1) & (tracks.time_s > 7), 12, tracks.ids))
        for tracks in frames
    ]
    assert evidence_of(made.relabelled(split).header) == []
    assert json.dumps(made.relabelled(split).header)
