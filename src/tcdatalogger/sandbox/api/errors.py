"""Torn's error codes with Torn's own texts."""

from __future__ import annotations

TEXTS = {
    0: "Unknown error",
    1: "Key is empty",
    2: "Incorrect key",
    3: "Wrong type",
    4: "Wrong fields",
    5: "Too many requests",
    6: "Incorrect ID",
    7: "Incorrect ID-entity relation",
    8: "IP block",
    9: "API disabled",
    10: "Key owner is in federal jail",
    11: "Key change error",
    12: "Key read error",
    13: "The key is temporarily disabled due to owner inactivity",
    14: "Daily read limit reached",
    15: "Temporary error",
    16: "Access level of this key is not high enough",
    17: "Backend error occurred, please try again",
    18: "API key has been paused by the owner",
    19: "Must be migrated to crimes 2.0",
    20: "Race not yet finished",
    21: "Incorrect category",
    22: "This selection is only available in API v1",
    23: "This selection is only available in API v2",
    24: "Closed temporarily",
    25: "Invalid stat requested",
    26: "Only category or stats can be requested",
    27: "Must be migrated to organized crimes 2.0",
    28: "Incorrect log ID",
    29: "Category selection unavailable for interaction logs",
    30: "File does not exist",
    31: "City stats are not available",
    32: "Closed until the attacking period",
}


class Refusal(Exception):
    """The answer is one of Torn's errors; the HTTP status is still 200.

    Attributes:
        code: one of `TEXTS`.
    """

    def __init__(self, code: int) -> None:
        super().__init__(TEXTS.get(code, TEXTS[0]))
        self.code = code

    def body(self) -> dict[str, object]:
        """The body of the answer, before it becomes JSON."""
        return {"error": {"code": self.code, "error": str(self)}}
