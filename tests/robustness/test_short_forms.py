"""Short forms of tools/fuzz.py and tools/kill.py; docs/reliability.md has the figures of the long ones."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import paths

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the tools limit processes as only Linux can"),
]


def run(*words: str) -> str:
    """Run a tool, which must find no fault; returns what it printed."""
    ran = subprocess.run(
        [sys.executable, *words], cwd=paths.ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-3000:]
    return ran.stdout


def test_mutated_inputs_are_read_or_rejected_in_one_line() -> None:
    printed = run("tools/fuzz.py", "--cases", "100", "--seed", "16")
    assert "\n100 cases in " in printed


def test_killed_runs_resume_with_the_same_result() -> None:
    runs = ["train reid", "track .json resumed", "observe resumed", "import", "bench"]
    printed = run("tools/kill.py", "--kills", "8", "--seed", "16", "--runs", *runs)
    assert " kills, 0 faults" in printed


def test_a_case_has_the_same_input_and_command_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(paths.ROOT / "tools")
    from fuzz import Fuzzer
    from robustness.targets import TARGETS

    (tmp_path / "inputs").mkdir()
    name = "results in.csv"
    fuzzer = Fuzzer(16, tmp_path / "inputs", None)
    number = next(n for n in range(200) if fuzzer.target_of(n) == name)
    (tmp_path / "inputs" / name).mkdir()
    TARGETS[name].build(tmp_path / "inputs" / name)
    cases = []
    for copy in ("one", "two"):
        words = fuzzer.prepare(number, tmp_path / copy)
        cases.append((words, {p.name: p.read_bytes() for p in (tmp_path / copy).iterdir()}))
    assert cases[0] == cases[1]
