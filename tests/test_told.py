"""What a component tells is taken once each, however often and together with whatever else it arrives."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest


def heard(*messages: list[tuple[float, Any]] | None) -> list[list[Any]]:
    def script(messages: list) -> None:
        import streamlit as st

        from ui.told import unheard

        st.session_state["came"] = [unheard("keys", message) for message in messages]

    test = AppTest.from_function(script, args=(messages,)).run()
    assert not test.exception
    return test.session_state["came"]


def test_what_arrives_twice_is_taken_once() -> None:
    assert heard([(1.0, "undo")], [(1.0, "undo")]) == [["undo"], []]


def test_what_another_message_took_the_place_of_is_taken_with_it_in_order() -> None:
    assert heard([(1.0, "a")], [(1.0, "a"), (2.0, "b"), (3.0, "a")]) == [["a"], ["b", "a"]]


def test_nothing_told_is_nothing_heard() -> None:
    assert heard(None, [], [(1.0, "a")], None) == [[], [], ["a"], []]


def test_two_components_do_not_hear_each_other() -> None:
    def script() -> None:
        import streamlit as st

        from ui.told import unheard

        st.session_state["came"] = unheard("one", [(5.0, "a")]) + unheard("other", [(4.0, "b")])

    assert AppTest.from_function(script).run().session_state["came"] == ["a", "b"]
