"""`docs/python.md` runs as it stands, in an empty folder, and shows what comes out."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

import tcdatalogger

PAGE = (Path(__file__).parents[1] / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?m)^```(\w+)\n([\s\S]*?)^```$", PAGE)
"""The language and the text of each block."""


def output(code, names):
    """What a notebook shows below a cell: what it prints, and its last value."""
    *first, last = ast.parse(code).body
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(first, []), "<page>", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "<page>", "eval"), names)
            if value is not None:
                shown.write(repr(value))
        else:
            exec(compile(code, "<page>", "exec"), names)
    return shown.getvalue()


def matches(shown, wanted):
    return re.fullmatch(re.escape(wanted.strip()).replace("…", r"[\s\S]*"), shown.strip())


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TORN_API_KEY", raising=False)
    names, shown = {}, ""
    try:
        for language, text in BLOCKS:
            file = re.match(r"# (\S+\.\w+)\n", text)
            if file:
                (tmp_path / file[1]).write_text(text)
            elif language == "python":
                shown = output(text, names)
            else:
                assert language == "text"
                assert matches(shown, text), f"{shown}\nis not\n{text}"
    finally:
        if "city" in names:
            names["city"].stop()
    assert len(BLOCKS) > 25
    assert not (tmp_path / "data").exists()


def test_the_page_has_every_public_name_and_method():
    methods = [name for name in vars(tcdatalogger.DataLogger) if not name.startswith("_")]
    assert len(methods) > 8
    assert [name for name in tcdatalogger.__all__ if f"`{name}`" not in PAGE] == []
    assert [name for name in methods if not re.search(rf"\b{name}\b", PAGE)] == []


@pytest.mark.parametrize("shown", ["done 61", "paused 60"])
def test_another_output_than_the_page_has_is_seen(shown):
    assert matches("done 60 …", "done …")
    assert not matches(shown, "done 60")
