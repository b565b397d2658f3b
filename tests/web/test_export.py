"""`tcdatalogger ui --export`: the pages as files."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
import threading
import time
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from shared import held, rest_slow
from tcdatalogger.errors import DataRefused
from tcdatalogger.questions import question
from tcdatalogger.web import site_folder
from tcdatalogger.web.site_folder import MARKER

FOREIGN = '"><a href="/evil">x</a><script>1</script>'
MINE = """/*
title = "Mine?"
page = "{page}"
caption = "All of it, in {{days}} days."
audience = "{audience}"
chart = {{ kind = "table" }}

[needs."/faction/members"]
*/
select '{text}' as what, id from {{faction_members:now}} order by id
"""


class Clock:
    """Time goes on, and nobody waits for it."""

    def __init__(self):
        self.skipped = 0.0

    def now(self):
        return time.time() + self.skipped

    def sleep(self, seconds):
        self.skipped += max(seconds, 0.0)


class Page(HTMLParser):
    """What is in a page: its tags, their attributes, and where it leads to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.links, self.meta = [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.tags.append(tag)
        self.attributes += told
        self.links += [told[name] for name in ("href", "src", "action") if name in told]
        if tag == "meta":
            self.meta[told.get("name") or told.get("http-equiv")] = told.get("content")


def ask(place, name, page="members", audience="faction", text="what"):
    folder = place.folder / "questions"
    folder.mkdir(exist_ok=True)
    told = MINE.format(page=page, audience=audience, text=text)
    (folder / f"{name}.sql").write_text(told, "utf-8")


FEW = ("oc-now", "oc-participation", "inactive-members", "activity-heatmap", "balance-movements",
       "foreign", "mine-alone", "odd")  # fmt: skip
"""Questions of the exports here: the tests of the pages in a browser have all."""


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    real = question.known
    monkeypatch.setattr(
        question, "known", lambda folder: {n: q for n, q in real(folder).items() if n in FEW}
    )


@pytest.fixture
def folder(_few, monkeypatch):
    """Exports of two questions: what is tested is the folder."""
    known = question.known
    monkeypatch.setattr(
        question,
        "known",
        lambda folder: {n: q for n, q in known(folder).items() if n in {"foreign", "odd"}},
    )


def fill(place):
    assert place.run("run", "--all").code == 0
    ask(place, "foreign", text=FOREIGN)
    ask(place, "mine-alone", page="me", audience="owner")


def prepared(place):
    place.clock = Clock()
    place.patch.setattr("tcdatalogger.web.pictures.png_apart", lambda svg: b"PNG" + svg.encode())
    return place


def fill_and_export(place):
    fill(place)
    done = prepared(place).run("ui", "--export", "site", "--days", "7")
    assert done.code == 0, done.err
    return done


@pytest.fixture
def logged(workplace, once):
    """A workplace with what was logged, and with questions of its own."""
    once(fill)
    return prepared(workplace)


@pytest.fixture
def exported(workplace, once):
    """A workplace with an export for members."""
    once(fill_and_export)
    return prepared(workplace)


def export(place, *words):
    return place.run("ui", "--export", "site", "--days", "7", *words)


def files(place):
    site = place.folder / "site"
    return {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}


def pages(place):
    return {name: f.read_text("utf-8") for name, f in files(place).items() if ".html" in name}


def test_an_export_has_the_pages_the_questions_and_their_answers(exported):
    found = files(exported)

    assert {"index.html", "crimes.html", "crimes.7-days.html", "questions.html"} <= set(found)
    assert {"static/style.css", "static/inter.woff2", "static/inter-OFL.txt"} <= set(found)
    for period in ("", ".7-days"):
        assert f"questions/inactive-members{period}.html" in found
        assert {f"q/inactive-members{period}.{kind}" for kind in ("csv", "json", "png")} <= set(
            found
        )
    told = json.loads(found["q/oc-participation.json"].read_bytes())
    asked = exported.run("ask", "oc-participation", "--json").json
    assert [row["member"] for row in told["rows"]] == [row["member"] for row in asked["rows"]]
    assert "All of it, in 7 days." in found["questions/foreign.7-days.html"].read_text()
    assert found["q/oc-participation.7-days.csv"].read_bytes().startswith(b'"member",')


def test_every_link_leads_to_a_file_that_is_there_and_every_page_is_reached(exported):
    site, found = exported.folder / "site", pages(exported)
    met, waiting, outside = set(), ["index.html"], set()
    while waiting:
        name = waiting.pop()
        met.add(name)
        ids = set(re.findall(r'\bid="([^"]*)"', found.get(name, "")))
        for link in Page(found[name]).links if name in found else ():
            to = urlsplit(link)
            if to.scheme:
                outside.add(f"{to.scheme}://{to.netloc}")
            elif not to.path:
                assert to.fragment in ids, (name, link)
            else:
                file = (site / name).parent / to.path
                assert not link.startswith("/"), (name, link)
                assert file.is_file(), (name, link)
                target = file.resolve().relative_to(site.resolve()).as_posix()
                waiting += [target] if target not in met else []

    assert outside == {"https://www.torn.com", "data://"}
    # Pages of one member are no files.
    assert "https://www.torn.com/profiles.php?XID=" in found["members.html"]
    assert not [name for name in found if re.search(r"\d+\.html", name)]
    unlinked = {MARKER, "static/inter.woff2", "static/inter-OFL.txt"}
    assert set(files(exported)) - met == unlinked
    assert 'url("inter.woff2")' in (site / "static/style.css").read_text()


def test_a_page_of_an_export_runs_nothing_and_asks_nobody(exported):
    for name, text in pages(exported).items():
        page = Page(text)
        assert not {"script", "style", "form", "button", "input", "iframe"} & set(page.tags), name
        assert not {"style", "onclick", "onload"} & set(page.attributes), name
        policy = page.meta["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; "), name
        assert not {"script-src", "unsafe-inline", "connect-src"} & set(policy.split()), name
        assert page.meta["referrer"] == "no-referrer"


def test_nothing_of_this_machine_and_no_key_is_in_an_export(exported):
    secrets = (
        str(exported.folder), str(exported.folder.resolve()), "localhost",
        exported.key, exported.city.url, sys.prefix, ".duckdb", ".sqlite", "tcdatalogger.toml",
    )  # fmt: skip
    for name, file in files(exported).items():
        found = [text for text in secrets if text.encode() in file.read_bytes()]
        assert found == [], name


def test_what_others_wrote_is_text_in_an_export(exported):
    text = pages(exported)["questions/foreign.html"]

    assert "&lt;a href=&#34;/evil&#34;&gt;x&lt;/a&gt;" in text
    assert "/evil" not in Page(text).links


@pytest.mark.parametrize(
    ("role", "seen"),
    rest_slow(
        [
            ((), {"inactive-members"}),
            (("--role", "officer"), {"inactive-members", "balance-movements"}),
            (("--role", "owner"), {"inactive-members", "balance-movements", "mine-alone"}),
        ]
    ),
)
def test_an_export_has_what_its_role_may_see_and_a_member_is_the_default(logged, role, seen):
    assert export(logged, *role).code == 0
    found, text = files(logged), "".join(pages(logged).values())

    for name in ("inactive-members", "balance-movements", "mine-alone"):
        made = {f"q/{name}.{kind}" for kind in ("csv", "json", "png")} | {f"questions/{name}.html"}
        assert (made & set(found) == made) is (name in seen), name
        assert made <= set(found) or not made & set(found), name
        assert (f"{name}.html" in text) is (name in seen)
    assert ("me.html" in found) is ("mine-alone" in seen)
    assert not any("ops" in name for name in found)
    assert "Operations" not in text
    assert not [
        link for page in pages(logged).values() for link in Page(page).links if link[0] == "/"
    ]


@pytest.mark.usefixtures("folder")
def test_a_second_export_replaces_the_first_and_keeps_what_others_put_there(logged):
    ask(logged, "odd")
    assert export(logged).code == 0
    assert "questions/odd.html" in files(logged)
    site = logged.folder / "site"
    (site / ".htaccess").write_text("Require valid-user")
    (site / "q" / "own.txt").write_text("mine")
    (site / "index.html").write_text("old")
    site.chmod(0o750)
    (logged.folder / "questions" / "odd.sql").unlink()

    done = export(logged)

    assert done.code == 0, done.err
    found = files(logged)
    assert "questions/odd.html" not in found
    assert "q/odd.csv" not in found
    assert "<h1>Today" in found["index.html"].read_text()
    assert found[".htaccess"].read_text() == "Require valid-user"
    assert found["q/own.txt"].read_text() == "mine"
    assert stat.S_IMODE(site.stat().st_mode) == 0o750
    export(logged)  # the third: what others put there is theirs still
    assert ".htaccess" in files(logged)
    assert [each.name for each in logged.folder.glob(".site*")] == []


@pytest.mark.usefixtures("folder")
def test_what_others_put_there_keeps_its_rights_and_its_folders_and_they_may_write_on(logged):
    assert export(logged).code == 0
    site = logged.folder / "site"
    shared, upload = site / "shared", site / "shared" / "upload"
    upload.mkdir(parents=True)
    (shared / "list.txt").write_text("a")
    (shared / "all").symlink_to("upload")
    upload.chmod(0o2777)
    shared.chmod(0o755)
    (shared / "list.txt").chmod(0o644)

    with (shared / "list.txt").open("a") as theirs:
        before = os.umask(0o077)
        try:
            assert export(logged).code == 0
        finally:
            os.umask(before)
        theirs.write("b")

    assert stat.S_IMODE(upload.stat().st_mode) == 0o2777  # an empty one is theirs too
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert stat.S_IMODE((shared / "list.txt").stat().st_mode) == 0o644
    assert (shared / "list.txt").read_text() == "ab"
    assert (shared / "all").readlink().name == "upload"


@pytest.mark.usefixtures("folder")
def test_where_a_file_cannot_be_in_two_folders_it_is_copied(logged, monkeypatch):
    assert export(logged).code == 0
    (logged.folder / "site" / ".htaccess").write_text("Require valid-user")

    def refused(*_, **_more):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)

    assert export(logged).code == 0
    assert files(logged)[".htaccess"].read_text() == "Require valid-user"


