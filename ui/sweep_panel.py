"""A new sweep on the Train page: settings chosen from the graph's own, values typed, size and cost said before it starts."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import data, documents, launch, units
from cortex.builder import TRAINING
from cortex.corpus import CorpusError
from cortex.edit import SettingError
from cortex.graph import Graph, Node, from_json, to_json
from cortex.hopeless import GRACE, OTHERS
from cortex.params import Bool, Choice, Float, Int, Param, complete
from cortex.places import Places, write_atomically
from cortex.presets import MODEL, model_settings
from cortex.queue import slots
from cortex.registry import KINDS
from cortex.runs import RunError, process_started
from cortex.space import Axis, parse_axis, written
from cortex.sweep import METHODS
from cortex.sweep_check import Checker, SpaceError, planned_trials, trial_tokens, with_budget
from cortex.sweep_driver import Settings, make_sweep
from cortex.tpe import MISSING, installed
from ui import session, start
from ui.forms import help_of
from ui.plain import plain

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
_JOB = "sweep.job"  # the preparation that this session started: process and log


def sweep_panel(graph: Graph, where: Places) -> None:
    """The form of a new sweep over this graph, and its start."""
    known = settable(graph)
    if "sweep.keys" in st.session_state:  # the graph may have lost some since
        st.session_state["sweep.keys"] = [key for key in st.session_state["sweep.keys"] if key in known]
    keys = st.multiselect(
        "Settings to vary", list(known), key="sweep.keys", format_func=lambda key: f"{key} (now {_now(known[key][1])})",
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


def settable(graph: Graph) -> dict[str, tuple[Param, Any]]:
    """Every setting of the graph that has numbers or choices, by its key, with its present value; None where nodes differ."""
    found: dict[str, tuple[Param, Any]] = {}
    trained = complete(TRAINING, graph.training)
    for name, param in TRAINING.items():
        if param.applies(trained):
            found[f"training.{name}"] = param, trained[name]
    for name, value in model_settings(graph).items():
        if value is not None or graph.of_kind("GPTBlock"):
            found[f"model.{name}"] = MODEL[name], value
    for node in graph.nodes:
        params = KINDS[node.kind].params if node.kind in KINDS else {}
        values = complete(params, node.params)
        for name, param in params.items():
            if param.applies(values):
                found[f"nodes.{node.id}.{name}"] = param, values[name]
    return {key: pair for key, pair in found.items() if _can_vary(pair[0])}


def _can_vary(param: Param) -> bool:
    return isinstance(param, (Int, Float, Bool)) or (isinstance(param, Choice) and len(param.options) > 1)


def proposed(param: Param, value: Any, method: str) -> str:
    """Values around the present one, to begin with."""
    if isinstance(param, Bool):
        return "false,true"
    if isinstance(param, Choice):
        return ",".join(param.options)
    if not isinstance(value, (int, float)):
        value = param.default if isinstance(param.default, (int, float)) else param.low
    whole = isinstance(param, Int)
    if not whole and param.low == 0 and param.high <= 1:  # a share
        return "0,0.1,0.2" if method == "grid" else "0..0.3"
    if not value:  # nothing to multiply
        return ("0,1" if whole else "0,0.1,1") if method == "grid" else "0..1"
    factor = 2 if whole else 3 if method == "grid" else 10
    low = max(param.low, value // factor if whole else value / factor)
    high = min(param.high, value * factor)
    if method == "grid":
        return ",".join(dict.fromkeys(written(_near(at, whole)) for at in (low, value, high)))
    scale = "int:" if whole else "log:" if low > 0 else ""
    return f"{scale}{written(_near(low, whole))}..{written(_near(high, whole))}"


def _near(value: float, whole: bool) -> float:
    return round(value) if whole else float(f"{value:.2g}")


def _now(value: Any) -> str:
    return "different values" if value is None else written(value)


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
    command = ["python", "-m", "cortex", *_command(texts, settings, _document(where))]
    st.code(shlex.join(command), language="bash", wrap_lines=True)
    going = _going()
    if going or looked["unprepared"]:
        _prepare_first(graph, texts, settings, where, looked["unprepared"], going)
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
    def prepared(node: Node) -> data.Prepared | None:
        fault = data.outside(node, [where.uploads])
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
        source = data.source_of(data.source_node(graph))
        speed = start.measured_speed(planned.total, source.batch_size, source.seq_len, where.runs)
    if not speed or not looked["tokens"]:
        return f"{trials}{tokens}; how long one takes is not known until one has run."
    about = units.duration(looked["tokens"] / speed)
    about += " if one trained after the other," if at_once > 1 else ""
    return f"{trials}{tokens}; about {about} at the {speed:,.0f} tokens/s that this machine last made of the graph as it is."


def _document(where: Places) -> str:
    return os.path.relpath(documents.path_of(where.documents, session.document_id() or ""))


def _command(texts: list[str], settings: Settings, document: str) -> list[str]:
    option = "--grid" if settings.method == "grid" else "--random"
    spread = [part for text in texts for part in (option, text)]
    drawn = [] if settings.method == "grid" else ["--trials", str(settings.count), "--seed", str(settings.seed)]
    method = ["--method", "tpe"] if settings.method == "tpe" else []
    options = {"steps": "--max-steps", "minutes": "--max-minutes", "epochs": "--epochs"}
    budget = [part for name, value in settings.budget.items() for part in (options[name], written(value))]
    early = ["--early-stop"] if settings.early_stop else []
    return ["sweep", document, *spread, *method, *drawn, *budget, *early, "--name", settings.name]


def _start(graph: Graph, axes: list[Axis], settings: Settings, where: Places) -> None:
    try:
        made = make_sweep(where.runs, _checker(graph, axes, settings, where), axes, settings)
    except (SpaceError, RunError, OSError) as error:
        st.error(plain(error), icon=":material/error:")
        return
    launch.spawn_sweep(made)
    st.switch_page("pages/sweeps.py", query_params={"sweep": made.id})


# Texts that have to be tokenised before anything can be checked


def _going() -> bool:
    job = st.session_state.get(_JOB, {})
    return bool(job) and process_started(job["pid"]) == job["started"]


def _prepare_first(graph: Graph, texts: list[str], settings: Settings, where: Places, count: int, going: bool) -> None:
    if not going:
        text = "text is" if count == 1 else "texts are"
        st.caption(f"{count} {text} not tokenised yet; whether everything can be trained shows when that is done.")
        if st.session_state.get(_JOB):
            st.error(plain(_last_line() or "The preparation ended without a word."), icon=":material/error:")
        label = f"Tokenise {count} {'text' if count == 1 else 'texts'} first"
        st.button(label, key="sweep.prepare", type="primary", on_click=_begin_preparing, args=(graph, texts, settings, where))
    else:
        st.fragment(_watch, run_every=0.5)()


def _begin_preparing(graph: Graph, texts: list[str], settings: Settings, where: Places) -> None:
    where.jobs.mkdir(parents=True, exist_ok=True)
    document = where.jobs / "sweep.json"
    write_atomically(document, to_json(graph), durable=False)
    log = document.with_suffix(".log")
    process = start.spawn_cortex([*_command(texts, settings, str(document)), "--dry-run"], log)
    st.session_state[_JOB] = {"pid": process.pid, "started": process_started(process.pid), "log": str(log)}


def _watch() -> None:
    if not _going():
        if not _last_line():
            st.session_state.pop(_JOB, None)
        st.rerun()
    st.status(plain(f"Preparing the texts: {_last_line() or 'starting'}"), state="running")


def _last_line() -> str:
    log = Path(st.session_state.get(_JOB, {}).get("log", ""))
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return lines[-1] if lines else ""
