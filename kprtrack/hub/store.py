"""Finds, downloads, imports and verifies weights by name. Only `get` and `download` go online."""

import difflib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from kprtrack.core.atomic_file import reason
from kprtrack.core.errors import OutputError, UserError, WeightsError
from kprtrack.core.files.folders import is_file
from kprtrack.core.files.paths import expanded
from kprtrack.hub.archive import extract_member
from kprtrack.hub.cache import (
    PACKAGE_WEIGHTS,
    exclusive_lock,
    own_files,
    prepare_store,
    sha256_of,
    store_file,
    store_folder,
    validate_unchanged,
)
from kprtrack.hub.catalog import CATALOGUE
from kprtrack.hub.download import Progress, download_file
from kprtrack.hub.entry import Kind, ModelEntry, is_permissive
from kprtrack.hub.model_file import ModelFile, manual_steps, matches, mismatch

__all__ = [
    "ModelFile",
    "ModelRow",
    "check",
    "download",
    "find",
    "get",
    "import_file",
    "list_models",
    "sha256_of",
    "store_folder",
]

SUFFIXES = (".pth.tar", ".pth", ".pt", ".safetensors", ".onnx")


@dataclass(frozen=True)
class ModelRow:
    """One row of `kprtrack models list`."""

    name: str
    kind: Kind | None  # None: imported under a name of the user's own
    architecture: str
    size_bytes: int | None
    licence: str
    score: str
    installed: bool
    downloadable: bool  # False: download it in a browser, then import it
    in_package: bool = False
    permissive: bool = False  # its licence allows any use


def find(name_or_path: str | Path) -> ModelFile:
    """Find weights by name or path, without network access.

    Args:
        name_or_path: Name in the catalogue, name of an imported file, or path.

    Returns:
        The file. Published weights given by their path have their catalogue entry, so that its settings
        apply.

    Raises:
        WeightsError: The weights are missing (the message says how to get them), damaged or unknown.
    """
    name, path = str(name_or_path), expanded(name_or_path)
    if is_file(path):
        sha256 = sha256_of(path)
        return ModelFile(path, _entry_of(path, sha256), sha256)
    if name in CATALOGUE:
        return _installed(CATALOGUE[name])
    own = own_files().get(name)
    if own is not None:
        sha256 = sha256_of(own)
        validate_unchanged(own, name, sha256)
        return ModelFile(own, None, sha256)
    if path.name != name or name.endswith(SUFFIXES):
        raise WeightsError(f"No file of weights at {path}.")
    raise _unknown(name)


def get(name: str, *, progress: Progress | None = None) -> ModelFile:
    """Download published weights unless they are already installed.

    Args:
        name: Name in the catalogue.
        progress: Called with the number of bytes received and the total, if known.

    Returns:
        The verified file.

    Raises:
        WeightsError: The name is unknown, the download failed or has another hash than published.
        OutputError: The file cannot be stored.
    """
    if name not in CATALOGUE:
        raise _unknown(name)
    return download(CATALOGUE[name], progress=progress)


def download(
    entry: ModelEntry, *, progress: Progress | None = None, allow_localhost: bool = False
) -> ModelFile:
    """Download the weights of a catalogue entry, as `get` does.

    A file with another sha256 than the published one is kept as FILE.rejected.

    Args:
        entry: What to download.
        progress: As for `get`.
        allow_localhost: Accept http to this machine, for tests.

    Returns:
        The verified file.

    Raises:
        WeightsError: As `get`.
        OutputError: As `get`.
    """
    if entry.in_package:
        return _installed(entry)
    target = prepare_store() / entry.file_name
    if target.is_file():
        return _installed(entry)
    if entry.url is None:
        raise WeightsError(f"'{entry.name}' has no direct link. {manual_steps(entry)}")
    with exclusive_lock(target):
        return _download_and_verify(entry, target, progress=progress, allow_localhost=allow_localhost)


