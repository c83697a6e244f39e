"""What to start from, where no graph is open: presets, kept graphs, graphs edited before, a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import documents, guide_steps, saves, units
from cortex.builder import Plan
from cortex.gallery import EXAMPLES, MEASURED, example
from cortex.graph import Graph, GraphError
from cortex.graph_source import source_node
from cortex.picture import picture_of
from cortex.presets import PRESETS, preset
from cortex.registry import KINDS
from cortex.store import Prepared
from ui import notices, page, session, start, uploads
from ui.graph_difference import framed
from ui.opening import opening, translated
from ui.plain import plain
from ui.theme import theme

_TEXT = "build.text"
_OWN = "My own text"
# The empty bar of the graph that has just been left, and the button that would open it.
_NO_SIDEBAR = '<style>[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] {display: none;}</style>'
# More graphs than these are found by their file or their address alone.
_MOST = 200
# What a visitor calls them, and the kinds of source.
_TEXTS = {
    "Shakespeare": "Shakespeare", "WikiText-2": "WikiText2", "WikiText-103": "WikiText103", "Penn Treebank": "PennTreebank",
    _OWN: "CustomData",
}  # fmt: skip


def gallery() -> None:
    """Preset cards, graphs that were kept or edited before, and a file of one's own."""
    page.begin("Build a GPT", bar=False)
    st.html(_NO_SIDEBAR)
    notices.show()
    words, empty, last = st.columns([2.5, 0.8, 1.2], vertical_alignment="center")
    words.write("Pick a size. It opens as a graph that you can change, train and compare. Nothing is sent anywhere.")
    empty.button("Empty graph", key="build.empty", on_click=_open_empty, width="stretch", icon=":material/note_add:",
                 help="Build one node by node; Add a node lists all kinds.")  # fmt: skip
    with last:
        _last()
    chosen = st.segmented_control("Text to learn from", list(_TEXTS), default="Shakespeare", key=_TEXT, required=True)
    source, params = _TEXTS[chosen], {}
    if chosen == _OWN:
        uploaded = st.file_uploader("Text file (UTF-8)", type=["txt", "md"], key="build.upload")
        if uploaded is None:
            st.info("Choose a text of some thousand words or more. It stays on this machine.", icon=":material/upload_file:")
            _others()
            return
        try:
            stored = uploads.keep_upload(uploaded.name, uploaded.getvalue(), session.where().uploads)
        except OSError as error:  # a full disk
            st.error(plain(f"The upload cannot be kept: {error.strerror}, in {session.where().uploads}"))
            _others()
            return
        params = {"path": str(stored)}
    graphs = {name: preset(name, source, params) for name in PRESETS}
    looks = {name: start.look(graph, session.where()) for name, graph in graphs.items()}
    planned, prepared = looks["small"]
    if planned.issues:
        st.error(plain(planned.issues[0]), icon=":material/error:")
        _others()
        return
    for column, (name, size) in zip(st.columns(len(PRESETS)), PRESETS.items(), strict=True):
        with column, st.container(border=True):
            _preset_card(name, size, graphs[name], *looks[name])
    if prepared is None:
        start.prepare_data(graphs["small"], session.where())
    else:
        _about_data(graphs["small"], prepared)
    _others()


def _open_empty() -> None:
    session.open_graph(guide_steps.opening("new"))


def _preset_card(name: str, size: dict[str, Any], graph: Graph, planned: Plan, prepared: Prepared | None) -> None:
    st.subheader(name, anchor=False)
    st.metric("Parameters", units.count(planned.total))
    st.markdown(
        f"{size['num_layers']} blocks of width {size['embedding_dim']}, {size['nhead']} heads  \n"
        f"feed-forward {size['dim_feedforward']:,}, dropout {size['dropout']:g}  \n"
        f"{size['batch_size']} sequences of {graph.node('data').params['seq_len']} tokens a step, lr {size['lr']:g}"
    )
    if prepared:
        st.caption(start.cost(graph, prepared, planned.total, session.where()))
    else:
        st.caption("Cost: known when the text is tokenised")
    st.button(
        f"Open {name}",
        key=f"open.{name}",
        type="primary" if name == "small" else "secondary",
        width="stretch",
        on_click=session.open_graph,
        args=(graph,),
    )


