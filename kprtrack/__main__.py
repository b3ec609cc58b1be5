"""`python -m kprtrack` runs the command line."""

import sys
from pathlib import Path

# Python looks for modules in the current folder first, where a config may be called reid.py.
_FOLDER = Path(__file__).resolve().parents[1]
if not sys.flags.safe_path and Path(sys.path[0]) == Path.cwd() != _FOLDER:
    del sys.path[0]

from kprtrack.cli.main import main  # noqa: E402 - now that the current folder is left out

sys.exit(main())
