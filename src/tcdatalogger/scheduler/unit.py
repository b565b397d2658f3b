"""The unit with which systemd runs the scheduler: what it says, and what it needs to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tcdatalogger.core.config.settings import Settings
from tcdatalogger.errors import ConfigError

MADE_BY: Final = "# Written by tcdatalogger service install; the next install writes it anew."
"""The first line of each unit of ours: a unit without it is somebody else's."""

_ALWAYS: Final = """\
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
"""
"""Hardening that works everywhere, also in a container and for a user's own service."""

_BY_NAMESPACES: Final = """\
CapabilityBoundingSet=
AmbientCapabilities=
PrivateDevices=yes
PrivateMounts=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
"""
"""Hardening for which systemd makes namespaces; some containers and distributions refuse them."""

_HOMES: Final = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  # only compared with


@dataclass(frozen=True, slots=True)
class Unit:
    """A service of systemd that runs `tcdatalogger schedule`.

    Attributes:
        name: of the unit, without `.service`.
        program: the words that call this program.
        config: the configuration file.
        overrides: further settings, as `--set` takes them.
        user: the account that it runs as; "" for a service of the user who installs it.
        secrets: the files with secrets, by their places in the configuration.
        writable: the folders that it may write to.
        namespaces: whether this machine lets systemd make namespaces for it.
    """

    name: str
    program: Sequence[str]
    config: Path
    overrides: Sequence[str] = ()
    user: str = ""
    secrets: Mapping[str, Path] = field(default_factory=dict)
    writable: Sequence[Path] = ()
    namespaces: bool = True

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.service"

    def given(self, place: str) -> str:
        """The reference by which the service reads a secret.

        A service of the system gets it from systemd as a credential: its account need not be able
        to read the file. A service of a user reads the file itself.
        """
        if self.user:
            return f"file:/run/credentials/{self.file}/{place}"
        return f"file:{self.secrets[place]}"


def written(unit: Unit) -> str:
    """The text of the unit's file."""
    return "\n".join([MADE_BY, *_head(), "[Service]", *_service(unit), "", *_end(unit)]) + "\n"


def _head() -> list[str]:
    return [
        "[Unit]",
        "Description=TCdatalogger: logs Torn City into typed tables",
        "After=network-online.target",
        "Wants=network-online.target",
        "StartLimitIntervalSec=300",
        "StartLimitBurst=5",
        "",
    ]


def _end(unit: Unit) -> list[str]:
    return ["[Install]", f"WantedBy={'multi-user' if unit.user else 'default'}.target"]


def _service(unit: Unit) -> Iterator[str]:
    yield "Type=exec"
    if unit.user:
        yield f"User={_plain(unit.user)}"
    yield f"WorkingDirectory={_plain(str(unit.config.parent))}"
    if unit.user and unit.secrets:
        yield "# Only this service can read these; the files themselves are their owner's alone."
        for place, file in unit.secrets.items():
            yield f"LoadCredential={_plain(place)}:{_plain(str(file))}"
    yield f"ExecStart={' '.join(_quoted(word) for word in _words(unit))}"
    yield "# A reload reads the configuration again; a broken one changes nothing."
    yield "ExecReload=/bin/sh -c 'kill -HUP \"$MAINPID\"'"
    yield "# It ends within 10 seconds of a SIGTERM: every transaction is committed or undone."
    yield "KillMode=mixed"
    yield "TimeoutStopSec=15"
    yield "SuccessExitStatus=143"
    yield "Restart=on-failure"
    yield "RestartSec=5"
    yield "# Wrong usage and a wrong configuration stay wrong: somebody has to change something."
    yield "RestartPreventExitStatus=2 78"
    yield "# Each run has a limit of memory of its own; one that is killed does not end the others."
    yield "OOMPolicy=continue"
    yield from _ALWAYS.splitlines()
    if unit.namespaces:
        yield from _BY_NAMESPACES.splitlines()
        yield from _hidden(unit)
        paths = " ".join(_quoted(str(folder)) for folder in unit.writable)
        yield f"ReadWritePaths={paths}"
    if unit.user:
        yield "RemoveIPC=yes"


def _words(unit: Unit) -> list[str]:
    """The words of the command."""
    given = [f"{place}={unit.given(place)}" for place in unit.secrets]
    sets = [word for each in (*unit.overrides, *given) for word in ("--set", each)]
    return [*unit.program, "schedule", "--config", str(unit.config), *sets]


def _hidden(unit: Unit) -> Iterator[str]:
    """Lines that hide folders of others, as far as the service needs nothing in them."""
    needed = [Path(unit.program[0]), unit.config, *unit.writable, *unit.secrets.values()]
    yield f"ProtectHome={'read-only' if _within(needed, _HOMES) else 'yes'}"
    if not _within(needed, _TEMPORARY):
        yield "PrivateTmp=yes"


def _within(paths: Iterable[Path], folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for path in paths for folder in folders)


def _plain(text: str) -> str:
    """A value that systemd takes to the end of the line.

    Raises:
        ConfigError: it has a line break, which no unit can hold.
    """
    if not text.isprintable():
        raise ConfigError(
            f"A service cannot have {text!r}: it holds a line break or another odd character.",
            remedy="Rename the folder.",
        )
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    r"""A word of a command or of a list: systemd reads `%`, `$`, quotes and `\` in it.

    Raises:
        ConfigError: as `_plain`.
    """
    text = _plain(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return text if text and not set(text) & set(" '\"\\;") else f'"{text}"'


# --- what it needs to know -----------------------------------------------------------------------


def folders(settings: Settings) -> list[Path]:
    """The folders that the scheduler writes to, none inside of another one."""
    state, backup, log = settings.state.file, settings.backup, settings.log.file
    wanted = [
        settings.warehouse.file and settings.warehouse.file.parent,
        state and state.parent,
        settings.archive.folder or settings.spool,
        settings.artifacts,
        backup.path if backup.frequency is not None else None,
        log and log.parent,
        *(Path(each.file).parent for each in settings.exports if each.file and each.frequency),
    ]
    found = sorted({folder for folder in wanted if folder is not None})
    return [one for one in found if not any(one.is_relative_to(o) for o in found if o != one)]


def references(settings: Settings) -> dict[str, str]:
    """Where the scheduler's secrets are, by their places in the configuration.

    Raises:
        ConfigError: one of them is where a service cannot get it.
    """
    found = dict(_references(settings.model_dump(mode="json", exclude={"ui", "endpoints"}), ()))
    keyrings = [place for place, reference in found.items() if reference.startswith("keyring:")]
    if keyrings:
        raise ConfigError(
            f"{' and '.join(keyrings)} stands in a keyring, which is locked while nobody is "
            "signed in.",
            remedy="Write file:PATH or env:VARIABLE for it.",
        )
    return found


def _references(value: Any, place: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _references(inner, (*place, str(name)))
        case list():
            for number, inner in enumerate(value):
                if isinstance(inner, dict) and isinstance(inner.get("name"), str):
                    yield from _references(inner, (*place, inner["name"]))
                    continue
                for where, reference in _references(inner, (*place, str(number))):
                    if reference.startswith("env:"):
                        raise ConfigError(
                            f"{where} is {reference}, and a service has no such variable.",
                            remedy="Write the secret into a file, and file:PATH for it.",
                        )
        case str() if value.startswith(("env:", "file:", "keyring:")):
            yield ".".join(place), value
        case _:
            return
