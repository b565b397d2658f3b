"""One convention of options for all commands; what was written before is understood still."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from tcdatalogger.cli import COMMANDS
from tcdatalogger.cli import cli as program

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
OTHER_NAMES = {
    "--most",
    "--max",
    "--count",
    "--number",
    "--lines",
    "--name",
    "--folder",
    "--dir",
    "--out",
}


def commands():
    """Every command and each below it."""
    with click.Context(program, info_name="tcdatalogger") as context:
        for name in COMMANDS:
            command = program.get_command(context, name)
            yield (name,), command
            for below, child in getattr(command, "commands", {}).items():
                yield (name, below), child


def options():
    """Every option of every command that the help shows."""
    return [
        (" ".join(words), parameter)
        for words, command in commands()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
    ]


def test_one_thing_has_one_name_in_all_commands():
    names = {(where, name) for where, option in options() for name in option.opts}
    assert {each for each in names if each[1] in OTHER_NAMES} == set()
    assert {o.metavar for _, o in options() if "--endpoint" in o.opts} == {"NAME"}
    assert {o.metavar for _, o in options() if "--limit" in o.opts} == {"N"}
    places = [o for _, o in options() if "--to" in o.opts and not isinstance(o.type, click.Choice)]
    assert {o.metavar for o in places} == {"CHANNEL", "DIR", "FILE", "URL"}


def test_every_listing_of_something_of_endpoints_takes_endpoint_and_limit():
    of = {where: {n for w, o in options() if w == where for n in o.opts} for where, _ in options()}
    for listing in ("runs list", "runs tail", "quarantine list", "schema history"):
        assert {"--endpoint", "--limit"} <= of[listing], listing


@pytest.mark.parametrize(
    "line",
    [
        "query --set warehouse.url=duckdb:///other.duckdb 'select 1'",
        "check --offline --set warehouse.url=duckdb:///other.duckdb",
        "--set warehouse.url=duckdb:///other.duckdb run faction_basic",
        "config show --set warehouse.url=duckdb:///other.duckdb",
        "backup --to elsewhere --set warehouse.url=duckdb:///other.duckdb",
    ],
)
def test_every_command_takes_a_setting(workplace, line):
    workplace.run("run", "faction_basic", "--set", "warehouse.url=duckdb:///other.duckdb")

    done = workplace.run(*shlex.split(line))

    assert done.code == 0, done.err
    assert not (workplace.folder / "torn.duckdb").exists()


def test_what_was_written_before_is_understood(workplace):
    workplace.run("run", "faction_basic", "torn_items")

    (newest,) = workplace.run("runs", "--limit", "1", "--json").json
    assert workplace.run("runs", "--most", "1", "--json").json == [newest]
    assert workplace.run("backup", "here", "--json").json["folder"].count("/here/") == 1
    assert workplace.run("backup", "--to", "there", "--json").json["folder"].count("/there/") == 1
    assert workplace.run("backup", "here", "--to", "there").code == 2
    old = workplace.run("schema", "history", "faction_basic", "--json").json
    assert old == workplace.run("schema", "history", "--endpoint", "faction_basic", "--json").json


def test_lists_of_the_tables_and_of_what_was_set_aside_are_narrowed(workplace):
    workplace.run("run", "faction_basic", "torn_items")

    every = workplace.run("schema", "history", "--json").json
    newest = workplace.run("schema", "history", "--limit", "2", "--json").json

    assert {one["endpoint"] for one in every} == {"faction_basic", "torn_items"}
    assert newest == every[-2:]
    assert workplace.run("schema", "history", "--endpoint", "nobody").code == 2
    assert workplace.run("quarantine", "list", "--limit", "3", "--json").json == []


def test_programs_get_times_in_iso_8601(workplace):
    workplace.run("run", "faction_basic")
    run = workplace.run("runs", "--json").json[0]
    shown = workplace.run("runs", "show", "last", "--json").json
    status = workplace.run("status", "--json").json

    for facts in (run, shown):
        for name in ("started_at", "finished_at", "server_time"):
            assert INSTANT.fullmatch(facts[name]), name
    every = [one["last_run"] for one in status["endpoints"] if one["last_run"]]
    assert every
    assert all(INSTANT.fullmatch(one["started_at"]) for one in every)
    assert all(INSTANT.fullmatch(one["finished_at"]) for one in every)
