"""An archive in a bucket: the same runs as with a folder, and nothing lost where it is away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from urllib.parse import unquote

import pytest

from shared import PROGRAM, rest_slow
from tcdatalogger.core.archive import Archive, ArchivedCall
from tcdatalogger.core.backup import manifest
from tcdatalogger.core.check.preflight import inspect
from tcdatalogger.core.operations.replay import rebuild, replay
from tcdatalogger.core.run import pending
from tcdatalogger.core.run import run as running
from tcdatalogger.errors import ConfigError, DataRefused, WarehouseUnavailable
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.storage.open import open_storage
from tcdatalogger.services.torncity.client.messages import Answer, Request

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\ntimeout = "PT3S"\n'
BASIC = '[[endpoints]]\nname = "basic"\npath = "/faction/basic"\n'
CHECK = 'checks = [{ column = "id", min = 99999999999 }]\n'
PREFIX = "torn/raw/"
WEEK = 7 * 86_400


def configure(place, url, endpoints=MEMBERS, extra=""):
    file = place.write(endpoints)
    text = file.read_text().replace('path = "archive"', f'path = "{url}"\n{extra}')
    file.write_text(text)
    return place


@pytest.fixture
def bucket(buckets):
    return buckets.make()


@pytest.fixture
def place(workplace, proxy, bucket):
    """A workplace whose archive is a bucket behind the proxy."""
    return configure(workplace, proxy.url(bucket))


@pytest.fixture
def there(buckets, bucket):
    """The objects of the bucket, below its prefix."""
    return lambda: [name.removeprefix(PREFIX) for name in buckets.names(bucket)]


def spooled(place):
    return [one.name.partition("/")[2] for one in Folder(place.folder / "spool").files()]


def runs(place):
    return {row["run_id"] for row in place.sql("select run_id from _tcd_loads")}


def rows(place):
    return place.value("select count(*) from members")


# --- runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_run_is_stored_when_its_file_is_in_the_bucket_and_nothing_stays_on_the_disk(
    workplace, buckets, bucket, there, scheme
):
    configure(workplace, buckets.url(bucket, scheme))

    record = workplace.log("members").record

    assert record.status == "done", record.error
    assert there() == [record.archive_file]
    assert spooled(workplace) == []
    assert not (workplace.folder / "archive").exists()
    assert buckets.read(bucket, PREFIX + record.archive_file)[-4:] == b"PAR1"


def test_the_file_is_in_the_bucket_before_the_load_begins(place, there, monkeypatch):
    seen = []
    load = running.load_of

    def looking(*args, **options):
        seen.append(there())
        return load(*args, **options)

    monkeypatch.setattr(running, "load_of", looking)
    record = place.log("members").record

    assert seen == [[record.archive_file]]


def test_a_run_asks_the_bucket_once_and_once_more_where_old_answers_go(place, proxy):
    place.log("members")
    assert [asked.method for asked in proxy.asked] == ["PUT"]
    proxy.asked.clear()

    place.log("members", "archive.keep=P1Y")

    assert [asked.method for asked in proxy.asked] == ["PUT", "GET"]


@pytest.mark.parametrize("fate", rest_slow([403, "drop", 503]))
def test_a_bucket_that_is_away_leaves_the_run_pending_and_the_next_brings_both(
    place, proxy, there, fate
):
    proxy.plan = lambda asked: fate if asked.method == "PUT" else None
    first = place.log("members")

    assert first.record.status == "pending"
    assert isinstance(first.error, ConfigError if fate == 403 else WarehouseUnavailable)
    assert "next run" in first.record.remedy
    assert spooled(place) == [first.record.archive_file]
    assert there() == []
    assert not place.warehouse.exists() or not runs(place)

    proxy.plan = lambda _asked: None
    second = place.again(lambda application: application.run(*application.chosen(["members"])))

    assert second.record.status == "done"
    assert [run.run_id for run in second.settled] == [first.run_id]
    assert runs(place) == {first.run_id, second.run_id}
    assert rows(place) == 60
    assert sorted(there()) == sorted([first.record.archive_file, second.record.archive_file])
    assert spooled(place) == []


def test_nothing_is_stored_of_a_file_that_is_not_in_the_bucket_whoever_wants_it(place, proxy):
    proxy.plan = lambda asked: 403 if asked.method == "PUT" else None
    first = place.log("members")

    with place.application() as application, pytest.raises(ConfigError, match="s3:PutObject"):
        replay(application, first.run_id)

    assert not place.warehouse.exists() or not runs(place)


def test_what_waits_for_the_bucket_goes_there_before_anything_else_of_any_run(place, proxy, there):
    configure(place, place_url(place), MEMBERS + BASIC)
    proxy.plan = lambda asked: 403 if asked.method == "PUT" else None
    first = place.log("members").record
    proxy.plan = lambda _asked: None
    proxy.asked.clear()

    other = place.log("basic").record

    assert [asked.method for asked in proxy.asked[:2]] == ["PUT", "PUT"]
    assert proxy.asked[0].path.endswith(f"{first.run_id}.parquet")
    assert proxy.asked[1].path.endswith(f"{other.run_id}.parquet")
    assert place.record(first.run_id).status == "pending"


def test_the_answers_of_a_failed_fetch_go_to_the_bucket_too(place, city, there):
    city.fault("error", code=21, path="/faction/members")

    record = place.log("members").record

    assert record.status == "failed"
    assert there() == [record.archive_file]
    assert spooled(place) == []


def test_a_fetch_that_is_looked_at_goes_to_the_bucket_too(place, there):
    record = place.log("members", until="transform").record

    assert record.status == "paused", record.error
    assert there() == [record.archive_file]
    assert str(place.folder / "artifacts") in record.artifact


def test_the_secrets_of_a_bucket_are_in_no_line(place, proxy, capsys):
    configure(place, proxy.url("nobucket"), extra='credentials = "env:TCD_BUCKET_KEY"\n')
    place.patch.setenv("TCD_BUCKET_KEY", "AKIAHIDDEN:verysecret")
    proxy.plan = lambda _asked: 403

    done = place.run("run", "members", "--log-level", "debug")
    shown = place.run("config", "show")

    for told in (done.out, done.err, shown.out, shown.err):
        assert "AKIAHIDDEN" not in told
        assert "verysecret" not in told
        assert "AKIASECRET" not in told
    assert done.code == 78
    assert not place.holding("verysecret")


# --- killed ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("when", ["hold", "late"])
def test_a_run_that_is_killed_while_it_uploads_is_stored_once_by_the_next(
    place, proxy, there, when
):
    proxy.plan = lambda asked: when if asked.method == "PUT" else None
    child = subprocess.Popen(
        [*PROGRAM, "run", "members"], cwd=place.folder, env={**os.environ, **place.outside()}
    )
    assert proxy.held.wait(60)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    waiting = spooled(place)
    assert len(waiting) == 1
    assert there() == ([] if when == "hold" else waiting)

    proxy.plan = lambda _asked: None
    proxy.go.set()
    second = place.process("run", "members", "--json")

    assert second.code == 0, second.err
    assert len(runs(place)) == 2
    assert rows(place) == 60
    assert waiting[0] in there()
    assert spooled(place) == []


DIES = """
import os, signal, sys
from tcdatalogger.cli import main
from tcdatalogger.services.storage.spool import Spooled

