"""What can be taken away of the chosen runs: one HTML report, their metrics as tables or for other dashboards, their files."""

from __future__ import annotations

import functools
import hashlib
import html
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import units
from cortex.loggers import PACKAGES, installed, tensorboard_zip
from cortex.measured import AXES
from cortex.runs import Run
from cortex.tables import to_file
from ui import jobs, reading, run_files, session
from ui.plain import plain
from ui.theme import PALETTE

Row = Mapping[str, Any]
_LISTED = 8  # up to so many runs have their files listed; of more, one is chosen
_DAY = 24 * 3600
_REPORT_AXES = ("step", "tokens", "epoch", "elapsed", "flops")


def take_away(rows: Sequence[Row]) -> None:
    """Draw the part for these runs (rows of the index)."""
    runs = [Run(Path(row["directory"])) for row in rows]
    selection(runs)
    st.subheader("Files of each run", anchor=False)
    if len(rows) > _LISTED:
        names = {row["run"]: row["name"] for row in rows}
        chosen = st.selectbox(
            "Run", list(names), key="away.run", format_func=lambda name: f"{names.get(name, name)} · {name[:15]}"
        )
        rows = [row for row in rows if row["run"] == chosen]
    numbers = reading.colours(session.where().runs)
    for row in rows:
        _files(row, numbers.get(row["run"], 0))
    wanted = st.session_state.pop(session.OPEN, None)
    if wanted:
        st.switch_page("pages/run.py", query_params={"run": wanted})


