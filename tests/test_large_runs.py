"""A run too large for memory has the rows, drift, quarantine and ledger of a small one."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tcdatalogger.core.archive import Archive
from tcdatalogger.core.operations.replay import rebuild
from tcdatalogger.core.run.load import Guard, load_of
from tcdatalogger.errors import DataRefused, DiskFailed
from tcdatalogger.models.checks.every_load import repeated_keys
from tcdatalogger.models.checks.rules import Rule
from tcdatalogger.models.kept import KeptRows, RowMaker, in_memory
from tcdatalogger.models.reading import decode
from tcdatalogger.scratch import Scratch
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.processing.base import EndpointProcessor, Fetched, Page, Task

CATALOG = catalog.load()
CRIMES = "/faction/crimes"
BALANCE = "/faction/balance"
MODES = ("append", "merge", "history", "replace")
LEDGER = ("_tcd_loads", "_tcd_drift", "_tcd_quarantine", "_tcd_checks", "_tcd_schemas")

values = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(-3, 3),
    some.sampled_from([0.5, 2**53 + 1, "x", "12", [], [1, 2], {"a": 1}, {"a": "b"}, [{"a": 1}]]),
)
slots = some.fixed_dictionaries(
    {"position": some.sampled_from(["Driver", "Muscle"])},
    optional={"checkpoint_pass_rate": some.integers(0, 3), "unheard": values},
)
crimes = some.fixed_dictionaries(
    {"id": some.integers(1, 9).map(lambda lot: {7: 7.0, 8: None, 9: "six"}.get(lot, lot))},
    optional={
        "name": some.sampled_from(["a", "b", "ä", None]),
        "difficulty": some.integers(0, 5),
        "slots": some.one_of(some.none(), some.lists(slots, max_size=2)),
        "unheard": values,
    },
)
members = some.fixed_dictionaries(
    {"id": some.integers(1, 4), "username": some.sampled_from(["a", "b"])},
    optional={"money": some.integers(0, 5), "unheard": values},
)
balances = some.fixed_dictionaries(
    {
        "faction": some.fixed_dictionaries({"money": some.integers(0, 2)}),
        "members": some.lists(members, max_size=2),
    }
)


def pages_of(name, content):
    """Pages of two subjects: most have data, few are no JSON or have something beside it."""
    plain = some.fixed_dictionaries({name: content}).map(json.dumps)
    odd = some.one_of(
        some.fixed_dictionaries({name: content, "beside": values}).map(json.dumps),
        some.sampled_from(["{", "null", "{}", f'{{"{name}": null}}', f'{{"{name}": 1}}']),
    )
    body = some.integers(0, 19).flatmap(lambda lot: odd if lot == 19 else plain)
    page = some.tuples(some.sampled_from([7, 8]), body)
    return some.lists(page, min_size=1, max_size=6)


given_pages = some.one_of(
    some.tuples(some.just(CRIMES), pages_of("crimes", some.lists(crimes, max_size=3))),
    some.tuples(some.just(BALANCE), pages_of("balance", balances)),
)


@contextmanager
def small_batches(most=200):
    """The fast reader takes few bytes at once."""
    before, decode.BATCH_BYTES = decode.BATCH_BYTES, most
    try:
        yield
    finally:
        decode.BATCH_BYTES = before


def fetched(bodies, folder=None):
    """The answers of a run; with a folder they stand in a scratch, and so do the rows."""
    scratch = None if folder is None else Scratch(Path(folder), memory=0)
    if scratch is not None:
        scratch.put(b"so it is large")
    pages = [Page(body.encode(), subject, 60.0 * n) for n, (subject, body) in enumerate(bodies)]
    return Fetched(tuple(pages), scratch=scratch)


def made_of(task, answers):
    """The rows, or the words with which they are refused."""
    maker = EndpointProcessor(task)
    try:
        made = maker.transform_data(answers)
        return maker.validate(made, answers)
    except DataRefused as refused:
        return str(refused), getattr(refused, "results", ())


def plain(made):
    """All that was made, with the rows in memory."""
    if isinstance(made, tuple):
        return made
    tables = {name: in_memory(rows).to_pylist() for name, rows in made.tables.items()}
    kinds = {name: rows.schema for name, rows in made.tables.items()}
    return tables, kinds, replace(made, tables={})


def task_of(path, mode="append", **facts):
    endpoint, _ = CATALOG.find(path)
    return Task(
        "it", endpoint, catalog_version=CATALOG.version, run_id="r1", mode=mode, max_drop=1, **facts
    )


@given(
    given_pages,
    some.sampled_from(["evolve", "quarantine", "freeze"]),
    some.sampled_from([(), ("refuse",), ("quarantine",), ("warn",)]),
)
@settings(max_examples=150, deadline=None)
def test_rows_beside_memory_are_those_in_memory(wanted, contract, checks):
    path, bodies = wanted
    rules = tuple(Rule(columns=("difficulty",), most=2, on_failure=each) for each in checks)
    task = task_of(path, contract=contract, checks=rules if path == CRIMES else ())

    with tempfile.TemporaryDirectory() as folder:
        whole = made_of(task, fetched(bodies))
        with small_batches():
            parts = made_of(task, fetched(bodies, folder))

        assert plain(parts) == plain(whole)
        if not isinstance(parts, tuple) and not checks:
            children = [rows for name, rows in parts.tables.items() if name != "it"]
            assert all(isinstance(rows, KeptRows) for rows in children)


def without_places(text):
    """Words of an error without the place in the body, which blanks move."""
    return re.sub(r"\d+", "", text)


@given(given_pages, some.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_a_page_whose_bytes_came_before_is_one_whose_records_did(wanted, dice):
    path, bodies = wanted
    bodies = bodies * 2
    dice.shuffle(bodies)
    blanks = [(subject, body + " " * number) for number, (subject, body) in enumerate(bodies)]
    task = task_of(path)

    same, others = (plain(made_of(task, fetched(each))) for each in (bodies, blanks))

    if len(same) == 2:
        assert without_places(same[0]) == without_places(others[0])
        return
    assert same[:2] == others[:2]
    facts = [replace(each[2], rejected=(), family=None) for each in (same, others)]
    assert facts[0] == facts[1]
    aside = [
        sorted(
            (m.page, m.path, without_places(m.reason), m.record.rstrip()) for m in each[2].rejected
        )
        for each in (same, others)
    ]
    assert aside[0] == aside[1]


sound_crimes = some.fixed_dictionaries(
    {"id": some.integers(1, 9)},
    optional={
        "name": some.sampled_from(["a", "ä", None]),
        "slots": some.lists(some.just({"position": "Driver"}), max_size=2),
    },
)
sound_pages = some.lists(some.lists(sound_crimes, max_size=3), min_size=1, max_size=3)


@given(some.lists(some.one_of(sound_pages, pages_of("crimes", some.lists(crimes))), min_size=2))
@settings(max_examples=60, deadline=None)
def test_runs_whose_rows_are_made_together_have_the_rows_of_each_alone(wanted):
    def pages(run):
        return [
            page if isinstance(page, tuple) else (7, json.dumps({"crimes": page})) for page in run
        ]

    runs = {f"r{number}": fetched(pages(run)) for number, run in enumerate(wanted)}
    made = EndpointProcessor(task_of(CRIMES)).transform_runs(runs)

    alone = [
        EndpointProcessor(replace(task_of(CRIMES), run_id=run_id)).transform_data(answers)
        for run_id, answers in runs.items()
    ]
    if made is None:
        assert any(one.rejected or one.drift or one.repeated or one.lacking for one in alone)
    else:
        assert list(map(plain, made)) == list(map(plain, alone))


def stored(task, bodies, file, folder=None):
    """What a warehouse holds after two loads of these pages, the ledger too."""
    found = {}
    with DuckDBWarehouse(file) as warehouse:
        for number in (1, 2):
            one = replace(task, run_id=f"r{number}")
            answers = fetched(bodies[: 1 + number], folder)
            made = made_of(one, answers)
            if isinstance(made, tuple):
                found[number] = made
                continue
            load = load_of(one, answers, made, Guard(), cursor=None, at=float(number))
            try:
                found[number] = warehouse.commit(load)
            except DataRefused as refused:
                found[number] = str(refused)
        there = [row["name"] for row in warehouse.query("show tables").to_pylist()]
        for name in (n for n in there if n in LEDGER or not n.startswith("_tcd_")):
            rows = warehouse.query(f'from "{name}"')
            found[name] = rows.schema, sorted(map(repr, rows.to_pylist()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@given(given_pages)
@settings(max_examples=15, deadline=None)
def test_a_warehouse_holds_the_same_of_rows_beside_memory(mode, wanted):
    path, bodies = wanted
    task = task_of(path, mode)
    with tempfile.TemporaryDirectory() as folder:
        whole = stored(task, bodies, Path(folder) / "whole.duckdb")
        with small_batches():
            parts = stored(task, bodies, Path(folder) / "parts.duckdb", folder)

    assert parts == whole


@pytest.fixture
def failing(monkeypatch):
    """Files take bytes; once it is called, they do not give them back, as on a disk that fails."""
    temporary, fails = tempfile.TemporaryFile, []

    class File:
        def __init__(self, file):
            self.file = file
            self.seek, self.write, self.close = file.seek, file.write, file.close

        def read(self, size):
            if fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return self.file.read(size)

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **facts: File(temporary(**facts)))
    return lambda: fails.append(True)


def test_a_rebuild_whose_disk_fails_under_it_says_so_and_changes_nothing(
    workplace, monkeypatch, failing
):
    workplace.key = workplace.city.keys["full"]
    endpoint = f'[[endpoints]]\nname = "faction_crimes"\npath = "{CRIMES}"\nsince = "P30D"\n'
    workplace.write(endpoint)
    workplace.log("faction_crimes").raise_for_error()
    before, halves = workplace.tables(), workplace.folder / "archive" / ".half"
    monkeypatch.setattr(Archive, "scratch", lambda _self: Scratch(halves, memory=0))
    failing()

    with pytest.raises(DiskFailed, match="Input/output error"):
        workplace.again(rebuild, "faction_crimes")

    assert workplace.tables() == before


def test_rows_that_the_disk_does_not_give_back_are_a_fault_of_the_disk(tmp_path, failing):
    bodies = [(7, json.dumps({"crimes": [{"id": number}]})) for number in range(30)]
    task, answers = task_of(CRIMES), fetched(bodies, tmp_path)
    with small_batches():
        made = made_of(task, answers)
    failing()

    with DuckDBWarehouse(tmp_path / "torn.duckdb") as warehouse:
        load = load_of(task, answers, made, Guard(), cursor=None, at=1.0)
        with pytest.raises(DiskFailed, match="Input/output error"):
            warehouse.commit(load)
        assert warehouse.loads() == []


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_large_run_is_logged_and_made_again_as_a_small_one(workplace, monkeypatch, mode):
    workplace.key = workplace.city.keys["full"]
    endpoint = f'[[endpoints]]\nname = "faction_crimes"\npath = "{CRIMES}"\nsince = "P30D"\n'
    workplace.write(f'{endpoint}storage_mode = "{mode}"\n')
    halves = workplace.folder / "archive" / ".half"
    monkeypatch.setattr(Archive, "scratch", lambda _self: Scratch(halves, memory=0))

    with small_batches(20_000):
        outcome = workplace.log("faction_crimes")
        outcome.raise_for_error()
        before = workplace.tables()
        workplace.again(rebuild, "faction_crimes")

    assert isinstance(outcome.made.tables["faction_crimes"], KeptRows)
    assert outcome.tables["faction_crimes"].num_rows == outcome.rows["faction_crimes"] > 50
    assert workplace.tables() == before
    assert list(halves.iterdir()) == []
    monkeypatch.undo()
    workplace.again(rebuild, "faction_crimes")
    assert workplace.tables() == before


def test_a_folder_that_takes_no_file_leaves_all_in_memory(tmp_path):
    (tmp_path / "taken").write_text("a file")
    scratch = Scratch(tmp_path / "taken", memory=3)

    pieces = [scratch.put(content) for content in (b"ab", b"cdef", b"")]

    assert [piece.read() for piece in pieces] == [b"ab", b"cdef", b""]


def test_bytes_are_in_a_file_without_a_name_once_they_are_many(tmp_path):
    scratch = Scratch(tmp_path / "made", memory=4)
    first, second = scratch.put(b"abc"), scratch.put(memoryview(b"defg"))
    third = scratch.put(b"hi")

    assert [piece.read() for piece in (third, first, second, first)] == [
        b"hi",
        b"abc",
        b"defg",
        b"abc",
    ]
    assert first.content is None
    assert list((tmp_path / "made").iterdir()) == []


def kept_rows(folder, *lists):
    """Rows with one column of numbers, a part for each list."""
    schema = pa.schema([("number", pa.int64())])
    maker = RowMaker(schema, Scratch(folder, memory=0))
    for numbers in lists:
        maker.add(pa.table({"number": numbers}, schema))
    return maker.rows()


@pytest.mark.parametrize("wanted", [[5, 0, 3, 1, 3], [4, 2], [1], []])
def test_rows_are_taken_in_the_order_that_is_asked_for(tmp_path, wanted):
    rows = kept_rows(tmp_path, [10, 11], [], [12], [13, 14, 15])

    taken = rows.take(pa.array(wanted, pa.int64()))

    assert taken["number"].to_pylist() == [10 + at for at in wanted]


@pytest.mark.parametrize("twice", [["it", "it_slots"], ["it"], ["it_slots"]])
def test_a_key_that_repeats_in_another_batch_is_found(tmp_path, twice):
    body = {"crimes": [{"id": 1, "slots": [{"position": "Driver"}, {"position": "Muscle"}]}]}
    made = made_of(task_of(CRIMES), fetched([(7, json.dumps(body))], tmp_path))
    tables = dict(made.tables)
    for name in twice:
        rows = tables[name]
        tables[name] = KeptRows(rows.schema, rows.parts * 2, rows.scratch)

    found = repeated_keys(made.family, tables)

    # A record is in one part: as long as no record repeats, its children do not.
    children = {"it_slots": 2} if twice == ["it", "it_slots"] else {}
    assert found == ({"it": 1} | children if "it" in twice else {})


def test_a_scratch_leaves_the_archive_as_much_space_as_it_takes(tmp_path, monkeypatch):
    space, free = 1_000, shutil.disk_usage(tmp_path)

    def usage(folder):
        taken = sum(os.fstat(handle).st_size for handle in files)
        return free._replace(free=space - taken)

    files = []
    temporary = tempfile.TemporaryFile

    def remembered(**facts):
        made = temporary(**facts)
        files.append(made.fileno())
        return made

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(tempfile, "TemporaryFile", remembered)
    scratch = Scratch(tmp_path, memory=0)

    pieces = [scratch.put(bytes([number]) * 100) for number in range(20)]

    assert usage(tmp_path).free == 500
    assert [piece.read() for piece in pieces] == [bytes([number]) * 100 for number in range(20)]


@pytest.mark.parametrize(("most", "in_file"), [(3, True), (0, False), (None, False)])
def test_a_disk_that_takes_few_bytes_at_once_or_none_loses_nothing(
    tmp_path, monkeypatch, most, in_file
):
    temporary = tempfile.TemporaryFile

    class Slow:
        def __init__(self, file):
            self.file = file
            self.seek, self.read, self.close = file.seek, file.read, file.close

        def write(self, content):
            return most and self.file.write(content[:most])

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **facts: Slow(temporary(**facts)))
    scratch = Scratch(tmp_path, memory=2)

    pieces = [scratch.put(content) for content in (b"ab", b"cdefghij", b"klmno")]

    assert [piece.read() for piece in pieces] == [b"ab", b"cdefghij", b"klmno"]
    assert all((piece.content is None) is in_file for piece in pieces)
