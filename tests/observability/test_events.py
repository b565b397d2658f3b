"""Events of the log are keys that do not change, and `docs/logs.md` lists each of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tcdatalogger

SOURCE = Path(tcdatalogger.__file__).parent
PAGE = Path(__file__).parents[2] / "docs/logs.md"
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}
LEVELS["exception"] = "error"  # with its traceback
OTHERS = "library_message"  # made of the lines of other libraries, by the formatter
MORE = "…"


@dataclass(frozen=True)
class Call:
    """One call that writes a line; its event is None where that is no literal."""

    place: str
    event: str | None
    level: str
    component: str
    fields: frozenset[str]


@cache
def calls() -> tuple[Call, ...]:
    """Every call of the source that writes a line."""
    return tuple(call for file in sorted(SOURCE.rglob("*.py")) for call in calls_of(file))


def calls_of(file: Path) -> Iterator[Call]:
    text = file.read_text(encoding="utf-8")
    if "get_logger" not in text and "notice(" not in text:
        return
    tree = ast.parse(text)
    loggers = {}
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.Assign) and component(node.value):
            loggers[node.targets[0].id] = component(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name == "notice":
            node.body.clear()  # its callers say the event
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (found := called(node, loggers)):
            level, name, event = found
            yield Call(
                f"{file.relative_to(SOURCE)}:{node.lineno}",
                event.value if isinstance(event, ast.Constant) else None,
                level,
                name,
                frozenset(word.arg or MORE for word in node.keywords),
            )


def component(node: ast.AST) -> str:
    """The name in `get_logger("…")`, "" where it is no such call."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_logger"):
        return node.args[0].value
    return ""


def called(node: ast.Call, loggers: dict[str, str]) -> tuple[str, str, ast.expr] | None:
    """Level, component and event of a call that writes a line, None for any other."""
    if isinstance(node.func, ast.Name) and node.func.id == "notice":
        return "info", "progress", node.args[1]
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in LEVELS:
        return None
    whose = node.func.value
    name = loggers.get(whose.id, "") if isinstance(whose, ast.Name) else component(whose)
    return (LEVELS[node.func.attr], name, node.args[0]) if name else None


def listed() -> dict[str, tuple[str, str, frozenset[str]]]:
    """The table of the page: level, component and fields of each event."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+?) \| (.+?) \| (.*?) ?\| .+ \|$", PAGE.read_text())
    return {
        event: (level, component.strip("`"), frozenset(re.findall(rf"\w+|{MORE}", fields)))
        for event, level, component, fields in rows
    }


def test_the_walk_finds_what_is_written():
    found = {call.event for call in calls()}
    assert {"run_started", "drift_found", "scheduler_started", "run_crashed"} <= found
    assert len(found) > 40


def test_every_event_is_a_key_in_snake_case():
    assert [c for c in calls() if not re.fullmatch(r"[a-z]+(_[a-z]+)+", c.event or "")] == []


def test_the_page_lists_every_event_with_its_level_its_component_and_its_fields():
    page = listed()
    assert page.pop(OTHERS)[2] == {"message"}

    for call in calls():
        level, name, fields = page.get(call.event or "", ("", "", frozenset()))
        assert (level, name) == (call.level, call.component), call
        assert call.fields <= fields, call


def test_the_page_lists_no_event_and_no_field_that_is_never_written():
    page = listed()
    del page[OTHERS]
    written = {event: [call.fields for call in calls() if call.event == event] for event in page}

    assert [event for event, each in written.items() if not each] == []
    for event, each in written.items():
        fields = frozenset().union(*each)
        assert page[event][2] == fields or MORE in fields, event
