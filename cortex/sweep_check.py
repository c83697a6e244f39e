"""What a sweep would train: every combination checked as a single graph is, before anything starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cortex.builder import plan, train_config
from cortex.config import TrainingError
from cortex.corpus import CorpusError
from cortex.data import too_short
from cortex.device import pick_device
from cortex.edit import SettingError
from cortex.graph import Graph, Node, to_json
from cortex.graph_source import source_node
from cortex.run_length import length_on
from cortex.source_params import BATCH_PARAMS
from cortex.space import Axis, Values, combinations, draws, grid, shown, with_values
from cortex.store import Prepared
from cortex.words import quick_words

MOST_TRIALS = 10_000
MOST_DRAWS = 50  # for each combination wanted, before the space is called full of faults


class SpaceError(ValueError):
    """A sweep that cannot be made; the text says why and what to do."""


@dataclass(frozen=True)
class Fault:
    """A combination that cannot be trained, and why."""

    values: Values
    message: str

    def __str__(self) -> str:
        return f"{shown(self.values)}: {self.message}"


@dataclass
class Checker:
    """Looks at combinations of one graph's settings.

    Args:
        prepare: the data of a source node, None where it is not prepared and is not to be now; CorpusError when it cannot be.
    """

    graph: Graph
    keys: Sequence[str]
    prepare: Callable[[Node], Prepared | None]
    unprepared: list[Node] = field(default_factory=list)  # sources whose text waits to be tokenised
    _text: str | None = None
    _sound: dict[tuple[str, int | None], tuple[str, int | None]] = field(default_factory=dict)

    @property
    def objective(self) -> str:
        """What the trials are compared by: the loss, or bits per byte where they do not predict the same tokens."""
        return "bits_per_byte" if self.tokens_vary else "best_loss"

    @property
    def tokens_vary(self) -> bool:
        """Whether a setting is varied that decides what a token is."""
        node = source_node(self.graph)
        own = [key.split(".")[2] for key in self.keys if node and key.startswith(f"nodes.{node.id}.")]
        return any(name not in BATCH_PARAMS for name in own)

    @property
    def by(self) -> str:
        """How far two trials are is compared in steps, or in tokens where their steps are not alike."""
        node = source_node(self.graph)
        sizes = {"training.accumulate", *(f"nodes.{node.id}.{name}" for name in BATCH_PARAMS if node)}
        return "tokens" if sizes & set(self.keys) else "step"

    def fault(self, values: Mapping[str, Any]) -> str:
        """Why this combination cannot be trained; empty when it can."""
        try:
            graph = with_values(self.graph, values)
            node = source_node(graph)
            planned = self._planned(graph, None)[0]
            if planned:
                return planned
            pick_device(train_config(graph).device)
            prepared = self.prepare(node)
        except SettingError as error:
            return str(error)
        except (CorpusError, TrainingError) as error:
            return str(error)
        if prepared is None:
            if node not in self.unprepared:
                self.unprepared.append(node)
            return ""
        short = too_short(node, prepared)
        return self._planned(graph, prepared.vocab_size)[0] or (f"{node.id}: {short}" if short else self._dishonest(prepared))

    def parameters(self, values: Mapping[str, Any]) -> int | None:
        """Of a sound combination's model; None while its vocabulary is not known."""
        graph = with_values(self.graph, values)
        prepared = self.prepare(source_node(graph))
        return self._planned(graph, prepared.vocab_size)[1] if prepared else None

    def _planned(self, graph: Graph, vocabulary: int | None) -> tuple[str, int | None]:
        key = to_json(replace(graph, layout={})), vocabulary
        if key not in self._sound:
            planned = plan(graph, vocabulary)
            first = str(planned.issues[0]) if planned.issues else ""
            more = f" (and {len(planned.issues) - 1} more)" if len(planned.issues) > 1 else ""
            self._sound[key] = first + more, planned.total
        return self._sound[key]

    def _dishonest(self, prepared: Prepared) -> str:
        """Why bits per byte of these tokens cannot be laid beside the others'; empty where the loss itself can."""
        if not self.tokens_vary:
            return ""
        why = prepared.why_not_bytes("validation")
        if why:
            return f"its trials are compared by bits per byte, since their tokens differ, and here {why}"
        text = quick_words(prepared).text
        if text is None:
            return "its trials are compared by bits per byte, and whether it validates on the text of the others is not known"
        self._text = self._text or text
        return "" if text == self._text else "it validates on another text than the combinations before it"


