"""Evaluations as one self-contained HTML page: tables, notes, explanations and plots."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby, pairwise

from eval.datatypes import Evaluation
from eval.report.tables import COMBINED, Table, comparison_tables, evaluation_tables, legend, term_sentences
from kprtrack import __version__

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
div.wide { overflow-x: auto; max-height: 85vh; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1px solid var(--line); }
th.first, td.first { border-left: 1px solid var(--line); }
thead tr:first-child th { text-align: left; font-weight: 600; border-bottom: 0; }
tbody tr:nth-child(even) { background: var(--soft); }
tr.combined td { font-weight: 600; border-top: 1px solid var(--line); }
dt { font-weight: 600; margin-top: .6rem; }
dd { margin: 0; }
figure { margin: 1rem 0; }
img { max-width: 100%; background: white; border-radius: 4px; }
footer { margin-top: 3rem; opacity: .7; font-size: .85rem; }
"""
_PLOT_TITLES = {
    "thresholds": "HOTA over thresholds",
    "sequences": "Sequence by sequence",
    "identities": "Identities over time",
}


def evaluation_html(evaluation: Evaluation, plots: Mapping[str, bytes]) -> bytes:
    """Return the page of one tracker.

    Args:
        evaluation: The scores.
        plots: PNG files of `eval.report.plots.draw_plots`.
    """
    tables = evaluation_tables(evaluation, per_sequence=True)
    return _page(evaluation, tables, evaluation.notes, plots)


def comparison_html(evaluations: Mapping[str, Evaluation], plots: Mapping[str, bytes]) -> bytes:
    """Return the page of several runs; plots and rows for sequences are those of the first run."""
    name, first = next(iter(evaluations.items()))
    tables = list(comparison_tables(evaluations))
    for table in evaluation_tables(first, per_sequence=True):
        tables.append(Table(f"{table.title}: {name}", table.corner, table.columns, table.rows))
    notes = tuple(dict.fromkeys(note for evaluation in evaluations.values() for note in evaluation.notes))
    return _page(first, tables, notes, plots)


def _page(
    evaluation: Evaluation, tables: Sequence[Table], notes: Sequence[str], plots: Mapping[str, bytes]
) -> bytes:
    title = f"Tracking scores: {evaluation.benchmark}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>Ground truth: <code>{escape(evaluation.ground_truth)}</code><br>"
        f"Tracks: <code>{escape(evaluation.results)}</code><br>"
        "In percent, except for IDs and other counts, where fewer is better.</p>",
    ]
    if notes:
        parts.append(f"<h2>Notes</h2><ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>")
    parts += [_table(table) for table in tables]
    parts += [_plot(name, plots[name]) for name in _PLOT_TITLES if name in plots]
    parts.append(_terms(tables))
    parts.append(f"<footer>kprtrack {escape(__version__)}</footer>")
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    viewport = '<meta name="viewport" content="width=device-width">'
    body = "\n".join(parts)
    page = f'<!doctype html>\n<html lang="en"><head>{head}{viewport}</head><body>\n{body}\n</body></html>\n'
    return page.encode(errors="replace")  # a file name may contain bytes that are not valid text


def _table(table: Table) -> str:
    groups = [(title, len(list(run))) for title, run in groupby(column.group for column in table.columns)]
    above = "".join(f'<th class="first" colspan="{count}">{escape(title)}</th>' for title, count in groups)
    names = _cells("th", [table.corner, *(column.name for column in table.columns)], table)
    rows = "\n".join(
        f"<tr{' class=combined' if name == COMBINED else ''}>{_cells('td', [name, *cells], table)}</tr>"
        for name, cells in table.rows
    )
    return (
        f'<h2>{escape(table.title)}</h2>\n<div class="wide"><table>'
        f"<thead><tr><th></th>{above}</tr><tr>{names}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
    )


def _cells(tag: str, texts: Sequence[str], table: Table) -> str:
    """Return a row; the first cell of each group of columns has a class of its own."""
    groups = ["", *(column.group for column in table.columns)]
    first = [False, *(a != b for a, b in pairwise(groups))]
    return "".join(
        f"<{tag}{' class=first' if begins else ''}>{escape(text)}</{tag}>"
        for text, begins in zip(texts, first, strict=True)
    )


def _plot(name: str, png: bytes) -> str:
    title = _PLOT_TITLES[name]
    data = base64.b64encode(png).decode()
    return f'<h2>{title}</h2>\n<figure><img alt="{title}" src="data:image/png;base64,{data}"></figure>'


def _terms(tables: Sequence[Table]) -> str:
    entries = [
        f"<dt>{escape(word)}</dt><dd>{escape(term_sentences(key))}</dd>" for word, key in legend(tables)
    ]
    return f"<h2>Explanations</h2>\n<dl>{''.join(entries)}</dl>"
