"""The processor: the steps of one endpoint. Each step can be called alone.

    fetch_data -> transform_data -> validate

A processor of your own derives from `EndpointProcessor` and overrides what is special. Its
`transform_data` may return anything with the Arrow C stream interface, for example a pandas or
polars frame. It is in a file, or a package registers it (`endpoints/registry.py`); `docs/python.md`
shows an example.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import pyarrow as pa

from tcdatalogger.errors import ConfigError, DataRefused, NotFound, TimedOut, UsageError
from tcdatalogger.models import renames
from tcdatalogger.models.checks.evaluate import evaluate, keyless, unknown
from tcdatalogger.models.checks.every_load import missing, repeated_keys
from tcdatalogger.models.checks.promised import CheckFailed, CheckResult
from tcdatalogger.models.evolution import adopt, as_whole, too_long, widened
from tcdatalogger.models.owners import apart
from tcdatalogger.models.reading.csv import decode_csv
from tcdatalogger.models.reading.decode import Decoded, decode
from tcdatalogger.models.reading.infer import Path
from tcdatalogger.models.reading.row_reader import once_each
from tcdatalogger.models.records import VERSION, ignoring
from tcdatalogger.models.rows.by_run import by_run, records_repeat
from tcdatalogger.models.rows.drift import drift, moved, place
from tcdatalogger.models.rows.frames import refuse_unfit
from tcdatalogger.models.rows.normalize import Provenance, normalize, tells_records
from tcdatalogger.models.schema import TableFamily, family
from tcdatalogger.models.shape import Object, Shape
from tcdatalogger.scratch import Scratch
from tcdatalogger.services.torncity.catalog import parameters
from tcdatalogger.services.torncity.catalog.time_fields import restated
from tcdatalogger.services.torncity.client.messages import Request
from tcdatalogger.services.torncity.lists import paging
from tcdatalogger.services.torncity.lists.cursor import Cursor, WalkSummary
from tcdatalogger.services.torncity.lists.links import changed
from tcdatalogger.services.torncity.processing import quarantine, time_ranges
from tcdatalogger.services.torncity.processing.from_frames import from_frames
from tcdatalogger.services.torncity.processing.looking import look_at
from tcdatalogger.services.torncity.processing.task import (
    Bodies,
    Fetched,
    Known,
    Page,
    Result,
    Source,
    Task,
    Transformed,
)
from tcdatalogger.services.warehouse.load import KEYED, not_whole
from tcdatalogger.services.warehouse.protocol import Warehouse

__all__ = [
    "EndpointProcessor",
    "Fetched",
    "Known",
    "Page",
    "Result",
    "Source",
    "Task",
    "Transformed",
]


class EndpointProcessor:
    """The steps for any endpoint of the catalogue. `core` stores their rows.

    Attributes:
        defaults: parameters that are sent where the configuration does not set them.
        task: what the run has to do.
        source: the way to call Torn.
        known: what is known of the tables.
    """

    defaults: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, task: Task, *, source: Source | None = None, known: Known | None = None
    ) -> None:
        self.task = task
        self.source = source or Source()
        self.known = known or Known()
        self._made: dict[tuple[int, ...], tuple[Fetched, Transformed]] = {}
        self._plain: TableFamily | None = None

    # --- fetch -----------------------------------------------------------------------------

    @property
    def ids(self) -> tuple[str, ...]:
        """The values of the path's placeholder: those of a query, else those of the task."""
        return self.source.ids or self.task.ids

    @property
    def params(self) -> tuple[tuple[str, str], ...]:
        """The parameters of the query: those of the task, then the defaults of the processor."""
        task = self.task
        own = tuple((n, v) for n, v in self.defaults.items() if task.endpoint.parameter(n))
        given = {name for name, _ in task.params}
        return (*task.params, *(pair for pair in own if pair[0] not in given))

    def requests(self) -> Iterator[tuple[Request, int | None]]:
        """The first request for each subject, with the id of the subject.

        Raises:
            UsageError: the path has a placeholder and there are no ids.
        """
        task, params = self.task, self.params
        placeholders = task.endpoint.path_parameters
        if not placeholders:
            endpoint = task.endpoint
            subject = None if endpoint.city_wide else self.source.subject(endpoint.section)
            yield Request(endpoint.path, params), subject
            return
        name = placeholders[0].name
        if not self.ids:
            raise UsageError(
                f"{task.endpoint.path} needs a value for {{{name}}}.",
                remedy=f"Set `ids` of the endpoint {task.name}, or write it into its path.",
            )
        for value in self.ids:
            path = task.endpoint.path.replace(f"{{{name}}}", value)
            yield Request(path, params), int(value) if value.isdecimal() else None

    def look_back(self, warehouse: Warehouse) -> None:
        """Read what `questions` needs from the warehouse, before any call of Torn.

        The base reads nothing.

        Args:
            warehouse: the warehouse with the rows of earlier runs.
        """

    def questions(self) -> Iterator[tuple[Request, int | None]]:
        """The first request of each list of this run, with the id of the subject.

        An incremental run asks from a little before the cursor on.
        """
        for request, subject in self.requests():
            if not self.task.incremental:
                yield request, subject
                continue
            begin = self.begin(time_ranges.place(request, subject))
            yield changed(request, **{"from": str(begin)}), subject

    def begin(self, place: str) -> int:
        """The first second to ask for in the list of a place: a little before the cursor."""
        span = Cursor.read(self.source.cursor, self.task.asked).spans.get(place)
        return int(self.task.since) if span is None else max(0, span[1] - self.task.behind)

    def reading(
        self, request: Request, subject: int | None, walk: paging.PageIterator
    ) -> WalkSummary:
        """How far a walk went, for the cursor.

        Args:
            request: the first request of the walk.
            subject: the subject of the list, None for none.
            walk: the walk.
        """
        since = request.param("from")
        return WalkSummary(
            time_ranges.place(request, subject),
            int(since) if since and since.isdecimal() else None,
            walk.complete,
            int(walk.began_at),
            walk.newest,
        )

    def fetch_data(self) -> Fetched:
        """Call Torn, page after page.

        An answer without its data ends only its own walk: that walk is incomplete, and the other
        lists are stored. An id that Torn does not know is a warning where there are other ids.
        After a timeout the pages that came are returned where the storage mode can store a part of
        a list.

        Raises:
            Failure: a call failed (`error_codes.py`).
            UsageError: calls are not allowed, or the path needs ids.
            DataRefused: no list had an answer with its data.
        """
        get = self.source.get
        if get is None:
            raise UsageError(f"{self.task.name} has no way to call Torn.")
        if self.task.stretch is not None:
            [(request, subject)] = self.requests()
            return time_ranges.fetch(self.task, self.source, request, subject)
        found: list[Page] = []
        warnings: list[str] = []
        readings: list[WalkSummary] = []
        lacks: list[str] = []
        for request, subject in self.questions():
            walk = paging.pages(
                self.task.endpoint,
                request,
                get,
                self.source.clock,
                host=self.source.host,
                max_pages=self.task.max_pages or paging.MAX_PAGES,
            )
            try:
                for answer in walk:
                    page = Page.of(answer, subject)
                    found.append(page)  # at once: the page is kept at a timeout
                readings.append(self.reading(request, subject, walk))
            except NotFound as error:
                if len(self.ids) < 2:  # noqa: PLR2004 - one id that fails is a failure
                    raise
                warnings.append(f"{request.path}: {error.message}")
            except TimedOut as late:
                if not found or self.task.mode not in time_ranges.KEEPS_PIECES:
                    raise
                # Not complete, even if the walk says so: its last page may be missing in `found`.
                readings.append(replace(self.reading(request, subject, walk), complete=False))
                warnings += [*walk.warnings, time_ranges.cut_short(late, len(found))]
                return Fetched(tuple(found), tuple(warnings), tuple(readings), cut=late)
            warnings += walk.warnings
            lacks += [walk.lacks] * bool(walk.lacks)
        if lacks and len(lacks) == len(readings):
            raise time_ranges.without_data(self.task.endpoint.path, lacks[0])
        return Fetched(self._some(found), tuple(warnings), tuple(readings))

    def _some(self, found: Sequence[Page]) -> tuple[Page, ...]:
        """The pages that came.

        Raises:
            DataRefused: no page came.
        """
        if not found:
            raise DataRefused(
                f"Nothing was fetched for {self.task.name}: Torn knows none of its ids.",
                remedy="The tables stay as they are.",
            )
        return tuple(found)

    # --- its tables ------------------------------------------------------------------------

    @classmethod
    def declares(cls) -> bool:
        """Whether `family` is right before there are rows.

        It is not where a processor overrides `transform_data` and not `family`.
        """
        base = EndpointProcessor
        own = cls.transform_data is not base.transform_data
        says = cls.family is not base.family or cls.plain_family is not base.plain_family
        return says or not own

    # --- transform -------------------------------------------------------------------------

    def family(self, shape: Shape | None = None) -> TableFamily:
        """The tables for bodies of a shape, with the user's names for columns.

        Args:
            shape: the shape of the bodies; None for the catalogue's shape with all learned fields.

        Raises:
            ConfigError: the user's names give a table two columns of one name.
        """
        return self._named(self.plain_family(shape))

    def _named(self, plain: TableFamily) -> TableFamily:
        """The family with the user's names for columns."""
        named = renames.renamed(plain, dict(self.task.columns))
        return renames.around(named, VERSION) if self.task.mode == "history" else named

    def plain_family(self, shape: Shape | None = None) -> TableFamily:
        """As `family`, with the names of the shape for columns."""
        if shape is not None:
            return self._of_shape(shape)
        if self._plain is None:
            shape = self.task.endpoint.shape
            if self.known.shape is not None and isinstance(shape, Object):
                shape = adopt(shape, self.known.shape)
            self._plain = self._of_shape(shape)
        return self._plain

    def _of_shape(self, shape: Shape) -> TableFamily:
        task = self.task
        found = family(
            shape,
            task.root_table,
            selection=task.endpoint.selection,
            key=task.key,
        )
        found = self._with_parameters(found)
        return apart(found, self.known.owners, task.roots)

    def _with_parameters(self, plain: TableFamily) -> TableFamily:
        """The family with a column for each parameter that chooses the content.

        Where a parameter identifies a record it is in the key, but not in that of tables that were
        stored without it: their rows lack the value, so no record would be found again.
        """
        task, stored = self.task, self.known.telling
        names = parameters.of_content([name for name, _ in self.params])
        telling = parameters.telling(task.endpoint.path, plain, names)
        made = plain.with_parameters(names)
        asked = {c.path[1] for c in made.tables[0].columns if c.is_parameter and c.name in task.key}
        keyed = [
            n for n in names if n in asked or (n in telling and (stored is None or n in stored))
        ]
        return plain.with_parameters(names, keyed)

    def _with_former(self, family: TableFamily, asked: Collection[str]) -> TableFamily:
        """The family with a column for each parameter that was asked with and is no longer set.

        Without it, answers from the archive would lose the value when they are stored again.
        """
        there = {column.path[1] for column in family.tables[0].columns if column.is_parameter}
        return family.with_parameters(n for n in parameters.of_content(asked) if n not in there)

    def transform_data(self, fetched: Fetched) -> Result:
        """Make typed rows from bodies; records that do not fit are set aside, new fields are
        learned.

        Args:
            fetched: the answers.
        """
        values = dict(self.params if fetched.params is None else fetched.params)
        scratch, family = self._scratch(fetched), self.family()
        for again in (tells_records(family), False):
            looked = look_at(fetched.pages, self._lacks_data, again=again)
            numbers = looked.numbers
            given = [fetched.pages[number] for number in numbers]
            decoded = self._decode(given, family, scratch)
            # What is learned and set aside hangs on all pages in their order.
            if not looked.same or not (decoded.examples or decoded.rejected):
                break
        grown = self._with_former(self.family(decoded.shape), values)
        run_id = self.task.run_id
        pages = [Provenance(p.server_time, p.subject_id, run_id, values) for p in given]
        times = {at: len(looked.same[n]) for at, n in enumerate(numbers) if n in looked.same}
        made = normalize(decoded.batches, grown, pages, once=True, scratch=scratch, times=times)
        first = [looked.same.get(number, (number,))[0] for number in numbers]
        aside = [replace(m, page=first[m.page]) for m in (*decoded.rejected, *made.changed)]
        if looked.same:
            aside.sort(key=lambda reject: reject.page)
        subjects = [page.subject_id for page in fetched.pages]
        rejected = once_each(aside, subjects)
        found = drift(grown, decoded.examples)
        result = Transformed(
            grown,
            made.tables,
            found,
            rejected,
            unread=sum(not reject.path for reject in decoded.rejected),
            repeated=made.repeated,
            warnings=tuple(moved(grown, found)),
            rejected_subjects=frozenset(subjects[reject.page] for reject in rejected),
            lacking=looked.lacking,
        )
        self._made[tuple(map(id, fetched.pages))] = fetched, replace(result, tables={})
        return result

    def transform_runs(self, runs: Mapping[str, Fetched]) -> list[Transformed] | None:
        """The rows of several runs, made together: what a run costs beside its bytes is paid once.

        Each run has the rows that `transform_data` makes of its answers alone.

        Args:
            runs: the answers of each run, by its id.

        Returns:
            The rows of each run; None where one of them has to be made alone: something is learned,
            set aside, lacking or comes again, or the processor makes its rows in its own way.
        """
        [asked, *others] = {fetched.params for fetched in runs.values()}
        family = self.family()
        if others or not self._is_plain or not tells_records(family):
            return None
        pages = [(run_id, page) for run_id, fetched in runs.items() for page in fetched.pages]
        if any(self._lacks_data(page) for _, page in pages):
            return None
        decoded = self._decode([page for _, page in pages], family, None)
        if decoded.rejected or decoded.examples:
            return None
        values = dict(self.params if asked is None else asked)
        family = self._with_former(self.family(decoded.shape), values)
        origins = [Provenance(p.server_time, p.subject_id, run_id, values) for run_id, p in pages]
        made = normalize(decoded.batches, family, origins)
        if records_repeat(made.tables, family):
            return None
        return [Transformed(family, tables) for tables in by_run(made.tables, list(runs))]

    @property
    def _is_plain(self) -> bool:
        """Whether rows are made and checked as this class does it."""
        names = ("transform_data", "as_tables", "validate", "held_to_rules")
        return all(getattr(type(self), n) is getattr(EndpointProcessor, n) for n in names)

    def _scratch(self, fetched: Fetched) -> Scratch | None:
        """Where the rows stand if they are many; None for memory.

        A processor of a user that makes or checks rows has them as tables of Arrow.
        """
        scratch = fetched.scratch
        return scratch if self._is_plain and scratch is not None and scratch.large else None

    def _decode(
        self, pages: Sequence[Page], family: TableFamily, scratch: Scratch | None
    ) -> Decoded:
        """Decode the bodies by the shape of the tables.

        A column with integers that no float holds stays a column of integers; a record with a
        decimal is then set aside.
        """
        bodies, may_grow = Bodies(pages), self.task.contract != "quarantine"
        if self.task.endpoint.content == "csv":
            return decode_csv(bodies, family, may_grow=may_grow, keyed=True)
        decoded = decode(bodies, family, may_grow=may_grow, keyed=True, scratch=scratch)
        whole = self._whole_numbers(decoded.shape)
        if not whole:
            return decoded
        family = self.family(as_whole(family.shape, whole))
        return decode(bodies, family, may_grow=may_grow, whole=whole, keyed=True, scratch=scratch)

    def _whole_numbers(self, shape: Object) -> frozenset[Path]:
        """The paths of decimals whose stored columns have integers that no float holds.

        With `replace` there are none, because each load replaces all rows.
        """
        warehouse, known = self.known.warehouse, self.known.shape
        if warehouse is None or known is None or self.task.mode == "replace":
            return frozenset()
        wider = widened(known, shape)
        if not wider:
            return wider
        grown = self.family(shape)
        return frozenset(
            where
            for table in grown.tables
            for column in table.data_columns
            if column.level == len(table.lists)
            and (where := place(grown, table, column)) in wider
            and (
                (table.name, column.name) in self.known.long
                or is_long(warehouse.rows(table.name, (column.name,)).column(0))
            )
        )

    def _lacks_data(self, page: Page, body: bytes | None = None) -> bool:
        """Whether a page lacks its data; a body that cannot be read is a rejected record instead.

        A page that the client has checked has its data. A page of an archive or of a file was not
        checked.

        Args:
            page: the page.
            body: its body where it is at hand; None to read it.
        """
        payload = self.task.endpoint.payload
        checked = page.answer is not None and page.answer.request.payload is not None
        if payload is None or checked:
            return False
        return payload.lacks(page.body if body is None else body)

    # --- validate --------------------------------------------------------------------------

    def validate(self, result: Result, fetched: Fetched | None = None) -> Transformed:
        """Check rows; returns the rows that may be stored.

        Args:
            result: the result of `transform_data`.
            fetched: the answers; they give the system columns of a processor's frames.

        Raises:
            DataRefused: the contract forbids drift, or the answer has no records.
            CheckFailed: a key repeats, or a configured check refuses the rows.
            ConfigError: a check or a name for a column means a column that does not exist.
        """
        made = self.as_tables(result, fetched)
        if made.drift and self.task.contract == "freeze":
            news = ", ".join(f"{d.table}.{d.column} ({d.type})" for d in made.drift)
            raise DataRefused(
                f"{self.task.name} is frozen, and Torn sent unknown fields: {news}.",
                remedy="Set its contract to evolve to keep it, or to quarantine.",
            )
        self._refuse_nothing(made, fetched)
        if self.task.mode in KEYED or not made.family.shape.fields:
            # Frames of a processor, and records of a map whose own key is null.
            pages = fetched.pages if fetched else ()
            made = quarantine.set_aside(made, [keyless(made.family, made.tables)], pages)
        repeated = repeated_keys(made.family, made.tables)
        if repeated:
            table, count = next(iter(repeated.items()))
            schema = made.family.table(table)
            key = ", ".join(schema.key) if schema else ""
            raise CheckFailed(
                f"The key of {table} ({key}) repeats in {count} rows.",
                [CheckResult(table, f"its key ({key}) is unique", count)],
                remedy=f"Set `key` of {self.task.name} to columns that tell its rows apart.",
            )
        made = self.held_to_rules(made, fetched)
        lacking = list(missing(made.family, made.tables))
        return replace(
            made,
            warnings=(*made.warnings, *self._unknown(made), *(says for says, _ in lacking)),
            checks=(*made.checks, *(result for _, result in lacking)),
        )

    def held_to_rules(self, made: Transformed, fetched: Fetched | None = None) -> Transformed:
        """Apply the configured checks; records that a check sets aside are taken out.

        Args:
            made: the rows.
            fetched: the answers from which they were made.

        Raises:
            CheckFailed: a check refuses the rows.
            ConfigError: a check does not fit the type of its column.
        """
        # Checks of the number of rows need a whole list; a backfill loads a part of it.
        whole = self.task.stretch is None and made.whole_of(fetched)
        checks = [rule for rule in self.task.checks if whole or not rule.rows]
        rule_results = list(evaluate(checks, made.family, made.tables))
        results = tuple(rule_result.result for rule_result in rule_results)
        failed = [result for result in results if not result.passed]
        refusing = [result for result in failed if result.on_failure == "refuse"]
        if refusing:
            raise CheckFailed(
                f"{self.task.name} failed: {'; '.join(map(str, refusing))}.",
                results,
                remedy="Nothing was stored; the answers are in the archive. Correct `checks`, or "
                'set on_failure = "warn" or "quarantine".',
            )
        warnings = [f"{result}." for result in failed if result.on_failure == "warn"]
        made = replace(made, checks=results, warnings=(*made.warnings, *warnings))
        aside = [
            rule_result
            for rule_result in rule_results
            if rule_result.result.on_failure == "quarantine"
        ]
        return quarantine.set_aside(made, aside, fetched.pages if fetched else ())

    def _unknown(self, made: Transformed) -> Iterator[str]:
        """A sentence for each check and each name for a column whose column does not exist.

        Raises:
            ConfigError: a similar column exists, so it is probably a mistake.
        """
        task = self.task
        names = [old for old, _ in task.columns]
        plain = self.plain_family(made.family.shape) if made.family.shape.fields else made.family
        if plain is made.family:  # the names of frames are the user's already
            names = [
                old for old, new in task.columns if renames.unknown(plain, [renames.new(old, new)])
            ]
        found = [f"`columns` names {each}" for each in renames.unknown(plain, names)]
        found += [f"`checks` names {each}" for each in unknown(task.checks, made.family)]
        ignored = [n for n in task.history_ignore or () if renames.unknown(made.family, [n])]
        found += [f"`history_ignore` names {each}" for each in renames.unknown(plain, ignored)]
        near = [each for each in found if "did you mean" in each]
        if near:
            raise ConfigError(
                f"{task.name} has no such column: {'; '.join(near)}.",
                remedy="Nothing was stored; the answers are in the archive.",
            )
        yield from (f"{each}, which is not there" for each in found)

    def _refuse_nothing(self, made: Transformed, fetched: Fetched | None) -> None:
        """Refuse answers without records where this is not because the list is empty.

        Raises:
            DataRefused: an answer is no JSON object or has no data; or a `replace` would replace
                its rows by a part of a list, or by nothing because every record was set aside.
        """
        path = self.task.endpoint.path
        remedy = "Nothing was stored; the answer is in the archive."
        if made.unread:
            reason = next(reject.reason for reject in made.rejected if not reject.path)
            raise DataRefused(f"Torn's answer to {path} cannot be read: {reason}.", remedy=remedy)
        replaces = self.task.mode == "replace"
        empty = not any(made.rows.values())
        if made.lacking and (replaces or (empty and not made.rejected)):
            payload = self.task.endpoint.payload
            raise DataRefused(
                f"Torn's answer to {path} has no "
                f"{'/'.join(payload.names if payload else ())}, "
                "which is not the same as an empty list.",
                remedy=remedy,
            )
        if replaces and not made.whole_of(fetched):
            raise not_whole(self.task.name)
        if replaces and empty and made.rejected:
            raise DataRefused(
                f"Every record of {path} was set aside: {made.rejected[0].reason}.", remedy=remedy
            )

    def as_tables(self, result: Result, fetched: Fetched | None = None) -> Transformed:
        """The result of `transform_data` as tables; frames get the system columns.

        Where `transform_data` of a processor made its frames of the base's tables, everything else
        that the base found stays: rejected records, drift, warnings and pages without data.

        Args:
            result: the result of `transform_data`.
            fetched: the answers from which it was made.

        Raises:
            DataRefused: a frame has a column that no warehouse can hold.
            ConfigError: the tables are not those of their family.
        """
        if isinstance(result, Transformed):
            refuse_unfit(result.family, result.tables)
            return self._ignoring(result)
        streams = result if isinstance(result, Mapping) else {self.task.root_table: result}
        pages: Sequence[Page] = fetched.pages if fetched else ()
        by_base = list(self._found(fetched))
        made = from_frames(self.task, streams, pages, of_base=bool(by_base))
        if not any(made.rows.values()):
            lacking = (page.subject_id for page in pages if self._lacks_data(page))
            made = replace(made, lacking=frozenset(lacking))
        for found in by_base:
            made = replace(
                made,
                drift=tuple(dict.fromkeys((*made.drift, *found.drift))),
                rejected=(*made.rejected, *found.rejected),
                unread=made.unread + found.unread,
                repeated=made.repeated + found.repeated,
                warnings=tuple(dict.fromkeys((*made.warnings, *found.warnings))),
                rejected_subjects=made.rejected_subjects | found.rejected_subjects,
                lacking=made.lacking | found.lacking,
            )
        return self._ignoring(made)

    def _ignoring(self, made: Transformed) -> Transformed:
        """The rows with the columns marked that `history` does not compare.

        Frames have the names of the base's tables or of their own.
        """
        if self.task.mode != "history":
            return made
        shape, names = made.family.shape, self.task.history_ignore
        plain = self.plain_family(shape if shape.fields else None)
        names = tuple(restated(plain)) if names is None else names
        marked = self._named(ignoring(plain, names))
        named = [f"{t.name}.{c.name}" for t in marked.tables for c in t.columns if not c.compared]
        own = [name for name in names if renames.unknown(plain, [name])]
        return replace(made, family=ignoring(made.family, (*own, *named)))

    def _found(self, fetched: Fetched | None) -> Iterator[Transformed]:
        """What the base's `transform_data` found in these answers, without its rows.

        A processor may call it for each page. Page numbers are those of `fetched`.
        """
        if fetched is None:
            yield from (found for _, found in list(self._made.values())[-1:])
            return
        numbers = {id(page): number for number, page in enumerate(fetched.pages)}
        for pages, (_, found) in self._made.items():
            if numbers.keys() >= set(pages):
                rejected = [replace(r, page=numbers[pages[r.page]]) for r in found.rejected]
                yield replace(found, rejected=tuple(rejected))


def is_long(values: pa.ChunkedArray) -> bool:
    """Whether a column of integers has a value that a float would change."""
    return pa.types.is_integer(values.type) and bool(too_long(values))
