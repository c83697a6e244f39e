"""Many runs at once: settings against results, and which runs nothing beats at their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import flops
from cortex.comparable import predicts
from cortex.comparison import JUDGED
from cortex.pareto import front
from cortex.runs import Run
from ui import many, reading, session
from ui.plain import plain
from ui.plot import show_chart
from ui.theme import theme

Row = Mapping[str, Any]

# What a run costs: column of a row, title, axis.
COSTS = {
    "parameters": ("Parameters", "parameters"),
    "best_tokens": ("Tokens", "tokens seen at the best validation"),
    "best_flops": ("FLOPs", "FLOPs to the best validation"),
    "best_minutes": ("Minutes", "minutes to the best validation"),
}
RESULTS = {**JUDGED, "best_step": "step of the best", "tokens_per_second": "last tokens/s", "parameters": "parameters"}
_OPEN = "views.open"
_FEWEST = 2
_MOST_DIMENSIONS = 9


def views(rows: list[dict[str, Any]], chosen: list[str]) -> None:
    """Draw the views of these runs (rows of the index, all that the table shows); those chosen in the table are ringed."""
    _go()
    judged = [row for row in rows if row["best_loss"] is not None]
    if len(judged) < _FEWEST:
        st.info(
            "Two runs with a validation are needed before they can be laid out by their settings.",
            icon=":material/scatter_plot:",
        )
        return
    together = _comparable(judged)
    names = reading.names({row["run"]: row for row in together})
    numbers = reading.colours(session.where().runs)
    points = [_point(row, names[row["run"]], numbers.get(row["run"], 0), row["run"] in chosen) for row in together]
    part = st.segmented_control(
        "View", ["Setting against result", "Cost and Pareto front", "Parallel coordinates"], default="Setting against result",
        key="view", bind="query-params", required=True,
    )  # fmt: skip
    if part == "Setting against result":
        _scatter(points)
    elif part == "Cost and Pareto front":
        _costs(points)
    else:
        _parallel(points)


def _comparable(rows: Sequence[Row]) -> list[Row]:
    """The runs of one data set, whose perplexities compare; which one is chosen, and how many are left out is said."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(predicts(row), []).append(row)
    if len(found) == 1:
        return list(rows)
    data = [str(key[0]) for key in found]  # in the address; with the task where one text is learned from in several ways
    sets = {name if data.count(name) == 1 else f"{name}-{key[1]}-{key[2]}": those
            for name, (key, those) in zip(data, found.items(), strict=True)}  # fmt: skip
    largest = sorted(sets, key=lambda data: -len(sets[data]))
    tasks = len({key[1] for key in found}) > 1
    labels = {data: _label(sets[data][0]) + (f", {sets[data][0]['task']}" if tasks else "") for data in largest}
    labels = {data: f"{label} ({data[:6]})" if [*labels.values()].count(label) > 1 else label for data, label in labels.items()}
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    data = left.selectbox("Tokens", largest, key="viewtokens", bind="query-params", format_func=labels.get)
    shown, others = len(sets[data]), len(rows) - len(sets[data])
    right.caption(
        f"Perplexities compare among runs that predict the same tokens: {shown:,} {'is' if shown == 1 else 'are'} shown, "
        f"{others:,} on other tokens {'is' if others == 1 else 'are'} left out."
    )
    return sets[data]


def _label(row: Row) -> str:
    vocabulary = f", vocabulary {row['vocabulary']:,}" if row["vocabulary"] else ""
    return f"{row['source']}, {row['tokenizer'] or 'tokens'}{vocabulary}"


def _point(row: Row, name: str, number: int, ringed: bool) -> many.Point:
    each = reading.flops_of(Run(Path(row["directory"])), row)
    tokens, elapsed = row["best_tokens"], row["best_elapsed"]
    costs = {
        "parameters": row["parameters"],
        "best_tokens": tokens,
        "best_flops": tokens * each if tokens is not None and each is not None else None,
        "best_minutes": elapsed / 60 if elapsed is not None else None,
    }
    results = {key: row.get(key) for key in RESULTS}
    return many.Point(row["run"], name, number, ringed, {**(row.get("settings") or {}), **results, **costs}, row["state"])


