"""Every key of st.session_state, typed, and the document that this browser session edits.

The truth of a document is its file; the session keeps a plain copy of it as JSON. Every edit goes through `edit()`, which
applies it to the file as it is at that moment, so that a second tab or a reload shows the same graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from cortex import documents
from cortex.graph import Graph, GraphError, Node, from_document, to_document
from cortex.history import History
from cortex.places import Places, places
from cortex.rework import EditError
from ui import notices

# What the session holds; all of it plain data that can be rebuilt.
DOCUMENT = "document"  # id of the document being edited
GRAPH = "graph"  # its last known content
LEFT = "document_left"  # id of the document that was left last, and when, in seconds of the monotonic clock
STAMP = "graph_stamp"  # and the state of the file that this was read from
SELECTED = "selected"  # id of the selected node, or None
EDGE = "selected_edge"  # (source, target, port) of the selected edge, or None
CANVAS = "canvas"  # what was last sent to and received from the canvas
RUN = "run"  # folder name of the run that the Train page shows
PREPARING = "preparing"  # the data preparation that this session started: key of the data, process, log, or its error
MEASURING = "measuring"  # of each prepared data set that is being measured: process and log
TEXT = "data_text"  # the source that the Data page shows: kind and params; None while it is the graph's own
TEXTS = "data_texts"  # the settings that each kind of source last had there
ERRORS = "form_errors"  # what was typed into a form and could not be read, by field
MADE = "form_made"  # of each field: how often its widget was made anew, and the value it shows
WRITTEN = "written"  # the text that the Generate page wrote last
PROOF = "proof"  # the last proof of the Export page: key of what was proved, its rows, its error
RANGE = "range"  # the learning-rate test that this session started: file, process
ALIKE = "alike"  # a setting of a node is made in every node of its kind
REPAIRS = "repairs"  # what would mend each fault of the graph as it is
REPORT = "report"  # the report that this session has made last: key, path, time, or its error
OPEN = "open"  # set for one script run: go to the page of this run
ENTERED = "entered"  # the entry file has run in this session

# For so long an event that the browser sent before it heard that a document was left can still name it, in seconds.
_LATE = 10.0


def where() -> Places:
    """The folders of this app."""
    return places()


def document_id() -> str | None:
    """The document of the URL, else of the session; None when neither names one that exists."""
    asked = st.query_params.get("doc")
    left, at = st.session_state.get(LEFT, (None, 0.0))
    if asked and asked == left and time.monotonic() - at < _LATE:
        st.query_params.pop("doc", None)
        asked = None
    for name in (asked, st.session_state.get(DOCUMENT)):
        if name and documents.stamp(where().documents, name):
            if st.session_state.get(DOCUMENT) != name:
                _switch(name)
            return name
    if asked and GRAPH in st.session_state and asked == st.session_state.get(DOCUMENT):
        try:
            if _kept_again():
                return document_id()
        except OSError as error:
            notices.notify(f"The file of this graph is gone, and it cannot be kept anew: {_cannot_write(error)}")
    elif asked:
        notices.notify("The graph that the address names is not there any more.")
        st.query_params.pop("doc", None)
    return None


def graph() -> Graph | None:
    """The graph being edited, as it is on disk now; None when there is none yet."""
    name = document_id()
    if name is None:
        return None
    stamp = documents.stamp(where().documents, name)
    if st.session_state.get(STAMP) != stamp or GRAPH not in st.session_state:
        try:
            loaded = documents.load(where().documents, name)
        except (GraphError, documents.DocumentError) as error:
            loaded = _rescued(name, error)
            if loaded is None:
                return None
            stamp = documents.stamp(where().documents, st.session_state[DOCUMENT])
        st.session_state[GRAPH], st.session_state[STAMP] = to_document(loaded), stamp
    return from_document(st.session_state[GRAPH])


def open_graph(new: Graph) -> bool:
    """Start editing a graph as a new document; nodes that have no place yet get one. False, and a line to show, where it cannot
    be kept."""
    if any(node.id not in new.layout for node in new.nodes):
        from cortex.presets import tidy  # loads torch, which a page that only lists runs does without

        new = tidy(new)
    try:
        name = documents.create(where().documents, new)
    except OSError as error:
        notices.notify(f"The graph cannot be opened: {_cannot_write(error)}")
        return False
    open_document(name)
    return True


def open_document(name: str) -> None:
    """Go on editing a document."""
    _leave()
    _switch(name)


def close() -> None:
    """Leave the document; it stays on disk."""
    _leave()
    for key in (DOCUMENT, GRAPH, STAMP, SELECTED, EDGE, CANVAS):
        st.session_state.pop(key, None)
    st.query_params.pop("doc", None)


def edit(change: Callable[[Graph], Graph], *, alone: bool = False) -> Graph:
    """Apply a change to the document and keep it. What the change refuses (EditError), and what cannot be written, is told, and
    nothing is changed."""
    return _kept(lambda name: documents.update(where().documents, name, change, alone=alone))


def go(by: int) -> None:
    """Undo the last edit (-1), or make the last undone one again (1)."""
    _kept(lambda name: documents.go(where().documents, name, by))


def steps() -> History:
    """The edits of the document that can be undone and made again."""
    name, now = document_id(), graph()
    return documents.steps(where().documents, name, now) if name and now else History()


def _kept(write: Callable[[str], Graph]) -> Graph:
    """The document's graph after `write`, which gets its id, twice where the document was deleted and goes on as another."""
    name = st.session_state.get(DOCUMENT) or document_id() or ""
    try:
        try:
            after = write(name)
        except documents.DocumentError:
            if not _kept_again():
                return Graph()
            after = write(st.session_state[DOCUMENT])
        except GraphError as error:
            return _rescued(name, error) or Graph()
    except EditError as error:
        notices.notify(str(error))
        return graph() or Graph()
    except OSError as error:
        notices.notify(f"This change is not kept: {_cannot_write(error)} What was kept before is as it was.")
        return graph() or Graph()
    return _edited(after)


