"""E-mail by SMTP: plain text, and pictures as files."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from socket import socket
from typing import Any, Final, Literal

from tcdatalogger.clock import utc
from tcdatalogger.observability.redact import register
from tcdatalogger.services.channels import words
from tcdatalogger.services.channels.http import LOOPBACK
from tcdatalogger.services.channels.limit import TimeLimit
from tcdatalogger.services.channels.message import Message, Sent
from tcdatalogger.services.channels.unreachable import unreachable

PICTURES: Final = 10
"""Pictures of one message at most."""
_SUBJECT: Final = 200
"""Bytes of a subject at most."""

_READY: Final = 220

Encryption = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True, repr=False)
class Mail:
    """Mailboxes that are reached by one SMTP server.

    Attributes:
        host, port: the server.
        sender: the address of whom it comes from.
        to: the addresses of whom it goes to.
        encryption: `starttls`, `tls` from the start, or `none`, which is for this machine alone.
        user, password: for the server; None where it asks for none.
    """

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    encryption: Encryption = "starttls"
    user: str | None = None
    password: str | None = None

    @property
    def pictures(self) -> int:
        """How many pictures a message may have at most."""
        return PICTURES

    def send(self, message: Message, seconds: float) -> Sent:
        """Deliver a message, with its pictures; nothing is raised.

        It counts as delivered where the server took it for one of the mailboxes: another try would
        come twice there.
        """
        if self.encryption == "none" and self.host not in LOOPBACK:
            return Sent("it is not encrypted, and not on this machine")
        register(self.password or "")
        with TimeLimit(seconds) as limit:
            try:
                self._deliver(written(message, self.sender, self.to), limit)
            # The text of such an error may hold what the server said: its class and code are told.
            except smtplib.SMTPNotSupportedError:
                why = (
                    "it offers no STARTTLS"
                    if self.encryption == "starttls"
                    else "it does not take a password"
                )
            except smtplib.SMTPRecipientsRefused as error:
                codes = sorted({code for code, _ in error.recipients.values()})
                why = f"it takes mail for none of the mailboxes ({', '.join(map(str, codes))})"
            except smtplib.SMTPAuthenticationError as error:
                why = f"it does not take the user and the password ({error.smtp_code})"
            except smtplib.SMTPResponseException as error:
                why = f"it answered {error.smtp_code}"
            except (smtplib.SMTPException, OSError, ValueError) as error:
                why = unreachable(error)
            else:
                return Sent()
            return Sent(f"it took longer than {seconds:g} s" if limit.over else why)

    def _deliver(self, mail: EmailMessage, limit: TimeLimit) -> None:
        context = ssl.create_default_context()
        smtp = _Smtp(limit, context if self.encryption == "tls" else None)
        try:
            smtp.begin(self.host, self.port)
            if self.encryption == "starttls":
                smtp.starttls(context=context)
            if self.user is not None:
                smtp.login(self.user, self.password or "")
            smtp.send_message(mail, self.sender, self.to)
        except BaseException:
            smtp.close()
            raise
        # The message was taken: what becomes of the goodbye changes nothing.
        smtp.close()


def written(message: Message, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The message as e-mail; no text of strangers gets into a header but as a word of its subject.

    Args:
        message: what is delivered.
        sender: the address of whom it comes from.
        to: the addresses of whom it goes to.
    """
    mail = EmailMessage(SMTP)
    mail["Subject"] = words.cut(f"TCdatalogger: {words.subject(message)}", _SUBJECT)
    mail["From"] = Address("TCdatalogger", addr_spec=sender)
    mail["To"] = tuple(Address(addr_spec=each) for each in to)
    mail["Date"] = format_datetime(utc(message.at))
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(words.text(message), cte="quoted-printable")
    pictures = [item.picture for item in message.items if item.picture is not None]
    for picture in pictures[:PICTURES]:
        mail.add_attachment(picture.data, maintype="image", subtype="png", filename=picture.name)
    return mail


class _Smtp(smtplib.SMTP):
    """A connection within a limit, encrypted from its start where there is a context."""

    def __init__(self, limit: TimeLimit, context: ssl.SSLContext | None) -> None:
        super().__init__(local_hostname="localhost", timeout=limit.seconds)
        self._limit = limit
        self._tls = context

    def begin(self, host: str, port: int) -> None:
        """Connect.

        Raises:
            OSError: the server cannot be reached, or takes nothing now.
        """
        code, said = self.connect(host, port)
        if code != _READY:
            raise smtplib.SMTPConnectError(code, said)

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket:
        found = self._limit.connect((host, port), timeout)
        self._host = host  # STARTTLS compares it with the certificate
        # Its own address is what it is called: the name of a machine may take long to look up.
        own = str(found.getsockname()[0])
        self.local_hostname = f"[IPv6:{own}]" if ":" in own else f"[{own}]"
        return found if self._tls is None else self._tls.wrap_socket(found, server_hostname=host)
