"""Settings: what is accepted, what is said of what is not, and how a typed text becomes a value."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cortex.config import TrainConfig
from cortex.params import AUTO, Bool, Choice, Float, Int, Param, Text, complete, params_of, problems

WHOLE = Int(default=4, low=1, high=1_000_000, help="A number.")
AUTOMATIC = Int(default=AUTO, low=1, high=8, auto="the width of what is connected", help="A width.")
RATE = Float(default=0.1, low=0.0, high=0.95, help="A share.")
COLOUR = Choice(default="red", options=("red", "blue"), help="A colour.")
FLAG = Bool(default=True, help="A flag.")
PATH = Text(default="", help="A path.", max_length=5)
SHADE = Int(default=1, low=1, high=9, only=("colour", ("blue",)), help="Which blue.")
SETTINGS: dict[str, Param] = {"colour": COLOUR, "shade": SHADE, "rate": RATE}


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (WHOLE, 1), (WHOLE, 1_000_000), (AUTOMATIC, AUTO), (AUTOMATIC, 8), (RATE, 0), (RATE, 0.95), (COLOUR, "blue"),
        (FLAG, False), (PATH, ""), (PATH, "ä日🙂\n-"),
    ],
)  # fmt: skip
def test_a_value_in_range_has_no_problem(param: Param, value: Any) -> None:
    assert param.problem(value) is None


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (WHOLE, 0), (WHOLE, 1_000_001), (WHOLE, 1.0), (WHOLE, True), (WHOLE, "4"), (WHOLE, None), (WHOLE, AUTO), (WHOLE, []),
        (WHOLE, 10**400), (RATE, -0.1), (RATE, math.nan), (RATE, math.inf), (RATE, 10**400), (RATE, -(10**400)),
        (RATE, True), (RATE, "0.1"), (COLOUR, "green"), (COLOUR, ["red"]), (COLOUR, 1), (FLAG, 1), (FLAG, "true"),
        (PATH, "123456"), (PATH, "a\0b"), (PATH, 3), (PATH, None),
    ],
    ids=lambda value: ascii(value)[:20] if not isinstance(value, Param) else type(value).__name__,
)  # fmt: skip
def test_another_value_is_a_problem_that_says_what_was_expected(param: Param, value: Any) -> None:
    assert param.problem(value) == f"is not {param.expected()}"


def test_what_is_expected_is_said_in_words() -> None:
    assert WHOLE.expected() == "a whole number from 1 to 1,000,000"
    assert AUTOMATIC.expected() == "a whole number from 1 to 8, or auto (the width of what is connected)"
    assert RATE.expected() == "a number from 0 to 0.95"
    assert COLOUR.expected() == "one of red, blue"
    assert Choice(default="a", options=("a",), help="One.").expected() == "a, the only choice"
    assert FLAG.expected() == "true or false" and PATH.expected() == "a text of at most 5 characters"


@pytest.mark.parametrize(
    ("param", "text", "value"),
    [
        (WHOLE, " 12 ", 12), (WHOLE, "10,000", 10_000), (WHOLE, "10_000", 10_000), (AUTOMATIC, "Auto", AUTO),
        (RATE, "3e-4", 0.0003), (RATE, ".5", 0.5), (COLOUR, "blue", "blue"), (FLAG, "False", False), (FLAG, "true", True),
        (PATH, "a=b", "a=b"),
    ],
)  # fmt: skip
def test_a_typed_text_becomes_a_value(param: Param, text: str, value: Any) -> None:
    parsed = param.parse(text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ("param", "text"),
    [
        (WHOLE, "1.5"), (WHOLE, ""), (WHOLE, "0"), (WHOLE, "auto"), (WHOLE, "9" * 5000), (RATE, "nan"), (RATE, "inf"),
        (RATE, "1e999"), (RATE, "a"), (COLOUR, "green"), (COLOUR, "Red"), (FLAG, "1"), (FLAG, "yes"), (PATH, "a\0"),
    ],
    ids=lambda value: ascii(value)[:20] if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
def test_a_typed_text_that_is_no_value_is_refused_with_what_was_expected(param: Param, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        param.parse(text)
    assert param.expected() in str(caught.value)


@pytest.mark.parametrize("param", [WHOLE, AUTOMATIC, RATE, COLOUR, FLAG, SHADE], ids=lambda param: type(param).__name__)
def test_a_value_written_as_text_is_read_back(param: Param) -> None:
    for value in (param.default, getattr(param, "low", param.default), getattr(param, "high", param.default)):
        assert param.parse(str(value)) == value


def test_every_fault_of_a_set_of_values_is_found_by_name() -> None:
    found = problems(SETTINGS, {"colour": "green", "rate": 2, "size": 1})
    assert set(found) == {"colour", "rate", "size"}
    assert found["size"] == "is not a setting here; expected one of colour, shade, rate"


def test_a_setting_that_can_have_no_effect_is_refused_unless_it_has_its_default() -> None:
    assert problems(SETTINGS, {"shade": 3}) == {"shade": "has no effect unless colour is blue; remove it"}
    assert problems(SETTINGS, {"shade": 1}) == {}
    assert problems(SETTINGS, {"shade": 3, "colour": "blue"}) == {}


def test_values_are_completed_with_defaults_in_the_order_of_declaration() -> None:
    assert list(complete(SETTINGS, {"rate": 0.5}).items()) == [("colour", "red"), ("shade", 1), ("rate", 0.5)]


def test_the_trainers_settings_are_settings_with_the_limits_beside_them() -> None:
    params = params_of(TrainConfig)
    assert complete(params, {}) == vars(TrainConfig())
    assert isinstance(params["lr"], Float) and isinstance(params["epochs"], Int) and isinstance(params["device"], Choice)
    assert params["optimizer"].options == ("Adam", "AdamW", "SGD", "Muon")
    assert (params["lr"].low, params["lr"].high) == (1e-8, 10.0)
    assert all(param.problem(param.default) is None and param.help.endswith(".") for param in params.values())
