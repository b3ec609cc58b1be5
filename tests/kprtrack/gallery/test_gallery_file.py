"""The file of a gallery: damaged, foreign, hostile, killed while it is written, used by several programs."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.gallery_cases import person_embedding, sha, video_prototypes
from support.paths import ROOT

from kprtrack.core.appearance import Appearance
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.gallery import Gallery, connection

QUERY = Appearance(person_embedding(1)[None].astype(np.float32), np.ones((1, 3), bool), np.zeros(1, bool))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of two videos with names and decisions."""
    path = tmp_path_factory.mktemp("gallery") / "people.kprdb"
    with Gallery.open(path, create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1, 2: 2}, together=[(1, 2)]))
        gallery.add(video_prototypes("b.mp4", {1: 1, 2: 3}))
        gallery.merge(1, 3)
        gallery.split(1, [(sha("b.mp4"), 1)])
        gallery.name(2, "Anna")
    assert [file.name for file in path.parent.iterdir()] == ["people.kprdb"]
    return path


def use(path: Path) -> None:
    """Everything that reads a gallery, and what writes it."""
    with Gallery.open(path) as gallery:
        persons = gallery.persons()
        for person in persons[:3]:
            gallery.prototypes_of(person.id)
        gallery.search(QUERY)
        gallery.known()
        gallery.constraints()
        gallery.videos()
        gallery.add(video_prototypes("b.mp4", {1: 1, 4: 4}))
        gallery.name(persons[0].id, "Zoe")
        gallery.merge(persons[0].id, persons[-1].id, preview=True)
        gallery.remove(persons[0].id)


def rejects(path: Path, change: Callable[[sqlite3.Connection], object], message: str) -> None:
    with sqlite3.connect(path) as database:
        change(database)
    database.close()
    with pytest.raises(UserError, match=message) as error:
        use(path)
    assert "\n" not in str(error.value)


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return shutil.copy(made, tmp_path / "copy.kprdb")


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("UPDATE prototype SET embedding = ? WHERE id = 2", (b"short",)),
        ("UPDATE prototype SET embedding = ? WHERE id = 2", (b"",)),
        ("UPDATE prototype SET embedding = ? WHERE id = 2", (np.full(24, np.nan, "<f2").tobytes(),)),
        ("UPDATE prototype SET embedding = ? WHERE id = 2", (np.full(24, 6e4, "<f2").tobytes(),)),
        ("UPDATE sighting SET mean = ? WHERE id = 1", (np.full(24, np.inf, "<f2").tobytes(),)),
        ("UPDATE prototype SET visible = ?", (1 << 40,)),
        ("UPDATE prototype SET visible = ?", (-1,)),
        ("UPDATE prototype SET time_s = ?", (1e300,)),
        ("UPDATE prototype SET x1 = ?", (float("inf"),)),
        ("UPDATE prototype SET frame = ?", (-5,)),
        ("UPDATE prototype SET quality = ?", (7.0,)),
        ("UPDATE sighting SET first_s = ?", (float("inf"),)),
        ("UPDATE sighting SET weight = ?", (-1,)),
        ("UPDATE sighting SET track_id = -id", ()),
        ("UPDATE sighting SET person = 77", ()),
        ("UPDATE person SET name = ? WHERE id = 2", ("x\x1b[2J",)),
        ("UPDATE person SET name = ? WHERE id = 2", ("x" * 5000,)),
        ("UPDATE person SET notes = ? WHERE id = 2", ("a\nb",)),
        ("UPDATE video SET name = ?", ("x" * 5000,)),
        ("UPDATE video SET header = ?", ("[" * 100_000,)),
        ("UPDATE video SET header = ?", ('"text"',)),
        ("UPDATE video SET header = ?", ("{}",)),
        ("UPDATE video SET together = ?", (b"123",)),
        ("UPDATE encoder SET dimensions = 9", ()),
        ("UPDATE encoder SET parts = 10000", ()),
        ("UPDATE encoder SET dimensions = 1 << 40", ()),
        ("DELETE FROM encoder", ()),
        ("UPDATE place SET boxes = ?", (np.full(12, np.nan, "<f4").tobytes(),)),
        ("UPDATE place SET frames = ?", (b"1234567",)),
        ("UPDATE place SET frames = ?", (b"",)),
        ("DELETE FROM sqlite_sequence", ()),
    ],
)
def test_values_that_no_gallery_has_are_one_line(
    copy: Path, statement: str, values: tuple[object, ...]
) -> None:
    rejects(copy, lambda database: database.execute(statement, values), "is damaged")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON sighting BEGIN UPDATE person SET name = 'x'; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE further (id)",
        "CREATE INDEX further ON person (notes)",
        "DROP TABLE decision",
        "ALTER TABLE person ADD COLUMN further TEXT",
        "PRAGMA user_version = 0",
    ],
)
def test_files_with_other_tables_or_triggers_are_one_line(copy: Path, statement: str) -> None:
    rejects(copy, lambda database: database.execute(statement), "its tables are not those of a gallery")


