"""Which loads of an endpoint the ledger has, which of them count, and what they wrote."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import duckdb

from tcdatalogger.services.duckdb.connection import quoted
from tcdatalogger.services.warehouse.protocol import ROLLED_BACK, LedgerLine, Load


def lines(
    connection: duckdb.DuckDBPyConnection, endpoint: str, run_id: str, *, counting: bool, most: int
) -> list[LedgerLine]:
    """The loads of the ledger, the newest first; the arguments are those of `Warehouse.loads`."""
    rows = connection.execute(
        """select load_id, run_id, endpoint, mode, rows, schema_version, archive_file, superseded_by
           from _tcd_loads where ($1 = '' or endpoint = $1) and ($2 = '' or run_id = $2)
           and (superseded_by is null or not $3) order by rowid desc limit $4""",
        [endpoint, run_id, counting, most or None],
    ).fetchall()
    return [
        LedgerLine(load, run, name, mode, json.loads(rows), int(version), file or "", gone)
        for load, run, name, mode, rows, version, file, gone in rows
    ]


def tables_of(connection: duckdb.DuckDBPyConnection, endpoint: str) -> list[str]:
    """The tables that the loads of an endpoint wrote."""
    rows = connection.execute(
        """select distinct unnest(json_keys(rows)) as name from _tcd_loads
           where endpoint = ? order by name""",
        [endpoint],
    ).fetchall()
    return [str(name) for (name,) in rows]


def family_of(connection: duckdb.DuckDBPyConnection, endpoint: str, root: str) -> list[str]:
    """The tables that the loads of an endpoint wrote together with a root.

    An endpoint may have had another `table` before, whose name can begin like that of this one.
    """
    rows = connection.execute(
        """select distinct unnest(json_keys(rows)) as name from _tcd_loads
           where endpoint = $1 and list_contains(json_keys(rows), $2) order by name""",
        [endpoint, root],
    ).fetchall()
    return [str(name) for (name,) in rows]


def family_of_run(connection: duckdb.DuckDBPyConnection, endpoint: str, run_id: str) -> list[str]:
    """The tables of the family that the loads of a run that count have written."""
    rows = connection.execute(
        """select distinct json_keys(rows)[1] from _tcd_loads
           where endpoint = $1 and run_id = $2 and superseded_by is null""",
        [endpoint, run_id],
    ).fetchall()
    found = [name for (root,) in rows for name in family_of(connection, endpoint, str(root))]
    return list(dict.fromkeys(found))


def newest_run(connection: duckdb.DuckDBPyConnection, endpoint: str) -> str | None:
    """The run of an endpoint's newest load, whether it counts or not; None before its first."""
    rows = connection.execute(
        "select run_id from _tcd_loads where endpoint = ? order by rowid desc limit 1", [endpoint]
    ).fetchall()
    return str(rows[0][0]) if rows else None


def newest_that_counts(
    connection: duckdb.DuckDBPyConnection, endpoint: str, instead: str = ""
) -> str | None:
    """The run of an endpoint's newest load that counts, or counted until the load `instead`."""
    rows = connection.execute(
        """select run_id from _tcd_loads
           where endpoint = ? and (superseded_by is null or superseded_by = ?)
           order by rowid desc limit 1""",
        [endpoint, instead],
    ).fetchall()
    return str(rows[0][0]) if rows else None


def of_run(
    connection: duckdb.DuckDBPyConnection, endpoint: str, run_id: str
) -> list[tuple[str, str | None]]:
    """The mode of each load of a run, and what it gave way to, None where it counts."""
    return [
        (str(mode), gone)
        for mode, gone in connection.execute(
            """select mode, superseded_by from _tcd_loads
               where endpoint = ? and run_id = ? order by rowid""",
            [endpoint, run_id],
        ).fetchall()
    ]


def supersede(
    connection: duckdb.DuckDBPyConnection, endpoint: str, runs: Sequence[str], by: str
) -> None:
    """Let the loads of runs count no longer, and take what they set aside off the books."""
    connection.execute(
        """update _tcd_loads set superseded_by = ?
           where endpoint = ? and list_contains(?, run_id) and superseded_by is null""",
        [by, endpoint, list(runs)],
    )
    connection.execute(
        "delete from _tcd_quarantine where endpoint = ? and list_contains(?, run_id)",
        [endpoint, list(runs)],
    )


def was_rolled_back(connection: duckdb.DuckDBPyConnection, load: Load) -> bool:
    """Whether another run stored the load of this id, and was rolled back."""
    rows = connection.execute(
        "select run_id, superseded_by from _tcd_loads where load_id = ?", [load.id]
    ).fetchall()
    return any(run != load.run_id and str(gone).startswith(ROLLED_BACK) for run, gone in rows)


def mode(connection: duckdb.DuckDBPyConnection, endpoint: str, table: str) -> str | None:
    """The storage mode of an endpoint's newest load of a table that counts; None before one.

    A record of the quarantine that is stored later is appended to a `replace`, and does not tell.
    """
    row = connection.execute(
        """select arg_max(mode, rowid) from _tcd_loads l where endpoint = ?1
           and superseded_by is null and list_contains(json_keys(rows), ?2)
           and not exists (from _tcd_loads r where r.endpoint = ?1 and r.run_id = l.run_id
                           and r.mode = 'replace' and l.mode = 'append')""",
        [endpoint, table],
    ).fetchone()
    return None if row is None else row[0]


def others(
    connection: duckdb.DuckDBPyConnection, endpoint: str, table: str, modes: Collection[str]
) -> tuple[str, str] | None:
    """Another endpoint whose rows a table holds, stored by one of these modes, and by which.

    So it is where an endpoint got another name and kept its table.
    """
    theirs = """from _tcd_loads where endpoint <> $1 and superseded_by is null
        and list_contains($2, mode) and list_contains(json_keys(rows), $3)"""
    values = [endpoint, list(modes), table]
    if not connection.execute(f"select 1 {theirs} limit 1", values).fetchall():
        return None
    row = connection.execute(
        f"""select endpoint, mode from (select endpoint, mode, run_id {theirs}) l
            semi join {quoted(table)} r on r._run_id = l.run_id limit 1""",
        values,
    ).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))
