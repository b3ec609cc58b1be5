"""Folders that tests read from."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"  # numbers of official programs, see its README
SHARED = ROOT.parent / "shared"  # real videos and weights; tests that need them are skipped without it