write = Spooled.write

def dying(*args):
    write(*args)
    os.kill(os.getpid(), signal.SIGKILL)

Spooled.write = dying
sys.exit(main(["run", "members"]))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_before_it_knows_its_file_is_stored_by_the_next(place, there):
    environ = {**os.environ, **place.outside()}
    words = [sys.executable, "-W", "error", "-c", DIES]
    child = subprocess.run(words, cwd=place.folder, env=environ, check=False)
    assert child.returncode == -signal.SIGKILL
    [waiting] = spooled(place)
    assert there() == []

    second = place.process("run", "members", "--json")

    assert second.code == 0, second.err
    assert len(runs(place)) == 2
    assert waiting in there()


# --- a run of another machine ----------------------------------------------------------------


def test_a_run_whose_file_waits_on_another_machine_waits_for_it_and_not_for_ever(
    place, proxy, monkeypatch
):
    proxy.plan = lambda asked: 403 if asked.method == "PUT" else None
    first = place.log("members").record
    away = place.folder / "spool"
    proxy.plan = lambda _asked: None

    away.rename(place.folder / "elsewhere")  # this is another machine now
    monkeypatch.setattr(pending.socket, "gethostname", lambda: "another")
    second = place.log("members")
    assert second.record.status == "done"
    assert place.record(first.run_id).status == "pending"

    with place.application() as application:
        soon = pending.waiting(application.state, application.archive, "members", place.clock.now())
        assert soon == []
        assert place.record(first.run_id).status == "pending"

    shutil.copytree(place.folder / "elsewhere", away, dirs_exist_ok=True)  # its machine runs again
    third = place.log("members")
    assert [run.run_id for run in third.settled] == [first.run_id]
    assert runs(place) == {first.run_id, second.run_id, third.run_id}


