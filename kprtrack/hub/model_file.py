"""A file of weights and how it compares with its catalogue entry."""

from dataclasses import dataclass
from pathlib import Path

from kprtrack.hub.entry import ModelEntry


@dataclass(frozen=True)
class ModelFile:
    """A file of weights that exists and matches its known hash, if there is one."""

    path: Path
    entry: ModelEntry | None  # None: a file of the user's own
    sha256: str

    @property
    def trust(self) -> str:
        """Describe how far the origin of the file is verified."""
        if self.entry is None:
            return "your own file"
        if self.entry.in_package:
            return "part of the package, no download needed"
        if self.entry.sha256 is None:
            return "unverified: no sha256 was published; the file is compared with its first download"
        digits = "" if len(self.entry.sha256) == 64 else f"first {len(self.entry.sha256)} digits of the "
        return f"matches the {digits}sha256 from the {self.entry.sha256_from}"


def manual_steps(entry: ModelEntry) -> str:
    """Describe how to download a file in the browser and import it."""
    # Google Drive asks for confirmation on its page only, so its direct links do not work in a browser.
    direct = entry.url is not None and "drive.usercontent.google.com" not in entry.url
    return (
        f"Open {entry.url if direct else entry.page} in a browser, save {entry.download_name}, then:"
        f" kprtrack models import {entry.download_name} --name {entry.name}"
    )


def matches(entry: ModelEntry, sha256: str) -> bool:
    """Whether a file of that hash can be the entry's; True where no hash was published."""
    return entry.sha256 is None or sha256.startswith(entry.sha256)


def mismatch(entry: ModelEntry, path: Path, sha256: str) -> str:
    """Describe that a file is not the one of its entry, and what to do."""
    if entry.in_package:
        return (
            f"{path} is not '{entry.name}' of this release: its sha256 is {sha256}, expected {entry.sha256}."
            " Install the package again; to use other weights, give their path."
        )
    note = ""
    if entry.sha256_from != "publisher":
        note = f" (The expected value comes from a {entry.sha256_from} and may itself be wrong.)"
    return (
        f"{path} is not '{entry.name}': its sha256 is {sha256}, expected {entry.sha256}.{note} It is damaged"
        " or of another release, which may need other settings. Remove it and fetch it again; to use it as"
        " it is, give its path."
    )
