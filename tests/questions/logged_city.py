"""A living city that was logged hour by hour, with the city itself: its books are the truth.

The world is a function of its seed and the time, so what it really held at a moment can be asked
again after the logging: `Logged.city`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from installation import Installation, endpoint

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.questions.relations import Relations
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import START, Sandbox

HOUR = 3_600
FREE = Rules(cache=0, per_user=10**6, per_address=10**6)


@dataclass(frozen=True)
class Listed:
    """An endpoint of the logged city.

    Attributes:
        path: of the catalogue.
        hours: between two runs.
        settings: more of its settings.
        lines: more lines of its TOML, as `params = { cat = "x" }`.
    """

    path: str
    hours: int = 24
    settings: Mapping[str, object] | None = None
    lines: str = ""


ENDPOINTS: dict[str, Listed] = {
    "faction_members": Listed("/faction/members", 1),
    "faction_crimes": Listed("/faction/crimes", 6, {"since": "P45D"}),
    "faction_balance": Listed("/faction/balance", 6),
    "faction_basic": Listed("/faction/basic"),
    "torn_items": Listed("/torn/items"),
    "faction_news_depositfunds": Listed(
        "/faction/news", 24, {"since": "P7D"}, 'params = { cat = "depositFunds" }'
    ),
    "faction_news_givefunds": Listed(
        "/faction/news", 24, {"since": "P7D"}, 'params = { cat = "giveFunds" }'
    ),
    "torn_stocks": Listed("/torn/stocks"),
    "market_itemmarket": Listed("/market/{id}/itemmarket", 24, {"ids": [206, 260]}),
    "market_pointsmarket": Listed("/market/pointsmarket"),
    "market_auctionhouse": Listed("/market/auctionhouse", 24, {"since": "P7D"}),
    "user_networth": Listed("/user/networth", 12),
    "user_log": Listed("/user/log", 24, {"since": "P7D"}),
    "user_missions": Listed("/user/missions", 24),
    "user_jobpoints": Listed("/user/jobpoints", 24),
    "company_profile": Listed("/company/profile"),
    "company_employees": Listed("/company/employees"),
    "company_stock": Listed("/company/stock"),
    "faction_attacks": Listed("/faction/attacks", 12, {"since": "P30D"}),
    "faction_rankedwars": Listed("/faction/rankedwars"),
    "faction_chains": Listed("/faction/chains", 24, {"since": "P60D"}),
    "membership": Listed("/faction/news", 24, {"since": "P30D"}, 'params = { cat = "membership" }'),
    "other_members": Listed("/faction/{id}/members", 24, lines="ids = [40991, 41210]"),
    "other_basic": Listed("/faction/{id}/basic", 24, lines="ids = [40991, 41210]"),
    "faction_chainreport": Listed(
        "/faction/{chainId}/chainreport", 24, {"ids": "query:select id from faction_chains"}
    ),
    "faction_wars": Listed("/faction/wars", 12),
    "armory": Listed("/faction/news", 24, {"since": "P30D"}, 'params = { cat = "armoryAction" }'),
    "energy": Listed("/faction/contributors", 24, lines='params = { stat = "gymenergy" }'),
    "drugs": Listed("/faction/contributors", 24, lines='params = { stat = "drugsused" }'),
    "faction_revives": Listed("/faction/revives", 24, {"since": "P30D"}),
}
"""What is logged: a new question adds the lines that it needs."""


@dataclass(frozen=True)
class Logged(Installation):
    """An installation and the city that it logged.

    Attributes:
        city: at the moment of the last run.
        toml: the configuration.
    """

    city: Sandbox
    toml: Path


@contextlib.contextmanager
def logged_city(
    folder: Path,
    *,
    hours: int = 48,
    endpoints: Mapping[str, Listed] = ENDPOINTS,
    mode: str = "",
    start: float = START,
) -> Iterator[Logged]:
    """Log a city for some hours.

    Args:
        folder: of the configuration and the warehouse.
        hours: how long.
        endpoints: what is logged, by name.
        mode: a storage mode for all of them; "" for that of their settings.
        start: the time of the city when the logging begins.
    """
    toml, file = folder / "tcdatalogger.toml", folder / "torn.duckdb"
    with Sandbox(seed=7, start=start, rules=FREE) as city:
        toml.write_text(
            '[warehouse]\nurl = "duckdb:///torn.duckdb"\n[archive]\npath = "archive"\n'
            f'[torn]\nurl = "{city.url}"\n[keys]\ndefault = "env:TORN_API_KEY"\n\n'
            + "".join(
                endpoint(
                    name,
                    each.path,
                    **{
                        "frequency": f"PT{each.hours}H",
                        **(each.settings or {}),
                        **({"storage_mode": mode} if mode else {}),
                    },
                ).rstrip()
                + f"\n{each.lines}\n\n"
                for name, each in endpoints.items()
            ),
            encoding="utf-8",
        )
        environ = {"TORN_API_KEY": city.keys["full"]}
        settings = configuration.load(toml, environ)
        clock = ManualClock(city.now())
        with Application(settings, environ=environ, clock=clock) as application:
            for hour in range(hours + 1):
                for each in application.chosen(everything=True):
                    if hour % endpoints[each.name].hours == 0 or hour == hours:
                        result = application.run(each)
                        assert result.error is None, result.error
                if hour < hours:
                    city.advance(HOUR)
                    clock.sleep(HOUR)
        relations = Relations(settings, application.catalog, clock.now())
        yield Logged(file, relations, city, toml)
