"""Two graphs beside each other, what differs coloured on both, and in words."""

from __future__ import annotations

import base64
import html

import streamlit as st

from cortex.compare import GraphDifference
from cortex.comparison import Comparison, Subject
from cortex.picture import picture_of
from ui.plain import plain
from ui.theme import Theme, theme

_OTHER = "against"
_COLOURS = {
    False: {"added": "#00794f", "removed": "#c92a2a", "changed": "#b45f00"},
    True: {"added": "#3ecf8e", "removed": "#ff7b7b", "changed": "#f2a94a"},
}


def graph_part(found: Comparison) -> None:
    """The difference of one run's graph to the first one's; which run is in the URL."""
    st.subheader("Graphs", anchor=False)
    if len(found.readable) < 2:
        st.caption("Fewer than two of these runs have a graph that can be read.")
        return
    differ = {subject.run.id: (subject, difference) for subject, difference in found.graphs}
    base = found.readable[0]
    different = [name for name, (_, difference) in differ.items() if not difference.none or difference.renamed]
    if not different:
        st.caption(plain(f"All of them have the graph of {base.name}, setting by setting."))
        return
    asked = st.query_params.get(_OTHER)
    st.session_state[_OTHER] = asked if asked in differ else different[0]
    left, _ = st.columns([2, 3])
    chosen = left.selectbox(
        f"What changes from {plain(base.name)} to", list(differ), key=_OTHER, format_func=lambda name: differ[name][0].name,
        on_change=_keep,
    )  # fmt: skip
    subject, difference = differ[chosen]
    _drawn(base, subject, difference, theme())


def _keep() -> None:
    st.query_params[_OTHER] = st.session_state[_OTHER]


def _drawn(base: Subject, other: Subject, difference: GraphDifference, look: Theme) -> None:
    said = difference.in_words()
    if not said:
        st.caption("The same graph, setting by setting.")
        return
    st.markdown("\n".join(f"* {plain(line)}" for line in said[:40]))
    if len(said) > 40:
        st.caption(f"and {len(said) - 40:,} more.")
    before, after = marks(difference)
    for column, subject, marked in zip(st.columns(2), (base, other), (before, after), strict=True):
        with column:
            st.markdown(f"**{plain(subject.name)}**")
            vocabulary = subject.row["vocabulary"]
            drawing = picture_of(subject.graph, vocabulary if type(vocabulary) is int else None, marked)
            st.html(framed(drawing, subject.name, look))
    st.caption("Green: added. Red: removed. Orange: a setting changed. Renamed nodes are the same node.")


def marks(difference: GraphDifference) -> tuple[dict[str, str], dict[str, str]]:
    """What is marked on the earlier graph and on the later one, by node."""
    before = {node.id: "removed" for node in difference.removed} | {change.was: "changed" for change in difference.changed}
    after = {node.id: "added" for node in difference.added} | {change.node: "changed" for change in difference.changed}
    return before, after


def framed(drawing: str, name: str, look: Theme) -> str:
    """The picture of a graph in the colours of this mode, as HTML that a page takes: Streamlit lets no `<svg>` through."""
    shades = {"card": look.card, "text": look.text, "muted": look.muted, "line": look.line, **_COLOURS[look.dark]}
    variables = ";".join(f"--{key}:{colour}" for key, colour in shades.items())
    own = drawing.replace('style="', f'style="{variables};', 1).replace("font-family:inherit", "font-family:sans-serif", 1)
    coded = base64.b64encode(own.encode()).decode()
    paper = f"width:100%;background:{look.background};border-radius:6px;padding:6px;box-sizing:border-box"
    return f'<img src="data:image/svg+xml;base64,{coded}" alt="Graph of {html.escape(name)}" style="{paper}">'
