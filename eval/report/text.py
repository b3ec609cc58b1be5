"""Evaluations as text for terminals."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from eval.datatypes import Evaluation
from eval.report.tables import Column, Table, comparison_tables, evaluation_tables, legend, term_line
from kprtrack.core.errors import printable

_GAP = "  "
_GROUP_GAP = " | "


def report(evaluation: Evaluation, *, width: int = 100, per_sequence: bool | None = None) -> str:
    """Return the tables of one tracker, explanations and notes, in lines of at most `width` characters."""
    tables = evaluation_tables(evaluation, per_sequence=per_sequence)
    head = [f"ground truth  {evaluation.ground_truth}", f"tracks        {evaluation.results}"]
    return _document(head, tables, evaluation.notes, width)


def comparison(evaluations: Mapping[str, Evaluation], *, width: int = 100) -> str:
    """Return one table of several runs, explanations and the notes of all runs."""
    first = next(iter(evaluations.values()))
    notes = dict.fromkeys(note for evaluation in evaluations.values() for note in evaluation.notes)
    return _document(
        [f"ground truth  {first.ground_truth}"], comparison_tables(evaluations), tuple(notes), width
    )


def _document(head: Sequence[str], tables: Sequence[Table], notes: Sequence[str], width: int) -> str:
    paragraphs = ["\n".join(map(printable, head))]
    paragraphs += [f"{table.title}\n{render(table, width=width)}" for table in tables]
    words = legend(tables)
    longest = max((len(word) for word, _ in words), default=0)
    lines = [_hanging(f"{word.ljust(longest)}{_GAP}", term_line(key), width) for word, key in words]
    paragraphs.append("\n".join(["Explanations (in percent, except for IDs and other counts)", *lines]))
    if notes:
        paragraphs.append("\n".join(["Notes", *(_hanging("* ", printable(note), width) for note in notes)]))
    return "\n\n".join(paragraphs) + "\n"


def render(table: Table, *, width: int) -> str:
    """Return a table as text; groups of columns that do not fit in `width` are placed below each other."""
    names = [table.corner, *(printable(name) for name, _ in table.rows)]
    margin = max(map(len, names))
    blocks = [_block(table, columns) for columns in _groups(table.columns)]
    parts: list[list[list[str]]] = []
    used = 0
    for block in blocks:
        if not parts or used + len(_GROUP_GAP) + len(block[0]) > width:
            parts.append([])
            used = margin
        parts[-1].append(block)
        used += len(_GROUP_GAP) + len(block[0])
    left = [name.ljust(margin) for name in ("", *names)]
    return "\n\n".join(
        "\n".join(_GROUP_GAP.join(cells).rstrip() for cells in zip(left, *part, strict=True))
        for part in parts
    )


def _groups(columns: Sequence[Column]) -> list[list[int]]:
    """Return the numbers of the columns of each group."""
    return [list(run) for _, run in groupby(range(len(columns)), key=lambda i: columns[i].group)]


def _block(table: Table, columns: Sequence[int]) -> list[str]:
    """Return the lines of one group, all of one length: heading, column names and cells."""
    rows: list[Sequence[str]] = [[table.columns[i].name for i in columns]]
    rows += zip(*(_aligned([cells[i] for _, cells in table.rows]) for i in columns), strict=True)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    title = table.columns[columns[0]].group
    # A heading longer than its columns widens the first of them.
    widths[0] += max(0, len(title) - sum(widths) - len(_GAP) * (len(widths) - 1))
    lines = [_GAP.join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return [title.ljust(len(lines[0])), *lines]


def _aligned(cells: Sequence[str]) -> list[str]:
    """Return the cells of a column, aligned at the number before the bracket."""
    parts = [cell.partition(" (") for cell in cells]
    longest = max(len(bracket + difference) for _, bracket, difference in parts)
    return [number + (bracket + difference).rjust(longest) for number, bracket, difference in parts]


def _hanging(first: str, text: str, width: int) -> str:
    """Return `first` and the text, wrapped with a hanging indent."""
    import textwrap

    return textwrap.fill(
        text,
        max(width, len(first) + 30),
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
