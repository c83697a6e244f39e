"""Recipes on the Build page: what each would change is shown before it is applied."""

from __future__ import annotations

import streamlit as st

from cortex.graph import Graph
from cortex.recipes import RECIPES, apply_recipe, changes
from ui import notices, session
from ui.plain import plain

_CHOICE = "recipe.choice"


def recipe_panel(graph: Graph) -> None:
    """A recipe to choose, the settings that it changes, and a button that applies it."""
    name = st.segmented_control("Recipe", list(RECIPES), default="tuned", key=_CHOICE, required=True, width="stretch")
    st.caption(plain(RECIPES[name]))
    found = changes(graph, apply_recipe(graph, name))
    if not found:
        st.caption("The graph has all of its settings already.")
        return
    with st.popover(f"Apply {name}: {len(found)} {'change' if len(found) == 1 else 'changes'}", width="stretch"):
        st.table({"setting": [key for key, _, _ in found], "now": [_shown(now) for _, now, _ in found],
                  "then": [_shown(then) for _, _, then in found]}, hide_index=True)  # fmt: skip
        st.button("Apply", key="recipe.apply", type="primary", on_click=_apply, args=(name,), width="stretch")


def _apply(name: str) -> None:
    session.edit(lambda graph: apply_recipe(graph, name))
    notices.notify(f"The recipe {name} is in the graph; every setting can be changed further.", done=True)


def _shown(value: object) -> str:
    return "–" if value == "" else f"{value:g}" if isinstance(value, float) else str(value)
