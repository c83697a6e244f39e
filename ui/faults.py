"""The faults of a graph below its canvas: where, what, and a button for an edit that mends it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from cortex.advice import advice
from cortex.builder import Plan
from cortex.checks import Issue
from cortex.data import Prepared
from cortex.graph import Graph, from_document, to_document, to_json
from cortex.repair import repair
from cortex.rework import EditError
from cortex.run_length import run_steps
from ui import session, start
from ui.plain import plain

_MOST = 12  # faults shown at once


def faults(planned: Plan) -> None:
    """Every root fault with its repair and a way to its node; what merely follows is on the canvas."""
    roots = [issue for issue in planned.issues if issue.follows is None]
    st.markdown(f"**{len(roots)} {'fault' if len(roots) == 1 else 'faults'} to mend before training**")
    for number, issue in enumerate(roots[:_MOST]):
        text, mend, go = st.columns([5, 2.4, 1], vertical_alignment="center")
        text.error(plain(issue), icon=":material/error:")
        found = _repair(planned, issue)
        if found:
            label, after, shows = found
            behind = (
                f"{shows} that {'was' if shows == 1 else 'were'} hidden behind it will show" if shows else "no other has come"
            )
            mend.button(
                plain(label), key=f"mend.{number}", on_click=_apply, args=(planned.graph, after), width="stretch",
                icon=":material/build:", help=f"Tried on this graph: the fault is gone after it, and {behind}.",
            )  # fmt: skip
        if issue.node and issue.node in planned.graph:
            go.button("Select", key=f"fault.{number}", on_click=session.select, args=(issue.node,), width="stretch")
    if len(roots) > _MOST:
        st.caption(f"and {len(roots) - _MOST} more")


def hints(planned: Plan, prepared: Prepared | None) -> None:
    """What a graph without a fault may still lack."""
    for number, found in enumerate(advice(planned, run_steps(planned, prepared) if prepared else None)):
        text, mend = st.columns([6, 2.4], vertical_alignment="center")
        text.info(plain(f"{found.node}: {found.message}"), icon=":material/lightbulb:")
        mend.button(
            plain(found.label), key=f"advice.{number}", on_click=_apply, args=(planned.graph, to_document(found.graph)),
            width="stretch", icon=":material/build:",
        )  # fmt: skip


def _repair(planned: Plan, issue: Issue) -> tuple[str, dict[str, Any], int] | None:
    """Label, graph document and number of hidden faults of a fault's repair; looked for once for each graph."""
    cache = st.session_state.setdefault(session.REPAIRS, {})
    key = (to_json(planned.graph), planned.vocabulary, str(issue))
    if key not in cache:
        if len(cache) > 64:
            cache.clear()
        where = session.where()
        found = repair(planned, issue, lambda graph: start.look(graph, where)[0])
        cache[key] = (found.label, to_document(found.graph), found.shows) if found else None
    return cache[key]


def _apply(before: Graph, after: dict[str, Any]) -> None:
    """Make the repair, unless the graph is another one by now: in another tab, for one."""

    def change(graph: Graph) -> Graph:
        if graph != before:
            raise EditError("The graph was changed meanwhile; its faults are looked at again.")
        return from_document(after)

    session.edit(change, alone=True)
