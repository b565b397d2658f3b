"""Exports: a question or a table, written into a file or a sheet of Google.

An export stands with the runs under the name `EXPORT` and its own. The warehouse is open while rows
are read and no longer: a load waits for the query alone, which has a limit of time, and never for
the file or for Google.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tcdatalogger import disk, files, private
from tcdatalogger.core.config.exports import ExportSettings, spreadsheet
from tcdatalogger.core.main import GOOGLE_CREDENTIALS, Application
from tcdatalogger.core.operations.recorded import recorded
from tcdatalogger.core.run.timeout import deadline
from tcdatalogger.core.state.leases import EXPORT, Claim
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import ConfigError, Failure, UsageError
from tcdatalogger.models import tabular
from tcdatalogger.models.schema import Type
from tcdatalogger.observability.log import bound, get_logger
from tcdatalogger.questions import answers, question
from tcdatalogger.questions.question import Question
from tcdatalogger.questions.relations import Relations
from tcdatalogger.services.google.connect import connect_sheets
from tcdatalogger.services.warehouse.protocol import Limits
from tcdatalogger.text import did_you_mean

if TYPE_CHECKING:
    from tcdatalogger.services.google.sheets import Sheets

READING: Final = Limits(15.0, 1_000_000_000, 1)
"""The limits of the query: its time is shorter than a load waits for a warehouse."""
_STEP: Final = "export"
_HALF: Final = ".half"

_log = get_logger("exports")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        name: of the export.
        place: where it was written, for people.
        rows: how many.
    """

    name: str
    place: str
    rows: int


def named(application: Application, name: str) -> ExportSettings:
    """The export of this name.

    Raises:
        UsageError: there is none.
    """
    known = {each.name: each for each in application.settings.exports}
    if not known:
        raise UsageError(
            "No export is configured.",
            remedy="Write one under [[exports]]; docs/exports.md has examples.",
        )
    if name not in known:
        names = f"There are: {', '.join(known)}."
        raise UsageError(f"There is no export {name!r}.", remedy=did_you_mean(name, known, names))
    return known[name]


def export(
    application: Application,
    settings: ExportSettings,
    *,
    claim: Claim | None = None,
    timeout: float | None = None,
) -> Exported:
    """Write an export now.

    Args:
        application: the application.
        settings: of the export.
        claim: the claim, where it exists already.
        timeout: seconds that it may take, None for no limit.

    Raises:
        Busy: another process writes it.
        ConfigError: its question or its table is not there or is wrong, nothing is stored yet, or
            the sheet may not be written.
        DataRefused: it does not fit into a sheet.
        DiskFull: the disk is full.
        SheetsUnavailable: Google cannot be reached now.
        TimedOut: the query or all of it took too long.
        WarehouseUnavailable: the warehouse cannot be read now.
    """
    name = EXPORT + settings.name
    run_id = new_run_id(application.clock) if claim is None else claim.run_id
    with (
        application.claimed(name, run_id, claim) as held,
        bound(run_id=run_id, endpoint=name),
        recorded(application, held, _STEP),
    ):
        try:
            with deadline(timeout, f"The export {settings.name}", "Give it more `timeout`."):
                rows = _rows(application, settings)
                _write(application, settings, rows)
        except Failure as failure:
            _log.error("export_failed", error=type(failure).__name__, message=failure.message)
            raise
    _log.info("export_written", export=settings.name, rows=rows.num_rows)
    return Exported(settings.name, settings.place, rows.num_rows)


def wrong(application: Application, settings: ExportSettings) -> str:
    """Why an export cannot be written as it is configured, a sentence; "" where it can be."""
    try:
        if settings.question is not None:
            answers.given(_asked(application, settings), _texts(settings))
        if settings.sheet is not None:
            _sheets(application, settings)
    except (ConfigError, UsageError) as error:
        return str(error)
    return ""


# --- to read -------------------------------------------------------------------------------------


