"""The model store: names for published weights, one local folder, checked files. Only `get` goes online."""

import difflib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from kprtrack.core.errors import OutputError, UserError, WeightsError
from kprtrack.hub.cache import (
    SHIPPED,
    alone,
    own_files,
    prepare_store,
    put,
    sha256_of,
    validate_changed,
    where,
)
from kprtrack.hub.catalog import CATALOGUE, Kind, ModelEntry
from kprtrack.hub.download import Progress, fetch

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
    "where",
]

SUFFIXES = (".pth.tar", ".pth", ".pt", ".safetensors", ".onnx")


@dataclass(frozen=True)
class ModelFile:
    """A file of weights that is in place and not known to be damaged."""

    path: Path
    entry: ModelEntry | None  # None: a file of the user's own
    sha256: str

    @property
    def trust(self) -> str:
        """What is known about the origin of the bytes, in words."""
        if self.entry is None:
            return "your own file"
        if self.entry.in_package:
            return "comes with the package, nothing to download"
        if self.entry.sha256 is None:
            return "unverified: no sha256 was ever published; the one seen first is remembered"
        digits = "" if len(self.entry.sha256) == 64 else f"first {len(self.entry.sha256)} digits of the "
        return f"matches the {digits}sha256 from the {self.entry.sha256_from}"


@dataclass(frozen=True)
class ModelRow:
    """One line of the table of models."""

    name: str
    kind: Kind | None  # None: imported under its own name
    architecture: str
    size_bytes: int | None
    licence: str
    score: str
    installed: bool
    downloadable: bool  # False: by browser, then import_file
    in_package: bool = False


def find(name_or_path: str | Path) -> ModelFile:
    """The weights of that name, or the user's own file of that path; never goes online.

    A known file given by its path comes with its entry, so that its settings apply.
    Raises: WeightsError if it is missing (with the ways to get it), damaged or unknown.
    """
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if path.is_file():
        sha256 = sha256_of(path)
        return ModelFile(path, _entry_of(path, sha256), sha256)
    if name in CATALOGUE:
        return _installed(CATALOGUE[name])
    own = own_files().get(name)
    if own is not None:
        sha256 = sha256_of(own)
        validate_changed(own, name, sha256)
        return ModelFile(own, None, sha256)
    if path.name != name or name.endswith(SUFFIXES):
        raise WeightsError(f"No file of weights at {path}.")
    raise _unknown(name)


def get(name: str, *, progress: Progress | None = None) -> ModelFile:
    """The weights of a catalogue name, downloaded unless they are in place or in the package already.

    Raises: WeightsError for an unknown name, a failed or wrong download; OutputError if it cannot be stored.
    """
    if name not in CATALOGUE:
        raise _unknown(name)
    return download(CATALOGUE[name], progress=progress)


def download(
    entry: ModelEntry, *, progress: Progress | None = None, allow_localhost: bool = False
) -> ModelFile:
    """As `get`, for any entry. allow_localhost: plain http to this machine is accepted.

    A file with another sha256 than the published one is kept as FILE.rejected and never used by its name.
    """
    if entry.in_package:
        return _installed(entry)
    target = prepare_store() / entry.file_name
    if target.is_file():
        return _installed(entry)
    if entry.url is None:
        raise WeightsError(f"'{entry.name}' has no direct link. {_by_hand(entry)}")
    with alone(target):
        return _fetch_and_check(entry, target, progress=progress, allow_localhost=allow_localhost)


def import_file(path: Path | str, name: str | None = None) -> ModelFile:
    """A copy of a downloaded or own file in the store, under its catalogue name or under `name`.

    Known files are recognised by their sha256; those for which none was published by their file name.
    Raises: WeightsError if the file is missing, is not what its name says, is unknown and has no `name`, or
    the name is taken; OutputError if the store cannot be written.
    """
    source = Path(path).expanduser()
    if not source.is_file():
        raise WeightsError(f"No file of weights at {source}.")
    sha256 = sha256_of(source)
    entry = CATALOGUE.get(name) if name else _by_hash(sha256) or _by_file_name(source)
    if entry is None and name is None:
        raise WeightsError(
            f"{source.name} (sha256 {sha256[:8]}...) is not a published file known here."
            f" Give it a name: kprtrack models import {source} --name my-model"
        )
    if entry is not None and not _matches(entry, sha256):
        raise WeightsError(_mismatch(entry, source, sha256))
    if entry is not None and entry.in_package:
        return find(entry.name)  # no copy: there is one place for it
    target = prepare_store() / (entry.file_name if entry else _own_file_name(source, name or ""))
    label = entry.name if entry else name or ""
    if target.is_file():
        if sha256_of(target) == sha256:
            return find(label)
        raise WeightsError(
            f"{target} exists with other content. Remove it first, or import under another name."
        )
    aside = target.with_name(target.name + ".import")
    try:
        shutil.copyfile(source, aside)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OutputError(f"Cannot copy {source} to {target.parent}: {error.strerror or error}.") from error
    put(aside, target, label, sha256)
    return find(label)  # reads the copy back


def list_models() -> list[ModelRow]:
    """All models of the catalogue, those in the package first, then imported ones; hashes nothing."""
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
            )
        )
    for name, path in sorted(own_files().items()):
        size = path.stat().st_size
        rows.append(ModelRow(name, None, "", size, "", "", installed=True, downloadable=False))
    return rows


