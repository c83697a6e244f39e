"""Node kinds as a list to pick from: grouped, each with its line of help, narrowed while one types."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import streamlit as st

from cortex.kind import FAMILIES, Kind
from cortex.params import Choice
from ui.theme import FAMILY_COLOURS
from ui.told import unheard

_HERE = Path(__file__).parent
_list = st.components.v2.component(
    "kind-list",
    html='<div class="kind-list"><input type="search" autocomplete="off" spellcheck="false">'
    '<div class="said" role="status"></div><div class="rows"></div></div>',
    css=(_HERE / "kind_list.css").read_text(encoding="utf-8"),
    js=(_HERE / "kind_list.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # behind a shadow root Streamlit would take the field's keys for its own
)


def kind_list(
    kinds: Collection[Kind],
    picked: Callable[[str], None],
    key: str,
    *,
    more: Collection[dict[str, Any]] = (),
    height: int = 400,
    said: str = "",
    focus: bool = False,
) -> None:
    """Draw the list. `picked` is called with the id of a row, the kind's name, before the script runs again.

    Args:
        more: rows of the group Subgraph besides the kinds, as `row` makes them.
        height: of the rows, in pixels; more of them scroll.
        said: what came of the last pick.
        focus: whether the search field takes the keyboard as soon as it is there.
    """
    groups = []
    for family, title in FAMILIES.items():
        rows = [row(kind.name, kind.name, kind.help, _settings(kind)) for kind in kinds if kind.family == family]
        rows += more if family == "subgraph" else ()
        if rows:
            groups.append({"name": title, "colour": FAMILY_COLOURS[family], "rows": rows})
    data = {
        "groups": groups, "height": height, "said": said, "focus": focus, "placeholder": "Search names and help",
        "hint": "Type to narrow the list; Enter or a click takes the marked one.",
    }  # fmt: skip

    def told() -> None:
        for name in unheard(key, st.session_state[key].picked):
            picked(name)

    _list(key=key, data=data, on_picked_change=told, width="stretch")


def row(name: str, title: str, help_text: str, settings: dict[str, str] | None = None) -> dict[str, Any]:
    """A row of the list: `name` is what is told when it is picked, `settings` more words to find it by."""
    first = re.split(r"(?<=[^A-Z])\. (?=[A-Z])", help_text)[0].replace("`", "")  # one line of it; the node's form has it all
    return {"id": name, "name": title, "help": first.rstrip(".") + ".", "settings": settings or {}}


def _settings(kind: Kind) -> dict[str, str]:
    """What each setting of a kind is found by: the values that it can have, and its help."""
    if kind.role == "source":
        return {}
    return {
        name: f"{' '.join(param.options)} {param.help}" if isinstance(param, Choice) else ""
        for name, param in kind.params.items()
    }
