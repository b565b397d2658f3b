"""One word stands for one thing: a word that was given up does not come back."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src").rglob("*.py"))
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
WORDS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("former_words.toml").read_text("utf-8")
)["words"]


def parts(name: str) -> list[str]:
    """The words of a text or of a name in lower case: `KeyHealth` has key and health."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]


def classes(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The names of classes, without underscores in front."""
    return (node.name.lstrip("_") for node in nodes if isinstance(node, ast.ClassDef))


def names(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The names of functions, without underscores in front, and the events of the log."""
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name):
                yield name.lstrip("_")
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="_log")),
                args=[ast.Constant(value=str(event)), *_],
            ):
                yield event
            case _:
                continue


def identifiers(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """All names of the code, and the events of the log."""
    yield from classes(nodes)
    yield from names(nodes)
    for node in nodes:
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.alias(name=name):
                yield name
            case _:
                continue


def values(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """All texts that are a value of their own."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def found(row: dict[str, Any], place: Path) -> set[str]:
    """The former words of a row that stand in a file."""
    return words(place)[row["as"]].intersection(row["former"])


@functools.cache
def words(place: Path) -> dict[str, set[str]]:
    """The words of a file, by what they stand as; a page has words of its text alone."""
    text = place.read_text("utf-8")
    nodes = list(ast.walk(ast.parse(text if place.suffix == ".py" else "")))
    stem = [place.stem] if place.suffix == ".py" else []
    return {
        "text": set(parts(text)),
        "class": set(classes(nodes)),
        "name": set(names(nodes)),
        "module": set(stem),
        "value": set(values(nodes)),
        "part": {word for name in (*stem, *identifiers(nodes)) for word in parts(name)},
    }


@pytest.mark.parametrize("row", WORDS, ids=lambda row: row["former"][0])
def test_a_former_word_does_not_come_back(row: dict[str, Any]):
    allowed = row.get("allowed", {})
    again = {}
    for place in (*MODULES, *PAGES):
        name = place.relative_to(ROOT).as_posix()
        if name not in allowed and (those := found(row, place)):
            again[name] = sorted(those)
    assert again == {}, f"the word of today is: {row['today']}"


def test_what_is_allowed_is_needed():
    for row in WORDS:
        for name in row.get("allowed", {}):
            assert found(row, ROOT / name), (row["former"], name)
