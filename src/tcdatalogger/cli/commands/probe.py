"""`tcdatalogger probe`: what Torn answers now, as a report that may be shown to anybody."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tcdatalogger import disk
from tcdatalogger.cli import Options
from tcdatalogger.cli.output import counted, json_option, number, print_json, print_table, say
from tcdatalogger.cli.progress import note
from tcdatalogger.errors import ConfigError, UsageError
from tcdatalogger.models.reading.outline import ANY, fits
from tcdatalogger.models.shape import Json, Kind, List, Object, Scalar, Shape, as_nullable

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import EndpointSettings
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations.probe import PathReport, Report
    from tcdatalogger.core.run.run import RunResult
    from tcdatalogger.services.torncity.catalog.catalog import Endpoint

FILE = "probe.json"
EVERY = 20
"""Paths between two lines about how far it is."""
MAP = ("1", "2")
"""Names in a map of the sandbox, in the place of `*`."""
OWN = "/key/info"
"""What this program itself asks before it calls: the sandbox answers it as ever."""
SEED = 7
"""Of the sandbox that answers in the shapes of a report."""


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger probe\n"
    "  tcdatalogger probe --permitted --to probe-all.json\n"
    "  tcdatalogger probe --against probe.json"
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--permitted", is_flag=True, help="Every path that a key may read.")
@click.option("--key", metavar="NAME", help="Of --permitted. [the first of the configuration]")
@click.option(
    "--to",
    "out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"The file of the report. [{FILE}]",
)
@click.option(
    "--against",
    metavar="REPORT",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Ask no Torn: let the sandbox answer in the shapes of a report, and log that.",
)
@json_option
@click.pass_obj
def command(
    options: Options,
    names: tuple[str, ...],
    permitted: bool,
    key: str | None,
    out: Path | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Call each endpoint once, and report how the answers differ from the catalogue.

    The report has shapes and no value, name, id or key in it: it can be put into an issue. Calls
    go with the lowest priority. Nothing is stored.
    """
    if against is not None:
        if names or permitted or key or out:
            raise UsageError("--against goes alone: it asks no Torn.")
        _against(against, as_json=as_json)
        return
    if permitted and names:
        raise UsageError("Say NAME or --permitted.", remedy="--permitted takes every path.")
    settings = options.load()
    from tcdatalogger.core.main import Application  # pyarrow, httpx2
    from tcdatalogger.core.operations.probe import probe

    with Application(settings) as application:
        chosen = _chosen(application, names, key, permitted=permitted)
        report = probe(application, chosen, _tell)
    target = out or Path(FILE)
    try:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    except OSError as error:
        other = ConfigError(f"{target} cannot be written: {error.strerror}.")
        raise disk.failure(error, str(target), other) from None
    if as_json:
        print_json(msgspec.to_builtins(report))
        return
    _print(report)
    say(f"\nWrote {target}: shapes alone, no value, name, id or key.")


def _chosen(
    application: Application, names: Sequence[str], key: str | None, *, permitted: bool
) -> list[EndpointSettings]:
    from tcdatalogger.core.operations import probe

    if not permitted:
        return application.chosen(names, everything=not names)
    first = key or next(iter(application.settings.keys), None)
    if first is None:
        raise ConfigError(
            "No key is configured.", remedy='Write default = "env:TORN_API_KEY" in [keys].'
        )
    return list(probe.permitted(application, first))


def _tell(path: str, done: int, every: int) -> None:
    if done and done % EVERY == 0:
        note(f"{number(done)} of {number(every)} called; {path} comes next")


def _print(report: Report) -> None:
    odd = [one for one in report.paths if one.differences or one.answer != "ok"]
    well = len(report.paths) - len(odd)
    if odd:
        print_table(
            ("path", "answer", "differences", "seconds"),
            [(one.path, one.answer, len(one.differences), f"{one.seconds:.1f}") for one in odd],
        )
    for one in odd:
        if one.differences:
            say(f"\n{one.path}")
            for line in _lines(one):
                say(f"  {line}")
    say(f"\n{counted(well, 'path')} as the catalogue ({report.catalogue}) says.")


def _lines(one: PathReport) -> list[str]:
    """A line for each difference of a path."""
    lines = []
    for each in one.differences:
        match each.kind:
            case "unknown field":
                lines.append(f"{each.place}: new, {each.came}")
            case "missing field":
                lines.append(f"{each.place}: {each.expected}, came {each.came}")
            case "value":
                lines.append(f"{each.place}: a text that the catalogue does not list")
            case _:
                lines.append(f"{each.place}: {each.expected} expected, {each.came} came")
    return lines


