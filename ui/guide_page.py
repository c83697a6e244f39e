"""The Guide page: the text of guide/ in a language, with a button at each step that can be done."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cortex import guide
from cortex.graph import Graph
from cortex.guide import Button, Guide
from cortex.guide_steps import EXAMPLES, StepError, chain, changes, opening, opens, step
from ui import notices, page, session, start, uploads
from ui.plain import plain

_LANGUAGE, _SAID = "guide.language", "guide.said"
_ICONS = {"add": ":material/add:", "blocks": ":material/add:", "source": ":material/dataset:", "new": ":material/note_add:"}


def show() -> None:
    """Draw the page."""
    page.begin()
    st.html("<style>h2 {font-size: 1.35rem !important;} h3 {font-size: 1.1rem !important;}</style>")
    language = _chosen()
    text = guide.read(language)
    notices.show()
    said = st.session_state.pop(_SAID, None)
    if said:
        st.toast(plain(said))
    with st.sidebar:
        _sidebar(text)
    late = []
    for number, part in enumerate(text.parts):
        if part.level == 2:
            st.header(part.text, anchor=part.anchor, divider="gray")
        elif part.level == 3:
            st.subheader(part.text, anchor=part.anchor)
        elif part.buttons:
            _buttons(text, part.buttons, number)
        elif part.slow:
            late.append((st.container(), part))
        else:
            st.markdown(part.text)
    for place, part in late:  # the first visitor of a server reads what is above meanwhile
        with place, st.spinner(text.words["counting"]):
            filled = part.text
        place.markdown(filled)


def _chosen() -> str:
    """The language: what was chosen, else that of the address, else English."""
    known = guide.languages()
    asked = st.query_params.get("lang")
    title, choice = st.columns([3, 1.2], vertical_alignment="center")
    with choice, st.container(horizontal_alignment="right"):
        chosen = st.segmented_control(
            "Language", known, default=asked if asked in known else known[0], key=_LANGUAGE, required=True,
            format_func=lambda name: {"en": "English", "zh": "中文"}.get(name, name), label_visibility="collapsed",
        )  # fmt: skip
    if asked != chosen:
        st.query_params["lang"] = chosen
    title.title({"en": "Guide", "zh": "指南"}.get(chosen, "Guide"), anchor=False)
    return chosen


def _sidebar(text: Guide) -> None:
    words, graph = text.words, session.graph()
    st.markdown(f"**{words['your graph']}**")
    if graph is None or not graph.nodes:
        st.caption(words["no graph"] if graph is None else plain(graph.name))
    else:
        st.caption(plain(chain(graph)))
    if graph is not None:
        planned, _ = start.look(graph, session.where())
        faults = len([issue for issue in planned.issues if issue.follows is None])
        st.caption(words["faults"].format(count=faults) if faults else words["no fault"])
        if st.button(words["to canvas"], key="guide.canvas", width="stretch", icon=":material/account_tree:"):
            st.switch_page("pages/build.py")
    st.markdown(f"**{words['contents']}**")
    links = [f"{'    ' * (part.level - 2)}- [{part.text}](#{part.anchor})" for part in text.parts if part.level]
    st.markdown("\n".join(links))


def _buttons(text: Guide, buttons: tuple[Button, ...], number: int) -> None:
    with st.container(horizontal=True):  # each as wide as what it says; those that do not fit go below
        for place, button in enumerate(buttons):
            _draw(text, button, f"guide.{number}.{place}")


def _draw(text: Guide, button: Button, key: str) -> None:
    if button.where == "page":
        if st.button(button.label, key=key, icon=":material/arrow_forward:"):
            st.switch_page(f"pages/{button.verb}.py")
        return
    away = button.verb in ("open", "example")
    icon = ":material/open_in_new:" if away else _ICONS.get(button.verb, ":material/tune:")
    if st.button(button.label, key=key, icon=icon, on_click=_do, args=(text, button)) and away:
        st.switch_page("pages/build.py")


def _do(text: Guide, button: Button) -> None:
    words = text.words
    try:
        if opens(button.verb):
            before = session.graph()
            session.open_graph(_readable(opening(button.verb, *button.arguments)))
            if before is not None:
                _say(words["opened"])
            elif button.verb == "new":
                _say(words["opened first"])
            return
        before = session.graph()
        if before is None:
            named = {each.verb: each.label for each in reversed(text.buttons())}  # of each verb the first
            _say(words["first a graph"].format(open=named["open"], new=named["new"]))
            return
        after = session.edit(lambda graph: step(graph, button.verb, *button.arguments))
        changed = changes(before, after)
        _say(words["done"].format(what=changed) if changed else words["nothing"])
    except StepError as problem:
        _say(words[problem.why].format(node=problem.node) if problem.why else str(problem))


def _readable(graph: Graph) -> Graph:
    """An example's data among the uploads, which is where the app may read."""
    for node in graph.nodes:
        path = Path(str(node.params.get("path", "")))
        if node.params.get("path") and (EXAMPLES.parent / path).is_file():
            content = (EXAMPLES.parent / path).read_bytes()
            kept = uploads.keep_upload(path.name, content, session.where().uploads)
            graph = graph.with_param(node.id, "path", str(kept))
    return graph


def _say(line: str) -> None:
    st.session_state[_SAID] = line
