"""One edit that mends a fault: candidates are tried on the graph itself, and one after which the fault is gone is offered.

What would mend a fault is guessed from its node, its field and what is connected there (guesses.py); whether it does is asked
of `plan()`. So a repair that is offered is never a promise, and a new kind of node needs no entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cortex.builder import Plan, plan
from cortex.bypass import passed_by
from cortex.checks import Issue, wiring_issues
from cortex.graph import Graph
from cortex.guess_inside import inside
from cortex.guess_removals import drastic, past
from cortex.guess_wires import role
from cortex.guesses import gentle
from cortex.middles import made_middles
from cortex.steps import step_name

Key = tuple[str | None, str | None, str]


@dataclass(frozen=True)
class Repair:
    """An edit that mends a fault: what it does, in words for a button, and the graph after it.

    Args:
        shows: faults of nodes that could not be looked at before, since they waited for this one.
    """

    label: str
    graph: Graph
    shows: int = 0


def repair(planned: Plan, issue: Issue, again: Callable[[Graph], Plan] | None = None) -> Repair | None:
    """The first edit after which this fault is gone and no other has come; None where no single edit is known to do that.

    Where there is none, one after which only faults show that were hidden behind this one. What takes a node away comes last.

    Args:
        again: what found the faults, where it is more than `plan()`, faults of the text among them.
    """
    before = _roots(planned)
    may_show = {found.node for found in planned.issues if found.follows is not None}
    if (
        again
        and _is_source(issue.node, planned.graph)
        and issue in plan(planned.graph, planned.vocabulary, planned.labels).issues
    ):
        may_show.add(issue.node)  # its text was not looked at

    def left(graph: Graph) -> set[Key] | None:
        """The faults after an edit; None where it mends nothing, or breaks something else."""
        first = _left(plan(graph, planned.vocabulary, planned.labels), graph)
        return first if first is None or again is None else _left(again(graph), graph)

    def _left(after: Plan, graph: Graph) -> set[Key] | None:
        roots = _roots(after)
        new = roots - before
        if _key(issue) in roots or not all(node in may_show or _is_new_source(node, graph) for node, *_ in new):
            return None
        return None if new and new & _wiring(graph) else roots

    def _is_new_source(node: str | None, graph: Graph) -> bool:
        """Whether it is a source that has just been put in, which has to be told where its text is."""
        return node not in planned.graph and _is_source(node, graph)

    hidden: Repair | None = None  # the first that only brings to light what was hidden
    stages = ((inside, gentle), (inside, past), (None, gentle), (inside, drastic), (None, past), (None, drastic))
    for where, guesses in stages:
        if guesses is drastic and hidden:
            break
        for label, graph in where(planned, issue, guesses) if where else guesses(planned, issue):
            roots = left(graph)
            if roots is None or made_middles(planned.graph, graph):
                continue
            made = Repair(label or step_name(planned.graph, graph)[0], graph, len(roots - before))
            if not made.shows:
                return made
            hidden = hidden or made
    return hidden


def _is_source(node: str | None, graph: Graph) -> bool:
    return node is not None and node in graph and role(graph.node(node)) == "source"


def _roots(planned: Plan) -> set[Key]:
    return {_key(issue) for issue in planned.issues if issue.follows is None}


def _key(issue: Issue) -> Key:
    return issue.node, issue.field, issue.message


def _wiring(graph: Graph) -> set[Key]:
    """Faults of the wiring, which no other fault can have hidden."""
    return {_key(issue) for issue in wiring_issues(passed_by(graph)[0]).issues}