def import_file(path: Path | str, name: str | None = None) -> ModelFile:
    """Copy a file of weights into the store; of a published zip archive, the weights in it.

    Published weights are identified by their sha256, or by their file name where no sha256 was published.

    Args:
        path: The file.
        name: Name to import it under; None for published weights.

    Returns:
        The copy.

    Raises:
        WeightsError: The file is missing or unknown, or the name is taken or belongs to other weights.
        OutputError: The store cannot be written.
    """
    source = expanded(path)
    if not is_file(source):
        raise WeightsError(f"No file of weights at {source}.")
    if source.suffix.lower() == ".zip":
        return _import_archive(source, name)
    sha256 = sha256_of(source)
    entry = CATALOGUE.get(name) if name else _by_hash(sha256) or _by_file_name(source)
    if entry is None and name is None:
        raise WeightsError(
            f"{source.name} (sha256 {sha256[:8]}...) is not in the catalogue."
            f" Give it a name: kprtrack models import {source} --name my-model"
        )
    if entry is not None and not matches(entry, sha256):
        raise WeightsError(mismatch(entry, source, sha256))
    if entry is not None and entry.in_package:
        return find(entry.name)  # already in the package: no copy
    target = prepare_store() / (entry.file_name if entry else _own_file_name(source, name or ""))
    label = entry.name if entry else name or ""
    with exclusive_lock(target):
        if not target.is_file():
            temporary = target.with_name(target.name + ".import")
            _copy(source, temporary)
            store_file(temporary, target, label, sha256)
        elif sha256_of(target) != sha256:
            raise WeightsError(
                f"{target} exists with other content. Remove it first, or import under another name."
            )
    return find(label)  # verifies the copy


def _import_archive(source: Path, name: str | None) -> ModelFile:
    """Take the weights out of a zip archive that a browser has saved."""
    entry = CATALOGUE.get(name) if name else _by_file_name(source)
    if entry is None or entry.member is None:
        raise WeightsError(
            f"{source} is not the archive of a model of the catalogue. Unpack it and import the file in it."
        )
    target = prepare_store() / entry.file_name
    temporary = target.with_name(target.name + ".import")
    with exclusive_lock(target):
        if not target.is_file():
            extract_member(source, entry, temporary)
            return _store_verified(entry, temporary, target)
    return _installed(entry)


def _copy(source: Path, target: Path) -> None:
    """Copy a file; what a killed import has left is replaced."""
    try:
        target.unlink(missing_ok=True)
        with source.open("rb") as reader, target.open("xb") as writer:
            shutil.copyfileobj(reader, writer)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise OutputError(f"Cannot copy {source} to {target.parent}: {reason(error)}") from error


def list_models() -> list[ModelRow]:
    """List the models of the catalogue, those of the package first, then imported ones; without hashing."""
    rows = []
    for entry in CATALOGUE.values():
        path = _place(entry)
        size = path.stat().st_size if path.is_file() else entry.size_bytes
        rows.append(
            ModelRow(
                entry.name,
                entry.kind,
                entry.architecture,
                size,
                entry.licence,
                entry.score,
                installed=path.is_file(),
                downloadable=entry.url is not None,
                in_package=entry.in_package,
                permissive=is_permissive(entry.licence),
            )
        )
    for name, path in sorted(own_files().items()):
        size = path.stat().st_size
        rows.append(ModelRow(name, None, "", size, "", "", installed=True, downloadable=False))
    return rows


def check(name: str) -> ModelFile:
    """Hash the weights of that name again. Raises: WeightsError as `find` does."""
    path = _place(CATALOGUE[name]) if name in CATALOGUE else own_files().get(name)
    if path is not None and path.is_file():
        sha256_of(path, reread=True)
    return find(name)


def _place(entry: ModelEntry) -> Path:
    return (PACKAGE_WEIGHTS if entry.in_package else store_folder()) / entry.file_name


