"""A tiny benchmark from images to scores, and resuming after an interruption."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.bench_cases import (
    FRAMES,
    VIDEOS,
    counter,
    fake_networks,
    file_config,
    logged_calls,
    make_root,
    mini_kpr,
    run_until_killed,
)
from support.fork_server import CONTEXT

from eval.bench.run import LOCK, run_bench
from eval.benchmarks.from_tracks import people_from_tracks, without_low_score_joints
from eval.report.text import comparison
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.atomic_file import exclusive
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError, OutputError, UserError, WeightsError
from kprtrack.io import read_observations
from kprtrack.pipeline import Networks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


@pytest.fixture
def quick_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes that need not import anything; tests/eval/test_workers.py starts the usual ones."""
    monkeypatch.setattr("eval.workers.multiprocessing", SimpleNamespace(get_context=lambda method: CONTEXT))


def observation_files(out: Path) -> list[Path]:
    return sorted((out / "observations").rglob("*.npz"))


def test_true_boxes_and_poses_reach_the_ceiling(root: Path, tmp_path: Path) -> None:
    [(name, evaluation)] = run_bench(root, tmp_path / "out", file_config(root)).items()
    assert name == "default"
    boxes, kit = (evaluation.measures[key].combined for key in ("box_hota", "kit_mota"))
    assert np.mean(boxes["HOTA"]) == 1
    assert (kit["num_switches"], kit["idf1"]) == (0, 1)
    # Neck and top of the head are estimated from other joints, so keypoints stay below 1.
    assert np.asarray(evaluation.measures["keypoint_hota"].combined["HOTA"])[0, 3] == 1


def test_result_files_have_the_images_of_the_ground_truth_in_its_order(root: Path, tmp_path: Path) -> None:
    run_bench(root, tmp_path / "out", file_config(root))
    for name in VIDEOS:
        ground_truth = json.loads((root / "posetrack_data" / "val" / f"{name}.json").read_text())
        result = json.loads((tmp_path / "out" / "default" / "pose" / f"{name}.json").read_text())
        assert result["images"] == ground_truth["images"]
        assert len(result["annotations"]) == len(ground_truth["annotations"])
        lines = (tmp_path / "out" / "default" / "mot" / f"{name}.txt").read_text().splitlines()
        assert {int(line.split(",")[0]) for line in lines} == set(range(1, FRAMES + 1))


