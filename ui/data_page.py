"""The Data page: what a text is made of, how it is tokenised, what is prepared on disk."""

from __future__ import annotations

import streamlit as st

from cortex.corpus import CorpusError
from cortex.data import cut_rows
from cortex.graph import Node
from cortex.graph_source import source_node, source_of
from cortex.places import Places
from cortex.presets import PRESETS, preset
from cortex.references import known_references
from cortex.registry import KINDS
from cortex.report import start_notes
from cortex.statistics import known_statistics
from ui import notices, page, session, start, text_choice
from ui.data_folds import folds, label_row
from ui.data_parts import reference_row, sample, sizes
from ui.data_shelf import shelf
from ui.plain import plain


def show() -> None:
    """Draw the page."""
    page.begin("Data")
    notices.show()
    graph, where = session.graph(), session.where()
    session.keep_in_url()
    node = text_choice.chosen(graph)
    with st.sidebar:
        text_choice.form(graph, node)
    shown = _text(node, where) if node.kind in KINDS else None
    shelf(where, shown)


def _text(node: Node, where: Places) -> str | None:
    """What is known of the text, or what is missing; the fingerprint of the prepared set comes out."""
    whole = preset(next(iter(PRESETS)), node.kind, node.params)  # a source by itself would be a graph with faults
    planned, prepared = start.look(whole, where)
    faults = planned.issues_of(source_node(whole).id)
    if "path" in KINDS[node.kind].params and not node.params.get("path"):
        st.info(
            "Choose one or several texts of your own at the left: some thousand words or more, as plain text, Markdown, JSON "
            "lines, CSV or Parquet. They stay on this machine.",
            icon=":material/upload_file:",
        )
        return None
    if node.params.get("split") == "files" and not node.params.get("validation_file"):
        st.info("Choose at the left which of the files validates; every other one is trained on.", icon=":material/call_split:")
        return None
    for fault in faults:
        st.error(plain(fault), icon=":material/error:")
    if prepared is None:
        if faults:
            start.try_again()
        else:
            start.prepare_data(whole, where)
        return None
    found = known_statistics(prepared)
    known = known_references(prepared.path) if prepared.task == "Text" else None
    sizes(prepared, found)
    for note in start_notes(
        {"cut_rows": cut_rows(prepared, source_of(node).seq_len), "unseen_labels": prepared.meta.get("unseen_labels")}
    ):
        st.caption(plain(f"{note[:1].upper()}{note[1:]}."))
    try:
        sample(prepared)
    except CorpusError as error:
        st.error(plain(error), icon=":material/error:")
        return prepared.fingerprint
    if known:
        reference_row(known)
    if found and found.get("labels"):
        label_row(found["labels"], prepared.fingerprint)
    if found and (known or prepared.task != "Text"):
        folds(found, prepared.fingerprint)
    else:
        start.measure_data(whole, prepared, where)
    return prepared.fingerprint
