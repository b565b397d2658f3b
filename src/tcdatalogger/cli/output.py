"""Prints results: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from tcdatalogger.clock import span
from tcdatalogger.text import harmless, in_json, one_line

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs, on the standard output."
)
"""The same `--json` for every command; it arrives as `as_json`."""

UNKNOWN = "-"
"""Stands in a column of numbers where the number is not known."""

_COPIED = frozenset({"run", "id", "path"})
"""Columns whose values people copy: a value is never broken over two lines."""

_WORD = 12
"""Letters up to which a word is kept on one line, if the terminal has room for them."""


_COMMAND = re.compile(r"`tcdatalogger(?= |`)")


def program(*, config: bool = True) -> str:
    """How this program is called from here, for commands that people copy.

    Args:
        config: whether the option `--config` belongs to it, where it was given.
    """
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == "tcdatalogger":
        shown = f"{_as_called(Path(sys.executable), 'python')} -m tcdatalogger"
    elif called.name != "tcdatalogger":  # a program that uses this one
        return "tcdatalogger"
    else:
        shown = _as_called(called, "tcdatalogger")
    said = _config() if config else None
    return shown if said is None else f"{shown} --config {shlex.quote(said)}"


def _as_called(file: Path, name: str) -> str:
    """The name, where the shell finds this very file by it, or else the path."""
    found = shutil.which(name)
    return name if found and Path(found).absolute() == file.absolute() else _path(file)


def _path(file: Path) -> str:
    shown = os.path.relpath(file)
    shown = str(file.absolute()) if shown.startswith(os.pardir) else shown
    return shlex.quote(shown if os.sep in shown else f".{os.sep}{shown}")


def _config() -> str | None:
    """The configuration that the command line names."""
    words = sys.argv[1:]
    for at, word in enumerate(words):
        if word == "--config" and at + 1 < len(words):
            return words[at + 1]
        if word.startswith("--config="):
            return word.removeprefix("--config=")
    return None


def say(text: str = "", *, err: bool = False) -> None:
    """Print a text for a person: harmless for the terminal, commands as they are called from here.

    All that a command says goes through here (ruff refuses `click.echo` elsewhere).
    """
    click.echo(harmless(pasteable(text)), err=err)


def pasteable(text: str) -> str:
    """A text whose commands can be copied as they stand, wherever this program is installed."""
    return _COMMAND.sub(lambda _found: f"`{program()}", text)


def print_json(value: object, *, line: bool = False) -> None:
    """Print one JSON document. Times are ISO 8601 in UTC, decimals texts, so that none is lost.

    It is indented where somebody looks, and one line for a program, or where `line` says so.
    """
    indent = 2 if sys.stdout.isatty() and not line else None
    click.echo(in_json(json.dumps(value, default=_plain, ensure_ascii=False, indent=indent)))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    numeric: Sequence[bool] | None = None,
    *,
    title: str = "",
    upright: bool = False,
) -> None:
    """Print rows under their columns: drawn on a terminal, aligned text elsewhere.

    Args:
        columns: their names.
        rows: a value for each column.
        numeric: which columns stand to the right; None for those whose values are numbers.
        title: printed above the table.
        upright: whether rows that are wider than the terminal are printed one below the other, with
            a line for each value: for queries, whose rows may have any width.
    """
    found = [list(row) for row in rows]
    numbers = numeric or [_numeric(row[at] for row in found) for at in range(len(columns))]
    columns = [one_line(name) for name in columns]
    texts = [[one_line(cell(value)) for value in row] for row in found]
    if sys.stdout.isatty():
        if upright and _width(columns, texts) > shutil.get_terminal_size().columns:
            _print_upright(columns, texts)
            return
        _drawn(columns, texts, numbers, title)
        return
    if title:
        say(title)
    for line in aligned(columns, texts, numbers):
        say(line)


def aligned(
    columns: Sequence[str], texts: Sequence[Sequence[str]], numbers: Sequence[bool]
) -> list[str]:
    """Lines of text in columns of one width; numbers stand to the right."""
    lines = [columns, *texts]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return [
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, numbers, strict=True)
        ).rstrip()
        for line in lines
    ]


def _width(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> int:
    """How many columns of a terminal a drawn table takes."""
    lines = (columns, *texts)
    return sum(max(len(line[at]) for line in lines) + 2 for at in range(len(columns)))


def _print_upright(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    widest = max(len(name) for name in columns)
    for number_, row in enumerate(texts, 1):
        say(f"-- row {number_}")
        for name, text in zip(columns, row, strict=True):
            say(f"{name.ljust(widest)}  {text}".rstrip())


def _drawn(
    columns: Sequence[str],
    texts: Sequence[Sequence[str]],
    numbers: Sequence[bool],
    title: str,
) -> None:
    from rich import box  # only where somebody looks
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not _room(columns, texts):
        columns, texts, numbers = _narrowed(columns, texts, numbers)
    plain = "NO_COLOR" in os.environ
    table = Table(
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
        header_style="none" if plain else "bold",
    )
    for name, number, width in zip(columns, numbers, _widths(columns, texts), strict=True):
        table.add_column(
            name,
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=not _COPIED.isdisjoint(name.split()),
            width=width,
        )
    for row in texts:
        # As Text, since a value with brackets in it would be read as markup.
        table.add_row(*(Text(text) for text in row))
    Console(no_color=plain, highlight=False).print(table)


def _widths(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> Sequence[int | None]:
    """How wide each column is drawn: the widest give room first, and long words break last.

    Nothing is said of them where the terminal is narrower than that.
    """
    most = shutil.get_terminal_size().columns + 2
    least = _longest(columns, texts)
    if not _room(columns, texts):
        copied = [not _COPIED.isdisjoint(name.split()) for name in columns]
        least = [w if whole else min(w, _WORD) for w, whole in zip(least, copied, strict=True)]
    if sum(width + 2 for width in least) > most:
        return [None] * len(columns)
    lines = (columns, *texts)
    widths = [
        max(len(part) for line in lines for part in line[at].split("\n"))
        for at in range(len(columns))
    ]
    for _ in range(sum(width + 2 for width in widths) - most):
        widest = max(range(len(widths)), key=lambda at: (widths[at] > least[at], widths[at]))
        widths[widest] -= 1
    return widths


def _longest(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> list[int]:
    """The length of the longest word of each column."""
    lines = (columns, *texts)
    return [
        max(len(word) for line in lines for word in line[at].split() or [""])
        for at in range(len(columns))
    ]


def _room(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> bool:
    """Whether the terminal can show the table without breaking a word."""
    needed = sum(width + 2 for width in _longest(columns, texts)) - 2
    return needed <= shutil.get_terminal_size().columns


def _narrowed(
    columns: Sequence[str], texts: Sequence[Sequence[str]], numbers: Sequence[bool]
) -> tuple[list[str], list[list[str]], list[bool]]:
    """A narrower table: what people copy and the first of the other columns share one."""
    copied = next((at for at, name in enumerate(columns) if name in _COPIED), None)
    if copied is None or len(columns) < 2:  # noqa: PLR2004
        return list(columns), [list(line) for line in texts], list(numbers)
    upper, lower = 0, copied or 1
    others = [at for at in range(len(columns)) if at not in {upper, lower}]
    lines = [[f"{ln[upper]}\n{ln[lower]}", *(ln[at] for at in others)] for ln in (columns, *texts)]
    return lines[0], lines[1:], [False, *(numbers[at] for at in others)]


def _numeric(values: Iterable[object]) -> bool:
    known = [value for value in values if value not in (None, UNKNOWN)]
    return bool(known) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known
    )


def cell(value: object) -> str:
    """A value as it stands in a table: nothing for null, times in UTC to the second."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return moment(value)
        case timedelta():
            return span(value.total_seconds())
        case bytes():
            return f"<{len(value)} bytes>"
        case list() | tuple():
            return ", ".join(cell(item) for item in value)
        case dict():
            return json.dumps(value, default=_plain, ensure_ascii=False)
        case _:
            return str(value)


