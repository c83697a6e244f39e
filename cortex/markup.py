"""Pieces of HTML for a report. Text that is not ours goes through `safe`."""

from __future__ import annotations

import html
from collections.abc import Sequence


def safe(text: str) -> str:
    """Text as HTML that shows just that text."""
    return html.escape(text)


def section(title: str, content: str) -> str:
    """A part with its heading; empty without content, which is HTML."""
    return f"<section><h2>{safe(title)}</h2>{content}</section>" if content else ""


def quiet(text: str) -> str:
    """A remark."""
    return f'<p class="quiet">{safe(text)}</p>'


def warning(text: str) -> str:
    """A remark that must not be missed."""
    return f'<p class="warn">{safe(text)}</p>'


def row(cells: Sequence[str], numbers: Sequence[bool] = ()) -> str:
    """A row of a table: cells as HTML, and for each whether it is a number; the rest are not."""
    looks = [*numbers, *[False] * (len(cells) - len(numbers))]
    return f"<tr>{''.join(f'<td{_look(number)}>{cell}</td>' for cell, number in zip(cells, looks, strict=True))}</tr>"


def table(heads: Sequence[str], rows: Sequence[str], numbers: Sequence[bool] = (), names: bool = False) -> str:
    """A table of rows: its heads are text; `names`: all but the first are names of runs, which may be long."""
    looks = [*numbers, *[False] * (len(heads) - len(numbers))]
    name = ' class="name"'
    cells = [f"<th{name if names and place else _look(looks[place])}>{safe(text)}</th>" for place, text in enumerate(heads)]
    head = f"<thead><tr>{''.join(cells)}</tr></thead>" if heads else ""
    return f'<div class="wide"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _look(number: bool) -> str:
    return ' class="number"' if number else ""
