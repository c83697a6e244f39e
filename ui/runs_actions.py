"""What can be done with the ticked runs, in one bar above the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from cortex import deleting, labels, units
from cortex.runs import ACTIVE, RESUMABLE, Run, RunError
from ui import notices, runs_view, session
from ui.plain import plain

Row = dict[str, Any]
_GO = "runs.go"  # page to go to in this script run
_DELETE = "runs.to_delete"  # the runs that the dialog asks about
_FAULTS = (RunError, labels.LabelError, OSError)


def bar(rows: Sequence[Row], everything: Sequence[Row]) -> None:
    """The bar; `rows` are the ticked ones. Buttons that suit none of them are off."""
    one = len(rows) == 1
    stoppable = [row for row in rows if row["state"] in ACTIVE and not _asked(row, "stop")]
    pausable = [row for row in rows if row["state"] == "running" and not _asked(row, "pause")]
    resumable = [row for row in rows if row["state"] in RESUMABLE]
    ended = [row for row in rows if row["state"] not in ACTIVE]
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.markdown(f"**{len(rows)} ticked**" if rows else ":gray[None ticked]", width=92)
        _button("Open", "open", "open_in_full", one, lambda: _go(rows, "run"), "The run's own page.")
        _button("Watch", "watch", "monitoring", one, lambda: _go(rows, "train"), "The run on the Train page.")
        _button("Build", "restore", "account_tree", one and rows[0]["state"] != "damaged", lambda: _restore(rows[0]),
                "Opens the graph and settings of the run as a new document on the Build page.")  # fmt: skip
        _button("Stop", "stop", "stop", bool(stoppable), lambda: _each(stoppable, lambda run: run.request("stop")),
                "Ends the run after its current step, or takes it out of the queue. Its weights are kept; it can be resumed.",
                len(stoppable) if len(rows) > 1 else 0)  # fmt: skip
        _button("Pause", "pause", "pause", bool(pausable), lambda: _each(pausable, lambda run: run.request("pause")),
                "Saves the run as it is and frees its memory and its place in the queue.",
                len(pausable) if len(rows) > 1 else 0)  # fmt: skip
        _button("Resume", "resume", "play_arrow", bool(resumable), lambda: _each(resumable, _resume),
                "Goes on from the last checkpoint, when its turn in the queue comes.",
                len(resumable) if len(rows) > 1 else 0)  # fmt: skip
        starred = bool(rows) and all(row["starred"] for row in rows)
        _button("Unstar" if starred else "Star", "star", "star", bool(rows),
                lambda: _each(rows, lambda run: labels.update(run, starred=not starred)))  # fmt: skip
        with st.popover("Label", icon=":material/sell:", disabled=not rows, key="runs.label"):
            if rows:
                _labels(rows, everything)
        archived = bool(rows) and all(row["archived"] for row in rows)
        _button("Unarchive" if archived else "Archive", "archive", "archive", bool(rows),
                lambda: _each(rows, lambda run: labels.update(run, archived=not archived)),
                "Archived runs are hidden until they are asked for; nothing of them is lost.")  # fmt: skip
        _button("Delete", "delete", "delete", bool(ended), lambda: _ask(ended),
                "Asks first, and says what it frees." if ended or not rows else "A run that is going on is stopped first.",
                len(ended) if len(rows) > 1 else 0)  # fmt: skip
    _travel()
    if st.session_state.get(_DELETE):
        _delete_dialog()


def _button(
    label: str, key: str, icon: str, on: bool, click: Callable[[], None], help: str | None = None, count: int = 0
) -> None:
    st.button(
        f"{label} {count}" if count else label, key=f"runs.{key}", icon=f":material/{icon}:", disabled=not on, on_click=click,
        help=help,
    )  # fmt: skip


def _labels(rows: Sequence[Row], everything: Sequence[Row]) -> None:
    """Name, note and tags; what was typed is kept when the button under it is pressed."""
    ids = "+".join(row["run"] for row in rows)
    if len(rows) == 1:
        row = rows[0]
        with st.form(f"runs.rename.{ids}", border=False):
            name = st.text_input("Name", row["name"], max_chars=labels.LONGEST_NAME)
            note = st.text_area("Note", row["note"], max_chars=labels.LONGEST_NOTE, height=90)
            tags = _tag_box(row["tags"], everything)
            if st.form_submit_button("Save", type="primary", width="stretch"):
                changed = {"name": name} if name != row["name"] else {}
                _each(rows, lambda run: labels.update(run, note=note, tags=tags, **changed))
                st.rerun()
        return
    common = [tag for tag in rows[0]["tags"] if all(tag in row["tags"] for row in rows)]
    with st.form(f"runs.tag.{ids}", border=False):
        st.caption(f"{len(rows)} runs. A name or a note is given to one run at a time.")
        tags = _tag_box(common, everything)
        if st.form_submit_button("Save", type="primary", width="stretch"):
            gone, new = [tag for tag in common if tag not in tags], [tag for tag in tags if tag not in common]
            _each(rows, lambda run: labels.update(run, tags=labels.with_tags(labels.read(run).tags, new, gone)))
            st.rerun()


def _tag_box(tags: Sequence[str], everything: Sequence[Row]) -> list[str]:
    known = dict.fromkeys([*tags, *(tag for row in everything for tag in row["tags"])])
    return st.multiselect("Tags", list(known), list(tags), accept_new_options=True, placeholder="choose, or type a new one")


def _each(rows: Sequence[Row], do: Callable[[Run], object]) -> None:
    """Do it to each run; what fails is said, and the others are done all the same."""
    failed = []
    for row in rows:
        try:
            do(_run(row))
        except _FAULTS as error:
            failed.append(f"{row['name']}: {_in_words(error)}")
    if failed:
        more = f" … and {len(failed) - 3} more" if len(failed) > 3 else ""
        notices.notify("; ".join(failed[:3]) + more)


def _in_words(error: Exception) -> str:
    return f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)


def _run(row: Row) -> Run:
    return Run(session.where().runs / row["run"])


def _asked(row: Row, what: str) -> bool:
    return _run(row).requested(what)


def _resume(run: Run) -> None:
    from cortex import launch  # loads torch

    launch.spawn_resume(run)


def _go(rows: Sequence[Row], page: str) -> None:
    st.session_state[session.RUN] = rows[0]["run"]
    st.session_state[_GO] = page


def _restore(row: Row) -> None:
    try:
        session.open_graph(_run(row).graph())
    except _FAULTS as error:
        notices.notify(_in_words(error))
        return
    st.session_state[_GO] = "build"


def _travel() -> None:
    page = st.session_state.pop(_GO, None)
    if page:
        run = {"run": st.session_state[session.RUN]} if page != "build" else {"doc": st.session_state[session.DOCUMENT]}
        st.switch_page(f"pages/{page}.py", query_params=run)


def _ask(rows: Sequence[Row]) -> None:
    st.session_state[_DELETE] = [row["run"] for row in rows]


@st.dialog("Delete", on_dismiss=lambda: st.session_state.pop(_DELETE, None))
def _delete_dialog() -> None:
    root = session.where().runs
    runs = [Run(root / name) for name in st.session_state.get(_DELETE, ()) if (root / name).is_dir()]
    if not runs:
        st.session_state.pop(_DELETE, None)
        st.rerun()
    freed = deleting.what_it_frees(runs)
    names = {row["run"]: row["name"] for row in runs_view.all_rows(at_once=True)}
    listed = [f"- {plain(names.get(run.id, run.id))} {plain(f'({run.id})')}" for run in runs[:10]]
    if len(runs) > 10:
        listed.append(f"- and {len(runs) - 10} more")
    st.markdown("\n".join(listed))
    st.markdown(
        f"This frees **{units.size(freed.octets)}** and cannot be undone: curves, checkpoints and logs are gone. "
        "To only put runs out of sight, archive them."
    )
    if freed.shared:
        st.caption(f"{units.size(freed.shared)} stay on disk, since other runs have the same weights.")
    if freed.children:
        said = ", ".join(names.get(child, child) for child in freed.children[:5])
        st.caption(plain(f"Went on from these: {said}. They keep working, their weights are their own."))
    what = "this run" if len(runs) == 1 else f"{len(runs)} runs"
    go, leave = st.columns(2)
    if go.button(f"Delete {what}, frees {units.size(freed.octets)}", type="primary", key="runs.delete.go", width="stretch"):
        _each([{"run": run.id, "name": names.get(run.id, run.id)} for run in runs], deleting.delete_run)
        gone = {run.id for run in runs if not run.path.is_dir()}
        runs_view.choose([name for name in runs_view.chosen_ids() if name not in gone])
        st.session_state.pop(_DELETE, None)
        st.rerun()
    if leave.button("Keep", key="runs.delete.keep", width="stretch"):
        st.session_state.pop(_DELETE, None)
        st.rerun()
