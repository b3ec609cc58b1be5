"""All scores of an encoder on a dataset; the encoder is a fake that reads the keypoints it is shown."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.crop_overlay_cases import pixels

from kprtrack.core.errors import InputError, UserError
from reid.datasets import ReidData, ReidSample
from reid.evaluation.embed import labels_of
from reid.evaluation.metrics import Embedded
from reid.evaluation.protocols import (
    NO_NEGATIVES,
    PROMPTED,
    UNPROMPTED,
    RankingChoice,
    ScoreConfig,
    score,
    shown_samples,
)
from reid.evaluation.report.plots import draw_score_plots
from reid.evaluation.report.text import score_json, score_report
from reid.evaluation.rerank import Reranking

PEOPLE = 4


class KeypointReader:
    """Tells people apart by the x of their first keypoint, if it is shown; notes what it was shown."""

    def __init__(self) -> None:
        self.shown: list[list[ReidSample]] = []

    def __call__(self, samples: Sequence[ReidSample]) -> Embedded:
        self.shown.append(list(samples))
        features = np.ones((len(samples), 1, 2), np.float32)
        for row, sample in enumerate(samples):
            if isinstance(sample.keypoints, np.ndarray):
                features[row, 0] = (1, sample.keypoints[0, 0, 0])
        features /= np.linalg.norm(features, axis=2, keepdims=True)
        return Embedded(features, np.ones((len(samples), 1), bool), labels_of(samples))


@pytest.fixture
def data(tmp_path: Path) -> ReidData:
    """Four people, one query and two gallery images each; every query but the first also shows another."""
    image = tmp_path / "crop.png"
    cv2.imwrite(str(image), np.zeros((20, 10, 3), np.uint8))

    def sample(identity: int, camera: int, other_people: int) -> ReidSample:
        keypoints = np.zeros((1 + other_people, 17, 3), np.float32)
        keypoints[0, :3] = (1 + 2 * identity, 5, 1)
        keypoints[1:, :2] = (3, 3, 1)
        return ReidSample(image, identity, camera, keypoints)

    query = tuple(sample(identity, 0, identity) for identity in range(PEOPLE))
    gallery = tuple(sample(identity, 1, 1) for identity in reversed(range(PEOPLE)) for _ in range(2))
    return ReidData("four people", (), query, gallery, "default")


def test_prompts_on_and_off_stand_side_by_side(data: ReidData) -> None:
    scores = score(data, KeypointReader(), ScoreConfig())
    assert [row.name for row in scores.rows] == [PROMPTED, UNPROMPTED]
    assert [round(float(row.scores.cmc[0]), 2) for row in scores.rows] == [1, 0.25]
    assert (scores.queries, scores.gallery, scores.protocol) == (4, 8, "default")


@pytest.mark.parametrize(("prompts", "rows"), [("on", [PROMPTED]), ("off", [UNPROMPTED])])
def test_one_of_both_runs_the_encoder_once(data: ReidData, prompts: str, rows: list[str]) -> None:
    reader = KeypointReader()
    scores = score(data, reader, ScoreConfig(prompts=prompts))  # type: ignore[arg-type]
    assert [row.name for row in scores.rows] == rows
    assert len(reader.shown) == 2  # queries and gallery


def test_without_negatives_only_the_person_is_shown(data: ReidData) -> None:
    config = ScoreConfig("on", negatives=False)
    reader = KeypointReader()
    assert score(data, reader, config).rows[0].name == NO_NEGATIVES
    assert {len(one.keypoints) for side in reader.shown for one in side} == {1}  # type: ignore[arg-type]
    assert {len(one.keypoints) for one in shown_samples(data.query, config)} == {1}  # type: ignore[arg-type]


def test_re_ranking_adds_rows_and_changes_none(data: ReidData) -> None:
    plain = score(data, KeypointReader(), ScoreConfig())
    both = score(data, KeypointReader(), ScoreConfig(reranking=Reranking(3, 2)))
    assert [row.name for row in both.rows][1::2] == [f"{PROMPTED}, re-ranked", f"{UNPROMPTED}, re-ranked"]
    assert [row.scores.map for row in both.rows][::2] == [row.scores.map for row in plain.rows]


def test_occlusion_counts_keypoints_of_others_against_own_ones(data: ReidData) -> None:
    levels = score(data, KeypointReader(), ScoreConfig(occlusion=True)).rows[0].levels
    # Two of 17 keypoints of each other person are drawn: differences -3, -1, 1, 3, so levels 0, 1/3, 2/3, 1.
    assert [level.count for level in levels] == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]


def test_a_note_says_if_nobody_else_is_in_the_queries(data: ReidData) -> None:
    alone = tuple(replace(one, keypoints=one.keypoints[:1]) for one in data.query)  # type: ignore[index]
    scores = score(replace(data, query=alone), KeypointReader(), ScoreConfig(occlusion=True))
    assert "keypoint of another person" in scores.notes[0]


def test_robustness_goes_from_all_keypoints_to_none(data: ReidData) -> None:
    scores = score(data, KeypointReader(), ScoreConfig(robustness=True))
    assert [one.share for one in scores.robustness] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert scores.robustness[0].map == scores.rows[0].scores.map
    assert scores.robustness[-1].map == scores.rows[1].scores.map


def test_without_the_unprompted_row_all_keypoints_are_really_removed(data: ReidData) -> None:
    reader = KeypointReader()
    curve = score(data, reader, ScoreConfig("on", robustness=True)).robustness
    assert not any(one.keypoints.any() for one in reader.shown[-1])  # type: ignore[union-attr]
    assert curve[-1].map == score(data, KeypointReader(), ScoreConfig("off")).rows[0].scores.map


def test_a_seed_decides_which_keypoints_go(data: ReidData) -> None:
    curves = [
        [side for side in reader.shown[4]]
        for seed in (0, 0, 1)
        for reader in [KeypointReader()]
        if score(data, reader, ScoreConfig(robustness=True, seed=seed))
    ]
    first, again, other = (np.concatenate([one.keypoints[0] for one in side]) for side in curves)  # type: ignore[index]
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_keypoints_are_removed_from_files_too(data: ReidData, tmp_path: Path) -> None:
    file = tmp_path / "keypoints.json"
    file.write_text(json.dumps([{"keypoints": [[1, 1, 1]] * 17}]))
    in_files = tuple(replace(one, keypoints=file) for one in data.query)
    reader = KeypointReader()
    score(replace(data, query=in_files), reader, ScoreConfig("on", robustness=True))
    assert reader.shown[0][0].keypoints == file
    assert not reader.shown[-2][0].keypoints.any()  # type: ignore[union-attr]


def test_rankings_are_of_the_first_row(data: ReidData) -> None:
    config = ScoreConfig(ranking=RankingChoice(2, columns=3))
    scores = score(data, KeypointReader(), config)
    assert len(scores.rankings) == 2
    assert scores.rankings[0].match[:2].all()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (ScoreConfig(protocol="defualt"), "Did you mean 'default'"),
        (ScoreConfig("off", robustness=True), "needs prompts"),
        (ScoreConfig(ranking=RankingChoice(names=("unknown.jpg",))), "is called 'unknown.jpg'"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_the_encoder_runs(
    data: ReidData, config: ScoreConfig, says: str
) -> None:
    reader = KeypointReader()
    with pytest.raises(UserError, match=says):
        score(data, reader, config)
    assert not reader.shown


def test_a_data_set_without_keypoints_is_refused_unless_prompts_are_off(data: ReidData) -> None:
    bare = replace(
        data,
        query=tuple(replace(one, keypoints=None) for one in data.query),
        gallery=tuple(replace(one, keypoints=None) for one in data.gallery),
    )
    with pytest.raises(UserError, match="--prompts off"):
        score(bare, KeypointReader(), ScoreConfig())
    assert score(bare, KeypointReader(), ScoreConfig("off")).notes == ()


def test_crops_without_keypoints_are_counted(data: ReidData) -> None:
    some = (replace(data.query[0], keypoints=None), *data.query[1:])
    assert "1 of 12 crops" in score(replace(data, query=some), KeypointReader(), ScoreConfig()).notes[0]


def test_queries_of_strangers_alone_are_refused(data: ReidData) -> None:
    other_people = tuple(replace(one, identity=one.identity + 50) for one in data.query)
    with pytest.raises(UserError, match="Check the split"):
        score(replace(data, query=other_people), KeypointReader(), ScoreConfig())


def test_a_query_without_a_match_is_told(data: ReidData) -> None:
    query = (replace(data.query[0], identity=99), *data.query[1:])
    assert (
        "1 of 4 queries have no match"
        in score(replace(data, query=query), KeypointReader(), ScoreConfig()).notes[0]
    )


def test_a_missing_keypoint_file_is_named(data: ReidData, tmp_path: Path) -> None:
    gone = (replace(data.query[0], keypoints=tmp_path / "gone.json"), *data.query[1:])
    with pytest.raises(InputError, match=r"gone\.json"):
        score(replace(data, query=gone), KeypointReader(), ScoreConfig(negatives=False))


def test_the_report_shows_all_numbers_in_percent(data: ReidData) -> None:
    scores = score(data, KeypointReader(), ScoreConfig(occlusion=True, robustness=True))
    text = score_report(scores, "reader")
    assert "four people: 4 queries, 8 gallery images, protocol default\nencoder reader" in text
    assert [line.split() for line in text.splitlines() if line.startswith("prompts")] == [
        ["prompts", "100.0", "100.0", "100.0", "100.0"]
    ]
    assert "gain by prompts" in text
    assert "By multi-person occlusion" in text
    assert "With keypoints removed at random" in text
    assert max(map(len, text.splitlines())) <= 100


def test_json_holds_every_query_and_null_for_no_number(data: ReidData) -> None:
    query = (replace(data.query[0], identity=99), *data.query[1:])
    scores = score(replace(data, query=query), KeypointReader(), ScoreConfig(occlusion=True, robustness=True))
    told = json.loads(score_json(scores, "reader"))
    assert told["rows"][0]["average_precision"][0] is None
    assert told["rows"][0]["occlusion_levels"][1]["map"] is None
    assert (told["rows"][0]["scored_queries"], len(told["rows"][0]["cmc"])) == (3, 20)
    assert len(told["robustness"]) == 6


@pytest.mark.slow
def test_there_is_a_picture_for_every_curve_there_are_numbers_for(data: ReidData) -> None:
    everything = ScoreConfig(occlusion=True, robustness=True, reranking=Reranking(3, 2))
    images = draw_score_plots(score(data, KeypointReader(), everything))
    assert set(images) == {"cmc", "occlusion", "robustness"}
    assert all(pixels(png).shape[1] > 600 for png in images.values())
    assert set(draw_score_plots(score(data, KeypointReader(), ScoreConfig("off")))) == {"cmc"}
