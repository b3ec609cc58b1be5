"""The store on disk: one folder of weights, a record beside each, and a memory of hashes."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from kprtrack.core.errors import OutputError, WeightsError

HASHES = "hashes.json"
SHIPPED = Path(__file__).parents[1] / "weights"  # small weights that come with the package


def where() -> Path:
    """The folder of the store: $KPRTRACK_HOME/models, else the user's cache folder. It may not exist yet."""
    home = os.environ.get("KPRTRACK_HOME")
    base = Path(home).expanduser() if home else platformdirs.user_cache_path("kprtrack", appauthor=False)
    return base / "models"


def prepare_store() -> Path:
    """The folder of the store, now existing.

    Raises: OutputError if it cannot be made.
    """
    try:
        where().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"Cannot make the model folder {where()}: {reason}. Choose another: KPRTRACK_HOME=/some/folder"
        ) from error
    return where()


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Keeps other processes from fetching the same file meanwhile; a killed process leaves nothing locked.

    Raises: WeightsError if another one is at it; OutputError if the store is not writable.
    """
    # The empty file stays: removing it could let a third process lock a new one beside a waiting second.
    try:
        lock = target.with_name(f".{target.name}.lock").open("w")
    except OSError as error:
        raise OutputError(
            f"Cannot write to {target.parent}: {error.strerror or error}."
            " Choose another folder: KPRTRACK_HOME=/some/folder"
        ) from error
    with lock as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WeightsError(
                f"Another process is fetching {target.name} at the moment: wait for it."
            ) from error
        yield


def sha256_of(path: Path, *, again: bool = False, remember: bool = True) -> str:
    """64 hex digits; remembered by path, size and time of change, so that big weights are read once.

    again: read the file, whatever is remembered. remember: False leaves no trace of the file in the store.
    """
    stat = path.stat()
    key = str(path.resolve())
    state = [stat.st_size, stat.st_mtime_ns]
    known = _read_json(where() / HASHES).get(key)
    if not again and isinstance(known, list) and len(known) == 3 and known[:2] == state:
        return str(known[2])
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if remember and path.parent != SHIPPED:  # to use the package alone writes nothing into the user's cache
        _remember_hash(key, [*state, sha256])
    return sha256


def put(aside: Path, target: Path, name: str, sha256: str) -> None:
    """Move a complete, checked file into the store and record it; its final name appears last.

    Raises: OutputError if the store is not writable.
    """
    try:
        _write_json(_record(target), {"name": name, "sha256": sha256})
        aside.replace(target)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error.strerror or error}.") from error
    stat = target.stat()
    _remember_hash(str(target.resolve()), [stat.st_size, stat.st_mtime_ns, sha256])


def validate_changed(path: Path, name: str, sha256: str) -> None:
    """Compare a stored file with its record; a file without one (laid there by hand) is recorded now.

    Raises: WeightsError if the file is no longer the one first seen.
    """
    first = _read_json(_record(path)).get("sha256")
    if first is None:
        # In a read-only store there is nothing to remember; the next run compares nothing either.
        with suppress(OSError):
            _write_json(_record(path), {"name": name, "sha256": sha256})
    elif first != sha256:
        raise WeightsError(
            f"{path} is not the file first seen: its sha256 is {sha256}, then it was {first}. If that is"
            f" meant, remove {_record(path)}; otherwise remove the weights and get '{name}' again."
        )


def own_files() -> dict[str, Path]:
    """Name -> file of all that the user imported under a name of their own."""
    files = {}
    for record in sorted(where().glob("*.json")):
        target = record.with_suffix("")
        name = _read_json(record).get("name")
        # Published files carry their publisher's file name; own ones their own name and a suffix.
        if isinstance(name, str) and target.name.startswith(f"{name}.") and target.is_file():
            files[name] = target
    return files


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _remember_hash(key: str, known: list[int | str]) -> None:
    # A read-only store (a container, a shared disk) costs a second reading next time, nothing else.
    with suppress(OSError):
        where().mkdir(parents=True, exist_ok=True)
        _write_json(where() / HASHES, {**_read_json(where() / HASHES), key: known})


def _read_json(path: Path) -> dict[str, object]:
    """The file's object; empty if there is none or it was cut short: nothing is known either way."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: dict[str, object]) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    aside.write_text(json.dumps(content, indent=1), "utf-8")
    aside.replace(path)
