"""An SMTP server on this machine, that keeps what it takes and can go wrong."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import email
import email.policy
import ipaddress
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "torn", "p4ssw0rd-of-the-post-office"


@dataclass
class PostOffice:
    """An SMTP server.

    Attributes:
        port: where it listens.
        offers: what it says that it can do.
        refuses: the code that it answers to a command, by the command.
        drips: seconds between the bytes of its greeting, 0 for none.
        letters: what it took: from whom, to whom, and the message.
        commands: what was said to it, without the letters.
    """

    port: int = 0
    offers: list[str] = field(default_factory=lambda: ["STARTTLS", "AUTH PLAIN LOGIN"])
    refuses: dict[str, int] = field(default_factory=dict)
    drips: float = 0.0
    letters: list[tuple[str, list[str], email.message.EmailMessage]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)


@contextlib.contextmanager
def open_post_office(folder: Path, *, tls: bool = False) -> Iterator[PostOffice]:
    """A server whose certificate is in `folder / "ca.pem"`; with `tls` it is encrypted at once."""
    office, context = PostOffice(), certified(folder)

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                with contextlib.suppress(OSError, ValueError):
                    _talk(self, office, context, tls=tls)
            finally:  # the socket of TLS is another one than the server closes
                for each in (self.rfile, self.wfile, self.request):
                    with contextlib.suppress(OSError):
                        each.close()

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk)
    server.daemon_threads = True
    with server:
        office.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield office
        finally:
            server.shutdown()


def _talk(  # noqa: C901, PLR0912, PLR0915  # a line for each command of SMTP
    talk: Any, office: PostOffice, context: ssl.SSLContext, *, tls: bool
) -> None:
    def say(line: str) -> None:
        talk.wfile.write(f"{line}\r\n".encode())

    def secure() -> None:
        talk.request = context.wrap_socket(talk.request, server_side=True)
        talk.rfile, talk.wfile = talk.request.makefile("rb"), talk.request.makefile("wb", 0)

    if tls:
        secure()
    if office.drips:
        for letter in b"220 slowly as ever, here is the post office\r\n" * 100:
            talk.wfile.write(bytes([letter]))
            time.sleep(office.drips)
    say(f"{office.refuses.get('connect', 220)} post office")
    sender, to, encrypted = "", list[str](), tls
    while line := talk.rfile.readline().decode().strip():
        command, _, rest = line.partition(" ")
        command = command.upper()
        office.commands.append(f"{command} {rest}".strip())
        if command in office.refuses:
            say(f"{office.refuses[command]} no, you @everyone")
        elif command == "EHLO":
            say("250-post office")
            for offer in office.offers:
                if not (encrypted and offer == "STARTTLS"):
                    say(f"250-{offer}")
            say("250 8BITMIME")
        elif command == "STARTTLS":
            say("220 go on")
            secure()
            encrypted = True
        elif command == "AUTH":
            _, _, given = rest.partition(" ")
            _, user, password = base64.b64decode(given).decode().split("\0")
            say("235 yes" if (user, password) == (USER, PASSWORD) else "535 no")
        elif command == "MAIL":
            sender, to = rest.partition(":")[2], []
            say("250 yes")
        elif command == "RCPT":
            whom = rest.partition(":")[2]
            known = "nobody" not in whom
            to += [whom] if known else []
            say("250 yes" if known else "550 unknown")
        elif command == "DATA":
            say("354 go on")
            body = b""
            while (part := talk.rfile.readline()) != b".\r\n":
                body += part.removeprefix(b".") if part.startswith(b"..") else part
            letter = email.message_from_bytes(body, policy=email.policy.default)
            office.letters.append((sender, to, letter))
            office.encrypted.append(encrypted)
            say("250 taken")
        elif command == "QUIT":
            say("221 bye")
            return
        else:
            say("250 yes")


def certified(folder: Path) -> ssl.SSLContext:
    """The context of a server on this machine, with a certificate that nobody knows yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - day)
        .not_valid_after(today + day)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "server.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
