"""Torn's error codes, and all other ways in which a call fails, with what to do about each.

Torn sends its errors with HTTP 200, as `{"error": {"code": 2, "error": "Incorrect key"}}`, flat as
`{"code": 2, "error": "…"}`, or in the member of one selection. A proxy in front of Torn sends pages
of its own. The table below lists all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tcdatalogger.clock import utc
from tcdatalogger.errors import (
    Busy,
    Failure,
    KeyRefused,
    NotFound,
    RequestRefused,
    TornUnavailable,
)

if TYPE_CHECKING:
    from tcdatalogger.services.torncity.client.messages import Answer

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

DOWN_AFTER = 5
"""Torn counts as down after this many calls in a row without an answer, over all processes."""


class KeyRefusal(StrEnum):
    """What an error means for the key: do not use it again, or not now, or not for this path."""

    DEAD = "dead"
    PARKED = "parked"
    PERMISSION = "permission"


class Scope(StrEnum):
    """Which calls must wait after an error: those of the owner, of this address, or of the owner
    for one category of rows.
    """

    OWNER = "owner"
    ADDRESS = "address"
    CATEGORY = "category"


class TornFault(Failure):
    """An answer without data, or a call without an answer.

    Attributes:
        kind: the row of the table.
        code: Torn's number of the error, None for a fault without one.
        health: what it means for the key, None for nothing.
        tries: the most calls in all that are worth making.
        pause: seconds to wait before the same call is made again.
        selection: the member of the body with the error, "" where it was the whole answer.
        answer: the answer, for the archive; None where no whole answer came.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Code | None = None,
        number: int | None = None,
        pause: float | None = None,
        selection: str = "",
        answer: Answer | None = None,
        **facts: object,
    ) -> None:
        self.kind = kind or UNKNOWN
        self.code = self.kind.number if number is None else number
        self.health = self.kind.health
        self.tries = self.kind.tries
        self.pause = self.kind.pause if pause is None else pause
        self.selection = selection
        self.answer = answer
        super().__init__(
            message,
            remedy=self.kind.remedy,
            torn=self.kind.name,
            code=self.code,
            **facts,
        )


class KeyFault(TornFault, KeyRefused):
    """Torn refused the key, or the key may not do this."""


class RequestFault(TornFault, RequestRefused):
    """Torn refused the parameters of the call."""


class UnknownId(TornFault, NotFound):
    """Torn does not know the id."""


class TornDown(TornFault, TornUnavailable):
    """Torn, or the way to Torn, does not work now."""


class NoPayload(TornDown):
    """An answer without its data, which is neither an error nor an empty list."""

    @property
    def said(self) -> str:
        """What the answer lacks, as `it has no members`."""
        return str(self.facts.get("said", ""))


class Crowded(TornFault, Busy):
    """A limit of Torn's is reached."""


@dataclass(frozen=True, slots=True)
class Code:
    """One way in which a call fails.

    Attributes:
        number: Torn's number of the error, None for a fault without one.
        name: one word, for logs and for the state.
        meaning: completes the sentence "Torn answered: ".
        fault: the class to raise.
        remedy: what to do next, one line.
        health: what it means for the key, None for nothing.
        tries: the most calls in all that are worth making.
        pause: seconds before the next try; it doubles with each try.
        waits: which other calls must wait, None for none.
        down: how much it counts towards Torn being down: 0 for nothing, 1 for one call without an
            answer, `DOWN_AFTER` where Torn itself says so.
    """

    number: int | None
    name: str
    meaning: str
    fault: type[TornFault]
    remedy: str
    health: KeyRefusal | None = None
    tries: int = 1
    pause: float = 0.0
    waits: Scope | None = None
    down: int = 0


_KEY = "Make a new key at https://www.torn.com/preferences.php#tab=api and put it in its place."
_LATER = "It is tried again at the next run."
_ASK = "Look at the endpoint's `path` and `params`; `tcdatalogger catalog show PATH` lists them."
_STATUS = "If it lasts, see https://www.torn.com for the state of the API."

