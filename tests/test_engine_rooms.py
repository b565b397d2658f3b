"""What belongs to one engine stands in its room: its library, its SQL, its errors."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "tcdatalogger"
ROOM = SRC / "services" / "duckdb"

DUCKDB = re.compile(
    r"duckdb_\w+\("  # its functions about itself
    r"|\b(list_contains|json_keys|arg_max|arg_min|struct_pack|to_timestamp|epoch_us|any_value)\("
    r"|\browid\b|\bqualify\b|\b(semi|anti) join\b|\b(group|order) by all\b|\bby name from\b"
    r"|\w::\w"
    r"|^\s*from\s+\S+\s*$"  # a query without a select
    r"|OutOfMemoryException",
    re.IGNORECASE,
)
LEDGER = re.compile(r"\b(from|into|update|join)\s+_tcd_\w+", re.IGNORECASE)
"""SQL on the tables of the ledger: `Ledger` reads and writes them."""

ANSWERED_BY_DUCKDB = {
    "cli/commands/questions.py": "what the demo shows to type into `tcdatalogger query`",
}


@functools.cache
def texts(path):
    """Every text of a module that is no docstring, with its line; the pieces of an f-string too."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    documents = {
        node.body[0].value
        for node in nodes
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in nodes:
        if isinstance(node, ast.Expr):  # a text below a value says what it is
            documents.add(node.value)
    constants = [node for node in nodes if isinstance(node, ast.Constant)]
    found = [node for node in constants if isinstance(node.value, str) and node not in documents]
    return [(node.lineno, node.value) for node in found]


OTHER_SQL = (SRC / "services" / "google", SRC / "questions")
"""Google's SQL has some words in common with DuckDB's; questions are in the words of both."""

MODULES = sorted(
    path
    for path in SRC.rglob("*.py")
    if not path.is_relative_to(ROOM) and not any(map(path.is_relative_to, OTHER_SQL))
)


def test_the_sql_and_the_errors_of_duckdb_stand_in_its_room_alone():
    found = [
        f"{path.relative_to(SRC)}:{line}: {text.strip()[:60]}"
        for path in MODULES
        if path.relative_to(SRC).as_posix() not in ANSWERED_BY_DUCKDB
        for line, text in texts(path)
        if DUCKDB.search(text)
    ]

    assert found == []


def test_the_tables_of_the_ledger_are_asked_by_no_sql_outside_of_the_warehouses():
    found = [
        f"{path.relative_to(SRC)}:{line}: {text.strip()[:60]}"
        for path in MODULES
        for line, text in texts(path)
        if LEDGER.search(text)
    ]

    assert found == []


@pytest.mark.parametrize("text", [
    "select x from t semi join u using (x)", "from wars", "select a::varchar from t",
    "select list_contains(x, 1)", "select * from t order by all", "select rowid from t",
])  # fmt: skip
def test_sql_of_duckdb_is_known_when_it_is_seen(text):
    assert DUCKDB.search(text)


@pytest.mark.parametrize("text", [
    "select count(*) as n from wars", "the rows come from wars", "a list of names",
])  # fmt: skip
def test_plain_sql_and_words_are_nobodys(text):
    assert not DUCKDB.search(text)
