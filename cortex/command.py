"""The command line: arguments in, lines on standard output, an exit status out."""

from __future__ import annotations

import sys

from cortex.arguments import parser
from cortex.graph import GraphError
from cortex.report import silence
from cortex.runs import RunError
from cortex.verbs.common import INTERRUPTED, OK, USER_ERROR, UserError


def main(argv: list[str]) -> int:
    """Run one verb; its exit status comes out."""
    try:
        _refuse_broken_text(argv)
        arguments = parser().parse_args(argv)
        return arguments.verb(arguments)
    except (UserError, RunError, GraphError) as error:
        return _say(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        silence()
        return OK
    except OSError as error:
        return _say(f"{error.filename2 or error.filename or 'standard output'}: {error.strerror or error}")


def _refuse_broken_text(argv: list[str]) -> None:
    for text in argv:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(f"argument {text!a}: not UTF-8; expected UTF-8 text") from None


def _say(text: str) -> int:
    print(text, file=sys.stderr)
    return USER_ERROR
