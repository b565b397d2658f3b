"""Values that are bound to a statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

Scalar = bool | int | float | str | datetime | None
Parameters = Mapping[str, Scalar | Sequence[Scalar]]
"""Values by name: `@name` in the statement. The type of the value is the type for BigQuery."""

_TYPES: Final = {
    bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", datetime: "TIMESTAMP",
}  # fmt: skip


def parameter(
    name: str, value: Scalar | Sequence[Scalar]
) -> ScalarQueryParameter | ArrayQueryParameter:
    """A value as Google's library takes it; null and an empty list are of texts."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ArrayQueryParameter(name, _TYPES[type(value[0])] if value else "STRING", list(value))
    return ScalarQueryParameter(name, "STRING" if value is None else _TYPES[type(value)], value)
