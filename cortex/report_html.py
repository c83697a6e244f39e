"""Runs in one HTML file: results, charts, what differs in settings and graphs, samples, and how each run came about.

The file needs nothing else: charts and graphs are SVG, there is no script, and its own policy forbids every request. All text
that is not ours is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cortex import __version__, labels
from cortex.colours import PALETTE
from cortex.comparison import FACTS, JUDGED, Comparison, Subject, colour_places, comparison, levels
from cortex.comparison_words import difference, fact, interval, judged, signed, value_text
from cortex.repeat import repeat
from cortex.report_charts import charts, curves_of
from cortex.report_graphs import graphs
from cortex.report_style import STYLE
from cortex.runs import Run
from cortex.timeline import timeline
from cortex.units import UNKNOWN

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MOST_LETTERS = 4000  # of a sample
_HOW = (
    "Best values are those of the lowest validation loss, with the step it came at, not the last ones.",
    "Perplexity is exp of the mean loss per token over the whole validation split. Bits per byte and perplexity per word share "
    "the same loss out among the bytes or words of the text; a dash stands where that would not be honest.",
    "In charts, thin lines are training (each point the mean since the one before, with dropout), bold lines the whole "
    "validation split. Nothing is smoothed. The ring marks the best point. Dashed lines across are models that only count "
    "tokens: uniform, unigram (add-one) and bigram (interpolated; Jelinek and Mercer 1980).",
    "Intervals hold 95 %: Student's t for a mean (Student 1908), Welch's for the difference of two groups (Welch 1947), over runs "
    "that differ in their seed alone. A faint band around a curve is such an interval at every point.",
)


def report_html(runs: Sequence[Run], store: Path, *, axis: str = "step", made: datetime | None = None) -> str:
    """The whole file as text.

    Args:
        store: where prepared texts lie, for the reference lines.
        axis: what the charts are drawn over, of curves.AXES.
        made: when, for its head; now.
    """
    found = comparison(runs)
    places = colour_places(runs[0].path.parent) if runs else {}
    curves = curves_of(found, places, axis)
    made = made or datetime.now().astimezone()
    parts = [
        _head(found, made),
        _results(found, places),
        _groups(found),
        _charts(charts(found, curves, axis, levels(runs, store)), axis),
        _settings(found),
        graphs(found),
        _samples(found, places),
        _origins(found),
        _section("How to read this", "".join(f"<p>{_safe(line)}</p>" for line in _HOW)),
    ]
    title = _safe(_title(found))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{chr(10).join(part for part in parts if part)}\n</main>\n</body>\n</html>\n"
    )


def _title(found: Comparison) -> str:
    first = found.subjects[0].name if found.subjects else "no run"
    more = len(found.subjects) - 1
    return first if not more else f"{first} and {more} more {'run' if more == 1 else 'runs'}"


def _head(found: Comparison, made: datetime) -> str:
    when = f"{made:%Y-%m-%d %H:%M} {made:%Z}".strip()
    going = [
        subject.name for subject in found.subjects if subject.row["state"] in ("running", "queued", "preparing", "starting")
    ]
    live = f" Still going on at that time: {', '.join(going)}." if going else ""
    text = f'<p class="quiet">Made {when} by CortexNodus {__version__}.{_safe(live)}</p>'
    return f"<header><h1>{_safe(_title(found))}</h1>{text}</header>"


# Numbers


def _results(found: Comparison, places: Mapping[str, int]) -> str:
    used = [key for key in JUDGED if any(subject.row[key] is not None for subject in found.subjects)]
    compared = [key for key in used if len(found.subjects) > 1 and key in found.honest]
    head = ["run", "state", *_each(used, compared), *(title for key, title in FACTS.items() if key != "state")]
    numbers = [False, False, *[True] * (len(used) + len(compared)), *(key not in _TEXTS for key in FACTS if key != "state")]
    rows = []
    for subject in found.subjects:
        cells = [_name(subject, places), _safe(str(subject.row["state"]))]
        for key in used:
            best = ' class="best"' if len(found.subjects) > 1 and found.best(key) is subject else ""
            cells.append(f"<span{best}>{judged(key, subject.row[key])}</span>")
            if key in compared:
                cells.append(signed(key, found.difference(key, subject)))
        cells += [_safe(fact(key, subject.row[key])) for key in FACTS if key != "state"]
        rows.append(cells)
    body = "".join(_row(cells, numbers) for cells in rows)
    heads = "".join(f"<th{_number(number)}>{_safe(text)}</th>" for text, number in zip(head, numbers, strict=True))
    warning = f'<p class="warn">{_safe(found.why_not)}</p>' if found.why_not else ""
    problems = "".join(
        f'<p class="warn">{_safe(subject.name)} is damaged: {_safe(subject.problem)}</p>'
        for subject in found.subjects if subject.problem
    )  # fmt: skip
    table = f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    return _section("Results", warning + problems + table)


_TEXTS = ("source", "tokenizer")


def _each(used: Iterable[str], compared: Sequence[str]) -> Iterator[str]:
    for key in used:
        yield JUDGED[key]
        if key in compared:
            yield "against the first"


def _name(subject: Subject, places: Mapping[str, int]) -> str:
    known = labels.read(subject.run)
    tags = "".join(f'<span class="tag">{_safe(tag)}</span>' for tag in known.tags)
    note = f'<div class="quiet">{_safe(known.note)}</div>' if known.note else ""
    return f'{_dot(subject, places)}<b>{_safe(subject.name)}</b><div class="quiet">{_safe(subject.run.id)}</div>{tags}{note}'


def _dot(subject: Subject, places: Mapping[str, int]) -> str:
    colour = PALETTE[places.get(subject.run.id, 0) % len(PALETTE)]
    return f'<span class="dot" style="background:{colour}"></span>'


def _groups(found: Comparison) -> str:
    if not found.groups:
        return ""
    used = [key for key in JUDGED if any(group.means[key].mean is not None for group in found.groups)]
    rows = []
    for place, group in enumerate(found.groups):
        cells = [f"<b>{_safe(group.name)}</b>", str(len(group.members))]
        for key in used:
            cells.append(_safe(interval(key, group.means[key])))
            against = group.against[key]
            if len(found.groups) > 1:
                cells.append("" if not place else _safe(difference(key, against)) if against else UNKNOWN)
        rows.append(_row(cells, [False, True, *[False] * (len(cells) - 2)]))
    columns = [
        text for key in used for text in ([JUDGED[key], "against the first group"] if len(found.groups) > 1 else [JUDGED[key]])
    ]
    heads = "".join(f"<th>{_safe(text)}</th>" for text in ("group", "runs", *columns))
    table = f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    quiet = '<p class="quiet">Means with their 95 % confidence intervals.</p>'
    return _section("Runs that differ in their seed alone", quiet + table)


def _charts(drawn: Iterable[tuple[str, str]], axis: str) -> str:
    figures, said = [], []
    for picture, caption in drawn:
        if picture:
            figures.append(f"<figure>{picture}{f'<figcaption>{_safe(caption)}</figcaption>' if caption else ''}</figure>")
        else:
            said.append(f'<p class="quiet">{_safe(caption)}</p>')
    if not figures:
        return _section("Charts", '<p class="quiet">None of these runs has a point to draw yet.</p>')
    over = '<p class="quiet">Over tokens × (6 N + 12 L d T) FLOPs.</p>' if axis == "flops" else ""
    return _section("Charts", f'{over}<div class="charts">{"".join(figures)}</div>{"".join(said)}')


def _settings(found: Comparison) -> str:
    readable = found.readable
    if not readable:
        return ""
    several = len(readable) > 1
    chosen = found.settings() if several else found.settings(every=True)
    text = ""
    if several and not chosen:
        text = '<p class="quiet">None: every setting is the same.</p>'
    elif chosen:
        text = _settings_table(found, chosen)
    if several:
        shared = {name: values for name, values in found.settings(every=True).items() if name not in chosen}
        text += (
            f"<details><summary>{len(shared)} settings that are the same</summary>{_settings_table(found, shared)}</details>"
        )
    return _section("Settings that differ" if several else "Settings", text)


def _settings_table(found: Comparison, chosen: Mapping[str, Sequence[Any]]) -> str:
    same = not any(name in found.differing for name in chosen)
    names = ["value"] if same else found.names
    heads = "".join(f'<th class="name">{_safe(name)}</th>' for name in names)
    rows = []
    for name, values in chosen.items():
        shown = values[:1] if same else values
        cells = "".join(f"<td>{_safe(value_text(value))}</td>" for value in shown)
        rows.append(f"<tr><th>{_safe(name)}</th>{cells}</tr>")
    return (
        f'<div class="wide"><table><thead><tr><th>setting</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


# What the runs wrote and where they come from


def _samples(found: Comparison, places: Mapping[str, int]) -> str:
    """The last sample of each run, runs with the same prompt side by side."""
    prompts: dict[str, list[str]] = {}
    for subject in found.subjects:
        told = [event for event in subject.run.events() if event["event"] == "sample" and isinstance(event.get("text"), str)]
        if not told:
            continue
        last = told[-1]
        prompt = last.get("prompt") if isinstance(last.get("prompt"), str) else ""
        step = f"step {last['step']:,}" if isinstance(last.get("step"), int) else ""
        text = last["text"][:_MOST_LETTERS]
        prompts.setdefault(prompt, []).append(
            f'<div>{_dot(subject, places)}<b>{_safe(subject.name)}</b> <span class="quiet">{step}</span>'
            f'<pre><span class="prompt">{_safe(prompt)}</span>{_safe(text)}</pre></div>'
        )
    if not prompts:
        return ""
    parts = []
    for prompt, boxes in prompts.items():
        what = f"Prompt: {prompt}" if prompt else "Without a prompt"
        parts.append(f'<p class="quiet">{_safe(what)}</p><div class="samples">{"".join(boxes)}</div>')
    return _section("The last sample of each run", "".join(parts))


def _origins(found: Comparison) -> str:
    return _section("How each run came about", "".join(map(_origin, found.subjects)))


def _origin(subject: Subject) -> str:
    again = repeat(subject.run)
    command = f"<pre>{_safe(str(again))}</pre>" if again.words else ""
    facts = [f"{name} {value}" for name, value in origin_facts(subject.run).items()]
    moments = "".join(
        f"<tr><td>{_when(moment.time)}</td><td>{_safe(moment.what)}</td><td>{_safe(moment.text)}</td></tr>"
        for moment in timeline(subject.run)
    )
    head = f"<h3>{_safe(subject.name)}</h3>" + (f'<p class="quiet">{_safe("; ".join(facts))}</p>' if facts else "")
    table = f'<div class="wide"><table><tbody>{moments}</tbody></table></div>' if moments else ""
    return f'{head}{command}<p class="quiet">{_safe(again.note)}</p><details><summary>What happened to it</summary>{table}</details>'


def origin_facts(run: Run) -> dict[str, str]:
    """Versions, machine, device, precision, threads and processes that a run was made with, as far as they are known."""
    facts: dict[str, str] = {}
    try:
        record = run.record()
    except ValueError:
        record = {}
    for key in ("versions", "machine"):
        found = record.get(key)
        facts |= {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    begun = next((event for event in run.events() if event["event"] == "start"), {})
    for key in ("device", "precision", "threads", "processes"):
        if begun.get(key) is not None:
            facts[key] = str(begun[key])
    if isinstance(begun.get("compiled"), bool):
        facts["compiled"] = "yes" if begun["compiled"] else "no"
    return facts


def _when(time: float | None) -> str:
    return UNKNOWN if time is None else f"{datetime.fromtimestamp(time):%Y-%m-%d %H:%M:%S}"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_safe(title)}</h2>{content}</section>" if content else ""


def _row(cells: Sequence[str], numbers: Sequence[bool]) -> str:
    return f"<tr>{''.join(f'<td{_number(number)}>{cell}</td>' for cell, number in zip(cells, numbers, strict=True))}</tr>"


def _number(number: bool) -> str:
    return ' class="number"' if number else ""


def _safe(text: str) -> str:
    return html.escape(text)
