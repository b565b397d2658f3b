"""Talks to systemd: sets a unit up, asks how it is, and takes it away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError, UsageError
from tcdatalogger.scheduler.unit import MADE_BY

BOOTED: Final = Path("/run/systemd/system")
"""A folder that is there where systemd runs the machine."""
SYSTEM: Final = Path("/etc/systemd/system")
"""The folder of units of the system that an administrator makes."""

_PROBE: Final = ("PrivateUsers=yes", "ProtectSystem=strict", "PrivateDevices=yes")
"""What needs namespaces."""
_PATIENCE: Final = 60.0
"""Seconds that a call of systemd may take."""
_SETTLE: Final = 5
"""Looks, half a second apart, until a service that was begun is there or has failed."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How a service is.

    Attributes:
        unit: the file of its unit.
        installed: whether that file is there.
        active: systemd's word: `active`, `inactive`, `failed`, `activating`; "" where it is not
            installed.
        enabled: whether it begins with the machine, or when its user signs in.
        pid: of its process, None where none runs.
        since: when it became so, in systemd's words; "" for never.
        result: why it ended, in systemd's words, as `exit-code`; `success` while nothing is wrong.
        exit_code: of its last process.
        restarts: how often systemd began it again.
    """

    unit: Path
    installed: bool
    active: str = ""
    enabled: bool = False
    pid: int | None = None
    since: str = ""
    result: str = ""
    exit_code: int = 0
    restarts: int = 0


class Systemd:
    """The systemd of the machine, or that of one user.

    Args:
        user: whether it is that of the user.

    Attributes:
        user: the same.
    """

    def __init__(self, *, user: bool) -> None:
        self.user = user

    @property
    def folder(self) -> Path:
        """The folder of units."""
        if not self.user:
            return SYSTEM
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd" / "user"

    @property
    def flags(self) -> list[str]:
        """The words by which systemd's programs mean this one."""
        return ["--user"] if self.user else []

    def namespaces(self) -> bool:
        """Whether it can make namespaces for a service: it makes one that does nothing."""
        words = [word for line in _PROBE for word in ("--property", line)]
        tried = _call(
            ["systemd-run", *self.flags, "--quiet", "--wait", "--collect", *words, "true"]
        )
        return tried is not None and tried.returncode == 0

    def install(self, file: str, text: str, *, replace: bool = False) -> Path:
        """Write a unit, and begin it now and whenever the machine starts.

        Args:
            file: the name of the unit's file.
            text: the unit.
            replace: whether a unit that is not ours is overwritten.

        Returns:
            The unit's file.

        Raises:
            UsageError: there is a unit of this name that is not ours.
            ConfigError: the file cannot be written, or systemd refuses it.
        """
        unit = self.folder / file
        if unit.exists() and not replace and not _is_ours(unit):
            raise UsageError(
                f"{unit} is there already, and `service install` did not write it.",
                remedy="Give this one another name with --unit; --force overwrites the unit.",
            )
        try:
            unit.parent.mkdir(parents=True, exist_ok=True)
            unit.write_text(text, encoding="utf-8")
            unit.chmod(0o644)  # no secret is in it
        except OSError as error:
            raise ConfigError(f"{unit} cannot be written: {error.strerror}.") from None
        self._order("daemon-reload")
        self._order("enable", file)
        self._order("restart", file)
        return unit

    def settled(self, file: str, clock: Clock) -> ServiceState:
        """How a service is a moment after it was begun: one that fails does so at once."""
        for _ in range(_SETTLE):
            clock.sleep(0.5)
            found = self.state(file)
            if found.active == "failed" or found.restarts:
                return found
        return found

    def state(self, file: str) -> ServiceState:
        """How a service is."""
        unit = self.folder / file
        wanted = (
            "ActiveState,UnitFileState,MainPID,StateChangeTimestamp,Result,ExecMainStatus,NRestarts"
        )
        asked = _call(["systemctl", *self.flags, "show", f"--property={wanted}", file])
        told = dict(
            line.partition("=")[::2] for line in (asked.stdout if asked else "").splitlines()
        )
        if not unit.exists():
            return ServiceState(unit, installed=False)
        return ServiceState(
            unit,
            installed=True,
            active=told.get("ActiveState", ""),
            enabled=told.get("UnitFileState") == "enabled",
            pid=_number(told, "MainPID") or None,
            since=told.get("StateChangeTimestamp", ""),
            result=told.get("Result", ""),
            exit_code=_number(told, "ExecMainStatus"),
            restarts=_number(told, "NRestarts"),
        )

    def remove(self, file: str) -> Path:
        """End a service, and delete its unit.

        Returns:
            The file that was deleted.

        Raises:
            UsageError: there is none, or it is not ours.
            ConfigError: the file cannot be deleted, or systemd refuses it.
        """
        unit = self.folder / file
        if not unit.exists():
            raise UsageError(f"There is no service {file}: {unit} does not exist.")
        if not _is_ours(unit):
            raise UsageError(
                f"`service install` did not write {unit}.", remedy="Delete it by hand."
            )
        self._order("disable", "--now", file)
        try:
            unit.unlink()
        except OSError as error:
            raise ConfigError(f"{unit} cannot be deleted: {error.strerror}.") from None
        self._order("daemon-reload")
        return unit

    def _order(self, *words: str) -> None:
        done = _call(["systemctl", *self.flags, *words])
        if done is None or done.returncode:
            why = "it does not answer" if done is None else done.stderr.strip() or "no reason given"
            raise ConfigError(
                f"systemd did not do `systemctl {' '.join([*self.flags, *words])}`: {why}."
            )


def linger() -> bool:
    """Let services of this user go on while he is not signed in; returns whether that worked."""
    done = _call(["loginctl", "enable-linger"])
    return done is not None and done.returncode == 0


def missing() -> str:
    """What to do on a machine that systemd does not run; "" where it does."""
    if sys.platform == "darwin":
        return _ON_MACOS
    if os.name == "nt":
        return _ON_WINDOWS
    if not BOOTED.is_dir() or shutil.which("systemctl") is None:
        return _ELSEWHERE
    return ""


_ON_MACOS: Final = """\
macOS has launchd in place of systemd. Let it run `{schedule}`:
a file ~/Library/LaunchAgents/tcdatalogger.plist with Label, ProgramArguments (each
word of the command above) and KeepAlive; then
  launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/tcdatalogger.plist
It has no variables of your shell: write file:PATH for the key in the configuration."""

_ON_WINDOWS: Final = """\
Windows has its Task Scheduler in place of systemd. Let it run, when you sign in,
  {schedule}
It has no variables of your shell: write file:PATH for the key in the configuration."""

_ELSEWHERE: Final = """\
systemd does not run this machine (a container, or another init). What does the same:
- in a container, make this its command, with a policy to restart:
    {schedule}
- with cron, a line of `crontab -e`; each run is made when it is due:
    */5 * * * * {run}
cron has no variables of your shell: write file:PATH for the key in the configuration."""


def _is_ours(unit: Path) -> bool:
    try:
        return unit.read_text(encoding="utf-8", errors="replace").startswith(MADE_BY)
    except OSError:
        return False


def _number(told: dict[str, str], name: str) -> int:
    text = told.get(name, "")
    return int(text) if text.isdecimal() else 0


def _call(words: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """What a program of systemd's did; None where it is missing or does not answer."""
    program = shutil.which(words[0])
    if program is None:
        return None
    try:
        return subprocess.run(  # noqa: S603  # words of ours, no shell; names were checked
            [program, *words[1:]], capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