def _scatter(points: Sequence[many.Point]) -> None:
    """Any setting or cost against any result."""
    settings = _differing_settings(points)
    across = [*settings, *COSTS]
    left, right, logarithmic = st.columns([3, 3, 1.6], vertical_alignment="bottom")
    x = left.selectbox(
        "Setting", across, index=across.index("training.lr") if "training.lr" in across else 0, key="x", bind="query-params",
        format_func=lambda name: COSTS[name][1] if name in COSTS else name,
    )  # fmt: skip
    honest = _measures(points)
    y = right.selectbox("Result", honest, key="y", bind="query-params", format_func=RESULTS.get)
    log_x = logarithmic.toggle("Log", key="viewlog", bind="query-params", help="Logarithmic axis of the setting.")
    chart = many.scatter(points, x, y, (COSTS[x][1] if x in COSTS else x, RESULTS[y]), theme(), log_x=log_x)
    show_chart(chart, key="views.scatter", clicked=_clicked)
    _missing(points, x, y)
    st.caption("One point a run, hollow where it did not finish, ringed where it is ticked; a click opens the run's page.")


def _costs(points: Sequence[many.Point]) -> None:
    """The measure against each cost, with the runs that no other beats."""
    y = st.selectbox("Result", _measures(points, facts=False), key="y", bind="query-params", format_func=RESULTS.get)
    fronts: dict[str, list[str]] = {}
    for place, (cost, (title, axis)) in enumerate(COSTS.items()):
        if place % 2 == 0:
            columns = st.columns(2)
        known = [point for point in points if many.is_number(point.values[cost]) and many.is_number(point.values[y])]
        best = front([(point.values[cost], point.values[y]) for point in known])
        fronts[title] = [known[at].name for at in best]
        chart = many.scatter(
            known, cost, y, (axis, RESULTS[y]), theme(), log_x=True, title=title, front=[known[at] for at in best], height=330
        )
        with columns[place % 2]:
            show_chart(chart, key=f"views.{cost}", clicked=_clicked)
    st.caption(
        "On the line: runs that no other dominates, which it would by being no larger in both and smaller in one. "
        f"Each run lies where its best validation came. {flops.FORMULA}. {flops.IN_WORDS}"
    )
    with st.expander("The runs on each front"):
        for title, names in fronts.items():
            st.markdown(plain(f"{title}: {', '.join(names) or 'none'}"))


def _parallel(points: Sequence[many.Point]) -> None:
    """A line a run through its settings to its result."""
    settings = _differing_settings(points)
    y = st.selectbox("Result", _measures(points, facts=False), key="y", bind="query-params", format_func=RESULTS.get)
    shown = st.multiselect(
        "Settings", settings, default=settings[: _MOST_DIMENSIONS - 1], key="dims", bind="query-params",
        max_selections=2 * _MOST_DIMENSIONS, placeholder="every setting that differs can be an axis",
    )  # fmt: skip
    if not settings:
        st.caption("These runs do not differ in any setting.")
        return
    known = [point for point in points if many.is_number(point.values[y])]
    show_chart(many.parallel(known, shown, y, RESULTS[y], theme()), key="views.parallel")
    st.caption(
        "The strongest lines are the best results. Drag along an axis to keep only the runs that pass there; a title can be "
        "dragged too."
    )


def _differing_settings(points: Sequence[many.Point]) -> list[str]:
    """Settings that are not the same in all, the training's first."""
    names = dict.fromkeys(name for point in points for name in point.values if name not in RESULTS and name not in COSTS)
    differ = [name for name in names if len({repr(point.values.get(name)) for point in points}) > 1]
    return sorted(differ, key=lambda name: (name == "training.seed", not name.startswith("training.")))


def _measures(points: Sequence[many.Point], *, facts: bool = True) -> list[str]:
    """What these runs can be judged by: they predict the same tokens, so by perplexity first."""
    order = ["best_perplexity", "best_loss", "bits_per_byte", "word_perplexity"]
    order += [name for name in RESULTS if facts and name not in order]
    return [name for name in order if any(many.is_number(point.values.get(name)) for point in points)]


def _missing(points: Sequence[many.Point], x: str, y: str) -> None:
    out = sum(point.values.get(x) is None or not many.is_number(point.values.get(y)) for point in points)
    if out:
        st.caption(f"{out:,} {'run has' if out == 1 else 'runs have'} no such setting or result, and no point.")


def _clicked(run: Any) -> None:
    if isinstance(run, str):
        st.session_state[_OPEN] = run


def _go() -> None:
    """Open the page of the run that was clicked."""
    run = st.session_state.pop(_OPEN, None)
    if run:
        st.switch_page("pages/run.py", query_params={"run": run})
