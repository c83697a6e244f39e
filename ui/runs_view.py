"""Which runs the Runs page shows and how: filter, sort, groups, columns and the ticked ones, all of it in the URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import run_columns as columns
from cortex import run_groups, run_settings
from cortex.conditions import STATES, FilterError
from cortex.filters import matching
from cortex.index import Index
from ui import session
from ui.plain import plain

Row = dict[str, Any]

# The names of the URL, which are the keys of the widgets that are bound to it.
FILTER, STATE, DATA, TAG, SORT, REVERSE, BY, SHOWN, ARCHIVED, RUNS = (
    "q", "state", "data", "tag", "sort", "reverse", "by", "cols", "archived", "runs",
)  # fmt: skip
_CHOSEN = "runs.chosen"  # the ticked runs, for those who come back from another page
_GROUPS = {
    "none": run_groups.NO_GROUPS,
    "seeds of one configuration": run_groups.BY_SEEDS,
    "started together": run_groups.BY_GROUP,
}
_HELP = (
    "Words are looked for in name, note, tags, folder, data, tokenizer and state. One field: `state:finished`, "
    "`tag:baseline`, `data:WikiText2`, `is:starred`. Conditions on any setting or measure: `lr<1e-3`, "
    "`best_perplexity <= 120`, `data.seq_len = 64`. Together they must all hold; `or`, `not` and brackets work. A run that "
    "does not have the value never meets the condition."
)


@dataclass(frozen=True)
class View:
    """`rows` are shown, in their order; `hidden` is how many the filter hides, `archived` how many are put away."""

    rows: list[Row]
    hidden: int
    archived: int
    keys: list[str]
    by: str
    sort: str
    reverse: bool
    problem: str = ""


@st.cache_resource(show_spinner=False)
def _index(root: str) -> Index:
    return Index(Path(root))


def all_rows(*, at_once: bool = False) -> list[Row]:
    """Every run as it is now, newest first."""
    return _index(str(session.where().runs)).rows(at_once=at_once)


def view(rows: Sequence[Row]) -> View:
    """What the widgets, which need not be drawn in this run of the script, choose of all runs."""
    state = st.session_state
    kept = [row for row in rows if state.get(ARCHIVED) or not row["archived"]]
    found, problem = kept, ""
    for key, wanted in (("state", state.get(STATE)), ("source", state.get(DATA)), ("tags", state.get(TAG))):
        if wanted:
            found = [row for row in found if set(wanted) & set(row[key] if key == "tags" else [row[key]])]
    try:
        found = matching(found, state.get(FILTER) or "") if not problem else found
    except FilterError as error:
        problem = str(error)
    sort = _sort_keys(rows).get(state.get(SORT) or "", "created")
    found = columns.in_order(found, sort, bool(state.get(REVERSE)))
    keys = [key for key in map(_key_of(rows).get, state.get(SHOWN) or ()) if key] or columns.shown_by_themselves(found)
    by = _group_keys(rows).get(state.get(BY) or "", run_groups.NO_GROUPS)
    return View(found, len(kept) - len(found), len(rows) - len(kept), keys, by, sort, bool(state.get(REVERSE)), problem)


def controls(rows: Sequence[Row]) -> None:
    """Filter, sort, groups and columns, each bound to the URL."""
    text, sort, reverse, by, shown = st.columns([5, 2, 0.9, 2.2, 1.3], vertical_alignment="bottom")
    text.text_input(
        "Filter", key=FILTER, bind="query-params", help=_HELP, icon=":material/search:",
        placeholder="words, state:finished, tag:baseline, lr<1e-3, perplexity<=120",
    )  # fmt: skip
    sort.selectbox("Sort by", list(_sort_keys(rows)), key=SORT, bind="query-params")
    reverse.checkbox("reverse", key=REVERSE, bind="query-params")
    by.selectbox("Group by", list(_group_keys(rows)), key=BY, bind="query-params")
    with shown.popover("Columns", width="stretch"):
        _columns(rows)
    _pills(rows)


def _pills(rows: Sequence[Row]) -> None:
    states = [state for state in STATES if any(row["state"] == state for row in rows)]
    data = sorted({row["source"] for row in rows if row["source"]})
    tags = sorted({tag for row in rows for tag in row["tags"]}, key=str.casefold)
    archived = any(row["archived"] for row in rows)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        for name, options, key in (("State", states, STATE), ("Data", data, DATA), ("Tag", tags, TAG)):
            if len(options) > (key != TAG):
                st.pills(
                    name, options, selection_mode="multi", key=key, bind="query-params", label_visibility="collapsed",
                    format_func=plain if key != STATE else str,
                )  # fmt: skip
        if archived:
            st.toggle("Archived too", key=ARCHIVED, bind="query-params")


def _columns(rows: Sequence[Row]) -> None:
    st.multiselect(
        "Shown, in this order", list(_key_of(rows)), key=SHOWN, bind="query-params",
        placeholder="those that differ",
        help="With none chosen here: results, and the facts and settings that are not the same in all runs shown.",
    )  # fmt: skip
    if st.session_state.get(SHOWN):
        st.button("Show those that differ", on_click=_forget, args=(SHOWN,), width="stretch")


def _forget(key: str) -> None:
    st.session_state[key] = []


def _key_of(rows: Sequence[Row]) -> dict[str, str]:
    """The columns that there are, by what they are called in lists and in the URL."""
    facts = {column.title: key for key, column in columns.COLUMNS.items()}
    settings = dict.fromkeys(run_settings.differing_settings(rows))
    settings |= dict.fromkeys(run_settings.all_settings(rows))
    return facts | {name: name for name in settings}


def _sort_keys(rows: Sequence[Row]) -> dict[str, str]:
    facts = {columns.COLUMNS[key].title: key for key in columns.SORTS}
    return facts | {name: name for name in run_settings.differing_settings(rows)}


def _group_keys(rows: Sequence[Row]) -> dict[str, str]:
    facts = {columns.COLUMNS[key].title: key for key in ("source", "tokenizer", "state")}
    return _GROUPS | {name: name for name in run_settings.differing_settings(rows)} | facts


def chosen_ids() -> list[str]:
    """The ticked runs, by their folders' names; those of the URL, or of this session where the URL names none."""
    named = st.query_params.get(RUNS)
    if named is None:
        return list(st.session_state.get(_CHOSEN, ()))
    return [name for name in named.split(",") if name]


def keep_ticks() -> None:
    """Have the ticked runs both in the URL and in this session, so that neither a reload nor another page loses them."""
    choose(chosen_ids())


def choose(ids: Sequence[str]) -> None:
    """Tick these runs and no others."""
    st.session_state[_CHOSEN] = list(ids)
    if ids and st.query_params.get(RUNS) != ",".join(ids):
        st.query_params[RUNS] = ",".join(ids)
    elif not ids and RUNS in st.query_params:
        del st.query_params[RUNS]
