"""A new sweep on the Train page: settings chosen from the graph's own, values typed, size and cost said before it starts."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import Any

import streamlit as st

from cortex import data, documents, graph_source, launch, units
from cortex.corpus import CorpusError
from cortex.edit import SettingError
from cortex.graph import Graph, Node, from_json, to_json
from cortex.hopeless import GRACE, OTHERS
from cortex.params import Float, Int, Param
from cortex.places import Places
from cortex.queue import slots
from cortex.runs import RunError
from cortex.space import Axis, parse_axis
from cortex.store import Prepared
from cortex.sweep import METHODS
from cortex.sweep_check import Checker, SpaceError, planned_trials, trial_tokens, with_budget
from cortex.sweep_making import Settings, make_sweep
from cortex.tpe import MISSING, installed
from ui import session, start
from ui.forms import help_of
from ui.plain import plain
from ui.sweep_preparing import is_preparing, prepare_first, sweep_command
from ui.sweep_values import proposed, settable, value_now

_NAMES = {"grid": "Grid", "random": "Random", "tpe": "TPE"}
_METHOD_HELP = (
    "Grid: every combination of the values once. Random: combinations drawn from lists and ranges. TPE: each combination is "
    "chosen by the results of those before it (tree-structured Parzen estimator, by Optuna)."
)
_BUDGETS = {"set": "As the graph says", "steps": "Steps", "epochs": "Epochs", "minutes": "Minutes"}
_EARLY_HELP = (
    f"After {GRACE} validations, a trial whose best is worse than the median of at least {OTHERS} others at the same point "
    "ends there. It can lose a setting that starts slowly and ends well, so it is off unless you want it."
)


def sweep_panel(graph: Graph, where: Places) -> None:
    """The form of a new sweep over this graph, and its start."""
    known = settable(graph)
    if "sweep.keys" in st.session_state:  # the graph may have lost some since
        st.session_state["sweep.keys"] = [key for key in st.session_state["sweep.keys"] if key in known]
    keys = st.multiselect(
        "Settings to vary", list(known), key="sweep.keys", format_func=lambda key: f"{key} (now {value_now(known[key][1])})",
        placeholder="Choose one or several; type to search",
    )  # fmt: skip
    left, middle, right = st.columns([1.2, 1, 1.4], vertical_alignment="bottom")
    method = left.segmented_control(
        "Method", METHODS, default="grid", key="sweep.method", format_func=_NAMES.get, required=True, help=_METHOD_HELP
    )
    count, seed = 20, 1
    if method != "grid":
        count = middle.number_input("Trials", 1, 10_000, 20, key="sweep.count")
        seed = right.number_input("Seed of the draw", 0, 2**31 - 1, 1, key="sweep.seed")
    texts = []
    columns = st.columns(3)
    for place, key in enumerate(keys):
        with columns[place % 3]:
            texts.append(f"{key}={_values(key, *known[key], method)}")
    budget = _budget()
    one, two = st.columns([1, 1], vertical_alignment="bottom")
    name = one.text_input("Name", graph.name, key=f"sweep.name.{graph.name}", max_chars=100)
    early = two.toggle("Stop hopeless trials early", key="sweep.early", help=_EARLY_HELP)
    if method == "tpe" and installed() is None:
        st.warning(plain(f"{MISSING[:1].upper()}{MISSING[1:]}."), icon=":material/extension:")
        return
    if not keys:
        st.caption("Nothing is varied yet.")
        return
    early_stop = {"grace": GRACE, "others": OTHERS} if early else None
    _forecast(graph, texts, Settings(name or graph.name, method, int(count), int(seed), budget, early_stop), where)


def _values(key: str, param: Param, value: Any, method: str) -> str:
    ranges = method != "grid" and isinstance(param, (Int, Float))
    numbers = isinstance(param, (Int, Float))
    example = "a list like 1,2,3"
    example += ", or a range: log:LOW..HIGH, int:LOW..HIGH, LOW..HIGH" if ranges else ""
    example += ", or values spread over a range: LOW..HIGH x5, log:LOW..HIGH x5" if numbers else ""
    text = st.text_input(
        plain(key), proposed(param, value, method), key=f"sweep.values.{key}.{ranges}",
        help=plain(f"{help_of(param)} Type {example}."),
    )  # fmt: skip
    return text.strip()


def _budget() -> dict[str, Any]:
    one, two = st.columns([2, 1], vertical_alignment="bottom")
    kind = one.segmented_control(
        "Budget of each trial", list(_BUDGETS), default="set", key="sweep.budget", format_func=_BUDGETS.get, required=True,
        help="Steps end a trial early and change nothing else; epochs and minutes set its length, and its schedule with it.",
    )  # fmt: skip
    if kind == "set":
        return {}
    if kind == "minutes":
        return {kind: float(two.number_input("Minutes", 0.01, 1e6, 5.0, key="sweep.minutes"))}
    default = 500 if kind == "steps" else 1
    return {kind: int(two.number_input(_BUDGETS[kind], 1, 10_000_000, default, key=f"sweep.{kind}"))}


def _forecast(graph: Graph, texts: list[str], settings: Settings, where: Places) -> None:
    """What the sweep takes and what is wrong with it; and the button that starts it."""
    try:
        axes = [parse_axis(graph, text) for text in texts]
    except SettingError as error:
        st.error(plain(error), icon=":material/error:")
        return
    looked = _look(to_json(replace(graph, layout={})), tuple(axes), settings, where, _stamp(where))
    if looked["error"]:
        st.error(plain(looked["error"]), icon=":material/error:")
        return
    faults = looked["faults"]
    if faults:
        them = "combination has" if len(faults) == 1 else "combinations have"
        with st.expander(f"{len(faults):,} {them} a fault and will not be trained"):
            for fault in faults[:50]:
                st.caption(plain(fault))
    st.markdown(plain(_cost(graph, looked, settings, where)))
    if looked["objective"] == "bits_per_byte":
        st.caption("The tokens differ between the trials, so they are compared by bits per byte and not by loss.")
    command = ["python", "-m", "cortex", *sweep_command(texts, settings, _document(where))]
    st.code(shlex.join(command), language="bash", wrap_lines=True)
    going = is_preparing()
    if going or looked["unprepared"]:
        prepare_first(graph, texts, settings, where, looked["unprepared"], going)
        return
    label = f"Start {looked['trials']:,} {'trial' if looked['trials'] == 1 else 'trials'}"
    if st.button(label, key="sweep.start", type="primary", icon=":material/tune:"):
        _start(graph, axes, settings, where)


@st.cache_data(show_spinner="Checking every combination", max_entries=16, hash_funcs={Axis: repr, Settings: repr})
def _look(document: str, axes: tuple[Axis, ...], settings: Settings, where: Places, stamp: Any) -> dict[str, Any]:
    """Every combination checked: how many are sound, the faults, the tokens that they train."""
    checker = _checker(from_json(document), axes, settings, where)
    empty = {"error": "", "faults": [], "trials": 0, "tokens": None, "unprepared": 0, "objective": checker.objective}
    try:
        chosen, faults = planned_trials(checker, axes, settings.method, settings.count, settings.seed)
    except (SpaceError, OSError) as error:
        return empty | {"error": str(error)}
    trials = settings.count if chosen is None else len(chosen)
    tokens = None if checker.unprepared else trial_tokens(checker, chosen, settings.budget)
    if tokens is not None:
        tokens = sum(tokens) if chosen else tokens[0] * trials
    told = {"faults": [str(fault) for fault in faults], "trials": trials, "tokens": tokens}
    return empty | told | {"unprepared": len(checker.unprepared)}


def _checker(graph: Graph, axes: tuple[Axis, ...] | list[Axis], settings: Settings, where: Places) -> Checker:
    def prepared(node: Node) -> Prepared | None:
        fault = graph_source.outside(node, [where.uploads])
        if fault:
            raise CorpusError(fault)
        return data.lookup(node, where.store)

    return Checker(with_budget(graph, settings.budget), [axis.key for axis in axes], prepared)


def _stamp(where: Places) -> Any:
    """What changes when a text has been prepared."""
    return where.store.stat().st_mtime_ns if where.store.is_dir() else None


def _cost(graph: Graph, looked: dict[str, Any], settings: Settings, where: Places) -> str:
    at_once = slots()
    turns = "one after the other" if at_once == 1 else f"{at_once} at a time"
    trials = f"{looked['trials']:,} {'trial' if looked['trials'] == 1 else 'trials'}, {turns}"
    if settings.method == "random" and looked["trials"] < settings.count:
        trials += f" (there are no more than {looked['trials']:,} different ones without a fault)"
    if "minutes" in settings.budget:
        rounds = -(-looked["trials"] // at_once)
        return f"{trials}; at most {units.duration(60 * settings.budget['minutes'] * rounds)} in all."
    tokens = f"; {units.count(looked['tokens'])} training tokens at most" if looked["tokens"] else ""
    planned, prepared = start.look(graph, where)
    speed = None
    if prepared and not planned.issues:
        source = graph_source.source_of(graph_source.source_node(graph))
        speed = start.measured_speed(planned.total, source.batch_size, source.seq_len, where.runs)
    if not speed or not looked["tokens"]:
        return f"{trials}{tokens}; how long one takes is not known until one has run."
    about = units.duration(looked["tokens"] / speed)
    about += " if one trained after the other," if at_once > 1 else ""
    return f"{trials}{tokens}; about {about} at the {speed:,.0f} tokens/s that this machine last made of the graph as it is."


def _document(where: Places) -> str:
    return os.path.relpath(documents.path_of(where.documents, session.document_id() or ""))


def _start(graph: Graph, axes: list[Axis], settings: Settings, where: Places) -> None:
    try:
        made = make_sweep(where.runs, _checker(graph, axes, settings, where), axes, settings)
    except (SpaceError, RunError, OSError) as error:
        st.error(plain(error), icon=":material/error:")
        return
    launch.spawn_sweep(made)
    st.switch_page("pages/sweeps.py", query_params={"sweep": made.id})


# Texts that have to be tokenised before anything can be checked
