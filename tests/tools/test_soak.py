"""Memory stays flat in a long run: the short form of tools/soak.py, with every allocation counted."""

import tracemalloc

import pytest
from support import paths

from kprtrack.identity.collector import PER_TRACK
from kprtrack.io import read_observations, read_tracks

# An observation of this run has 8,000 bytes, the tracks of a frame have more than 2,000: none may be kept.
MOST_BYTES_PER_FRAME = 1000
# Of each track a video keeps prototypes; in the second half 13 people appear, and those before get some more.
TRACKS = 20


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(paths.ROOT / "tools")
    monkeypatch.setattr("kprtrack.io.parquet.GROUP_FRAMES", 32)  # a buffer that only a longer video fills


@pytest.mark.slow
@pytest.mark.parametrize("what", ["tracker", "video", "observe"])
def test_memory_does_not_grow_with_the_frames(what, tmp_path):
    from soak import DIMENSIONS, PARTS, soak

    tracemalloc.start()
    try:
        readings = dict(soak(what, 256, 5.0, 5, tmp_path, lambda: tracemalloc.get_traced_memory()[0]))
    finally:
        tracemalloc.stop()
    assert list(readings) == [3, 26, 64, 128, 192, 256]
    most = 128 * MOST_BYTES_PER_FRAME
    if what == "video":
        most += TRACKS * (PER_TRACK + 2) * PARTS * DIMENSIONS * 2
    assert readings[256] - readings[128] < most
    if what != "tracker":
        return
    ids = set().union(*(tracks.ids.tolist() for tracks in read_tracks(tmp_path / "kprtrack.json").frames))
    assert len(ids) == 5 * 6  # in each of five places another person every ten of 51 seconds
    assert len(read_observations(tmp_path / "observations.npz")) == 256
