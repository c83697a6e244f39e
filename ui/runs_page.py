"""The Runs page: every run in a table; below it charts, comparison and views of the ticked ones, and what can be taken away.

The parts are drawn in fragments that run again by themselves while runs go on, so they start no such fragment of their own.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from cortex import run_columns as columns
from cortex.runs import ACTIVE
from ui import notices, page, runs_actions, runs_view, session
from ui.plain import plain
from ui.runs_table import TICKED, first_look, table
from ui.runs_view import View

Row = dict[str, Any]
_LIVE_SECONDS, _IDLE_SECONDS = 2.0, 10.0  # between two looks at the folder of runs
_PARTS = ("Charts", "Comparer", "Many runs", "Take away")
_PART = "part"


def show() -> None:
    """Draw the page."""
    page.begin("Runs")
    notices.show()
    session.keep_in_url()
    runs_view.keep_ticks()
    st.session_state.pop(TICKED, None)
    asks = any(key in st.query_params for key in (runs_view.FILTER, runs_view.SORT, runs_view.BY, runs_view.SHOWN))
    rows = runs_view.all_rows(at_once=not asks)
    if not rows:
        _empty()
        return
    first = st.empty()
    if any(row["settings"] is None for row in rows):
        # Reading the settings loads torch: until then the table has all the rest.
        with first.container():
            _head(rows, None)
            first_look(columns.in_order([row for row in rows if not row["archived"]], "created"))
        rows = runs_view.all_rows()
        first.empty()
    head = st.container()
    runs_view.controls(rows)  # drawn first: only then does the session have what the URL says
    view = runs_view.view(rows)
    with head:
        _head(rows, view)
    if view.problem:
        st.error(plain(f"Filter, not applied: {view.problem}"), icon=":material/filter_alt_off:")
    ticked = _ticked(rows)
    runs_actions.bar(ticked, rows)
    live = any(row["state"] in ACTIVE for row in rows)
    st.fragment(_table, run_every=_LIVE_SECONDS if live else _IDLE_SECONDS)(_mark(rows), [view])
    _hidden(view, ticked)
    part = st.segmented_control(
        "Part", _PARTS, default=_PARTS[0], key=_PART, bind="query-params", required=True, label_visibility="collapsed"
    )
    moving = any(row["state"] in ACTIVE for row in (ticked if part != "Many runs" else view.rows))
    st.fragment(_part, run_every=_part_seconds(len(ticked)) if moving and part in _PARTS[::2] else None)(part, [(rows, view)])


def _empty() -> None:
    root = session.where().runs
    if root.exists() and not (root.is_dir() and os.access(root, os.R_OK | os.X_OK)):
        st.error(plain(f"{root} cannot be read: expected a folder that this program may look into."), icon=":material/error:")
        return
    st.info("No run yet. Open a preset on the Build page and press Train; each run then has a row here.")
    if st.button("Go to Build", type="primary"):
        st.switch_page("pages/build.py")


def _table(mark: int, seen: list[View]) -> None:
    """The table as it is now. The page is drawn again where what it offers has changed, or something was ticked.

    Args:
        seen: what the page has read when it draws this; it is taken out, so that a run of the fragment alone reads anew.
    """
    if st.session_state.pop(TICKED, False):
        st.rerun()
    if seen:
        table(seen.pop())
        return
    rows = runs_view.all_rows()
    if _mark(rows) != mark:
        st.rerun()
    table(runs_view.view(rows))


def _mark(rows: Sequence[Row]) -> int:
    """What differs when the page has other things to offer: another run, state or label."""
    return hash(tuple((row["run"], row["state"], row["name"], row["starred"], row["archived"], *row["tags"]) for row in rows))


def _head(rows: Sequence[Row], view: View | None) -> None:
    """How many runs there are, and what those shown have in common."""
    counts = Counter(row["state"] for row in rows)
    said = [f"{len(rows):,} {'run' if len(rows) == 1 else 'runs'}"]
    said += [f"{count:,} {state}" for state, count in counts.most_common()]
    if view is None:
        st.caption(" · ".join([*said, "reading their settings …"]))
        return
    if view.archived:
        said.append(f"{view.archived:,} archived")
    if view.hidden:
        said.append(f"{len(view.rows):,} shown")
    alike = columns.alike(view.rows) if len(view.rows) > 1 else {}
    common = f" — alike in all shown: {', '.join(f'{name} {value}' for name, value in alike.items())}" if alike else ""
    st.caption(plain(" · ".join(said) + common))


def _ticked(rows: Sequence[Row]) -> list[Row]:
    known = {row["run"]: row for row in rows}
    return [known[name] for name in runs_view.chosen_ids() if name in known]


def _hidden(view: View, ticked: Sequence[Row]) -> None:
    """Ticked runs that the filter hides are said, since the charts below still show them."""
    shown = {row["run"] for row in view.rows}
    out = [row["run"] for row in ticked if row["run"] not in shown]
    if out:
        are = "run is" if len(out) == 1 else "runs are"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{len(out)} ticked {are} not among those shown above.", width="content")
            st.button("Untick them", key="runs.untick", type="tertiary", on_click=runs_view.choose,
                      args=([row["run"] for row in ticked if row["run"] in shown],))  # fmt: skip
    if not view.rows:
        st.info("No run meets the filter. Take something away from it.", icon=":material/filter_alt:")


def _part_seconds(count: int) -> float:
    """Seconds between two drawings of the charts: each costs the more the more curves there are."""
    return 2.0 if count <= 5 else 4.0 if count <= 20 else 8.0


def _part(part: str, seen: list[tuple[list[Row], View]]) -> None:
    """The part of the page that was chosen, of the runs as they are now; `seen` as in `_table`."""
    rows, view = seen.pop() if seen else (runs_view.all_rows(), None)
    ticked = _ticked(rows)
    if part == "Many runs":
        from ui.views import views

        views((view or runs_view.view(rows)).rows, [row["run"] for row in ticked])
        return
    if not ticked:
        st.caption("Tick runs at the left of the table to lay them over each other.")
    draw = _drawn(part)  # loaded already now, so that the first tick need not wait for it
    if ticked:
        draw(ticked)


def _drawn(part: str) -> Callable[[list[Row]], None]:
    """The function that draws a part; loaded when it is wanted, since charts load torch."""
    if part == "Charts":
        from ui.overlay import overlay

        return overlay
    if part == "Comparer":
        from ui.comparer import comparer

        return comparer
    from ui.take_away import take_away

    return take_away