def planned_trials(
    checker: Checker, axes: Sequence[Axis], method: str, count: int, seed: int
) -> tuple[list[Values] | None, list[Fault]]:
    """The combinations to train, None where the method chooses each when its turn comes; and those that have a fault.

    Raises:
        SpaceError: there is none to train, or the space does not suit the method.
    """
    _check_space(checker, axes, method, count)
    if method == "tpe":
        faults = _first_faults(checker, axes, seed)
        return None, faults
    if method == "grid":
        looked = [(values, checker.fault(values)) for values in grid(axes)]
        sound = [values for values, fault in looked if not fault]
        faults = [Fault(values, fault) for values, fault in looked if fault]
    else:
        sound, faults = _drawn(checker, axes, count, seed)
    if not sound:
        raise SpaceError("\n".join(["no combination can be trained:", *map(str, faults[:20])]))
    return sound, faults


def _check_space(checker: Checker, axes: Sequence[Axis], method: str, count: int) -> None:
    if not axes:
        raise SpaceError("a sweep varies at least one setting")
    keys = [axis.key for axis in axes]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        raise SpaceError(f"{twice} is given twice; expected each setting once")
    endless = [axis for axis in axes if axis.listed is None]
    if method == "grid" and endless:
        raise SpaceError(f"{endless[0].key}: {of_a_grid(endless[0])}; or take the method random")
    total = combinations(axes)
    if method == "grid" and total > MOST_TRIALS:
        raise SpaceError(f"the grid has {total:,} combinations, more than {MOST_TRIALS:,}; take fewer values, or random")
    if count > MOST_TRIALS:
        raise SpaceError(f"{count:,} trials are more than {MOST_TRIALS:,}")
    if method == "tpe" and total is not None and total <= count:
        raise SpaceError(f"there are {total:,} combinations for {count:,} trials; a grid tries each of them once")
    steps = checker.graph.training.get("steps", 0)
    if "training.epochs" in keys and steps and "training.steps" not in keys:
        raise SpaceError(f"training.epochs has no effect while training.steps={steps}; set training.steps=0")


def of_a_grid(axis: Axis) -> str:
    """What a grid expects in place of a range without a number of values."""
    return f"a grid takes a list of values, or a range that says how many: {axis.text()} x5"


def _drawn(checker: Checker, axes: Sequence[Axis], count: int, seed: int) -> tuple[list[Values], list[Fault]]:
    """As many different combinations as wanted, or as there are."""
    sound: list[Values] = []
    faults: list[Fault] = []
    seen: set[tuple[Any, ...]] = set()
    total = combinations(axes)
    for values in itertools.islice(draws(axes, seed), MOST_DRAWS * count):
        if len(sound) == count or len(seen) == total:
            break
        place = tuple(values.values())
        if place in seen:
            continue
        seen.add(place)
        fault = checker.fault(values)
        if fault:
            faults.append(Fault(values, fault))
        else:
            sound.append(values)
    return sound, faults


def _first_faults(checker: Checker, axes: Sequence[Axis], seed: int) -> list[Fault]:
    """Faults among some combinations of the space; SpaceError when all of them have one."""
    looked = [(values, checker.fault(values)) for values in itertools.islice(draws(axes, seed), MOST_DRAWS)]
    faults = [Fault(values, fault) for values, fault in looked if fault]
    if len(faults) == len(looked):
        raise SpaceError("\n".join(["none of the combinations looked at can be trained:", *map(str, faults[:5])]))
    return []


def with_budget(graph: Graph, budget: Mapping[str, Any]) -> Graph:
    """The graph with a budget of epochs or minutes; one of steps ends a run early and is no setting of it."""
    if "epochs" in budget:
        return graph.with_training("steps", 0).with_training("epochs", budget["epochs"])
    return graph.with_training("max_minutes", budget["minutes"]) if "minutes" in budget else graph


def trial_tokens(checker: Checker, chosen: Sequence[Values] | None, budget: Mapping[str, Any]) -> list[int] | None:
    """Training tokens of each trial at most; of the graph as it is where the trials are not chosen yet.

    None where a text is not prepared.
    """
    counts = []
    for values in chosen if chosen is not None else [{}]:
        graph = with_values(checker.graph, values)
        prepared = checker.prepare(source_node(graph))
        if prepared is None:
            return None
        counts.append(length_on(graph, prepared, max_steps=budget.get("steps")).tokens)
    return counts


def named(nodes: Sequence[Node]) -> Iterator[str]:
    """Sources in words, by what tells them apart."""
    for node in nodes:
        yield f"{node.id} ({', '.join(f'{key}={value}' for key, value in node.params.items() if key not in BATCH_PARAMS)})"
