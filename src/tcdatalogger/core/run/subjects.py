"""Compares the subject of a run with the subject of the stored rows.

A path without an id is about the owner of the key. So another key, or an owner who changed faction,
changes the subject, and no answer of Torn's says so.
"""

from __future__ import annotations

from tcdatalogger.errors import DataRefused
from tcdatalogger.services.torncity.processing.task import Fetched, Task
from tcdatalogger.services.warehouse.protocol import Warehouse

_HOLDS = ("replace", "history")
"""The storage modes whose tables have the present data of one subject."""


def changed(task: Task, fetched: Fetched, warehouse: Warehouse) -> str:
    """A warning where a run is about another subject than the last run, "" where it is not.

    Args:
        task: the task of the run.
        fetched: the answers.
        warehouse: the warehouse with the stored rows.

    Raises:
        DataRefused: the storage mode is for one subject, and the change was not accepted.
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
