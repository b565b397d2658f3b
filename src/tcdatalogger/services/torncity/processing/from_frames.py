"""Makes tables from the frames that the `transform_data` of a processor returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from tcdatalogger.models import renames
from tcdatalogger.models.records import SUBJECT, VERSION
from tcdatalogger.models.rows.frames import ArrowStream, family_of, with_system
from tcdatalogger.models.rows.normalize import UTC_TIME
from tcdatalogger.models.schema import SYSTEM
from tcdatalogger.services.torncity.processing.task import Page, Task, Transformed


def from_frames(
    task: Task, frames: Mapping[str, ArrowStream], pages: Sequence[Page], *, of_base: bool
) -> Transformed:
    """The tables of frames, with the user's names for columns and the system columns.

    A frame may bring `server_timestamp` and `_subject_id`; else a row has the time of the last
    answer and the subject of all answers. Answers about several subjects are told apart by the
    frame alone, so a warning names a frame that does not.

    Args:
        task: the task of the run.
        frames: the frames by table name, the root first.
        pages: the answers from which they were made.
        of_base: whether they are made of the base's tables, which have the user's names already.

    Raises:
        DataRefused: a frame has a column that no warehouse can hold.
        ConfigError: the user's names give a table two columns of one name.
    """
    made, tables = family_of(frames, task.key, dict(task.columns))
    names = {
        old: new
        for old, new in task.columns
        if not of_base or renames.unknown(made, [renames.new(old, new)])
    }
    made = renames.renamed(made, names)
    if task.mode == "history":
        made = renames.around(made, VERSION)
    times = [page.server_time for page in pages if page.server_time is not None]
    stamp = pa.scalar(round(max(times) * 1e6) if times else None, pa.int64()).cast(UTC_TIME)
    subjects = {page.subject_id for page in pages}
    subject = next(iter(subjects)) if len(subjects) == 1 else None
    rows, warnings = {}, []
    for table in made.tables:
        found = tables[table.name]
        brought = [name for name in found.column_names if name in SYSTEM]
        if len(subjects) > 1 and SUBJECT not in brought:
            warnings.append(
                f"{table.name} does not say whom its rows are about: its processor returns rows of "
                f"{len(subjects)} subjects without a column {SUBJECT}"
            )
        named = found.rename_columns([*(c.name for c in table.data_columns), *brought])
        rows[table.name] = with_system(named, stamp, subject, task.run_id)
    return Transformed(made, rows, warnings=tuple(warnings))
