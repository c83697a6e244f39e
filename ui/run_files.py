"""The files of a run that can be taken along, each with its size; and its checkpoints. For every page that offers them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from cortex import units
from cortex.runs import ACTIVE, Run, RunError
from ui import start
from ui.plain import plain


@dataclass(frozen=True)
class File:
    """Something to download: `content` gives its bytes when it is asked for; `size` in bytes, None where it is gone."""

    label: str
    name: str
    content: Callable[[], bytes | str]
    size: int | None
    help: str


def files_of(run: Run) -> list[File]:
    """What there is of a run, the most wanted first; a damaged one has what can be read."""
    found = []
    best = run.checkpoint("best")
    if best.is_file():
        found.append(_stored("Weights", best, f"{run.id}.safetensors", "The best weights, as safetensors."))
    for file, label, help in (
        ("tokenizer.json", "Tokenizer", "The vocabulary of these weights (Hugging Face tokenizers)."),
        ("model.py", "model.py", "The run as one stand-alone script: model, training, generation."),
    ):
        if (run.path / file).is_file():
            name = file if file.endswith(".py") else f"{run.id}-{file}"
            found.append(_stored(label, run.path / file, name, help))
    try:
        document = start.document_of(run)
        help = "The graph and training settings that the run was started with; the Build page opens it."
        found.append(File("Document", f"{run.id}.json", lambda: document, len(document.encode()), help))
    except RunError:
        pass  # the page says what is wrong with run.json
    for file, help in (
        ("run.json", "What the run was started with: graph, every setting, versions, machine."),
        ("metrics.jsonl", "Every event as the worker wrote it."),
        ("log.txt", "Lines for people."),
    ):
        if (run.path / file).is_file():
            found.append(_stored(file, run.path / file, f"{run.id}-{file}", help))
    return found


def downloads(run: Run, prefix: str, most: int | None = None, across: int = 5) -> None:
    """A button for each file, `across` of them in a row.

    Args:
        prefix: of the keys; a page that shows several runs gives each its own.
        most: only the first so many.
    """
    files = files_of(run)[:most]
    if not files:
        st.caption("No file of this run can be read.")
    for first in range(0, len(files), across):
        for column, file in zip(st.columns(across), files[first : first + across], strict=False):
            size = "" if file.size is None else f", {units.size(file.size)}"
            column.download_button(
                f"{file.label}{size}", file.content, file.name, key=f"{prefix}.{file.name}.{run.id}", help=file.help,
                width="stretch", on_click="ignore",
            )  # fmt: skip


def checkpoints(run: Run, state: str, prefix: str) -> None:
    """Each kept checkpoint with its step and size, to download; of a running run, Save now."""
    from cortex.checkpoints import saved_step

    kept = run.kept()
    if not kept:
        st.caption("None yet; the first comes with the first validation.")
    for name in kept:
        path = run.checkpoint(name)
        left, right = st.columns([3, 1], vertical_alignment="center")
        step = saved_step(path)
        of = "cannot be read" if step is None else f"step {step:,}"
        left.markdown(f"**{plain(name)}** · {of} · {units.size(_size(path))}")
        right.download_button(
            "Download", functools.partial(path.read_bytes), f"{run.id}-{name}.safetensors", key=f"{prefix}.checkpoint.{name}",
            on_click="ignore", width="stretch", disabled=step is None,
        )  # fmt: skip
    if state == "running":
        st.button("Save now", key=f"{prefix}.save", on_click=run.request, args=("save",), disabled=run.requested("save"))
    if kept and state not in ACTIVE:
        folder = sum(_size(path) or 0 for path in (run.path / "checkpoints").glob("*"))
        st.caption(f"All that the folder of checkpoints holds, the state to go on from included: {units.size(folder)}.")


def _stored(label: str, path: Path, name: str, help: str) -> File:
    return File(label, name, functools.partial(path.read_bytes), _size(path), help)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
