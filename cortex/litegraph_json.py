"""The text of a document of the Flask original as JSON, bounded in size, and its values for messages: short and on one line."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from cortex.elements import unique

# Characters of a document. Of 2,000 nodes, more than a graph may have here, the original writes about 2 million.
LARGEST = 16 * 2**20


class LiteGraphError(ValueError):
    """A document that cannot be read, in one line: where, what was found, what was expected."""


def parsed(text: str, where: str) -> Any:
    """What a text says as JSON. LiteGraphError says why it is none, or none that is worth reading."""
    if len(text) > LARGEST:
        raise LiteGraphError(too_large(where, len(text)))
    try:
        document = json.loads(text.removeprefix("\ufeff"), parse_constant=_refuse, parse_float=_finite, parse_int=_whole,
                              object_pairs_hook=unique)  # fmt: skip
        if re.search(r"\\u[dD][89a-fA-F]", text):  # half a surrogate pair could not be written again
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno} column {error.colno}: {error.msg}"
    except UnicodeEncodeError:
        reason = "found half of a surrogate pair"
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = tidy(str(error))
    else:
        return document
    raise LiteGraphError(f"{where}: not JSON: {reason}, expected a LiteGraph document")


def too_large(where: str, size: int) -> str:
    """The line about a document that is too large."""
    return f"{where}: found {math.ceil(size / 2**20):,} MiB, expected a LiteGraph document of at most {LARGEST / 2**20:.0f} MiB"


def tidy(text: str, most: int = 100) -> str:
    """A text on one line, without what a terminal would obey, and at most so long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: most + 1]).strip()
    return line if len(text) <= most else f"{line[: most - 1]}…"


def short(value: Any) -> str:
    """A value as JSON, at most 60 characters of it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list) and value:
        return f"an object with {tidy(next(iter(value)), 40)}" if isinstance(value, dict) else f"a list of {len(value):,}"
    return tidy(json.dumps(value[:60] if isinstance(value, str) else value, ensure_ascii=False), 60)


def _finite(text: str) -> float:
    if math.isinf(float(text)):
        _refuse(text)
    return float(text)


def _whole(text: str) -> int:
    if len(text) > 300:
        _refuse(text)
    return int(text)


def _refuse(text: str) -> None:
    raise ValueError(f"found {text if len(text) <= 40 else f'a number of {len(text):,} digits'}")