def _cannot_write(error: OSError) -> str:
    return f"{error.strerror or error}, in {where().documents}. Make room and try again."


def _edited(after: Graph) -> Graph:
    st.session_state[GRAPH] = to_document(after)
    st.session_state.pop(STAMP, None)  # another tab may have written since, so it is read again
    notices.over()  # what could not be done before is not what happened now
    if selected() and selected() not in after:
        select(None)
    return after


def _kept_again() -> bool:
    """The document was deleted outside the app: this session's copy becomes a new one, so that nothing is lost."""
    if GRAPH not in st.session_state:
        notices.notify("This graph is not there any more.")
        close()
        return False
    copy = from_document(st.session_state[GRAPH])
    st.session_state[DOCUMENT] = documents.create(where().documents, copy, like=st.session_state.get(DOCUMENT))
    st.session_state.pop(STAMP, None)
    notices.notify("The file of this graph was deleted outside the app; it goes on as a new document.")
    return True


def _rescued(name: str, error: ValueError) -> Graph | None:
    """The file of a document was damaged outside the app. It is left as it is, and what the document held after its last edit
    goes on as a new one; None where nobody knows that any more."""
    last = documents.last_good(where().documents, name)
    if last is None and GRAPH in st.session_state and st.session_state.get(DOCUMENT) == name:
        last = from_document(st.session_state[GRAPH])
    told = f"The file of this graph was damaged outside the app; it is left as it is. {error}"
    if last is None or not _opened_again(last, name):
        notices.notify(told)
        close()
        return None
    notices.notify(f"{told} The graph goes on as a new document, as it was after its last edit.")
    return last


def _opened_again(last: Graph, name: str) -> bool:
    try:
        _switch(documents.create(where().documents, last, like=name))
    except OSError:
        return False
    return True


def keep_in_url(**params: str | None) -> None:
    """Name the document, and what else the page shows, in the URL, so that a reload finds it."""
    wanted = {"doc": st.session_state.get(DOCUMENT), **params}
    for key, value in wanted.items():
        if value is not None and st.query_params.get(key) != value:
            st.query_params[key] = value


def edited_together(graph: Graph, node_id: str) -> list[Node]:
    """The nodes that a setting made in this one is made in: itself, or all of its kind where the visitor chose that."""
    node = graph.node(node_id)
    return graph.of_kind(node.kind) if st.session_state.get(ALIKE) == node.kind else [node]


def selected() -> str | None:
    """Id of the selected node."""
    return st.session_state.get(SELECTED)


def selected_edge() -> tuple[str, str, str] | None:
    """Source, target and port of the selected edge."""
    return st.session_state.get(EDGE)


def select(node_id: str | None, edge: tuple[str, str, str] | None = None) -> None:
    """Select a node, an edge, or nothing."""
    st.session_state[SELECTED], st.session_state[EDGE] = node_id, edge


def canvas() -> dict[str, Any]:
    """What the canvas adapter remembers between script runs."""
    return st.session_state.setdefault(CANVAS, {})


def _leave() -> None:
    if st.session_state.get(DOCUMENT):
        st.session_state[LEFT] = st.session_state[DOCUMENT], time.monotonic()


def _switch(name: str) -> None:
    if st.session_state.get(LEFT, (None,))[0] == name:
        del st.session_state[LEFT]
    if st.session_state.get(DOCUMENT) != name:
        for key in (GRAPH, STAMP, SELECTED, EDGE, CANVAS):
            st.session_state.pop(key, None)
    st.session_state[DOCUMENT] = name
    st.query_params["doc"] = name
