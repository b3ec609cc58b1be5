"""Takes one file of weights out of a zip archive; no path of the archive is ever used."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from kprtrack.core.atomic_file import reason
from kprtrack.core.errors import OutputError, WeightsError
from kprtrack.hub.entry import ModelEntry

CHUNK_BYTES = 1 << 20
MOST_BYTES = 2 << 30  # of a file whose size is not known; no model in an archive has as many
MOST_FILES = 1000  # in an archive
# What zipfile raises about a damaged or unusual archive.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def extract_member(archive: Path, entry: ModelEntry, target: Path) -> None:
    """Unpack the entry's file from its archive, in pieces.

    Args:
        archive: A zip file.
        entry: Names the file by `member`, in whatever folder of the archive it is.
        target: File to write; an existing one is replaced.

    Raises:
        WeightsError: The archive is damaged, has no such file or several, or the file is larger than the
            entry's or than any model.
        OutputError: The target cannot be written.
    """
    try:
        target.unlink(missing_ok=True)
        with zipfile.ZipFile(archive) as opened, target.open("xb") as writer:
            _copy(opened, entry, archive, writer.write)
    except _DAMAGED as error:
        target.unlink(missing_ok=True)
        raise WeightsError(
            f"{archive} is no zip archive, cut short or damaged ({error}). Download it again."
        ) from error
    except WeightsError:
        target.unlink(missing_ok=True)
        raise
    except OSError as error:
        target.unlink(missing_ok=True)
        raise OutputError(f"Cannot unpack {archive} to {target}: {reason(error)}") from error


def _copy(
    opened: zipfile.ZipFile, entry: ModelEntry, archive: Path, write: Callable[[bytes], object]
) -> None:
    members = opened.infolist()
    found = [one for one in members if PurePosixPath(one.filename).name == entry.member and not one.is_dir()]
    if len(found) != 1 or len(members) > MOST_FILES:
        raise _other_archive(
            archive, entry, f"it holds {len(members)} files, {len(found)} of them named {entry.member}"
        )
    (member,) = found
    if entry.size_bytes not in (None, member.file_size) or member.file_size > MOST_BYTES:
        expected = f"at most {MOST_BYTES:,}" if entry.size_bytes is None else f"{entry.size_bytes:,}"
        raise _other_archive(
            archive, entry, f"its {entry.member} has {member.file_size:,} bytes, expected {expected}"
        )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile("compressed by another method than Deflate")
    with opened.open(member) as reader:  # gives no more bytes than file_size, and checks the CRC
        while chunk := reader.read(CHUNK_BYTES):
            write(chunk)


def _other_archive(archive: Path, entry: ModelEntry, reason: str) -> WeightsError:
    return WeightsError(f"{archive} is not the archive of '{entry.name}': {reason}. Download it again.")
