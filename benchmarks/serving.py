"""A server that has given pages of crimes and nothing else: python serving.py PAGES

Prints its address and a key, and ends with its standard input. It costs the reader next to nothing,
unlike a city of the sandbox, which makes its answers.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import httpx2

from bodies import KINDS, pages
from tcdatalogger.sandbox.api.server import Sandbox


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    key_info = b""
    bodies: list[bytes] = []  # noqa: RUF012  # filled once, before the first request

    def do_GET(self):
        parts = urlsplit(self.path)
        if parts.path.endswith("/key/info"):
            body = self.key_info
        else:
            offset = int(parse_qs(parts.query).get("offset", ["0"])[0])
            body = self.bodies[offset // KINDS["crimes"][1]]
        self.send_response(200)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main() -> None:
    with Sandbox(seed=1) as city:
        key = city.keys["limited"]
        headers = {"Authorization": f"ApiKey {key}"}
        Handler.key_info = httpx2.get(f"{city.url}/key/info", headers=headers).content
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_address[1]}/v2"
    Handler.bodies = pages("crimes", int(sys.argv[1]), url)
    Thread(target=server.serve_forever, daemon=True).start()
    print(url, key, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
