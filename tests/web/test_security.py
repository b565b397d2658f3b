"""Who may see the pages, and what a page of another site can do: nothing."""

from __future__ import annotations

import pytest

from tcdatalogger.core.config.settings import UiSettings
from tcdatalogger.core.state.alerts import AlertEvent
from tcdatalogger.errors import ConfigError
from tcdatalogger.web import security

ALL = (
    '[ui]\npasswords = { owner = "env:OWNER", officer = "env:OFFICER", member = "env:MEMBER" }\n'
    'tokens = { member = "env:TOKEN" }\n'
)
PASSWORDS = {
    "owner": "owner-password-1",
    "officer": "officer-password-2",
    "member": "member-password-3",
}
OWNERS = """/*
title = "My worth?"
page = "me"
caption = "All of it."
audience = "owner"
chart = { kind = "table" }

[needs."/faction/members"]
*/
select id from {faction_members:now} order by id
"""
pytestmark = pytest.mark.usefixtures("unread")


@pytest.fixture
def guarded(open_site, warehouse):
    """Pages for which one has to sign in, with a question of the owner's."""
    return open_site(warehouse, ALL, questions={"my-worth": OWNERS})


def sign_in(site, role="owner", **headers):
    return site.client.post(
        "/login", data={"password": PASSWORDS[role], "next": "/members"}, headers=headers
    )


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost", "localhost:1", "[::1]:8765", "[::1]"]
)
def test_the_pages_answer_to_the_names_of_this_machine(site, host):
    assert site.client.get("/questions", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:8765", "localhost.evil.example", "", "192.168.1.5"],
)
def test_a_name_that_is_none_of_ours_is_refused_on_every_address(site, host):
    for path in ("/", "/members", "/q/oc-profit.csv", "/state.json", "/static/app.js", "/login"):
        assert site.client.get(path, headers={"host": host}).status_code == 421


def test_a_name_of_ones_own_goes_into_the_settings(open_site, warehouse):
    toml = ALL.replace("[ui]", '[ui]\nhosts = ["Torn.example"]\nbehind_proxy = true')
    site = open_site(warehouse, toml, base="https://torn.example")

    assert site.client.get("/login").status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/members", "/nothing", "/state.json", "/q/x.csv", "/static/style.css"]
)
@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_every_answer_has_the_headers_of_safety(site, path, host):
    answer = site.client.get(path, headers={"host": host})

    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; script-src 'self'"
    )
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/questions/oc-profit", "/q/oc-profit.csv", "/state.json"])
def test_nothing_can_be_changed(site, method, path):
    assert site.client.request(method, path).status_code == 405


def test_a_login_from_another_site_is_refused(guarded):
    other = {"sec-fetch-site": "cross-site"}

    assert sign_in(guarded, **other).status_code == 403
    assert sign_in(guarded, origin="https://evil.example").status_code == 403
    assert sign_in(guarded, origin="https://localhost").status_code == 303


@pytest.mark.parametrize("path", ["/", "/members", "/questions/oc-profit", "/nothing"])
def test_who_is_not_signed_in_sees_the_page_to_sign_in(guarded, path):
    answer = guarded.client.get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")
    assert guarded.client.get("/q/inactive-members.csv").status_code == 401
    assert guarded.client.get("/state.json").status_code == 401
    assert "Password" in guarded.client.get("/login").text


def test_a_password_lets_in_and_goes_on_where_one_wanted_to_go(guarded):
    answer = sign_in(guarded)

    assert answer.headers["location"] == "/members"
    cookie = answer.headers["set-cookie"].lower()
    assert all(each in cookie for each in ("httponly", "samesite=strict", "secure", "path=/"))
    assert guarded.client.get("/members").status_code == 200


@pytest.mark.parametrize(
    "onward", ["https://evil.example", "//evil.example", "/\\evil.example", "members"]
)
def test_nobody_is_sent_to_another_site(guarded, onward):
    answer = guarded.client.post("/login", data={"password": PASSWORDS["owner"], "next": onward})

    assert answer.headers["location"] == "/"


def test_who_signs_out_is_out(guarded):
    sign_in(guarded)

    guarded.client.post("/login", data={"out": "1"})

    assert guarded.client.get("/members").status_code == 303


