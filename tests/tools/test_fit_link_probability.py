"""tools/fit_link_probability.py: labels of tracks, and constants that make the labels probable."""

from pathlib import Path

import numpy as np
import pytest
from support import paths
from support.linked_cases import write_result

from kprtrack.io import read_tracks, write_tracks

PERSONS = {"a": {1: 11, 2: 12, 3: 13}, "b": {4: 12, 5: 11}, "c": {1: 14, 2: 12}}


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    truth = tmp_path / "ground_truth"
    truth.mkdir()
    for seed, (name, tracks) in enumerate(PERSONS.items()):
        path = write_result(tmp_path, name, tracks, seed=seed)
        file = read_tracks(path)
        for frame in file.frames:  # the track IDs of ground truth are persons
            frame.ids[:] = [tracks[one] for one in frame.ids.tolist()]
        write_tracks(file, truth / path.name)
    return tmp_path


def test_tracks_are_labelled_by_the_person_at_their_boxes(labelled: Path) -> None:
    from fit_link_probability import labelled_set, probabilities

    one = labelled_set(labelled)
    persons = [person for tracks in PERSONS.values() for person in tracks.values()]
    same = np.array(persons)[:, None] == np.array(persons)
    assert np.array_equal(one.same, same)
    assert np.count_nonzero(one.compared) == 3 * 2 + 3 * 2 + 2 * 2
    found = probabilities(one, 11.5, 12.3)
    assert found[one.compared & same].min() > 0.9 > 0.1 > found[one.compared & ~same].max()


def test_the_command_prints_constants_and_a_table(
    labelled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fit_link_probability import main

    monkeypatch.setattr("sys.argv", ["fit", "--fit", str(labelled)])
    main()
    printed = capsys.readouterr().out
    assert "fitted: at_zero" in printed and "4 of 4" in printed  # person 12 is in three videos, 11 in two
