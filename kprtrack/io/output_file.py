"""A result file while it is written: NAME.part, then NAME, or NAME.partial beside a complete older result."""

import os
import re
import stat
from io import FileIO
from pathlib import Path

from kprtrack.core.atomic_file import (
    PartFile,
    create_locked,
    in_use,
    open_part,
    part_path,
    reason,
    try_lock,
    validate_no_loop,
)
from kprtrack.core.errors import OutputError
from kprtrack.core.files.paths import real_path

PARTIAL_SUFFIX = ".partial"  # of an incomplete result whose name belongs to an older result
_ZEROS = 1 << 20  # bytes reserved in one write
_DESCRIPTORS = re.compile(r"/dev/(stdin|stdout|stderr)|/dev/fd/(\d+)")
_STANDARD = ("stdin", "stdout", "stderr")


class OutputFile:
    """An unbuffered, locked file, so that every error is raised by the write that caused it.

    A file is written as NAME.part; the part file of a killed run is kept as NAME.old.part until this one is
    complete. A format that can be read while it grows is written under its final name, unless there is an
    older file, and may also go to a pipe or device.

    Args:
        path: The final name.
        streams: Other programs can read the format while it grows.
        existing: Continue the part file of a killed run, if there is one.

    Raises:
        OutputError: The folder does not exist, there is no permission, the path is something else than a
            file, or another run is writing it.
    """

    def __init__(self, path: Path, *, streams: bool = False, existing: bool = False) -> None:
        validate_target(path, streams=streams)
        self.path = path
        self.saved: Path | None = None  # the file that holds the frames, once it is finished
        self._part: PartFile | None = None
        try:
            if streams and is_stream(path):
                self.handle = _open_stream(path)
            elif streams and not path.exists():
                self.handle = self._create_in_place()
            else:
                _validate_unlocked(path)
                self._part = PartFile(path, keep_old=True, existing=existing)
                self.handle = self._part.handle
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {reason(error)}") from error

    @property
    def is_file(self) -> bool:
        """Whether it is a file, which can be truncated, not a pipe or device."""
        return stat.S_ISREG(os.fstat(self.handle.fileno()).st_mode)

    @property
    def present(self) -> Path:
        """Its name while it is written."""
        return self._part.part if self._part else self.path

    def finish(self, *, replace: bool) -> Path:
        """Flush the file to the disk and give it its name.

        Args:
            replace: An older file of that name may be replaced; else this one is called NAME.partial.

        Returns:
            The file that holds the result.

        Raises:
            OutputError: It failed; the data stays in NAME.part.
        """
        beside = self._part is not None and not replace and self.path.exists()
        target = partial_path(self.path) if beside else self.path
        try:
            if self._part is not None:
                self._part.commit(target if beside else None)
            else:
                if self.is_file:
                    os.fsync(self.handle.fileno())
                self.handle.close()
        except OSError as error:
            raise OutputError(
                f"Cannot finish {self.path}: {reason(error)} What was written is in {self.present}."
            ) from error
        self.saved = target
        return target

    def keep(self) -> Path:
        """Close the file unfinished and return its present name."""
        self.handle.close()
        self.saved = self.present
        return self.saved

    def discard(self) -> None:
        """Close the file and remove it."""
        if self._part is not None:
            self._part.discard()
            return
        if not self.handle.closed and self.is_file and not is_stream(self.path):
            self.path.unlink(missing_ok=True)
        self.handle.close()

    def reserve(self, size: int) -> None:
        """Reserve space for `size` more bytes, for libraries that cannot repair a file after a failed write.

        Raises:
            OSError: There is no space; the file keeps its length.
        """
        here, end = self.handle.tell(), self.handle.seek(0, os.SEEK_END)
        try:
            missing = here + size - end
            while missing > 0:
                missing -= self.handle.write(bytes(min(missing, _ZEROS))) or 0
        except OSError:
            self.handle.truncate(end)
            raise
        finally:
            self.handle.seek(here)

    def _create_in_place(self) -> FileIO:
        validate_no_loop(self.path)
        part = open_part(part_path(self.path), self.path)  # another run may write it under that name
        if part is not None:
            part.close()
        try:
            handle = create_locked(real_path(self.path), self.path)
        except FileExistsError as error:
            raise in_use(self.path) from error
        if handle is None:
            raise in_use(self.path)
        return handle


def partial_path(path: Path) -> Path:
    """Return the name of an incomplete result that must not replace the file at `path`."""
    real = real_path(path)
    return real.with_name(real.name + PARTIAL_SUFFIX)


def saved_in(path: Path, saved: Path | None) -> str:
    """Say where the frames are: "it", or another file.

    Args:
        path: The output that the message has named before.
        saved: Where the frames are; None: in `path`.
    """
    return "it" if saved in (None, path) else f"{saved}; {path} is unchanged"


def is_stream(path: Path) -> bool:
    """Whether a path names a pipe, a device or an open file descriptor."""
    if _DESCRIPTORS.fullmatch(path.as_posix()):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def validate_target(path: Path, *, streams: bool = False) -> None:
    """Check that a result can be written to a path, without touching it.

    Args:
        path: The result.
        streams: The format may go to a pipe or device.

    Raises:
        OutputError: It cannot.
    """
    if is_stream(path):
        if not streams:
            raise OutputError(
                f"Cannot write {path}: it is a device or pipe, and this format needs a file."
                " Only jsonl streams."
            )
        return
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"Cannot write {path}: it is a folder. Name a file in it.")
    if not folder.exists():
        raise OutputError(f"Cannot write {path}: there is no folder {folder}. Create it, or choose another.")
    if not folder.is_dir():
        raise OutputError(f"Cannot write {path}: {folder} is not a folder. Choose another name.")
    # Renaming over a write-protected file would succeed and replace what its owner protected.
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"Cannot write {path}: it is write-protected. Choose another name.")


def _open_stream(path: Path) -> FileIO:
    match = _DESCRIPTORS.fullmatch(path.as_posix())
    if match is None:
        return FileIO(path, "w")
    # A copy of the descriptor: opening its name would empty a file that the shell appends to.
    return FileIO(os.dup(_STANDARD.index(match[1]) if match[1] else int(match[2])), "w")


def _validate_unlocked(path: Path) -> None:
    """Raises: OutputError if another run is writing the file under its final name."""
    if not path.is_file():
        return
    with path.open("rb", buffering=0) as file:
        if not try_lock(file):
            raise in_use(path)
