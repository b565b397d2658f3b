"""What a transaction will do to tables: the statements of the one script that commits it.

Nothing is done before the commit. What is asked after the first statement is asked in a script that
does the statements, answers, and undoes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tcdatalogger.services.warehouse import conservation

ENGINE: Final = "BigQuery"

FOUND: Final = "tcd_found"
"""The variable of a script; no column has its name, which BigQuery would take for it."""

_MARK: Final = "tcd-counts-"
_FOUND: Final = re.compile(rf"{_MARK}(\d+) (\[[\d,]*\])")


@dataclass(frozen=True, slots=True)
class Count:
    """Rows that are counted within the transaction, and how many there have to be.

    Attributes:
        table: whose rows.
        what: which of its rows, in words.
        wanted: how many there have to be.
        sql: a query for their number.
    """

    table: str
    what: str
    wanted: int
    sql: str


@dataclass(slots=True)
class Acts:
    """The statements of a transaction in their order, and what is counted between them."""

    statements: list[str] = field(default_factory=list)
    _counts: list[tuple[Count, ...]] = field(default_factory=list)

    def add(self, statement: str) -> None:
        """Do this after all that is to be done so far."""
        self.statements.append(statement)

    def must_be(self, *counts: Count) -> None:
        """Count after all that is to be done so far; another number than wanted undoes it all."""
        wanted = json.dumps([count.wanted for count in counts], separators=(",", ":"))
        parts = " union all ".join(
            f"select {number} as n, ({count.sql}) as found" for number, count in enumerate(counts)
        )
        self.add(
            f"set {FOUND} = (select to_json_string(array_agg(found order by n)) from ({parts}))"
        )
        mark = f"{_MARK}{len(self._counts)} "
        self.add(
            f"if {FOUND} != '{wanted}' then raise using message = concat('{mark}', {FOUND}); end if"
        )
        self._counts.append(counts)

    def refuse(self, message: str) -> None:
        """Raise the error of a count that was not as wanted, if a message of BigQuery tells of one.

        Raises:
            Unbalanced: so it is.
        """
        told = _FOUND.search(message)
        if told is None:
            return
        for count, found in zip(self._counts[int(told[1])], json.loads(told[2]), strict=True):
            conservation.agree(ENGINE, count.table, count.what, count.wanted, found)

    def asking(self, sql: str, prepare: Sequence[str] = ()) -> str:
        """A script that answers as it would be after all that is to be done so far.

        BigQuery undoes a transaction that a script leaves open at its end.

        Args:
            sql: a query that gives one row.
            prepare: statements that make temporary tables for it.
        """
        begin = "begin transaction" if self.statements else ""
        ask = f"select to_json_string(t) as told from ({sql}) as t"
        return script([f"declare {FOUND} string", begin, *self.statements, *prepare, ask])


def script(statements: Sequence[str]) -> str:
    """Statements as one text."""
    return "".join(f"{statement};\n" for statement in statements if statement)


def answer(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row that a script of `Acts.asking` gives."""
    found: Mapping[str, Any] = json.loads(row["told"])
    return found
