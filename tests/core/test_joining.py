"""Joining the archive files of a day: fewer files, the same answers, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import rest_slow
from tcdatalogger.core import answers, joining
from tcdatalogger.core.archive import Archive, ArchivedCall
from tcdatalogger.core.backup.make import back_up
from tcdatalogger.core.joining import join, split
from tcdatalogger.core.operations.replay import rebuild, replay
from tcdatalogger.errors import ConfigError, DataRefused
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.storage.open import open_storage
from tcdatalogger.services.torncity.client.client import Answer, Request

DAY = 86_400.0
START = 1_767_225_600.0 + DAY  # 2026-01-02, midnight
NOW = START + 10 * DAY
MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'


def answer(body, at, status=200):
    request = Request("/faction/members", (("cat", "all"),))
    return Answer(request, status, body, at + 0.25, at, 0.125, (("date", "x"),))


def write(archive, day, number, pages=2, endpoint="members", size=40):
    """A run on a day, with a body of its own for each page."""
    dice, at = random.Random(f"{day} {number}"), START + day * DAY + number * 900
    kept = [
        ArchivedCall(answer(dice.randbytes(size), at + page), 7, "down" * (page == 1))
        for page in range(pages)
    ]
    run_id = f"2026010{2 + day}T{number:06d}Z-{number:08x}"
    return archive.write(run_id, endpoint, kept, {"whole": True, "at": at, "number": number})


def filled(place, days=2, runs=4):
    archive = Archive(place)
    names = [write(archive, day, number) for day in range(days) for number in range(runs)]
    return archive, names


def told(archive, endpoint="members"):
    """All that an archive answers about the runs of an endpoint."""
    archive = Archive(archive.storage)  # nothing of it is known yet
    return [
        (name, archive.about(name), archive.find(endpoint, Path(name).stem),
         [(error, page.answer, page.body, page.subject_id) for error, page in archive.read(name)])
        for name in archive.files(endpoint)
    ]  # fmt: skip


def names_in(folder):
    return sorted(one.name for one in Folder(folder).files())


# --- the same answers from fewer files -----------------------------------------------------------


def test_the_files_of_each_day_become_one_and_every_answer_stays_as_it_was(tmp_path):
    archive, names = filled(Folder(tmp_path))
    before = told(archive)

    done = join(archive, "members", NOW)

    assert (done.days, done.runs, done.before, done.after) == (2, 8, 8, 2)
    assert len(names_in(tmp_path)) == 2
    assert told(archive) == before
    assert archive.files("members") == names
    assert all(archive.exists(name) for name in names)
    assert {archive.holder(name) for name in names} == set(names_in(tmp_path))


def test_a_join_that_has_nothing_to_do_changes_nothing(tmp_path):
    archive, _ = filled(Folder(tmp_path))
    join(archive, "members", NOW)
    before = [(one.name, one.changed) for one in Folder(tmp_path).files()]

    assert join(archive, "members", NOW) == joining.Joined()
    assert [(one.name, one.changed) for one in Folder(tmp_path).files()] == before


def test_a_day_is_joined_when_it_is_over_for_an_hour(tmp_path):
    archive, _ = filled(Folder(tmp_path), days=1)

    assert join(archive, "members", START + DAY + 3_599).days == 0
    assert join(archive, "members", START + DAY + 3_600).days == 1


def test_the_oldest_days_come_first_where_only_some_are_joined(tmp_path):
    archive, _ = filled(Folder(tmp_path), days=3)

    join(archive, "members", NOW, most=1)

    days = [name.split("/")[1] for name in names_in(tmp_path)]
    assert days == ["2026-01-02"] + ["2026-01-03"] * 4 + ["2026-01-04"] * 4


def test_a_dry_run_counts_and_changes_nothing(tmp_path):
    archive, names = filled(Folder(tmp_path))

    assert join(archive, "members", NOW, dry=True).before == 8
    assert names_in(tmp_path) == names


def test_other_endpoints_and_single_files_are_left_alone(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    other = [write(archive, 0, 9, endpoint="other"), write(archive, 1, 9)]

    join(archive, "members", NOW)

    assert set(other) <= set(names_in(tmp_path))
    assert archive.files("members") == [*names, other[1]]


def test_the_file_of_a_pending_run_stays(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)

    join(archive, "members", NOW, {Path(names[1]).stem})

    assert names[1] in names_in(tmp_path)
    assert archive.files("members") == names


def test_a_file_that_comes_late_is_joined_with_the_others(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    join(archive, "members", NOW)
    late = write(archive, 0, 77)
    before = told(archive)

    join(archive, "members", NOW)

    assert len(names_in(tmp_path)) == 1
    assert told(archive) == before
    assert archive.files("members") == [*names, late]


def test_the_mark_of_a_refused_run_counts_after_its_file_was_joined(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    with pytest.raises(DataRefused), archive.marking(names[1], DataRefused):
        raise DataRefused("Too few rows.")

    join(archive, "members", NOW)

    assert archive.refusal(names[1]) == "Too few rows."
    archive.accept(names[1])
    assert archive.refusal(names[1]) == ""


@given(st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=4), min_size=2, max_size=5))
def test_any_bodies_come_back_byte_for_byte(tmp_path_factory, runs):
    archive = Archive(Folder(tmp_path_factory.mktemp("any")))
    for number, bodies in enumerate(runs):
        kept = [ArchivedCall(answer(body, START)) for body in bodies]
        archive.write(f"r{number}", "members", kept, {"number": number})

    join(archive, "members", NOW)

    assert len(list(archive.storage.files())) == 1
    for number, bodies in enumerate(runs):
        name = f"members/2026-01-02/r{number}.parquet"
        assert [page.body for _, page in archive.read(name)] == bodies
        assert archive.about(name) == {"number": number}


def test_a_large_run_is_joined_and_read_without_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "_GROUP", 1_000)
    archive = Archive(Folder(tmp_path))
    for number in range(3):
        write(archive, 0, number, pages=9, size=400)
    before = told(archive)
    join(archive, "members", NOW)
    [joined] = (tmp_path / "members/2026-01-02").iterdir()
    metadata = pq.read_metadata(joined)
    assert metadata.num_row_groups > 6

    raw = bytearray(joined.read_bytes())  # all but the first run is spoilt
    first, *_ = archive.joined(*archive.storage.files()).runs.values()
    start = metadata.row_group(first.groups).column(0).data_page_offset - 100
    end = len(raw) - int.from_bytes(raw[-8:-4], "little") - 8
    raw[start + 200 : end] = bytes(end - start - 200)
    joined.write_bytes(raw)

    archive = Archive(Folder(tmp_path))
    assert archive.about(before[0][0]) == before[0][1]
    found = [(error, page.body) for error, page in archive.read(before[0][0])]
    assert found == [(error, body) for error, _, body, _ in before[0][3]]
    with pytest.raises(DataRefused):
        list(archive.read(before[2][0]))


def test_anybody_can_read_a_joined_file(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    join(archive, "members", NOW)

    [joined] = (tmp_path / "members/2026-01-02").iterdir()
    rows = pq.read_table(joined).to_pylist()

    assert [row["run_id"] for row in rows] == [Path(n).stem for n in names for _ in range(2)]
    assert {row["path"] for row in rows} == {"/faction/members"}


def test_each_run_has_its_own_file_again_after_a_split(tmp_path):
    archive, names = filled(Folder(tmp_path))
    before = told(archive)
    join(archive, "members", NOW)

    done = split(archive, "members")

    assert (done.days, done.runs) == (2, 8)
    assert names_in(tmp_path) == names
    assert told(archive) == before


def test_retention_deletes_joined_days_except_those_with_a_pending_run(tmp_path):
    archive, names = filled(Folder(tmp_path), days=3)
    join(archive, "members", NOW)

    assert archive.prune("members", START + 2 * DAY, {Path(names[0]).stem}) == 1
    assert archive.files("members") == names[:4] + names[8:]
    assert archive.prune("members", START + 2 * DAY) == 1
    assert archive.files("members") == names[8:]


# --- what is odd ---------------------------------------------------------------------------------


def test_a_damaged_file_stays_as_it_is_and_the_others_are_joined(tmp_path, caplog):
    archive, names = filled(Folder(tmp_path), days=1)
    spoilt = tmp_path / names[2]
    spoilt.write_bytes(spoilt.read_bytes()[:-30])

    done = join(archive, "members", NOW)

    assert done.left == (names[2],)
    assert names[2] in names_in(tmp_path)
    with pytest.raises(DataRefused, match=Path(names[2]).stem):
        list(archive.read(names[2]))
    assert len(list(archive.read(names[1]))) == 2


def test_a_file_of_a_later_version_stays_as_it_is(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    table = pq.read_table(tmp_path / names[0])
    pq.write_table(table.append_column("more", table.column("page")), tmp_path / names[0])

    assert join(archive, "members", NOW).left == (names[0],)
    assert names[0] in names_in(tmp_path)


def test_a_file_of_an_older_version_is_joined(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    table = pq.read_table(tmp_path / names[0]).drop_columns(["subject_id"])
    pq.write_table(table.replace_schema_metadata(None), tmp_path / names[0])
    before = told(archive)

    assert join(archive, "members", NOW).runs == 4
    assert told(archive) == before
    assert archive.about(names[0]) == {}


def test_a_run_that_was_made_again_is_read_from_its_own_file(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    join(archive, "members", NOW)
    run_id = Path(names[0]).stem
    archive.write(run_id, "members", [ArchivedCall(answer(b"again", START))])

    join(archive, "members", NOW)

    assert [page.body for _, page in archive.read(names[0])] == [b"again"]
    assert names[0] in names_in(tmp_path)


def test_one_flipped_bit_in_a_joined_file_is_refused_or_changes_nothing(tmp_path):
    archive, _ = filled(Folder(tmp_path), days=1)
    before, dice, refused = told(archive), random.Random(1), 0
    join(archive, "members", NOW)
    [path] = (tmp_path / "members/2026-01-02").iterdir()
    sound = path.read_bytes()

    for at in dice.sample(range(len(sound)), 150):
        raw = bytearray(sound)
        raw[at] ^= 1 << dice.randrange(8)
        path.write_bytes(raw)
        try:
            assert told(archive) == before, at
        except DataRefused:
            refused += 1

    assert refused > 50


# --- never losing a byte -------------------------------------------------------------------------


class Killed(BaseException):
    """What ends a process at once: no `except` of the program catches it."""


def killed_at(monkeypatch, step, after):
    """From now on, the process ends at this step of those that touch the disk; how many it took."""
    taken = []

    def wrap(owner, name):
        real = getattr(owner, name)

        def call(*args, **options):
            taken.append(name)
            if len(taken) > step + 1 or (len(taken) == step + 1 and not after):
                raise Killed  # also in what would clean up: a killed process cleans up nothing
            found = real(*args, **options)
            if len(taken) == step + 1:
                raise Killed
            return found

        monkeypatch.setattr(owner, name, call)

    for name in ("fsync", "open", "replace", "unlink", "rmdir", "mkdir"):
        wrap(os, name)
    wrap(Path, "replace")
    wrap(Path, "unlink")
    return taken


@pytest.mark.parametrize(
    ("late", "after"), rest_slow([(False, False), (False, True), (True, False), (True, True)])
)
def test_a_process_that_is_killed_at_any_step_loses_and_doubles_nothing(
    tmp_path, monkeypatch, late, after
):
    step = 0
    for step in range(60):
        folder = tmp_path / f"{step}"
        archive, _ = filled(Folder(folder), days=1, runs=3)
        if late:
            join(archive, "members", NOW)
            write(archive, 0, 50)
            write(archive, 0, 51)
        before = told(archive)

        with monkeypatch.context() as patch:
            taken = killed_at(patch, step, after)
            try:
                join(archive, "members", NOW)
            except Killed:
                pass
            else:
                break
        assert told(archive) == before, (step, taken)
        rows = Archive(Folder(folder)).files("members")
        assert len(rows) == len(set(rows)), step

        join(Archive(Folder(folder)), "members", NOW)  # it is started again
        assert told(archive) == before, step
        assert len(list((folder / "members/2026-01-02").iterdir())) == 1, step

    assert step > 5
    assert step < 59


def test_a_disk_that_is_full_leaves_the_former_files(tmp_path, monkeypatch):
    archive, names = filled(Folder(tmp_path), days=1)
    before = told(archive)

    def full(*_args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Exception, match="full"):
            join(archive, "members", NOW)

    assert told(archive) == before
    assert names_in(tmp_path) == names


def test_a_joined_file_that_is_not_what_was_written_goes_and_the_former_files_stay(
    tmp_path, monkeypatch
):
    archive, names = filled(Folder(tmp_path), days=1)
    before, real = told(archive), Folder.write

    def spoils(self, name, content):
        real(self, name, content)
        path = self.root / name
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 3] ^= 1
        path.write_bytes(raw)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", spoils)
        with pytest.raises(DataRefused, match="not what was written"):
            join(archive, "members", NOW)

    assert names_in(tmp_path) == names
    assert told(archive) == before


def spoil_the_bodies(folder, archive, run_id):
    """Flip a bit in the bodies of a run of the one joined file; the file."""
    [path] = folder.rglob("*.joined.parquet")
    run = archive.joined(next(iter(Folder(folder).files()))).runs[run_id]
    start = pq.ParquetFile(path).metadata.row_group(run.first).column(12).data_page_offset
    raw = bytearray(path.read_bytes())
    raw[start + 40] ^= 1
    path.write_bytes(raw)
    return path


def test_a_joined_file_of_before_stays_when_it_cannot_be_read_whole(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    single = (tmp_path / names[0]).read_bytes()
    join(archive, "members", NOW)
    path = spoil_the_bodies(tmp_path, archive, Path(names[3]).stem)
    raw = path.read_bytes()
    (tmp_path / names[0]).write_bytes(single)  # as a kill leaves it before it is deleted

    with pytest.raises(DataRefused, match="not what was written"):
        join(Archive(Folder(tmp_path)), "members", NOW)

    assert path.read_bytes() == raw
    assert len(list(Archive(Folder(tmp_path)).read(names[1]))) == 2


def test_a_damaged_joined_file_is_told_as_one_where_it_is_written_anew(tmp_path):
    archive, names = filled(Folder(tmp_path), days=1)
    join(archive, "members", NOW)
    spoil_the_bodies(tmp_path, archive, Path(names[3]).stem)
    write(archive, 0, 50)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}

    with pytest.raises(DataRefused, match="cannot be read"):
        join(Archive(Folder(tmp_path)), "members", NOW)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == before
    with pytest.raises(DataRefused, match="cannot be read"):
        split(Archive(Folder(tmp_path)), "members")

    assert (
        before.items() <= {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}.items()
    )


def test_a_half_joined_file_is_cleared_away_when_it_is_an_hour_old(tmp_path):
    archive = Archive(Folder(tmp_path))
    half = tmp_path / ".half/0123456789abcdef.joined.part"
    half.parent.mkdir()
    half.touch()

    assert archive.halves() == []
    os.utime(half, (1e9, 1e9))
    assert archive.halves() == [half]


def test_who_reads_a_run_while_its_files_go_gets_it_from_the_joined_file(tmp_path, monkeypatch):
    archive, names = filled(Folder(tmp_path), days=1)
    before, real = told(archive), Folder.local

    def joins_first(self, name):
        found = real(self, name)
        monkeypatch.setattr(Folder, "local", real)
        join(Archive(Folder(tmp_path)), "members", NOW)
        return found

    monkeypatch.setattr(Folder, "local", joins_first)

    assert [page.body for _, page in archive.read(names[0])] == [b for _, _, b, _ in before[0][3]]


# --- in a bucket ---------------------------------------------------------------------------------


def test_the_days_of_a_bucket_are_joined_and_one_run_is_read_by_its_range(buckets, proxy, tmp_path):
    bucket = buckets.make()
    archive, names = filled(open_storage(proxy.url(bucket), tmp_path / "spool", patience=15))
    archive.deliver()
    before = told(archive)

    done = join(archive, "members", NOW)

    assert (done.before, done.after) == (8, 2)
    assert len(buckets.names(bucket)) == 2
    assert told(archive) == before
    archive = Archive(open_storage(proxy.url(bucket), tmp_path / "other", patience=15))
    proxy.asked.clear()
    assert len(list(archive.read(names[5]))) == 2
    whole = len(buckets.read(bucket, min(n for n in buckets.names(bucket) if "01-03" in n)))
    spans = [one.headers for one in proxy.asked if "bytes=" in one.headers]
    assert len(spans) == 2, proxy.asked
    start, end = spans[1].split("bytes=")[1].split()[0].split("-")
    assert int(end) - int(start) < whole / 2


# --- runs ----------------------------------------------------------------------------------------


def fill(place):
    place.write(MEMBERS)
    found = []
    for day in range(2):
        for _ in range(3 - day):
            place.clock.sleep(60)
            found.append(place.run("run", "faction_members", "--json").json[0]["run_id"])
        place.clock.sleep(DAY + 7_200)
    return found


@pytest.fixture
def runs(once):
    """Three runs on a day, and two on the next, of which the first joined the three files."""
    return once(fill)


def archived(place):
    return sorted(file.name for file in (place.folder / "archive").rglob("*.parquet"))


def test_the_first_run_of_a_day_joins_the_files_of_the_days_before(workplace, runs):
    names = archived(workplace)

    assert [name.endswith(".joined.parquet") for name in names].count(True) == 1
    assert len(names) == 3


def test_rows_are_made_again_from_joined_files(workplace, runs):
    with workplace.application() as application:
        again = replay(application, runs[0])
        whole = rebuild(application, "faction_members", without=[runs[1]])

    assert again.rows == {"faction_members": 30}
    assert [one.why for one in whole] == ["", "left out", "", "", ""]
    assert workplace.value("select count(*) from faction_members") == 120


def test_a_backup_with_the_archive_has_the_joined_files(workplace, runs, tmp_path):
    with workplace.application() as application:
        made = back_up(application, tmp_path / "kept", archive=True)

    copied = Archive(Folder(made.folder / "archive"))
    assert len(copied.files("faction_members")) == 5
    assert all(list(copied.read(file)) for file in copied.files("faction_members"))


def test_a_backup_during_a_join_has_every_run(workplace, runs, tmp_path, monkeypatch):
    workplace.clock.sleep(DAY)
    real = Archive.everything

    def joins_then(self):
        found = real(self)
        monkeypatch.setattr(Archive, "everything", real)
        join(Archive(self.storage), "faction_members", workplace.clock.now())
        return found

    monkeypatch.setattr(Archive, "everything", joins_then)
    with workplace.application() as application:
        made = back_up(application, tmp_path / "kept", archive=True)

    assert len(Archive(Folder(made.folder / "archive")).files("faction_members")) == 5


def test_the_page_and_the_command_of_a_run_name_the_file_that_has_it(workplace, runs):
    joined = next(name for name in archived(workplace) if "joined" in name)

    assert joined in workplace.run("runs", "show", runs[0]).out


def test_files_are_joined_and_taken_apart_by_command(workplace, runs):
    workplace.clock.sleep(DAY)

    would = workplace.run("archive", "join", "--dry-run", "--json").json["faction_members"]
    done = workplace.run("archive", "join")
    now = archived(workplace)
    apart = workplace.run("archive", "split", "faction_members", "--json")

    assert (would["before"], would["after"]) == (2, 1)
    assert "2 files became 1." in done.out
    assert len(now) == 2
    assert apart.json["faction_members"]["runs"] == 5
    assert archived(workplace) == sorted(f"{run}.parquet" for run in runs)


def test_an_endpoint_that_runs_is_left_out_and_named(workplace, runs):
    with workplace.application() as application, application.claimed("faction_members", "other"):
        done = workplace.run("archive", "join")

    assert done.code == 75
    assert "faction_members" in done.err


def test_a_place_that_cannot_be_written_stops_no_run(workplace, runs, monkeypatch, caplog):
    workplace.clock.sleep(DAY)

    def fails(*_args, **_options):
        raise ConfigError("The archive cannot be written to.")

    monkeypatch.setattr("tcdatalogger.core.main.join", fails)

    assert workplace.run("run", "faction_members").code == 0


def test_a_damaged_joined_file_is_named_by_a_rebuild_and_no_row_goes(workplace, runs):
    [joined] = (workplace.folder / "archive").rglob("*.joined.parquet")
    raw = bytearray(joined.read_bytes())
    raw[-20] ^= 1
    joined.write_bytes(raw)

    done = workplace.run("rebuild", "faction_members")

    assert done.code == 65
    assert joined.name in json.dumps(done.err)
    assert workplace.value("select count(*) from faction_members") == 150
