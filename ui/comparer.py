"""Runs side by side: results, whether chance explains their difference, what differs in settings and graph, samples."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import comparison_words as words
from cortex.comparison import FACTS, JUDGED, Comparison, Group, against, comparison, marked
from cortex.runs import Run
from ui import reading, session
from ui.graph_difference import graph_part
from ui.plain import plain
from ui.side_by_side import samples_part
from ui.strokes import colour_of
from ui.theme import Theme, theme

MOST = 10
_ORDER = ("best_perplexity", "bits_per_byte", "word_perplexity", "best_loss")  # which number says most of a difference
_BASE = "base"


def comparer(rows: list[dict[str, Any]]) -> None:
    """Draw the comparison of these runs (rows of the index); the one that they are compared with is in the URL."""
    if len(rows) < 2:
        st.info(
            "Tick a second run in the table: the comparer shows two to ten beside each other.", icon=":material/compare_arrows:"
        )
        return
    if len(rows) > MOST:
        st.caption(f"{len(rows):,} runs are ticked; the first {MOST} of them are shown. Untick some to see others.")
    shown = {row["run"]: row for row in rows[:MOST]}
    names = reading.names(shown)
    base = _base(names)
    runs = [Run(Path(shown[run]["directory"])) for run in [base, *(run for run in shown if run != base)]]
    found = comparison(runs, shown)
    for subject in found.subjects:
        if subject.problem:
            st.error(plain(f"{subject.name} is damaged: {subject.problem}"), icon=":material/error:")
    if found.why_not:
        st.warning(plain(found.why_not), icon=":material/balance:")
    numbers = reading.colours(session.where().runs)
    st.html(table(found, _results(found), numbers, theme()))
    _chance(found)
    st.subheader("Settings", anchor=False)
    every = not st.toggle("Only what differs", value=True, key="differs", bind="query-params")
    chosen = found.settings(every)
    if chosen:
        cells = {name: [words.value_text(value) for value in values] for name, values in chosen.items()}
        st.html(table(found, cells, numbers, theme(), marked=True))
    else:
        st.caption("Every setting is the same." if len(found.readable) > 1 else "Fewer than two of these runs can be read.")
    graph_part(found)
    samples_part(found)


def _base(names: dict[str, str]) -> str:
    """The run that the others are compared with: that of the URL, else the oldest."""
    runs = sorted(names)
    asked = st.query_params.get(_BASE)
    st.session_state[_BASE] = asked if asked in names else runs[0]
    left, _ = st.columns([2, 3])
    return left.selectbox("Compared with", runs, key=_BASE, format_func=names.get, on_change=_keep_base)


def _keep_base() -> None:
    st.query_params[_BASE] = st.session_state[_BASE]


def _results(found: Comparison) -> dict[str, list[str]]:
    """Rows by their title: each result, under it the difference to the first run, then the facts."""
    rows: dict[str, list[str]] = {}
    for key, title in JUDGED.items():
        if all(subject.row[key] is None for subject in found.subjects):
            continue
        rows[title] = [f"{words.judged(key, subject.row[key])}{marked(found, key, subject)}" for subject in found.subjects]
        others = found.subjects[1:]
        if any(found.difference(key, subject) is not None for subject in others):
            rows[f"{title}, difference"] = ["", *(against(found, key, subject) for subject in others)]
    for key, title in FACTS.items():
        rows[title] = [words.fact(key, subject.row[key]) for subject in found.subjects]
    return rows


def table(found: Comparison, rows: dict[str, list[str]], numbers: dict[str, int], look: Theme, *, marked: bool = False) -> str:
    """Titles at the left, a column for each run under its colour and name.

    Args:
        marked: a value that is not the first run's stands out.
    """
    many = len(found.subjects) > 6
    share = (84 if many else 78) / len(found.subjects)
    stands_out = f";background:{look.ring}22;font-weight:600"
    cell = f"padding:4px {4 if many else 8}px;border-bottom:1px solid {look.line};overflow-wrap:anywhere"
    cell += ";vertical-align:top;text-align:left"
    heads = "".join(
        f'<th style="{cell};width:{share:.1f}%;font-weight:600">'
        f'<span style="color:{colour_of(numbers.get(subject.run.id, 0))}">●</span> '
        f"{html.escape(words.short(subject.name, 60))}{'<br><small>compared with this</small>' if not place else ''}</th>"
        for place, subject in enumerate(found.subjects)
    )
    body = []
    for title, values in rows.items():
        sub = title.endswith(", difference")
        shade = f"color:{look.muted}" if sub else ""
        head = html.escape("difference" if sub else title)
        cells = "".join(
            f'<td style="{cell};{shade}{stands_out if marked and value != values[0] else ""}">{html.escape(value)}</td>'
            for value in values
        )
        body.append(f'<tr><td style="{cell};color:{look.muted}">{head}</td>{cells}</tr>')
    size = f"font-size:{0.78 if many else 0.85}rem;font-variant-numeric:tabular-nums"
    return (
        f'<table style="width:100%;table-layout:fixed;border-collapse:collapse;{size};color:{look.text}">'
        f'<thead><tr><th style="{cell}"></th>{heads}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    )


def _chance(found: Comparison) -> None:
    """Whether the seeds of the groups could explain the difference, in a sentence a group."""
    if len(found.readable) < 2:
        return
    st.subheader("More than chance?", anchor=False)
    if not found.groups:
        st.caption(
            "One run of each: another seed alone changes these numbers, so a difference may be chance. Train several seeds of "
            "both (Train page, More) and tick them all to see an interval."
        )
        return
    first = found.groups[0]
    key = next((name for name in _ORDER if first.means[name].mean is not None), "best_loss")
    lines = [f"{first.name}, {_runs(first)}: {JUDGED[key]} {words.interval(key, first.means[key])}."]
    for group in found.groups[1:]:
        shared = [name for name in _ORDER if group.against[name] is not None]
        own = next((name for name in shared if group.against[name].mean is not None), None)
        if own is None and not shared:
            lines.append(f"{group.name}, {_runs(group)}: no number of it can be compared with {first.name}.")
        else:
            lines.append(sentence(group, first, own or shared[0], named=own != key))
    st.markdown("\n".join(f"* {plain(line)}" for line in lines))
    repeated = [group.name for group in found.groups if _repeats(group)]
    if repeated:
        st.warning(
            plain(
                f"{', '.join(repeated)}: two runs have the same seed. They are repetitions and no samples of chance, so the "
                "interval is too narrow; tick only one of each seed."
            ),
            icon=":material/content_copy:",
        )
    st.caption(
        "In brackets the 95 % confidence interval of the mean (Student's t), and of the difference of two means (Welch 1947). "
        "Each run counts with its best value."
    )


def sentence(group: Group, first: Group, key: str, named: bool = False) -> str:
    """How a group compares with the first one, and whether that is more than chance.

    Args:
        named: say by which number, since it is not that of the line before.
    """
    said = f"{group.name}, {_runs(group)}: {f'{JUDGED[key]} ' if named else ''}{words.interval(key, group.means[key])}"
    against = group.against[key]
    if against is None or against.mean is None:
        return f"{said}; no number to compare with {first.name}."
    them = first.name if len(first.members) == 1 else f"the {len(first.members)} runs of {first.name}"
    way = "higher (worse)" if against.mean > 0 else "lower (better)"
    size = words.judged(key, abs(against.mean))
    if against.low is None or against.high is None:
        return f"{said}; {size} {way} than {them}. Whether that is chance cannot be told: a group has a single run."
    between = f"95 % interval {words.signed(key, against.low)} to {words.signed(key, against.high)}"
    if against.more_than_chance:
        return f"{said}; {size} {way} than {them} ({between}): more than chance."
    return f"{said}; {size} {way} than {them} ({between}, which holds 0): chance can explain this difference."


def _runs(group: Group) -> str:
    return "1 run" if len(group.members) == 1 else f"{len(group.members)} runs"


def _repeats(group: Group) -> bool:
    seeds = [member.settings.get("training.seed") for member in group.members]
    return len(set(seeds)) < len(seeds)