def test_a_cookie_that_was_written_by_another_or_is_over_lets_nobody_in(guarded):
    sign_in(guarded, "member")
    cookie = guarded.client.cookies[security.COOKIE]
    for wrong in (
        cookie.replace("member", "owner"),
        f"{cookie}0",
        "owner.9999999999.00",
        "",
        "owner",
    ):
        guarded.client.cookies.clear()
        guarded.client.cookies.set(security.COOKIE, wrong)
        assert guarded.client.get("/members").status_code == 303, wrong
    guarded.client.cookies.clear()
    guarded.client.cookies.set(security.COOKIE, cookie)
    assert guarded.client.get("/members").status_code == 200
    guarded.clock.sleep(security.SESSION + 1)
    assert guarded.client.get("/members").status_code == 303


def test_an_address_may_try_five_passwords_a_minute(guarded):
    wrong = {"password": "a-wrong-password"}
    told = [guarded.client.post("/login", data=wrong).status_code for _ in range(7)]

    assert told == [401] * 5 + [429] * 2
    assert sign_in(guarded).status_code == 429
    guarded.clock.sleep(61)
    assert sign_in(guarded).status_code == 303


def test_all_addresses_together_may_try_sixty_passwords_a_minute(open_site, warehouse, monkeypatch):
    monkeypatch.setattr(security, "ALL_TRIES", 8)
    site = open_site(warehouse, ALL.replace("[ui]", "[ui]\nbehind_proxy = true"))
    data = {"password": "a-wrong-password"}
    told = [
        site.client.post("/login", data=data, headers={"x-forwarded-for": f"10.0.0.{n}"})
        for n in range(9)
    ]

    assert [each.status_code for each in told] == [401] * 8 + [429]


def test_a_form_that_is_larger_than_a_password_is_not_read(guarded):
    data = {"password": PASSWORDS["owner"], "more": "x" * 5_000}

    assert guarded.client.post("/login", data=data).status_code == 401


@pytest.mark.parametrize("path", ["/members", "/login", "/q/inactive-members.csv"])
def test_no_answer_is_kept_by_a_browser_or_a_proxy(guarded, path):
    sign_in(guarded)
    assert guarded.client.get(path).headers["cache-control"] == "no-store"


def test_behind_a_proxy_the_caller_of_the_proxy_is_counted(open_site, warehouse):
    site = open_site(warehouse, ALL.replace("[ui]", "[ui]\nbehind_proxy = true"))

    def tried(address):
        data, told = {"password": "a-wrong-password"}, {"x-forwarded-for": f"6.6.6.6, {address}"}
        return [site.client.post("/login", data=data, headers=told).status_code for _ in range(6)]

    assert tried("10.0.0.1")[-1] == 429
    assert tried("10.0.0.2")[0] == 401
    assert tried("2001:db8::1")[-1] == 429
    assert tried("2001:db8::2")[0] == 429  # of one household


def test_a_caller_hides_behind_no_header_of_its_own(open_site, warehouse):
    site = open_site(warehouse, ALL.replace("[ui]", "[ui]\nbehind_proxy = true"))
    codes = [
        site.client.post(
            "/login",
            data={"password": "a-wrong-password"},
            headers=[("x-forwarded-for", f"10.0.0.{n}"), ("x-forwarded-for", "7.7.7.7")],
        ).status_code
        for n in range(6)
    ]

    assert codes == [401] * 5 + [429]


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        ("owner", {"inactive-members", "balance-movements", "my-worth"}),
        ("officer", {"inactive-members", "balance-movements"}),
        ("member", {"inactive-members"}),
    ],
)
def test_a_role_sees_what_it_may_and_nothing_of_the_rest_anywhere(guarded, role, seen, monkeypatch):
    monkeypatch.setattr("tcdatalogger.web.pictures.png_apart", str.encode)
    sign_in(guarded, role)
    pages = ("/", "/members", "/money", "/me", "/questions")
    text = "".join(guarded.get(path) for path in pages)

    for name in ("inactive-members", "balance-movements", "my-worth"):
        wanted = 200 if name in seen else 403
        assert (f"/questions/{name}" in text) == (name in seen)
        assert guarded.client.get(f"/questions/{name}").status_code == wanted
        guarded.read()
        for kind in ("csv", "json", "png"):
            assert guarded.client.get(f"/q/{name}.{kind}").status_code == wanted


