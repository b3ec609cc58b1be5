"""Prototypes: what is kept of each track, counted and averaged independently; the file under damage."""

import json
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Poses, Tracks
from kprtrack.core.errors import InputError
from kprtrack.identity import (
    PrototypeCollector,
    TrackPrototypes,
    collector,
    prototypes_path,
    read_prototypes,
    write_prototypes,
)
from kprtrack.trackers.output import tracks_at

FRAMES, PEOPLE, PARTS, LENGTH = 60, 3, 2, 8
HEADER = {"video": {"path": "a.mp4"}, "reid": {"weights": "small-kpr"}}


def scene() -> tuple[list[Observation], list[Tracks]]:
    """Three people side by side, 10 frames a second; person 3 from frame 30 on, person 2 until frame 39.

    From frame 20 to 29 person 1 is occluded by a fourth box without a track.
    """
    random = np.random.default_rng(5)
    observations, tracks = [], []
    for number in range(FRAMES):
        ids = [1, *([2] if number < 40 else []), *([3] if number >= 30 else [])]
        boxes = [[200 * one, 20, 200 * one + 80, 220] for one in ids]
        if 20 <= number < 30:
            boxes.append([200, 30, 285, 230])
            ids = [*ids, 0]
        count = len(ids)
        features = random.standard_normal((count, PARTS, LENGTH)).astype(np.float32)
        features /= np.linalg.norm(features, axis=2, keepdims=True)
        observation = Observation(
            number,
            number / 10,
            Detections(np.float32(boxes), np.full(count, 0.9, np.float32)),
            Poses(np.zeros((count, 17, 3), np.float32)),
            Appearance(features, random.random((count, PARTS)) < 0.8, np.ones(count, bool)),
        )
        nothing = np.full(count, np.nan, np.float32)
        numbers = np.array(ids)
        observations.append(observation)
        tracks.append(tracks_at(observation, numbers, np.flatnonzero(numbers), nothing, nothing))
    return observations, tracks


def collected(observations: list[Observation], tracks: list[Tracks]) -> TrackPrototypes:
    made = PrototypeCollector(HEADER)
    for _, frame in zip(made.observed(observations), tracks, strict=True):
        made.add(frame)
    return made.result(complete=True)


def test_means_counts_and_pairs_are_those_of_the_scene() -> None:
    observations, tracks = scene()
    made = collected(observations, tracks)
    assert made.track_ids.tolist() == [1, 2, 3]
    assert made.boxes_seen.tolist() == [60, 40, 30]
    assert made.first_frame.tolist() == [0, 0, 30] and made.last_frame.tolist() == [59, 39, 59]
    assert made.first_s.tolist() == [0, 0, 3.0] and made.last_s.tolist() == [5.9, 3.9, 5.9]
    assert made.together.tolist() == [[1, 2], [1, 3], [2, 3]]
    for row, track_id in enumerate((1, 2, 3)):
        sums, seen = np.zeros((PARTS, LENGTH)), 0
        for observation, frame in zip(observations, tracks, strict=True):
            for one in np.flatnonzero(frame.ids == track_id):
                if track_id == 1 and 20 <= frame.frame_number < 30:
                    continue  # occluded
                visible = observation.embeddings.visible[one]
                sums[visible] += observation.embeddings.features[one][visible]
                seen += bool(visible.any())
        assert made.weights[row] == seen
        expected = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        np.testing.assert_allclose(made.means.features[row], expected, atol=1e-6)


def test_prototypes_are_sightings_of_their_track_and_never_occluded() -> None:
    observations, tracks = scene()
    made = collected(observations, tracks)
    assert np.bincount(made.track_row).tolist() == [collector.PER_TRACK] * 3
    for i, (row, frame) in enumerate(zip(made.track_row, made.frames, strict=True)):
        track_id = made.track_ids[row]
        (at,) = np.flatnonzero(tracks[frame].ids == track_id)
        assert not (track_id == 1 and 20 <= frame < 30)
        assert made.boxes[i].tolist() == observations[frame].detections.boxes[at].tolist()
        np.testing.assert_allclose(
            made.embeddings.features[i], observations[frame].embeddings.features[at], atol=1e-3
        )
        assert made.embeddings.visible[i].tolist() == observations[frame].embeddings.visible[at].tolist()
    assert ((made.quality > 0) & (made.quality <= 0.9)).all()