@pytest.mark.usefixtures("folder")
def test_an_export_that_was_killed_between_its_two_steps_is_there_again(logged):
    assert export(logged).code == 0
    site = logged.folder / "site"
    (site / ".htaccess").write_text("Require valid-user")
    site.rename(logged.folder / ".site.old-1")

    assert export(logged).code == 0

    assert files(logged)[".htaccess"].read_text() == "Require valid-user"
    assert [each.name for each in logged.folder.glob(".site*")] == []


@pytest.mark.usefixtures("folder")
def test_two_exports_at_a_time_are_both_whole_whatever_the_ids_of_their_processes(
    logged, monkeypatch
):
    real, inner = site_folder._mark, []

    def marked(folder, names):
        real(folder, names)
        if not inner:  # another one begins and ends while this one is being made
            inner.append(None)
            with site_folder.replaced(logged.folder / "site") as other:
                (other / "index.html").write_text("other")

    monkeypatch.setattr(site_folder, "_mark", marked)

    done = export(logged)

    assert done.code == 0, done.err
    assert "<h1>Today" in files(logged)["index.html"].read_text()
    assert [each.name for each in logged.folder.glob(".site*")] == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("mask", "of_file", "of_folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)]
)
def test_a_web_server_may_read_an_export_as_far_as_the_mask_of_the_process_lets_it(
    logged, mask, of_file, of_folder
):
    before = os.umask(mask)
    try:
        assert export(logged).code == 0
    finally:
        os.umask(before)

    site = logged.folder / "site"
    modes = {path.is_dir(): set() for path in (site, site / "index.html")}
    for path in (site, *site.rglob("*")):
        modes[path.is_dir()].add(stat.S_IMODE(path.stat().st_mode))
    assert modes == {False: {of_file}, True: {of_folder}}


