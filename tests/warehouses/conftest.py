"""Warehouses to be held to one suite, and an easy way to make loads for them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import Failure
from tcdatalogger.models.evolution import adopt
from tcdatalogger.models.reading.decode import decode
from tcdatalogger.models.renames import renamed
from tcdatalogger.models.rows.drift import drift
from tcdatalogger.models.rows.normalize import Provenance, normalize
from tcdatalogger.models.schema import family
from tcdatalogger.models.shape import Field, Json, Kind, List, Object, Scalar
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.protocol import Warehouse
from warehouses import holdings
from warehouses.memory import Memory, MemoryWarehouse

SERVED_AT = 1_767_225_600.0


def shape(fields: Mapping[str, str]) -> Object:
    """The body of a list `wars`: each has an id, a list `hits`, and fields of these kinds."""
    hit = Object((_field("id", "int"), _field("user", "int")))
    own = (_field("id", "int"), *(_field(*pair) for pair in fields.items()))
    return Object((Field("wars", List(Object((*own, Field("hits", List(hit)))))),))


def _field(name: str, kind: str) -> Field:
    made = Json(nullable=True) if kind == "json" else Scalar(Kind(kind), nullable=True)
    return Field(name, made, required=False)


@dataclass
class Maker:
    """Makes loads of the endpoint `wars`, each of a run of its own unless it is named.

    Attributes:
        warehouse: that knows what was learned before.
        runs: how many there were.
        clock: that goes on by a minute for each.
        made: the endpoints and tables of all loads.
    """

    warehouse: Callable[[], Warehouse]
    runs: int = 0
    clock: ManualClock = field(default_factory=lambda: ManualClock(SERVED_AT))
    made: set[tuple[str, str]] = field(default_factory=set)

    def __call__(
        self,
        *wars: Mapping[str, Any],
        of: Mapping[str, str] | None = None,
        mode: str = "append",
        run: str = "",
        endpoint: str = "wars",
        table: str = "",
        at: float = SERVED_AT,
        subject: int = 40832,
        parameters: Mapping[str, str] | None = None,
        telling: Collection[str] = (),
    ) -> Load:
        """A load of these records, as a run would make it: with all that was learned before.

        Args:
            wars: the records; one without `hits` has none.
            of: the kinds of the fields that the catalogue knows beside `id` and `hits`.
            mode, run, endpoint, table: as in a load.
            at: when Torn answered, seconds since 1970.
            subject: whom they are about.
            parameters, telling: the parameters that are columns, and those of them in the key.
        """
        self.runs += 1
        self.clock.sleep(60)
        run = run or f"run-{self.runs}"
        known = self.warehouse().known(endpoint)
        grown = shape(of or {})
        grown = grown if known is None else adopt(grown, known)
        body = json.dumps({"wars": [{"hits": [], **war} for war in wars]}).encode()
        table = table or endpoint
        decoded = decode([body], family(grown, table, key=("id",)))
        asked = dict(parameters or {})
        made = family(decoded.shape, table, key=("id",)).with_parameters(asked, telling)
        rows = normalize(decoded.batches, made, [Provenance(at, subject, run, asked)])
        self.made |= {(endpoint, each.name) for each in made.tables}
        return Load(
            id=f"load-of-{run}-{endpoint}",
            run_id=run,
            endpoint=endpoint,
            mode=mode,
            family=made,
            tables=rows.tables,
            catalog_version="6.13.6",
            committed_at=self.clock.now(),
            archive=f"{endpoint}/{run}.parquet",
            drift=drift(made, decoded.examples),
            rejected=decoded.rejected,
        )


def called(load: Load, **names: str) -> Load:
    """A load under names of the user's own; `__` stands for the dot between two of them."""
    family = renamed(load.family, {name.replace("__", "."): new for name, new in names.items()})
    tables = {
        table.name: load.tables[table.name].rename_columns([c.name for c in table.columns])
        for table in family.tables
    }
    return replace(load, family=family, tables=tables)


@dataclass
class Store:
    """A warehouse under test.

    Attributes:
        open: opens it anew; what was committed is there.
    """

    open: Callable[[], Warehouse]


def _duckdb(folder: Path) -> Store:
    return Store(lambda: DuckDBWarehouse(folder / "torn.duckdb", ManualClock()))


def _memory(_: Path) -> Store:
    memory = Memory()
    return Store(lambda: MemoryWarehouse(memory))


KINDS: Mapping[str, Callable[[Path], Store]] = {"duckdb": _duckdb, "memory": _memory}
"""Every kind of warehouse has to pass: how an empty one of it is made in an empty folder."""

BIGQUERY = pytest.param("bigquery", marks=pytest.mark.slow)
LIVE = pytest.param("bigquery_live", marks=[pytest.mark.slow, pytest.mark.bigquery_live])


ALL = "TCD_BIGQUERY_ALL"
"""The variable that has the emulator take every case of every test; it takes more than an hour."""
_FEW = 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a test with three cases and more the emulator takes every fourth one, and one at least."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if "[bigquery" in item.nodeid and "bigquery_live" not in item.nodeid:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left = {
        item
        for name, mine in cases.items()
        for number, item in enumerate(mine)
        if len(mine) > _FEW and (number + len(name)) % min(4, len(mine)) and not os.environ.get(ALL)
    }
    if left:
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=list(left))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not os.environ.get(ALL):
        terminalreporter.line(
            "Of a test of warehouses with several cases the emulator takes every fourth; "
            "`make test-bigquery` runs all of them."
        )


