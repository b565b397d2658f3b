"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass

from tcdatalogger.errors import Failure


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        part: the endpoint, key or place that was checked.
        says: the result, one line.
        failure: what is wrong, None where the part is right.
        plain: whether the part is right and of no interest for people.
        warning: whether people should look at the part, although a run works with it.
    """

    part: str
    says: str
    failure: Failure | None = None
    plain: bool = False
    warning: bool = False
