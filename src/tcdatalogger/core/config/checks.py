"""The settings of a check: one entry of `checks` of an endpoint."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tcdatalogger.models.checks.rules import Rule

_BOUND = int | float | datetime
_BOUNDS = ("min", "max")
_OF_VALUES = ("min", "max", "values", "type")


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{text}", {"text": message})


def _many(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_CONFIG = ConfigDict(
    extra="forbid",
    frozen=True,
    strict=True,
    hide_input_in_errors=True,
)


class RowsSettings(BaseModel):
    """How many rows a load may have."""

    model_config = _CONFIG

    min: Annotated[int, Field(ge=0)] | None = None
    """The least number of rows."""
    max: Annotated[int, Field(ge=0)] | None = None
    """The largest number of rows."""


class CheckSettings(BaseModel):
    """One check of the rows of each load."""

    model_config = _CONFIG

    table: str | None = None
    """The table whose rows are checked; the root table where it is not given."""
    column: str | None = None
    """The column whose values are checked, as level."""
    columns: Annotated[tuple[str, ...], BeforeValidator(_many)] = ()
    """Several columns instead of one, for `unique` only."""
    min: _BOUND | None = None
    """The least value that is allowed: a number, or a time such as 2020-01-01T00:00:00Z."""
    max: _BOUND | None = None
    """The greatest value that is allowed."""
    values: Annotated[tuple[str | int | float | bool, ...], BeforeValidator(_many)] = ()
    """The values that are allowed."""
    type: Literal["int", "float", "text", "bool", "time", "json"] | None = None
    """The type that the column must have."""
    required: bool = False
    """Whether null is not allowed; a null passes all other checks."""
    unique: bool = False
    """Whether no two rows of a load and a subject may have the same values."""
    rows: RowsSettings | None = None
    """How many rows a load may have, as { min = 1 }."""
    on_failure: Literal["refuse", "warn", "quarantine"] = "refuse"
    """refuse: the run fails and the old rows stay. warn: the run has a warning. quarantine: the
    records that fail are set aside."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        given = [name for name in _OF_VALUES if getattr(self, name) not in (None, ())]
        if self.rows is not None:
            if self.column or self.columns or given or self.required or self.unique:
                raise _wrong("counts rows, so it takes no column and nothing about values")
            if self.rows.min is None and self.rows.max is None:
                raise _wrong("needs a min or a max for its rows, as rows = { min = 1 }")
        elif bool(self.column) == bool(self.columns):
            raise _wrong('needs a column, as column = "level", or columns for unique, or rows')
        elif not (given or self.required or self.unique):
            raise _wrong("checks nothing; give it min, max, values, type, required or unique")
        elif len(self.columns) > 1 and (given or self.required):
            raise _wrong("several columns are for unique alone; write a check for each of them")
        elif self.unique and (given or self.required):
            raise _wrong("unique stands alone; write another check for the rest")
        if self.on_failure == "quarantine" and (self.rows is not None or self.type is not None):
            raise _wrong("is about the table and not a record, so nothing can be set aside")
        self._bounds()
        return self

    def _bounds(self) -> None:
        found = [getattr(self.rows or self, name) for name in _BOUNDS]
        low, high = found
        times = [isinstance(bound, datetime) for bound in found if bound is not None]
        if any(bound.tzinfo is None for bound in found if isinstance(bound, datetime)):
            raise _wrong("a time needs its zone, as 2020-01-01T00:00:00Z")
        if len(set(times)) > 1:
            raise _wrong("min and max are of different kinds")
        if low is not None and high is not None and low > high:
            raise _wrong("its min is greater than its max, so nothing passes")

    def rule(self) -> Rule:
        """The rule that `models/checks/evaluate.py` evaluates."""
        bounds = self.rows or self
        return Rule(
            table=self.table or "",
            columns=self.columns or ((self.column,) if self.column else ()),
            least=bounds.min,
            most=bounds.max,
            values=self.values,
            required=self.required,
            unique=self.unique,
            type=self.type or "",
            rows=self.rows is not None,
            on_failure=self.on_failure,
        )