def test_the_first_page_has_no_number_and_no_card_that_a_member_may_not_see(open_site, warehouse):
    mine = OWNERS.replace("select id", "select id as days_ago").replace("by id", "by days_ago")
    site = open_site(warehouse, ALL, questions={"inactive-members": mine})
    for role, sees in (("owner", True), ("member", False)):
        site.client.cookies.clear()
        sign_in(site, role)
        text = site.get("/")
        assert ("Not seen for a day" in text) is sees
        assert ("My worth?" in text) is sees


def test_a_member_is_not_told_what_is_wrong_with_the_logging(guarded, monkeypatch):
    wrong = AlertEvent("state", "A key is dead.", "Make a new one.")
    monkeypatch.setattr("tcdatalogger.web.today.what_needs_you", lambda _room: [(wrong, [])])
    for role, told in (("officer", True), ("member", False)):
        guarded.client.cookies.clear()
        sign_in(guarded, role)
        assert ("A key is dead." in guarded.get("/")) is told


def test_a_token_reads_answers_of_its_role_and_no_page(guarded):
    token = "token=token-of-a-member-4"
    guarded.client.get(f"/q/inactive-members.csv?{token}")
    guarded.read()

    assert "Bobby" in guarded.client.get(f"/q/inactive-members.csv?{token}").text
    picture = guarded.client.get(f"/q/inactive-members.png?{token}")
    assert picture.content.startswith(b"\x89PNG")
    assert guarded.client.get(f"/q/balance-movements.csv?{token}").status_code == 403
    assert guarded.client.get(f"/q/balance-movements.png?{token}").status_code == 403
    assert guarded.client.get("/q/inactive-members.csv?token=wrong").status_code == 401
    assert guarded.client.get("/q/inactive-members.csv?token=").status_code == 401
    assert guarded.client.get(f"/members?{token}").status_code == 303


def test_a_password_is_on_no_page_and_in_no_message(guarded):
    sign_in(guarded)
    text = "".join(guarded.get(path) for path in ("/", "/questions", "/login"))

    assert not any(password in text for password in PASSWORDS.values())


@pytest.mark.parametrize(
    "given",
    [
        {"listen": "0.0.0.0:8765"},
        {"listen": "192.168.1.5:8765"},
        {"listen": "[::]:8765"},
        {"hosts": ("torn.example",)},
        {"listen": "0.0.0.0:8765", "behind_proxy": True},
        {"listen": "0.0.0.0:8765", "passwords": {"owner": "env:OWNER"}},
        {"listen": "torn.example:8765", "passwords": {"owner": "env:OWNER"}},
    ],
)
def test_pages_for_others_need_a_password_and_tls(given):
    with pytest.raises(ConfigError, match=r"could be (seen|read)"):
        security.refuse_exposed(UiSettings(**given))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"listen": "127.0.0.1:1"},
        {"listen": "[::1]:1"},
        {"listen": "localhost:1"},
        {"listen": "0.0.0.0:1", "passwords": {"owner": "env:OWNER"}, "behind_proxy": True},
        {"listen": "0.0.0.0:1", "passwords": {"owner": "env:O"}, "certificate": "ui.pem"},
    ],
)
def test_pages_of_this_machine_and_guarded_ones_begin(given):
    security.refuse_exposed(UiSettings(**given))


def test_a_short_password_is_refused_by_its_name_alone(open_site, warehouse):
    with pytest.raises(ConfigError, match=r"ui\.passwords\.owner is shorter") as refused:
        open_site(warehouse, ALL, environ={"OWNER": "short"})

    assert "short" not in str(refused.value).replace("shorter", "")


def test_a_short_token_is_refused_too(open_site, warehouse):
    with pytest.raises(ConfigError, match=r"ui\.tokens\.member is shorter"):
        open_site(warehouse, ALL, environ={"TOKEN": "short"})


def test_one_password_for_two_roles_is_refused(open_site, warehouse):
    with pytest.raises(ConfigError, match="of another role too"):
        open_site(warehouse, ALL, environ={"MEMBER": PASSWORDS["owner"]})