def test_a_newer_gallery_is_one_line(copy: Path) -> None:
    rejects(copy, lambda database: database.execute("PRAGMA user_version = 2"), "Update it")


def test_other_files_are_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.kprdb"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE person (id)")
    database.close()
    text = tmp_path / "text.kprdb"
    text.write_text("SQLite format 3, but not really\n" * 100)
    empty = tmp_path / "empty.kprdb"
    empty.touch()
    for path, message in (
        (other, "another SQLite file"),
        (text, "not a gallery of kprtrack"),
        (empty, "is empty"),
        (tmp_path, "it is no file"),
    ):
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(InputError, match=message):
            Gallery.open(path)
        if path not in (empty, tmp_path):  # an empty file becomes a gallery
            with pytest.raises(InputError, match=message):
                Gallery.open(path, create=True)
        assert (path.read_bytes() if path.is_file() else b"") == before
    for path in (text / "people.kprdb", tmp_path / ("x" * 300)):
        with pytest.raises(OutputError, match="Cannot"):
            Gallery.open(path, create=True)
        with pytest.raises(InputError, match="There is no gallery"):
            Gallery.open(path)
    with Gallery.open(empty, create=True) as gallery:
        assert gallery.persons() == []


def damages(data: bytes, random: np.random.Generator) -> bytes:
    """The data with one kind of damage at random places."""
    kind, changed = random.integers(4), bytearray(data)
    if kind == 0:
        return data[: random.integers(len(data))]
    for _ in range(random.integers(1, 20)):
        at = int(random.integers(len(data)))
        if kind == 1:
            changed[at] = random.integers(256)
        elif kind == 2:
            changed[at : at + 64] = random.bytes(min(64, len(data) - at))
        else:  # a page of zeros
            page = at // 8192 * 8192
            changed[page : page + 8192] = bytes(8192)
            break
    return bytes(changed)


def test_damages_are_one_line_or_not_noticed(made: Path, tmp_path: Path) -> None:
    data, found = made.read_bytes(), 0
    for seed in range(60):
        path = tmp_path / f"{seed}.kprdb"
        path.write_bytes(damages(data, np.random.default_rng(seed)))
        try:
            use(path)
        except UserError as error:
            found += 1
            assert "\n" not in str(error)
        for file in tmp_path.iterdir():
            file.unlink()
    assert found > 30


