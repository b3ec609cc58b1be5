"""Hand-made evaluations with distinct numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from eval.datatypes import ABSENT, MISSED, Evaluation, Measure, Scores, Timeline

HOTA_FIELDS = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "FragA")
CLEAR = {"MOTA": 0.5, "CLR_FN": 30, "CLR_FP": 20, "MT": 4, "ML": 1, "Frag": 9, "IDSW": 7}
IDENTITY = {"IDF1": 0.625}
KIT = {
    "mota": 0.48,
    "idf1": 0.61,
    "num_misses": 31,
    "num_false_positives": 21,
    "num_switches": 6,
    "motp": np.nan,
}


def hota(mean: float, joints: int | None = None) -> Scores:
    """A falling curve with this mean; [19] or [19, joints + total]."""
    fall = np.linspace(0.2, -0.2, 19)
    curves = {}
    for i, field in enumerate(HOTA_FIELDS):
        curve = np.clip(mean + (0.05 if i == 1 else -0.05 if i == 2 else 0) + fall, 0, 1)
        spread = np.ones(1) if joints is None else np.append(np.linspace(0.9, 1.1, joints), 1.0)
        curves[field] = (curve[:, None] * spread)[:, 0] if joints is None else curve[:, None] * spread
    return curves


def timeline(frames: int = 60, people: int = 4) -> Timeline:
    """Person 1 keeps a track, person 2 switches in the middle, person 3 has a gap, the last enters late."""
    tracks = np.full((people, frames), MISSED)
    for person in range(people):
        tracks[person] = 10 * (person + 1)
    tracks[1 % people, frames // 2 :] = 99
    tracks[2 % people, frames // 3 : frames // 2] = MISSED
    tracks[-1, : frames // 4] = ABSENT
    return Timeline(np.arange(1, people + 1), tracks)


def posetrack21(
    names: Sequence[str] = ("000001_a_test", "000002_b_test"),
    *,
    differ: bool = True,
    notes: tuple[str, ...] = ("2 frames without tracks: official and fixed numbers differ.",),
) -> Evaluation:
    """All measures of PoseTrack21; `differ`: fixed numbers are higher."""
    means = {name: 0.3 + 0.5 * i / max(1, len(names) - 1) for i, name in enumerate(names)}
    more = 0.04 if differ else 0.0

    def measure(make: "Mapping[str, Scores]") -> Measure:
        return Measure(make["combined"], {name: make[name] for name in names})

    def each(joints: int | None, plus: float) -> Measure:
        return measure({key: hota(mean + plus, joints) for key, mean in {**means, "combined": 0.5}.items()})

    def same(scores: Scores) -> Measure:
        return measure(dict.fromkeys((*names, "combined"), scores))

    measures = {
        "keypoint_hota": each(15, 0.0),
        "keypoint_hota_fixed": each(15, more),
        "box_hota": each(None, 0.1),
        "box_clear": same(CLEAR),
        "box_identity": same(IDENTITY),
        "kit_mota": same(KIT),
        "pose_ap": same({"AP": np.append(np.linspace(60, 80, 15), 71.5)}),
        "cross_video_hota": Measure(hota(0.25, 15), {}),
        "cross_video_hota_fixed": Measure(hota(0.25 + more, 15), {}),
    }
    return Evaluation(
        "posetrack21", "data/posetrack21", "runs/kpr", measures, {name: timeline() for name in names}, notes
    )


def boxes_only() -> Evaluation:
    """Return an evaluation as of MOTChallenge files."""
    measures = {
        "box_hota": Measure(hota(0.4), {"TUD": hota(0.4)}),
        "box_clear": Measure(CLEAR, {"TUD": CLEAR}),
        "box_identity": Measure(IDENTITY, {"TUD": IDENTITY}),
    }
    return Evaluation("mot", "gt", "tracks", measures, {"TUD": timeline()}, ())
