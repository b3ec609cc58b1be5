"""Identities of all videos as one sequence, before and after linking."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from eval.benchmarks.score_linked import score_linked
from kprtrack.cli.main import main
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.io import RunHeader, TrackFile, write_tracks
from tests.support.tracks_cases import tracks_of

Boxes = Mapping[int, Sequence[float]]
LEFT, RIGHT = (10, 10, 40, 90), (60, 10, 100, 95)


def write(
    path: Path,
    frames: Sequence[Boxes],
    persons: Mapping[int, int] | None = None,
    names: Mapping[int, str] | None = None,
) -> None:
    path.parent.mkdir(exist_ok=True)
    tracks = [tracks_of(boxes, number=number, time_s=number / 10) for number, boxes in enumerate(frames)]
    write_tracks(TrackFile(RunHeader(persons=persons or {}, names=names or {}), tracks, True), path)


def mean(values: object) -> float:
    return float(np.mean(np.asarray(values)))


def test_a_person_of_two_videos_is_one_after_linking(tmp_path: Path) -> None:
    """20 frames of one person: two tracks of 10 frames have AssA 10 / 20 and IDF1 10 / (10 + 5 + 5)."""
    for name in ("a", "b"):
        write(tmp_path / f"gt/{name}.json", [{7: LEFT}] * 10)
        write(tmp_path / f"linked/{name}.tracks.json", [{1: LEFT}] * 10, {1: 3})
    measures = {
        name: m.combined for name, m in score_linked(tmp_path / "gt", tmp_path / "linked").measures.items()
    }
    assert mean(measures["unlinked_hota"]["DetA"]) == mean(measures["linked_hota"]["HOTA"]) == 1
    assert mean(measures["unlinked_hota"]["AssA"]) == pytest.approx(0.5)
    assert mean(measures["unlinked_hota"]["HOTA"]) == pytest.approx(0.5**0.5)
    assert measures["unlinked_identity"]["IDF1"] == pytest.approx(0.5)
    assert measures["linked_identity"]["IDF1"] == measures["links"]["F1"] == 1


def test_a_track_belongs_to_the_person_of_most_of_its_frames(tmp_path: Path) -> None:
    """Track 1 changes from person 5 to person 8 after four of ten frames; video b has person 8."""
    write(tmp_path / "gt/a.json", [{5: LEFT}] * 4 + [{8: RIGHT}] * 6)
    write(tmp_path / "linked/a.json", [{1: LEFT}] * 4 + [{1: RIGHT}] * 6, {1: 2})
    write(tmp_path / "gt/b.json", [{8: LEFT}] * 3)
    write(tmp_path / "linked/b.json", [{1: LEFT}] * 3, {1: 2})
    links = score_linked(tmp_path / "gt", tmp_path / "linked").measures["links"].combined
    assert (links["right_links"], links["wrong_links"], links["missed_links"]) == (1, 0, 0)


def test_a_track_that_is_mostly_unmatched_belongs_to_no_person(tmp_path: Path) -> None:
    """Track 1 is on person 5 in two of five frames, and on a bystander otherwise."""
    write(tmp_path / "gt/a.json", [{5: LEFT}] * 5)
    write(tmp_path / "linked/a.json", [{1: LEFT}] * 2 + [{1: RIGHT}] * 3, {1: 2})
    write(tmp_path / "gt/b.json", [{5: LEFT}] * 3)
    write(tmp_path / "linked/b.json", [{1: LEFT}] * 3, {1: 4})
    links = score_linked(tmp_path / "gt", tmp_path / "linked").measures["links"].combined
    assert (links["right_links"], links["wrong_links"], links["missed_links"]) == (0, 0, 0)


def test_a_corrected_linked_result_is_ground_truth(tmp_path: Path) -> None:
    """Its persons count, not its track IDs, and its names are those of known persons."""
    write(tmp_path / "gt/a.json", [{1: LEFT, 2: RIGHT}] * 3, {1: 8, 2: 9}, {2: "Anna"})
    write(tmp_path / "gt/b.json", [{1: LEFT}] * 3, {1: 9}, {1: "Anna"})
    write(tmp_path / "linked/a.json", [{5: LEFT, 6: RIGHT}] * 3, {5: 1, 6: 2}, {6: "Anna"})
    write(tmp_path / "linked/b.json", [{1: LEFT}] * 3, {1: 2}, {1: "Anna"})
    measures = score_linked(tmp_path / "gt", tmp_path / "linked").measures
    assert measures["links"].combined["right_links"] == mean(measures["linked_hota"].combined["HOTA"]) == 1
    assert measures["names"].combined["right_names"] == 1


def test_a_track_of_the_ground_truth_without_person_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "gt/a.json", [{1: LEFT, 2: RIGHT}], {1: 8})
    write(tmp_path / "linked/a.json", [{5: LEFT}], {5: 1})
    with pytest.raises(InputError, match="track 2 has no person, but others have"):
        score_linked(tmp_path / "gt", tmp_path / "linked")


def test_ground_truth_may_be_of_motchallenge(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"gt/{name}.txt", [{7: LEFT, 9: RIGHT}] * 3)
        write(tmp_path / f"linked/{name}.tracks.json", [{1: RIGHT, 4: LEFT}] * 3, {1: 3, 4: 5})
    evaluation = score_linked(tmp_path / "gt", tmp_path / "linked")
    assert evaluation.measures["links"].combined["F1"] == 1
    assert "names" not in evaluation.measures


def test_names_are_compared_with_those_of_the_ground_truth(tmp_path: Path) -> None:
    """Anna has her name in a and Ben's in b; the other person has Anna's."""
    write(tmp_path / "gt/a.json", [{7: LEFT, 9: RIGHT}] * 3, names={7: "Anna"})
    write(tmp_path / "linked/a.json", [{1: LEFT, 2: RIGHT}] * 3, {1: 1, 2: 2}, {1: "Anna", 2: "Anna"})
    write(tmp_path / "gt/b.json", [{7: LEFT}] * 3, names={7: "Anna"})
    write(tmp_path / "linked/b.json", [{1: LEFT}] * 3, {1: 3}, {1: "Ben"})
    names = score_linked(tmp_path / "gt", tmp_path / "linked").measures["names"].combined
    assert (names["right_names"], names["wrong_names"], names["missed_names"]) == (0.5, 0.5, 0)
    assert names["FPIR"] == 1


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(width, 0) * max(height, 0)
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def of_trackeval(gt: Sequence[Tracks], tracks: Sequence[Tracks]) -> tuple[float, float]:
    """HOTA and IDF1 of TrackEval's own classes; IDs of any size."""
    from trackeval.metrics import HOTA, Identity

    sides = {"gt": gt, "tracker": tracks}
    known = {
        side: sorted({one for each in frames for one in each.ids.tolist()}) for side, frames in sides.items()
    }
    data: dict[str, object] = {"num_timesteps": len(gt)}
    for side, frames in sides.items():
        data[f"num_{side}_ids"] = len(known[side])
        data[f"num_{side}_dets"] = sum(map(len, frames))
        data[f"{side}_ids"] = [np.array([known[side].index(one) for one in each.ids], int) for each in frames]
    data["similarity_scores"] = [
        np.array([[iou(a, b) for b in mine.boxes] for a in theirs.boxes]).reshape(len(theirs), len(mine))
        for theirs, mine in zip(gt, tracks, strict=True)
    ]
    quiet = {"PRINT_CONFIG": False, "THRESHOLD": 0.5}
    return float(HOTA().eval_sequence(data)["HOTA"].mean()), float(
        Identity(quiet).eval_sequence(data)["IDF1"]
    )