def check(name: str) -> ModelFile:
    """The weights of that name, read from end to end. Raises: WeightsError as `find` does."""
    path = _place(CATALOGUE[name]) if name in CATALOGUE else own_files().get(name)
    if path is not None and path.is_file():
        sha256_of(path, again=True)
    return find(name)


def _place(entry: ModelEntry) -> Path:
    return (SHIPPED if entry.in_package else where()) / entry.file_name


def _fetch_and_check(
    entry: ModelEntry, target: Path, *, progress: Progress | None, allow_localhost: bool
) -> ModelFile:
    assert entry.url is not None
    part = target.with_name(target.name + ".part")
    fetch(
        entry.url,
        part,
        size_bytes=entry.size_bytes,
        by_hand=_by_hand(entry),
        progress=progress,
        allow_localhost=allow_localhost,
    )
    sha256 = sha256_of(part)
    if not _matches(entry, sha256):
        rejected = target.with_name(target.name + ".rejected")
        part.replace(rejected)
        raise WeightsError(_mismatch(entry, rejected, sha256))
    if entry.sha256 is None:
        validate_changed(target, entry.name, sha256)  # an earlier copy may have been seen and removed
    put(part, target, entry.name, sha256)
    return ModelFile(target, entry, sha256)


def _installed(entry: ModelEntry) -> ModelFile:
    """The file of an entry, checked against the published sha256 or the one first seen."""
    path = _place(entry)
    if not path.is_file() and entry.in_package:
        raise WeightsError(
            f"The weights '{entry.name}' come with every release, but this installation lacks {path}. Install"
            " the package again, or take published weights: --preset balanced."
        )
    if not path.is_file():
        size = f", {entry.size_bytes / 1e6:.0f} MB" if entry.size_bytes else ""
        online = (
            f"Get it with: kprtrack models get {entry.name}. Or without internet here: " if entry.url else ""
        )
        raise WeightsError(
            f"The weights '{entry.name}' ({entry.file_name}{size}, licence {entry.licence}) are not in"
            f" {where()}. {online}{_by_hand(entry)}"
        )
    sha256 = sha256_of(path)
    if not _matches(entry, sha256):
        raise WeightsError(_mismatch(entry, path, sha256))
    if not entry.in_package:
        validate_changed(path, entry.name, sha256)
    return ModelFile(path, entry, sha256)


def _by_hand(entry: ModelEntry) -> str:
    # A direct link needs no search on a page; on Drive only the page shows its questions.
    direct = entry.url is not None and "drive.usercontent.google.com" not in entry.url
    return (
        f"Open {entry.url if direct else entry.page} in a browser, save {entry.file_name}, then:"
        f" kprtrack models import {entry.file_name} --name {entry.name}"
    )


def _matches(entry: ModelEntry, sha256: str) -> bool:
    return entry.sha256 is None or sha256.startswith(entry.sha256)


def _mismatch(entry: ModelEntry, path: Path, sha256: str) -> str:
    if entry.in_package:
        return (
            f"{path} is not '{entry.name}' of this release: its sha256 is {sha256}, expected {entry.sha256}."
            " Install the package again; to use other weights, give their path."
        )
    doubt = ""
    if entry.sha256_from != "publisher":
        doubt = f" (The expected value comes from a {entry.sha256_from} and may itself be wrong.)"
    return (
        f"{path} is not '{entry.name}': its sha256 is {sha256}, expected {entry.sha256}.{doubt} It is damaged"
        " or of another release, which may need other settings. Remove it and fetch it again; to use it as"
        " it is, give its path."
    )


def _entry_of(path: Path, sha256: str) -> ModelEntry | None:
    """The entry of a user's file: by hash, or by name where no hash was ever published."""
    return _by_hash(sha256) or next(
        (entry for entry in CATALOGUE.values() if entry.sha256 is None and entry.file_name == path.name), None
    )


def _by_hash(sha256: str) -> ModelEntry | None:
    return next((entry for entry in CATALOGUE.values() if entry.sha256 and _matches(entry, sha256)), None)


def _by_file_name(path: Path) -> ModelEntry | None:
    """The entry of that file name; browsers add " (1)" to a second download."""
    plain = re.sub(r" ?\(\d+\)(?=\.)", "", path.name)
    return next((entry for entry in CATALOGUE.values() if entry.file_name == plain), None)


def _own_file_name(source: Path, name: str) -> str:
    """Where a user's own file goes in the store.

    Raises: UserError for a name that is no plain file name; WeightsError for another kind of file.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UserError(f"'{name}' cannot name a model: use letters, digits, '.', '_' and '-'.")
    suffix = next((suffix for suffix in SUFFIXES if source.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise WeightsError(
            f"Cannot import {source.name}: known kinds are {', '.join(SUFFIXES)}. Give others by their path."
        )
    return name + suffix


def _unknown(name: str) -> WeightsError:
    nearest = difflib.get_close_matches(name, [*CATALOGUE, *own_files()], n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(near) for near in nearest)}?" if nearest else ""
    return WeightsError(f"No weights named '{name}' and no such file.{hint} All names: kprtrack models list")
