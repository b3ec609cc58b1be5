"""`python -m kprtrack` runs the command line."""

import sys

from kprtrack.cli.main import main

sys.exit(main())
