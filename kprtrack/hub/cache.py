"""Files of the model store: a folder of weights, a record beside each of them, and cached hashes."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from kprtrack.core.abandoned_parts import remove_abandoned_parts
from kprtrack.core.atomic_file import commit, exclusive, write_file
from kprtrack.core.errors import OutputError, WeightsError
from kprtrack.core.files.paths import expanded, real_path

HASHES = "hashes.json"
PACKAGE_WEIGHTS = Path(__file__).parents[1] / "weights"  # small weights in the package


def store_folder() -> Path:
    """Return $KPRTRACK_HOME/models, or the folder `models` in the user's cache; it may not exist yet."""
    home = os.environ.get("KPRTRACK_HOME")
    base = expanded(home) if home else platformdirs.user_cache_path("kprtrack", appauthor=False)
    return base / "models"


def prepare_store() -> Path:
    """Create the folder of the store and return it. Raises: OutputError if it cannot be created."""
    try:
        store_folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"Cannot create the model folder {store_folder()}: {reason}. Choose another folder:"
            " KPRTRACK_HOME=/some/folder"
        ) from error
    remove_abandoned_parts([store_folder()])
    return store_folder()


@contextmanager
def exclusive_lock(target: Path) -> Iterator[None]:
    """Keep other processes from writing the same file; the lock of a killed process is released.

    Raises:
        WeightsError: Another process holds the lock.
        OutputError: The store is not writable.
    """
    busy = WeightsError(f"Another process is writing {target.name}. Wait until it has finished.")
    advice = " Choose another folder: KPRTRACK_HOME=/some/folder"
    with exclusive(target.with_name(f".{target.name}.lock"), busy, advice=advice):
        yield


def sha256_of(path: Path, *, reread: bool = False, cache: bool = True) -> str:
    """Hash a file; the hash is cached by path, size and modification time.

    Args:
        path: The file.
        reread: Ignore a cached hash.
        cache: Store the hash in the cache.

    Returns:
        64 hex digits.
    """
    stat = path.stat()
    key = str(real_path(path))
    state = [stat.st_size, stat.st_mtime_ns]
    known = _read_json(store_folder() / HASHES).get(key)
    if not reread and isinstance(known, list) and len(known) == 3 and known[:2] == state:
        return str(known[2])
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if cache and path.parent != PACKAGE_WEIGHTS:  # using the package writes nothing into the user's cache
        _cache_hash(key, [*state, sha256])
    return sha256


def store_file(temporary: Path, target: Path, name: str, sha256: str) -> None:
    """Move a complete, verified file into the store and record it. Raises: OutputError."""
    try:
        _write_json(_record(target), {"name": name, "sha256": sha256})
        commit(temporary, target)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error.strerror or error}.") from error
    stat = target.stat()
    _cache_hash(str(real_path(target)), [stat.st_size, stat.st_mtime_ns, sha256])


def validate_unchanged(path: Path, name: str, sha256: str) -> None:
    """Compare a stored file with its record; a file copied there without a record gets one.

    Raises:
        WeightsError: The file differs from the one recorded.
    """
    first = _read_json(_record(path)).get("sha256")
    if first is None:
        # A read-only store cannot record it; the next run has nothing to compare with, either.
        with suppress(OutputError):
            _write_json(_record(path), {"name": name, "sha256": sha256})
    elif first != sha256:
        raise WeightsError(
            f"{path} has changed: its sha256 is {sha256}, when first used it was {first}. If the change is"
            f" intended, remove {_record(path)}; otherwise remove the weights and get '{name}' again."
        )


def own_files() -> dict[str, Path]:
    """Return the files imported under a name of the user's own, by that name."""
    files = {}
    for record in sorted(store_folder().glob("*.json")):
        target = record.with_suffix("")
        name = _read_json(record).get("name")
        # Published weights keep their publisher's file name; imported ones are called by their name.
        if isinstance(name, str) and target.name.startswith(f"{name}.") and target.is_file():
            files[name] = target
    return files


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _cache_hash(key: str, known: list[int | str]) -> None:
    # In a read-only store (a container, a shared disk) the file is hashed again next time.
    with suppress(OutputError):
        _write_json(store_folder() / HASHES, {**_read_json(store_folder() / HASHES), key: known})


def _read_json(path: Path) -> dict[str, object]:
    """Read a JSON object; empty if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: dict[str, object]) -> None:
    write_file(path, json.dumps(content, indent=1).encode(), concurrent=True)
