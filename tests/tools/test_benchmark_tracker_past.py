"""The benchmark of past tracks makes as many tracks as it says, and the tracker keeps the last of them."""

import pytest
from support import paths

from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


@pytest.mark.parametrize(("max_lost_tracks", "kept"), [(100, 100), (None, 380)])
def test_every_person_of_the_past_is_a_track(max_lost_tracks, kept):
    from benchmark_tracker_past import past_people

    tracker = KprTracker(KprTrackerConfig(max_lost_tracks=max_lost_tracks))
    ids = set()
    for observation in past_people(400, 20, (9, 128)):
        ids |= set(tracker.update(observation).ids.tolist())
    assert len(ids) == 400
    assert len(tracker._tracks) + len(tracker._gallery) == kept + 20