TORN_CODES: tuple[Code, ...] = (
    Code(0, "unknown_error", "unknown error", TornDown, _STATUS, tries=3, pause=2),
    Code(1, "key_empty", "the key is empty", KeyFault, _KEY, KeyRefusal.DEAD),
    Code(2, "incorrect_key", "incorrect key", KeyFault, _KEY, KeyRefusal.DEAD),
    Code(3, "wrong_type", "wrong type", RequestFault, _ASK),
    Code(4, "wrong_fields", "wrong fields", RequestFault, _ASK),
    Code(
        5,
        "too_many_requests",
        "too many requests",
        Crowded,
        "Other programs use keys of the same owner; give this one a smaller share.",
        tries=3,
        pause=30,
        waits=Scope.OWNER,
    ),
    Code(6, "incorrect_id", "no such id", UnknownId, "Take the id out of the endpoint."),
    Code(
        7,
        "incorrect_relation",
        "the key's owner has no right to this id",
        KeyFault,
        "Give the key's owner API access in the faction or company, or name another key.",
        KeyRefusal.PERMISSION,
    ),
    Code(
        8,
        "address_blocked",
        "this address is blocked for a while",
        TornDown,
        "Make no calls from here for some time, and take out keys that are dead.",
        pause=HOUR,
        waits=Scope.ADDRESS,
    ),
    Code(
        9,
        "api_disabled",
        "the API is switched off",
        TornDown,
        _LATER,
        pause=MINUTE,
        down=DOWN_AFTER,
    ),
    Code(
        10,
        "owner_in_federal_jail",
        "the key's owner is in federal jail",
        KeyFault,
        "Name a key of another player.",
        KeyRefusal.PARKED,
        pause=DAY,
    ),
    Code(
        11,
        "key_change_cooldown",
        "the key was changed less than a minute ago",
        TornDown,
        _LATER,
        tries=2,
        pause=MINUTE,
    ),
    Code(12, "key_read_error", "the key could not be read", TornDown, _STATUS, tries=3, pause=2),
    Code(
        13,
        "owner_inactive",
        "the key is off while its owner has been away for over seven days",
        KeyFault,
        "It works again once its owner logs in; or name another key.",
        KeyRefusal.PARKED,
        pause=DAY,
    ),
    Code(
        14,
        "daily_limit",
        "the daily limit of rows of this category is reached",
        Crowded,
        "Ask for it less often; the limit is 50,000 rows in 24 hours.",
        pause=6 * HOUR,
        waits=Scope.CATEGORY,
    ),
    Code(15, "temporary_error", "temporary error", TornDown, _STATUS, tries=3, pause=2),
    Code(
        16,
        "access_too_low",
        "the key's access level is too low",
        KeyFault,
        "Name a key of a higher level; `tcdatalogger keys check` shows what is needed.",
        KeyRefusal.PERMISSION,
    ),
    Code(17, "backend_error", "backend error", TornDown, _STATUS, tries=3, pause=2),
    Code(
        18,
        "key_paused",
        "the key is paused by its owner",
        KeyFault,
        "Switch it on at https://www.torn.com/preferences.php#tab=api, or name another key.",
        KeyRefusal.PARKED,
        pause=HOUR,
    ),
    Code(
        19,
        "needs_crimes_2",
        "only for players who moved to crimes 2.0",
        RequestFault,
        "Take the endpoint out until the key's owner has moved to crimes 2.0.",
    ),
    Code(20, "race_not_finished", "the race is not over", TornDown, _LATER, pause=10 * MINUTE),
    Code(21, "incorrect_category", "no such category", RequestFault, _ASK),
    Code(22, "only_in_v1", "this selection exists in version 1 only", RequestFault, _ASK),
    Code(23, "only_in_v2", "this selection exists in version 2 only", RequestFault, _ASK),
    Code(
        24,
        "closed_temporarily",
        "this selection is closed for a while",
        TornDown,
        _LATER,
        pause=15 * MINUTE,
    ),
    Code(25, "invalid_stat", "no such stat", RequestFault, _ASK),
    Code(26, "category_or_stats", "either a category or stats, not both", RequestFault, _ASK),
    Code(
        27,
        "needs_organized_crimes_2",
        "only for factions that moved to organized crimes 2.0",
        RequestFault,
        "Take the endpoint out until the faction has moved to organized crimes 2.0.",
    ),
    Code(28, "incorrect_log_id", "no such log id", RequestFault, _ASK),
    Code(
        29, "no_interaction_logs", "interaction logs do not take this category", RequestFault, _ASK
    ),
    Code(30, "no_file", "the file does not exist", TornDown, _LATER, pause=HOUR),
    Code(31, "no_city_stats", "the city's stats are not there", TornDown, _LATER, pause=HOUR),
    Code(
        32,
        "closed_until_attacks",
        "closed until the attacking period",
        TornDown,
        _LATER,
        pause=HOUR,
    ),
)

