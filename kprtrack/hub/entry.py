"""An entry of the catalogue of weights: where a file comes from, and on which terms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["detector", "pose", "reid", "backbone"]
HashSource = Literal["publisher", "mirror", "third party"]
Setting = str | int | float | tuple[float, ...]

# Licences that allow any use, changes and redistribution, commercial ones included, by their SPDX names.
_PERMISSIVE = re.compile(r"MIT|BSD(-[234]-Clause)?|Apache-2\.0|CC-BY-[34]\.0|CC0-1\.0")


@dataclass(frozen=True)
class ModelEntry:
    """A published file of weights."""

    name: str  # stable short name, as in `kprtrack models get NAME`
    kind: Kind  # "backbone": initial weights for training, not a model to run
    architecture: str  # a --detector or --pose name; --reid kpr reads every kpr-…
    file_name: str
    page: str  # web page for a download in the browser
    licence: str  # of the weights, as their publisher states it
    score: str  # as published, not measured by us
    url: str | None = None  # direct https link; None: browser only
    size_bytes: int | None = None  # of the file, not of an archive that holds it
    sha256: str | None = None  # 64 hex digits, or the first 8 from the file's name; None: never published
    sha256_from: HashSource = "publisher"
    settings: Mapping[str, Setting] = field(
        default_factory=dict
    )  # configuration that belongs to it, by dotted key
    in_package: bool = False  # in kprtrack/weights/, with a model card beside it
    member: str | None = None  # name of the file in the zip archive at `url`; None: `url` is the file

    @property
    def download_name(self) -> str:
        """Name of the file that a browser saves."""
        return self.url.rpartition("/")[2] if self.url and self.member else self.file_name


def is_permissive(licence: str) -> bool:
    """Whether a licence allows any use of the weights.

    Args:
        licence: As in `ModelEntry.licence`.

    Returns:
        True for MIT, BSD, Apache-2.0, CC-BY and CC0. False for every restricted or unknown licence, and where
        only the code has one.

    Examples:
        >>> is_permissive("Apache-2.0"), is_permissive("MIT (the code's)"), is_permissive("CC-BY-NC-4.0")
        (True, False, False)
    """
    return _PERMISSIVE.fullmatch(licence) is not None