@pytest.fixture(params=[*KINDS, BIGQUERY, LIVE])
def make_store(request: pytest.FixtureRequest) -> Callable[[Path], Store]:
    """Makes an empty warehouse of the kind under test in an empty folder."""
    return store_maker(request, request.param)


def store_maker(request: pytest.FixtureRequest, kind: str) -> Callable[[Path], Store]:
    """Makes an empty warehouse of a kind in an empty folder."""
    return KINDS[kind] if kind in KINDS else request.getfixturevalue(f"make_{kind}")


@pytest.fixture
def make_bigquery(bigquery: Any, new_dataset: Callable[[], str]) -> Callable[[Path], Store]:
    """Makes an empty dataset of the emulator."""
    return _in_datasets(new_dataset, bigquery.environ)


@pytest.fixture
def make_bigquery_live(new_live_dataset: Callable[[], str]) -> Callable[[Path], Store]:
    """Makes an empty dataset of Google's."""
    return _in_datasets(new_live_dataset, {})


def _in_datasets(new: Callable[[], str], environ: Mapping[str, str]) -> Callable[[Path], Store]:
    from tcdatalogger.services.google.connect import connect  # noqa: PLC0415 - takes a second
    from tcdatalogger.services.google.warehouse import BigQueryWarehouse  # noqa: PLC0415

    def make(_: Path) -> Store:
        url = new()
        return Store(lambda: BigQueryWarehouse(connect(url, environ)))

    return make


@pytest.fixture
def make_duckdb() -> Callable[[Path], Store]:
    """For tests of that kind alone: in the place of `make_store`."""
    return _duckdb


@pytest.fixture
def store(make_store: Callable[[Path], Store], tmp_path: Path) -> Store:
    """The warehouse that is under test."""
    return make_store(tmp_path)


@pytest.fixture
def new_store(
    make_store: Callable[[Path], Store], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Store]:
    """Makes another one of the same kind that is empty."""
    return lambda: make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def warehouse(store: Store) -> Iterator[Warehouse]:
    with store.open() as opened:
        yield opened


@pytest.fixture
def load(warehouse: Warehouse) -> Maker:
    return Maker(lambda: warehouse)


@pytest.fixture
def maker() -> type[Maker]:
    """For a warehouse of a test's own."""
    return Maker


@pytest.fixture
def beside(warehouse: Warehouse) -> Callable[..., Load]:
    """A load of one war whose page also says something that the catalogue lacks."""

    def beside(note: str, *, mode: str, run: str, at: float) -> Load:
        grown = shape({})
        known = warehouse.known("wars")
        grown = grown if known is None else adopt(grown, known)
        body = json.dumps({"wars": [{"id": 1, "hits": []}], "note": note}).encode()
        decoded = decode([body], family(grown, "wars", key=("id",)))
        made = family(decoded.shape, "wars", key=("id",))
        rows = normalize(decoded.batches, made, [Provenance(at, 40832, run)])
        return Load(f"load-{run}", run, "wars", mode, made, rows.tables, "6.13.6", at)

    return beside


@pytest.fixture
def rows(warehouse: Warehouse) -> Callable[..., list[Any]]:
    """The rows of a table, as `holdings.rows`."""
    return partial(holdings.rows, warehouse)


@pytest.fixture
def everything(warehouse: Warehouse, load: Maker) -> Callable[[], holdings.Holdings]:
    """All tables of the warehouse, with their columns and rows, as `holdings.everything`."""
    return lambda: holdings.everything(warehouse, load.made)


@pytest.fixture
def picture(warehouse: Warehouse, load: Maker) -> Callable[[], holdings.Holdings]:
    """All values of the warehouse, as `holdings.picture`."""
    return lambda: holdings.picture(warehouse, load.made)


@pytest.fixture
def dry_first(everything: Callable[[], holdings.Holdings]) -> Callable[..., Any]:
    """Acts on a warehouse, but first dry: this changes nothing, and tells or refuses the same."""

    def outcome(act: Callable[[], Any]) -> tuple[Any, Failure | None]:
        try:
            return act(), None
        except Failure as error:
            return None, error

    def dry_first(act: Callable[..., Any], *facts: Any, **options: Any) -> Any:
        before = everything()
        told, expected = outcome(partial(act, *facts, **options, dry=True))
        assert everything() == before
        done, error = outcome(partial(act, *facts, **options))
        assert (told, repr(expected)) == (done, repr(error))
        if error is not None:
            raise error
        return done

    return dry_first


@pytest.fixture
def spoil() -> Callable[[Load], Load]:
    """A load whose last table cannot be stored: its rows do not fit the column."""
    import pyarrow as pa  # noqa: PLC0415

    def spoil(load: Load) -> Load:
        last = load.family.tables[-1].name
        table = load.tables[last]
        at = table.column_names.index("_index")
        bad = pa.array(["no number"] * table.num_rows)
        return replace(load, tables={**load.tables, last: table.set_column(at, "_index", bad)})

    return spoil