UNKNOWN = Code(
    None,
    "unknown_code",
    "a code that is not in our list",
    TornDown,
    "If it lasts, report the code; the answer is in the archive.",
    tries=2,
    pause=5,
)
TOO_MANY = Code(
    None,
    "http_429",
    "too many calls (HTTP 429)",
    Crowded,
    "Other programs use keys of the same owner, or this address.",
    tries=3,
    pause=30,
    waits=Scope.OWNER,
)
SERVER = Code(None, "http_5xx", "a server error", TornDown, _STATUS, tries=3, pause=2, down=1)
DOOR = Code(
    None,
    "http_refused",
    "refused before it reached the API (HTTP 401 or 403)",
    TornDown,
    "What stands before Torn refuses this address or program; wait, then try from elsewhere.",
    pause=15 * MINUTE,
)
REDIRECT = Code(
    None,
    "http_redirect",
    "a redirect, which is not followed so that no key goes astray",
    TornDown,
    "Check the address of the API in the configuration.",
)
NO_PATH = Code(None, "http_4xx", "a call that it does not take", RequestFault, _ASK)
EMPTY = Code(
    None, "empty_body", "nothing but an empty body", TornDown, _STATUS, tries=3, pause=2, down=1
)
PAGE = Code(
    None, "web_page", "a web page in place of data", TornDown, _STATUS, tries=2, pause=5, down=1
)
NO_DATA = Code(None, "no_json", "something that is not JSON", TornDown, _STATUS, tries=2, pause=5)
NO_PAYLOAD = Code(
    None,
    "no_payload",
    "an answer without its data, which is not the same as an empty list",
    NoPayload,
    "The next run asks again; the answer is in the archive.",
    tries=3,
    pause=10,  # so that the last one passes Torn's cache of 29 seconds
)
CUT = Code(None, "broken_answer", "a broken answer", TornDown, _STATUS, tries=3, pause=1, down=1)
UNREACHABLE = Code(
    None,
    "unreachable",
    "nothing, as the connection failed",
    TornDown,
    "Check the network, and the address of the API in the configuration.",
    tries=3,
    pause=1,
    down=1,
)
SLOW = Code(
    None,
    "timed_out",
    "too slowly",
    TornDown,
    "If it lasts, allow it more time or ask for smaller pages.",
    tries=2,
    pause=1,
    down=1,
)
TOO_LARGE = Code(
    None,
    "body_too_large",
    "more bytes than one answer may have",
    RequestFault,
    "Ask for smaller pages (`limit`), or allow larger bodies: `max_body` of [torn].",
)

DOWN = Code(
    None,
    "torn_down",
    "no answer came to several calls in a row, so Torn is taken to be down",
    TornDown,
    _STATUS,
)

BY_NUMBER = {code.number: code for code in TORN_CODES if code.number is not None}

_OTHERS = (TOO_MANY, SERVER, DOOR, DOWN)
_BY_NAME = {code.name: code for code in (*TORN_CODES, *_OTHERS)}


def named(name: str) -> Code:
    """The code with this name, as the state stores it; `UNKNOWN` for a name of another version."""
    return _BY_NAME.get(name, UNKNOWN)


def again(name: str, until: float, now: float, whom: str = "") -> TornFault:
    """The error for a call that is not made because of an earlier error.

    Args:
        name: the name of the earlier error's code.
        until: when calls may be made again, infinity for never.
        now: the present time.
        whom: which calls, as the sentence needs it, for example ` with the key 'default'`.
    """
    kind = named(name)
    when = "" if until == math.inf else f" before {utc(until):%Y-%m-%d %H:%M} UTC"
    return kind.fault(
        f"No call{whom} is made{when or ' any more'}: {kind.meaning}.",
        kind=kind,
        pause=until - now,
    )
