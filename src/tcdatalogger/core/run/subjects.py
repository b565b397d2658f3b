"""Whose data a run brings, held against whose data its endpoint has brought so far.

A path without an id is about the owner of the key. So another key, or an owner who has changed
faction, swaps whose data it is, and no answer says so.
"""

from __future__ import annotations

from tcdatalogger.errors import DataRefused
from tcdatalogger.services.torncity.processing.task import Fetched, Task
from tcdatalogger.services.warehouse.protocol import Warehouse

_HOLDS = ("replace", "history")
"""Modes that say what is so now: the data of two cannot both be it."""


def changed(task: Task, fetched: Fetched, warehouse: Warehouse) -> str:
    """What is to be said where a run is about somebody else than the last one, "" where it is not.

    Raises:
        DataRefused: its mode holds the data of one, and nobody said that it may be another's.
    """
    if not task.endpoint.of_key_owner:
        return ""
    found = {page.subject_id for page in fetched.pages}
    before = warehouse.subject(task.name, task.root_table)
    if before is None or found <= {before}:
        return ""
    now = " and ".join(str(each) if each is not None else "nobody" for each in found)
    kind = task.endpoint.section
    says = f"The rows of {task.name} are of the {kind} {now} now, and were of {before} so far."
    if task.mode in _HOLDS and not task.accept_subject and task.subject is None:
        raise DataRefused(
            says,
            remedy=f"Nothing was stored. `tcdatalogger run {task.name} --accept-subject` takes it; "
            f"`subject = {before}` of the endpoint lets no other key than one of {before} be used.",
        )
    return says
