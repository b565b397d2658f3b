"""Where the archive's files live: a folder and a bucket keep the same promises."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from buckets import PAGE, VARIABLES
from shared import rest_slow
from tcdatalogger.errors import ConfigError, DiskFull, WarehouseUnavailable
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.storage.address import BucketAddress
from tcdatalogger.services.storage.bucket import Bucket
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.storage.open import open_bucket, open_storage
from tcdatalogger.services.storage.spool import Spooled

ONE = "members/2026-11-23/one.parquet"
BIG = os.urandom(6_000_000)
"""More than one part of an upload."""

SCHEMES = ["s3", "gs"]


@pytest.fixture(params=["folder", "s3", "gs", "spooled"])
def storage(request, tmp_path, buckets):
    if request.param == "folder":
        return Folder(tmp_path / "archive")
    scheme = "s3" if request.param == "spooled" else request.param
    bucket = open_bucket(buckets.url(buckets.make(), scheme), patience=15)
    return Spooled(bucket, Folder(tmp_path / "spool")) if request.param == "spooled" else bucket


def names(storage, *where):
    return [one.name for one in storage.files(*where)]


# --- the same of all -------------------------------------------------------------------------


def test_what_is_written_is_read_and_the_last_write_stays(storage):
    storage.write(ONE, b"first")
    storage.write(ONE, b"second")

    assert storage.read(ONE) == b"second"
    assert storage.read(ONE, 3) == b"ond"
    assert storage.read(ONE, 99) == b"second"
    assert storage.exists(ONE)
    [found] = storage.files()
    assert (found.name, found.bytes) == (ONE, 6)
    assert found.changed > 1e18


def test_what_is_not_there_is_said_to_be_so(storage):
    with pytest.raises(FileNotFoundError):
        storage.read(ONE)
    with pytest.raises(FileNotFoundError):
        storage.read(ONE, 10)
    assert not storage.exists(ONE)
    assert names(storage) == names(storage, "members/") == []
    storage.delete([ONE])
    storage.delete([])


def test_files_are_listed_by_name_below_a_folder_and_from_a_name_on(storage):
    there = ["a/2026-01-01/x.parquet", "a/2026-01-02/x.parquet", "ab/2026-01-01/x.parquet"]
    for name in reversed(there):
        storage.write(name, b"x")

    assert names(storage) == there
    assert names(storage, "a/") == there[:2]
    assert names(storage, "a/", "a/2026-01-02") == there[1:2]
    assert names(storage, "a/", there[1]) == []


def test_a_file_of_several_parts_is_whole(storage):
    storage.write(ONE, BIG)
    storage.deliver(ONE)

    assert storage.read(ONE) == BIG


WHAT = ["write", "read", "last", "exists", "files", "after", "delete", "deliver"]
WHERE = [
    "a/2026-01-01/x.parquet",
    "a/2026-01-01/x.refused",
    "a/2026-01-01/y.parquet",
    "a/2026-01-02/y.parquet",
    "b/2026-01-01/x.parquet",
]
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(WHAT), st.sampled_from(WHERE), st.binary(max_size=20)), max_size=12
)


def done(storage, what, name, content):
    """What an operation answers, with nothing in it that hangs on the clock."""
    try:
        match what:
            case "write":
                return storage.write(name, content)
            case "read":
                return storage.read(name)
            case "last":
                return storage.read(name, 5)
            case "exists":
                return storage.exists(name)
            case "files":
                return [(one.name, one.bytes) for one in storage.files(f"{name[0]}/")]
            case "after":
                return [(one.name, one.bytes) for one in storage.files("", name)]
            case "delete":
                return storage.delete([name])
            case _:
                return storage.deliver()
    except FileNotFoundError:
        return "missing"


@settings(
    max_examples=40 if os.environ.get("CI") else 8,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(operations=OPERATIONS)
def test_the_same_operations_have_the_same_answers_everywhere(
    operations, buckets, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("places")
    name = buckets.make()
    places = [
        Folder(folder / "plain"),
        open_bucket(buckets.url(name, "s3", "s3"), patience=15),
        open_bucket(buckets.url(name, "gs", "gs"), patience=15),
        open_storage(buckets.url(name, "s3", "spooled"), folder / "spool", patience=15),
    ]
    for operation in operations:
        answers = [done(place, *operation) for place in places]
        assert answers == answers[:1] * len(places), operation


# --- a folder --------------------------------------------------------------------------------


def test_a_folder_and_its_files_are_of_their_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        Folder(tmp_path / "archive").write(ONE, b"x")
    finally:
        os.umask(before)

    modes = {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "archive").rglob("*")}
    assert modes == {0o600, 0o700}


def test_an_empty_day_goes_with_its_last_file(tmp_path):
    folder = Folder(tmp_path)
    folder.write(ONE, b"x")

    folder.delete([ONE])

    assert not (tmp_path / ONE).parent.exists()


# --- a bucket --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_object_lies_below_the_prefix_and_nothing_else_is_left(scheme, buckets):
    name = buckets.make()
    bucket = open_bucket(buckets.url(name, scheme), patience=15)

    bucket.write(ONE, b"x")
    assert buckets.names(name) == [f"torn/raw/{ONE}"]
    bucket.delete([ONE])
    assert buckets.names(name) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_answer_that_is_lost_is_asked_for_again_and_the_object_is_there_once(
    scheme, buckets, proxy
):
    name = buckets.make()
    fates = iter(["drop", "half", 503, "lose"])
    proxy.plan = lambda asked: next(fates, None) if asked.method == "PUT" else None

    open_bucket(proxy.url(name, scheme), patience=30).write(ONE, b"whole")

    assert buckets.read(name, f"torn/raw/{ONE}") == b"whole"
    assert [asked.method for asked in proxy.asked] == ["PUT"] * 5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("content", [b"small" * 99, BIG], ids=["one request", "parts"])
def test_an_upload_that_breaks_off_leaves_no_object(scheme, content, buckets, proxy):
    name = buckets.make()
    puts = []

    def second_half_is_lost(asked):
        if asked.method == "PUT":
            puts.append(asked)
            return None if len(puts) == 1 and content is BIG else "half"
        return None

    proxy.plan = second_half_is_lost
    with pytest.raises(WarehouseUnavailable, match=f"{scheme}://{name}/torn/raw cannot be reached"):
        open_bucket(proxy.url(name, scheme), patience=1.5).write(ONE, content)

    assert buckets.names(name) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_call_ends_within_the_patience_where_nobody_answers(scheme, buckets, proxy):
    name = buckets.make()
    proxy.plan = lambda _asked: "hold"

    with pytest.raises(WarehouseUnavailable, match="no answer comes in time"):
        open_bucket(proxy.url(name, scheme), patience=1.2).write(ONE, b"x")

    assert not proxy.go.is_set()  # it was not let go, which would have ended the call too


PERMISSIONS = {
    ("s3", "PUT"): "s3:PutObject", ("s3", "DELETE"): "s3:DeleteObject",
    ("s3", "GET"): "s3:GetObject", ("s3", "LIST"): "s3:ListBucket",
    ("gs", "PUT"): "storage.objects.create", ("gs", "DELETE"): "storage.objects.delete",
    ("gs", "GET"): "storage.objects.get", ("gs", "LIST"): "storage.objects.list",
}  # fmt: skip


@pytest.mark.parametrize(("scheme", "method"), PERMISSIONS)
def test_a_permission_that_is_missing_is_named_alone_and_the_answer_is_not_shown(
    scheme, method, buckets, proxy
):
    name = buckets.make()

    def refuses(asked):
        of = "LIST" if asked.method == "GET" and "list-type" in asked.path else asked.method
        return 403 if of == method else None

    proxy.plan = refuses
    with pytest.raises(ConfigError) as refused:
        open_bucket(proxy.url(name, scheme), patience=15).prove()

    told = str(refused.value)
    assert PERMISSIONS[scheme, method] in refused.value.message
    others = {p for (s, m), p in PERMISSIONS.items() if s == scheme and m != method}
    assert not any(other in refused.value.message for other in others)
    assert name in refused.value.remedy
    assert "AKIASECRET" not in told


def test_all_permissions_that_are_missing_are_named_at_once(buckets, proxy):
    name = buckets.make()
    proxy.plan = lambda _asked: 403

    with pytest.raises(ConfigError) as refused:
        open_bucket(proxy.url(name), patience=15).prove()

    for permission in ("s3:ListBucket", "s3:PutObject", "s3:GetObject", "s3:DeleteObject"):
        assert permission in refused.value.message
        assert permission in refused.value.remedy


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_proof_leaves_nothing(scheme, buckets):
    name = buckets.make()

    open_bucket(buckets.url(name, scheme), patience=15).prove()

    assert buckets.names(name) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_bucket_that_is_not_there_is_named(scheme, buckets):
    bucket = open_bucket(buckets.url("no-such-bucket", scheme), patience=15)

    for use in (lambda: bucket.write(ONE, b"x"), bucket.prove, lambda: bucket.read(ONE)):
        with pytest.raises(ConfigError, match=rf"There is no bucket {scheme}://no-such-bucket\."):
            use()


def test_years_of_files_are_listed_by_a_request_for_each_page_and_none_is_read(buckets, proxy):
    name = buckets.make()
    for number in range(PAGE + 10):
        buckets.ask("PUT", f"/{name}/torn/raw/a/2026-01-01/{number:04}.parquet", b"x")

    found = names(open_bucket(proxy.url(name), patience=30), "a/")

    assert len(found) == PAGE + 10
    assert found == sorted(found)
    assert [asked.method for asked in proxy.asked] == ["GET", "GET"]
    assert all("list-type=2" in asked.path for asked in proxy.asked)


def test_without_the_library_it_is_said_which_package_is_missing(buckets, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, Bucket.__module__)

    with pytest.raises(ConfigError, match="needs the package obstore") as refused:
        open_bucket("s3://bucket/x").write(ONE, b"x")

    assert "pip install 'obstore" in refused.value.remedy


def test_credentials_that_are_given_are_those_that_are_used(buckets, proxy, monkeypatch):
    class Secret:
        def reveal(self):
            return "AKIAOTHER:hiddensecret:token"

    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    seen = []
    proxy.plan = seen.append
    bucket = Bucket(
        BucketAddress.parse(proxy.url(buckets.make())), patience=15, credentials=Secret()
    )

    bucket.write(ONE, b"x")

    [asked] = seen
    assert "AKIAOTHER" in asked.headers
    assert "token" in asked.headers
    assert "hiddensecret" not in asked.headers + repr(bucket)
    assert "hiddensecret" not in redact("a text with hiddensecret in it")


@pytest.mark.parametrize(
    "content", [None, "no json: SECRET", '{"type": "service_account", "private_key": "SECRET"}']
)
def test_a_file_of_credentials_that_is_none_is_told_and_not_shown(buckets, tmp_path, content):
    file = tmp_path / "account.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigError, match=r"gs://bucket/x cannot be used") as refused:
        open_bucket("gs://bucket/x", credentials=file).write(ONE, b"x")

    assert "SECRET" not in str(refused.value)
    assert "archive.credentials" in refused.value.remedy


def test_where_no_credentials_are_it_is_said_which(buckets, monkeypatch, proxy):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{proxy.port}")
    proxy.plan = lambda _asked: 404

    with pytest.raises(WarehouseUnavailable, match="No credentials") as refused:
        open_bucket(proxy.url("bucket"), patience=3).write(ONE, b"x")

    assert "AWS_ACCESS_KEY_ID" in refused.value.remedy


@pytest.mark.parametrize("status", rest_slow([429, 500, 502, 503]))
def test_a_service_that_is_busy_is_asked_again(buckets, proxy, status):
    name = buckets.make()
    fates = iter([status, status])
    proxy.plan = lambda _asked: next(fates, None)

    open_bucket(proxy.url(name), patience=30).write(ONE, b"x")

    assert len(proxy.asked) == 3


# --- the spool -------------------------------------------------------------------------------


@pytest.fixture
def spooled(buckets, proxy, tmp_path):
    """A bucket behind the proxy, with its spool."""
    name = buckets.make()
    place = open_storage(proxy.url(name), tmp_path / "spool", patience=1.5)
    place.bucket_name = name
    return place


def objects(buckets, spooled):
    return [n.removeprefix("torn/raw/") for n in buckets.names(spooled.bucket_name)]


def test_a_write_needs_no_network_and_the_file_counts_as_there(spooled, buckets, proxy, tmp_path):
    proxy.plan = lambda asked: "drop" if asked.method == "PUT" else None

    spooled.write(ONE, b"x")

    assert proxy.asked == []
    assert spooled.read(ONE) == spooled.read(ONE, 9) == b"x"
    assert spooled.exists(ONE)
    assert names(spooled) == [ONE]
    assert spooled.local(ONE).relative_to(tmp_path / "spool").as_posix().endswith(f"/{ONE}")


def test_a_file_waits_until_the_bucket_has_it(spooled, buckets, proxy, tmp_path):
    spooled.write(ONE, b"x")
    proxy.plan = lambda _asked: 503
    with pytest.raises(WarehouseUnavailable, match="503") as failed:
        spooled.deliver(ONE)
    assert str(tmp_path / "spool") in failed.value.remedy
    assert "not lost" in failed.value.remedy
    assert [one.name for one in spooled.waiting()] == [ONE]

    proxy.plan = lambda _asked: None
    spooled.deliver()

    assert spooled.waiting() == []
    assert objects(buckets, spooled) == [ONE]
    assert spooled.read(ONE) == b"x"
    spooled.deliver(ONE)


def test_what_may_not_be_written_waits_too(spooled, proxy):
    spooled.write(ONE, b"x")
    proxy.plan = lambda _asked: 403

    with pytest.raises(ConfigError, match="s3:PutObject") as refused:
        spooled.deliver()

    assert "AKIASECRET" not in str(refused.value)  # which the answer of the service has
    assert [one.name for one in spooled.waiting()] == [ONE]


def test_a_file_that_is_written_anew_while_it_is_uploaded_waits_on(spooled, buckets, proxy):
    spooled.write(ONE, b"first")

    def meanwhile(_asked):
        proxy.plan = lambda _asked: None
        spooled.write(ONE, b"second")

    proxy.plan = meanwhile
    spooled.deliver()
    assert spooled.read(ONE) == b"second"
    spooled.deliver()

    assert buckets.read(spooled.bucket_name, f"torn/raw/{ONE}") == b"second"
    assert spooled.waiting() == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_where_the_spool_takes_nothing_the_bucket_does(spooled, buckets, monkeypatch, number):
    def fail(_handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", fail)

    spooled.write(ONE, b"x")

    assert objects(buckets, spooled) == [ONE]
    assert spooled.waiting() == []


def test_a_full_disk_and_a_bucket_that_is_away_fail_as_the_bucket(spooled, proxy, monkeypatch):
    monkeypatch.setattr(Folder, "write", lambda *_: (_ for _ in ()).throw(DiskFull("full")))
    proxy.plan = lambda _asked: "drop"

    with pytest.raises(WarehouseUnavailable):
        spooled.write(ONE, b"x")


# --- addresses -------------------------------------------------------------------------------


def test_an_address_is_read_in_its_parts():
    found = BucketAddress.parse(
        "s3://torn-data/raw/v2/?endpoint=https%3A%2F%2Fminio.example:9000&region=eu-central-1"
    )
    assert found == BucketAddress(
        "s3", "torn-data", "raw/v2", "https://minio.example:9000", "eu-central-1"
    )
    assert str(found) == "s3://torn-data/raw/v2"
    assert str(BucketAddress.parse("gs://torn")) == "gs://torn"
    assert found.folder == "s3+minio.example_9000+torn-data+raw+v2"
    assert BucketAddress.parse("gs://torn").folder == "gs+torn"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://b/p", "begins with gs:// or s3://"),
        ("s3://KEY:SECRET@bucket/p", "user name"),
        ("gs://bucket:443/p", "a port"),
        ("s3:///p", "names no bucket"),
        ("s3://UPPER/p", "names no bucket"),
        ("s3://bucket/a/../b", "prefix"),
        ("s3://bucket/a//b", "prefix"),
        ("s3://bucket/a b", "prefix"),
        ("s3://bucket/p#x", "names no bucket"),
        ("s3://bucket/p?secret_access_key=abc", "never stand in an address"),
        ("s3://bucket/p?region=a&region=b", "never stand in an address"),
        ("gs://bucket/p?region=eu", "region"),
        ("s3://bucket/p?endpoint=minio:9000", "no web address"),
        ("s3://bucket/p?endpoint=https://user:pass@minio", "user name"),
        ("gs://bucket/p?endpoint=http://gcs.example", "without https"),
        ("s3://[bucket/p", "no address"),
    ],
)
def test_an_address_that_is_none_is_refused_and_not_shown(url, why):
    with pytest.raises(ValueError, match=why) as refused:
        BucketAddress.parse(url)
    assert not any(word in str(refused.value) for word in ("SECRET", "abc", "user:pass"))


def test_no_room_but_this_one_knows_the_library(monkeypatch):
    package = Path(__file__).parents[2] / "src/tcdatalogger"
    knows = {p.name for p in package.rglob("*.py") if "import obstore" in p.read_text()}
    assert knows == {"bucket.py"}
