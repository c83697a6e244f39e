"""Collects the source text of definitions and of all that they use, word for word, so that it runs outside the package.

Reads the modules with `ast` and imports none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from cortex.parsed import Definition, Import, Module, read_module


@dataclass
class Gathered:
    """What was collected: `parts` in the order in which they can run, `imports` that they need, `packages` from outside the
    standard library, and every name that they bind."""

    parts: list[tuple[Module, list[Definition]]] = field(default_factory=list)
    imports: set[Import] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        bound = {name for _, definitions in self.parts for definition in definitions for name in definition.binds}
        return bound | {entry.binds for entry in self.imports}

    @property
    def packages(self) -> set[str]:
        inside = {name for _, definitions in self.parts for definition in definitions for name in definition.packages}
        return {name for name in inside | {entry.package for entry in self.imports} if name not in sys.stdlib_module_names}


def gather(roots: Iterable[tuple[str, str]]) -> Gathered:
    """The definitions named by (module, name), and all of ours that they use, however indirectly.

    The text of each is as it stands in its module, but for decorators of the registry, which are left out.

    Raises:
        AssertionError: something that would not be the same outside the package: two modules that bind one name to different
            things, an import under another name, a statement that runs when a module is imported.
    """
    wanted: dict[str, set[int]] = {}
    imports: dict[str, set[Import]] = {}
    waiting = list(roots)
    while waiting:
        name, symbol = waiting.pop()
        module = read_module(name)
        if symbol in module.ours:
            waiting.append((module.ours[symbol], symbol))
            continue
        definition = module.by_name.get(symbol)
        assert definition, f"{name} defines no {symbol}"
        if definition.first in wanted.setdefault(name, set()):
            continue
        wanted[name].add(definition.first)
        for used in sorted(definition.uses):
            if used in module.outside:
                imports.setdefault(used, set()).update(module.outside[used])
            elif used in module.ours or used in module.by_name:
                waiting.append((name, used))
    gathered = Gathered(imports={entry for entries in imports.values() for entry in entries})
    for name in _in_order(wanted):
        module = read_module(name)
        gathered.parts.append((module, [found for found in module.definitions if found.first in wanted[name]]))
    _refuse_clashes(gathered)
    return gathered


def import_lines(imports: Iterable[Import]) -> str:
    """Import statements as ruff sorts them: the standard library, a free line, everything else."""
    groups = []
    for is_standard in (True, False):
        chosen = sorted(entry for entry in set(imports) if (entry.package in sys.stdlib_module_names) == is_standard)
        lines = [f"import {entry.module}" + (f" as {entry.alias}" if entry.alias else "") for entry in chosen if not entry.name]
        for module in dict.fromkeys(entry.module for entry in chosen if entry.name):
            names = sorted((entry for entry in chosen if entry.module == module and entry.name), key=_as_ruff_sorts)
            listed = ", ".join(entry.name + (f" as {entry.alias}" if entry.alias else "") for entry in names)
            lines.append(f"from {module} import {listed}")
        groups.append("\n".join(lines))
    return "\n\n".join(filter(None, groups))


def part_text(definitions: Iterable[Definition]) -> str:
    """Definitions of one module as text, spaced as in the module: constants together where they stood together."""
    text, before = "", None
    for definition in definitions:
        if before is not None:
            constants = before.is_constant and definition.is_constant
            text += ("\n" if definition.first == before.last + 1 else "\n\n") if constants else "\n\n\n"
        text, before = text + definition.text, definition
    return text


def _in_order(names: Iterable[str]) -> list[str]:
    """The modules, each after those that it imports."""
    wanted, order, seen = set(names), [], set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for other in sorted(set(read_module(name).ours.values())):
            visit(other)
        if name in wanted:
            order.append(name)

    for name in sorted(wanted):
        visit(name)
    return order


def _refuse_clashes(gathered: Gathered) -> None:
    origin: dict[str, str] = {}
    for entry in gathered.imports:
        what = f"import of {entry.module if entry.name or entry.alias else entry.package} {entry.name}"
        assert origin.setdefault(entry.binds, what) == what, f"{entry.binds}: {origin[entry.binds]} and {what}"
    for module, definitions in gathered.parts:
        for name in {name for definition in definitions for name in definition.binds}:
            other = origin.setdefault(name, module.name)
            assert other == module.name, f"{name} is bound by {other} and by {module.name}"


def _as_ruff_sorts(entry: Import) -> tuple[int, str]:
    name = entry.name
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name
