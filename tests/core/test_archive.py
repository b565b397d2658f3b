"""The archive: byte for byte, never the key, a whole file or none."""

from __future__ import annotations

import errno
import json
import os
import random

import pyarrow.parquet as pq
import pytest

from tcdatalogger.core.archive import Archive, ArchivedCall, remove
from tcdatalogger.errors import ConfigError, DataRefused, DiskFull
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.torncity.client.client import Answer, Request

HTML = b"<html><h1>502</h1>\xff\xfe</html>"


def archive_in(folder):
    return Archive(Folder(folder))


def answer(body, status=200, at=1_767_225_600.25):
    request = Request("/faction/crimes", (("cat", "all"), ("limit", "100")))
    return Answer(request, status, body, at, at - 7, 0.125, (("date", "x"),))


def test_answers_come_back_byte_for_byte_with_their_request_and_times(tmp_path):
    archive = archive_in(tmp_path)
    first, second = answer(b' {"crimes": [ ]}\n'), answer(HTML, 502)

    file = archive.write(
        "r1", "faction_crimes", [ArchivedCall(first, 40832), ArchivedCall(second, None, "down")]
    )

    (e1, p1), (e2, p2) = archive.read(file)
    assert (e1, e2) == ("", "down")
    assert (p1.answer, p2.answer) == (first, second)
    assert (p1.body, p2.body) == (first.body, HTML)
    assert (p1.subject_id, p2.subject_id) == (40832, None)
    assert p1.server_time == first.server_time


def test_one_flipped_bit_in_any_group_of_answers_is_refused_by_the_name_of_the_file(tmp_path):
    archive, dice = archive_in(tmp_path), random.Random(1)
    bodies = [json.dumps([dice.random() for _ in range(30_000)]).encode() for _ in range(9)]
    file = archive.write("r1", "c", [ArchivedCall(answer(body)) for body in bodies])
    path = tmp_path / file
    sound, metadata = path.read_bytes(), pq.read_metadata(path)
    assert metadata.num_row_groups > 2

    for number in range(metadata.num_row_groups):
        column = metadata.row_group(number).column(12)
        start = column.dictionary_page_offset or column.data_page_offset
        for at in dice.sample(range(start, start + column.total_compressed_size), 8):
            raw = bytearray(sound)
            raw[at] ^= 1 << dice.randrange(8)
            path.write_bytes(raw)

            with pytest.raises(DataRefused, match=file):
                list(archive.read(file))


def test_one_flipped_bit_in_the_header_of_a_file_changes_nothing_or_is_refused(tmp_path):
    archive, dice = archive_in(tmp_path), random.Random(1)
    about = {"whole": True, "cursor": "1767225600", "params": [["cat", "all"]]}
    kept = [ArchivedCall(answer(b"%d" % number * 9), error="x" * (number % 2)) for number in (1, 2)]
    file = archive.write("r1", "c", kept, about)
    path = tmp_path / file
    sound, pages = path.read_bytes(), list(archive.read(file))
    refused = []

    for at in dice.sample(
        range(pq.read_metadata(path).row_group(0).total_byte_size, len(sound)), 400
    ):
        raw = bytearray(sound)
        raw[at] ^= 1 << dice.randrange(8)
        path.write_bytes(raw)
        try:
            assert (archive.about(file), list(archive.read(file))) == (about, pages), at
        except DataRefused as failure:
            refused.append(failure.message)

    assert len(refused) > 100
    assert all(file in message for message in refused)


def test_a_file_of_a_version_that_wrote_no_checksums_is_read(tmp_path):
    archive = archive_in(tmp_path)
    file = archive.write("r1", "c", [ArchivedCall(answer(b"{}" * 99))])
    pq.write_table(pq.read_table(tmp_path / file), tmp_path / file, compression="zstd")

    [(_, page)] = archive.read(file)

    assert page.body == b"{}" * 99


def test_a_file_lies_under_its_endpoint_and_day_and_is_named_by_its_run(tmp_path):
    assert archive_in(tmp_path).write("r1", "faction_crimes", [ArchivedCall(answer(b"{}"))]) == (
        "faction_crimes/2025-12-31/r1.parquet"
    )


