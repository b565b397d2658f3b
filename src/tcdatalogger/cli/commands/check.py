"""`tcdatalogger check`: whether everything that a run needs is there."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import (
    counted,
    json_option,
    number,
    print_json,
    print_table,
    say,
)
from tcdatalogger.errors import ConfigError

if TYPE_CHECKING:
    from tcdatalogger.core.check.finding import Finding
    from tcdatalogger.core.config.settings import Settings

_NARROW: Final = "No file of the program can be read by others: there is nothing to mend."


_KINDS = {
    "tables": ("tables", "of {} endpoints are as they should be"),
    "key": ("keys of tables", "{} are unique"),
    "ids": ("ids", "the queries of {} endpoints find some"),
}
"""Kinds of findings of which there is one for each endpoint or table, and the words for many."""
_MANY = 3
"""Findings of a kind that become one line."""


@click.command(
    epilog="\b\nExample:\n  tcdatalogger check\n  tcdatalogger check --offline --json\n"
    "  tcdatalogger check --mend",
)
@click.option(
    "--offline", is_flag=True, help="Ask neither Torn about the keys, nor a bucket, nor BigQuery."
)
@click.option("--alerts", is_flag=True, help="Send a message to the channels that get alerts.")
@click.option(
    "--mend",
    "mends",
    is_flag=True,
    help="Take the rights of other users away from files of the program, before all else.",
)
@click.option("--all", "everything", is_flag=True, help="Show each thing that is well, too.")
@json_option
@click.pass_obj
def command(
    options: Options,
    offline: bool,
    alerts: bool,
    mends: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Check the configuration, the keys, the folders and the tables.

    What is well of many tables is one line; --all shows each. Changes nothing, except the rights
    of files with --mend. Asks Torn once for each key. The exit code is that of the first problem.
    """
    settings = options.load(to_file=False, processors=True, upgrades=False)
    from tcdatalogger.core.check.preflight import inspect  # pyarrow, duckdb, httpx2
    from tcdatalogger.core.main import Application

    narrowed = _mended(settings) if mends else []
    with Application(settings) as application:
        findings = list(inspect(application, online=not offline))
    if settings.digest.questions:
        findings.append(_digest(settings))
    findings += _exports(settings)
    if alerts:
        findings += _tried(settings)
    wrong = [finding.failure for finding in findings if finding.failure is not None]
    if as_json:
        print_json(
            {
                "ok": not wrong,
                **({"mended": list(map(str, narrowed))} if mends else {}),
                "findings": [
                    {
                        "part": finding.part,
                        "ok": finding.failure is None,
                        "warning": finding.warning,
                        "says": finding.says,
                        "problem": finding.failure and finding.failure.message,
                        "remedy": finding.failure and finding.failure.remedy,
                    }
                    for finding in findings
                ],
            }
        )
    else:
        print_table(
            ("", "part", "found"),
            [
                (_word(f), f.part, str(f.failure or f.says))
                for f in (findings if everything else _grouped(findings))
                if not f.plain or everything
            ],
        )
        say(_summary(settings, len(wrong), sum(f.warning for f in findings)))
    raise SystemExit(wrong[0].exit_code if wrong else 0)


def _mended(settings: Settings) -> list[Path]:
    """Take the rights of others away, and say of which files."""
    from tcdatalogger.core.check import rights

    changed, refused = rights.mend(settings)
    for path in refused:
        say(f"{path}: this user may not change its rights.", err=True)
    files = counted(len(changed), "file")
    done = f"{files} can be read by their owner alone now." if changed else _NARROW
    say(done, err=True)
    return changed