def test_a_file_that_never_comes_fails_its_run_in_the_end(place, proxy, monkeypatch):
    proxy.plan = lambda asked: 403 if asked.method == "PUT" else None
    first = place.log("members").record
    proxy.plan = lambda _asked: None
    (place.folder / "spool").rename(place.folder / "gone")
    monkeypatch.setattr(pending.socket, "gethostname", lambda: "another")

    with place.application() as application:
        later = place.clock.now() + WEEK + 60
        assert pending.waiting(application.state, application.archive, "members", later) == []

    assert place.record(first.run_id).status == "failed"


# --- what is done with an archive ------------------------------------------------------------


def kept(at, run):
    request = Request("/faction/members", ())
    return [ArchivedCall(Answer(request, 200, f'{{"run":"{run}"}}'.encode(), at, at, 0.1))]


@pytest.fixture
def both(buckets, bucket, tmp_path):
    """An archive in a folder and one in a bucket."""
    url = buckets.url(bucket)
    return [
        Archive(Folder(tmp_path / "folder")),
        Archive(open_storage(url, tmp_path / "spool", patience=15)),
    ]


def test_an_archive_answers_the_same_in_a_folder_and_in_a_bucket(both):
    start = 1_767_225_600.0
    told = []
    for archive in both:
        said = []
        for number in range(4):
            run = f"2026010{number + 1}T000000Z-{number}"
            about = {"number": number, "much": "x" * (200_000 if number == 2 else 1)}
            file = archive.write(run, "members", kept(start + number * 86_400, run), about)
            archive.deliver(file)
            said.append(file)
            said.append(archive.about(file)["number"])
            said += [(error, page.body) for error, page in archive.read(file)]
            said.append(archive.find("members", run))
        said.append(archive.find("members", "20260101T000000Z-none"))
        said.append(archive.find("members", "99999999T000000Z-none"))
        said.append(archive.find("other", "x"))
        with pytest.raises(DataRefused), archive.marking(file, DataRefused):
            raise DataRefused("They may not be stored.")
        archive.deliver()
        said.append(archive.refusal(file))
        said.append([one.name for one in archive.everything()])
        archive.accept(file)
        said.append(archive.refusal(file))
        said.append(archive.prune("members", start + 2 * 86_400, {"20260101T000000Z-0"}))
        said.append(archive.files("members"))
        said.append(archive.exists(file))
        with pytest.raises(DataRefused, match=r"gone\.parquet"):
            archive.about("members/2026-01-01/gone.parquet")
        told.append(said)

    assert told[0] == told[1]
    assert told[0][-3:] == [1, [f"members/2026-01-0{n}/2026010{n}T000000Z-{n - 1}.parquet"
                                for n in (1, 3, 4)], True]  # fmt: skip


def test_what_a_file_says_of_itself_is_read_from_its_end(both, proxy, bucket, tmp_path):
    archive = Archive(open_storage(proxy.url(bucket), tmp_path / "other", patience=15))
    body = os.urandom(300_000)
    request = Request("/faction/members", ())
    file = both[1].write("r1", "members", [ArchivedCall(Answer(request, 200, body, 1e9, 1e9, 0.1))])
    both[1].deliver(file)

    archive.about(file)

    [asked] = proxy.asked
    assert "bytes=-65536" in asked.headers


def test_the_file_of_a_run_is_looked_for_from_the_day_before_the_run_on(proxy, bucket, tmp_path):
    archive = Archive(open_storage(proxy.url(bucket), tmp_path / "spool", patience=15))
    file = archive.write("20260102T030405Z-1", "members", kept(1_767_323_045.0, "x"))
    archive.deliver()
    proxy.asked.clear()

    assert archive.find("members", "20260102T030405Z-1") == file

    [asked] = proxy.asked
    assert "2026-01-01" in unquote(asked.path)


def test_a_table_is_made_again_from_the_bucket(place, there):
    done = [place.log("members").record for _ in range(2)]

    with place.application() as application:
        rebuild(application, "members")

    assert rows(place) == 60
    assert len(there()) == len(done)


def test_a_refusal_stands_beside_the_answers_and_a_rebuild_leaves_them_out(place, there):
    place.log("members")
    configure(place, place_url(place), MEMBERS + CHECK)
    refused = place.log("members").record
    assert refused.status == "failed", refused.error
    mark = refused.archive_file.replace(".parquet", ".refused")

    assert mark in there()
    with place.application() as application:
        assert "id" in application.archive.refusal(refused.archive_file)


