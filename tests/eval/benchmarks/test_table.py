"""Contract of every entry of the table of benchmarks."""

from pathlib import Path

import pytest

from eval.benchmarks.table import BENCHMARKS, Benchmark
from kprtrack.cli.main import main
from kprtrack.core.errors import InputError

SCORED = [name for name, benchmark in BENCHMARKS.items() if benchmark.score]
RUNNABLE = [name for name, benchmark in BENCHMARKS.items() if benchmark.prepare]


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=BENCHMARKS)
def test_every_benchmark_can_be_scored_or_run(benchmark: Benchmark) -> None:
    assert benchmark.score or benchmark.prepare
    assert benchmark.description if benchmark.score else not benchmark.options
    assert benchmark.bench_description if benchmark.prepare else not benchmark.bench_options


@pytest.mark.parametrize("name", SCORED)
def test_eval_explains_the_benchmark_and_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = BENCHMARKS[name]
    with pytest.raises(SystemExit):
        main(["eval", name, "--help"])
    text = capsys.readouterr().out
    assert benchmark.ground_truth[0] in text and benchmark.results[0] in text
    assert all(f"--{option.name.replace('_', '-')} {option.metavar}" in text for option in benchmark.options)


@pytest.mark.parametrize("name", RUNNABLE)
def test_bench_explains_the_benchmark_and_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", name, "--help"])
    text = capsys.readouterr().out
    assert all(f"--{option.name} {option.metavar}" in text for option in BENCHMARKS[name].bench_options)


@pytest.mark.parametrize("name", SCORED)
def test_missing_folders_are_reported_in_one_line(name: str, tmp_path: Path) -> None:
    benchmark = BENCHMARKS[name]
    assert benchmark.score is not None
    defaults = {option.name: option.default for option in benchmark.options}
    with pytest.raises(InputError) as caught:
        benchmark.score(tmp_path / "missing", tmp_path / "results", on_sequence=None, **defaults)
    assert "missing" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SCORED)
def test_empty_folders_are_reported_in_one_line(name: str, tmp_path: Path) -> None:
    benchmark = BENCHMARKS[name]
    assert benchmark.score is not None
    (tmp_path / "empty").mkdir()
    defaults = {option.name: option.default for option in benchmark.options}
    with pytest.raises(InputError) as caught:
        benchmark.score(tmp_path / "empty", tmp_path / "empty", on_sequence=None, **defaults)
    assert "empty" in str(caught.value) and "\n" not in str(caught.value)


def test_bench_posetrack21_has_a_split() -> None:
    assert "split" in [option.name for option in BENCHMARKS["posetrack21"].bench_options]
