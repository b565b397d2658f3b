"""Beside the loop of the scheduler: /metrics, /healthz and /readyz, and the watch for alerts.

Both have threads and a connection to the state of their own. Whatever happens to them, the loop
goes on; and whatever happens to the loop, `/healthz` says so.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Event, Lock, Thread, Timer
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tcdatalogger.clock import Clock
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Failure
from tcdatalogger.observability.log import get_logger
from tcdatalogger.observability.metrics import MetricValues, page
from tcdatalogger.observability.redact import redact
from tcdatalogger.scheduler.monitoring import collect
from tcdatalogger.scheduler.monitoring.disk_usage import Sizes, disks
from tcdatalogger.scheduler.monitoring.notify import AlertNotifier

SILENT: Final = 60.0
"""Seconds without a beat after which the loop is taken for stuck."""
LOOK: Final = 30.0
"""Seconds between two looks at what is wrong, and between two tries of a port that is taken."""
FULL: Final = 50_000_000
"""Bytes; with less free than that nothing can be stored."""
CONNECTIONS: Final = 32
"""How many may ask at the same time; whoever comes beyond is sent away at once."""
WHOLE: Final = 15.0
"""Seconds that one may take to ask and to be told."""
_BACKLOG: Final = 128
"""Connections that wait to be taken."""
_ENDING: Final = 0.5
"""Seconds that each thread gets to end: the daemon as a whole has ten."""
_POLL: Final = 0.5
"""Seconds between two looks of the server whether it is to end."""

_log = get_logger("health")


class MonitoringServer:
    """Tells how the scheduler is, for as long as it is open.

    Args:
        settings: the configuration in force; `take` changes it.
        clock: the one source of time.
        environ: where an `env:` webhook is.
        look: seconds between two looks.
        serves: False for a scheduler that soon ends: it only looks once at what is wrong, at its
            end, and tells of it.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        environ: Mapping[str, str] | None = None,
        *,
        look: float = LOOK,
        serves: bool = True,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._teller = AlertNotifier(environ)
        self._look = look
        self._sizes = Sizes()
        self._broken = ""
        self._beat = time.monotonic()
        self._beat_at = clock.now()
        self._state: State | None = None
        self._alone = Lock()
        self._said: dict[str, str] = {}
        self._stop = Event()
        self._server: _Server | None = None
        self._threads = [
            Thread(target=self._forever, args=(each,), name=each.__name__, daemon=True)
            for each in (self.watch, self.serve)
        ]
        self._serves = serves

    def __enter__(self) -> Self:
        if self._serves:
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if not self._serves:
            self.watch()
            return
        for thread in self._threads:
            thread.join(_ENDING)
        self._unbind()
        self._forget()

    # --- what the loop says ----------------------------------------------------------------

    def beat(self) -> None:
        """The loop has gone round."""
        self._beat, self._beat_at = time.monotonic(), self._clock.now()

    def take(self, settings: Settings) -> None:
        """A new configuration is in force."""
        self._settings, self._broken = settings, ""

    def refuse(self, why: str) -> None:
        """The configuration on disk is broken, and the old one stays in force."""
        self._broken = redact(why)

    # --- what it answers -------------------------------------------------------------------

    @property
    def port(self) -> int | None:
        """Where it listens, None where it does not."""
        return None if self._server is None else int(self._server.server_address[1])

    def metrics(self) -> MetricValues:
        """Every metric, now."""
        settings = self._settings
        with self._alone:
            try:
                state = self._opened(settings)
                reading = collect.here(settings, self._sizes, collect.running(state))
                collect.books(reading, settings, state, state.clock.now())
                reading.add("state_up", 1)
            except Failure as failure:
                self._complain("metrics", failure.message)
                self._forget()
                reading = collect.here(settings, self._sizes, {})
                reading.add("state_up", 0)
        reading.add("scheduler_beat_timestamp_seconds", self._beat_at)
        return reading

    def alive(self) -> tuple[bool, dict[str, Any]]:
        """Whether the loop goes round."""
        seconds = time.monotonic() - self._beat
        return seconds < SILENT, {"alive": seconds < SILENT, "beat_seconds": round(seconds, 1)}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether runs can be made, and why not."""
        problems = {
            "loop": "" if self.alive()[0] else f"it has not gone round for {SILENT:.0f} s",
            "configuration": self._broken,
            "state": self._unreachable(),
            "disk": self._full(),
        }
        checks = {name: why or "ok" for name, why in problems.items()}
        ready = not any(problems.values())
        return ready, {"ready": ready, "checks": checks}

    def _unreachable(self) -> str:
        with self._alone:
            try:
                self._opened(self._settings).reading("select 1")
            except Failure as failure:
                self._forget()
                return redact(failure.message)
        return ""

    def _full(self) -> str:
        full = [disk for disk in disks(self._settings) if disk.free < FULL]
        return ", ".join(f"that of the {disk.part} is full ({disk.place})" for disk in full)

    # --- threads ---------------------------------------------------------------------------

    def watch(self) -> None:
        """Look once at what is wrong, and tell of it."""
        settings = self._settings
        try:
            with State(settings.state.url or "", self._clock) as state:
                self._teller.look(settings, state)
        except Failure as failure:
            self._complain("watch", failure.message)
        else:
            self._said.pop("watch", None)

    def serve(self) -> None:
        """Listen where the configuration says, if that is not so already."""
        listen = self._settings.metrics.listen
        if self._server is not None and self._server.listen == listen:
            return
        self._unbind()
        if not listen:
            return
        try:
            self._server = _Server(listen, self._answer, lambda: self._settings.metrics.hosts)
        except OSError as error:
            why = error.strerror or str(error)
            self._complain(
                "serve",
                f"no metrics at {listen}: {why}. It is tried again; another place can be named in "
                "[metrics] listen.",
            )
            return
        self._said.pop("serve", None)
        Thread(target=self._server.serve_forever, args=(_POLL,), name="health", daemon=True).start()
        _log.info("monitoring_started", address=listen)

    def _forever(self, step: Callable[[], None]) -> None:
        while True:
            step()
            if self._stop.wait(self._look):
                return

    def _unbind(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _opened(self, settings: Settings) -> State:
        if self._state is None:
            self._state = State(settings.state.url or "", self._clock)
        return self._state

    def _forget(self) -> None:
        if self._state is not None:
            self._state.close()
            self._state = None

    def _complain(self, who: str, why: str) -> None:
        """Once for each reason: all of this is tried again and again."""
        if self._said.get(who) != why:
            self._said[who] = why
            _log.warning("monitoring_failed", part=who, message=why)

    def _answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            body, kind = page(self.metrics, accept)
            return 200, kind, body
        asked = {"/healthz": self.alive, "/readyz": self.ready}.get(path)
        if asked is None:
            return 404, "text/plain; charset=utf-8", b"/metrics, /healthz or /readyz\n"
        well, facts = asked()
        return 200 if well else 503, "application/json", json.dumps(facts).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(
        self,
        listen: str,
        answer: Callable[[str, str], tuple[int, str, bytes]],
        hosts: Callable[[], tuple[str, ...]],
    ) -> None:
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        self.listen = listen
        self.answer = answer
        self._hosts = hosts
        self._host = host
        self._room = BoundedSemaphore(CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, int(port)), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which looks the machine's name up and may wait for it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def means_us(self, asked: str) -> bool:
        """Whether a `Host` is an address, or a name that we were told.

        A page in a browser may have its own name point to this machine, and read the answer.
        """
        try:
            name = urlsplit(f"//{asked.strip()}").hostname or ""
        except ValueError:
            return False
        told = {"localhost", self._host.lower(), *(host.lower() for host in self._hosts())}
        if not asked or name in told:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread can be had
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        over = Timer(WHOLE, _cut, (request,))
        over.daemon = True
        over.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            over.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Something is wrong with us, and the log says it; that whoever asked went away is not."""
        del request, client_address
        if isinstance(sys.exception(), ConnectionError | TimeoutError):
            return
        _log.exception("monitoring_request_failed")


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    timeout = 10.0
    server: _Server

    def do_GET(self) -> None:
        if self.server.means_us(self.headers.get("Host", "")):
            status, kind, body = self.server.answer(
                self.path.partition("?")[0], self.headers.get("Accept", "")
            )
        else:
            status, kind = 421, "text/plain; charset=utf-8"
            body = b"[metrics] hosts of the configuration does not name this host\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the library's name

    def version_string(self) -> str:
        return "TCdatalogger"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Nothing: somebody asks every few seconds."""