def test_of_two_sightings_that_are_alike_the_better_one_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "PER_TRACK", 2)
    made = PrototypeCollector(HEADER)
    features = np.eye(3, dtype=np.float32)[[0, 0, 1]][:, None, None]  # the first two are equal
    for number, score in enumerate((0.6, 0.9, 0.7)):
        observation = Observation(
            number,
            float(number),
            Detections(np.float32([[10, 20, 90, 220]]), np.float32([score])),
            Poses(np.zeros((1, 17, 3), np.float32)),
            Appearance(features[number], np.ones((1, 1), bool), np.ones(1, bool)),
        )
        nothing = np.full(1, np.nan, np.float32)
        list(made.observed([observation]))
        made.add(tracks_at(observation, np.array([1]), np.array([0]), nothing, nothing))
    assert made.result(complete=True).frames.tolist() == [1, 2]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    observations, tracks = scene()
    monkeypatch.setattr(collector, "MOST_BYTES", 4 * PARTS * LENGTH * 3 + 2 * PARTS * LENGTH * 4)
    made = collected(observations, tracks)
    assert np.bincount(made.track_row, minlength=3).max() == 1
    assert len(made) == 3 and (made.weights > 0).any()


def test_a_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = collected(*scene())
    path = prototypes_path(tmp_path / "a.json")
    write_prototypes(made, path)
    first = path.read_bytes()
    write_prototypes(made, path)
    assert path.read_bytes() == first
    read = read_prototypes(tmp_path / "a.json")
    assert read.header == made.header and read.header["evidence"] == []
    for name in ("track_ids", "weights", "track_row", "frames", "times_s", "boxes", "quality", "together"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    np.testing.assert_allclose(read.means.features, made.means.features, atol=1e-3)
    np.testing.assert_array_equal(read.means.visible, made.means.visible)


def test_a_corrected_result_renames_merges_and_splits() -> None:
    observations, tracks = scene()
    made = collected(observations, tracks)
    same = made.relabelled(tracks)
    np.testing.assert_array_equal(same.frames, made.frames)
    np.testing.assert_array_equal(same.means.features, made.means.features)
    # Track 2 becomes 3 (never seen at once but in frames 30 to 39, where 3 is left out); 1 is split at 30.
    corrected = []
    for frame in tracks:
        ids = frame.ids.copy()
        keep = np.ones(len(ids), bool)
        if 30 <= frame.frame_number < 40:
            keep = ids != 3
        ids[ids == 2] = 3
        if frame.frame_number >= 30:
            ids[ids == 1] = 7
        rows = np.flatnonzero(keep)
        corrected.append(
            Tracks(
                frame.frame_number,
                frame.time_s,
                ids[rows],
                *(
                    getattr(frame, name)[rows]
                    for name in (
                        *("boxes", "scores", "keypoints", "distances", "margins"),
                        *("visible", "prompted"),
                    )
                ),
            )
        )
    other = made.relabelled(corrected)
    assert other.track_ids.tolist() == [1, 3, 7]
    assert other.boxes_seen.tolist() == [30, 60, 30]
    assert other.together.tolist() == [[1, 3], [3, 7]]
    assert set(other.frames[other.of(1)]) == {f for f in made.frames[made.of(1)].tolist() if f < 30}
    assert set(other.frames[other.of(7)]) == {f for f in made.frames[made.of(1)].tolist() if f >= 30}
    assert len(other.of(3)) == len(made.of(2)) + sum(f >= 40 for f in made.frames[made.of(3)].tolist())


@pytest.mark.parametrize("kind", ["cut", "text", "empty", "version", "no header"])
def test_a_damaged_file_is_one_line(kind: str, tmp_path: Path) -> None:
    path = prototypes_path(tmp_path / "a.json")
    write_prototypes(collected(*scene()), path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if kind == "version":
        header["__metadata__"]["kprtrack_prototypes"] = '{"version": 99}'
    if kind == "no header":
        del header["__metadata__"]
    text = json.dumps(header).encode()
    changed = {
        "cut": data[: len(data) // 2],
        "text": b"track_id,frame\n1,2\n",
        "empty": b"",
    }.get(kind, len(text).to_bytes(8, "little") + text + data[8 + length :])
    path.write_bytes(changed)
    with pytest.raises(
        InputError, match=r"a\.tracks\.safetensors is damaged or not a file of prototypes"
    ) as e:
        read_prototypes(path)
    assert "\n" not in str(e.value)


def test_random_damage_is_read_or_rejected(tmp_path: Path) -> None:
    path = prototypes_path(tmp_path / "a.json")
    write_prototypes(collected(*scene()), path)
    data, random = path.read_bytes(), np.random.default_rng(3)
    rejected = 0
    for _ in range(200):
        changed = bytearray(data)
        for at in random.integers(0, len(data), 8):
            changed[at] = random.integers(256)
        path.write_bytes(changed)
        try:
            read_prototypes(path)
        except InputError:
            rejected += 1
    assert rejected > 100


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Track the video again"):
        read_prototypes(tmp_path / "a.json")
