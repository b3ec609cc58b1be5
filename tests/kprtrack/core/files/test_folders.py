"""Hidden files are not found, and names of files do not leave their folder."""

from pathlib import Path

import pytest

from kprtrack.core.errors import InputError
from kprtrack.core.files.folders import InsideFolder, visible

HIDDEN = (".ipynb_checkpoints/a.jpg", "__MACOSX/a.jpg", "p0/._a.jpg", "p0/Thumbs.db", "p0/.hidden/a.jpg")
HIDDEN += ("@eaDir/a.jpg", "p0/desktop.ini", ".DS_Store")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_hidden_files_and_all_in_hidden_folders_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "data"  # the name of the folder itself does not count
    touch(folder, "p1/b.jpg", "p0/a.jpg", "a.b.jpg", *HIDDEN)
    found = [path.relative_to(folder).as_posix() for path in visible(folder, "**/*.*")]
    assert found == ["a.b.jpg", "p0/a.jpg", "p1/b.jpg"]
    assert visible(folder / "missing") == []


@pytest.mark.parametrize("name", ["a.jpg", "images/b.jpg", "./images/b.jpg", "images/new.jpg", "12:30.jpg"])
def test_names_below_the_folder_are_joined(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "a.jpg", "images/b.jpg")
    assert InsideFolder(tmp_path, "list.json").path(name) == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        *("/etc/passwd", "../a.jpg", "images/../../a.jpg", "images/..", "..\\a.jpg", "a\0.jpg", ""),
        *("link.jpg", "images/folder/a.jpg", "images/link.jpg"),
    ],
)
def test_names_that_lead_out_are_an_error(tmp_path: Path, name: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(root, "images/b.jpg")
    touch(outside, "a.jpg")
    (root / "link.jpg").symlink_to(outside / "a.jpg")
    (root / "images" / "link.jpg").symlink_to(outside / "a.jpg")
    (root / "images" / "folder").symlink_to(outside)
    with pytest.raises(InputError, match=r"^list\.json: .* leads out of the folder .*\. Move it\."):
        InsideFolder(root, "list.json", "Move it.").path(name)


def test_a_folder_of_the_root_may_be_on_another_disk(tmp_path: Path) -> None:
    root, disk = tmp_path / "root", tmp_path / "disk"
    touch(disk, "images/val/a.jpg", "secret.jpg")
    root.mkdir()
    (root / "images").symlink_to(disk / "images")
    (disk / "images" / "up.jpg").symlink_to(disk / "secret.jpg")
    assert InsideFolder(root, "a.json").path("images/val/a.jpg") == root / "images/val/a.jpg"
    with pytest.raises(InputError, match="leads out"):
        InsideFolder(root, "a.json").path("images/up.jpg")
