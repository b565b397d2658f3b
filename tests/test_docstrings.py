"""Each name that a docstring lists under `Args:`, `Attributes:` or `Raises:` is a real one."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
MODULES = sorted(SRC.rglob("*.py"))
_ENTRY = re.compile(r" {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*): ")

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def listed(docstring: str, section: str) -> list[str]:
    """The names that a section of a docstring in Google's form lists."""
    _, _, rest = docstring.partition(f"\n{section}:\n")
    names: list[str] = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        if entry := _ENTRY.match(line):
            names += [name.strip().lstrip("*") for name in entry[1].split(",")]
    return names


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    rest = [each for each in (given.vararg, given.kwarg) if each]
    return [each.arg for each in [*named, *rest] if each.arg not in ("self", "cls")]


def attributes(node: ast.ClassDef) -> set[str]:
    """Fields, constants, properties and what a method sets on `self`."""
    names: set[str] = set()
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            names.add(part.target.id)
        elif isinstance(part, ast.Assign):
            names |= {target.id for target in part.targets if isinstance(target, ast.Name)}
        elif isinstance(part, ast.FunctionDef):
            names.add(part.name)
            names |= {
                each.attr
                for each in ast.walk(part)
                if isinstance(each, ast.Attribute)
                and isinstance(each.ctx, ast.Store)
                and isinstance(each.value, ast.Name)
                and each.value.id == "self"
            }
    return names


def inherited(node: ast.ClassDef, known: dict[str, ast.ClassDef]) -> set[str]:
    names = attributes(node)
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in known:
            names |= inherited(known[base.id], known)
    return names


def wrong(node: Definition, known: dict[str, ast.ClassDef]) -> Iterator[str]:
    """What a docstring lists and its definition does not have."""
    docstring = _docstring(node)
    if isinstance(node, ast.ClassDef):
        real = inherited(node, known)
        inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        given = {name for init in inits for name in arguments(init)} or real
        yield from (name for name in listed(docstring, "Attributes") if name not in real)
        yield from (name for name in listed(docstring, "Args") if name not in given)
    else:
        given = set(arguments(node))
        yield from (name for name in listed(docstring, "Args") if name not in given)


def raised(tree: ast.AST) -> set[str]:
    """The names that a module imports, and those that Python has."""
    imported = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    return {*imported, *vars(builtins)}


def definitions(tree: ast.AST) -> Iterator[Definition]:
    return (node for node in ast.walk(tree) if isinstance(node, Definition))


def test_what_a_docstring_lists_is_there():
    trees = {module: ast.parse(module.read_text("utf-8")) for module in MODULES}
    known = {node.name: node for tree in trees.values() for node in _classes(tree)}
    found = []
    for module, tree in trees.items():
        errors = {*known, *raised(tree)}
        for node in definitions(tree):
            names = [*wrong(node, known)]
            names += [name for name in listed(_docstring(node), "Raises") if name not in errors]
            found += [f"{module.relative_to(SRC)}: {node.name}: {name}" for name in names]
    assert not found, "documented but not there:\n" + "\n".join(found)


def _classes(tree: ast.AST) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def _docstring(node: Definition) -> str:
    return ast.get_docstring(node) or ""