@pytest.mark.usefixtures("folder")
def test_while_an_export_is_made_the_one_before_is_served_whole(logged):
    assert export(logged).code == 0
    site, over = logged.folder / "site", threading.Event()
    served, lost = set(), []

    def serve():
        while not over.is_set():
            try:
                served.add((site / "index.html").read_text()[:5])
            except OSError as error:
                lost.append(error)

    (site / "index.html").write_text("first")
    server = threading.Thread(target=serve)
    server.start()
    try:
        assert export(logged).code == 0
    finally:
        over.set()
        server.join()

    assert lost == []
    assert "first" in served
    assert not (site / "index.html").read_text().startswith("first")


@pytest.mark.usefixtures("folder")
def test_where_folders_cannot_change_places_they_are_moved_one_after_the_other(logged, monkeypatch):
    monkeypatch.setattr("tcdatalogger.web.site_folder._exchanged", lambda *_: False)
    for _ in range(2):
        assert export(logged).code == 0

    assert "index.html" in files(logged)
    assert [each.name for each in logged.folder.glob(".site*")] == []


@pytest.mark.usefixtures("folder")
def test_an_export_that_fails_leaves_all_as_it_was(logged, monkeypatch):
    assert export(logged).code == 0
    before = {name: file.read_bytes() for name, file in files(logged).items()}

    with held(logged.warehouse):
        done = export(logged)
    assert (done.code, done.out) == (69, "")
    assert "torn.duckdb" in done.err

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    done = export(logged)
    assert (done.code, done.out) == (75, "")
    assert "The disk of site is full" in done.err

    assert {name: file.read_bytes() for name, file in files(logged).items()} == before
    assert [each.name for each in logged.folder.glob(".site*")] == []


