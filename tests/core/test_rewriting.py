"""Answers that are written anew: one run changes, and no byte of the others."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tcdatalogger.core.archive import Archive, ArchivedCall
from tcdatalogger.core.joining import join
from tcdatalogger.core.rewriting import rewrite
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.torncity.client.client import Answer, Request

AT = 1_767_312_000.0  # 2026-01-02
LATER = AT + 10 * 86_400.0


class Replaced:
    """Another text in place of one in every body."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def about(self, about):
        return about

    def rows(self, rows):
        at = rows.schema.get_field_index("body")
        bodies = [body.replace(self.old, self.new) for body in rows.column(at).to_pylist()]
        return rows.set_column(at, "body", pa.array(bodies, pa.binary()))


def bodies(archive):
    """The bodies of each run, with a memory of nothing."""
    archive = Archive(archive.storage)
    return [[page.body for _, page in archive.read(name)] for name in archive.files("members")]


@pytest.fixture
def archive(tmp_path):
    """Two runs of one day, of two pages each."""
    archive = Archive(Folder(tmp_path))
    for number, who in enumerate((b"Anna", b"Otto")):
        kept = [
            ArchivedCall(Answer(Request("/x", ()), 200, who + page, AT, AT, 0.1, ()))
            for page in (b" 1", b" 2")
        ]
        run_id = f"20260102T00000{number}Z-0000000{number}"
        archive.write(run_id, "members", kept, {"number": number})
    return archive


@pytest.mark.parametrize("joined", [False, True])
def test_the_run_that_is_meant_changes_and_no_other(archive, tmp_path, joined):
    """Also in a joined file, which gets another name, as it has other content."""
    if joined:
        assert join(archive, "members", LATER).after == 1
    before = archive.everything()
    change = Replaced(b"Otto", b"forgotten")

    assert sum(rewrite(archive, one, change, dry=True) for one in before) == 1
    assert Archive(Folder(tmp_path)).everything() == before
    assert sum(rewrite(archive, one, change) for one in before) == 1

    assert bodies(archive) == [[b"Anna 1", b"Anna 2"], [b"forgotten 1", b"forgotten 2"]]
    after = archive.everything()
    assert len(after) == len(before)
    assert joined == ({one.name for one in after} != {one.name for one in before})
    assert sum(rewrite(archive, one, change) for one in after) == 0
