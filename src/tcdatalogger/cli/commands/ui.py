"""`tcdatalogger ui`: the pages of the installation, served until it is stopped."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import counted, json_option, print_json, program, say
from tcdatalogger.clock import span
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import UiSettings
    from tcdatalogger.core.main import Application
    from tcdatalogger.questions.question import Question
    from tcdatalogger.web.context import Role

_BACKLOG = 128
_SEND_BUFFER = 128 * 1_024
"""Bytes of an answer that the kernel keeps for a connection (Linux doubles it). In a buffer that
grows by itself a slow reader could not be told from one that reads nothing.
"""


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger ui --open\n"
    "  tcdatalogger ui --listen 127.0.0.1:9000\n"
    "  tcdatalogger ui --listen 0.0.0.0:8765 --behind-proxy\n"
    "  tcdatalogger ui --export site --role officer --days 7 --days 30",
)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen. [ui.listen]")
@click.option("--behind-proxy", is_flag=True, help="A proxy with TLS stands before it.")
@click.option("--open", "opens", is_flag=True, help="Open the first page in a browser.")
@click.option(
    "--export",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the pages as files for a web server, and end; an export that is there is replaced.",
)
@click.option(
    "--role",
    type=click.Choice(["member", "officer", "owner"]),
    help="With --export: what this role may see. [member]",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    multiple=True,
    metavar="N",
    help="With --export: a period that pages offer; once for each. [7, 30, 90]",
)
@json_option
@click.pass_obj
def command(
    options: Options,
    listen: str | None,
    behind_proxy: bool,
    opens: bool,
    folder: Path | None,
    role: Role | None,
    days: tuple[int, ...],
    as_json: bool,
) -> None:
    """Show what was logged on pages of this machine, until Ctrl-C.

    Nothing can be changed there, and no run waits for who looks. Others than this machine see the
    pages only with a password and TLS: docs/dashboard.md.
    """
    if folder is None and (role or days or as_json):
        raise UsageError("--role, --days and --json go with --export.")
    if folder is not None and (listen is not None or behind_proxy or opens):
        raise UsageError("--export serves nothing: --listen, --behind-proxy and --open go without.")
    if folder is not None:
        _export(options, folder, role or "member", days, as_json=as_json)
        return
    settings = options.look()
    host, _, port = (listen or settings.ui.listen).rpartition(":")
    if not (host and port.isdecimal()):
        raise UsageError(
            f"{listen or 'An empty text'} is no address to listen on.",
            remedy="As: --listen 127.0.0.1:8765",
        )
    ui = settings.ui.model_copy(
        update={
            "listen": listen or settings.ui.listen,
            "behind_proxy": behind_proxy or settings.ui.behind_proxy,
        }
    )
    from tcdatalogger.core.config import configuration
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.questions import question

    folder = configuration.locate(options.config, os.environ).parent / "questions"
    with Application(settings.model_copy(update={"ui": ui})) as application:
        serve(application, question.known(folder), opens=opens)


def _export(
    options: Options, folder: Path, role: Role, days: tuple[int, ...], *, as_json: bool
) -> None:
    """Write the pages as files, and say what is in them; what went wrong is told at the end."""
    settings = options.look()
    from tcdatalogger.cli.commands.backup import BackupLines
    from tcdatalogger.core.config import configuration, sizes
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.questions import question
    from tcdatalogger.web.context import PERIODS
    from tcdatalogger.web.export import Wish, export

    beside = configuration.locate(options.config, os.environ).parent / "questions"
    wish = Wish(role, tuple(sorted(set(days))) or PERIODS)
    with Application(settings) as application:
        found = export(application, question.known(beside), folder, wish, BackupLines())
    if as_json:
        print_json({"folder": folder, "role": role, **asdict(found)})
        raise SystemExit(ConfigError.exit_code if found.problems else 0)
    whose = {"member": "a member", "officer": "an officer", "owner": "the owner"}[role]
    say(
        f"{folder}: {counted(found.pages, 'page')}, {counted(found.files, 'file')}, "
        f"{sizes.shown(found.bytes)}, as {whose} sees them, in {span(found.seconds)}"
    )
    if found.without_pictures:
        say(f"There are no pictures. {found.without_pictures}", err=True)
    if found.problems:
        raise ConfigError(
            f"{counted(len(found.problems), 'answer')} went wrong; the rest was exported.",
            problems=found.problems,
        )


def serve(
    application: Application, questions: Mapping[str, Question], *, opens: bool = False
) -> None:
    """Serve the pages of an installation until a signal.

    Args:
        application: with the settings.
        questions: by name.
        opens: whether a browser is told to show them.

    Raises:
        ConfigError: they would be open to others, a password is lacking, or the address cannot be
            used.
    """
    import uvicorn

    from tcdatalogger.web.app import begin, create_app, make_context, who_may
    from tcdatalogger.web.connections import Limits, ServerConfig, certificate

    ui = application.settings.ui
    access = who_may(application)
    tls = certificate(ui.certificate, ui.certificate_key) if ui.certificate else None
    with (
        _listening(ui) as listener,
        (context := make_context(application, questions, program())).cache,
    ):
        begin(context)
        limits = Limits()
        if ui.behind_proxy:  # which has one address for all of its callers
            limits = replace(limits, of_one=limits.of_all)
        config = ServerConfig(create_app(context, access), limits, tls)
        address = _address(ui, listener)
        say(f"The pages: {address}\nCtrl-C ends it.")
        if opens:
            import webbrowser

            webbrowser.open(address)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            context.close()


def _listening(ui: UiSettings) -> socket.socket:
    host, _, port = ui.listen.rpartition(":")
    host = host.strip("[]")
    made = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)  # of each connection
        made.bind((host, int(port)))
        made.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        made.close()
        raise ConfigError(
            f"The pages cannot listen on {ui.listen}: {getattr(error, 'strerror', None) or error}.",
            remedy="Name another place: --listen 127.0.0.1:0 takes any free port.",
        ) from None
    return made


def _address(ui: UiSettings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "http" if ui.certificate is None else "https"
    shown = ui.hosts[0] if ui.hosts else host
    if host in {"0.0.0.0", "::"} and not ui.hosts:  # noqa: S104  # shown, not bound
        shown = "localhost"
    return f"{scheme}://[{shown}]:{port}/" if ":" in shown else f"{scheme}://{shown}:{port}/"
