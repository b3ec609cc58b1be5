"""Identity confidence: scenes whose people are known, its features counted in loops, results and commands."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.linked_cases import write_result
from support.scenes import Actor, film, random_embeddings, walk

from kprtrack.cli.main import main
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.identity import PrototypeCollector, TrackPrototypes
from kprtrack.identity.confidence import confidence_in, features_of, identity_confidence
from kprtrack.io import RunHeader, TrackFile, read_tracks, write_tracks
from kprtrack.pipeline import track
from kprtrack.review import risky_moments
from kprtrack.trackers.kpr import KprTracker

EMBEDDINGS = random_embeddings(4)


def two_people(exchanged_s: float = np.inf) -> tuple[list[Tracks], TrackPrototypes]:
    """Tracks 1 and 2, which are exchanged from a time on."""
    one = film([Actor(EMBEDDINGS[0], walk(100)), Actor(EMBEDDINGS[1], walk(600))], 10, noise=0.3)
    collector, frames = PrototypeCollector({"video": {}, "reid": {}}), []
    for tracks in track(collector.observed(one.frames), KprTracker()):
        late = tracks.time_s >= exchanged_s
        frames.append(replace(tracks, ids=3 - tracks.ids) if late else tracks)
        collector.add(frames[-1])
    return frames, collector.result(complete=True)


def test_two_people_who_stand_apart_are_certain_and_exchanged_ones_are_not() -> None:
    assert min(identity_confidence(*two_people()).values()) > 0.95
    assert max(identity_confidence(*two_people(5.0)).values()) < 0.5


def test_the_share_of_nearer_tracks_is_that_of_a_loop() -> None:
    frames, prototypes = two_people()
    random = np.random.default_rng(4)
    changed = [
        replace(one, margins=random.choice([-0.1, 0.2, np.nan], len(one)).astype(np.float32))
        for one in frames
    ]
    found = features_of(changed, prototypes)
    for track_id in (1, 2):
        margins = [
            float(one.margins[list(one.ids).index(track_id)]) for one in changed if track_id in one.ids
        ]
        known = [margin for margin in margins if margin == margin]
        assert found[track_id]["nearer"] == pytest.approx(sum(margin < 0 for margin in known) / len(known))


def test_a_run_stores_the_confidence_of_every_track() -> None:
    frames, prototypes = two_people()
    assert confidence_in(prototypes.header) == identity_confidence(frames, prototypes)


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_results_keep_the_confidence(tmp_path: Path, suffix: str) -> None:
    tracks = read_tracks(write_result(tmp_path, "a", {1: 1, 2: 2}))
    header = replace(tracks.header, identity_confidence={1: 0.9, 2: 0.25})
    path = tmp_path / f"b{suffix}"
    write_tracks(replace(tracks, header=header), path)
    assert read_tracks(path).header.identity_confidence == {1: 0.9, 2: 0.25}
    path.write_text(path.read_text("utf-8").replace("0.25", "2.5"), "utf-8")
    with pytest.raises(InputError, match="from 0 to 1"):
        read_tracks(path)


def test_why_explains_a_track(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_result(tmp_path, "a", {1: 1, 2: 2}, together=((1, 2),))
    assert main(["why", str(path), "--track", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("track 1: seen from ") and "identity confidence" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--track", "7"], "There is no track 7 in .* Its tracks: 1, 2"),
        (["--track", "1", "--out", "why.txt"], "give a name that ends in"),
        (["--track", "1", "--video", "a.mp4"], "Add --out"),
    ],
)
def test_wrong_input_of_why_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    path = write_result(tmp_path, "a", {1: 1, 2: 2})
    assert main(["why", str(path), *words]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_why_draws_the_distances(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path, image = write_result(tmp_path, "a", {1: 1, 2: 2}), tmp_path / "why.png"
    assert main(["why", str(path), "--track", "2", "--out", str(image)]) == 0
    assert image.read_bytes().startswith(b"\x89PNG")


def test_moments_of_a_track_with_low_confidence_are_riskier() -> None:
    frames, _ = two_people()
    crossing = [
        replace(one, boxes=np.repeat(one.boxes[:1], len(one), 0)) if one.frame_number == 50 else one
        for one in frames
    ]
    headers = RunHeader(), RunHeader(identity_confidence={1: 0.0, 2: 1.0})
    moments = [one for each in headers for one in risky_moments(TrackFile(each, crossing, True))]
    before, after = [one for one in moments if one.kind == "overlap"]
    assert after.risk == pytest.approx((1 + before.risk) / 2, abs=1e-3)
