"""Users' own texts: kept once each under a name made of their content, chosen for a source, split by shares or by files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cortex import units
from cortex.corpus import CorpusError
from cortex.files import SUFFIXES, files_of, named
from cortex.graph_source import EXAMPLES, placed
from cortex.places import write_atomically
from ui import notices, session
from ui.plain import plain

KINDS = [suffix.removeprefix(".") for suffix in SUFFIXES]

SetParams = Callable[[dict[str, Any]], Any]

_NONE = ""


def files_form(values: Mapping[str, Any], key: str, set_params: SetParams) -> None:
    """The files of a source: which it reads now, and a way to upload others.

    Args:
        values: the source's settings, complete.
        set_params: is called with the settings that change.
    """
    path = values["path"] if isinstance(values["path"], str) else ""  # a document of others can hold anything
    paths = named(path)
    if paths:
        st.caption("  \n".join(plain(f"{shown_name(path)}, {_size(path)}") for path in paths))
    label = "Other texts" if paths else "Your texts"
    st.file_uploader(
        label, type=KINDS, key=f"{key}.texts", accept_multiple_files=True, on_change=_take_texts,
        args=(f"{key}.texts", values["split"], set_params),
        help=f"UTF-8: {', '.join(SUFFIXES)}. They stay on this machine. Several are read in the order in which they stand.",
    )  # fmt: skip
    _path_field(path, values["split"], key, set_params)


def _path_field(path: str, split: str, key: str, set_params: SetParams) -> None:
    """A path on the server's machine, below the folders that whoever started the app has opened to it."""
    where = session.where()
    folders = [str(folder) for folder in where.readable if folder != where.uploads]
    shown = "" if all(_is_upload(part) for part in named(path)) else path
    name = f"{key}.path.{hash(path)}"
    about = (
        f"A file, a folder, or several with a semicolon between them. Reads below: {', '.join(folders)}."
        if folders
        else "Reads files where they lie, below folders that CORTEXNODUS_DATA lists when the app is started; it lists none now."
    )
    st.text_input(
        "Or a path on this machine", value=shown, key=name, help=plain(about), disabled=not folders and not shown,
        placeholder="/folder or /folder/file.txt" if folders else "Start the app with CORTEXNODUS_DATA=FOLDER",
        on_change=_take_path, args=(name, shown, split, set_params),
    )  # fmt: skip


def _take_path(name: str, shown: str, split: str, set_params: SetParams) -> None:
    path = st.session_state.get(name, shown).strip()
    if path != shown:
        by_share = {"split": "fraction"} if split == "files" else {}
        set_params({"path": path, "validation_file": "", "test_file": "", **by_share})


def held_out_form(values: Mapping[str, Any], key: str, set_params: SetParams) -> None:
    """Which of the files validate and test, where files of their own do."""
    if values["split"] == "files" and isinstance(values["path"], str):
        paths = _choices(values["path"])
        _held_out("validation_file", "Validates", paths, values, key, set_params)
        _held_out("test_file", "Tests", paths, values, key, set_params)
        st.caption("Every other file is trained on.")


def _take_texts(key: str, split: str, set_params: SetParams) -> None:
    """Keep what was uploaded. A single file can only be split by shares."""
    kept = _all_kept(st.session_state[key] or ())
    if kept:
        by_share = {"split": "fraction"} if len(kept) == 1 and split == "files" else {}
        set_params({"path": "\n".join(kept), "validation_file": "", "test_file": "", **by_share})


def _held_out(name: str, label: str, paths: list[str], values: Mapping[str, Any], key: str, set_params: SetParams) -> None:
    now = values[name] if values[name] in paths else _NONE
    box = st.selectbox(
        label, [_NONE, *paths], index=[_NONE, *paths].index(now), key=f"{key}.{name}.{hash((now, *paths))}",
        format_func=lambda path: shown_name(path) or "no file",
    )  # fmt: skip
    if box != now:
        set_params({name: box})
        st.rerun()


def tokenizer_form(values: Mapping[str, Any], key: str, set_params: SetParams) -> None:
    """The tokenizer.json of a source whose tokenizer is a file."""
    if values["tokenizer_file"]:
        st.caption(plain(f"Tokenizer: {shown_name(str(values['tokenizer_file']))}"))
    st.file_uploader(
        "A tokenizer.json",
        type=["json"],
        key=f"{key}.tokenizer",
        on_change=_take_tokenizer,
        args=(f"{key}.tokenizer", set_params),
    )


def _take_tokenizer(key: str, set_params: SetParams) -> None:
    if st.session_state[key] is not None:
        for kept in _all_kept([st.session_state[key]]):
            set_params({"tokenizer_file": kept})


def _all_kept(uploaded: Iterable[UploadedFile]) -> list[str]:
    """Where these files are kept; none, and a line to show, where that cannot be."""
    folder = session.where().uploads
    try:
        return [str(keep_upload(each.name, each.getvalue(), folder)) for each in uploaded]
    except OSError as error:  # a full disk
        notices.notify(f"The upload cannot be kept: {error.strerror}, in {folder}")
        return []


def keep_upload(name: str, content: bytes, folder: Path) -> Path:
    """Keep an uploaded file under a name made of its content, so that the same file is kept once."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(sign if sign.isalnum() else "-" for sign in Path(name).stem)[:40] or "text"
    suffix = Path(name).suffix.lower()
    suffix = suffix if suffix in (*SUFFIXES, ".json") else ".txt"
    path = folder / f"{hashlib.sha256(content).hexdigest()[:12]}-{stem}{suffix}"
    if not path.exists():
        write_atomically(path, content)
    return path


def shown_name(path: str) -> str:
    """The name that a kept file had when it was uploaded, or that a file or folder has."""
    return re.sub("^[0-9a-f]{12}-(?=.)", "", Path(path).name) or path


def _choices(path: str) -> list[str]:
    """The files that can validate and test: those that are named, and those of folders that are."""
    files = []
    for part in named(path):
        try:
            files += files_of(part) if _may_read(part) and os.path.isdir(part) else [part]
        except CorpusError:
            continue  # which is told of above
    return files


def _is_upload(path: str) -> bool:
    return _below(path, (session.where().uploads,))


def _may_read(path: str) -> bool:
    return _below(path, (*session.where().readable, Path(placed(EXAMPLES))))


def _below(path: str, folders: tuple[Path, ...]) -> bool:
    try:
        return any(Path(path).resolve().is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, ValueError):
        return False


def _size(path: str) -> str:
    if not _may_read(path):
        return "not in a folder that this app may read"  # nothing is told of files elsewhere
    try:
        files = files_of(path)
        if not all(map(_may_read, files)):
            return "with links that lead out of the folders that this app may read"
        size = units.size(sum(Path(file).stat().st_size for file in files))
    except (CorpusError, OSError, ValueError):
        return "nothing that can be read" if os.path.exists(path) else "not there any more"
    return f"{len(files):,} files, {size}" if os.path.isdir(path) else size
