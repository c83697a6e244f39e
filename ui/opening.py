"""Opening a graph from files: a document of ours at once, one of the Flask original after a report of what became of it."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cortex.graph import Graph, GraphError, from_json
from cortex.litegraph import is_litegraph
from cortex.litegraph_json import LARGEST, too_large
from cortex.litegraph_report import Report
from cortex.translate import translate
from ui import session
from ui.plain import plain


def opening() -> None:
    """The upload button and what comes of it."""
    files = st.file_uploader(
        "Open a graph document (.json)", type=["json"], key="build.document", accept_multiple_files=True,
        help="One of this app, or of the older Flask tool; files with subgraphs that it refers to are uploaded along with it.",
    )  # fmt: skip
    texts: dict[str, str] = {}
    for file in files or ():
        text = _text(file)
        if text is None:
            return
        texts[file.name] = text
    if not texts:
        return
    name = _main(texts)
    if is_litegraph(texts[name]):
        _translated(name, texts)
        return
    try:
        graph = from_json(texts[name], name)
    except GraphError as error:
        st.error("  \n".join(map(plain, error.problems[:20])))
    else:
        if session.open_graph(graph):
            st.rerun()
        session.show_notice()


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


def _translated(name: str, texts: dict[str, str]) -> None:
    found = translate(texts[name], name=name, beside={other: text for other, text in texts.items() if other != name})
    if found.graph is None:
        st.error("  \n".join(map(plain, found.report.refused[:20])), icon=":material/error:")
        return
    _report(found.report)
    st.button(
        plain(f"Open {found.graph.name}"), key="build.translated", type="primary", width="stretch", on_click=_open,
        args=(found.graph,),
    )  # fmt: skip


def _open(graph: Graph) -> None:
    session.open_graph(graph)


def _report(report: Report) -> None:
    """What was translated, and what the original would have done wrong unsaid."""
    st.success(f"{report.nodes} nodes of the older tool translated", icon=":material/check:")
    if report.wrong_there:
        said = "\n".join(f"* {plain(remark)}" for remark in report.wrong_there)
        st.warning(f"What it would have done without a word:\n\n{said}", icon=":material/warning:")
    changed = [node for node in report.translated if node.changes]
    if changed:
        with st.expander(f"What was changed in {sum(bool(node.node) for node in changed)} of them"):
            rows = (f"* **{plain(node.node or node.there)}**: {plain('; '.join(node.changes))}" for node in changed)
            st.markdown("\n".join(rows))
