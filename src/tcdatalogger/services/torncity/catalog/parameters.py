"""The parameters of a query that choose the content of an answer; rows have them as columns.

Torn's document does not say which ones they are, so this list is ours. A parameter that is not
named here chooses the content: a column too many harms nobody, and a missing one cannot be made
good.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from tcdatalogger.models.schema import SYSTEM, TableFamily

_NO_CONTENT: Final[Mapping[str, Collection[str]]] = {
    "they say which piece of a list comes, in which order": (
        "from to limit sort offset cursor nanostamp".split()
    ),
    "they say in which form it comes": "striptags legacy timestamp comment key".split(),
    "the path says it": ("selections",),
    "each row has the id by which it was chosen": ("id", "ids"),
}
"""The parameters that are no columns, by the reason."""

_NAMES: Final = frozenset(name for names in _NO_CONTENT.values() for name in names)

_TELLS_APART: Final[Mapping[str, Collection[str]]] = {
    "/faction/contributors": ("stat",),  # the id is the member's, the value is that of the stat
    "/torn/hof": ("cat",),  # the id is the player's, the value and the position are of the list
    "/torn/factionhof": ("cat",),  # as above, of factions
    "/user/list": ("cat",),  # the id is the player's, who may be a friend and a target
    "/faction/warfare": ("cat",),  # each kind of war has ids of its own
}
"""The parameters of a list that identify a record together with its id: with another value a record
of the same id says something else. Everywhere else the id is that of the record itself, whatever
the parameters are: a crime stays the same crime when it goes from planning to completed."""


def of_content(names: Collection[str]) -> list[str]:
    """Those of some parameters that choose the content, in their order."""
    return [name for name in names if name not in _NAMES]


def telling(path: str, family: TableFamily, names: Collection[str]) -> list[str]:
    """Those parameters without which the key of a family does not identify a record.

    Where each subject has one record, all parameters are needed.

    Args:
        path: the path of the catalogue.
        family: the tables without the columns of parameters.
        names: the parameters that choose the content.
    """
    alone = family.tables[0].key == (SYSTEM[1],)
    return [name for name in names if alone or name in _TELLS_APART.get(path, ())]
