"""Modules of ours as text: their definitions, the names that each binds and uses, and their imports. None is imported."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PACKAGE = "cortex"
# Decorators from here declare node kinds to the application; outside it there is nothing to declare them to.
_DECLARES = f"{PACKAGE}.registry"


@dataclass(frozen=True)
class Definition:
    """A class, function or constant of a module: its lines, the names it binds and the names it uses."""

    text: str
    binds: frozenset[str]
    uses: frozenset[str]
    packages: frozenset[str]  # imported inside it
    first: int
    last: int
    is_constant: bool


@dataclass(frozen=True)
class Module:
    """A parsed module. `ours` maps a name to the module of ours that it is imported from, `outside` to import statements."""

    name: str
    title: str
    definitions: tuple[Definition, ...]
    ours: Mapping[str, str]
    outside: Mapping[str, tuple[Import, ...]]

    @functools.cached_property
    def by_name(self) -> dict[str, Definition]:
        """The definition that binds each name."""
        return {name: definition for definition in self.definitions for name in definition.binds}


@dataclass(frozen=True, order=True)
class Import:
    """`import module` where `name` is empty, else `from module import name`; `alias` where it is renamed."""

    module: str
    name: str = ""
    alias: str = ""

    @property
    def binds(self) -> str:
        return self.alias or self.name or self.module.partition(".")[0]

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


@functools.cache
def read_module(name: str) -> Module:
    """A module of ours, parsed; it is not imported."""
    spec = importlib.util.find_spec(name)
    assert spec and spec.loader, f"there is no module {name}"
    text = spec.loader.get_source(name)  # type: ignore[attr-defined]
    lines, tree = text.splitlines(), ast.parse(text)
    ours: dict[str, str] = {}
    outside: dict[str, tuple[Import, ...]] = {}
    definitions: list[Definition] = []
    for statement in _statements(tree):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            for entry in _entries(statement):
                if entry.package == PACKAGE:
                    assert entry.name and not entry.alias, f"{name} line {statement.lineno}: write from {entry.module} import …"
                    ours[entry.name] = entry.module
                elif entry.module != "__future__":
                    outside[entry.binds] = (*outside.get(entry.binds, ()), entry)
        else:
            definitions.append(_definition(statement, lines, ours, name))
    return Module(name, _title(ast.get_docstring(tree) or name), tuple(definitions), ours, outside)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module, those for type checkers among them, without docstrings."""
    for statement in tree.body:
        if isinstance(statement, ast.If) and isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING":
            yield from statement.body
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield statement


def _entries(statement: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    for alias in statement.names:
        if isinstance(statement, ast.Import):
            yield Import(alias.name, "", alias.asname or "")
        else:
            assert statement.level == 0 and statement.module, "a relative import"
            yield Import(statement.module, alias.name, alias.asname or "")


def _definition(statement: ast.stmt, lines: list[str], ours: Mapping[str, str], module: str) -> Definition:
    binds = frozenset(_bound(statement))
    assert binds, f"{module} line {statement.lineno}: a statement that only runs at import; an exported script would lack it"
    decorators = getattr(statement, "decorator_list", [])
    declaring = [decorator for decorator in decorators if ours.get(_called(decorator)) == _DECLARES]
    kept = [node for node in ast.iter_child_nodes(statement) if node not in declaring]
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    dropped = {line for node in declaring for line in range(node.lineno, node.end_lineno + 1)}
    numbers = [number for number in range(first, statement.end_lineno + 1) if number not in dropped]
    while first > 1 and lines[first - 2].startswith("#"):  # the comment right above belongs to it
        first -= 1
        numbers.insert(0, first)
    inner = [node for child in kept for node in ast.walk(child)]
    packages = set()
    for node in inner:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found = {entry.package for entry in _entries(node)}
            assert PACKAGE not in found, f"{module} line {node.lineno}: imports from {PACKAGE} inside a function"
            packages |= found
    uses = {node.id for node in inner if isinstance(node, ast.Name)}
    text = "\n".join(lines[number - 1] for number in numbers)
    is_constant = isinstance(statement, (ast.Assign, ast.AnnAssign))
    return Definition(text, binds, frozenset(uses), frozenset(packages), first, statement.end_lineno, is_constant)


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield statement.name
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def _title(docstring: str) -> str:
    """The first paragraph, without what it says of imports, which matter in the package alone."""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r" (?=Importable alone)", paragraph)[0]


def _called(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.id if isinstance(called, ast.Name) else ""
