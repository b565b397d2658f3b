"""The rules of every warehouse are asked without the language of one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SUITE = ("conformance", "modes", "evolution", "rollback")

LANGUAGE = re.compile(
    r"\bselect\s|\bfrom \"|[\"']from \w|\border by\b|\bcreate (schema|table)\b|\bdrop column\b"
    r"|::\w|\btypeof\b|rowid|duckdb|\.path\b|tmp_path|\bsql\b",
    re.IGNORECASE,
)
"""SQL, an engine by its name, and the files that one may have."""


@pytest.mark.parametrize("name", SUITE)
def test_what_every_warehouse_promises_is_asked_without_sql_and_without_an_engine(name):
    text = (Path(__file__).parent / f"test_{name}.py").read_text(encoding="utf-8")

    assert [line for line in text.splitlines() if LANGUAGE.search(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        'rows("select id from wars")',
        "rows(f'from \"{name}\" order by all')",
        'warehouse.query("from wars")',
        'rows("wars where tag::varchar is null")',
        "DuckDBWarehouse(tmp_path)",
    ],
)
def test_the_language_of_an_engine_is_seen(line):
    assert LANGUAGE.search(line)