# Adds videos, and prints the name of each when it is there.
_WRITER = """
import sys
from support.gallery_cases import video_prototypes
from kprtrack.gallery import Gallery
with Gallery.open(sys.argv[1]) as gallery:
    for number in range(int(sys.argv[2]), int(sys.argv[2]) + 100_000):
        gallery.add(video_prototypes(f"{number}.mp4", {1: 1, 2: 2}))
        print(number, flush=True)
"""


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "people.kprdb"
    Gallery.open(path, create=True).close()
    acknowledged: list[int] = []
    for attempt in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, path, str(1000 * attempt)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        )
        assert process.stdout is not None
        acknowledged += [int(process.stdout.readline()) for _ in range(2 + 3 * attempt)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().split()]
        process.wait()
        process.stdout.close()
        with Gallery.open(path) as gallery:
            tracks = {
                (sighting.video, sighting.track_id)
                for person in gallery.persons()
                for sighting in person.sightings
            }
            counts = {person.prototypes for person in gallery.persons()}
        assert {(f"{number}.mp4", track) for number in acknowledged for track in (1, 2)} <= tracks
        assert len(tracks) == 2 * len({video for video, _ in tracks})  # no half of a video
        assert counts == {3}
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()


def test_others_read_the_state_before_while_one_writes(made: Path, tmp_path: Path) -> None:
    path = shutil.copy(made, tmp_path / "people.kprdb")
    with Gallery.open(path) as writer, Gallery.open(path) as reader:
        before = reader.persons()
        with writer.transaction():
            writer.add(video_prototypes("c.mp4", {1: 1}))
            assert len(writer.persons()) == len(before) + 1
            assert reader.persons() == before and len(reader.search(QUERY)) > 0
        assert len(reader.persons()) == len(before) + 1


def test_a_second_writer_waits_or_is_one_line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shutil.copy(made, tmp_path / "people.kprdb")
    monkeypatch.setattr(connection, "WAIT_S", 0.01)
    with Gallery.open(path) as first, Gallery.open(path) as second:
        with first.transaction(), pytest.raises(OutputError, match="another program is writing it"):
            second.name(1, "Anna B")
        second.name(1, "Anna B")
    monkeypatch.undo()
    entered, done = threading.Event(), threading.Event()

    def write() -> None:
        with Gallery.open(path) as other:
            entered.set()
            other.name(1, "Zoe")
            done.set()

    with Gallery.open(path) as gallery:
        with gallery.transaction():
            thread = threading.Thread(target=write)
            thread.start()
            entered.wait()
            assert not done.is_set()
            gallery.note(1, "first")
        thread.join()
        assert (gallery.person(1).name, gallery.person(1).notes) == ("Zoe", "first")


def test_a_part_that_fails_is_undone_alone(made: Path, tmp_path: Path) -> None:
    path = shutil.copy(made, tmp_path / "people.kprdb")
    with Gallery.open(path) as gallery:
        with gallery.transaction():
            gallery.note(1, "kept")
            with pytest.raises(UserError, match="split of this gallery"):
                gallery.add(video_prototypes("b.mp4", {1: 1, 2: 3}), {1: 1})
        assert gallery.person(1).notes == "kept" and len(gallery.videos()) == 2
        with pytest.raises(ZeroDivisionError), gallery.transaction():
            gallery.note(1, "lost")
            raise ZeroDivisionError
        assert gallery.person(1).notes == "kept"


def test_a_protected_gallery_is_read(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shutil.copy(made, tmp_path / "people.kprdb")
    monkeypatch.setattr(connection.os, "access", lambda _, mode: mode == os.R_OK)  # the tests may run as root
    with Gallery.open(path) as gallery:
        assert len(gallery.persons()) == 4
        with pytest.raises(OutputError, match="protected"):
            gallery.name(1, "Zoe")
    assert [file.name for file in tmp_path.iterdir()] == ["people.kprdb"]


@pytest.mark.parametrize("name", ["a b#c?d%20e&mode=ro.kprdb", "Zoë 人.kprdb", os.fsdecode(b"\xff.kprdb")])
def test_any_file_name_will_do(made: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "folder" / name
    try:
        path.parent.mkdir()
        shutil.copy(made, path)
    except (OSError, UnicodeEncodeError):
        pytest.skip("the file system has no such names")
    with Gallery.open(path) as gallery:
        gallery.note(1, "written")
    link = tmp_path / "link.kprdb"
    link.symlink_to(path)
    with Gallery.open(link) as gallery:
        assert gallery.person(1).notes == "written"
    assert [file.name for file in path.parent.iterdir()] == [name]