def test_a_second_run_uses_no_network(root: Path, tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    first = run_bench(root, out, file_config(root), build=counter(log))
    assert logged_calls(log).count("build") == 1
    second = run_bench(root, out, file_config(root), build=counter(log))
    assert logged_calls(log) == []
    assert comparison(first) == comparison(second)


def test_another_tracker_runs_on_the_same_observations(root: Path, tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    run_bench(root, out, file_config(root), build=counter(log))
    logged_calls(log)
    run_bench(root, out, replace(file_config(root), tracker=ComponentConfig("bytetrack")), build=counter(log))
    assert logged_calls(log) == []
    settings = json.loads((out / "default" / "settings.json").read_text())
    assert settings["config"]["tracker"]["name"] == "bytetrack"
    assert (settings["fps"], settings["min_joint_score"]) == (25.0, 0.3)


def test_rows_of_other_encoders_run_only_the_encoder(root: Path, tmp_path: Path) -> None:
    log, weights = tmp_path / "log", tmp_path / "weights.pth"
    weights.write_bytes(b"not read by these networks")
    names = {"detector": "yolox-nano", "pose": "heatmap", "reid": "kpr"}
    config = TrackConfig(**{role: ComponentConfig(name, str(weights)) for role, name in names.items()})
    rows = run_bench(root, tmp_path / "out", config, ablate=("all",), build=partial(fake_networks, log))
    assert list(rows) == ["default", "prompts", "negatives", "motion", "parts"]
    words = logged_calls(log)  # a video is one batch
    assert words.count("detect") == words.count("pose") == len(VIDEOS)
    assert words.count("embed") == 4 * len(VIDEOS)  # motion changes the tracker alone


@pytest.mark.slow
def test_every_row_has_its_own_embeddings(root: Path, tmp_path: Path) -> None:
    config = file_config(root, mini_kpr(tmp_path / "kpr.safetensors"))
    run_bench(root, tmp_path / "out", config, ablate=("all",))
    embeddings = [
        next(iter(read_observations(path))).embeddings for path in observation_files(tmp_path / "out")
    ]
    assert sorted(one.features.shape[1] for one in embeddings) == [1, 1, 6, 6, 6, 6, 6, 6]
    assert sorted(bool(one.prompted.all()) for one in embeddings) == [False] * 2 + [True] * 6


@pytest.mark.slow
def test_rows_share_detections_and_poses_to_the_bit(root: Path, tmp_path: Path) -> None:
    config = file_config(root, mini_kpr(tmp_path / "kpr.safetensors"))
    run_bench(root, tmp_path / "out", config, ablate=("prompts",))
    one, other = (list(read_observations(path)) for path in observation_files(tmp_path / "out")[::2])
    for a, b in zip(one, other, strict=True):
        assert (a.detections.boxes == b.detections.boxes).all()
        assert (a.poses.keypoints == b.poses.keypoints).all()
    assert any(
        (a.embeddings.features != b.embeddings.features).any() for a, b in zip(one, other, strict=True)
    )


def test_changed_images_are_observed_again(root: Path, tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    run_bench(root, out, file_config(root), build=counter(log))
    logged_calls(log)
    images = sorted((root / "images" / "val" / VIDEOS[0]).iterdir())
    shutil.copy(images[0], images[1])
    run_bench(root, out, file_config(root), build=counter(log))
    assert logged_calls(log).count("embed") == 1  # six frames are one batch


@pytest.mark.slow
def test_changed_weights_and_settings_lie_beside_the_old_ones(root: Path, tmp_path: Path) -> None:
    out, weights = tmp_path / "out", tmp_path / "kpr.safetensors"
    run_bench(root, out, file_config(root, mini_kpr(weights)))
    other = replace(file_config(root, ComponentConfig("kpr", str(weights))), precision="bf16")
    run_bench(root, out, other)
    assert len(list((out / "observations").iterdir())) == 2


@pytest.mark.parametrize("leave", [b"", b"PK\x05\x06" + bytes(18), None])
def test_broken_observations_are_made_again(root: Path, tmp_path: Path, leave: bytes | None) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    run_bench(root, out, file_config(root), build=counter(log))
    logged_calls(log)
    file = observation_files(out)[0]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if leave is None else leave)
    run_bench(root, out, file_config(root), build=counter(log))
    assert logged_calls(log).count("embed") == 1
    assert file.read_bytes() == whole


def test_an_interruption_keeps_the_videos_before_it_and_leaves_nothing_else(
    root: Path, tmp_path: Path
) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    config = replace(file_config(root), frames_at_once=3)  # two batches a video

    def interrupted(config: TrackConfig) -> Networks:
        networks = counter(log)(config)

        def embed(*batch):  # type: ignore[no-untyped-def]
            if next(calls) in (3, 5):  # in the second batch of the second video, twice
                raise KeyboardInterrupt
            return networks.embed(*batch)

        return replace(networks, embed=embed)

    calls = iter(range(9))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_bench(root, out, config, build=interrupted)
        assert [read_observations(path).complete for path in observation_files(out)] == [True]
        assert not [*out.rglob("*.part"), *out.rglob("*.partial")]
    assert not (out / "default" / "settings.json").exists()
    logged_calls(log)
    run_bench(root, out, config, build=counter(log))
    assert logged_calls(log).count("embed") == 2
    assert all(read_observations(path).complete for path in observation_files(out))


@pytest.mark.slow
def test_a_killed_run_loses_only_the_current_video(root: Path, tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    killed = CONTEXT.Process(target=run_until_killed, args=(root, out, log))
    killed.start()
    killed.join()
    assert killed.exitcode == -9
    assert len(observation_files(out)) == 1
    logged_calls(log)
    run_bench(root, out, file_config(root), build=counter(log))
    assert logged_calls(log).count("embed") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
def test_several_processes_give_the_same_files(root: Path, tmp_path: Path) -> None:
    config = file_config(root, mini_kpr(tmp_path / "kpr.safetensors"))
    one, two = tmp_path / "one", tmp_path / "two"
    run_bench(root, one, config, ablate=("prompts",))
    run_bench(root, two, config, ablate=("prompts",), processes=2)
    for row in ("default", "prompts"):
        for file in sorted((one / row).rglob("*.*")):
            assert (two / file.relative_to(one)).read_bytes() == file.read_bytes()
    assert len(observation_files(two)) == len(observation_files(one)) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
def test_an_error_in_another_process_is_the_users_error(root: Path, tmp_path: Path) -> None:
    image = sorted((root / "images" / "val" / VIDEOS[1]).iterdir())[2]
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(InputError, match=image.name):
        run_bench(root, tmp_path / "out", file_config(root), processes=2)


def test_joints_below_the_least_score_are_not_written(root: Path, tmp_path: Path) -> None:
    for folder in (root / "posetrack_data" / "val").glob("*.json"):
        document = json.loads(folder.read_text())
        for entry in document["annotations"]:
            entry["scores"] = [0.2] + 16 * [0.9]
        (tmp_path / "given").mkdir(exist_ok=True)
        (tmp_path / "given" / folder.name).write_text(json.dumps(document))
    config = replace(file_config(root), pose=ComponentConfig("file", str(tmp_path / "given")))
    for least, nose in ((0.3, 0), (0.1, 1)):
        run_bench(root, tmp_path / "out", config, min_joint_score=least)
        result = json.loads((tmp_path / "out" / "default" / "pose" / f"{VIDEOS[0]}.json").read_text())
        assert {entry["keypoints"][2] for entry in result["annotations"]} == {nose}


def test_a_missing_image_is_named_before_anything_runs(root: Path, tmp_path: Path) -> None:
    gone = sorted((root / "images" / "val" / VIDEOS[1]).iterdir())[0]
    gone.unlink()
    with pytest.raises(InputError, match=rf"1 of 6 images of {VIDEOS[1]}.*{gone.name}.*PoseTrack18"):
        run_bench(root, tmp_path / "out", file_config(root), build=counter(tmp_path / "log"))
    assert not (tmp_path / "log").exists()


def test_missing_weights_are_reported_before_anything_runs(root: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No file of weights"):
        run_bench(
            root, tmp_path / "out", file_config(root, ComponentConfig("kpr", str(tmp_path / "none.pth")))
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "test"}, "Splits there: val"),
        ({"min_joint_score": 2.0}, "min_joint_score"),
        ({"processes": 0}, "processes"),
        ({"ablate": ("motions",)}, "Did you mean 'motion'"),
    ],
)
def test_invalid_settings_are_rejected(
    root: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_bench(root, tmp_path / "out", file_config(root), **change)  # type: ignore[arg-type]


def test_misspelt_tracker_options_are_rejected_before_anything_runs(root: Path, tmp_path: Path) -> None:
    config = replace(file_config(root), tracker=ComponentConfig("kpr", options={"hgih_score": 0.5}))
    with pytest.raises(UserError, match="high_score"):
        run_bench(root, tmp_path / "out", config, build=counter(tmp_path / "log"))
    assert not (tmp_path / "log").exists()


def test_a_folder_of_boxes_without_a_video_is_reported(root: Path, tmp_path: Path) -> None:
    config = replace(file_config(root), detector=ComponentConfig("file", str(tmp_path)))
    with pytest.raises(InputError, match=f"no file for {VIDEOS[0]}"):
        run_bench(root, tmp_path / "out", config)


def test_a_file_in_place_of_the_output_folder_is_reported(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="out"):
        run_bench(root, tmp_path / "out", file_config(root))


def test_an_invalid_ground_truth_file_is_named(root: Path, tmp_path: Path) -> None:
    file = root / "posetrack_data" / "val" / f"{VIDEOS[0]}.json"
    file.write_text("[]")
    with pytest.raises(InputError, match=file.name):
        run_bench(root, tmp_path / "out", file_config(root))


def test_joints_of_low_confidence_become_zero() -> None:
    keypoints = np.ones((2, 17, 3), np.float32)
    keypoints[0, 3, 2] = 0.29
    one = np.ones(2, np.float32)
    tracks = Tracks(
        0, 0.0, np.array([1, 2]), np.ones((2, 4)), one, keypoints, one, one, np.ones((2, 0), bool), one > 0
    )
    kept = without_low_score_joints(tracks, 0.3).keypoints
    assert (kept[0, 3] == 0).all() and kept.sum() == keypoints.size - 3
    assert len(people_from_tracks([])) == 0


def test_two_benchmarks_in_one_folder_are_refused(tmp_path: Path) -> None:
    root, out = make_root(tmp_path / "root"), tmp_path / "out"
    out.mkdir()
    with (
        exclusive(out / LOCK, UserError("not reached")),
        pytest.raises(OutputError, match="Another process is writing into"),
    ):
        run_bench(root, out, file_config(root))
