"""Where results go and videos come from: paths, and addresses of object stores such as s3://bucket/folder.

Object stores are read and written through fsspec; every write of a file is whole or does not happen.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from kprtrack.core.atomic_file import reason, rename, write_file
from kprtrack.core.errors import InputError, OutputError
from kprtrack.core.extras import require
from kprtrack.core.files.paths import expanded
from kprtrack.video.inputs import VIDEO_SUFFIXES

SCHEMES = (
    "abfs",
    "abfss",
    "az",
    "gcs",
    "gs",
    "s3",
    "s3a",
)  # other addresses are streams, read by the decoder
SCRATCH = "parts"  # folder of the results for unfinished files and chunks


class Folder(Protocol):
    """The folder of the results of a run."""

    def names(self) -> set[str]:
        """The names of the files in it."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None: there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Replace a file. Raises: OutputError."""

    def append(self, name: str, data: bytes) -> None:
        """Write at the end of a file. Raises: OutputError."""

    def publish(self, file: Path, name: str) -> None:
        """Give a finished file its final name. Raises: OutputError."""

    def fetch(self, name: str, scratch: Path) -> Path:
        """A local file with the content of one in the folder. Raises: InputError."""

    def remove(self, name: str) -> None:
        """Remove a folder in it, if there is one."""

    def scratch(self) -> "Any":
        """A new local folder for unfinished files, as a context manager that removes it."""


def is_remote(path: object) -> bool:
    """Whether it is an address of an object store."""
    return str(path).partition("://")[0] in SCHEMES and "://" in str(path)


def open_folder(out: str) -> Folder:
    """Return the folder of the results, made if it is missing; a bucket is never made.

    Args:
        out: A path or an address.

    Raises:
        OutputError: It cannot be made or reached.
        UserError: A package is missing.
    """
    return RemoteFolder(out) if is_remote(out) else LocalFolder(expanded(out))


