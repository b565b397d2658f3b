"""Tables of ours that questions need and Torn's API does not have, each with its source.

A table is a file `data/NAME.csv`: comment lines say where it is from, the first other line has the
names of the columns and their types, as `minutes:int`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from tcdatalogger.errors import ConfigError
from tcdatalogger.text import did_you_mean

_TYPES: Final = {"int": int, "float": float, "text": str}


@dataclass(frozen=True, slots=True)
class Facts:
    """A table of ours.

    Attributes:
        name: of its file.
        source: where it is from, as its comment says.
        columns: their names.
        rows: the values, in the order of the file; None for an empty cell.
    """

    name: str
    source: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int | float | str | None, ...], ...]


@cache
def read(name: str) -> Facts:
    """The table with this name.

    Raises:
        ConfigError: there is none.
    """
    folder = files(__package__).joinpath("data")
    known = [each.name.removesuffix(".csv") for each in folder.iterdir()]
    if name not in known:
        raise ConfigError(
            f"There is no table of facts {name!r}.",
            remedy=did_you_mean(name, known, f"There are: {', '.join(sorted(known))}."),
        )
    text = folder.joinpath(f"{name}.csv").read_text(encoding="utf-8").splitlines()
    source = " ".join(line.removeprefix("#").strip() for line in text if line.startswith("#"))
    header, *lines = csv.reader(line for line in text if line and not line.startswith("#"))
    kinds = [_TYPES[column.partition(":")[2]] for column in header]
    if any(sign in cell for line in lines for cell in line for sign in "'\\"):
        raise ValueError(f"{name}.csv has a sign that two engines read in two ways")
    rows = tuple(
        tuple(kind(cell) if cell else None for kind, cell in zip(kinds, line, strict=True))
        for line in lines
    )
    return Facts(name, source, tuple(column.partition(":")[0] for column in header), rows)


def sql(name: str) -> str:
    """The table as SQL that both engines read.

    Raises:
        ConfigError: there is no such table.
    """
    table = read(name)
    lines = [
        ", ".join(
            f"{_literal(cell)} as {column}" if not at else _literal(cell)
            for column, cell in zip(table.columns, row, strict=True)
        )
        for at, row in enumerate(table.rows)
    ]
    return "\n    union all\n".join(f"    select {line}" for line in lines)


def _literal(cell: float | str | None) -> str:
    if cell is None:
        return "null"
    return f"'{cell}'" if isinstance(cell, str) else repr(cell)
