"""Jobs in several processes, and the end of the processes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import paths
from support.worker_cases import failing, squares

from eval.workers import Workers
from kprtrack.core.errors import UserError, WeightsError


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_runs_once_and_reports_progress(processes: int) -> None:
    reported: list[int] = []
    with Workers(squares, processes) as workers:
        for _ in range(2):  # the processes stay for a second set of jobs
            results = list(workers.run(range(5), reported.append))
            assert sorted(square for square, _ in results) == [0, 1, 4, 9, 16]
            assert {number for _, number in results} <= set(range(processes))
    assert sum(reported) == 10


@pytest.mark.parametrize("processes", [1, 2])
def test_no_jobs_give_no_results(processes: int) -> None:
    with Workers(squares, processes) as workers:
        assert list(workers.run([], lambda n: None)) == []


def test_a_users_error_comes_over_as_what_it_is() -> None:
    with pytest.raises(WeightsError, match=r"^no weights$"), Workers(failing, 2) as workers:
        list(workers.run(["weights", "weights"], lambda n: None))


def test_a_bug_comes_over_with_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)worker_cases.*a bug"), Workers(failing, 2) as workers:
        list(workers.run(["bug", "bug"], lambda n: None))


def test_a_killed_process_is_reported_with_advice() -> None:
    with pytest.raises(UserError, match=r"code -9.*fewer --processes"), Workers(failing, 2) as workers:
        list(workers.run(["killed", "killed"], lambda n: None))


def test_less_than_one_process_is_rejected() -> None:
    with pytest.raises(UserError, match="processes must be at least 1, not 0"):
        Workers(squares, 0)


PROGRAM = """
import sys
from support.worker_cases import endless
from eval.workers import Workers
if __name__ == "__main__":
    with Workers(endless, 2) as workers:
        list(workers.run({traces!r}, lambda n: None))
"""


def test_workers_end_with_the_program_that_started_them(tmp_path: Path) -> None:
    """A killed run leaves no process that writes into the folder of the next one."""
    traces = [tmp_path / "a", tmp_path / "b"]
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.format(traces=[str(path) for path in traces]))
    program = subprocess.Popen([sys.executable, str(file)], cwd=paths.ROOT)
    while not all(path.exists() for path in traces):
        assert program.poll() is None
        time.sleep(0.05)
    program.kill()
    program.wait()
    sizes: list[int] = []
    for _ in range(200):  # until no process writes any more
        before, sizes = sizes, [path.stat().st_size for path in traces]
        if sizes == before:
            break
        time.sleep(0.3)
    assert sizes == before
