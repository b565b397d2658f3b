"""The checks that a user configures: ranges, values, required, unique, types, numbers of rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

Bound = int | float | datetime
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One check of the rows of each load.

    Attributes:
        table: the table whose rows are checked, "" for the root.
        columns: the columns that are checked; none where rows are counted.
        least, most: the bounds of the values, or of the number of rows; None for no bound.
        values: the values that are allowed; empty for any.
        required: whether null is not allowed.
        unique: whether no two rows of a subject may have the same values in all the columns.
        type: the type that the column must have, "" for any.
        rows: whether `least` and `most` are for the number of rows.
        on_failure: `refuse` the load, `warn`, or set the records aside (`quarantine`).
    """

    table: str = ""
    columns: tuple[str, ...] = ()
    least: Bound | None = None
    most: Bound | None = None
    values: tuple[Value, ...] = ()
    required: bool = False
    unique: bool = False
    type: str = ""
    rows: bool = False
    on_failure: str = "refuse"

    def __str__(self) -> str:
        """The check in words, as `level is between 1 and 100`."""
        what = ", ".join(self.columns)
        said = [f"is {_between(self.least, self.most)}"] if self._bounded else []
        said += [f"is one of {', '.join(map(repr, self.values))}"] if self.values else []
        said += ["is there"] if self.required else []
        said += [f"is {self.type}"] if self.type else []
        said += ["is unique" if len(self.columns) == 1 else "are unique"] if self.unique else []
        if self.rows:
            return f"the number of its rows is {_between(self.least, self.most)}"
        return f"{what} {' and '.join(said)}"

    @property
    def _bounded(self) -> bool:
        return not self.rows and (self.least is not None or self.most is not None)


def _between(least: Bound | None, most: Bound | None) -> str:
    if least is None or most is None:
        return f"at most {most}" if least is None else f"at least {least}"
    return f"between {least} and {most}"