@pytest.mark.parametrize("seed", range(3))
def test_hota_and_idf1_are_those_of_trackeval_on_the_videos_in_a_row(tmp_path: Path, seed: int) -> None:
    """Random people, jittered boxes, tracks that change and persons that are partly wrong."""
    random = np.random.default_rng(seed)
    whole: dict[str, list[Tracks]] = {"gt": [], "unlinked": [], "linked": []}
    for video in range(3):
        gt_frames: list[dict[int, list[float]]] = []
        frames: list[dict[int, list[float]]] = []
        people = random.choice(np.arange(1, 9), 4, replace=False)
        persons = {10 * part + row: int(random.choice([person, 9])) if row == 0 else int(person)
                   for row, person in enumerate(people) for part in (1, 2)}  # fmt: skip
        for number in range(12):
            boxes = {
                int(p): np.array([60 * r, 0, 60 * r + 40, 90]) + random.normal(0, 3, 4)
                for r, p in enumerate(people)
            }
            gt_frames.append({p: box.tolist() for p, box in boxes.items() if random.uniform() < 0.9})
            frames.append(
                {
                    10 * (1 + number // 7) + row: (box + random.normal(0, 5, 4)).tolist()
                    for row, box in enumerate(boxes.values())
                    if random.uniform() < 0.9
                }
            )
        write(tmp_path / f"gt/v{video}.json", gt_frames)
        write(tmp_path / f"linked/v{video}.json", frames, persons)
        for name, side, ids in (
            ("gt", gt_frames, {one: one for one in range(10)}),
            ("unlinked", frames, {one: 100 * video + one for one in persons}),
            ("linked", frames, persons),
        ):
            rounded = [{ids[one]: np.round(box, 2) for one, box in each.items()} for each in side]
            whole[name] += [tracks_of(each) for each in rounded]  # the files have pixels to 0.01
    measures = score_linked(tmp_path / "gt", tmp_path / "linked").measures
    for what in ("unlinked", "linked"):
        hota, idf1 = of_trackeval(whole["gt"], whole[what])
        assert mean(measures[f"{what}_hota"].combined["HOTA"]) == pytest.approx(hota, abs=1e-4)
        assert measures[f"{what}_identity"].combined["IDF1"] == pytest.approx(idf1)


def test_results_that_were_not_linked_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "gt/a.json", [{7: LEFT}])
    write(tmp_path / "linked/a.json", [{1: LEFT}])
    with pytest.raises(
        InputError, match=r"^No result in .* has persons\. Link the videos with `kprtrack link`"
    ):
        score_linked(tmp_path / "gt", tmp_path / "linked")


