"""Searching tracker settings on stored observations."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.bench_cases import VIDEOS, file_config, make_root

from eval.bench.run import run_bench
from eval.tune.log import TrialLog
from eval.tune.score import METRICS
from eval.tune.search import halves, run_tune
from eval.tune.space import SPACES
from kprtrack.config import ComponentConfig, TrackConfig, configure, load_config
from kprtrack.core.appearance import empty_appearance
from kprtrack.core.datatypes import Detections, Observation, empty_poses
from kprtrack.core.errors import InputError, UserError
from kprtrack.io import RunHeader, read_observations, write_observations
from kprtrack.run import track_observations

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


def low_score_people(folder: Path, names: tuple[str, ...] = NAMES, score: float = 0.5) -> tuple[Path, Path]:
    """Make observations of two people with low scores, which the defaults miss, and ground truth."""
    (folder / "observations").mkdir(), (folder / "truth").mkdir()
    header = RunHeader(video={"fps": 25.0})
    for name in names:
        boxes = [np.array([[10, 10, 40, 90], [100, 10, 130, 90]], np.float32) + i for i in range(20)]
        observations = [
            Observation(
                i,
                i / 25,
                Detections(found, np.full(2, score, np.float32)),
                empty_poses(2),
                empty_appearance(2),
            )
            for i, found in enumerate(boxes)
        ]
        write_observations(folder / "observations" / f"{name}.npz", header, observations)
        lines = [
            f"{i + 1},{person + 1},{box[0]},{box[1]},{box[2] - box[0]},{box[3] - box[1]},1,-1,-1,-1\n"
            for i, found in enumerate(boxes)
            for person, box in enumerate(found)
        ]
        (folder / "truth" / f"{name}.txt").write_text("".join(lines))
    return folder / "observations", folder / "truth"


@pytest.mark.slow
def test_a_search_finds_people_missed_by_the_defaults(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    result = run_tune(observations, ground_truth, TrackConfig(), trials=40, out=tmp_path / "best.json")
    initial, best = result.trials[0], max(result.trials, key=lambda trial: trial.tuned)
    assert initial.tuned == initial.held_out == 0
    assert best.tuned > 90 and best.held_out is not None and best.held_out > 90
    assert best.settings == result.best
    assert "Expect the gain" in result.table and "new_track_score" in result.table


@pytest.mark.slow
def test_the_best_settings_can_be_used_as_a_config(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    config = TrackConfig(tracker=ComponentConfig("kpr", options={"momentum": 0.8}))
    result = run_tune(observations, ground_truth, config, trials=40, out=tmp_path / "best.json")
    loaded = load_config(tmp_path / "best.json").tracker
    assert loaded == ComponentConfig("kpr", None, {"momentum": 0.8, **result.best})


@pytest.mark.parametrize("metric", list(METRICS))
def test_the_first_trial_scores_what_the_benchmark_scores(root: Path, tmp_path: Path, metric: str) -> None:
    evaluation = run_bench(root, tmp_path / "out", file_config(root))["default"]
    [observations] = (tmp_path / "out" / "observations").iterdir()
    result = run_tune(observations, root, TrackConfig(), trials=1, metric=metric, out=tmp_path / "best.json")
    tuned, held_out = halves(VIDEOS)
    for name, value in ((tuned[0], result.trials[0].tuned), (held_out[0], result.trials[0].held_out)):
        measure, field = ("kit_mota", "idf1") if metric == "idf1" else (metric, "HOTA")
        scores = np.asarray(evaluation.measures[measure].sequences[name][field])
        if metric.startswith("keypoint_hota"):
            continue  # one sequence's row is the mean of joints, all sequences together are pooled
        assert value == pytest.approx(100 * scores.mean(), abs=1e-9)
    if metric.startswith("keypoint_hota"):
        pooled = np.asarray(evaluation.measures[metric].combined["HOTA"])[:, -1].mean()
        assert np.mean([result.trials[0].tuned, result.trials[0].held_out]) == pytest.approx(100 * pooled)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_search_and_another_another(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    one, same, other = (
        run_tune(
            observations, ground_truth, TrackConfig(), trials=6, seed=seed, out=tmp_path / f"{name}.json"
        ).trials
        for name, seed in (("one", 3), ("same", 3), ("other", 4))
    )
    assert one == same
    assert one != other


@pytest.mark.slow
def test_an_interrupted_search_resumes_with_the_same_result(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    whole = run_tune(observations, ground_truth, TrackConfig(), trials=8, out=tmp_path / "whole.json")
    run_tune(observations, ground_truth, TrackConfig(), trials=5, out=tmp_path / "part.json")
    log = tmp_path / "part.trials.jsonl"
    log.write_bytes(log.read_bytes()[:-9])  # killed while it wrote
    resumed = run_tune(observations, ground_truth, TrackConfig(), trials=8, out=tmp_path / "part.json")
    assert resumed.trials == whole.trials
    assert log.read_bytes() == (tmp_path / "whole.trials.jsonl").read_bytes()


def test_trials_of_another_search_are_not_taken_over(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    run_tune(observations, ground_truth, TrackConfig(), trials=1, out=tmp_path / "best.json")
    with pytest.raises(UserError, match="another metric, seed"):
        run_tune(
            observations,
            ground_truth,
            TrackConfig(),
            trials=1,
            seed=1,
            metric="idf1",
            out=tmp_path / "best.json",
        )


ORIGIN = '{"seed": 1}'


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "7",
        '{"settings": {}, "tuned": "x", "held_out": null}',
        '{"settings": {}, "tuned": NaN, "held_out": null}',
        '{"settings": [], "tuned": 1.0, "held_out": null}',
        '{"settings": {}, "tuned": 1.0}',
        '{"settings": {}, "tuned": 1.0, "held_out": 1e9, "more": 1}',
    ],
)
def test_damaged_lines_of_a_log_are_rejected_in_one_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "best.trials.jsonl").write_text(f"{ORIGIN}\n{line}\n")
    with pytest.raises(UserError, match=r"best\.trials\.jsonl is not a log of trials") as raised:
        TrialLog(tmp_path / "best.trials.jsonl", {"seed": 1}).read()
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_overfitted_settings_are_reported(tmp_path: Path) -> None:
    """In the held-out videos all detections are false positives."""
    observations, ground_truth = low_score_people(tmp_path)
    for name in halves(NAMES)[1]:
        lines = [f"{i},1,300,10,30,80,1,-1,-1,-1\n" for i in range(1, 21)]
        (ground_truth / f"{name}.txt").write_text("".join(lines))
    result = run_tune(observations, ground_truth, TrackConfig(), trials=40, out=tmp_path / "best.json")
    assert result.best and "Keep the initial settings" in result.table


def test_a_single_video_is_not_held_out(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path, ("a",))
    result = run_tune(
        observations, ground_truth / "a.txt", TrackConfig(), trials=30, out=tmp_path / "best.json"
    )
    assert result.trials[0].held_out is None
    assert "no video is held out" in result.table


def test_without_better_settings_the_initial_ones_are_kept(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path, score=0.9)
    result = run_tune(observations, ground_truth, TrackConfig(), trials=3, out=tmp_path / "best.json")
    assert result.best == {} and "No better settings" in result.table
    assert json.loads((tmp_path / "best.json").read_text()) == {"tracker": {"name": "kpr"}}


def test_result_files_can_be_ground_truth(tmp_path: Path) -> None:
    """Tracks of the same tracker are matched completely."""
    observations, _ = low_score_people(tmp_path, score=0.9)
    (tmp_path / "own").mkdir()
    for file in sorted(observations.iterdir()):
        track_observations(read_observations(file), tmp_path / "own" / f"{file.stem}.json")
    result = run_tune(observations, tmp_path / "own", TrackConfig(), trials=1, out=tmp_path / "best.json")
    assert (result.trials[0].tuned, result.trials[0].held_out) == (100, 100)


@pytest.mark.slow
def test_several_processes_give_the_same_trials(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    one = run_tune(observations, ground_truth, TrackConfig(), trials=4, out=tmp_path / "one.json")
    two = run_tune(
        observations, ground_truth, TrackConfig(), trials=4, out=tmp_path / "two.json", processes=2
    )
    assert one.trials == two.trials


@pytest.mark.parametrize("name", list(SPACES))
def test_every_draw_is_a_setting_the_tracker_takes(name: str) -> None:
    space = SPACES[name]
    values = space.values({})
    for seed in range(300):
        changed = space.change(values, np.random.default_rng(seed))
        assert 1 <= sum(changed[key] != values[key] for key in values) <= 3 or changed == values
        configure(space.config, changed)
        for key in values:
            low, high = space.ranges[key]
            assert low <= changed[key] <= high
    for edge in (0, 1):
        configure(space.config, {key: ends[edge] for key, ends in space.ranges.items()})


def test_halves_do_not_depend_on_the_order_of_names() -> None:
    names = [f"video{i}" for i in range(9)]
    tuned, held_out = halves(names)
    assert (len(tuned), len(held_out)) == (5, 4)
    assert sorted(tuned + held_out) == names
    assert halves(names[::-1]) == (tuned, held_out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "box_hotta"}, "Did you mean 'box_hota'"),
        ({"trials": 0}, "trials"),
        ({"metric": "keypoint_hota"}, "Keypoint HOTA needs"),
        ({"config": TrackConfig(tracker=ComponentConfig("kpr", options={"hgih_score": 1.0}))}, "high_score"),
        ({"config": TrackConfig(tracker=ComponentConfig("sort"))}, "tracker"),
    ],
)
def test_invalid_settings_are_rejected(tmp_path: Path, change: dict[str, object], message: str) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    arguments = {"config": TrackConfig(), "out": tmp_path / "best.json", **change}
    with pytest.raises(UserError, match=message):
        run_tune(observations, ground_truth, **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "best.json").exists()


def test_missing_and_invalid_files_are_reported(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    with pytest.raises(UserError, match=r"written as \.json"):
        run_tune(observations, ground_truth, TrackConfig(), out=tmp_path / "best.py")
    with pytest.raises(InputError, match=r"Name one of its folders: .*observations"):
        run_tune(tmp_path, ground_truth, TrackConfig(), out=tmp_path / "best.json")
    with pytest.raises(UserError, match="ground truth of one video"):
        run_tune(observations, ground_truth / "a.txt", TrackConfig(), out=tmp_path / "best.json")
    (ground_truth / "b.txt").unlink()
    with pytest.raises(InputError, match="no ground truth for b"):
        run_tune(observations, ground_truth, TrackConfig(), out=tmp_path / "best.json")


def test_incomplete_observations_are_rejected(tmp_path: Path) -> None:
    observations, ground_truth = low_score_people(tmp_path)
    file = read_observations(observations / "a.npz")
    first = list(file)[:3]
    (observations / "a.npz").unlink()  # an older complete file would be kept

    def broken() -> object:
        yield from first
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_observations(observations / "a.npz", file.header, broken())  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"a\.npz is incomplete"):
        run_tune(observations, ground_truth, TrackConfig(), out=tmp_path / "best.json")
