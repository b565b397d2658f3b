"""`tcdatalogger service`: let systemd run the scheduler, whoever is signed in."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcdatalogger import private
from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, print_json, program, say
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.scheduler.systemd import ServiceState, Systemd
    from tcdatalogger.scheduler.unit import Unit

NAME = "tcdatalogger"
KEY_FILES = "keys"
"""The folder beside the configuration for files with one secret each."""

NOT_RUNNING = 69
"""The exit code where the service does not run: what is to be there is unavailable."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}")


@click.group(
    epilog="\b\nExample:\n"
    "  tcdatalogger service install\n"
    "  tcdatalogger service status\n"
    "  sudo tcdatalogger service install --as torn    # of the system, as that account"
)
def command() -> None:
    """Let systemd run `tcdatalogger schedule`: from the start of the machine, again after a crash.

    Without root it is a service of yours; as root one of the system.
    """


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    name = value.removesuffix(".service")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{value!r} is no name of a service.", remedy="Letters, digits, - and _; as torn-2."
        )
    return name


_name = click.option(
    "--unit",
    "name",
    default=NAME,
    metavar="NAME",
    callback=_named,
    help=f"Name of the unit. [{NAME}]",
)
_whose = click.option(
    "--system/--user",
    "system",
    default=None,
    help="A service of the system, or of this user. [--system for root]",
)


@dataclass(frozen=True, slots=True)
class _Secret:
    """A secret of the service.

    Attributes:
        place: in the configuration, as `keys.default`.
        file: that holds it.
        variable: of the environment that it is read from now; "" where the file is there already.
    """

    place: str
    file: Path
    variable: str = ""


