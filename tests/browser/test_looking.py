"""The tests of the pages see what is wrong with a page: each of these has one fault."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from crawling import crawl, kind
from looking import SCREENS, Screen, screen
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
)
STYLE = """
body { color: #111; background: #fff; font: 15px/1.5 sans-serif; margin: 0 }
a { color: #035; display: inline-block; min-height: 28px }
.mute { color: #bbb }
.silent:focus { outline: none }
.tiny { font-size: 11px }
.narrow { width: 40px; overflow-wrap: anywhere }
.wide { width: 700px }
.box { overflow-x: auto }
.skip { position: absolute; left: -999px }
.skip:focus { left: 0 }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #111 } a { color: #9cf }
  .night { color: #222 } }
"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{path}</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/style.css">
<link rel="icon" href="/icon.svg"></head>
<body><a class="skip" href="#text">To the text</a><header><nav><a href="/">Start</a></nav></header>
<main id="text" tabindex="-1"><h1>{path}</h1>{body}</main></body></html>"""

FAULTS = {
    "/pale": ('<p class="mute">Pale</p>', "color-contrast"),
    "/night": ('<p class="night">Dark on dark</p>', "dark): axe: color-contrast"),
    "/wide": ('<p class="wide">Wide</p>', "(390 px, light): the page is 700 px wide"),
    "/narrow": ('<p class="narrow">Quartermaster</p>', "the word Quartermaster is broken"),
    "/tiny": ('<p class="tiny">Tiny</p>', "letters of 11.0 px: Tiny"),
    "/style": ('<p style="color: red">Red</p>', "style-src-attr refuses inline"),
    "/script": ("<script>1</script>", "script-src-elem refuses inline"),
    "/lost": ('<script src="/lost.js"></script>', "/lost.js answers 404"),
    "/failing": ('<script src="/failing.js"></script>', "a script failed: oh"),
    "/says": ('<script src="/says.js"></script>', "the console has: careful"),
    "/abroad": ('<img alt="" src="http://127.0.0.1:9/x.png">', "which is not ours"),
    "/heading": ("<h4>Deep</h4>", "axe: heading-order"),
    "/many": ('<a href="/">To</a> ' * 230, "Tab has 232 stops"),
    "/silent": ('<a class="silent" href="/">Silent</a>', "nobody sees that Tab went to 'Silent'"),
}
FILES = {
    "/failing.js": ("throw new Error('oh')", "text/javascript"),
    "/says.js": ("console.warn('careful')", "text/javascript"),
    "/style.css": (STYLE, "text/css"),
    "/icon.svg": ('<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
}


def _page(request):
    path = request.url.path
    if path in FILES:
        text, what = FILES[path]
        return Response(text, media_type=what)
    bodies = {name: body for name, (body, _) in FAULTS.items()}
    bodies["/"] = '<div class="box" tabindex="0"><p class="wide">It scrolls.</p></div>'
    bodies["/broken"] = '<a href="/gone">Gone</a> <a href="#nowhere">Nowhere</a>'
    for number in range(1, 9):
        bodies[f"/run/{number}"] = f'<a href="/run/{number + 1}?days=7">Next</a>'
    if path not in bodies:
        return Response("No", 404)
    text = PAGE.format(path=path, body=bodies[path])
    return HTMLResponse(text, headers={"content-security-policy": POLICY})


@contextmanager
def serving(app):
    """The address of an app, which a thread serves until the end of the block."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def pages():
    with serving(Starlette(routes=[Route("/{rest:path}", _page)])) as url:
        yield url


def test_a_page_without_faults_has_none(browser, pages):
    with screen(browser, pages) as tab:
        tab.open("/")
        tab.look()
        tab.tab_through()
        tab.skip()
        assert tab.faults == []


def test_every_fault_is_seen(browser, pages):
    unseen = {}
    for path, (_, says) in FAULTS.items():
        with screen(browser, pages) as tab:
            tab.open(path)
            tab.look(SCREENS[2:])
            tab.tab_through()
        if not any(says in fault for fault in tab.faults):
            unseen[path] = tab.faults
    assert unseen == {}


def test_axe_is_asked_again_only_where_a_page_has_something_new(browser, pages, monkeypatch):
    asked = []
    ask = Screen._ask_axe
    monkeypatch.setattr(Screen, "_ask_axe", lambda tab: (asked.append(tab._where), ask(tab)))
    with screen(browser, pages) as tab:
        for path in ("/", "/", "/heading", "/pale"):
            tab.open(path)
            tab.look([(1440, "light")])

    assert asked == [f"{path} (1440 px, light)" for path in ("/", "/heading", "/pale")]
    assert [fault.split(": ")[2] for fault in tab.faults] == ["heading-order", "color-contrast"]


def test_a_link_to_nowhere_is_found(pages):
    found = crawl(pages, start="/broken")
    assert sorted(found.broken) == [
        "#nowhere is no place of /broken",
        "/gone answers 404, a link of /broken",
    ]


def test_of_pages_of_one_kind_some_are_asked(pages):
    found = crawl(pages, start="/run/1", many=2)
    assert found.pages == ["/run/1", "/", "/run/2?days=7", "/run/3?days=7"]
    assert kind("/run/3?days=7&a=1") == "/run/#?a&days"
    assert kind("/q/crimes.png?days=7") == kind("/q/members.png?days=90") == "/q/#.png?days"
    assert kind("/q/crimes.png") == "/q/crimes.png"
    assert kind("/questions/crimes?days=7") == kind("/questions/members?days=90")
    assert kind("/questions/crimes") == "/questions/crimes"
