"""What the tests prove of BigQuery, in layers that are counted.

While the tests run, each text of SQL is given to Google's analyser as it is sent, with the tables
as they are at that moment; nothing is written twice. A test that sends what the analyser refuses
fails with Google's words, though the emulator may have taken it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pytest
from alike import alike

_NOT_FOUND: Final = re.compile(r"Table not found: [`\w.-]*?(\w+)`?(?:;|\n|$| \[)")
_MICROSECONDS: Final = re.compile(r"\b\d{16}\b")
"""A time of now, as the warehouse asks for BigQuery's clock."""


@dataclass
class Counts:
    """What was done, by one process or by several.

    Attributes:
        tests: that asked the emulator.
        live: that asked Google.
        sent: texts of SQL that were sent.
        texts: those of them that differ in more than names, numbers and texts, by a digest.
        evaluated: those that Google's evaluator has run too.
        left_out: tests marked `bigquery_live` that were not run.
    """

    tests: int = 0
    live: int = 0
    sent: int = 0
    texts: set[int] = field(default_factory=set)
    evaluated: set[int] = field(default_factory=set)
    left_out: int = 0

    def add(self, told: Mapping[str, Any]) -> None:
        """Add what another process tells; every process leaves out the same tests."""
        for name, value in told.items():
            if name == "left_out":
                self.left_out = value
            elif isinstance(value, list):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    def told(self) -> dict[str, Any]:
        """As a process of tests tells it."""
        return {n: sorted(v) if isinstance(v, set) else v for n, v in vars(self).items()}


class Layers:
    """Stands between the program and BigQuery while a test runs.

    Attributes:
        counts: what was done.
        wrong: whether a test sends wrong texts on purpose: then BigQuery has to refuse them too.
        evaluating: whether Google's evaluator runs what is sent too: its answers, and what is in
            the tables after it, have to be those of BigQuery. Nobody else may change tables.
        compared: how many answers were the same in this test.
        not_evaluated: texts of this test that the evaluator does not run.
        filled: how many tables had the same rows after a text that has changed them.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.wrong = False
        self.evaluating = False
        self.compared = self.filled = 0
        self.not_evaluated: list[str] = []
        self._ran: Any = None
        self._remembered: dict[object, Any] = {}
        self._known: dict[str, Any] = {}
        self._google: Any = None
        self._elsewhere: list[Exception] = []
        self._alone = threading.RLock()

    @contextmanager
    def watching(self, google: Any) -> Iterator[None]:
        """Give to the analyser what is sent within the block.

        Args:
            google: a client of Google's library, to ask for tables that others have made.
        """
        from tcdatalogger.services.google.client import Client  # noqa: PLC0415 - takes a second

        self._google, self.wrong, self.evaluating = google, False, False
        self.compared, self.filled, self.not_evaluated = 0, 0, []
        with pytest.MonkeyPatch.context() as patch:
            for name, watched in _WATCHED.items():
                patch.setattr(Client, name, watched(self, getattr(Client, name)))
            yield
        refused, self._elsewhere = self._elsewhere, []
        if refused:  # a thread of the test has sent it
            raise refused[0]

    def tables(self, client: Any) -> Any:
        """What is known of the tables of a client's dataset."""
        from analyzer import Analyzer  # noqa: PLC0415 - as above

        of = f"{client.address.project}.{client.address.dataset}"
        with self._alone:
            return self._known.setdefault(of, Analyzer({}, of, self._remembered))

    def look(self, client: Any, name: str) -> Any:
        """A table as it is, None where it is not there."""
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 - as above

        try:
            return self._google.get_table(client.reference(name), retry=None, timeout=60)
        except NotFound:
            return None

    @contextmanager
    def sending(
        self, client: Any, sql: str, parameters: Any, *, done: bool = True
    ) -> Iterator[None]:
        """Analyse a text that is sent within the block, and take over what it does to tables.

        Args:
            client: that sends it.
            sql: the text.
            parameters: values of `@name`.
            done: whether it is done, and not only looked at. What is looked at may be wrong: the
                questions of people are looked at first.

        Raises:
            Refused: Google would refuse it.
        """
        from analyzer import Refused  # noqa: PLC0415 - as above

        from tcdatalogger.errors import DataRefused, Failure  # noqa: PLC0415 - as above

        known, wrong = self.tables(client), None
        with self._alone:
            self.counts.sent += 1
            self.counts.texts.add(digest(known, sql))
            try:
                after = self._analysed(client, known, sql, parameters or {})
            except Refused as error:
                after, wrong = known.copy(), error
            before = known.copy()
        missing = wrong is not None and _NOT_FOUND.search(str(wrong))  # the program may ask for one
        if wrong is not None and done and not self.wrong and not missing:
            if threading.current_thread() is not threading.main_thread():
                self._elsewhere.append(wrong)
            raise wrong
        try:
            yield
        except DataRefused:
            raise
        except Failure:
            for name in known.take(after, before):
                known.forget(name)  # nobody knows whether it was done
            raise
        if wrong is not None:
            raise AssertionError(f"BigQuery takes what Google's analyser refuses: {wrong}")
        if done:
            known.take(after, before)

    def _analysed(self, client: Any, known: Any, sql: str, parameters: Mapping[str, object]) -> Any:
        """The tables after a text; those are looked at anew that it seems to have wrong."""
        from analyzer import Refused  # noqa: PLC0415 - as above

        looked: set[str] = set()
        while True:
            after = known.copy()
            try:
                after.check(sql, parameters)
            except Refused as error:
                found = _NOT_FOUND.search(str(error))
                names = {found[1]} if found else {n for n in known.names() if n in sql}
                if names <= looked:
                    raise
                for name in names - looked:
                    self.saw(client, name, self.look(client, name))
                looked |= names
            else:
                return after

    @contextmanager
    def evaluated(self, client: Any, sql: str, parameters: Any) -> Iterator[None]:
        """Compare what a text does within the block with what it does by Google's evaluator.

        Raises:
            AssertionError: a table has other rows after it, or the evaluator refuses it.
        """
        self._ran = None
        if not self.evaluating:
            yield
            return
        import evaluator  # noqa: PLC0415 - as above

        known = self.tables(client)
        before = known.copy()
        ran = evaluator.run(before, sql, lambda name: self._rows(client, name), parameters)
        yield
        if ran is None:
            self.not_evaluated.append(sql)
            return
        assert not ran.raised, f"Google's evaluator says {ran.raised} to\n{sql}"
        self.counts.evaluated.add(digest(known, sql))
        for name, wanted in ran.changed.items():
            found = self._rows(client, name).select(wanted.column_names)
            assert told(found) == told(wanted), (
                f"Google's evaluator fills {name} otherwise by\n{sql}"
            )
            self.filled += 1
        self._ran = ran

    def compare(self, sql: str, found: pa.Table) -> None:
        """Compare an answer of BigQuery with the one of Google's evaluator, if there is one.

        Raises:
            AssertionError: they differ.
        """
        if self._ran is None or self._ran.answer is None:
            return
        rows = [told(found), told(self._ran.answer)]
        if "current_timestamp()" in sql:  # the two have asked one after the other
            rows = [sorted(_MICROSECONDS.sub("now", row) for row in each) for each in rows]
        assert rows[0] == rows[1], f"Google's evaluator answers otherwise to\n{sql}"
        self.compared += 1

    def _rows(self, client: Any, name: str) -> pa.Table:
        table = self.look(client, name)
        return self._google.list_rows(table, retry=None).to_arrow(create_bqstorage_client=False)

    def saw(self, client: Any, name: str, table: Any) -> None:
        """A table was made, changed or looked at; None where it is not there."""
        known = self.tables(client)
        with self._alone:
            if table is None:
                known.forget(name)
            else:
                known.put(name, table.schema)