def moment(value: datetime | float | None) -> str:
    """`2026-11-23 01:55:29Z`, from a time with a zone (or, without one, in UTC) or Unix seconds."""
    if value is None:
        return ""
    if not isinstance(value, datetime):
        value = datetime.fromtimestamp(value, UTC)
    return f"{_in_utc(value):%Y-%m-%d %H:%M:%S}Z"


def once(told: Iterable[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Group names by what is said of each: the same words once, with all of their names."""
    found: dict[str, list[str]] = {}
    for name, says in told:
        found.setdefault(says, []).append(name)
    return [(names, says) for says, names in found.items()]


def about(names: Sequence[str], says: str) -> str:
    """A sentence with the names that it is about before it, where it does not begin with them."""
    label = ", ".join(names)
    return says if says.startswith((f"{label} ", f"{label}:")) else f"{label}: {says}"


def number(count: int) -> str:
    """`12,345`."""
    return f"{count:,}"


def counted(count: int, what: str) -> str:
    """`1 row`, `12,345 rows`."""
    return f"{number(count)} {what}{'' if count == 1 else 's'}"


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _plain(value: object) -> Any:
    """A value of a type that JSON does not have, as one that it has."""
    match value:
        case datetime():
            return _in_utc(value).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value)
        case _:
            return str(value)
