"""The three questions of `tcdatalogger init` on a terminal, and the first run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcdatalogger import disk, private
from tcdatalogger.cli import Options
from tcdatalogger.cli.commands import init_files
from tcdatalogger.cli.output import counted, say
from tcdatalogger.errors import ConfigError, FixIt, KeyRefused, TryAgain, UsageError

if TYPE_CHECKING:
    from tcdatalogger.questions.presets import Preset
    from tcdatalogger.services.torncity.keys import KeyInfo

KEY_FILE = "keys/default"
"""The file with the key, relative to the configuration."""

_KINDS = ("faction", "player", "company", "trader")
_TRIES = 3
"""How often a key may be typed that Torn refuses."""


def ask(
    context: click.Context,
    file: Path | None,
    *,
    kinds: Sequence[str],
    api: str,
    force: bool,
) -> None:
    """Ask, write what follows from the answers, and run once.

    Args:
        context: of the command.
        file: the configuration to write; None to ask for its folder.
        kinds: whose data it is; empty to ask.
        api: the address of a sandbox; "" for Torn's.
        force: whether a configuration that is there is overwritten.

    Raises:
        UsageError: the configuration is there already, or no key was right.
        ConfigError: a file cannot be written.
        DiskFull: there is no space for it.
    """
    if file is not None and file.exists() and not force:
        raise init_files.exists(file)
    say("Enter takes what stands in brackets. Ctrl-C ends; until the end nothing is written.\n")
    kinds = kinds or _whose()
    chosen = init_files.preset(kinds, (file or Path(init_files.FILE)).parent)
    say(f"   {init_files.counts(chosen)}.")
    secret, info = _key(chosen, api)
    refused = _refused(chosen, info)
    file = file or _where(force=force)
    _write(file, kinds, chosen, secret=secret, api=api, refused=refused, force=force)
    code = _first_run(context, file) if info is not None else 0
    _next(file, secret, ran=info is not None)
    raise SystemExit(code)


def _whose() -> tuple[str, ...]:
    while True:
        typed = click.prompt(
            "1 of 3  Whose data: faction, player, company, trader (or several with commas)?",
            default=_KINDS[0],
        )
        kinds = tuple(dict.fromkeys(word.strip().lower() for word in typed.split(",") if word))
        unknown = [kind for kind in kinds if kind not in _KINDS]
        if kinds and not unknown:
            return kinds
        say(f"   There is no {', '.join(map(repr, unknown))}: {', '.join(_KINDS)}.")


def _key(chosen: Preset, api: str) -> tuple[str, KeyInfo | None]:
    """The key, and what Torn says of it; "" and None where it is left for later.

    Raises:
        UsageError: none of those that were typed is one.
    """
    say(f"\n2 of 3  The key. This makes one that may read just that:\n   {chosen.link}")
    for _ in range(_TRIES):
        typed = click.prompt(
            "   The key (it is not shown; Enter: later)",
            default="",
            hide_input=True,
            show_default=False,
        ).strip()
        if not typed:
            return "", None
        try:
            info = _asked(typed, api)
        except TryAgain as failure:
            say(f"   {failure}\n   It is taken as it is: `tcdatalogger check` looks at it later.")
            return typed, None
        except FixIt as failure:
            say(f"   {failure}")
            continue
        faction = f", faction {info.faction_id}" if info.faction_id else ""
        say(f"   Torn knows it: {info.access_type}, player {info.owner_id}{faction}.")
        return typed, info
    raise UsageError(
        "None of these is a key that Torn takes; nothing was written.",
        remedy="Make one with the link above, and call `tcdatalogger init` again.",
    )


def _asked(typed: str, api: str) -> KeyInfo:
    """What Torn says of a key, which is asked with one call.

    Raises:
        FixIt: it is no key, or Torn refuses it.
        TryAgain: Torn cannot be asked now.
    """
    from tcdatalogger.core.config.configuration import from_mapping
    from tcdatalogger.core.main import Application  # pyarrow, httpx2

    given = {"keys": {"default": init_files.ENVIRONMENT}, "torn": {"url": api} if api else {}}
    settings = from_mapping(given, {}, Path())
    variable = init_files.ENVIRONMENT.removeprefix("env:")
    with Application(settings, environ={variable: typed}).aside() as application:
        return application.info(application.key("default"))


def _refused(chosen: Preset, info: KeyInfo | None) -> list[str]:
    """The names of endpoints that the key may not read; the reader is told of them."""
    from tcdatalogger.services.torncity.keys import needs

    if info is None:
        return []
    why = {each.name: says for each in chosen.endpoints if (says := needs(each.entry, info))}
    if len(why) == len(chosen.endpoints):
        raise KeyRefused(
            f"This key may read nothing of it: {next(iter(why.values()))}",
            remedy=f"A key that may: {chosen.link}",
        )
    if why:
        says = f"   It may not read {counted(len(why), 'endpoint')}, which will be disabled:"
        say("\n   ".join([says, *why.values()]))
    return list(why)


def _where(*, force: bool) -> Path:
    """The configuration, in the folder that is answered."""
    while True:
        typed = click.prompt("\n3 of 3  In which folder (. is this one)?", default=".")
        file = Path(typed).expanduser() / init_files.FILE
        if not file.exists() or force:
            return file
        say(f"   {file} is there already: name another folder.")


def _write(
    file: Path,
    kinds: Sequence[str],
    chosen: Preset,
    *,
    secret: str,
    api: str,
    refused: Sequence[str],
    force: bool,
) -> None:
    key = f"file:{KEY_FILE}" if secret else init_files.ENVIRONMENT
    text = init_files.of_preset(kinds, chosen, api=api, key=key, refused=refused)
    if secret:  # first: a configuration must not name a file that is not there
        kept = file.parent / KEY_FILE
        try:
            private.write(kept, f"{secret}\n")
        except OSError as error:
            other = ConfigError(f"{kept} cannot be written: {error.strerror}.")
            raise disk.failure(error, str(kept), other) from None
        say(f"\nWrote {kept}, which only you can read.")
    init_files.write(file, text, force=force)
    say(f"Wrote {file}.")


def _first_run(context: click.Context, file: Path) -> int:
    """Run all endpoints once; returns the exit code."""
    from tcdatalogger.cli.commands.run import command as run

    say("\nThe first run goes back some weeks. Ctrl-C ends it; what came is stored.")
    options: Options = context.obj
    context.obj = replace(options, config=file)
    try:
        context.invoke(run, everything=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _next(file: Path, secret: str, *, ran: bool) -> None:
    """Say what to do next."""
    call = init_files.called(file)
    steps = [] if secret else [(step, "") for step in init_files.key_steps(os.environ)]
    if not ran:
        steps += [(f"{call} check", "looks at the key"), (f"{call} run --all", "runs once")]
    steps += [
        (f"{call} ask", "lists what can be asked now"),
        (f"{call} ui", "shows it on pages of this machine"),
        (f"{call} service install", "logs it from now on; or `schedule`, while it is open"),
    ]
    widest = max(len(step) for step, _ in steps)
    say("\nNext:")
    for step, says in steps:
        say(f"  {step.ljust(widest)}   {says}".rstrip())
