"""Files are complete or unchanged, whatever happens while they are written."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kprtrack.core.abandoned_parts import remove_abandoned_parts
from kprtrack.core.atomic_file import commit, part_path, reason, write_file
from kprtrack.core.errors import OutputError

_WRITERS = """
import sys
from pathlib import Path
from kprtrack.core.abandoned_parts import remove_abandoned_parts
from kprtrack.core.atomic_file import write_file
for _ in range(20):
    write_file(Path(sys.argv[1]), sys.argv[2].encode() * 100_000, concurrent=True)
"""


def test_a_file_is_created_with_its_folder_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.json"
    write_file(path, b"first")
    write_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_file(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["disk", "link", "target"]


def test_a_failed_write_keeps_the_existing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError) as raised:
        write_file(path, b"new")
    assert str(raised.value) == (
        f"Cannot write {path}: No space left on device. Free some space, or choose another disk."
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="Cannot write"):
        write_file(tmp_path / "file" / "a.json", b"")


def test_the_content_reaches_the_disk_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    replace = Path.replace

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: steps.append("flush"))
    monkeypatch.setattr(Path, "replace", noted_replace)
    part = part_path(tmp_path / "a")
    part.write_bytes(b"x")
    commit(part, tmp_path / "a")
    assert steps == (["flush", "rename"] if os.name == "nt" else ["flush", "rename", "flush"])


def test_processes_that_write_the_same_file_never_mix_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    running = [
        subprocess.Popen([sys.executable, "-c", _WRITERS, str(path), letter]) for letter in ("a", "b", "c")
    ]
    assert [process.wait(timeout=600) for process in running] == [0, 0, 0]
    assert len(path.read_bytes()) == 100_000 and len(set(path.read_bytes())) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free some space"), (errno.EACCES, "Choose a folder"), (errno.EIO, "error.")],
)
def test_the_reason_says_what_to_do(number: int, advice: str) -> None:
    assert advice in reason(OSError(number, os.strerror(number)))


def test_part_files_of_processes_that_have_ended_are_removed(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    ours, other = part_path(tmp_path / "a.png", concurrent=True), tmp_path / f"a.png.{int(ended.stdout)}.part"
    for file in (ours, other, part_path(tmp_path / "result.json"), tmp_path / "a.png"):
        file.write_bytes(b"x")
    remove_abandoned_parts([tmp_path, tmp_path / "missing", tmp_path])
    kept = {ours.name, "result.json.part", "a.png"}
    assert {file.name for file in tmp_path.iterdir()} == (kept if os.name != "nt" else kept - {ours.name})
