"""The prepared data sets on disk: what each takes, and a way to take it away."""

from __future__ import annotations

import streamlit as st

from cortex import store, units
from cortex.corpus import CorpusError
from cortex.places import Places
from cortex.runs import RunError
from ui import notices, session, start
from ui.plain import plain


def shelf(where: Places, shown: str | None) -> None:
    """Every prepared set in a line of its own, folded away.

    Args:
        shown: the fingerprint of the one that the page shows.
    """
    names = store.names(where.store)
    if not names:
        return
    sets = {name: _found(name, where) for name in names}
    total = sum(found.size() for found in sets.values() if not isinstance(found, str))
    part = st.expander(
        f"Prepared on disk: {len(names)} {'text' if len(names) == 1 else 'texts'}, {units.size(total)}",
        on_change="rerun", key="data.open.shelf",
    )  # fmt: skip
    if not part.open:
        return
    used = _used(where)
    with part:
        for name, found in sets.items():
            _row(name, found, used.get(name), name == shown, where)


def _found(name: str, where: Places) -> store.Prepared | str:
    """The set, or what is wrong with it."""
    try:
        return store.find(name, where.store) or "is being written"
    except CorpusError as error:
        return str(error)


def _row(name: str, found: store.Prepared | str, run: str | None, shown: bool, where: Places) -> None:
    title, tokens, size, remove = st.columns([4, 2.4, 1, 1.2], vertical_alignment="center")
    if isinstance(found, str):
        title.markdown(plain(f"{name[:8]}: damaged"), help=plain(found))
        octets = sum(path.stat().st_size for path in (where.store / name).rglob("*") if path.is_file())
    else:
        title.markdown(
            plain(f"{found.title()}, {_tokenizer(found)}, vocabulary {found.vocab_size:,}{' (shown above)' if shown else ''}")
        )
        tokens.markdown(plain(f"{units.count(found.count('train'))} training tokens"))
        octets = found.size()
    size.markdown(units.size(octets))
    with remove.popover("Remove", width="stretch", key=f"data.remove.{name}"):
        if run:
            st.caption(plain(f"The run {run} trains on it; stop that run first."))
            return
        st.caption(f"Frees {units.size(octets)}. It is made again from its text when a run needs it; the text itself stays.")
        st.button(
            "Remove from disk", key=f"data.remove.now.{name}", on_click=_remove, args=(name, where), type="primary",
            icon=":material/delete:", width="stretch",
        )  # fmt: skip


def _tokenizer(found: store.Prepared) -> str:
    kind = found.meta["tokenizer"]
    return {"word": "words", "character": "characters", "bpe": "byte pairs"}.get(kind, "a tokenizer of others")


def _used(where: Places) -> dict[str, str]:
    """Fingerprints that runs train on now, with the run's folder name."""
    used = {}
    for run in start.active_runs(where):
        try:
            used[run.record()["data"].get("fingerprint")] = run.id
        except RunError:
            continue
    return used


def _remove(name: str, where: Places) -> None:
    if name in _used(where):
        notices.notify("A run has begun to train on it meanwhile, so it was not removed.")
        return
    try:
        freed = store.remove(name, where.store)
    except CorpusError as error:
        notices.notify(f"Not removed: {error}.")
    except FileNotFoundError:
        notices.notify("It was removed before.")
    else:
        st.session_state.get(session.MEASURING, {}).pop(name, None)
        notices.notify(f"Removed; {units.size(freed)} freed.", done=True)
