"""`tcdatalogger keys`: each key, its health, what it can do, and what its owner is told."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.commands.status import key_facts
from tcdatalogger.cli.output import json_option, moment, print_json, print_table, say

if TYPE_CHECKING:
    from tcdatalogger.core.check.keys import KeyReport, Need


@click.group(epilog="\b\nExample:\n  tcdatalogger keys check")
def command() -> None:
    """Look at the keys."""


@command.command(
    "check", epilog="\b\nExample:\n  tcdatalogger keys check\n  tcdatalogger keys check --json"
)
@click.option("--offline", is_flag=True, help="Do not ask Torn; show what is known.")
@json_option
@click.pass_obj
def check(options: Options, offline: bool, as_json: bool) -> None:
    """Show the player and the health of each key, and whether it can do what its endpoints need.

    Asks Torn once for each key, but not for a key that Torn has refused for good. The exit code is
    that of the first problem.
    """
    settings = options.load()
    from tcdatalogger.core.check.keys import reports  # pyarrow, httpx2
    from tcdatalogger.core.main import Application

    with Application(settings) as application:
        found = list(reports(application, online=not offline))
    wrong = [report.wrong for report in found if report.wrong is not None]
    if as_json:
        print_json({"ok": not wrong, "keys": [facts(report) for report in found]})
    else:
        _print(found)
    raise SystemExit(wrong[0].exit_code if wrong else 0)


@command.command(
    "terms",
    epilog="\b\nExample:\n  tcdatalogger keys terms\n  tcdatalogger keys terms --markdown",
)
@click.option("--markdown", is_flag=True, help="Print the table in Markdown, to be published.")
@json_option
@click.pass_obj
def terms(options: Options, markdown: bool, as_json: bool) -> None:
    """Print the table that Torn's terms ask of who takes the keys of others.

    It says how data and keys are stored, who sees them, and what a key has to be able to do. The
    configuration has most of it; [terms] has the purpose, and who sees the data where the program
    cannot know it.
    """
    settings = options.load()
    from tcdatalogger.core.views.terms import PAGE, terms
    from tcdatalogger.services.torncity.catalog import catalog

    file = settings.torn.catalog
    found = terms(settings, catalog.load(file if file.exists() else None))
    if as_json:
        names = ("storage", "sharing", "purpose", "key_storage", "key_access", "link")
        print_json({**{name: getattr(found, name) for name in names}, "terms": PAGE})
        return
    if markdown:
        say(found.markdown())
        return
    for name, text in found.rows:
        say(name)
        say(fill(text, 78, initial_indent="  ", subsequent_indent="  "))
    if found.link:
        say(f"\nA custom key that can do it:\n  {found.link}")
    say(f"\nTorn's terms: {PAGE}")


def facts(report: KeyReport) -> dict[str, Any]:
    """A report as JSON for programs; never the key."""
    info = report.info
    return {
        "key": report.name,
        "owner_id": info and info.owner_id,
        "faction_id": info and info.faction_id,
        "company_id": info and info.company_id,
        "level": info and info.level,
        "access": info and info.access_type,
        "faction_access": info and info.faction_access,
        "calls_left": report.calls_left,
        **_health_facts(report),
        "endpoints": [
            {
                "endpoint": need.endpoint,
                "path": need.path,
                "access": need.access,
                "faction_access": need.faction_access,
                "can": None if need.problem is None else not need.problem,
                "problem": need.problem or None,
                "other_keys": list(need.others),
            }
            for need in report.needs
        ],
        "custom_key_link": report.link,
        "problem": report.wrong and report.wrong.message,
    }


def _health_facts(report: KeyReport) -> dict[str, Any]:
    from tcdatalogger.core.views.status import key_status

    if report.health is None:
        return {"health": "missing"}
    return key_facts(key_status(report.name, report.health))


def _print(found: list[KeyReport]) -> None:
    if not found:
        say("No key is configured: name one in [keys].")
        return
    print_table(
        ("key", "player", "access", "faction", "health", "calls left"),
        [
            (
                report.name,
                report.info and report.info.owner_id,
                report.info and report.info.access_type,
                _faction(report),
                _health(report),
                report.calls_left,
            )
            for report in found
        ],
    )
    rows = [(need, report) for report in found for need in report.needs]
    if rows:
        say()
        print_table(
            ("endpoint", "path", "needs", "key", "can"),
            [(n.endpoint, n.path, _needed(n), report.name, _can(n)) for n, report in rows],
        )
    for report in found:
        if report.needs:
            say(f"\nA custom key that can do what {report.name} is for:\n  {report.link}")
    for report in found:
        if report.wrong is not None:
            say(f"\n{report.name}: {report.wrong.message}")


def _faction(report: KeyReport) -> str:
    if report.info is None or report.info.faction_id is None:
        return ""
    access = "API access" if report.info.faction_access else "no API access"
    return f"{report.info.faction_id}, {access}"


def _health(report: KeyReport) -> str:
    if report.health is None:
        return "missing"
    until = report.health.until
    return report.health.state + (f" until {moment(until)}" if until else "")


def _needed(need: Need) -> str:
    return need.access + (", faction API access" if need.faction_access else "")


def _can(need: Need) -> str:
    if need.problem is None:
        return "not known"
    return "yes" if not need.problem else f"no: {need.problem}"
