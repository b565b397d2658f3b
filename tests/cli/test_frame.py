from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import types

import click
import pytest

from tcdatalogger import cli, errors
from tcdatalogger.cli import Options, _globals_first, main
from tcdatalogger.core.config.secrets import Secret

KEY = "fR4m3K3y00000001"
HEAVY = ("duckdb", "pyarrow", "httpx2", "pydantic", "rich", "starlette", "uvicorn")
PROGRAM = [sys.executable, "-W", "error", "-m", "tcdatalogger"]


def run(*words, **kwargs):
    return subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, check=False, timeout=120, **kwargs
    )


@pytest.fixture
def plant(monkeypatch):
    """Make `tcdatalogger planted` call a function."""

    def plant(function):
        module = types.ModuleType("planted")

        @click.command()
        @click.option("--json", "as_json", is_flag=True)
        @click.pass_obj
        def command(options, as_json):
            return function(options)

        module.command = command
        monkeypatch.setitem(sys.modules, "planted", module)
        monkeypatch.setitem(cli.COMMANDS, "planted", ("planted:command", "Planted by a test."))

    return plant


def failing(error):
    def fail(_options):
        raise error

    return fail


# Help


def test_help_lists_every_command_without_importing_one():
    code = (
        "import sys; from tcdatalogger.cli import main\n"
        "assert main(['--help']) == 0\n"
        f"heavy = set({HEAVY}) & set(sys.modules)\n"
        "own = {m for m in sys.modules if m.startswith('tcdatalogger.')}\n"
        "print(heavy, sorted(own), file=sys.stderr)\n"
        "assert not heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, (_, text) in cli.COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert text in done.stdout
    assert "Example:" in done.stdout
    assert "tcdatalogger.core" not in done.stderr


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_an_example(name, capsys):
    for words, command in with_those_below(name):
        assert main([*words, "--help"]) == 0
        shown = capsys.readouterr().out
        assert "Example:" in shown, f"{words} shows no example"
        assert f"tcdatalogger {' '.join(words)}" in shown.split("Example:")[1], f"{words}"
        assert command.help, f"{words} has no help"


def with_those_below(name):
    module, _, attribute = cli.COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    yield (name,), command
    if isinstance(command, click.Group):
        yield from (((name, below), each) for below, each in command.commands.items())


def test_the_version_is_told_quickly(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tcdatalogger 0.")


def test_without_a_command_the_help_is_shown_and_the_usage_is_wrong(capsys):
    assert main([]) == 2
    assert "Usage: tcdatalogger" in capsys.readouterr().err


# What was said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "a", "--config", "f"], ["--config", "f", "run", "a"]),
        (["run", "--config=f", "--debug"], ["--config=f", "--debug", "run"]),
        (["--debug", "run"], ["--debug", "run"]),
        (["query", "--", "--debug"], ["query", "--", "--debug"]),
        (["run", "--configure"], ["run", "--configure"]),
    ],
)
def test_options_for_all_commands_may_stand_anywhere(words, expected):
    assert _globals_first(words) == expected


@pytest.mark.parametrize("words", [["status", "--config"], ["run", "--log-level", "--all"]])
def test_an_option_without_its_value_is_told_so_and_takes_no_command_for_it(words, capsys):
    assert main(words) == 2
    assert f"The option {words[1]} needs a value." in capsys.readouterr().err


def test_a_command_is_told_the_options(plant):
    seen = []
    plant(seen.append)
    assert main(["planted", "--log-level", "error", "--config", "x.toml", "--debug"]) == 0
    (options,) = seen
    assert isinstance(options, Options)
    assert (str(options.config), options.log_level, options.debug) == ("x.toml", "error", True)


def test_a_command_may_return_its_exit_code(plant):
    plant(lambda _options: 65)
    assert main(["planted"]) == 65
    plant(lambda _options: {"not": "a code"})
    assert main(["planted"]) == 0