def place_url(place):
    return json.loads(place.run("config", "show", "--json").out)["archive"]["path"]


def test_old_answers_are_deleted_from_the_bucket_and_a_prune_that_fails_is_only_told(
    place, proxy, buckets, bucket, there
):
    old = "members/2020-01-01/old.parquet"
    buckets.ask("PUT", f"/{bucket}/{PREFIX}{old}", b"x")
    configure(place, place_url(place), extra='keep = "P1Y"\n')
    proxy.plan = lambda asked: 403 if asked.method == "DELETE" else None
    first = place.log("members").record
    assert first.status == "done", first.error
    assert old in there()

    proxy.plan = lambda _asked: None
    second = place.log("members").record

    assert there() == sorted([first.archive_file, second.archive_file])


def index(folder):
    return {one.file: one for one in manifest.read_index(folder)}


def test_a_backup_lists_a_bucket_without_reading_it_and_copies_it_where_asked(
    place, proxy, buckets, bucket
):
    file = place.log("members").record.archive_file
    proxy.asked.clear()

    listed = place.run("backup", "--to", "backups", "--json")
    assert listed.code == 0, listed.err
    assert all("list-type" in asked.path for asked in proxy.asked if asked.method == "GET")
    [folder] = [p for p in (place.folder / "backups").iterdir() if not p.name.startswith(".")]
    content = buckets.read(bucket, PREFIX + file)
    assert (index(folder)[file].bytes, index(folder)[file].sha256) == (len(content), "")

    place.clock.sleep(60)
    copied = place.run("backup", "--to", "backups", "--archive", "--json")
    assert copied.code == 0, copied.err
    newest = max(p for p in (place.folder / "backups").iterdir() if not p.name.startswith("."))
    assert (newest / "archive" / file).read_bytes() == content
    assert index(newest)[file].sha256
    back = place.run("restore", str(newest), "--to", "back", "--json")
    assert back.code == 0, back.err
    assert (place.folder / "back/archive" / file).read_bytes() == content


# --- check -----------------------------------------------------------------------------------


def found(place, part, **options):
    with place.application() as application:
        return [one for one in inspect(application, **options) if one.part == part]


def test_check_proves_that_the_bucket_can_be_used(place, there):
    [finding] = found(place, "archive")

    assert finding.failure is None
    assert finding.says.startswith("s3://torn")
    assert "endpoint" not in finding.says
    assert there() == []


@pytest.mark.parametrize(
    ("method", "permission"), [("PUT", "s3:PutObject"), ("DELETE", "s3:DeleteObject")]
)
def test_check_names_the_permission_that_is_missing(place, proxy, method, permission):
    proxy.plan = lambda asked: 403 if asked.method == method else None

    [finding] = found(place, "archive")

    assert isinstance(finding.failure, ConfigError)
    assert permission in finding.failure.message
    assert place.run("check", "--offline").code == 0


def test_check_without_the_network_asks_no_bucket(place, proxy):
    [finding] = found(place, "archive", online=False)

    assert "not asked" in finding.says
    assert proxy.asked == []


def test_check_warns_of_a_spool_that_cannot_be_written(place):
    (place.folder / "taken").write_text("a file")
    assert [one.warning for one in found(place, "spool")] == [False]
    configure(place, place_url(place), extra='spool = "taken/spool"\n')

    [finding] = found(place, "spool")

    assert finding.warning
    assert "archive.spool" in finding.says
    assert place.log("members").record.status == "done"


def test_check_tells_what_waits_for_the_bucket(place, proxy):
    proxy.plan = lambda asked: 403 if asked.method == "PUT" else None
    place.log("members")
    proxy.plan = lambda _asked: None

    [finding] = found(place, "archive")

    assert finding.warning
    assert "1 files wait" in finding.says


def test_two_configurations_beside_each_other_bring_each_file_to_its_own_bucket(
    place, proxy, buckets, there
):
    mine, other = place_url(place), proxy.url(buckets.make())
    proxy.plan = lambda asked: 403 if asked.method == "PUT" else None
    waits = place.log("members").record
    proxy.plan = lambda _asked: None

    configure(place, other, MEMBERS.replace("members", "others", 1))
    assert place.log("others").record.status == "done"
    [finding] = found(place, "archive")
    assert finding.warning
    assert "1 files in" in finding.says
    assert there() == []

    configure(place, mine)
    place.log("members")
    assert waits.archive_file in there()
