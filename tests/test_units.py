"""Numbers as a person reads them."""

from __future__ import annotations

import math

import pytest

from cortex import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0, "0"), (512, "512"), (9_999, "9,999"), (12_800, "12.8 k"), (128_000, "128 k"), (9_147_518, "9.15 M"),
        (21_810_686, "21.8 M"), (71_939_582, "71.9 M"), (123_456_789, "123 M"), (2.5e9, "2.50 G"),
    ],
)  # fmt: skip
def test_a_count_is_told_in_three_digits(value: float | None, text: str) -> None:
    assert units.count(value) == text


@pytest.mark.parametrize(("value", "text"), [(99_960, "100 k"), (999_600, "1.00 M"), (9_996_000, "10.0 M")])
def test_a_count_that_is_rounded_up_keeps_three_digits(value: float, text: str) -> None:
    assert units.count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (math.inf, "–"), (math.nan, "–"), (-3, "0 s"), (0.4, "0 s"), (45, "45 s"), (59.6, "1 min 0 s"),
        (200, "3 min 20 s"), (3599.6, "1 h 0 min"), (7500, "2 h 5 min"), (100 * 3600, "100 h 0 min"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_two_units(seconds: float | None, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (1.0, "1.0"), (33_278.04, "33,278.0"), (1e9, "> 1e9"), (math.inf, "> 1e9"), (7.25, "7.2")],
)
def test_a_perplexity_has_one_decimal(value: float | None, text: str) -> None:
    assert units.perplexity(value) == text


def test_a_loss_has_three_decimals_and_an_unknown_one_is_a_dash() -> None:
    assert units.loss(4.60517) == "4.605" and units.loss(0) == "0.000" and units.loss(None) == "–"


@pytest.mark.parametrize(
    ("octets", "text"),
    [(None, "–"), (0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (5 * 2**20, "5.0 MiB"), (3 * 2**30, "3.0 GiB")],
)
def test_a_size_is_told_in_powers_of_1024(octets: float | None, text: str) -> None:
    assert units.size(octets) == text


@pytest.mark.parametrize("octets", [2**20 - 1, 2**30 - 1])
def test_a_size_just_below_a_unit_is_not_1024_of_the_one_below(octets: int) -> None:
    assert not units.size(octets).startswith("1024")