def _download_and_verify(
    entry: ModelEntry, target: Path, *, progress: Progress | None, allow_localhost: bool
) -> ModelFile:
    assert entry.url is not None
    part = target.with_name(target.name + ".part")
    received = part if entry.member is None else target.with_name(target.name + ".zip.part")
    download_file(
        entry.url,
        received,
        size_bytes=entry.size_bytes if entry.member is None else None,
        manual_steps=manual_steps(entry),
        progress=progress,
        allow_localhost=allow_localhost,
    )
    if entry.member is not None:
        try:
            extract_member(received, entry, part)
        except WeightsError:  # the next download starts again
            received.unlink(missing_ok=True)
            raise
        received.unlink()
    return _store_verified(entry, part, target)


def _store_verified(entry: ModelEntry, part: Path, target: Path) -> ModelFile:
    """Move a complete file into the store; one with another hash is kept as FILE.rejected."""
    sha256 = sha256_of(part)
    if not matches(entry, sha256):
        rejected = target.with_name(target.name + ".rejected")
        part.replace(rejected)
        raise WeightsError(mismatch(entry, rejected, sha256))
    if entry.sha256 is None:
        validate_unchanged(target, entry.name, sha256)  # an earlier download may have been removed
    store_file(part, target, entry.name, sha256)
    return ModelFile(target, entry, sha256)


def _installed(entry: ModelEntry) -> ModelFile:
    """Return the file of an entry, verified against the published or the recorded sha256."""
    path = _place(entry)
    if not path.is_file() and entry.in_package:
        raise WeightsError(
            f"The weights '{entry.name}' are part of every release, but {path} is missing. Install the"
            " package again, or use published weights: --preset balanced."
        )
    if not path.is_file():
        size = f", {entry.size_bytes / 1e6:.0f} MB" if entry.size_bytes else ""
        online = (
            f"Get it with: kprtrack models get {entry.name}. Without internet access: " if entry.url else ""
        )
        raise WeightsError(
            f"The weights '{entry.name}' ({entry.file_name}{size}, licence {entry.licence}) are not in"
            f" {store_folder()}. {online}{manual_steps(entry)}"
        )
    sha256 = sha256_of(path)
    if not matches(entry, sha256):
        raise WeightsError(mismatch(entry, path, sha256))
    if not entry.in_package:
        validate_unchanged(path, entry.name, sha256)
    return ModelFile(path, entry, sha256)


def _entry_of(path: Path, sha256: str) -> ModelEntry | None:
    """Find the entry of a file by its hash, or by its name where no hash was published."""
    return _by_hash(sha256) or next(
        (entry for entry in CATALOGUE.values() if entry.sha256 is None and entry.file_name == path.name), None
    )


def _by_hash(sha256: str) -> ModelEntry | None:
    return next((entry for entry in CATALOGUE.values() if entry.sha256 and matches(entry, sha256)), None)


def _by_file_name(path: Path) -> ModelEntry | None:
    """Find the entry of that file name, without the " (1)" that browsers add to a second download."""
    plain = re.sub(r" ?\(\d+\)(?=\.)", "", path.name)
    entries = CATALOGUE.values()
    return next((entry for entry in entries if plain in (entry.file_name, entry.download_name)), None)


def _own_file_name(source: Path, name: str) -> str:
    """Make the file name of an imported file.

    Raises:
        UserError: The name has other characters than letters, digits, `.`, `_` and `-`.
        WeightsError: The kind of file is unknown.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UserError(f"'{name}' is not a valid model name: use letters, digits, '.', '_' and '-'.")
    suffix = next((suffix for suffix in SUFFIXES if source.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise WeightsError(
            f"Cannot import {source.name}: it must end in {', '.join(SUFFIXES)}. Use others by their path."
        )
    return name + suffix


def _unknown(name: str) -> WeightsError:
    nearest = difflib.get_close_matches(name, [*CATALOGUE, *own_files()], n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(near) for near in nearest)}?" if nearest else ""
    return WeightsError(f"No weights named '{name}' and no such file.{hint} All names: kprtrack models list")
