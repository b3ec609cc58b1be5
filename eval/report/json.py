"""Evaluations as JSON: every number, for programs. docs/evaluation.md describes the fields."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import numpy as np
import orjson

from eval.datatypes import Evaluation
from eval.report.tables import JOINTS
from kprtrack import __version__

FORMAT, COMPARISON_FORMAT = "kprtrack-evaluation", "kprtrack-comparison"
VERSION = 1
THRESHOLDS = [round(0.05 * i, 2) for i in range(1, 20)]


def evaluation_json(evaluation: Evaluation) -> bytes:
    """All of an evaluation; a number that is not finite becomes null."""
    return _document(FORMAT, {name: getattr(evaluation, name) for name in Evaluation.__dataclass_fields__})


def comparison_json(evaluations: Mapping[str, Evaluation]) -> bytes:
    """All of several runs, by name."""
    return _document(COMPARISON_FORMAT, {"runs": evaluations})


def _document(format: str, content: Mapping[str, object]) -> bytes:
    head = {"format": format, "version": VERSION, "program": f"kprtrack {__version__}"}
    axes = {"thresholds": THRESHOLDS, "joints": (*JOINTS, "total")}
    # orjson writes null for what is not finite.
    return orjson.dumps(_plain({**head, **axes, **content}), option=orjson.OPT_APPEND_NEWLINE)


def _plain(value: object) -> object:
    """What orjson takes, all the way down."""
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, str):  # a file name may hold bytes that are no text
        return value.encode(errors="replace").decode()
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
