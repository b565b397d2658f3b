"""What runs beside the loop of the scheduler: /metrics, /healthz, /readyz and alerts.

Each has a thread and a connection to the state of its own. The loop goes on whatever happens to
them, and `/healthz` shows what happens to the loop.
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
"""Seconds without a round after which the loop counts as stuck."""
LOOK: Final = 30.0
"""Seconds between two looks for alerts, and between two tries of a port that is taken."""
FULL: Final = 50_000_000
"""Bytes: a disk with less free space counts as full."""
CONNECTIONS: Final = 32
"""How many clients may ask at the same time; more are sent away at once."""
WHOLE: Final = 15.0
"""Seconds that a client may take for its request and the answer."""
_BACKLOG: Final = 128
"""How many connections may wait to be accepted."""
_ENDING: Final = 0.5
"""Seconds that each thread gets to end; the whole daemon has ten."""
_TELLING: Final = 25.0
"""Seconds that a scheduler which ends by itself waits for each channel to take the alerts."""
_POLL: Final = 0.5
"""Seconds between two looks of the server at whether it has to end."""

_log = get_logger("health")


class MonitoringServer:
    """Serves metrics and health and sends alerts, for as long as it is open.

    Args:
        settings: the configuration in force; `take` changes it.
        clock: the source of time.
        environ: where secrets are that begin with `env:`; None for that of this process.
        look: seconds between two looks for alerts.
        serves: False for a scheduler that ends soon: then nothing is served, and alerts are looked
            for once, at its end.
        installation: the name that `/healthz` tells (`State.installation`).
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        environ: Mapping[str, str] | None = None,
        *,
        look: float = LOOK,
        serves: bool = True,
        installation: str = "",
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._notifier = AlertNotifier(clock, environ)
        self._look = look
        self._sizes = Sizes()
        self._broken = ""
        self._beat = time.monotonic()
        self._beat_at = clock.now()
        self._state: State | None = None
        self._lock = Lock()
        self._reported: dict[str, str] = {}
        self._stop = Event()
        self._server: _Server | None = None
        self._threads = [
            Thread(target=self._forever, args=(each,), name=each.__name__, daemon=True)
            for each in (self.watch, self.serve)
        ]
        self._serves = serves
        self._installation = installation

    def __enter__(self) -> Self:
        if self._serves:
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if not self._serves:
            self.watch()
            self._notifier.wait(_TELLING)
            return
        for thread in self._threads:
            thread.join(_ENDING)
        self._notifier.wait(_ENDING)
        self._unbind()
        self._close_state()

    # --- calls of the loop -----------------------------------------------------------------

    def beat(self) -> None:
        """Note that the loop has gone round."""
        self._beat, self._beat_at = time.monotonic(), self._clock.now()

    def take(self, settings: Settings) -> None:
        """Use a new configuration."""
        self._settings, self._broken = settings, ""

    def refuse(self, why: str) -> None:
        """Note that the configuration on disk is wrong, so that the old one stays in force."""
        self._broken = redact(why)

    # --- answers ---------------------------------------------------------------------------

    @property
    def port(self) -> int | None:
        """The port that it listens on; None where it does not listen."""
        return None if self._server is None else int(self._server.server_address[1])

    def metrics(self) -> MetricValues:
        """The values of all metrics now; without those of the state where it cannot be read."""
        settings = self._settings
        with self._lock:
            try:
                state = self._open_state(settings)
                measured = collect.machine_values(settings, self._sizes, collect.running(state))
                collect.add_state_values(measured, settings, state, state.clock.now())
                measured.add("state_up", 1)
            except Failure as failure:
                self._report("metrics", failure.message)
                self._close_state()
                measured = collect.machine_values(settings, self._sizes, {})
                measured.add("state_up", 0)
        measured.add("scheduler_beat_timestamp_seconds", self._beat_at)
        return measured

    def alive(self) -> tuple[bool, dict[str, Any]]:
        """Whether the loop goes round, and what `/healthz` answers."""
        seconds = time.monotonic() - self._beat
        return seconds < SILENT, {
            "alive": seconds < SILENT,
            "beat_seconds": round(seconds, 1),
            "installation": self._installation,
        }

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether runs can be made, and what `/readyz` answers: why they cannot."""
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
        with self._lock:
            try:
                self._open_state(self._settings).reading("select 1")
            except Failure as failure:
                self._close_state()
                return redact(failure.message)
        return ""

    def _full(self) -> str:
        full = [disk for disk in disks(self._settings) if disk.free < FULL]
        return ", ".join(f"that of the {disk.part} is full ({disk.place})" for disk in full)

    # --- threads ---------------------------------------------------------------------------

    def watch(self) -> None:
        """Look for alerts once, and begin to tell the channels."""
        settings = self._settings
        try:
            with State(settings.state.url or "", self._clock) as state:
                self._notifier.look(settings, state)
        except Failure as failure:
            self._report("watch", failure.message)
        else:
            self._reported.pop("watch", None)

    def serve(self) -> None:
        """Listen where the configuration says, where it does not do so already."""
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
            self._report(
                "serve",
                f"no metrics at {listen}: {why}. It is tried again; another place can be named in "
                "[metrics] listen.",
            )
            return
        self._reported.pop("serve", None)
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

    def _open_state(self, settings: Settings) -> State:
        if self._state is None:
            self._state = State(settings.state.url or "", self._clock)
        return self._state

    def _close_state(self) -> None:
        if self._state is not None:
            self._state.close()
            self._state = None

    def _report(self, who: str, why: str) -> None:
        """Log a reason once: all of this is tried again and again."""
        if self._reported.get(who) != why:
            self._reported[who] = why
            _log.warning("monitoring_failed", part=who, message=why)

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            body, kind = page(self.metrics)
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
        answer: Callable[[str], tuple[int, str, bytes]],
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
        # That of `HTTPServer` looks up the name of the machine, and may wait for it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def means_us(self, asked: str) -> bool:
        """Whether the `Host` of a request is an address or a configured name.

        Other names are refused: the owner of a web page can make its name point to this machine,
        and so read the answer in a browser.
        """
        try:
            name = urlsplit(f"//{asked.strip()}").hostname or ""
        except ValueError:
            return False
        ours = {"localhost", self._host.lower(), *(host.lower() for host in self._hosts())}
        if not asked or name in ours:
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
        except BaseException:  # the system gives no thread
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
        """Log an error of this program; a client that went away is none."""
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
            status, kind, body = self.server.answer(self.path.partition("?")[0])
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
        """Log nothing: Prometheus asks every few seconds."""