def test_a_file_is_compressed_and_anybody_can_read_it(tmp_path):
    file = archive_in(tmp_path).write("r1", "faction_crimes", [ArchivedCall(answer(b"{}" * 9999))])

    metadata = pq.read_metadata(tmp_path / file)
    assert metadata.row_group(0).column(12).compression == "ZSTD"
    (row,) = pq.read_table(tmp_path / file).to_pylist()
    assert (row["run_id"], row["endpoint"], row["page"]) == ("r1", "faction_crimes", 0)
    assert row["path"] == "/faction/crimes"
    assert json.loads(row["params"]) == [["cat", "all"], ["limit", "100"]]


def test_nothing_has_the_name_of_an_archive_before_it_is_whole_and_on_the_disk(
    tmp_path, monkeypatch
):
    seen = []

    def fsync(_handle):
        seen.append(sorted(f.suffix for f in tmp_path.rglob("*") if f.is_file()))

    monkeypatch.setattr("os.fsync", fsync)
    archive_in(tmp_path).write("r1", "faction_crimes", [ArchivedCall(answer(b"{}"))])

    assert seen == [[".part"], [".parquet"]]  # the file, then the folder with its new name


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_write_that_fails_leaves_no_half_file(tmp_path, monkeypatch, number):
    def fail(_handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", fail)

    with pytest.raises(DiskFull, match="full"):
        archive_in(tmp_path).write("r1", "faction_crimes", [ArchivedCall(answer(b"{}"))])

    assert [f for f in tmp_path.rglob("*") if f.is_file()] == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(ConfigError, match="taken") as refused:
        archive_in(tmp_path / "taken").write("r1", "faction_crimes", [ArchivedCall(answer(b"{}"))])

    assert "archive.path" in refused.value.remedy


@pytest.mark.parametrize("make", [lambda _file: None, lambda file: file.write_bytes(b"PAR1 no")])
def test_a_file_that_is_gone_or_damaged_is_refused_by_name(tmp_path, make):
    make(tmp_path / "x.parquet")

    with pytest.raises(DataRefused, match=r"x\.parquet"):
        list(archive_in(tmp_path).read("x.parquet"))


def test_a_run_keeps_what_torn_sent_and_not_what_we_made_of_it(workplace):
    outcome = workplace.log("faction_members")

    archive = archive_in(workplace.folder / "archive")
    ((error, page),) = archive.read(outcome.record.archive_file)
    assert error == ""
    assert page.body == outcome.fetched.pages[0].body
    assert page.subject_id == 40832
    assert page.answer.request.path == "/faction/members"


def test_the_answers_of_a_failed_run_are_kept_too(workplace, city):
    city.fault("http", status=503, path="/faction/members")
    page = workplace.log("faction_members")
    city.clear_faults()
    city.fault("error", code=21, path="/faction/members")
    error = workplace.log("faction_members")

    archive = archive_in(workplace.folder / "archive")
    for outcome, status, part in ((page, 503, b"503"), (error, 200, b'{"error":{"code":21')):
        assert outcome.record.status == "failed"
        kept = list(archive.read(outcome.record.archive_file))
        why, last = kept[-1]
        assert last.answer.status == status
        assert part in last.body
        assert why == outcome.record.error


def test_the_pages_before_a_failure_are_kept(workplace, city):
    city.fault("error", code=21, path="/faction/crimes", after=1)

    outcome = workplace.log("faction_crimes")

    kept = list(archive_in(workplace.folder / "archive").read(outcome.record.archive_file))
    assert [error == "" for error, _ in kept] == [True, False]
    assert not workplace.warehouse.exists()


def test_answers_older_than_the_retention_are_deleted_and_no_others(tmp_path):
    archive = archive_in(tmp_path)
    old, new = 1_700_000_000.0, 1_700_000_000.0 + 5 * 86_400
    for at, run in ((old, "old"), (new, "new")):
        answer = Answer(Request("/faction/basic"), 200, b"{}", at, at, 0.1)
        archive.write(run, "faction_basic", [ArchivedCall(answer)])
    assert archive.prune("faction_basic", new) == 1
    assert [file.rsplit("/", 1)[1] for file in archive.files("faction_basic")] == ["new.parquet"]
    assert archive.prune("faction_basic", new) == 0


def test_what_is_half_is_in_one_place_and_can_be_deleted(tmp_path):
    archive = archive_in(tmp_path)
    assert archive.halves() == []
    (tmp_path / ".half").mkdir()
    half = tmp_path / ".half" / "mine.part"
    half.touch()
    (tmp_path / ".half" / "other.part").touch()

    assert {each.stem for each in archive.halves()} == {"mine", "other"}
    remove([half])
    assert [each.stem for each in archive.halves()] == ["other"]
    assert archive.everything() == []