def test_a_person_twice_in_a_frame_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "gt/a.json", [{7: LEFT}])
    write(tmp_path / "linked/a.json", [{1: LEFT, 2: RIGHT}], {1: 4, 2: 4})
    with pytest.raises(InputError, match="tracks 1 and 2 are both person 4"):
        score_linked(tmp_path / "gt", tmp_path / "linked")


def test_the_command_prints_and_writes_all_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"gt/{name}.json", [{7: LEFT}] * 2, names={7: "Anna"})
        write(tmp_path / f"linked/{name}.tracks.json", [{1: LEFT}] * 2, {1: 3}, {1: "Anna"})
    (tmp_path / "linked/links.json").write_text("{}")
    sides = [str(tmp_path / "gt"), str(tmp_path / "linked")]
    assert (
        main(
            [
                "eval",
                "linked",
                *sides,
                "--json",
                str(tmp_path / "scores.json"),
                "--html",
                str(tmp_path / "p.html"),
            ]
        )
        == 0
    )
    text = capsys.readouterr().out
    assert "before linking" in text and "FPIR" in text and "links.json" not in text
    summary = json.loads((tmp_path / "scores.json").read_bytes())["summary"]
    assert (
        summary["links"]["precision"]
        == summary["linked_hota"]["HOTA"]
        == summary["names"]["right_names"]
        == 1
    )
    assert summary["names"]["FPIR"] is None
    assert "after linking" in (tmp_path / "p.html").read_text("utf-8")