# How it ends


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("m"), 2),
        (errors.ConfigError("m"), 78),
        (errors.KeyRefused("m"), 77),
        (errors.RequestRefused("m"), 65),
        (errors.DataRefused("m"), 65),
        (errors.TornUnavailable("m"), 69),
        (errors.WarehouseUnavailable("m"), 69),
        (errors.Busy("m"), 75),
        (errors.TimedOut("m"), 124),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("m"), 1),
        (OSError("m"), 1),
    ],
)
def test_each_failure_ends_with_its_exit_code(plant, capsys, error, code):
    plant(failing(error))
    assert main(["planted"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_a_failure_is_one_line_and_its_remedy(plant, capsys):
    plant(failing(errors.Busy("faction_crimes is being run.", remedy="Try again in a minute.")))
    main(["planted"])
    assert capsys.readouterr().err == (
        "error: faction_crimes is being run.\n  Try again in a minute.\n"
    )


def test_a_failure_is_told_to_programs_too(plant, capsys):
    plant(failing(errors.ConfigError("Wrong.", problems=["a", "b"], remedy="Mend it.")))
    assert main(["planted", "--json"]) == 78
    assert json.loads(capsys.readouterr().out) == {
        "error": {
            "class": "ConfigError",
            "message": "Wrong.",
            "remedy": "Mend it.",
            "problems": ["a", "b"],
            "exit_code": 78,
        }
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "Did you mean run"),
        (["xyzzy"], "lists them"),
        (["config", "shwo"], "Did you mean 'show'?"),
        (["config", "show", "--jsno"], "Did you mean '--json'?"),
        (["config", "show", "--set"], "needs a value"),
        (["runs", "--limit"], "requires an argument"),
        (["ask", "oc-profit", "--days"], "`tcdatalogger ask --help` shows"),
        (["channels", "list", "--set", "a=b", "--config"], "--config needs a value"),
        (["backup", "--debug", "--keep"], "`tcdatalogger backup --help` shows"),
        (
            ["runs", "show", "last", "--config", "x.toml", "--log"],
            "`tcdatalogger runs show --help`",
        ),
        (["--log-level", "loud", "config"], "is not one of"),
    ],
)
def test_wrong_usage_names_what_is_near(words, said, capsys):
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert said in shown


def test_a_bug_shows_its_traceback_only_when_asked_and_never_a_key(plant, capsys):
    Secret("default", KEY)
    plant(failing(RuntimeError(f"GET https://x?key={KEY}")))
    assert main(["planted"]) == 1
    short = capsys.readouterr().err
    assert "RuntimeError" in short
    assert "--debug" in short
    assert "Traceback" not in short
    assert main(["planted", "--debug"]) == 1
    long = capsys.readouterr().err
    assert "Traceback" in long
    assert KEY not in short + long


def test_a_key_in_a_failure_is_hidden_from_people_and_programs(plant, capsys):
    Secret("default", KEY)
    plant(failing(errors.ConfigError(f"{KEY} a", remedy=f"{KEY} b", problems=[f"{KEY} c"])))
    main(["planted", "--json", "--debug"])
    shown = capsys.readouterr()
    assert KEY not in shown.out + shown.err
    assert "***" in shown.out


ENDING = """
import sys, types, click, time
from tcdatalogger import cli
module = types.ModuleType("planted")
@click.command()
def command():
    try:
        print("ready", flush=True)
        for _ in range(6000):
            time.sleep(0.01)
    finally:
        print("tidied", flush=True)
module.command = command
sys.modules["planted"] = module
cli.COMMANDS["planted"] = ("planted:command", "")
sys.exit(cli.main(["planted"]))
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_a_command_tidy_up_and_gives_its_exit_code(sent, code):
    with subprocess.Popen(
        [sys.executable, "-c", ENDING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (code, "tidied\n")
    assert "Traceback" not in err


IN_CLICK = ENDING.replace("range(6000)", "()").replace('print("tidied", flush=True)', "pass")
READY = 'print("ready", flush=True)'
AFTER_CLICK = """
import sys
from tcdatalogger.cli.exit_codes import answered
sys.exit(answered(lambda: print("x") or 0, []))
"""


def test_a_reader_that_goes_away_is_no_error():
    for code in (
        IN_CLICK.replace(READY, "[click.echo('x' * 1000) for _ in range(10_000)]"),
        IN_CLICK.replace(READY, "print('x')"),
        AFTER_CLICK,
    ):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as gone:
            done = subprocess.run(
                [sys.executable, "-c", code],
                stdout=gone,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert (done.returncode, done.stderr) == (141, "")


# Keys


CONFIGURATION = """
[keys]
default = "env:TORN_API_KEY"
filed = "file:key.txt"
{extra}
[[endpoints]]
name = "faction_basic"
path = "/faction/basic"
api_key = "{name}"
"""


@pytest.mark.parametrize(
    ("extra", "name", "code"),
    [
        ("", "default", 0),
        ("", "filed", 0),
        (f'literal = "{KEY}"', "literal", 78),
        (f'literal = "env:{KEY}', "literal", 78),
        (f"literal = {KEY}", "literal", 78),
        (f'{KEY} = "x"', "default", 78),
        ("", KEY, 78),
    ],
)
def test_a_key_never_appears_whatever_is_asked(tmp_path, monkeypatch, capfd, extra, name, code):
    file = tmp_path / "tcdatalogger.toml"
    file.write_text(CONFIGURATION.format(extra=extra, name=name))
    (tmp_path / "key.txt").write_text(KEY)
    monkeypatch.setenv("TORN_API_KEY", KEY)
    for words in (
        ["config", "show"],
        ["config", "show", "--json"],
        ["config", "show", "--debug", "--json"],
        ["config", "show", "--set", f"keys.default={KEY}"],
        ["config", "show", "--set", f"api_key={KEY}"],
    ):
        assert main([*words, "--config", str(file)]) == (78 if KEY in words[-1] else code)
        said = capfd.readouterr()
        assert said.out + said.err
        assert KEY not in said.out + said.err