def selection(runs: Sequence[Run]) -> None:
    """What is made of all of them together."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("One file to send", anchor=False)
        _report(runs)
    with right:
        st.subheader("Metrics", anchor=False)
        _tables(runs)
        _tensorboard(runs)
        _trackio(runs)


# The report


def _report(runs: Sequence[Run]) -> None:
    st.caption(
        "Results, charts, what differs in settings and graphs, samples and origins as one HTML file. It opens without a "
        "network, holds no script, follows the reader's light or dark setting, and prints."
    )
    axis = st.selectbox("Charts over", _REPORT_AXES, key="away.axis", format_func=AXES.get)
    key = _key(runs, axis)
    made = st.session_state.get(session.REPORT, {})
    cost = f"Takes {_cost(len(runs))}; the file stays on this machine until you send it."
    if st.button(
        f"Make the report of {_count(runs)}", key="away.report", icon=":material/summarize:", help=cost, type="primary"
    ):
        made = _make(runs, axis, key)
    path = Path(made.get("path", ""))
    if made.get("error") and made["key"] == key:
        st.error(plain(made["error"]), icon=":material/error:")
    elif made.get("key") == key and path.is_file():
        size, name = path.stat().st_size, f"cortexnodus-{runs[0].id if len(runs) == 1 else f'{len(runs)}-runs'}.html"
        st.download_button(
            f"Download, {units.size(size)}", functools.partial(path.read_bytes), name, "text/html", key="away.report.file",
            on_click="ignore", icon=":material/download:",
        )  # fmt: skip
        st.caption(f"Made at {time.strftime('%H:%M:%S', time.localtime(made['at']))}; what runs have done since is not in it.")


def _cost(count: int) -> str:
    """About 3 s to load torch, then a third of a second for a run of ten thousand points, on an idle machine."""
    return f"about {units.duration(3 + count / 3)}, longer while a training shares the machine"


def _make(runs: Sequence[Run], axis: str, key: str) -> dict[str, Any]:
    """Have the command line write the report; what came of it is kept for this session."""
    folder = session.where().jobs
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    path = folder / f"report-{key}.html"
    command = ["report", *(str(run.path) for run in runs), "-o", str(path), "--axis", axis]
    error = _run_command(command, f"Writing the report of {_count(runs)}", path.with_suffix(".log"))
    st.session_state[session.REPORT] = {"key": key, "path": str(path), "error": error, "at": time.time()}
    return st.session_state[session.REPORT]


def _run_command(arguments: Sequence[str], what: str, log: Path, output: Path | None = None) -> str:
    """Run the command line to its end, saying what it does; why it failed comes out, empty where it did not."""
    with st.spinner(f"{what} …", show_time=True):
        code = jobs.spawn_cortex(list(arguments), log, output).wait()
    said = log.read_text(errors="replace").strip()
    log.unlink(missing_ok=True)
    return "" if code == 0 else said.splitlines()[-1] if said else f"it ended with status {code}"


def _clear(folder: Path) -> None:
    """Reports of yesterday are not wanted any more."""
    for path in folder.glob("report-*.html"):
        if time.time() - path.stat().st_mtime > _DAY:
            path.unlink(missing_ok=True)


def _key(runs: Sequence[Run], axis: str) -> str:
    return hashlib.sha256(json.dumps([axis, *(str(run.path) for run in runs)]).encode()).hexdigest()[:16]


# Metrics


def _tables(runs: Sequence[Run]) -> None:
    st.caption("A row a point: run, event, step, epoch, tokens, elapsed, time and every metric, with all digits.")
    for column, suffix in zip(st.columns(2), (".csv", ".parquet"), strict=True):
        column.download_button(
            suffix[1:].upper() if suffix == ".csv" else "Parquet", functools.partial(to_file, runs, suffix),
            f"metrics{suffix}", key=f"away{suffix}", on_click="ignore", width="stretch", icon=":material/table:",
            help=f"The points of {_count(runs)} in one file; made when it is asked for.",
        )  # fmt: skip


def _tensorboard(runs: Sequence[Run]) -> None:
    if not installed("tensorboard"):
        return _missing("tensorboard", "Event files")
    st.download_button(
        "TensorBoard event files (zip)", functools.partial(tensorboard_zip, runs), "tensorboard.zip", "application/zip",
        key="away.tensorboard", on_click="ignore", icon=":material/folder_zip:",
        help="A folder a run; unpack it and start tensorboard --logdir on it.",
    )  # fmt: skip
    return None


def _trackio(runs: Sequence[Run]) -> None:
    if not installed("trackio"):
        return _missing("trackio", "An import")
    name, go = st.columns([2, 1], vertical_alignment="bottom")
    project = name.text_input("Project of Trackio", "cortexnodus", key="away.trackio.project", max_chars=60)
    pressed = go.button("Import", key="away.trackio", width="stretch", help="Fills Trackio's database on this machine.")
    if pressed and project.strip():
        folder = session.where().jobs
        folder.mkdir(parents=True, exist_ok=True)
        log, output = folder / "trackio.log", folder / "trackio.txt"
        command = ["metrics", *(str(run.path) for run in runs), "--trackio", project.strip()]
        error = _run_command(command, f"Importing {_count(runs)}", log, output)
        if error:
            st.error(plain(error), icon=":material/error:")
        else:
            st.success(plain(output.read_text(errors="replace").splitlines()[-1]), icon=":material/check:")
    return None


def _missing(package: str, what: str) -> None:
    st.caption(f"{what} for {PACKAGES[package]}: not installed here; `pip install {package}` and start the app again.")


# Files


def _files(row: Row, number: int) -> None:
    run = Run(Path(row["directory"]))
    name, go = st.columns([6, 1], vertical_alignment="center")
    colour, cut = PALETTE[number % len(PALETTE)], "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
    text = f"<b>{html.escape(row['name'])}</b> <small>{html.escape(run.id)}</small>"
    name.html(f'<div style="{cut}"><span style="color:{colour}">●</span> {text}</div>')
    go.button("Open", key=f"away.open.{run.id}", on_click=_open, args=(run.id,), help="The run's own page.", width="stretch")
    if row["state"] == "damaged" and row.get("error"):
        st.caption(plain(f"Damaged: {row['error']}"))
    run_files.downloads(run, "away", most=5)


def _open(run_id: str) -> None:
    st.session_state[session.OPEN] = run_id


def _count(runs: Sequence[Run]) -> str:
    return f"{len(runs):,} {'run' if len(runs) == 1 else 'runs'}"
