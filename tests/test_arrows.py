"""The arrows of the design: who may import whom. Read from the source, so nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = "tcdatalogger"
SOURCE = Path(__file__).parents[1] / "src"
ROOMS = {
    "models": set(),
    "observability": {"models"},
    "services": {"models", "observability"},
    "core": {"services", "models", "observability"},
    "scheduler": {"core", "services", "models", "observability"},
    "sandbox": {"models", "services.torncity.catalog"},
    "web": {"scheduler", "core", "services", "models", "observability"},
    "cli": {"web", "scheduler", "core", "services", "models", "observability", "sandbox"},
}
"""What each room may know beside itself; a name with dots is one module of a room."""

LEAVES = {"errors", "clock", "disk", "ending", "private", "text"}
"""Modules at the root that everyone may know, and that know nobody but each other."""


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    target: str  # a module of ours, without the package's name

    def __str__(self) -> str:
        file = self.module.replace(".", "/")
        return f"src/{PACKAGE}/{file}.py:{self.line} imports {self.target}"


def modules(source: Path = SOURCE) -> dict[str, Path]:
    """Every module of ours by its name without the package's; a package by its own name."""
    found = {}
    for path in sorted((source / PACKAGE).rglob("*.py")):
        parts = path.relative_to(source / PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for target in targets(node, name, path):
            ours = target.removeprefix(PACKAGE).lstrip(".")
            if target == PACKAGE or target.startswith(f"{PACKAGE}."):
                # `from tcdatalogger.core import config` may name a module or something in one.
                while ours and ours not in known:
                    ours = ours.rpartition(".")[0]
                yield Import(name, node.lineno, ours)


def targets(node: ast.AST, name: str, path: Path) -> Iterator[str]:
    match node:
        case ast.Import(names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module, names, level):
            base = module or ""
            if level:
                package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                up = package[: len(package) - level + 1]
                base = ".".join([PACKAGE, *up, *([module] if module else [])])
            yield from (f"{base}.{alias.name}" for alias in names)
        case ast.Call(ast.Attribute(attr="import_module"), [ast.Constant(str(text)), *_]):
            yield text


def room(module: str) -> str:
    return module.partition(".")[0]


def allowed(found: Import) -> bool:
    here, there = room(found.module), room(found.target)
    if here in LEAVES:
        return there in LEAVES
    if here == there or there in LEAVES or not found.target:
        return True  # the root itself holds only the version
    if here in ("", "__main__"):
        return there == "cli"
    return any(
        found.target == name or found.target.startswith(f"{name}.") for name in ROOMS.get(here, ())
    )


def all_imports(source: Path = SOURCE) -> list[Import]:
    known = modules(source)
    return [each for name, path in known.items() for each in imports(name, path, known)]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Each way that leads back to where it began, found once."""
    done: set[str] = set()
    found = []

    def walk(node: str, way: list[str]) -> None:
        if node in way:
            found.append([*way[way.index(node) :], node])
        elif node not in done:
            for after in sorted(graph.get(node, ())):
                walk(after, [*way, node])
            done.add(node)

    for node in sorted(graph):
        walk(node, [])
    return found


def test_every_import_follows_the_arrows():
    wrong = [str(each) for each in all_imports() if not allowed(each)]
    assert not wrong, "against the arrows of the design:\n" + "\n".join(wrong)


def test_every_room_is_one_of_the_design():
    unknown = {room(name) for name in modules()} - set(ROOMS) - LEAVES - {"", "__main__"}
    assert not unknown, f"not in the design: {unknown}"


def test_there_is_no_circle_among_the_rooms():
    graph: dict[str, set[str]] = {}
    for each in all_imports():
        if room(each.module) != room(each.target) and each.target:
            graph.setdefault(room(each.module), set()).add(room(each.target))
    assert not circles(graph)


def test_there_is_no_circle_among_the_modules():
    graph: dict[str, set[str]] = {}
    lines: dict[tuple[str, str], str] = {}
    for each in all_imports():
        if each.target and each.module != each.target:
            graph.setdefault(each.module, set()).add(each.target)
            lines.setdefault((each.module, each.target), str(each))
    told = ["\n".join(lines[step] for step in pairwise(circle)) for circle in circles(graph)]
    assert not told, "circles:\n" + "\n\n".join(told)


# The test's own eyes


@pytest.mark.parametrize(
    ("place", "line", "wrong"),
    [
        ("models/a.py", "from tcdatalogger.services.b import x", "services.b"),
        ("models/a.py", "def f():\n    import tcdatalogger.core.c", "core.c"),
        ("models/a.py", "from ..core import c", "core.c"),
        ("models/__init__.py", "from ..core import c", "core.c"),
        ("models/a.py", "from tcdatalogger.observability import log", "observability.log"),
        ("services/b.py", "importlib.import_module('tcdatalogger.core.c')", "core.c"),
        ("sandbox/s.py", "from tcdatalogger.services import b", "services.b"),
        ("sandbox/s.py", "from tcdatalogger.services.torncity import catalog", None),
        ("sandbox/s.py", "from tcdatalogger.observability import log", "observability.log"),
        ("core/c.py", "from tcdatalogger.sandbox import s", "sandbox.s"),
        ("core/c.py", "from tcdatalogger.services.b import x", None),
        ("core/c.py", "from tcdatalogger.errors import Failure", None),
        ("core/c.py", "from tcdatalogger import __version__", None),
        ("errors.py", "from tcdatalogger.models import a", "models.a"),
        ("clock.py", "from tcdatalogger.errors import x", None),
    ],
)
def test_an_import_against_the_arrows_is_seen(tmp_path, place, line, wrong):
    for file in (
        "models/__init__.py models/a.py services/b.py services/torncity/catalog.py core/c.py "
        "sandbox/s.py observability/log.py errors.py clock.py"
    ).split():
        path = tmp_path / PACKAGE / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line if file == place else "")
    found = [each for each in all_imports(tmp_path) if not allowed(each)]
    assert [each.target for each in found] == ([] if wrong is None else [wrong])
    for each in found:
        assert str(each).endswith(f":{line.count(chr(10)) + 1} imports {wrong}")


def test_a_circle_is_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]
    assert not circles({"a": {"b", "c"}, "b": {"c"}})