class LocalFolder:
    """A folder on a disk that all machines share, or of this machine alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot make the folder {path}: {reason(error)} Choose another.") from error

    def names(self) -> set[str]:
        return {entry.name for entry in os.scandir(self.path) if entry.is_file()}

    def read(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"Cannot read {self.path / name}: {reason(error)}") from error

    def write(self, name: str, data: bytes) -> None:
        write_file(self.path / name, data)

    def append(self, name: str, data: bytes) -> None:
        file = self.path / name
        try:
            file.parent.mkdir(exist_ok=True)
            with file.open("ab") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OutputError(f"Cannot write {file}: {reason(error)}") from error

    def publish(self, file: Path, name: str) -> None:
        target = self.path / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            rename(file, target)
        except OSError as error:
            raise OutputError(f"Cannot write {target}: {reason(error)}") from error

    def fetch(self, name: str, scratch: Path) -> Path:
        return self.path / name

    def remove(self, name: str) -> None:
        shutil.rmtree(self.path / name, ignore_errors=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        try:
            (self.path / SCRATCH).mkdir(exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="unfinished-", dir=self.path / SCRATCH))
        except OSError as error:
            raise OutputError(f"Cannot write into {self.path / SCRATCH}: {reason(error)}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class RemoteFolder:
    """A folder of an object store."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._system, self._root = _file_system(self.url, OutputError)

    def names(self) -> set[str]:
        try:
            self._system.invalidate_cache()
            found = self._system.ls(self._root, detail=True)
        except FileNotFoundError:
            return set()
        except Exception as error:
            raise OutputError(f"Cannot list {self.url}: {_why(error)}") from error
        return {entry["name"].rpartition("/")[2] for entry in found if entry["type"] == "file"}

    def read(self, name: str) -> bytes | None:
        try:
            data: bytes = self._system.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        except Exception as error:
            raise InputError(f"Cannot read {self.url}/{name}: {_why(error)}") from error
        return data

    def write(self, name: str, data: bytes) -> None:
        with _as_output_error(f"{self.url}/{name}"):
            self._system.pipe_file(f"{self._root}/{name}", data)

    def append(self, name: str, data: bytes) -> None:
        self.write(name, (self.read(name) or b"") + data)

    def publish(self, file: Path, name: str) -> None:
        with _as_output_error(f"{self.url}/{name}"):
            self._system.put_file(str(file), f"{self._root}/{name}")

    def fetch(self, name: str, scratch: Path) -> Path:
        local = scratch / name.replace("/", "-")
        _download(self._system, f"{self._root}/{name}", local, f"{self.url}/{name}")
        return local

    def remove(self, name: str) -> None:
        with suppress(Exception):
            self._system.rm(f"{self._root}/{name}", recursive=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        with temporary_folder() as folder:
            yield folder


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder of this machine, which is removed at the end of the block. Raises: OutputError."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="kprtrack-"))
    except OSError as error:
        raise OutputError(f"Cannot write into {tempfile.gettempdir()}: {reason(error)}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def expand_remote(url: str) -> list[str]:
    """Resolve an address of an object store: a video, a pattern of videos or a folder of videos.

    Args:
        url: As given by the user.

    Returns:
        The addresses of the videos, sorted.

    Raises:
        InputError: It cannot be reached, or there is no video.
    """
    system, path = _file_system(url, InputError)
    scheme = url.partition("://")[0]
    try:
        if "*" in path:
            found = system.glob(path)
        elif not Path(path).suffix and system.isdir(path):
            found = [
                entry for entry in system.ls(path, detail=False) if entry.rstrip("/") != path.rstrip("/")
            ]
        else:
            return [url]
    except Exception as error:
        raise InputError(f"Cannot read {url}: {_why(error)}") from error
    videos = sorted(name for name in found if Path(name).suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise InputError(f"There is no video at {url}.")
    return [f"{scheme}://{name}" for name in videos]


def fetch_video(url: str, scratch: Path) -> Path:
    """Copy a video of an object store to this machine.

    Args:
        url: Its address.
        scratch: An existing folder.

    Returns:
        The copy.

    Raises:
        InputError: It cannot be read, or does not fit on the disk.
    """
    system, path = _file_system(url, InputError)
    local = scratch / Path(path).name
    _download(system, path, local, url)
    return local


def version_of(source: str | int | Path) -> tuple[str | None, int]:
    """Return what changes when a video is replaced, and its size in bytes; None, 0 if unknown.

    Args:
        source: A path or an address.
    """
    if is_remote(source):
        try:
            system, path = _file_system(str(source), InputError)
            info = system.info(path)
        except Exception:  # the reason comes when the video is read
            return None, 0
        etag = info.get("ETag") or info.get("etag") or info.get("LastModified") or ""
        return f"{info.get('size')}-{etag}".replace('"', ""), int(info.get("size") or 0)
    try:
        status = expanded(str(source)).stat()
    except OSError:
        return None, 0
    return f"{status.st_size}-{status.st_mtime_ns}", status.st_size


def _file_system(url: str, kind: type[InputError | OutputError]) -> tuple[Any, str]:
    require(url.partition("://")[0] + "://", "fsspec")
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except Exception as error:  # ImportError: "Install s3fs to access S3"
        raise kind(f"Cannot reach {url}: {_why(error)}") from error
    return system, str(path)


def _download(system: Any, path: str, local: Path, shown: str) -> None:
    try:
        system.get_file(path, str(local))
    except Exception as error:
        raise InputError(f"Cannot read {shown}: {_why(error)}") from error


@contextmanager
def _as_output_error(shown: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise OutputError(f"Cannot write {shown}: there is no such bucket.") from error
    except Exception as error:  # every store has errors of its own
        raise OutputError(f"Cannot write {shown}: {_why(error)}") from error


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it does not exist."
    if isinstance(error, OSError) and error.strerror and error.errno:
        return reason(error)
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text if text.endswith((".", "!")) else f"{text}."
