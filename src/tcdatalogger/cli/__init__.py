"""The command line: a table of commands, imported when they are called, and the process's edge.

Nothing heavy may be imported here: `--help` has to answer at once.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import __version__, ending, first_process, memory, private, text
from tcdatalogger.cli.exit_codes import answered
from tcdatalogger.errors import Stopped, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.configuration import LogSettings, Settings

_SELDOM = (20_000, 20, 50)
"""The thresholds of the garbage collector. Imports make many objects and hardly any garbage: with
Python's own thresholds, the collector took a tenth of the time in which a run begins."""

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Begin": {
        "demo": (
            "tcdatalogger.cli.commands.demo:command",
            "Log a living Torn City: no key, no network.",
        ),
        "init": ("tcdatalogger.cli.commands.init:command", "Write a configuration to begin with."),
        "check": (
            "tcdatalogger.cli.commands.check:command",
            "Check configuration, keys and warehouse.",
        ),
        "keys": ("tcdatalogger.cli.commands.keys:command", "Show each key, and what it may do."),
    },
    "Log": {
        "run": (
            "tcdatalogger.cli.commands.run:command",
            "Run endpoints now, whatever the schedule says.",
        ),
        "backfill": ("tcdatalogger.cli.commands.backfill:command", "Log the history of a list."),
        "schedule": (
            "tcdatalogger.cli.commands.schedule:command",
            "Run every endpoint when it is due.",
        ),
        "service": (
            "tcdatalogger.cli.commands.service:command",
            "Let systemd run the scheduler.",
        ),
        "status": ("tcdatalogger.cli.commands.status:command", "Show what each endpoint did last."),
        "health": (
            "tcdatalogger.cli.commands.health:command",
            "Say whether the scheduler is well.",
        ),
        "runs": ("tcdatalogger.cli.commands.runs:command", "List runs and what became of them."),
    },
    "Look": {
        "ui": ("tcdatalogger.cli.commands.ui:command", "Show it all on pages of this machine."),
        "ask": ("tcdatalogger.cli.commands.ask:command", "Answer a question about your faction."),
        "channels": (
            "tcdatalogger.cli.commands.channels:command",
            "List and try where alerts and answers go.",
        ),
        "exports": (
            "tcdatalogger.cli.commands.exports:command",
            "Write answers and tables into files and sheets.",
        ),
        "query": ("tcdatalogger.cli.commands.query:command", "Ask the warehouse in SQL."),
        "catalog": (
            "tcdatalogger.cli.commands.catalog:command",
            "List what Torn offers, and its tables.",
        ),
        "probe": (
            "tcdatalogger.cli.commands.probe:command",
            "Report how Torn differs from the catalogue.",
        ),
        "schema": ("tcdatalogger.cli.commands.schema:command", "Show the versions of the tables."),
        "transform": (
            "tcdatalogger.cli.commands.transform:command",
            "Turn saved answers into tables.",
        ),
    },
    "Mend": {
        "quarantine": ("tcdatalogger.cli.commands.quarantine:command", "Records that did not fit."),
        "replay": (
            "tcdatalogger.cli.commands.replay:command",
            "Make a run's rows again from the archive.",
        ),
        "rebuild": (
            "tcdatalogger.cli.commands.replay:rebuild_command",
            "Make an endpoint's rows again from the archive.",
        ),
        "rollback": ("tcdatalogger.cli.commands.rollback:command", "Take back what a run stored."),
    },
    "Keep": {
        "backup": (
            "tcdatalogger.cli.commands.backup:command",
            "Copy all that was logged, and check it.",
        ),
        "restore": (
            "tcdatalogger.cli.commands.restore:command",
            "Bring a backup back in a new folder.",
        ),
        "move": (
            "tcdatalogger.cli.commands.move:command",
            "Bring the installation to another place.",
        ),
        "archive": (
            "tcdatalogger.cli.commands.archive:command",
            "Join the files of the raw answers.",
        ),
        "copy": (
            "tcdatalogger.cli.commands.copy:command",
            "Copy the whole warehouse into another one.",
        ),
        "forget": (
            "tcdatalogger.cli.commands.forget:command",
            "Take a player out of all that was logged.",
        ),
        "prune": (
            "tcdatalogger.cli.commands.prune:command",
            "Delete what is older than it is kept.",
        ),
    },
    "Tools": {
        "config": (
            "tcdatalogger.cli.commands.config:command",
            "Show the configuration or its schema.",
        ),
        "bench": (
            "tcdatalogger.cli.commands.bench:command",
            "Measure what the runs of your endpoints cost.",
        ),
        "sandbox": (
            "tcdatalogger.cli.commands.sandbox:command",
            "Serve a Torn City on this machine.",
        ),
    },
}
"""Every command: where it is, and its line in the help."""

COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

EXAMPLE = """\b
Example:
  tcdatalogger demo
  tcdatalogger init && tcdatalogger check && tcdatalogger run --all
  tcdatalogger query "select * from faction_crimes limit 3"
"""

_TAKES_VALUE = {
    "--config": "tcdatalogger.toml",
    "--set": "limits.share=0.5",
    "--log-level": "info",
    "--log-format": "json",
}
"""With an example of each."""
_SWITCHES = ("--debug",)

_FORMER = {"most": "limit", "out": "to", "folder": "to"}
"""Options that had another name, which is still understood; without their dashes."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every command has; a command takes them with `@click.pass_obj`."""

    config: Path | None = None
    overrides: tuple[str, ...] = ()
    log_level: str | None = None
    log_format: str | None = None
    debug: bool = False

    def load(
        self,
        *,
        names: Sequence[str] | None = None,
        to_file: bool = True,
        processors: bool = False,
        upgrades: bool = True,
        moves: bool = False,
    ) -> Settings:
        """The settings; logs begin as the settings say.

        What an older version wrote is upgraded first, after a backup.

        Args:
            names: as for `configuration.load`.
            processors: as for `configuration.load`.
            to_file: whether there is a log file too, where the settings say so.
            upgrades: whether the installation is upgraded where it has to be.
            moves: whether one that was moved away is not refused.

        Raises:
            ConfigError: the configuration is missing or wrong, or the installation is of a later
                version.
            Busy: it is being upgraded.
            UsageError: an override is not written as `key=value`.
        """
        settings = self.settings(names, processors=processors)
        if not moves:
            self._refuse_moved(settings)
        logs = self.logs(settings.log)
        self.start_logs(**(logs if to_file else {**logs, "file": None}))
        if upgrades:
            _upgrade(settings)
        return settings

    def settings(self, names: Sequence[str] | None = None, *, processors: bool = False) -> Settings:
        """The settings, read anew; arguments and errors are those of `load`, and no log begins."""
        from tcdatalogger.core.config import configuration  # pydantic, which help never needs

        return configuration.load(
            self.config, os.environ, self.overrides, names=names, processors=processors
        )

    def look(self) -> Settings:
        """The settings for a command that only reads: an endpoint with a mistake is left out.

        Raises:
            ConfigError: there is a mistake elsewhere too.
            UsageError: an override is not written as `key=value`.
        """
        from tcdatalogger.core.config import configuration

        settings, mistakes = configuration.look(self.config, os.environ, self.overrides)
        from tcdatalogger.cli.output import say  # help needs none of it

        for mistake in mistakes:
            say(f"left out: {mistake}", err=True)
        self._refuse_moved(settings)
        self.start_logs(**self.logs(settings.log))
        _upgrade(settings)
        return settings

    @property
    def file(self) -> Path:
        """The file of the configuration."""
        from tcdatalogger.core.config import configuration

        return configuration.locate(self.config, os.environ)

    def _refuse_moved(self, settings: Settings) -> None:
        from tcdatalogger.core.config import moved

        moved.refuse(self.file, settings)

    def logs(self, log: LogSettings) -> dict[str, Any]:
        """How settings want logs, as arguments of `log.configure`, also for other processes."""
        from tcdatalogger.core.config import sizes

        said = "debug" if self.debug else self.log_level
        # Who looks at a terminal sees the result; every step is for files and for programs.
        quiet = sys.stderr.isatty() and "level" not in log.model_fields_set
        return {
            "level": said or log.level,
            "shown": said or ("warning" if quiet else log.level),
            "format": self.log_format or log.format,
            "file": log.file,
            "max_bytes": sizes.parse(log.max_bytes),
            "keep": log.keep,
        }

    def start_logs(
        self,
        level: str = "info",
        format: str = "auto",  # noqa: A002  # the name of the setting
        file: Path | None = None,
        *,
        shown: str = "",
        max_bytes: int = 0,
        keep: int = 5,
    ) -> None:
        """Begin to log. The options of the command line are stronger than the arguments."""
        from tcdatalogger.observability import log  # help never logs

        level = "debug" if self.debug else self.log_level or level
        format = self.log_format or format  # noqa: A001  # as above
        log.configure(level, format, file, shown=shown, max_bytes=max_bytes, keep=keep)
        click.get_current_context().find_root().call_on_close(log.stop)