def _against(file: Path, *, as_json: bool) -> None:
    """Log what the sandbox answers in the shapes of a report, into a warehouse thrown away."""
    from tcdatalogger.core.operations import probe

    try:
        raw = file.read_bytes()[: probe.LARGEST]
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    report = probe.read(raw, str(file))
    with tempfile.TemporaryDirectory(prefix="tcdatalogger-") as folder:
        found = list(_replayed(report, Path(folder)))
    if as_json:
        print_json([_facts(path, outcome) for path, outcome in found])
    else:
        print_table(
            ("path", "result", "rows", "set aside", "new"),
            [(path, *_counts(outcome)) for path, outcome in found],
        )
        for path, outcome in found:
            if outcome.error is not None:
                say(f"{path}: {outcome.error}")
    wrong = next((o.record.exit_code for _, o in found if o.record.exit_code), 0)
    raise SystemExit(wrong)


def _replayed(report: Report, folder: Path) -> Iterator[tuple[str, RunResult]]:
    """Run every path of a report that has a shape; yields its path and what became of it."""
    from tcdatalogger.clock import ManualClock
    from tcdatalogger.core.config.configuration import from_mapping
    from tcdatalogger.core.main import Application
    from tcdatalogger.sandbox.api.city import Rules
    from tcdatalogger.sandbox.api.server import START, Sandbox
    from tcdatalogger.services.torncity.catalog import catalog

    known = {each.path: each for each in catalog.load().endpoints if not each.route}
    shapes = {
        one.path: filled(shape, known[one.path].shape)
        for one in report.paths
        if (shape := one.outline()) is not None
        and one.path in known
        and known[one.path].content == "json"
        and one.path != OWN
    }
    free = Rules(cache=0, per_user=10**6, per_address=10**6)
    with Sandbox(seed=SEED, rules=free) as city:
        city.city.shapes.update(shapes)
        given = {
            "torn": {"url": city.url},
            "keys": {"default": "env:TORN_API_KEY"},
            "endpoints": [_configured(f"path_{n}", known[path]) for n, path in enumerate(shapes)],
        }
        settings = from_mapping(given, {}, folder)
        environ = {"TORN_API_KEY": city.keys["full"]}
        with Application(settings, clock=ManualClock(START), environ=environ) as application:
            for endpoint in settings.endpoints:
                yield endpoint.path, application.run(endpoint)


def filled(shape: Shape, expected: Shape | None) -> Shape:
    """The shape of a report, from which an answer can be made.

    What the report does not know is as the catalogue says: what stands in an empty list, where null
    alone came, which texts are usual. The names of a map become `MAP`.

    Args:
        shape: of the report.
        expected: of the catalogue; None where it has none.
    """
    match shape, expected:
        case Json(options=()), None:
            return Scalar(Kind.TEXT, nullable=shape.nullable)
        case Json(options=()), (Object() | List() | Scalar() | Json()) as wanted:
            return as_nullable(wanted) if shape.nullable else wanted
        case Scalar(kind=Kind.INT | Kind.TEXT), Scalar() if fits(shape.kind, expected.kind):
            return replace(expected, nullable=shape.nullable)
        case Object(fields=fields), _:
            known = (
                {f.name: f.shape for f in expected.fields} if isinstance(expected, Object) else {}
            )
            made = []
            for field in fields:
                inner = filled(field.shape, known.get(field.name))
                names = MAP if field.name == ANY else (field.name,)
                made += [replace(field, name=name, shape=inner) for name in names]
            return replace(shape, fields=tuple(made))
        case List(element=element), _:
            inside = expected.element if isinstance(expected, List) else None
            return replace(shape, element=filled(element, inside))
        case Json(options=options), _:
            return replace(shape, options=tuple(filled(each, None) for each in options))
        case _:
            return shape


def _configured(name: str, entry: Endpoint) -> dict[str, Any]:
    """An endpoint of a path alone, as a configuration has it: one page, with what it needs."""
    from tcdatalogger.core.operations.probe import needed

    endpoint = {"name": name, "path": entry.path, "params": needed(entry), "max_pages": 1}
    return {**endpoint, "ids": [1]} if entry.path_parameters else endpoint


def _counts(outcome: RunResult) -> tuple[str, int, int, int]:
    from tcdatalogger.core.views.runs import result

    run = outcome.record
    return result(run), sum(run.rows.values()), run.quarantined, run.drift


def _facts(path: str, outcome: RunResult) -> dict[str, Any]:
    result, rows, aside, new = _counts(outcome)
    error = None if outcome.error is None else str(outcome.error)
    facts = {"path": path, "result": result, "rows": rows, "quarantined": aside, "drift": new}
    return {**facts, "error": error}