def _about_data(graph: Graph, prepared: Prepared) -> None:
    node = source_node(graph)
    words = prepared.meta["splits"]
    unknown = words["validation"]["unknown"] / max(1, words["validation"]["tokens"])
    hidden = f"; {unknown:.1%} of the validation tokens are `<unk>`" if unknown else ""
    st.caption(
        f"{KINDS[node.kind].help} {prepared.count('train'):,} training tokens, {prepared.count('validation'):,} to validate, "
        f"vocabulary {prepared.vocab_size:,}{hidden}."
    )


def _others() -> None:
    st.divider()
    shown, before, kept, file = st.columns(4)
    with shown:
        chosen = _examples()
    with before:
        _recent()
    with kept:
        _kept()
    with file:
        files = opening()
    if chosen:
        _example(chosen)
    if files:
        translated(*files)


def _examples() -> str | None:
    return st.selectbox(
        "Open an example", list(EXAMPLES), index=None, key="build.example",
        format_func=lambda name: f"{name}: {EXAMPLES[name]}", placeholder="A classifier, two heads …",
        help="Each comes with small data whose right answers are known, and trains in a minute or two.",
    )  # fmt: skip


def _example(name: str) -> None:
    """What an example is, its picture, and what came of it."""
    graph = example(name)
    with st.container(border=True):
        words, go = st.columns([4, 1], vertical_alignment="center")
        words.markdown(f"**{name}**: {EXAMPLES[name]}  \nTrained as it is: {MEASURED[name]} on its validation split.")
        go.button(
            f"Open {name}", type="primary", width="stretch", key="example.open", on_click=session.open_graph, args=(graph,)
        )
        st.html(framed(picture_of(graph, None), name, theme()))


def _last() -> None:
    """The way back to the graph that was edited last, after a browser was closed or a machine went down."""
    folder = session.where().documents
    for name in documents.recent(folder, 1):
        try:
            graph = documents.load(folder, name)
        except (GraphError, documents.DocumentError):
            continue
        edited = time.time() - documents.stamp(folder, name)[0] / 1e9
        st.button(
            plain(f"Go on with {graph.name}"), key="build.last", on_click=session.open_document, args=(name,), width="stretch",
            icon=":material/history:", help=f"Edited {units.duration(edited)} ago; every change is on disk.",
        )  # fmt: skip


def _recent() -> None:
    known = documents.recent(session.where().documents, _MOST)
    chosen = st.selectbox(
        "Go on with a graph", known, index=None, format_func=_label, key="build.recent", disabled=not known,
        placeholder="Graphs that you edited before" if known else "None was edited yet",
    )  # fmt: skip
    if chosen:
        session.open_document(chosen)
        st.rerun()


def _kept() -> None:
    folder = session.where().saves
    names = [save.name for save in saves.kept(folder)]
    chosen = st.selectbox(
        "Open a kept copy", names, index=None, key="build.kept", disabled=not names,
        placeholder="Copies under a name" if names else "Save on a graph keeps one",
    )  # fmt: skip
    if chosen:
        left, right = st.columns(2)
        left.button("Open", key="kept.open", type="primary", on_click=_open_kept, args=(chosen,), width="stretch")
        right.button("Delete", key="kept.delete", on_click=saves.forget, args=(folder, chosen), width="stretch",
                     help="Deletes this copy; graphs opened from it stay.")  # fmt: skip


def _open_kept(name: str) -> None:
    try:
        session.open_graph(saves.load(session.where().saves, name))
    except saves.SaveError as error:
        notices.notify(str(error))


def _label(name: str) -> str:
    return _name_of(session.where().documents, name, documents.stamp(session.where().documents, name))


@st.cache_data(max_entries=4 * _MOST, show_spinner=False)
def _name_of(folder: Path, name: str, stamp: tuple[int, int] | None) -> str:
    """Name, the first signs of its id, and when it was edited last; read anew when its file is another one."""
    edited = time.strftime(" · %d %b %H:%M", time.localtime(stamp[0] / 1e9)) if stamp else ""
    try:
        return f"{documents.load(folder, name).name} ({name[:4]}){edited}"
    except (GraphError, documents.DocumentError):
        return f"damaged ({name[:4]}){edited}"
