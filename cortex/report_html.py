"""Runs in one HTML file: results, charts, what differs in settings and graphs, samples, and how each run came about.

The file needs nothing else: charts and graphs are SVG, there is no script, and its own policy forbids every request. All text
that is not ours is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from cortex import __version__
from cortex.comparison import Comparison, colour_places, comparison, levels
from cortex.comparison_words import short
from cortex.flops import FORMULA, IN_WORDS
from cortex.markup import quiet, safe, section
from cortex.report_charts import charts, curves_of
from cortex.report_graphs import graphs
from cortex.report_runs import origins, samples
from cortex.report_style import STYLE
from cortex.report_tables import groups, results, settings
from cortex.runs import ACTIVE, Run

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HOW = (
    "Best values are those of the lowest validation loss, with the step it came at, not the last ones. The first run named is "
    "what the others are measured against.",
    "Perplexity is exp of the mean loss per token over the whole validation split. Bits per byte and perplexity per word share "
    "the same loss out among the bytes or words of the text; a dash stands where that would not be honest.",
    "In charts, thin lines are training (each point the mean since the one before, with dropout), bold lines the whole "
    "validation split. Nothing is smoothed. The ring marks the best point. Dashed lines across are models that only count "
    "tokens: uniform, unigram (add-one) and bigram (interpolated; Jelinek and Mercer 1980).",
    "Intervals hold 95 %: Student's t for a mean (Student 1908), Welch's for the difference of two groups (Welch 1947), over "
    "runs that differ in their seed alone. A faint band around a curve is such an interval at every point.",
)


def report_html(runs: Sequence[Run], store: Path, *, axis: str = "step", made: datetime | None = None) -> str:
    """The whole file as text; a damaged run says what is wrong with it.

    Args:
        store: where prepared texts lie, for the reference lines.
        axis: what the charts are drawn over, of curves.AXES.
        made: when, for its head; now.
    """
    found = comparison(runs)
    places = colour_places(runs[0].path.parent) if runs else {}
    drawn = charts(found, curves_of(found, places, axis), axis, levels(runs, store))
    parts = [
        _head(found, made or datetime.now().astimezone()),
        results(found, places),
        groups(found),
        _charts(drawn, axis),
        settings(found),
        graphs(found),
        samples(found, places),
        origins(found),
        section("How to read this", "".join(f"<p>{safe(line)}</p>" for line in _HOW)),
    ]
    title, content = safe(_title(found)), "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{content}\n</main>\n</body>\n</html>\n"
    )


def _title(found: Comparison) -> str:
    first = short(found.subjects[0].name, 80) if found.subjects else "No run"
    more = len(found.subjects) - 1
    return f"{first} and {more} more {'run' if more == 1 else 'runs'}" if more > 0 else first


def _head(found: Comparison, made: datetime) -> str:
    going = [subject.name for subject in found.subjects if subject.row["state"] in ACTIVE]
    live = f" Still going on at that time: {', '.join(map(short, going))}." if going else ""
    when = f"{made:%Y-%m-%d %H:%M} {made:%Z}".strip()
    return f"<header><h1>{safe(_title(found))}</h1>{quiet(f'Made {when} by CortexNodus {__version__}.{live}')}</header>"


def _charts(drawn: Iterable[tuple[str, str]], axis: str) -> str:
    figures, said = [], []
    for picture, caption in drawn:
        if picture:
            figures.append(f"<figure>{picture}{f'<figcaption>{safe(caption)}</figcaption>' if caption else ''}</figure>")
        else:
            said.append(quiet(caption))
    if not figures:
        return section("Charts", quiet("None of these runs has a point to draw yet."))
    over = quiet(f"{FORMULA}. {IN_WORDS}") if axis == "flops" else ""
    return section("Charts", f'{over}<div class="charts">{"".join(figures)}</div>{"".join(said)}')