@pytest.mark.parametrize("found", ["files", "a file", "a broken marker"])
def test_a_folder_that_is_no_export_is_left_alone(logged, found):
    site = logged.folder / "site"
    if found == "a file":
        site.write_text("mine")
    else:
        site.mkdir()
        (site / "mine.txt").write_text("mine")
    if found == "a broken marker":
        (site / MARKER).write_text("{}")

    done = export(logged)

    assert done.code == 2
    assert "--export site" in done.err
    assert (site if site.is_file() else site / "mine.txt").read_text() == "mine"


@pytest.mark.usefixtures("folder")
def test_a_file_of_somebody_elses_is_not_overwritten_by_a_page(logged):
    assert export(logged).code == 0
    (logged.folder / "site" / "questions" / "odd.html").write_text("mine")
    ask(logged, "odd")

    done = export(logged)

    assert done.code == 2
    assert "questions/odd.html away" in done.err
    assert (logged.folder / "site" / "questions" / "odd.html").read_text() == "mine"


def test_before_anything_is_stored_nothing_is_exported(workplace):
    done = export(prepared(workplace))

    assert done.code == 2
    assert "Nothing is stored yet" in done.err
    assert not (workplace.folder / "site").exists()


@pytest.mark.usefixtures("folder")
def test_a_question_that_fails_is_told_in_the_end_and_its_page_says_no_more(logged):
    ask(logged, "odd", text="' || nonsense || '")

    told, done = export(logged, "--json"), export(logged)

    assert (told.code, done.code) == (78, 78)
    assert [each.split()[0] for each in told.json["problems"]] == ["odd:"]
    assert "odd: The query is refused" in done.err
    page = pages(logged)["questions/odd.html"]
    assert "This could not be answered." in page
    assert "nonsense" not in page
    assert "q/odd.csv" not in files(logged)


@pytest.mark.usefixtures("folder")
def test_a_picture_that_cannot_be_drawn_is_told_and_no_link_leads_to_it(logged, monkeypatch):
    def refused(_svg):
        raise DataRefused("The picture could not be drawn: it is odd.")

    monkeypatch.setattr("tcdatalogger.web.pictures.png_apart", refused)
    done = export(logged)

    assert done.code == 78
    assert "q/foreign.png: The picture could not be drawn: it is odd." in done.err
    links = Page(pages(logged)["questions/foreign.html"]).links
    assert "../q/foreign.csv" in links
    assert not any(link.endswith(".png") for link in links)


@pytest.mark.usefixtures("folder")
def test_without_what_draws_pictures_there_are_none(logged, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    done = export(logged)

    assert done.code == 0
    assert "pip install 'resvg-py" in done.err
    assert not any(name.endswith(".png") for name in files(logged))
    assert "Picture" not in pages(logged)["questions/foreign.html"]


@pytest.mark.usefixtures("folder")
def test_an_export_tells_programs_what_it_wrote_and_how_far_it_is(logged, monkeypatch):
    monkeypatch.setattr("tcdatalogger.cli.commands.backup.QUIET", 0.0)
    done = export(logged, "--json")

    found = files(logged)
    del found[MARKER]
    assert done.json["folder"] == "site"
    assert done.json["role"] == "member"
    assert done.json["files"] == len(found)
    assert done.json["pages"] == len(pages(logged))
    assert done.json["bytes"] == sum(file.stat().st_size for file in found.values())
    assert done.json["problems"] == []
    assert re.search(r"^pages and answers \d+ %$", done.err, re.MULTILINE)


@pytest.mark.parametrize(
    "words",
    [
        ["--role", "owner"],
        ["--days", "7"],
        ["--json"],
        ["--export", "site", "--open"],
        ["--export", "site", "--listen", "127.0.0.1:0"],
        ["--export", "site", "--behind-proxy"],
        ["--export", "site", "--days", "0"],
        ["--export", "site", "--role", "guest"],
    ],
)
def test_what_does_not_go_together_is_refused(workplace, words):
    assert workplace.run("ui", *words).code == 2
    assert not (workplace.folder / "site").exists()
