"""The program with the functions of `fake_run` in place of networks: `python -m support.fake_cli WORDS`."""

import sys
from pathlib import Path
from typing import Any

import kprtrack.run
from kprtrack.cli.main import main
from support import fake_run

_track_video = kprtrack.run.track_video


def track_video(*arguments: Any, **options: Any) -> object:
    """As kprtrack.run.track_video."""
    return _track_video(*arguments, **options | {"networks": fake_run.NETWORKS})


def command(*words: str | Path) -> list[str]:
    """The command line that runs this module with words of `track`."""
    return [sys.executable, "-m", __name__, *map(str, words)]


if __name__ == "__main__":
    kprtrack.run.track_video = track_video
    sys.exit(main(sys.argv[1:]))
