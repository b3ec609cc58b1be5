"""Evaluations as tables of text cells, for all kinds of reports."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.datatypes import Evaluation, Measure, Scores
from eval.report.terms import FIELDS, MEASURES
from kprtrack.core.skeleton import POSETRACK_KEYPOINTS

COMBINED = "COMBINED"
NOTHING = "-"
JOINTS = tuple(name for name in POSETRACK_KEYPOINTS if not name.endswith("_ear"))
MAX_SEQUENCE_ROWS = 10  # more sequences are shown on request only
_FIXED = "_fixed"


@dataclass(frozen=True)
class Column:
    """A column: its headings, and the measure and field that it shows."""

    group: str
    name: str
    measure: str
    field: str


@dataclass(frozen=True)
class Table:
    """A table of text cells; adjacent columns of the same group share a heading."""

    title: str
    corner: str  # heading of the row names
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]  # name, one cell a column


def _group(title: str, measure: str, fields: Mapping[str, str]) -> tuple[Column, ...]:
    return tuple(Column(title, name, measure, field) for name, field in fields.items())


def _trackeval(title: str, kind: str) -> tuple[Column, ...]:
    return (
        *_group(title, f"{kind}_clear", {"MOTA": "MOTA"}),
        *_group(title, f"{kind}_identity", {"IDF1": "IDF1"}),
        *_group(title, f"{kind}_clear", _CLEAR),
    )


_HOTA = {"HOTA": "HOTA", "DetA": "DetA", "AssA": "AssA"}
_CLEAR = {"FN": "CLR_FN", "FP": "CLR_FP", "MT": "MT", "ML": "ML", "Frag": "Frag"}
_KIT = {"MOTA": "mota", "IDF1": "idf1", "FN": "num_misses", "FP": "num_false_positives"}

# The columns of the KPR paper's tracking table, for each kind of comparison; identity switches follow.
_PAPER = (
    *_group("keypoints", "keypoint_hota", _HOTA),
    *_group("keypoints, fixed", "keypoint_hota_fixed", _HOTA),
    *_group("poses (OKS)", "oks_hota", _HOTA),
    *_group("poses (OKS)", "oks_clear", {"IDs": "IDSW"}),
    *_group("boxes", "box_hota", _HOTA),
)
_KIT_SWITCHES = _group("boxes", "kit_mota", {"IDs": "num_switches"})
_SWITCHES = _group("boxes", "box_clear", {"IDs": "IDSW"})  # without kit_mota
_FURTHER = (
    *_group("poses", "pose_ap", {"AP": "AP"}),
    *_group("boxes, PoseTrack21 kit", "kit_mota", _KIT),
    *_trackeval("poses (OKS), TrackEval", "oks"),
    *_trackeval("boxes, TrackEval", "box"),
)
_BOTH_SWITCHES = _group("boxes, TrackEval", "box_clear", {"IDSW": "IDSW"})  # with kit_mota
_ACROSS = (
    *_group("across videos", "cross_video_hota", _HOTA),
    *_group("across videos, fixed", "cross_video_hota_fixed", _HOTA),
)
_LINKED = (
    *(
        column
        for title, kind in (("before linking", "unlinked"), ("after linking", "linked"))
        for column in (
            *_group(title, f"{kind}_hota", _HOTA),
            *_group(title, f"{kind}_identity", {"IDF1": "IDF1"}),
        )
    ),
    *_group("links", "links", {"P": "precision", "R": "recall", "F1": "F1", "wrong": "wrong_links"}),
    *_group("links", "links", {"missed": "missed_links", "FPIR": "FPIR"}),
    *_group("names", "names", {"named": "right_names", "misnamed": "wrong_names"}),
    *_group("names", "names", {"unnamed": "missed_names", "FPIR": "FPIR"}),
)
_PER_JOINT = (*_PAPER[:6], *_FURTHER[:1])
_WHOLE = {"num_switches", "num_misses", "num_false_positives", "IDSW", "MT", "ML", "Frag", "CLR_FN", "CLR_FP"}
_WHOLE |= {"wrong_links", "missed_links"}
_IN_PERCENT = {"AP"}  # the values themselves

Rows = Sequence[tuple[str, Mapping[str, Scores]]]  # name of the row, measure -> scores


def evaluation_tables(evaluation: Evaluation, *, per_sequence: bool | None = None) -> tuple[Table, ...]:
    """Return the tables of one tracker.

    Args:
        evaluation: The scores.
        per_sequence: Add a row for each sequence; None adds them if there are at most MAX_SEQUENCE_ROWS.
    """
    measures = evaluation.measures
    names = list(dict.fromkeys(name for measure in measures.values() for name in measure.sequences))
    if not (len(names) <= MAX_SEQUENCE_ROWS if per_sequence is None else per_sequence):
        names = []
    rows = [
        (name, {key: m.sequences[name] for key, m in measures.items() if name in m.sequences})
        for name in names
    ]
    total = [(COMBINED, {key: measure.combined for key, measure in measures.items()})]
    shown = set(shown_measures([evaluation]))
    tables = (
        *_tables("sequence", [*rows, *total], total, shown),
        _table("By joint, all sequences", "joint", _PER_JOINT, _joint_rows(total[0][1]), shown),
    )
    return tuple(table for table in tables if table.columns)


def comparison_tables(evaluations: Mapping[str, Evaluation]) -> tuple[Table, ...]:
    """Return the tables of several runs, a row each; the first table has differences to the first run."""
    rows = [(name, {key: m.combined for key, m in e.measures.items()}) for name, e in evaluations.items()]
    tables = _tables("run", rows, rows, set(shown_measures(evaluations.values())))
    paper, *others = (table for table in tables if table.columns)
    return (replace(paper, rows=_with_differences(paper)), *others)


def _with_differences(table: Table) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Append to each number the difference to the first row, computed from the rounded numbers."""

    def compared(cell: str, first: str) -> str:
        if NOTHING in (cell, first):
            return cell
        digits = len(cell.partition(".")[2])
        return f"{cell} ({float(cell) - float(first):+.{digits}f})"

    (name, first), *others = table.rows
    return (
        (name, first),
        *((other, tuple(map(compared, cells, first))) for other, cells in others),
    )


