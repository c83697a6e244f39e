"""What can be done with a run from its page: stop, pause, save, resume, extend."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cortex import launch, units
from cortex.runs import ACTIVE, RESUMABLE, Run, RunError
from ui import notices, session
from ui.plain import plain

AGAIN = "controls.again"  # set for one script run: the page around these buttons is to be drawn again, not their part alone


def controls(run: Run, row: dict[str, Any], first: DeltaGenerator, second: DeltaGenerator) -> None:
    """The two buttons that suit the run's state."""
    state = row["state"]
    if state in ACTIVE:
        _stop(run, state, first)
        _pause(run, state, second)
    elif state != "damaged":
        if state in RESUMABLE:
            _resume(run, row, first)
        with second.popover("Extend", icon=":material/add_road:", width="stretch", disabled=not _saved(run)):
            _extend(run, row)


def _saved(run: Run) -> bool:
    return run.checkpoint("last").is_file()


def _stop(run: Run, state: str, place: DeltaGenerator) -> None:
    asked, waiting = run.requested("stop"), state == "queued"
    label = "Cancel" if waiting else "Stop"
    place.button(
        f"{label}ing …".replace("Stoping", "Stopping").replace("Canceling", "Cancelling") if asked else label,
        key="train.stop", on_click=run.request, args=("stop",), disabled=asked, icon=":material/stop:", width="stretch",
        help="Takes the run out of the queue." if waiting else
        "Ends the run after its current step. Its best and its last weights are kept, and it can be resumed.",
    )  # fmt: skip


def _pause(run: Run, state: str, place: DeltaGenerator) -> None:
    asked = run.requested("pause")
    place.button(
        "Pausing …" if asked else "Pause",
        key="train.pause", on_click=run.request, args=("pause",), disabled=asked or state != "running",
        icon=":material/pause:", width="stretch",
        help="Saves the run as it is, and frees its memory and its place in the queue. Resume goes on as if it had never "
        "been left.",
    )  # fmt: skip


def _resume(run: Run, row: dict[str, Any], place: DeltaGenerator) -> None:
    where = f"from step {_at(run, row):,}" if _saved(run) else "from the start, since it has saved nothing yet"
    place.button(
        "Resume", key="train.resume", on_click=_start_again, args=(run,), type="primary", icon=":material/play_arrow:",
        width="stretch", help=f"Goes on {where}.",
    )  # fmt: skip


def _at(run: Run, row: dict[str, Any]) -> int:
    from cortex.checkpoints import saved_step

    return saved_step(run.checkpoint("last")) or 0


def _start_again(run: Run) -> None:
    try:
        launch.spawn_resume(run)
    except RunError as error:
        notices.notify(str(error))
        st.session_state[AGAIN] = True


def _extend(run: Run, row: dict[str, Any]) -> None:
    st.caption(plain(f"Goes on from step {_at(run, row):,} in a new run; this one stays as it is."))
    unit = st.segmented_control("By", ["epochs", "steps"], default="epochs", key="extend.unit", required=True)
    amount = st.number_input(unit.capitalize(), 1, 10_000_000, 1 if unit == "epochs" else 1000, key=f"extend.{unit}")
    speed = row["tokens_per_second"]
    begun = next((event for event in run.events() if event["event"] == "start"), {})
    steps = amount * (begun.get("steps_per_epoch") or 0) if unit == "epochs" else amount
    if speed and row["step"] and row["tokens"]:
        seconds = steps * row["tokens"] / row["step"] / speed
        st.caption(f"{steps:,} steps, about {units.duration(seconds)} at {speed:,.0f} tokens/s, validation not counted")
    st.button("Extend", key="extend.go", type="primary", on_click=_extend_now, args=(run, unit, amount), width="stretch")


def _extend_now(run: Run, unit: str, amount: int) -> None:
    st.session_state[AGAIN] = True  # for the child, or for what stands in its way
    try:
        child = launch.extend(run, **{unit: int(amount)})
    except (RunError, OSError) as error:
        notices.notify(str(error))
        return
    launch.spawn(child)
    st.session_state[session.RUN] = child.id
    st.query_params["run"] = child.id
