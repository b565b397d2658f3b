"""Warehouses to be held to one suite, and an easy way to make loads for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.models.evolution import adopt
from tcdatalogger.models.reading.decode import decode
from tcdatalogger.models.rows.drift import drift
from tcdatalogger.models.rows.normalize import Provenance, normalize
from tcdatalogger.models.schema import family
from tcdatalogger.models.shape import Field, Json, Kind, List, Object, Scalar
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.protocol import Warehouse

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
    """Makes loads of the endpoint `wars`, each of a run of its own unless it is named."""

    warehouse: Callable[[], Warehouse]
    runs: int = 0
    clock: ManualClock = field(default_factory=lambda: ManualClock(SERVED_AT))

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
    ) -> Load:
        """A load of these records, as a run would make it: with all that was learned before.

        Args:
            wars: the records; one without `hits` has none.
            of: the kinds of the fields that the catalogue knows beside `id` and `hits`.
            mode, run, endpoint, table: as in a load.
            at: when Torn answered, seconds since 1970.
            subject: whom they are about.
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
        made = family(decoded.shape, table, key=("id",))
        rows = normalize(decoded.batches, made, [Provenance(at, subject, run)])
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


@dataclass
class Store:
    """One kind of warehouse under test.

    Attributes:
        open: opens it anew; what was committed is there.
    """

    open: Callable[[], Warehouse]


@pytest.fixture(params=["duckdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every warehouse has to pass: a new one adds its name and a way to open it."""
    assert request.param == "duckdb"
    return Store(lambda: DuckDBWarehouse(tmp_path / "torn.duckdb", ManualClock()))


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
def rows(warehouse: Warehouse) -> Callable[[str], list[Any]]:
    """The rows of a query: of one column as values, of several as tuples."""

    def rows(sql: str) -> list[Any]:
        found = [tuple(row.values()) for row in warehouse.query(sql).to_pylist()]
        return [row[0] if len(row) == 1 else row for row in found]

    return rows


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
