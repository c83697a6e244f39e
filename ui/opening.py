"""Opening a graph from files: a document of ours at once, one of the Flask original after a report of what became of it."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cortex.graph import Graph, GraphError, from_json
from cortex.litegraph import is_litegraph
from cortex.litegraph_json import LARGEST, too_large
from cortex.litegraph_report import Report
from cortex.translate import translate
from ui import notices, session
from ui.plain import plain


def opening() -> tuple[str, dict[str, str]] | None:
    """The upload button; a document of ours is opened at once. One of the older tool comes out: the name of the file and the
    texts of all that were uploaded with it, for `translated`."""
    files = st.file_uploader(
        "Open a graph document (.json)", type=["json"], key="build.document", accept_multiple_files=True,
        help="One of this app, or of the older Flask tool; files with subgraphs that it refers to are uploaded along with it.",
    )  # fmt: skip
    texts: dict[str, str] = {}
    for file in files or ():
        text = _text(file)
        if text is None:
            return None
        texts[file.name] = text
    if not texts:
        return None
    name = _main(texts)
    if is_litegraph(texts[name]):
        return name, texts
    try:
        graph = from_json(texts[name], name)
    except GraphError as error:
        st.error("  \n".join(map(plain, error.problems[:20])))
    else:
        if session.open_graph(graph):
            st.rerun()
        notices.show()
    return None


def translated(name: str, texts: dict[str, str]) -> None:
    """What became of a document of the older tool, and the button that opens it."""
    found = translate(texts[name], name=name, beside={other: text for other, text in texts.items() if other != name})
    if found.graph is None:
        st.error("  \n".join(map(plain, found.report.refused)), icon=":material/error:")
        return
    with st.container(border=True):
        words, go = st.columns([4, 1], vertical_alignment="center")
        words.markdown(f"**{plain(name)}**: {found.report.nodes} nodes of the older tool translated.")
        go.button(
            plain(f"Open {found.graph.name}"), key="build.translated", type="primary", width="stretch",
            on_click=_open, args=(found.graph,),
        )  # fmt: skip
        _report(found.report)


def _open(graph: Graph) -> None:
    session.open_graph(graph)


def _text(file: UploadedFile) -> str | None:
    if file.size > 4 * LARGEST:  # bytes of a letter
        st.error(plain(too_large(file.name, file.size)))
        return None
    try:
        return file.getvalue().decode("utf-8-sig")
    except UnicodeDecodeError:
        st.error(plain(f"{file.name}: not UTF-8, expected a graph document as JSON"))
        return None


def _main(texts: dict[str, str]) -> str:
    """The file that the others belong to: the first whose name none of them mentions."""
    for name in texts:
        stem = name.removesuffix(".json")
        if not any(stem in text for other, text in texts.items() if other != name):
            return name
    return next(iter(texts))


def _report(report: Report) -> None:
    """What the original would have done wrong unsaid, and what was changed; what is said of several nodes once."""
    if report.wrong_there:
        said: dict[str, list[str]] = {}
        for remark in report.wrong_there:
            said.setdefault(remark.message, []).append(remark.node or remark.there)
        rows = (f"* {_about(names)}{plain(message)}" for message, names in said.items())
        st.warning("What it would have done without a word:\n\n" + "\n".join(rows), icon=":material/warning:")
    changed: dict[str, list[str]] = {}
    for one in report.translated:
        if one.changes:
            changed.setdefault("; ".join(one.changes), []).append(one.node or one.there)
    if changed:
        with st.expander(f"What was changed in {sum(bool(one.node and one.changes) for one in report.translated)} of them"):
            st.markdown("\n".join(f"* {_about(names)}{plain(changes)}" for changes, names in changed.items()))


def _about(names: list[str]) -> str:
    """`**a** and **b**: `, at most three of them; empty where a sentence is about no node."""
    shown = [f"**{plain(name)}**" for name in names[:3] if name]
    more = len(names) - 3
    if more > 0:
        shown.append(f"{more} more")
    return f"{', '.join(shown[:-1])} and {shown[-1]}: " if len(shown) > 1 else "".join(f"{name}: " for name in shown)
