"""Distances of embeddings to those of the same person and of others, against a computation of their own."""

from pathlib import Path

import numpy as np
import pytest
from support.embedding_cases import expected, observations
from support.export_cases import PRESENT, tracks_of, write_source

import kprtrack
from kprtrack.rendering.embedding_distances import EmbeddingDistances, embedding_distances


def distances(folder: Path, frames: list[kprtrack.Tracks]) -> dict[int, EmbeddingDistances]:
    kprtrack.write_observations(folder / "obs.npz", kprtrack.RunHeader(), observations())
    tracks = kprtrack.read_tracks(write_source(folder, frames, kprtrack.RunHeader()))
    return embedding_distances(tracks, kprtrack.read_observations(folder / "obs.npz"))


def test_distances_are_those_to_the_mean_of_the_other_frames_and_of_the_other_person(tmp_path: Path) -> None:
    found = distances(tmp_path, [tracks_of(frame, ids) for frame, ids in PRESENT.items()])
    assert list(found) == list(PRESENT)
    for frame, ids in PRESENT.items():
        own, other = ([expected(each, frame, which) for each in ids] for which in (False, True))
        np.testing.assert_allclose(found[frame].own, own, atol=2e-3)  # float16 in the file
        np.testing.assert_allclose(found[frame].other, other, atol=2e-3)


def test_a_person_of_one_frame_and_one_without_a_box_have_unknown_distances(tmp_path: Path) -> None:
    found = distances(tmp_path, [tracks_of(0, (2, 7)), tracks_of(4, (7,))])  # frame 4 is observed without 7
    assert np.isnan(found[0].own).all()
    assert np.isfinite(found[0].other).all()
    assert np.isnan(found[4].own).all()
    assert np.isnan(found[4].other).all()


def test_observations_of_another_size_are_an_error(tmp_path: Path) -> None:
    header = kprtrack.RunHeader(video={"width": 64, "height": 48})
    kprtrack.write_observations(tmp_path / "obs.npz", header, observations())
    tracks = kprtrack.read_tracks(write_source(tmp_path))
    with pytest.raises(kprtrack.InputError, match="640 x 480 pixels"):
        embedding_distances(tracks, kprtrack.read_observations(tmp_path / "obs.npz"))
