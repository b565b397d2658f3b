"""`tcdatalogger transform`: saved answers become tables, without key, network or warehouse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import disk
from tcdatalogger.cli.commands.catalog import endpoint_at
from tcdatalogger.cli.output import json_option, number, print_json, print_table, say
from tcdatalogger.errors import DataRefused, UsageError

if TYPE_CHECKING:
    from tcdatalogger.models.reading.row_reader import RejectedRecord


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger transform /faction/members members.json --to tables\n"
    "  tcdatalogger transform /faction/crimes page*.json --to tables --json",
)
@click.argument("path")
@click.argument(
    "bodies",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--to",
    "out",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the tables; made where it is not there.",
)
@click.option("--strict", is_flag=True, help="Exit with 65 when anything was set aside.")
@json_option
def command(
    path: str,
    bodies: tuple[Path, ...],
    out: Path,
    strict: bool,
    as_json: bool,
) -> None:
    """Turn answers of Torn's API, saved in files, into Parquet tables.

    PATH is one of the catalogue's. Writes DIR/TABLE.parquet for every table, DIR/quarantine.jsonl
    with the records that do not fit (whole bodies too, and errors of Torn's), and DIR/drift.json
    with what the catalogue does not know.
    """
    from tcdatalogger.models.reading.csv import decode_csv
    from tcdatalogger.models.reading.decode import decode  # pyarrow
    from tcdatalogger.models.rows.drift import drift
    from tcdatalogger.models.rows.normalize import Provenance, normalize
    from tcdatalogger.models.schema import family

    endpoint, values = endpoint_at(path)
    if endpoint.route:
        raise UsageError(
            f"{endpoint.path} takes any selection, so its answers have no tables of their own.",
            remedy=f"Name the selection, as {endpoint.path}/basic.",
        )

    def tables(shape: Any) -> Any:
        several = len(bodies) > 1
        return family(shape, endpoint.name, selection=endpoint.selection, several=several)

    subject = next((int(v) for v in values.values() if v.isdecimal()), None)
    read = decode_csv if endpoint.content == "csv" else decode
    answers, errors = _without_errors([file.read_bytes() for file in bodies])
    decoded = read(answers, tables(endpoint.shape))
    grown = tables(decoded.shape)
    made = normalize(decoded.batches, grown, [Provenance(subject_id=subject)] * len(bodies))
    found = drift(grown, decoded.examples)
    rejected = (*errors, *decoded.rejected)
    _write(out, made.tables, rejected, [_drift_facts(one) for one in found])
    rows = {name: table.num_rows for name, table in made.tables.items()}
    payload = endpoint.payload
    if payload and (empty := sum(map(payload.lacks, answers))):
        what = "/".join(payload.names)
        say(f"{number(empty)} of {number(len(bodies))} have no `{what}`.", err=True)
    if as_json:
        print_json({"tables": rows, "quarantined": len(rejected), "drift": len(found)})
    else:
        files = [(n, r, out / f"{n}.parquet") for n, r in rows.items()]
        print_table(("table", "rows", "file"), files)
        if rejected:
            say(f"{number(len(rejected))} set aside: {out / 'quarantine.jsonl'}")
        if found:
            say(f"{number(len(found))} unknown to the catalogue: {out / 'drift.json'}")
    if strict and rejected:
        raise SystemExit(DataRefused.exit_code)


def _without_errors(bodies: list[bytes]) -> tuple[list[bytes], list[RejectedRecord]]:
    """The bodies that are data, and those that are an error of Torn's, which are set aside."""
    from tcdatalogger.models.reading.row_reader import RejectedRecord
    from tcdatalogger.services.torncity.client import classify

    data, errors = [], []
    for number_, body in enumerate(bodies):
        found = classify.classify(200, "", body)
        if found is None or found.number is None or found.selection:
            data.append(body)
            continue
        reason = f"it is Torn's error {found.number}: {found.kind.meaning}"
        text = body.decode(errors="backslashreplace")
        errors.append(RejectedRecord(number_, "", reason, text, again=False))
    return data, errors


def _drift_facts(one: Any) -> dict[str, str]:
    return {"table": one.table, "column": one.column, "type": one.type, "example": one.example}


def _write(
    out: Path, tables: Any, rejected: tuple[RejectedRecord, ...], found: list[dict[str, str]]
) -> None:
    import pyarrow.parquet as pq  # 30 ms

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            pq.write_table(table, out / f"{name}.parquet", compression="zstd")
        with (out / "quarantine.jsonl").open("w", encoding="utf-8") as file:
            for reject in rejected:
                line = {"path": reject.path, "reason": reject.reason, "record": reject.record}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        (out / "drift.json").write_text(
            json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
    except OSError as error:
        raise disk.failure(
            error,
            str(out),
            UsageError(
                f"The folder {out} cannot be written to: {error.strerror}.",
                remedy="Name another in --to.",
            ),
        ) from None
