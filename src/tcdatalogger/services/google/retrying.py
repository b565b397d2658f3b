"""Makes calls of Google's library, again where that may help, and makes its errors ours."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from google.api_core.exceptions import GoogleAPICallError, NotFound

from tcdatalogger.backoff import Backoff
from tcdatalogger.clock import Clock
from tcdatalogger.errors import Failure
from tcdatalogger.services.google import refusals
from tcdatalogger.services.google.address import Address

_T = TypeVar("_T")

ONCE: Final[Any] = None
"""In the place of the retries of Google's library; its types do not all know it."""
_PAUSES: Final = Backoff(first=0.5, longest=10.0, jitter=0.5)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long BigQuery is waited for.

    Attributes:
        call: seconds for the answer of one call.
        job: seconds for the end of one job; afterwards it goes on, and the next try finds it.
        tries: how often a call is made in all.
        pauses: between them.
    """

    call: float = 60.0
    job: float = 900.0
    tries: int = 5
    pauses: Backoff = _PAUSES


class Retrying:
    """Makes the calls about one dataset.

    Args:
        address: of the dataset.
        member: who asks, as `gcloud` writes it.
        clock: to wait by.
        patience: how long.
    """

    def __init__(self, address: Address, member: str, clock: Clock, patience: Patience) -> None:
        self._address, self._member = address, member
        self._clock = clock
        self.patience = patience

    def ask(self, method: Callable[..., _T], *given: object, **named: object) -> _T:
        """What a method of Google's library gives, which by itself would try for ten minutes."""
        return self.make(partial(method, *given, **named, **self._one_try))

    def look_for(self, method: Callable[..., _T], *given: object) -> _T | None:
        """As `ask`; None where BigQuery answers that it is not there."""
        return self.unless(NotFound, partial(method, *given, **self._one_try))

    @property
    def _one_try(self) -> dict[str, Any]:
        return {"retry": ONCE, "timeout": self.patience.call}

    def make(self, ask: Callable[[], _T]) -> _T:
        """Make a call, and make it again where that may help."""
        tries = 0
        while True:
            try:
                return ask()
            except refusals.ERRORS as error:
                refusal = refusals.of_error(error)
            tries += 1
            if tries >= self.patience.tries or not refusal.passing:
                raise self.failure(refusal)
            chance = random.uniform(-1, 1)  # noqa: S311  # it spreads pauses
            self._clock.sleep(self.patience.pauses.pause(tries, chance))

    def unless(self, expected: type[GoogleAPICallError], ask: Callable[[], _T]) -> _T | None:
        """What a call gives; None where BigQuery answers with an error that is expected."""

        def asked() -> _T | None:
            try:
                return ask()
            except expected:
                return None

        return self.make(asked)

    def failure(self, refusal: refusals.Refusal) -> Failure:
        """Our error for what Google said."""
        return refusals.failure(refusal, self._address, self._member)
