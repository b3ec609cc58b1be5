"""The edits file keeps every acknowledged edit, whatever happens to the program that writes it."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import paths
from support.edit_cases import result

from kprtrack.core.errors import InputError, OutputError
from kprtrack.edits import Edits, edits_path
from kprtrack.edits.records import read_records, record_to_line

PEOPLE = [[1, 2, 3, 4, 5, 6, 7, 8]] * 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return edits_path(tmp_path / "tracks.json")


def test_it_is_beside_the_result_and_has_one_object_a_line(path: Path) -> None:
    assert path.name == "tracks.edits.jsonl"
    Edits(path).append(result(PEOPLE), "delete 1", "name 2 Zoë", "undo 1")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["text"] for line in lines] == ["delete 1", "name 2 Zoë", "undo 1"]
    assert all(line["version"] == 1 and line["written"].endswith("+00:00") for line in lines)
    anchor = lines[0]["parts"]["part"]["anchors"][0]
    assert anchor == {"frame": 0, "time_s": 0.0, "box": [20.0, 160.0, 60.0, 260.0]}


def test_a_torn_last_line_is_left_out_wherever_it_is_torn(path: Path) -> None:
    file = result(PEOPLE)
    Edits(path).append(file, "delete 1", "delete 2")
    data = path.read_bytes()
    second = data.index(b"\n") + 1
    for end in range(second + 1, len(data) - 1, 37):
        path.write_bytes(data[:end])
        read = Edits.read(path)
        assert [edit.text for edit in read.edits] == ["delete 1"] and read.torn
        after = Edits(path).append(file, "delete 3")
        assert [edit.text for edit in after.edits] == ["delete 1", "delete 3"]
        assert Edits.read(path) == after
        assert path.read_bytes().startswith(data[:second])


def test_a_last_line_that_an_editor_saved_without_its_end_counts(path: Path) -> None:
    file = result(PEOPLE)
    Edits(path).append(file, "delete 1", "delete 2")
    path.write_bytes(path.read_bytes()[:-1])
    assert len(Edits.read(path).edits) == 2
    assert len(Edits(path).append(file, "delete 3").edits) == len(Edits.read(path).edits) == 3


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_program_loses_no_acknowledged_edit(path: Path) -> None:
    program = (
        "import sys, pathlib; from support.edit_cases import result; from kprtrack.edits import Edits\n"
        "path, file = pathlib.Path(sys.argv[1]), result([[1]] * 2)\n"
        "for number in range(100000):\n"
        "    Edits(path).append(file, f'name 1 name{number}')\n"
        "    sys.stdout.write(f'{number}\\n'); sys.stdout.flush()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(paths.ROOT), str(paths.ROOT / "tests")])}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        for _ in range(8):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        acknowledged = 8 + len(process.stdout.read().splitlines())
    edits = Edits.read(path)
    assert len(edits.edits) >= acknowledged
    assert [edit.name for edit in edits.edits] == [f"name{number}" for number in range(len(edits.edits))]
    assert Edits(path).append(result([[1]] * 2), "undo").undone == {len(edits.edits)}


def test_several_programs_may_write_at_once(path: Path) -> None:
    file = result(PEOPLE)
    threads = [
        threading.Thread(target=lambda each=track_id: Edits(path).append(file, f"delete {each}"))
        for track_id in range(1, 8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    edits = Edits.read(path)
    assert sorted(edit.text for edit in edits.edits) == [f"delete {each}" for each in range(1, 8)]
    assert [edit.number for edit in edits.edits] == list(range(1, 8))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"version":1', b'"version":2', "line 1: it has version 2; this reads 1. Update kprtrack"),
        (b'"version":1', b'"verion":1', 'line 1: it has no "version"'),
        (b'{"version"', b'{version"', "line 1: this is not valid JSON"),
        (b'"edit":1', b'"edit":7', "line 1: edit 7 comes after 0"),
        (b'"kind":"delete"', b'"kind":"remove"', "line 1: kind or parts is missing or wrong"),
        (b'"time_s":0.0', b'"time_s":"x"', "line 1: time_s is missing or wrong"),
        (b'"box":[', b'"box":[1e99,', "line 1: box is missing or wrong"),
        (b'"box":[', b'"box":[NaN,', "line 1: box is missing or wrong"),
        (b'"undo":1', b'"undo":4', "line 2: there is no edit 4 to undo"),
        (b'"anchors"', b'"anchor"', "line 1: anchors is missing or wrong"),
    ],
)
def test_a_wrong_line_is_named(path: Path, old: bytes, new: bytes, message: str) -> None:
    Edits(path).append(result(PEOPLE), "delete 1", "undo")
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        Edits.read(path)
    assert f"{path}, {message}" in str(caught.value)


DAMAGE = [b"", b"1", b"-1", b"1e999", b"null", b"{}", b"[]", b'"', b"\n", b"\xff", b"[" * 9999]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_are_an_error_of_one_line(data: st.DataObject) -> None:
    file = result(PEOPLE)
    edits = Edits(Path("t.edits.jsonl")).preview(
        file, "swap 1 2 at frame 1", "name 3 Zoë", "undo", "delete 4"
    )
    text = bytearray(b"".join(map(record_to_line, edits.records)))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.sampled_from([0, 1, 1, 1, 9, 200]))
        text[start : start + length] = data.draw(
            st.sampled_from(
                [b"", b"1", b"-1", b"1e999", b"null", b"{}", b"[]", b'"', b"\n", b"\xff", b"[" * 9999]
            )
        )
    try:
        records, _ = read_records(bytes(text), Path("t.edits.jsonl"))
    except InputError as error:
        assert "\n" not in str(error) and "t.edits.jsonl, line" in str(error)
    else:
        Edits(Path("t.edits.jsonl"), tuple(records)).apply(file)


def test_a_missing_file_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no edits file"):
        Edits.read(tmp_path / "t.edits.jsonl")
    with pytest.raises(OutputError, match="Cannot write"):
        Edits(tmp_path / "missing" / "t.edits.jsonl").append(result(PEOPLE), "delete 1")