def _upgrade(settings: Settings) -> None:
    """Upgrade an installation that an older version wrote, and say so.

    Where its state cannot be asked, that is for the command to tell: it may not need it.

    Raises:
        Failure: as `upgrade`.
    """
    from tcdatalogger.core.state.connect import older

    if not settings.state.begun or not older(settings.state.url or ""):
        return
    from tcdatalogger.cli.commands.backup import BackupLines
    from tcdatalogger.cli.output import say
    from tcdatalogger.core.backup.upgrade import upgrade

    done = upgrade(settings, progress=BackupLines())
    if done is not None:
        say(
            "An older version of TCdatalogger wrote this installation, and it was upgraded. As it "
            f"was before, it is kept in {done.backup}.",
            err=True,
        )


class Commands(click.Group):
    """A group that imports a command when it is called, and lists all without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None where there is no command of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names.

        Raises:
            UsageError: there is none; the remedy names similar ones.
        """
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = text.near(args[0], COMMANDS, most=2)
            raise UsageError(
                f"There is no command {args[0]!r}.",
                remedy=f"Did you mean {' or '.join(near)}?"
                if near
                else "`tcdatalogger --help` lists them.",
            )
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options that every command has, wherever they stand among the words."""
        return super().parse_args(ctx, _globals_first(args))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands into the help, by sections."""
        width = max(map(len, COMMANDS))
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{n:{width}}", text) for n, (_, text) in section.items()])


def _globals_first(args: Sequence[str]) -> list[str]:
    """`run crimes --config FILE` means what `--config FILE run crimes` means."""
    first: list[str] = []
    rest: list[str] = []
    left = iter(args)
    for arg in left:
        if arg == "--":
            return [*first, *rest, arg, *left]
        if arg in _TAKES_VALUE:
            value = next(left, None)
            if value is None or value.startswith("--"):
                raise UsageError(
                    f"The option {arg} needs a value.", remedy=f"As: {arg} {_TAKES_VALUE[arg]}"
                )
            first += [arg, value]
        elif arg in _SWITCHES or arg.startswith(tuple(f"{name}=" for name in _TAKES_VALUE)):
            first.append(arg)
        else:
            rest.append(arg)
    return [*first, *rest]


@click.command(
    cls=Commands,
    epilog=EXAMPLE,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: _FORMER.get(name, name),
    },
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration. [TCDATALOGGER_CONFIG, or tcdatalogger.toml here]",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting for this command: warehouse.url=… or, of the endpoints, params.cat=….",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="The least important lines to show. [log.level; on a terminal, where it is not set, "
    "warning]",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "human", "json"]),
    help="How lines look; auto is human on a terminal.",
)
@click.option("--debug", is_flag=True, help="Log everything, and show tracebacks.")
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(
    ctx: click.Context,
    config: Path | None,
    overrides: tuple[str, ...],
    log_level: str | None,
    log_format: str | None,
    debug: bool,
) -> None:
    """Logs Torn City's API v2 into a warehouse of typed tables.

    The options below may stand before or after a command.
    """
    ctx.obj = Options(config, overrides, log_level, log_format, debug)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; this is the edge of the process."""
    if first_process.needed():
        return first_process.run(lambda: _main(args))
    return _main(args)


def _main(args: Sequence[str] | None) -> int:
    gc.set_threshold(*_SELDOM)
    # Or pydantic would look through all packages that are installed for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    memory.keep_little()
    words = list(sys.argv[1:] if args is None else args)
    try:
        with private.umask(), ending.answered():
            return answered(lambda: _call(words), words)
    except Stopped as stopped:
        return stopped.exit_code


def _context(words: Sequence[str]) -> click.Context:
    """The context of the command that some words name, as far as they do."""
    found = click.Context(cli, info_name="tcdatalogger")
    for word in words:
        if not isinstance(found.command, click.Group):
            break
        command = found.command.get_command(found, word)
        if command is not None:
            found = click.Context(command, parent=found, info_name=command.name)
    return found


def _call(words: list[str]) -> int:
    try:
        result: Any = cli.main(args=words, prog_name="tcdatalogger", standalone_mode=False)
    except click.UsageError as error:
        error.ctx = error.ctx or _context(words)  # of an option without its value, click says none
        raise
    except BaseException:  # also at Ctrl-C: an engine may have made an error of its own of it
        ending.check()  # what was told to end ended by that, whatever became of it inside
        raise
    ending.check()
    # A command may return an exit code; nothing, or anything else, is a good end.
    return result if isinstance(result, int) and not isinstance(result, bool) else 0
