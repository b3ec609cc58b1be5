"""Evaluations as JSON documents; docs/evaluation.md describes the fields."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import numpy as np
import orjson

from eval.datatypes import Evaluation
from eval.metrics.hota import THRESHOLDS
from eval.report.tables import JOINTS, headline_scores
from kprtrack import __version__

FORMAT, COMPARISON_FORMAT = "kprtrack-evaluation", "kprtrack-comparison"
VERSION = 1
_KEYS = {"ground_truth": "truth", "gt_ids": "truth_ids"}  # fields whose keys in version 1 differ


def evaluation_json(evaluation: Evaluation) -> bytes:
    """Return all scores of an evaluation: the headline scores first, then every array.

    Args:
        evaluation: The scores of one tracker.

    Returns:
        A JSON document; a number that is not finite becomes null.
    """
    return _document(FORMAT, _content(evaluation))


def comparison_json(evaluations: Mapping[str, Evaluation]) -> bytes:
    """Return all scores of several runs by name, as a JSON document."""
    return _document(COMPARISON_FORMAT, {"runs": {name: _content(one) for name, one in evaluations.items()}})


def _content(evaluation: Evaluation) -> dict[str, object]:
    stored = {field.name: getattr(evaluation, field.name) for field in fields(evaluation)}
    return {"summary": headline_scores(evaluation), **stored}


def _document(format: str, content: Mapping[str, object]) -> bytes:
    head = {"format": format, "version": VERSION, "program": f"kprtrack {__version__}"}
    axes = {"thresholds": THRESHOLDS.round(2), "joints": (*JOINTS, "total")}
    # orjson writes null for numbers that are not finite.
    return orjson.dumps(_plain({**head, **axes, **content}), option=orjson.OPT_APPEND_NEWLINE)


def _plain(value: object) -> object:
    """Convert to the types that orjson takes."""
    if isinstance(value, Mapping):
        return {_KEYS.get(str(key), str(_plain(key))): _plain(one) for key, one in value.items()}
    if is_dataclass(value):
        return {_KEYS.get(f.name, f.name): _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, str):  # a file name may contain bytes that are not valid text
        return value.encode(errors="replace").decode()
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
