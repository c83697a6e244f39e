"""Param -> widget: one mapping serves node, model and training settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import streamlit as st

from cortex.builder import TRAINING, Plan
from cortex.config import GROUPS
from cortex.graph import Graph, Node
from cortex.params import Bool, Choice, Float, Int, Param, complete
from cortex.presets import MODEL, model_settings, set_model
from cortex.registry import KINDS
from cortex.rework import set_many
from cortex.source_params import PLACE_PARAMS
from ui import session, uploads
from ui.plain import plain

# Groups of training settings that few change.
_RARE = ("Validation and checkpoints", "Machine")


def model_form(graph: Graph) -> None:
    """The settings of the whole chain at once; a setting that the nodes do not share is shown empty."""
    values = model_settings(graph)
    for name, param in MODEL.items():
        if values[name] is None and not _can_set(graph, name):
            continue
        field(
            f"model.{name}",
            name,
            param,
            values[name],
            lambda value, name=name: session.edit(lambda graph: set_model(graph, name, value)),
        )


def _can_set(graph: Graph, name: str) -> bool:
    try:
        set_model(graph, name, MODEL[name].default)
    except ValueError:
        return False
    return True


def node_form(planned: Plan, node: Node) -> None:
    """Every parameter of one node, with its faults beside it."""
    kind = KINDS[node.kind]
    values = complete(kind.params, node.params)
    issues = planned.issues_of(node.id)
    for issue in issues:
        if issue.field is None or issue.field not in kind.params:
            st.error(_sentence(issue.message, issue.hint), icon=":material/error:")
    if "path" in kind.params:
        uploads.files_form(values, f"upload.{node.id}", lambda changes: _set_params(node.id, changes))
    if values.get("tokenizer") == "file":
        uploads.tokenizer_form(values, f"upload.{node.id}", lambda changes: _set_params(node.id, changes))
    for name, param in kind.params.items():
        if kind.role == "subgraph" and name == "template":
            continue  # the panel of the card has it
        if (kind.role == "source" and name in PLACE_PARAMS) or not (param.applies(values) or values[name] != param.default):
            continue
        field(
            f"node.{node.id}.{name}",
            name,
            param,
            values[name],
            lambda value, name=name: _set_param(node.id, name, value),
        )
        if name == "split" and kind.role == "source":
            uploads.held_out_form(values, f"upload.{node.id}", lambda changes: _set_params(node.id, changes))
        for issue in issues:
            if issue.field == name:
                st.error(_sentence(issue.message, issue.hint), icon=":material/error:")
    for name in node.params.keys() - kind.params.keys():
        st.button(
            plain(f"Remove the unknown setting {name}"),
            key=f"drop.{node.id}.{name}",
            on_click=lambda name=name: session.edit(
                lambda graph: graph.without_param(node.id, name) if node.id in graph else graph
            ),
        )


def _set_param(node_id: str, name: str, value: Any) -> None:
    """A form can still report a value when its node has just been deleted, here or in another tab: then nothing is set."""

    def change(graph: Graph) -> Graph:
        if node_id not in graph:
            return graph
        return set_many(graph, [node.id for node in session.edited_together(graph, node_id)], name, value)

    session.edit(change)


def _set_params(node_id: str, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        _set_param(node_id, name, value)


def training_form(planned: Plan) -> None:
    """The settings of the whole run in groups; those without an effect are not shown, the rarer ones on demand."""
    values = complete(TRAINING, planned.graph.training)
    faulty = {issue.field for issue in planned.issues}
    rarer = st.toggle("All settings", key="training.all", help="Checkpoints, samples, device, precision and more.")
    for group, names in GROUPS.items():
        changed = any(values[name] != TRAINING[name].default or f"training.{name}" in faulty for name in names)
        if group in _RARE and not rarer and not changed:
            continue
        st.caption(f"**{group}**")
        for name in names:
            if TRAINING[name].applies(values) or values[name] != TRAINING[name].default:
                _training_field(planned, name, values[name])


def _training_field(planned: Plan, name: str, value: Any) -> None:
    field(
        f"training.{name}",
        name,
        TRAINING[name],
        value,
        lambda value: session.edit(lambda graph: graph.with_training(name, value)),
    )
    for issue in planned.issues:
        if issue.field == f"training.{name}":
            st.error(_sentence(issue.message, issue.hint))


def field(key: str, label: str, param: Param, value: Any, keep: Callable[[Any], Any]) -> None:
    """One widget for one setting. `keep` is called with a new sound value; what cannot be read is said and not kept."""
    shown, widget = _widget(param, value)
    name = synced_key(key, shown, hold=key in st.session_state.get(session.ERRORS, {}))
    widget(label, key=name, help=help_of(param), on_change=_changed, args=(key, name, param, keep))
    error = st.session_state.get(session.ERRORS, {}).get(key)
    if error:
        st.error(plain(error))


def help_of(param: Param) -> str:
    """The tooltip of a setting: what it is, and what it may be."""
    expected = param.expected()
    return f"{param.help} Expected: {expected}."


def synced_key(key: str, shown: Any, *, hold: bool = False) -> str:
    """The key of a widget that shows a value of the document, also when that was changed elsewhere.

    A value changed elsewhere (canvas, model form, a second tab) makes a new widget under a new key: the browser may still be
    sending the old value with its next event, and under the old key that would look like an edit that takes the change back.
    """
    made = st.session_state.setdefault(session.MADE, {})
    generation = made.get(key, (0, None))[0]
    name = _name(key, generation)
    if name in st.session_state and st.session_state[name] != shown and not hold:
        generation += 1
        name = _name(key, generation)
    made[key] = (generation, shown)
    if name not in st.session_state:
        st.session_state[name] = shown
    return name


def edited(key: str, name: str) -> bool:
    """Whether a widget's callback tells of an edit.

    Streamlit also calls it for a widget that is no longer drawn, with the value that it had, when the browser sends an event
    before it has heard of that.
    """
    made = st.session_state.get(session.MADE, {})
    generation, shown = made.get(key, (0, None))
    if name != _name(key, generation) or st.session_state[name] == shown:
        return False
    if st.session_state[name] is not None:  # an emptied field is no value: the old one is shown again
        made[key] = generation, st.session_state[name]
    return True


def _name(key: str, generation: int) -> str:
    return f"{key}@{generation}" if generation else key


def _changed(key: str, name: str, param: Param, keep: Callable[[Any], Any]) -> None:
    if not edited(key, name):
        st.session_state.get(session.ERRORS, {}).pop(key, None)
        return
    value = st.session_state[name]
    if value is None:
        return
    errors = st.session_state.setdefault(session.ERRORS, {})
    errors.pop(key, None)
    try:
        keep(param.parse(value) if isinstance(value, str) else value)
    except ValueError as error:
        errors[key] = str(error)


def _widget(param: Param, value: Any) -> tuple[Any, Callable[..., Any]]:
    """What a widget holds for this value, and the widget.

    The value is its default too: where a connection breaks, the script runs again for a browser that has seen nothing yet, and
    of what the session holds Streamlit sends only what is new. Without a default each field would then be drawn empty.
    """
    sound = value is not None and param.problem(value) is None
    if isinstance(param, Choice) and sound:
        return value, lambda label, **rest: st.selectbox(
            label, param.options, index=param.options.index(value), disabled=len(param.options) == 1, **rest
        )
    if isinstance(param, Bool) and sound:
        return value, lambda label, **rest: st.checkbox(label, value=value, **rest)
    if isinstance(param, Int) and param.auto is None and (sound or value is None):
        empty = "they differ" if value is None else None
        return value, lambda label, **rest: st.number_input(
            label, value=value, min_value=param.low, max_value=param.high, step=1, placeholder=empty, **rest
        )
    if isinstance(param, Float) and (sound or value is None):
        step = 10.0 ** math.floor(math.log10(param.default)) / 10 if param.default else 0.01
        low, high = float(param.low), float(param.high)
        shown = None if value is None else float(value)
        empty = "they differ" if value is None else None
        return shown, lambda label, **rest: st.number_input(
            label, value=shown, min_value=low, max_value=high, step=step, format="%g", placeholder=empty, **rest
        )
    return str(value), lambda label, **rest: st.text_input(label, value=str(value), **rest)


def _sentence(message: str, hint: str) -> str:
    text = f"{message}; {hint}." if hint else f"{message}."
    return plain(text[0].upper() + text[1:] if not text.split("=")[0].isidentifier() else text)
