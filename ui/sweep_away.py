"""A sweep put out of sight or taken off the disk, from its page."""

from __future__ import annotations

import streamlit as st

from cortex import units
from cortex.labels import LabelError
from cortex.runs import RunError
from cortex.sweep import Sweep, list_sweeps, name_of
from cortex.sweep_deleting import archive, archived, delete_sweep, what_goes
from cortex.trials import GOING
from ui import notices, session
from ui.plain import plain

ARCHIVED = "sweeps.archived"  # whether archived sweeps are listed
_DELETE = "sweep.to_delete"  # the sweep that the dialog asks about
_WITH_RUNS = "sweep.delete.runs"
_FAULTS = (RunError, LabelError, OSError)


def listed(sweeps: dict[str, Sweep], asked: str | None) -> dict[str, Sweep]:
    """Those that are offered: what is archived only when that is wanted, the address names it, or there is no other."""
    away = {name for name, sweep in sweeps.items() if archived(sweep)}
    if not away or len(away) == len(sweeps) or st.session_state.get(ARCHIVED):
        return sweeps
    return {name: sweep for name, sweep in sweeps.items() if name not in away or name == asked}


def away_menu(sweep: Sweep, state: str, sweeps: dict[str, Sweep]) -> None:
    """What can be done with the sweep as a whole, besides training it."""
    away = archived(sweep)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Unarchive" if away else "Archive", key="sweep.archive", on_click=_archive, args=(sweep, not away), width="stretch",
            icon=":material/archive:", help="Not listed any more until it is asked for; its runs are not touched.",
        )  # fmt: skip
        st.button(
            "Delete", key="sweep.delete", on_click=_ask, args=(sweep,), disabled=state in GOING, width="stretch",
            icon=":material/delete:",
            help="Stop the sweep first." if state in GOING else "Asks first, and says what goes and what stays.",
        )  # fmt: skip
    if any(map(archived, sweeps.values())):
        st.toggle("List archived too", key=ARCHIVED, persist_state="session")
    if st.session_state.get(_DELETE):
        _dialog()


def _archive(sweep: Sweep, away: bool) -> None:
    try:
        archive(sweep, away)
    except _FAULTS as error:
        notices.notify(str(error))
        return
    if away:
        notices.notify(f"{name_of(sweep)} is archived; “List archived too” shows it.", done=True)
        st.query_params.pop("sweep", None)


def _ask(sweep: Sweep) -> None:
    st.session_state[_DELETE] = sweep.id


@st.dialog("Delete a sweep", on_dismiss=lambda: st.session_state.pop(_DELETE, None))
def _dialog() -> None:
    found = {sweep.id: sweep for sweep in list_sweeps(session.where().runs)}
    sweep = found.get(st.session_state.get(_DELETE, ""))
    if sweep is None:
        st.session_state.pop(_DELETE, None)
        st.rerun()
    goes = what_goes(sweep)
    number = len(goes.runs)
    them = "its run" if number == 1 else f"its {number:,} runs"
    st.markdown(f"**{plain(name_of(sweep))}** {plain(f'({sweep.id})')}")
    more = units.size(goes.with_runs.octets)
    with_runs = bool(number) and st.toggle(f"Delete {them} too", key=_WITH_RUNS, help=f"Frees {more} more.")
    freed = goes.octets + (goes.with_runs.octets if with_runs else 0)
    gone = "What was asked for, the list of its trials and its log"
    if with_runs:
        said = f"{gone}, and {them} with curves and checkpoints, are gone."
    else:
        stay = f" {them[:1].upper()}{them[1:]} {'stays' if number == 1 else 'stay'} on the Runs page." if number else ""
        said = f"{gone} are gone.{stay}"
    st.markdown(f"This frees **{units.size(freed)}** and cannot be undone. {said}")
    if with_runs and goes.with_runs.shared:
        st.caption(f"{units.size(goes.with_runs.shared)} stay on disk, since other runs have the same weights.")
    if with_runs and goes.with_runs.children:
        st.caption(plain(f"Went on from these: {', '.join(goes.with_runs.children[:5])}. They keep working."))
    go, leave = st.columns(2)
    if go.button(f"Delete, frees {units.size(freed)}", type="primary", key="sweep.delete.go", width="stretch"):
        try:
            delete_sweep(sweep, with_runs=with_runs)
        except _FAULTS as error:
            notices.notify(str(error))
        else:
            st.query_params.pop("sweep", None)
        st.session_state.pop(_DELETE, None)
        st.rerun()
    if leave.button("Keep", key="sweep.delete.keep", width="stretch"):
        st.session_state.pop(_DELETE, None)
        st.rerun()