@command.command(
    "install",
    epilog="\b\nExample:\n"
    "  tcdatalogger service install --dry-run\n"
    "  tcdatalogger --config my-faction/tcdatalogger.toml service install --unit my-faction\n"
    "  sudo tcdatalogger service install --as torn",
)
@_name
@_whose
@click.option(
    "--as",
    "user",
    metavar="USER",
    help="The account that a service of the system runs as. [the owner of the configuration]",
)
@click.option("--dry-run", is_flag=True, help="Print the unit, and change nothing.")
@click.option("--force", is_flag=True, help="Overwrite a unit that this command did not write.")
@json_option
@click.pass_obj
def install(
    options: Options,
    name: str,
    system: bool | None,
    user: str | None,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Set the scheduler up as a hardened service of systemd, and begin it.

    A key that the configuration has in the environment goes into a file that only you can read,
    since a service has no environment of yours; it never stands in the unit.
    """
    settings = options.load(to_file=False, upgrades=False)
    from tcdatalogger.core.config import configuration
    from tcdatalogger.core.state.plans import plans
    from tcdatalogger.scheduler import systemd
    from tcdatalogger.scheduler.unit import written

    if not plans(settings):
        raise ConfigError(
            "No endpoint has a frequency, so there is nothing to schedule.",
            remedy='Give one a frequency, as frequency = "PT15M".',
        )
    config = configuration.locate(options.config, os.environ).resolve()
    manager = systemd.Systemd(user=not _of_system(system, user))
    missing = systemd.missing()
    if not dry_run and missing:
        commands = {"schedule": "schedule", "run": "run --all --if-due"}
        raise UsageError(
            "No systemd runs this machine, so there is no service to set up.",
            remedy=missing.format(**{n: _command(config, w) for n, w in commands.items()}),
        )
    unit, secrets = _unit(options, settings, manager, config, name=name, user=user)
    if not missing:  # else nobody can be asked
        unit = replace(unit, namespaces=manager.namespaces())
    if dry_run:
        if as_json:
            file = str(manager.folder / unit.file)
            print_json({"file": file, "unit": written(unit), "keys": _facts(secrets)})
        else:
            say(written(unit).rstrip())
        return
    _install(manager, unit, secrets, force=force, as_json=as_json)


def _of_system(system: bool | None, user: str | None) -> bool:
    """Whether it is a service of the system.

    Raises:
        UsageError: an account is named for a service of one user.
    """
    chosen = system if system is not None else user is not None or _root()
    if user is not None and not chosen:
        raise UsageError("--as is for a service of the system.", remedy="Leave out --user or --as.")
    return chosen


def _root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _unit(
    options: Options,
    settings: Settings,
    manager: Systemd,
    config: Path,
    *,
    name: str,
    user: str | None,
) -> tuple[Unit, list[_Secret]]:
    from tcdatalogger.scheduler.unit import Unit, folders, references

    if user is not None:
        _account(user)
    secrets = list(_secrets(references(settings), config.parent / KEY_FILES, manager))
    unit = Unit(
        name=name,
        program=_program(),
        config=config,
        overrides=options.overrides,
        user="" if manager.user else user or _owner(config),
        secrets={each.place: each.file for each in secrets},
        writable=folders(settings),
    )
    return unit, secrets


def _secrets(found: dict[str, str], folder: Path, manager: Systemd) -> list[_Secret]:
    """The secrets that the service needs files of; one of a user reads files as they are."""
    secrets = []
    for place, reference in found.items():
        scheme, _, rest = reference.partition(":")
        if scheme == "env":
            file = folder / place.removeprefix("keys.").replace("/", "_")
            secrets.append(_Secret(place, file, rest))
        elif not manager.user:
            secrets.append(_Secret(place, Path(rest)))
    return secrets


def _program() -> list[str]:
    """The words that call this program, with the whole path."""
    script = Path(sys.executable).with_name("tcdatalogger")
    return [str(script)] if script.exists() else [sys.executable, "-m", "tcdatalogger"]


def _command(config: Path, words: str) -> str:
    return f"{shlex.join(_program())} --config {shlex.quote(str(config))} {words}"


def _owner(config: Path) -> str:
    """The account that owns the configuration.

    Raises:
        UsageError: that is root, as which the service is not to run.
    """
    owner = config.owner()
    if owner == "root":
        folder = shlex.quote(str(config.parent))
        raise UsageError(
            "A service of the system needs an account of its own, and root owns the configuration.",
            remedy=f"Make one, give it the folder, and name it: {_useradd(NAME)} && "
            f"chown -R {NAME} {folder} && {_command(config, f'service install --as {NAME}')}",
        )
    return owner


def _account(user: str) -> None:
    """Refuse an account that does not exist.

    Raises:
        UsageError: there is none of this name.
    """
    import pwd  # systems without it have no systemd

    try:
        pwd.getpwnam(user)
    except KeyError:
        raise UsageError(f"There is no account {user!r}.", remedy=_useradd(user)) from None


def _useradd(user: str) -> str:
    return f"useradd --system --shell /usr/sbin/nologin {shlex.quote(user)}"


def _install(
    manager: Systemd,
    unit: Unit,
    secrets: Sequence[_Secret],
    *,
    force: bool,
    as_json: bool,
) -> None:
    from tcdatalogger.clock import SystemClock
    from tcdatalogger.scheduler import systemd
    from tcdatalogger.scheduler.unit import written

    if not manager.user and not _root():
        raise UsageError(
            "Only root can set up a service of the system.",
            remedy=f"sudo {_command(unit.config, 'service install --system')}",
        )
    for each in secrets:
        _store(each)
    others = [folder for folder in unit.writable if not _made(folder, unit.user)]
    file = manager.install(unit.file, written(unit), replace=force)
    lingers = systemd.linger() if manager.user else True
    found = manager.settled(unit.file, SystemClock())
    if as_json:
        print_json({**_state_facts(found), "keys": _facts(secrets)})
        raise SystemExit(_code(found))
    say(f"Wrote {file}; it runs {_command(unit.config, 'schedule')}")
    for each in secrets:
        say(f"{each.place} is in {each.file}, which only its owner can read.")
    if not unit.namespaces:
        say("This machine makes no namespaces for a service, so the unit is less hardened.")
    for folder in others:
        say(f"{folder} belongs to another account: chown -R {unit.user} {shlex.quote(str(folder))}")
    if not lingers:
        say("It ends when you sign out; `loginctl enable-linger` as root lets it go on.")
    _print(manager, unit.name, found)
    raise SystemExit(_code(found))


def _store(secret: _Secret) -> None:
    """Write a secret of the environment into its file; without it, the file stays.

    Raises:
        ConfigError: there is neither, or the file cannot be written.
    """
    if not secret.variable:
        return
    from tcdatalogger.core.config.secrets import resolve

    if secret.variable not in os.environ and secret.file.exists():
        return
    name = secret.place.removeprefix("keys.")
    environ: Mapping[str, str] = os.environ
    if secret.variable not in environ and sys.stdin.isatty():
        typed = click.prompt(f"{secret.place} ({secret.variable} is not set)", hide_input=True)
        environ = {secret.variable: typed.strip()}
    value = resolve(name, f"env:{secret.variable}", environ, document=name == secret.place)
    try:
        private.write(secret.file, f"{value.reveal()}\n")
    except OSError as error:
        raise ConfigError(f"{secret.file} cannot be written: {error.strerror}.") from None


def _made(folder: Path, user: str) -> bool:
    """Make a folder of the service where it is missing; returns whether it is the service's.

    Raises:
        ConfigError: it cannot be made.
    """
    missing = not folder.exists()
    try:
        private.folder(folder)
        if user and missing:
            shutil.chown(folder, user)
        return not user or folder.owner() == user
    except LookupError:
        raise ConfigError(
            f"{folder} belongs to an account that does not exist.",
            remedy=f"chown -R {user} {shlex.quote(str(folder))}",
        ) from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}.") from None


@command.command(
    "status",
    epilog="\b\nExample:\n  tcdatalogger service status\n  tcdatalogger service status --json",
)
@_name
@_whose
@json_option
def status(name: str, system: bool | None, as_json: bool) -> None:
    """Show whether the service runs, and since when. The exit code is 69 where it does not."""
    from tcdatalogger.scheduler.systemd import Systemd

    manager = Systemd(user=not _of_system(system, None))
    found = manager.state(f"{name}.service")
    if as_json:
        print_json(_state_facts(found))
    else:
        _print(manager, name, found)
    raise SystemExit(_code(found))


@command.command(
    "remove",
    epilog="\b\nExample:\n  tcdatalogger service remove\n"
    "  sudo tcdatalogger service remove --system --unit my-faction",
)
@_name
@_whose
@json_option
def remove(name: str, system: bool | None, as_json: bool) -> None:
    """End the service and delete its unit; configuration, data and keys stay."""
    from tcdatalogger.scheduler.systemd import Systemd

    manager = Systemd(user=not _of_system(system, None))
    file = manager.remove(f"{name}.service")
    if as_json:
        print_json({"removed": str(file)})
        return
    say(
        f"Ended, and deleted {file}. The configuration, the data and files of keys are still there."
    )


def _print(manager: Systemd, name: str, found: ServiceState) -> None:
    if not found.installed:
        say(f"There is no service {name}: `tcdatalogger service install` sets it up.")
        return
    whose = "of this user" if manager.user else "of the system"
    process = f", process {found.pid}" if found.pid else ""
    since = f" since {found.since}" if found.since else ""
    say(f"{name}.service {whose}: {found.active or 'not known'}{since}{process}")
    if not found.enabled:
        say("It does not begin with the machine.")
    if found.restarts or found.active == "failed":
        say(f"Begun again {found.restarts} times; its last exit code is {found.exit_code}.")
    logs = " ".join(["journalctl", *manager.flags, "-u", name, "-n", "50"])
    say(f"Its log: {logs}\nWhat it did: {program()} status")


def _state_facts(found: ServiceState) -> dict[str, object]:
    return {**asdict(found), "unit": str(found.unit)}


def _facts(secrets: Sequence[_Secret]) -> dict[str, str]:
    return {each.place: str(each.file) for each in secrets}


def _code(found: ServiceState) -> int:
    return 0 if found.active == "active" else NOT_RUNNING