def told(answer: pa.Table) -> list[str]:
    """The rows of an answer, in no order and however numbers are written in JSON."""
    return sorted(
        json.dumps({name: _plain(value) for name, value in row.items()}, sort_keys=True)
        for row in answer.to_pylist()
    )


def _plain(value: Any) -> Any:
    match value:
        case str() if value.startswith(("{", "[")):
            return _plain(json.loads(value))
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case float() if value.is_integer() and (value or math.copysign(1, value) > 0):
            return int(value)  # but -0.0 is another value than 0.0
        case datetime():
            return str(value)
    return value


def digest(known: Any, sql: str) -> int:
    """What is the same for texts that are alike, in every process."""
    text = alike(sql, known.names())[0]
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)


def _query(layers: Layers, original: Any) -> Any:
    def _query(client: Any, sql: str, name: str, parameters: Any, *rest: Any) -> Any:
        with (
            layers.sending(client, sql, parameters, done=True),
            layers.evaluated(client, sql, parameters),
        ):
            return original(client, sql, name, parameters, *rest)

    return _query


def _dry_run(layers: Layers, original: Any) -> Any:
    def dry_run(client: Any, sql: str, parameters: Any = None) -> Any:
        with layers.sending(client, sql, parameters, done=False):
            return original(client, sql, parameters)

    return dry_run


def _ask(layers: Layers, original: Any) -> Any:
    def ask(client: Any, sql: str, **words: Any) -> Any:
        found = original(client, sql, **words)
        layers.compare(sql, found)
        return found

    return ask


def _giving(layers: Layers, original: Any) -> Any:
    """Of `create` and `patch`: they give the table as it is."""

    def giving(client: Any, *words: Any) -> Any:
        table = original(client, *words)
        layers.saw(client, table.table_id, table)
        return table

    return giving


def _table(layers: Layers, original: Any) -> Any:
    def table(client: Any, name: str) -> Any:
        found = original(client, name)
        layers.saw(client, name, found)
        return found

    return table


def _delete(layers: Layers, original: Any) -> Any:
    def delete(client: Any, name: str) -> None:
        layers.saw(client, name, None)
        original(client, name)

    return delete


def _copying(layers: Layers, original: Any) -> Any:
    """Of `copy`, `snapshot` and `restore`: the table is looked at when a statement names it."""

    def copying(client: Any, sources: Any, to: str, **words: Any) -> None:
        original(client, sources, to, **words)
        layers.saw(client, to, None)

    return copying


_WATCHED: Final[Mapping[str, Callable[[Layers, Any], Any]]] = {
    "_query": _query, "dry_run": _dry_run, "ask": _ask, "create": _giving, "patch": _giving,
    "table": _table, "delete": _delete, "copy": _copying, "snapshot": _copying,
    "restore": _copying,
}  # fmt: skip
"""The methods of the client that are watched, and how."""
