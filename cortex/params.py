"""What a setting may be: type, default, range and help, declared once and read by every form, check and help text."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUTO = "auto"

# What "auto" stands for. The builder resolves the first two; a source resolves its own.
FROM_INPUT = "the width of what is connected"
FROM_VOCABULARY = "the vocabulary of the data"


@dataclass(frozen=True, kw_only=True)
class Param:
    """One setting. `auto` says in words what the value "auto" stands for; None means that "auto" is not allowed.

    `only` names another setting and the values of it for which this one has an effect, or several such pairs.
    """

    default: Any
    help: str
    auto: str | None = None
    only: tuple[str, Any] | tuple[tuple[str, Any], ...] | None = None

    @property
    def conditions(self) -> tuple[tuple[str, Any], ...]:
        """Each setting that must have one of those values for this one to have an effect."""
        return () if self.only is None else (self.only,) if isinstance(self.only[0], str) else self.only

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, in words that follow "name=value ", or None when nothing is."""
        if self.auto is not None and value == AUTO:
            return None
        return None if self._accepts(value) else f"is not {self.expected()}"

    def parse(self, text: str) -> Any:
        """The value written as `text`; ValueError says what was expected."""
        text = text.strip()
        if self.auto is not None and text.lower() == AUTO:
            return AUTO
        try:
            value = self._convert(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {self.expected()}") from None
        problem = self.problem(value)
        if problem:
            raise ValueError(f"{text!r} {problem}")
        return value

    def expected(self) -> str:
        """The allowed values in words: "a whole number from 1 to 8, or auto (the width of what is connected)"."""
        return self._expected() + (f", or auto ({self.auto})" if self.auto else "")

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Whether this setting has an effect beside the other settings in `values`."""
        return all(values.get(name) in wanted for name, wanted in self.conditions)

    def _accepts(self, value: Any) -> bool:
        raise AssertionError("a Param is used through its subclasses")

    def _convert(self, text: str) -> Any:
        raise AssertionError("a Param is used through its subclasses")

    def _expected(self) -> str:
        raise AssertionError("a Param is used through its subclasses")


@dataclass(frozen=True, kw_only=True)
class Int(Param):
    """A whole number from `low` to `high`."""

    low: int
    high: int

    def _accepts(self, value: Any) -> bool:
        return type(value) is int and self.low <= value <= self.high

    def _convert(self, text: str) -> int:
        return int(text.replace(",", "") if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", text) else text)

    def _expected(self) -> str:
        return f"a whole number from {self.low:,} to {self.high:,}"


@dataclass(frozen=True, kw_only=True)
class Float(Param):
    """A number from `low` to `high`; a whole one is accepted."""

    low: float
    high: float

    def _accepts(self, value: Any) -> bool:
        return type(value) in (int, float) and self.low <= value <= self.high

    def _convert(self, text: str) -> float:
        return float(text)

    def _expected(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, kw_only=True)
class Choice(Param):
    """One of `options`."""

    options: tuple[str, ...]

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.options

    def _convert(self, text: str) -> str:
        return text

    def _expected(self) -> str:
        return "one of " + ", ".join(self.options) if len(self.options) > 1 else f"{self.options[0]}, the only choice"


@dataclass(frozen=True, kw_only=True)
class Bool(Param):
    """True or false."""

    def _accepts(self, value: Any) -> bool:
        return type(value) is bool

    def _convert(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"

    def _expected(self) -> str:
        return "true or false"


@dataclass(frozen=True, kw_only=True)
class Text(Param):
    """A text without zero bytes."""

    max_length: int = 4096

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, str) and len(value) <= self.max_length and "\0" not in value

    def _convert(self, text: str) -> str:
        return text

    def _expected(self) -> str:
        return f"a text of at most {self.max_length:,} characters"


@dataclass(frozen=True, kw_only=True)
class NodeName(Text):
    """The id of another node of the graph."""


def params_of(config: type) -> dict[str, Param]:
    """The settings of a dataclass whose fields carry `help` and, but for texts, `low`, `high` or `options`.

    The trainer's file may import nothing of ours, so that it can be printed into an exported script word for word; its
    settings are therefore declared beside it as plain metadata and become Params here.
    """
    params: dict[str, Param] = {}
    for field in dataclasses.fields(config):
        meta, common = field.metadata, {"default": field.default, "help": field.metadata["help"]}
        common["only"] = meta.get("only")
        if "options" in meta:
            params[field.name] = Choice(options=meta["options"], **common)
        elif type(field.default) is bool:
            params[field.name] = Bool(**common)
        elif type(field.default) is str:
            params[field.name] = Text(**common)
        else:
            number = Int if type(field.default) is int else Float
            params[field.name] = number(low=meta["low"], high=meta["high"], **common)
    return params


def problems(params: Mapping[str, Param], values: Mapping[str, Any]) -> dict[str, str]:
    """Every fault of `values` by setting: unknown name, wrong type or range, or a value that can have no effect."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if name not in params:
            found[name] = f"is not a setting here; expected one of {', '.join(params) or 'none'}"
            continue
        problem = params[name].problem(value)
        if problem is None and value != params[name].default:
            whole = complete(params, values)
            unmet = [pair for pair in params[name].conditions if whole.get(pair[0]) not in pair[1]]
            if unmet and not any(params[other].problem(whole[other]) for other, _ in params[name].conditions):
                other, needed = unmet[0]
                problem = f"has no effect unless {other} is {' or '.join(str(one) or 'empty' for one in needed)}; remove it"
        if problem:
            found[name] = problem
    return found


def complete(params: Mapping[str, Param], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the default of every setting that it leaves out."""
    return {name: values.get(name, param.default) for name, param in params.items()}
