"""Scores of an encoder as text for a terminal and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import orjson

from kprtrack.core.errors import printable
from reid.evaluation.protocols import UNPROMPTED, ReidScores, Row

_RANKS = (1, 5, 10)
_GAP = "   "


def score_report(scores: ReidScores, encoder: str) -> str:
    """Tables in percent, and notes. encoder: its name, such as that of its weights."""
    head = (
        f"{scores.dataset}: {scores.queries} queries, {scores.gallery} gallery images, "
        f"protocol {scores.protocol}\nencoder {printable(encoder)}"
    )
    parts = [head, _table(("", "mAP", *(f"R{rank}" for rank in _RANKS)), _score_lines(scores.rows))]
    if scores.rows[0].levels:
        parts.append(
            "By multi-person occlusion of the query (eq. 3), mAP and R1\n" + _level_table(scores.rows)
        )
    if scores.robustness:
        lines = [
            (_percent(one.share, 0), _percent(one.map), _percent(one.rank1)) for one in scores.robustness
        ]
        parts.append("With keypoints removed at random\n" + _table(("removed %", "mAP", "R1"), lines))
    if scores.notes:
        parts.append("\n".join(["Notes", *(f"* {printable(note)}" for note in scores.notes)]))
    return "\n\n".join(parts) + "\n"


def score_json(scores: ReidScores, encoder: str) -> bytes:
    """Every number, shares in [0, 1]; null where there is none."""
    document = {
        "dataset": scores.dataset,
        "protocol": scores.protocol,
        "encoder": encoder,
        "queries": scores.queries,
        "gallery": scores.gallery,
        "rows": [_row_document(row) for row in scores.rows],
        "robustness": [asdict(one) for one in scores.robustness],
        "notes": scores.notes,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n"


def _row_document(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "map": row.scores.map,
        "cmc": row.scores.cmc,
        "scored_queries": int(row.scores.scored.sum()),
        "average_precision": row.scores.average_precision,  # orjson writes NaN as null
        "first_match": row.scores.first_match,
        "occlusion_levels": [asdict(level) for level in row.levels],
    }


def _score_lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    lines = [(row.name, *map(_percent, _main_numbers(row))) for row in rows]
    by_name = {row.name: row for row in rows}
    if len(by_name) > 1 and UNPROMPTED in by_name and rows[0].name != UNPROMPTED:
        gain = np.subtract(_main_numbers(rows[0]), _main_numbers(by_name[UNPROMPTED]))
        lines.append(("gain by prompts", *(f"{100 * value:+.1f}" for value in gain)))
    return lines


def _main_numbers(row: Row) -> list[float]:
    return [row.scores.map, *(float(row.scores.cmc[rank - 1]) for rank in _RANKS)]


def _level_table(rows: Sequence[Row]) -> str:
    rows = [row for row in rows if row.levels]
    head = ("occlusion %", "queries", *(f"{row.name} {word}" for row in rows for word in ("mAP", "R1")))
    lines = []
    for place, level in enumerate(rows[0].levels):
        if not level.count:
            continue
        numbers = [value for row in rows for value in (row.levels[place].map, row.levels[place].rank1)]
        span = f"{100 * level.low:.0f}-{100 * level.high:.0f}"
        lines.append((span, str(level.count), *map(_percent, numbers)))
    return _table(head, lines)


def _percent(share: float, digits: int = 1) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.{digits}f}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    return "\n".join(
        _GAP.join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *lines)
    )
