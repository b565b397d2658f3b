"""Why a server cannot be reached, in words that hold nothing of its address."""

from __future__ import annotations

import os
import socket
import ssl
from smtplib import SMTPServerDisconnected
from urllib.error import URLError


def unreachable(error: BaseException) -> str:
    """`it cannot be reached: the connection was refused`, from an error of a call.

    The text of the error itself may hold the address, so nothing of it is told.
    """
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    return f"it cannot be reached: {_why(error)}"


def _why(error: BaseException) -> str:
    match error:
        case TimeoutError():
            return "no answer came in time"
        case ConnectionRefusedError():
            return "the connection was refused"
        case socket.gaierror():
            if error.errno == socket.EAI_AGAIN:
                return "its name cannot be looked up now"
            return "there is no host of its name"
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted"
        case ssl.SSLError():
            return "no encrypted connection was agreed on"
        case ConnectionError() | SMTPServerDisconnected():
            return "the connection was cut"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case _:
            return type(error).__name__
