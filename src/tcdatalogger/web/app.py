"""The application of `tcdatalogger ui`: its addresses, and what stands before them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tcdatalogger.core.config.secrets import Secret
from tcdatalogger.core.main import Application
from tcdatalogger.errors import Failure
from tcdatalogger.questions.answers import given
from tcdatalogger.questions.question import Question
from tcdatalogger.questions.relations import Relations
from tcdatalogger.services.warehouse.protocol import READING
from tcdatalogger.web import pages, search, sql, today
from tcdatalogger.web.analyst import Analyst
from tcdatalogger.web.cache import AnswerCache, Asked
from tcdatalogger.web.cards import Logged
from tcdatalogger.web.context import PERIODS, Context, Role, StateReader, context
from tcdatalogger.web.operations import routes as operations
from tcdatalogger.web.render import page, static
from tcdatalogger.web.security import Access, SecurityMiddleware, access, login, only_here
from tcdatalogger.web.sql import StoredTables

SHORTEST_GZIP = 500
"""Bytes from which on an answer is packed."""
PATIENCE = 0.3
"""Seconds that the cache waits for a warehouse that another program has open."""


def make_context(
    application: Application,
    questions: Mapping[str, Question],
    program: str = "tcdatalogger",
    *,
    patience: float | None = PATIENCE,
    follows: bool = True,
    periods: tuple[int, ...] = PERIODS,
) -> Context:
    """What the pages of an installation are made from; the cache is begun by `with context.cache`.

    Args:
        application: with the settings.
        questions: by name.
        program: how commands on the pages call the program.
        patience: seconds that the cache waits for a warehouse that another program has open; None
            for the usual time of commands.
        follows: whether answers are read again when there is something new.
        periods: days that a page offers.
    """
    settings, clock = application.settings, application.clock
    relations = Relations(settings, application.catalog, clock.now())
    state = StateReader(settings, clock)
    marks = state.marks()
    cache = AnswerCache(
        lambda: application.warehouse(patience, read_only=True, limits=READING),
        relations,
        state.marks if follows else lambda: marks,
        clock,
    )
    analyst = None
    if settings.warehouse.file is not None and only_here(settings.ui):
        analyst = Analyst(settings.warehouse, clock, application.environ)
    return Context(
        settings,
        questions,
        relations,
        cache,
        state,
        clock,
        application,
        program,
        analyst=analyst,
        periods=periods,
    )


def begin(context: Context) -> None:
    """Let the cache read what pages will show, those of the first page before the others: so it is
    there when somebody looks.
    """
    ready = [each for each in context.questions.values() if not context.relations.is_blocked(each)]
    ready.sort(key=lambda each: each.name not in today.QUESTIONS)
    context.cache.look([Logged()])
    context.cache.look([Asked(each, given(each, {})) for each in ready])
    if context.analyst is not None:
        context.cache.look([StoredTables()])


def who_may(application: Application) -> Access:
    """Who may ask, by the settings.

    Raises:
        ConfigError: a password is not where the configuration says, can be guessed, or is lacking.
    """
    ui = application.settings.ui

    def resolved(told: dict[Role, str], table: str) -> dict[Role, Secret]:
        return {
            role: application.secret(f"ui.{table}.{role}", reference)
            for role, reference in told.items()
        }

    return access(
        ui,
        resolved(ui.passwords, "passwords"),
        resolved(ui.tokens, "tokens"),
        application.clock,
    )


def create_app(context: Context, access: Access) -> SecurityMiddleware:
    """The application behind its middleware of safety.

    Args:
        context: what pages are made from.
        access: who may ask.
    """
    app = make_app(context)
    app.state.access = access
    return SecurityMiddleware(app, access)


def make_app(context: Context) -> Starlette:
    """The application itself: the state of each scope says who looks, by a `Viewer`.

    Args:
        context: what pages are made from.
    """
    app = Starlette(
        routes=[
            Route("/", today.today),
            *pages.routes(),
            Route("/search", search.search),
            *operations.routes(),
            *sql.routes(),
            Route("/login", login, methods=["GET", "POST"]),
            Route("/state.json", state),
            Route("/static/{name}", static),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=SHORTEST_GZIP)],
        exception_handlers={Failure: pages.problem, HTTPException: _not_found},
    )
    app.state.context = context
    return app


def state(request: Request) -> Response:
    """What a page is known by: it changes when a page may show something else."""
    here = context(request)
    marks = sorted(here.state.marks().items())
    told = json.dumps([here.cache.version, marks])
    mark = hashlib.sha256(told.encode()).hexdigest()[:16]
    headers = {"etag": f'"{mark}"', "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(json.dumps({"mark": mark}), media_type="application/json", headers=headers)


def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    says = "There is no such page." if status == HTTPStatus.NOT_FOUND else str(error)
    return page(request, "problem.html", status, title="Not found", says=says, remedy="")
