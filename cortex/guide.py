"""The guide: one text a language in guide/, with facts filled in from the registry and the presets, and steps that can be done.

A line `[Label](do:verb argument)` or `[Label](page:name)` is a button; `{{fact …}}` is looked up, so that no number and no name
in the text can differ from the program. docs/guide*.md is the same text, with the buttons named.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex.builder import TRAINING, plan
from cortex.forecast import forecast
from cortex.presets import PRESETS, preset
from cortex.registry import KINDS

FOLDER = Path(__file__).parents[1] / "guide"
# The vocabulary that memory is told for: that of Penn Treebank.
_VOCABULARY = 10_000

# Facts that a model is planned or measured for.
_SLOW = ("parameters", "memory")

_BUTTON = re.compile(r"\[([^\]]+)\]\((do|page):([^)]+)\)")
_FACT = re.compile(r"\{\{([^}]+)\}\}")
_HEADING = re.compile(r"(#{2,3}) (.+?) \{#([a-z-]+)\}")


class GuideError(ValueError):
    """A mistake in the guide's text: a fact that does not exist, or a line that cannot be read."""


@dataclass(frozen=True)
class Button:
    """`where` is `do` or `page`; `verb` and `arguments` say what is done, or which page is gone to."""

    label: str
    where: str
    verb: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A heading (level 2 or 3, with its anchor), some Markdown, or a row of buttons."""

    source: str = ""
    level: int = 0
    anchor: str = ""
    buttons: tuple[Button, ...] = ()

    @property
    def text(self) -> str:
        """The text with its facts filled in. GuideError when it names one that does not exist."""
        return _FACT.sub(lambda found: fact(found[1]), self.source)

    @property
    def slow(self) -> bool:
        """Whether a fact of it takes a second or more to find, the first time."""
        return any(found.split()[0] in _SLOW for found in _FACT.findall(self.source))


@dataclass(frozen=True)
class Guide:
    """The guide in one language. `words`: what the page itself says."""

    language: str
    title: str
    words: dict[str, str]
    parts: tuple[Part, ...] = field(default_factory=tuple)

    def buttons(self) -> list[Button]:
        """All buttons in their order."""
        return [button for part in self.parts for button in part.buttons]


def languages() -> list[str]:
    """The languages that there is a text in, English first."""
    return sorted((path.stem for path in FOLDER.glob("*.md")), key=lambda name: (name != "en", name))


@functools.cache
def read(language: str) -> Guide:
    """The guide in a language; its facts are looked up when a part's text is asked for.

    Raises:
        GuideError: a line cannot be read.
    """
    head, _, body = (FOLDER / f"{language}.md").read_text(encoding="utf-8").partition("\n## ")
    title = head.splitlines()[0].removeprefix("# ")
    words = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
    return Guide(language, title, words, tuple(_parts(f"## {body}")))


def as_markdown(guide: Guide) -> str:
    """The guide as a document: docs/guide.md and docs/guide.zh.md, made by `make docs`."""
    lines = [f"# {guide.title}", ""]
    for part in guide.parts:
        if part.level:
            lines += [f'<a id="{part.anchor}"></a>', "", f"{'#' * part.level} {part.text}", ""]
        elif part.buttons:
            lines += [f"> {guide.words['in the app']}: " + " · ".join(f"**{button.label}**" for button in part.buttons), ""]
        else:
            lines += [part.text, ""]
    return "\n".join(lines)


def _parts(text: str) -> list[Part]:
    parts: list[Part] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        heading = _HEADING.fullmatch(block.strip())
        if heading:
            parts.append(Part(heading[2], len(heading[1]), heading[3]))
        elif all(_BUTTON.fullmatch(line.strip()) for line in block.splitlines()):
            parts.append(Part(buttons=tuple(map(_button, block.splitlines()))))
        elif block.startswith("#") or _BUTTON.search(block):
            raise GuideError(f"cannot be read: {block[:60]}")
        else:
            # Chinese has no space where a line ends.
            parts.append(Part(re.sub(r"(?<=[^\x00-\x7f])\n(?=[^\x00-\x7f])", "", block)))
    return parts


def _button(line: str) -> Button:
    label, where, what = _BUTTON.fullmatch(line.strip()).groups()
    verb, *arguments = what.split()
    return Button(label, where, verb, tuple(arguments))


@functools.cache
def fact(name: str) -> str:
    """A fact by its name: `preset small lr`, `default GPTBlock nhead`, `kind Loss`, `parameters small 10000` …

    Raises:
        GuideError: there is none of that name.
    """
    what, *arguments = name.split()
    try:
        return _FACTS[what](*arguments)
    except (KeyError, TypeError, ValueError) as error:
        raise GuideError(f"there is no fact {name!r}: {error}") from None


def _number(value: Any) -> str:
    return f"{value:,}" if type(value) is int else f"{value:g}" if isinstance(value, float) else str(value)


def _kind(name: str) -> str:
    return KINDS[name].name


def _parameters(name: str, vocabulary: str) -> str:
    return _number(plan(preset(name), int(vocabulary)).total)


def _memory(name: str, length: str) -> str:
    found = forecast(plan(preset(name).with_param("data", "seq_len", int(length)), _VOCABULARY))
    return f"{found.peak / 2**30:.1f} GiB"


_FACTS: dict[str, Callable[..., str]] = {
    "preset": lambda name, setting: _number(PRESETS[name][setting]),
    "default": lambda kind, param: _number(KINDS[kind].params[param].default),
    "setting": lambda name: _number(TRAINING[name].default),
    "kind": _kind,
    "parameters": _parameters,
    "memory": _memory,
}