def headline_scores(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Return the scalars that the tables print, over all sequences.

    Args:
        evaluation: The scores of one tracker.

    Returns:
        Measure -> field -> score: fractions from 0 to 1 (of HOTA the mean over the thresholds), counts, and
        AP in percent.
    """
    columns = (*_PAPER, *_KIT_SWITCHES, *_SWITCHES, *_FURTHER, *_ACROSS, *_LINKED)
    found: dict[str, dict[str, float]] = {}
    for name, measure in evaluation.measures.items():
        for column in columns:
            if column.measure == name and column.field in measure.combined:
                found.setdefault(name, {})[column.field] = _scalar(measure.combined[column.field], column)
    return found


def legend(tables: Iterable[Table]) -> tuple[tuple[str, str], ...]:
    """List the terms of tables: first the measures, then the fields.

    Returns:
        Pairs of the heading in the table and a key "measure:NAME" or "field:NAME" of `eval.report.terms`.
    """
    groups: dict[str, str] = {}
    fields: dict[str, str] = {}
    for column in (column for table in tables for column in table.columns):
        # A group may have two measures with the same explanation; the first one is used.
        groups.setdefault(column.group, f"measure:{column.measure}")
        fields.setdefault(column.name, f"field:{column.field}")
    return (*groups.items(), *fields.items())


def term_line(key: str) -> str:
    """Return the one-line explanation of a key of `legend`."""
    kind, _, name = key.partition(":")
    return (MEASURES if kind == "measure" else FIELDS)[name].line


def term_sentences(key: str) -> str:
    """Return the longer explanation of a key of `legend`."""
    kind, _, name = key.partition(":")
    return (MEASURES if kind == "measure" else FIELDS)[name].sentences


def in_percent(value: float | np.ndarray) -> float:
    """Return a value in percent; for an array its mean over thresholds, of the total of all joints.

    Args:
        value: A number, [19 thresholds] or [19, 15 joints + total].
    """
    return 100 * _mean(value)


def _mean(value: float | np.ndarray) -> float:
    values = np.asarray(value, np.float64)
    return float((values[:, -1] if values.ndim == 2 else values).mean())


def shown_measures(evaluations: Iterable[Evaluation]) -> list[str]:
    """Return the names of all measures except fixed ones that equal the official ones everywhere."""
    shown: dict[str, None] = {}
    for evaluation in evaluations:
        for name, measure in evaluation.measures.items():
            official = evaluation.measures.get(name.removesuffix(_FIXED))
            if official is None or official is measure or not _equal(official, measure):
                shown[name] = None
    return list(shown)


def _equal(official: Measure, fixed: Measure) -> bool:
    pairs = [(official.combined, fixed.combined)]
    pairs += [(official.sequences[name], fixed.sequences[name]) for name in fixed.sequences]
    return all(np.array_equal(a["HOTA"], b["HOTA"], equal_nan=True) for a, b in pairs)


def _tables(corner: str, rows: Rows, total: Rows, shown: set[str]) -> tuple[Table, ...]:
    kit = "kit_mota" in shown
    paper = (*_PAPER, *(_KIT_SWITCHES if kit else _SWITCHES))
    further = (*_FURTHER, *(_BOTH_SWITCHES if kit else ()))
    return (
        _table("Tracking", corner, paper, rows, shown),
        _table("More about the same tracks", corner, further, rows, shown),
        _table("Identities across videos", corner, (*_ACROSS, *_LINKED), total, shown),
    )


def _table(title: str, corner: str, columns: tuple[Column, ...], rows: Rows, shown: set[str]) -> Table:
    present = {key for _, scores in rows for key in scores} & shown
    kept = tuple(
        replace(c, group=f"{c.group}, official") if f"{c.measure}{_FIXED}" in present else c
        for c in columns
        if c.measure in present
    )
    cells = tuple((name, tuple(_cell(scores, column) for column in kept)) for name, scores in rows)
    return Table(title, corner, kept, cells)


def _joint_rows(total: Mapping[str, Scores]) -> Rows:
    """Return a row for each joint and for the total, of the measures with columns for joints."""
    columns = [c for c in _PER_JOINT if c.measure in total]

    def scores(i: int) -> dict[str, Scores]:
        return {
            name: {c.field: np.asarray(total[name][c.field])[..., i] for c in columns if c.measure == name}
            for name in {c.measure for c in columns}
        }

    return [(joint, scores(i)) for i, joint in enumerate((*JOINTS, "total")) if columns]


def _cell(scores: Mapping[str, Scores], column: Column) -> str:
    value = scores.get(column.measure, {}).get(column.field)
    if value is None:
        return NOTHING
    number = _scalar(value, column)
    if not np.isfinite(number):
        return NOTHING
    if column.field in _WHOLE:
        return f"{number:.0f}"
    return f"{number if column.field in _IN_PERCENT else 100 * number:.2f}"


def _scalar(value: float | np.ndarray, column: Column) -> float:
    """Return one number of a field: the mean over thresholds, of the total of all joints."""
    if column.field in _WHOLE or column.field in _IN_PERCENT:
        return float(np.asarray(value).reshape(-1)[-1])
    return _mean(value)