def _rows(application: Application, settings: ExportSettings) -> pa.Table:
    if settings.question is not None:
        return _answer(application, settings)
    table = settings.table or ""
    with application.warehouse(read_only=True, limits=READING) as warehouse:
        stored = warehouse.stored([table]).get(table) if warehouse.exists() else None
        if not stored:
            raise ConfigError(
                f"The export {settings.name} has nothing to write: there is no table {table!r}.",
                remedy="`tcdatalogger schema history` names the tables that are stored.",
            )
        dialect = warehouse.dialect
        columns = ", ".join(
            dialect.text_of_json(name) if kind is Type.JSON else dialect.name(name)
            for name, kind in stored.items()
        )
        return answers.plain(warehouse.query(f"select {columns} from {dialect.name(table)}"))


def _answer(application: Application, settings: ExportSettings) -> pa.Table:
    asked = _asked(application, settings)
    relations = Relations(application.settings, application.catalog, application.clock.now())
    values = answers.given(asked, _texts(settings))
    with application.warehouse(read_only=True, limits=READING) as warehouse:
        answer = answers.ask(warehouse, relations, asked, values)
    if answer.rows is None:
        raise ConfigError(
            f"The export {settings.name} has nothing to write: nothing is stored for "
            f"{asked.name} yet.",
            remedy=f"`tcdatalogger ask {asked.name}` says what has to be logged.",
        )
    return answer.rows


def _asked(application: Application, settings: ExportSettings) -> Question:
    name, known = settings.question or "", question.known(application.settings.digest.folder)
    if name not in known:
        near = did_you_mean(name, known, "`tcdatalogger ask` lists them.")
        raise ConfigError(f"There is no question {name!r}.", remedy=near)
    if known[name].audience == "owner" and not settings.owner:
        raise ConfigError(
            f"The answer to {name} is for the owner of the key alone.",
            remedy=f"`owner = true` in the export {settings.name} writes it all the same.",
        )
    return known[name]


def _texts(settings: ExportSettings) -> dict[str, str]:
    return {name: str(value) for name, value in settings.params.items()}


# --- to write ------------------------------------------------------------------------------------


def _write(application: Application, settings: ExportSettings, rows: pa.Table) -> None:
    if settings.file is not None:
        _write_file(Path(settings.file), rows, raw=settings.raw)
        return
    written = [rows.column_names, *tabular.rows(tabular.plain_spans(rows))]
    _sheets(application, settings).replace(
        spreadsheet(settings.sheet or ""), settings.tab or settings.name, written
    )


def _sheets(application: Application, settings: ExportSettings) -> Sheets:
    reference, place = settings.credentials, f"exports.{settings.name}.credentials"
    if reference is None:
        reference, place = application.settings.warehouse.credentials or "", GOOGLE_CREDENTIALS
    secret = application.secret(place, reference, document=True)
    return connect_sheets(application.environ, secret, application.clock)


def _write_file(file: Path, rows: pa.Table, *, raw: bool) -> None:
    """Write a file in place of the former one, in one step.

    Raises:
        ConfigError: it cannot be written.
        DiskFull: the disk is full.
    """
    try:
        with _replaced(file) as stream:
            if file.suffix == ".csv":
                for part in tabular.csv_parts(rows, raw=raw):
                    stream.write(part)
            elif file.suffix == ".json":
                stream.write(tabular.json_text(rows).encode("utf-8", "backslashreplace"))
            else:
                pq.write_table(tabular.plain_spans(rows), stream, compression="zstd")
    except OSError as error:
        unwritable = ConfigError(
            f"{file} cannot be written: {error.strerror or error}.",
            remedy="Name a file in a folder that this user may write to.",
        )
        raise disk.failure(error, str(file), unwritable) from None


@contextmanager
def _replaced(file: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of a former one at the end of the block.

    Whoever reads sees the former file or the new one, also after a power cut. It keeps the mode of
    the former one; a new one is its owner's alone.
    """
    private.folder(file.parent)
    half = file.with_name(f".{file.name}{_HALF}")
    half.unlink(missing_ok=True)
    try:
        with open(half, "xb", opener=private.opener) as stream:
            with suppress(FileNotFoundError):
                half.chmod(file.stat().st_mode & 0o777)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        half.replace(file)
        files.sync_folder(file.parent)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
