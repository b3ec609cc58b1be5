"""What became of every video and chunk of a run: RESULTS/run.jsonl, one line for each finished task.

A later line replaces an earlier one of the same video or chunk. A line that a killed process has not finished
is left out, so its task is done again.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kprtrack.core.errors import OutputError
from kprtrack.scale.storage import Folder, RemoteFolder

MANIFEST = "run.jsonl"
_REMOTE_EVERY_S = 5.0  # objects cannot be appended to, so the whole file is written again


@dataclass(frozen=True)
class Record:
    """One line of the manifest.

    Args:
        video: Name of the video.
        chunk: Number of the chunk; None: the whole video.
        state: "done" or "failed".
        source: Version of the video, see `storage.version_of`.
        settings: Of the run, as a hash.
        result: Name of the result file.
        tries: How often the task was started; of a split video the task that needed most.
        frames: Number of frames.
        people: Number of IDs.
        seconds: Duration of the last try; of a split video the sum of its tasks.
        reason: Why it failed, or what is wrong with the video.
        exit_code: That of the command line for the reason; 0: all is well.
    """

    video: str
    chunk: int | None
    state: str
    source: str | None
    settings: str
    result: str = ""
    tries: int = 1
    frames: int = 0
    people: int = 0
    seconds: float = 0.0
    reason: str | None = None
    exit_code: int = 0

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.state == "done"


class Manifest:
    """Reads what earlier calls have done, and adds what this one does.

    Args:
        folder: The folder of the results.
        settings: Those of this run, as a hash; what was done with others does not count.

    Raises:
        InputError: The file cannot be read.
    """

    def __init__(self, folder: Folder, settings: str) -> None:
        self.settings = settings
        self.problem: OutputError | None = None  # why lines are not on the disk
        self._folder, self._remote = folder, isinstance(folder, RemoteFolder)
        self._records: dict[tuple[str, int | None], Record] = {}
        data = folder.read(MANIFEST) or b""
        for line in data.split(b"\n"):
            if (record := _parsed(line)) is not None and record.settings == settings:
                self._records[record.video, record.chunk] = record
        # Whole lines of this run only begin after the end of a line.
        self._waiting = b"\n" if data and not data.endswith(b"\n") else b""
        self._earlier = data if self._remote else b""
        self._written_s = time.monotonic()

    def find(self, video: str, source: str | None, chunk: int | None = None) -> Record | None:
        """Return what is known of a video or chunk; None: nothing, or the video is another one now.

        Args:
            video: Name of the video.
            source: Its present version; None: it is unknown, or the video is no longer there.
            chunk: Number of the chunk; None: the whole video.
        """
        record = self._records.get((video, chunk))
        return record if record is not None and source in (None, record.source) else None

    def add(self, record: Record) -> None:
        """Append a line; if that is not possible, it is tried again with the next one."""
        self._records[record.video, record.chunk] = record
        self._waiting += json.dumps(asdict(record)).encode() + b"\n"
        if not self._remote or time.monotonic() - self._written_s >= _REMOTE_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write all lines that are not written yet."""
        if not self._waiting:
            return
        try:
            if self._remote:
                self._folder.write(MANIFEST, self._earlier + self._waiting)
                self._earlier += self._waiting
            else:
                self._folder.append(MANIFEST, self._waiting)
        except OutputError as error:
            self.problem = error
            return
        self._waiting, self.problem, self._written_s = b"", None, time.monotonic()


def _parsed(line: bytes) -> Record | None:
    """The record of a line; None for one that is not whole or of another version."""
    try:
        values: Mapping[str, Any] = json.loads(line)
        return Record(**values)
    except (ValueError, TypeError, RecursionError):
        return None
