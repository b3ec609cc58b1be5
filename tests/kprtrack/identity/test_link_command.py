"""`kprtrack link`: linked results, their prototypes, the gallery, corrections and wrong input."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.linked_cases import write_result

from kprtrack.cli.main import main
from kprtrack.gallery import Gallery
from kprtrack.identity import read_prototypes
from kprtrack.identity.persons import link_probabilities
from kprtrack.identity.prototypes_file import write_beside_result
from kprtrack.identity.results import read_result
from kprtrack.io import read_tracks
from kprtrack.review import risky_moments


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    """Person 11 is in a and b, 12 in a, b and c, the others in one video."""
    folder = tmp_path / "results"
    folder.mkdir()
    return [
        write_result(folder, "a", {1: 11, 2: 12, 3: 13}, ((1, 2), (2, 3))),
        write_result(folder, "b", {4: 12, 5: 11}, ((4, 5),), seed=1),
        write_result(folder, "c", {1: 14, 2: 12}, ((1, 2),), seed=2),
    ]


def persons(folder: Path) -> dict[str, dict[int, int]]:
    return {
        path.name[0]: dict(read_tracks(path).header.persons) for path in sorted(folder.glob("*.tracks.json"))
    }


LINKED = {"a": {1: 1, 2: 2, 3: 3}, "b": {4: 2, 5: 1}, "c": {1: 4, 2: 2}}


def test_linked_results_have_the_same_person_ids(
    results: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "linked"
    assert main(["link", *map(str, results), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "7 tracks of 3 videos are 4 persons, 2 of them in several videos" in printed
    assert "person 1: a.mp4 track 1 (0:01 to 0:01.2); b.mp4 track 5" in printed
    assert persons(out) == LINKED
    links = json.loads((out / "links.json").read_text())
    assert [track["person"] for video in links["videos"] for track in video["tracks"]] == [
        1,
        2,
        3,
        2,
        1,
        4,
        2,
    ]
    assert all(one["probability"] >= 0.7 for one in links["links"]) and len(links["links"]) == 3
    for source, name in zip(results, "abc", strict=True):  # nothing else has changed
        before, after = read_tracks(source), read_tracks(out / source.name)
        assert [each.ids.tolist() for each in after.frames] == [each.ids.tolist() for each in before.frames]
        assert read_prototypes(out / source.name).track_ids.tolist() == list(LINKED[name])


def test_links_of_low_probability_are_risky_moments(results: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "linked"
    assert main(["link", *map(str, results), "--out", str(out), "--quiet"]) == 0
    linked = read_tracks(out / "b.tracks.json")
    assert set(link_probabilities(linked.header.config)) == {4, 5}
    assert not [moment for moment in risky_moments(linked) if moment.kind == "link"]  # all are certain
    uncertain = {**linked.header.config, "link_probability": {"4": 0.75, "5": "high", "x": 0.1}}
    header = replace(linked.header, config=uncertain)
    (moment,) = [one for one in risky_moments(replace(linked, header=header)) if one.kind == "link"]
    assert (moment.track_ids, moment.risk, moment.frame) == ((4,), 0.625, 41)
    assert moment.details == "4 is person 2 with a probability of 0.75"


def test_tables_of_linked_results_have_video_and_person(results: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "linked"
    assert main(["link", *map(str, results), "--out", str(out), "--quiet"]) == 0
    for name in "ab":
        assert main(["convert", str(out / f"{name}.tracks.json"), str(out / f"{name}.csv")]) == 0
    found = set()
    for name in "ab":
        with (out / f"{name}.csv").open(newline="") as file:
            found |= {(row["video"], row["track_id"], row["person"]) for row in csv.DictReader(file)}
    assert found == {
        ("a.mp4", "1", "1"),
        ("a.mp4", "2", "2"),
        ("a.mp4", "3", "3"),
        ("b.mp4", "4", "2"),
        ("b.mp4", "5", "1"),
    }


def test_linking_again_gives_the_same_files(results: list[Path], tmp_path: Path) -> None:
    words = ["link", *map(str, results), "--gallery", str(tmp_path / "people.kprdb"), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
    assert main([*words, "--out", str(tmp_path / "two")]) == 0
    assert persons(tmp_path / "one") == persons(tmp_path / "two") == LINKED
    with Gallery.open(tmp_path / "people.kprdb") as gallery:
        assert [len(person.sightings) for person in gallery.persons()] == [2, 3, 1, 1]


def test_a_gallery_gives_ids_and_names_and_remembers_decisions(results: list[Path], tmp_path: Path) -> None:
    people = tmp_path / "people.kprdb"
    words = ["--gallery", str(people), "--quiet", "--out"]
    assert main(["link", *map(str, results[:2]), *words, str(tmp_path / "one")]) == 0
    with Gallery.open(people) as gallery:
        gallery.name(2, "Anna")
        gallery.merge(1, 3)
    assert main(["link", str(results[2]), *words, str(tmp_path / "two")]) == 0
    third = read_tracks(tmp_path / "two" / "c.tracks.json").header
    assert dict(third.persons) == {1: 4, 2: 2} and dict(third.names) == {2: "Anna"}
    assert main(["link", *map(str, results), *words, str(tmp_path / "three")]) == 0
    assert persons(tmp_path / "three") == {"a": {1: 1, 2: 2, 3: 1}, "b": {4: 2, 5: 1}, "c": {1: 4, 2: 2}}


def test_corrections_come_first(results: list[Path], tmp_path: Path) -> None:
    assert main(["edit", str(results[0]), "delete 3", "name 1 Ben", "--quiet"]) == 0
    assert read_result(results[0]).prototypes.track_ids.tolist() == [1, 2]
    assert main(["link", *map(str, results[:2]), "--out", str(tmp_path / "linked"), "--quiet"]) == 0
    header = read_tracks(tmp_path / "linked" / "a.tracks.json").header
    assert dict(header.persons) == {1: 1, 2: 2} and dict(header.names) == {1: "Ben"}


def test_a_dry_run_writes_nothing(results: list[Path], tmp_path: Path) -> None:
    assert main(["link", *map(str, results), "--out", str(tmp_path / "linked"), "--dry-run"]) == 0
    assert not (tmp_path / "linked").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "a"], "are of the same video"),
        (["a", "missing"], "There is no file"),
        (["a", "b", "--min-probability", "0"], "above 0 and at most 1"),
        (["a", "b", "--min-probability", "nan"], "above 0 and at most 1"),
        (["a", "b", "--gallery", "people.kprdb", "--dry-run"], "There is no gallery"),
        (["a", "--out", "results"], "Choose another folder"),
    ],
)
def test_wrong_input_is_one_line(
    words: list[str],
    message: str,
    results: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    named = [f"results/{word}.tracks.json" if word in ("a", "b", "missing") else word for word in words]
    assert main(["link", "--out", "linked", *named]) in (2, 3)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "linked").exists()


def test_two_encoders_are_an_error(
    results: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prototypes = read_prototypes(results[1])
    write_beside_result(
        replace(prototypes, header={**prototypes.header, "reid": {"name": "onnx", "sha256": "1"}}), results[1]
    )
    assert main(["link", *map(str, results), "--out", str(tmp_path / "linked")]) == 2
    assert "cannot be compared" in capsys.readouterr().err
