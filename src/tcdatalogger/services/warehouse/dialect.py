"""The little SQL in which the engines of warehouses differ, for queries that all of them answer.

A query of ours is plain: `select`, `join … on`, `group by`, `order by`, aggregates, `coalesce` and
`cast`. A derived table has a name, and every column that is not one of a table has an alias. What
is left are names, texts and a few types; they are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine writes what others write in another way.

    Attributes:
        quote: stands on both sides of a name.
        json_text: a format for the text of a JSON value.
        spellings: the engine's names of the functions of questions that it calls otherwise.
    """

    quote: str
    json_text: str
    spellings: Mapping[str, str] = field(default_factory=dict)

    def name(self, name: str) -> str:
        """A table or a column in SQL, whatever is in its name."""
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"

    def names(self, *names: str) -> str:
        """Columns in SQL, one after the other."""
        return ", ".join(map(self.name, names))

    def text_of_json(self, column: str) -> str:
        """A JSON column as a text under its own name."""
        return f"{self.json_text.format(self.name(column))} as {self.name(column)}"