def _grouped(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with one line for those of a kind that are well, where they are many."""
    from tcdatalogger.core.check.finding import Finding

    groups: dict[str, list[Finding]] = {kind: [] for kind in _KINDS}
    for finding in findings:
        if kind := _kind(finding):
            groups[kind].append(finding)
    many = {kind: found for kind, found in groups.items() if len(found) >= _MANY}
    shown = []
    for finding in findings:
        kind = _kind(finding)
        if kind not in many:
            shown.append(finding)
        elif finding is many[kind][0]:
            one, several = _KINDS[kind]
            new = sum("to be made" in each.says for each in many[kind])
            says = several.format(number(len(many[kind])))
            shown.append(Finding(one, f"{says}; new tables of {new}" if new else says))
    return shown


def _kind(finding: Finding) -> str:
    """The kind of a finding that is well and says nothing new; "" for any other."""
    kind, of, _ = finding.part.partition(" of ")
    if finding.failure is not None or finding.warning or finding.plain or not of:
        return ""
    if kind == "tables" and ";" in finding.says and "to be made" not in finding.says:
        return ""  # a change of what is stored
    return kind if kind in _KINDS else ""


def _word(finding: Finding) -> str:
    if finding.failure is not None:
        return "WRONG"
    return "look" if finding.warning else "ok"


def _summary(settings: Settings, wrong: int, warnings: int) -> str:
    if wrong:
        return f"{wrong} to correct."
    if warnings:
        return f"Nothing is wrong; {warnings} to look at."
    if not settings.endpoints:
        return (
            "No endpoint is configured yet: add one under [[endpoints]]; `tcdatalogger catalog` "
            "lists what Torn offers."
        )
    return "Everything is there: `tcdatalogger run --all`"


def _digest(settings: Settings) -> Finding:
    """Whether the digest can be drawn: its questions are there, and what makes pictures."""
    from tcdatalogger.core.check.finding import Finding
    from tcdatalogger.questions import digest, question
    from tcdatalogger.questions.pictures.png import png

    part, told = "digest", settings.digest
    try:
        known = question.known(told.folder)
        if any(each.kind in {"discord", "mail"} for each in settings.channels_for("digest")):
            png("<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>")
    except ConfigError as failure:
        return Finding(part, "", failure)
    if problems := [says for name in told.questions if (says := digest.refused(name, known, told))]:
        return Finding(part, "", ConfigError(" ".join(problems)))
    names = ", ".join(told.questions)
    return Finding(part, f"{names}; at {told.at} {told.timezone}, every {told.frequency}")


def _exports(settings: Settings) -> list[Finding]:
    """Whether each export can be written: its question is there, and its secrets."""
    from tcdatalogger.core.check.finding import Finding
    from tcdatalogger.core.main import Application
    from tcdatalogger.questions import exports

    found = []
    application = Application(settings)
    for each in settings.exports:
        part = f"export {each.name}"
        often = "by hand" if each.frequency is None else f"every {each.frequency}"
        says = f"{each.of} into {each.place}, {often}"
        if problem := exports.wrong(application, each):
            found.append(Finding(part, "", ConfigError(problem)))
            continue
        found.append(Finding(part, says))
    return found


def _tried(settings: Settings) -> list[Finding]:
    """Whether each channel that gets alerts takes a message."""
    from tcdatalogger.core.check.finding import Finding
    from tcdatalogger.scheduler.monitoring.notify import try_out

    found = []
    for channel in settings.channels_for("alerts"):
        try:
            why = try_out(settings, channel, os.environ, time.time()).why
        except ConfigError as error:
            found.append(Finding("alerts", "", error))
            continue
        refused = ConfigError(
            f"The channel {channel.name} did not take a message: {why}.",
            remedy=f"Look at what `{settings.place_of(channel, 'url')}` names.",
        )
        says = f"{channel.name}: a message was sent: look whether it arrived"
        found.append(Finding("alerts", "" if why else says, refused if why else None))
    if not found:
        none = ConfigError(
            "No channel gets alerts.",
            remedy='Write webhook = "env:DISCORD_WEBHOOK" in [alerts], or a channel in '
            "[[channels]].",
        )
        found.append(Finding("alerts", "", none))
    return found
