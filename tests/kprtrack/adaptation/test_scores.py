"""Whether an encoder is better, against a plain loop over the resamples."""

import json
import random

import pytest

from kprtrack.adaptation.people import Split
from kprtrack.adaptation.report import Adaptation
from kprtrack.adaptation.scores import HeldOutScores, scores_from_json, share_of_resamples_better

PEOPLE = (4, 4, 4, 9, 9, 11, 12, 12)


def scores(precisions: list[float]) -> HeldOutScores:
    mean = sum(precisions) / len(precisions)
    return HeldOutScores(mean, 0.5, mean / 2, tuple(precisions), PEOPLE)


BEFORE = scores([0.5] * 8)


@pytest.mark.parametrize(("change", "share"), [(0.1, 1.0), (-0.1, 0.0), (0.0, 0.0)])
def test_the_same_change_of_every_query_is_certain(change: float, share: float) -> None:
    assert share_of_resamples_better(BEFORE, scores([0.5 + change] * 8)) == share


def test_people_are_drawn_and_not_queries() -> None:
    gains = [0.3, 0.2, 0.25, -0.2, -0.4, 0.05, -0.1, 0.1]
    rng = random.Random(3)
    names = sorted(set(PEOPLE))
    better = 0
    for _ in range(20_000):
        drawn = [
            gain
            for name in rng.choices(names, k=4)
            for gain, who in zip(gains, PEOPLE, strict=True)
            if who == name
        ]
        better += sum(drawn) / len(drawn) > 0
    found = share_of_resamples_better(BEFORE, scores([0.5 + gain for gain in gains]))
    assert found == pytest.approx(better / 20_000, abs=0.05)  # 3 deviations of 1000 resamples


def test_scores_survive_being_stored() -> None:
    assert scores_from_json(json.loads(json.dumps(BEFORE.to_json()))) == BEFORE


def test_weights_are_recommended_only_if_they_are_better_for_certain(tmp_path) -> None:
    split = Split(("a",), ("b", "c"), {})
    good = Adaptation(tmp_path, split, BEFORE, scores([0.6] * 8), 1.0)
    assert good.better
    assert f"--reid-weights {tmp_path}/weights.safetensors" in good.advice()
    assert "before" in good.table() and "  60.0" in good.table()
    for after, share in (([0.6] * 8, 0.94), ([0.5] * 8, 1.0), ([0.4] * 8, 0.0)):
        bad = Adaptation(tmp_path, split, BEFORE, scores(after), share)
        assert not bad.better
        assert "Keep the encoder in the package:\n  kprtrack VIDEO --out tracks.json" in bad.advice()
        assert "reid-weights" not in bad.advice()
